//! Connections on the real kernel: what depends on its ports, its handshakes and its limits.
//!
//! What every kernel shows is in `behaviour`.

use crate::backend::{
    KERNEL, Poller, Source, TcpListener, TcpStream, UnixListener, UnixStream, driven,
};
use netpoller::net::TcpListener as AnyListener;
use netpoller::{Address, ListenOptions, Reason};
use netpoller_tests::{in_child, sys, tasks, undisturbed};
use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::task::{Context, Waker};
use std::thread::{self};

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tasks::block_on(future, || {})
}

/// The lowest number that is free, all lower ones being in use as long as the files live.
fn without_gaps() -> (Vec<File>, RawFd) {
    let highest = (0..4096).rfind(|&any| sys::is_open(any)).expect("the standard streams");
    let mut filling = Vec::new();
    loop {
        let file = File::open("/dev/null").expect("a file");
        if file.as_raw_fd() > highest {
            return (filling, file.as_raw_fd());
        }
        filling.push(file);
    }
}

/// A port that nobody listens on: it was free a moment ago, and no other test takes it, because the
/// listener that had it stays bound to it without listening.
fn nobody_listens() -> (impl Drop, SocketAddr) {
    use netpoller::seam::os::Descriptor;
    use netpoller::seam::{Address, Kernel, Kind};
    struct Bound(#[expect(dead_code, reason = "keeps the port")] Descriptor);
    impl Drop for Bound {
        fn drop(&mut self) {}
    }
    let address = Address::Inet(anywhere());
    let socket = KERNEL.socket(&address, Kind::Stream).expect("a socket");
    KERNEL.bind(&socket, &address).expect("a port");
    let Address::Inet(there) = KERNEL.local_address(&socket).expect("bound") else {
        panic!("another family")
    };
    (Bound(socket), there)
}

/// Follows Go's `net.TestClosingListener` (Go #10527, #21856): a thread sits in accept when the
/// listener is closed, and its port is free when the close returns.
#[test]
fn go_10527_a_port_can_be_listened_on_as_soon_as_its_listener_is_closed() {
    let _undisturbed = undisturbed();
    // NP-FD-4
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let mut there = anywhere();
    for round in 0..500 {
        let listener = TcpListener::bind_on(&poller, there)
            .unwrap_or_else(|e| panic!("round {round}: listening on {there} again: {e}"));
        there = listener.local_addr().expect("bound");
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().map(drop));
            if round % 2 == 0 {
                // Inside: it has the right to accept.
                while !listener.peek_lock().held(netpoller::Mode::Read) {
                    thread::yield_now();
                }
            }
            listener.close().expect("the first close");
            let error = accepting.join().expect("no panic").expect_err("nobody connects");
            assert_eq!(Reason::of(&error), Some(Reason::Closed), "round {round}: {error}");
        });
    }
    drop(driver);
}

/// The connection stays where it is, no edge reports it again, and the next accept finds it.
#[test]
fn an_accept_without_a_free_number_fails_and_the_next_one_succeeds() {
    in_child("net::an_accept_without_a_free_number_fails_and_the_next_one_succeeds", || {
        let poller = Poller::new().expect("a poller");
        let driver = poller.drive().expect("a thread");
        let listener = TcpListener::bind_on(&poller, anywhere()).expect("a port");
        let there = listener.local_addr().expect("bound");
        let client = TcpStream::connect_on(&poller, there).expect("connected");
        let (_filling, first_free) = without_gaps();
        sys::limit_descriptors(first_free).expect("a lower limit");
        for attempt in 0..3 {
            let error = match attempt % 2 {
                0 => listener.accept().map(drop),
                _ => block_on(listener.async_accept()).map(drop),
            }
            .expect_err("no number for it");
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE), "attempt {attempt}: {error}");
        }
        sys::limit_descriptors(first_free + 2).expect("room for two");
        let (accepted, from) = listener.accept().expect("it was still there");
        assert_eq!(from, client.local_addr().expect("connected"));
        (&client).write_all(b"x").expect("room");
        (&accepted).read_exact(&mut [0]).expect("the byte");
        // The listener is armed as before: a connection that comes later wakes an accept.
        thread::scope(|scope| {
            let accepting = scope.spawn(|| listener.accept().map(|(_, from)| from));
            drop(accepted);
            let late = TcpStream::connect_on(&poller, there).expect("connected");
            let from = accepting.join().expect("no panic").expect("accepted");
            assert_eq!(from, late.local_addr().expect("connected"));
        });
        drop(driver);
    });
}

#[test]
fn a_refused_connection_is_an_error_in_both_styles_and_leaves_nothing_open() {
    in_child(
        "net::a_refused_connection_is_an_error_in_both_styles_and_leaves_nothing_open",
        || {
            let poller = Poller::new().expect("a poller");
            let driver = poller.drive().expect("a thread");
            let (_bound, there) = nobody_listens();
            let (_filling, first_free) = without_gaps();
            for attempt in [
                TcpStream::connect_on(&poller, there),
                block_on(TcpStream::async_connect_on(&poller, there)),
            ] {
                let error = attempt.expect_err("nobody listens");
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
                assert!(!sys::is_open(first_free), "a socket was left open");
            }
            let missing = UnixStream::connect_on(&poller, "/nowhere/at all").expect_err("no file");
            assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
            assert!(!sys::is_open(first_free), "a socket was left open");
            drop(driver);
        },
    );
}

#[test]
fn a_connect_that_is_dropped_closes_its_socket() {
    in_child("net::a_connect_that_is_dropped_closes_its_socket", || {
        // Nobody polls, so the future does not learn that the connection is there.
        let poller = Poller::new().expect("a poller");
        let listener = TcpListener::bind_on(&poller, anywhere()).expect("a port");
        let there = listener.local_addr().expect("bound");
        let (_filling, first_free) = without_gaps();
        for _ in 0..3 {
            let mut future = Box::pin(TcpStream::async_connect_on(&poller, there));
            let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending(), "connected without a poll: {polled:?}");
            assert!(sys::is_open(first_free), "the connection is not under way");
            drop(future);
            assert!(!sys::is_open(first_free), "the socket was left open");
        }
    });
}

/// Follows Go's `net.TestTCPConcurrentAccept`.
#[test]
fn ten_threads_accept_and_every_connection_is_accepted_once() {
    let _undisturbed = undisturbed();
    const THREADS: usize = 10;
    const EACH: usize = 20;
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let listener = TcpListener::bind_on(&poller, anywhere()).expect("a port");
    let there = listener.local_addr().expect("bound");
    let mut accepted: Vec<SocketAddr> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let next = |_| listener.accept().expect("a connection").1;
                    (0..EACH).map(next).collect::<Vec<_>>()
                })
            })
            .collect();
        let clients: Vec<_> = (0..THREADS * EACH)
            .map(|_| TcpStream::connect_on(&poller, there).expect("connected"))
            .collect();
        assert_eq!(clients.len(), THREADS * EACH);
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    accepted.sort_unstable();
    accepted.dedup();
    assert_eq!(accepted.len(), THREADS * EACH, "a connection was accepted twice");
    drop(driver);
}

#[test]
fn a_stream_of_every_family_carries_data_both_ways() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let echo = |stream: &Source| {
        let mut bytes = [0; 5];
        { stream }.read_exact(&mut bytes).expect("five bytes");
        { stream }.write_all(&bytes).expect("room");
        assert_eq!({ stream }.read(&mut bytes).expect("the end"), 0);
    };
    let call = |stream: &Source| {
        { stream }.write_all(b"hello").expect("room");
        let mut bytes = [0; 5];
        { stream }.read_exact(&mut bytes).expect("five bytes");
        assert_eq!(&bytes, b"hello");
        stream.shutdown(netpoller::HowToShut::Write).expect("connected");
    };
    thread::scope(|scope| {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let address: SocketAddr = address.parse().expect("an address");
            let Ok(listener) = TcpListener::bind_on(&poller, address) else {
                assert!(address.is_ipv6(), "no IPv4 here");
                continue; // a machine without IPv6
            };
            let there = listener.local_addr().expect("bound");
            let server = scope.spawn(move || echo(&listener.accept().expect("a client").0));
            call(&block_on(TcpStream::async_connect_on(&poller, there)).expect("connected"));
            server.join().expect("no panic");
        }
        let name = format!("\0netpoller-{}", std::process::id());
        let listener = UnixListener::bind_on(&poller, &name).expect("a name");
        let server = scope.spawn(move || echo(&listener.accept().expect("a client").0));
        call(&UnixStream::connect_on(&poller, &name).expect("connected"));
        server.join().expect("no panic");
    });
    drop(driver);
}

/// Go os.newFile: a pipe is made non-blocking and polled, and a regular file stays as it was.
#[test]
fn what_has_no_readiness_is_adopted_in_blocking_mode() {
    let _undisturbed = undisturbed();
    use netpoller::seam::Kernel;
    let poller = Poller::new().expect("a poller");
    let file = File::open("/proc/self/exe").expect("this program");
    let source = poller.adopt(OwnedFd::from(file).into()).expect("adopted");
    let mut magic = [0; 4];
    (&source).read_exact(&mut magic).expect("it has a beginning");
    assert_eq!(&magic, b"\x7fELF");
    block_on(source.async_read(&mut magic)).expect("it goes on");
    let mut waiter = source.waiter(netpoller::Mode::Read).expect("nobody else waits");
    for error in [waiter.prepare(), waiter.wait()] {
        let error = error.expect_err("it has no readiness");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    drop(waiter);
    let inside = source.fd().expect("it is open");
    source.close().expect("it does not wait for whoever is inside");
    drop(inside);
    assert!(source.peek_lock().destroyed(), "the last user has closed nothing");

    let file = File::open("/proc/self/exe").expect("this program");
    let blocking = poller.adopt(OwnedFd::from(file).into()).expect("adopted");
    let fd = blocking.into_fd().expect("it is open");
    assert!(!KERNEL.nonblocking(&fd).expect("it is open"), "the mode of a file was changed");
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let polled = poller.adopt(OwnedFd::from(reader).into()).expect("adopted");
    let fd = polled.into_fd().expect("it is open");
    assert!(KERNEL.nonblocking(&fd).expect("it is open"), "a read would block the thread");
}

/// What the halves of both ends carry, by threads and by tasks.
#[test]
fn both_halves_are_used_by_two_threads_and_by_two_tasks() {
    let _undisturbed = undisturbed();
    const BYTES: usize = 1 << 20;
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let listener = TcpListener::bind_on(&poller, anywhere()).expect("a port");
    for style in ["threads", "tasks"] {
        let client = TcpStream::connect_on(&poller, listener.local_addr().expect("bound"));
        let (server, _from) = listener.accept().expect("a client");
        let [(mut near, mut to), (mut far, mut back)] =
            [client.expect("connected"), server].map(TcpStream::into_split);
        thread::scope(|scope| {
            // More than fits into the buffers: each half waits for its counterpart.
            let echo = scope.spawn(move || match style {
                "threads" => std::io::copy(&mut far, &mut back).expect("all of it") as usize,
                _ => block_on(async {
                    let (mut buffer, mut sum) = ([0; 4096], 0);
                    loop {
                        let count = far.async_read(&mut buffer).await.expect("connected");
                        let mut rest = &buffer[..count];
                        while !rest.is_empty() {
                            let written = back.async_write(rest).await.expect("connected");
                            rest = &rest[written..];
                        }
                        match count {
                            0 => break sum,
                            _ => sum += count,
                        }
                    }
                }),
            });
            let writer = scope.spawn(move || match style {
                "threads" => to.write_all(&vec![7; BYTES]).expect("room"),
                _ => block_on(async {
                    let mut left = BYTES;
                    while left > 0 {
                        left -= to.async_write(&vec![7; left]).await.expect("room");
                    }
                }),
            });
            // Its end is that of the half at the other end, which is dropped with its thread.
            let mut all = Vec::new();
            near.read_to_end(&mut all).expect("connected");
            assert!(all.len() == BYTES && all.iter().all(|&byte| byte == 7), "{style}");
            writer.join().expect("no panic");
            assert_eq!(echo.join().expect("no panic"), BYTES, "{style}");
        });
    }
    drop(driver);
}

/// NP-CONN-7: the connection waits in the kernel, the listener is readable all the time, and the loop sleeps.
#[test]
fn an_accept_loop_without_a_free_number_sleeps_and_goes_on() {
    const PAUSES: u64 = 5;
    in_child("net::an_accept_loop_without_a_free_number_sleeps_and_goes_on", || {
        driven(1, |poller| {
            let listener = AnyListener::bind_on(poller, anywhere()).expect("a port");
            let there = listener.local_addr().expect("bound");
            let client = std::net::TcpStream::connect(there).expect("connected");
            let (_filling, first_free) = without_gaps();
            sys::limit_descriptors(first_free).expect("a lower limit");
            let ledger = poller.system().ledger();
            let (expired, parked) =
                (|| ledger.get(|ledger| &ledger.expired), || ledger.get(|ledger| &ledger.parked));
            let before = (expired(), parked());
            thread::scope(|scope| {
                let accepting = scope.spawn(|| {
                    let mut incoming = listener.incoming();
                    let (_server, from) = incoming.next().expect("open").expect("a client");
                    (from, incoming.pauses())
                });
                while expired() < before.0 + PAUSES {
                    thread::yield_now();
                }
                sys::limit_descriptors(first_free + 8).expect("room");
                let (from, pauses) = accepting.join().expect("no panic");
                assert_eq!(from, client.local_addr().expect("connected"));
                assert!(pauses >= PAUSES, "{pauses} pauses, and more have come to their end");
                let parks = parked() - before.1;
                assert!(parks <= 3 * (pauses + 1), "{parks} parks in {pauses} pauses: it spins");
            });
            // A close ends a pause: no thread could accept here.
            let _second = std::net::TcpStream::connect(there).expect("connected");
            sys::limit_descriptors(first_free).expect("a lower limit");
            thread::scope(|scope| {
                let accepting = scope.spawn(|| listener.incoming().next().is_none());
                let before = expired();
                while expired() < before + PAUSES {
                    thread::yield_now();
                }
                listener.close().expect("the first close");
                assert!(accepting.join().expect("no panic"), "accepted without a number");
            });
        });
    });
}

#[test]
fn listeners_have_the_options_that_were_asked_for() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let options = ListenOptions::new().reuse_port(true).nodelay(true).backlog(8);
    let listener = options.tcp_on(&poller, anywhere()).expect("a port");
    let there = listener.local_addr().expect("bound");
    let beside = options.tcp_on(&poller, there).expect("they share the port");
    let alone = TcpListener::bind_on(&poller, there).expect_err("the port is in use");
    assert_eq!(alone.kind(), ErrorKind::AddrInUse, "{alone}");
    beside.close().expect("the first close");
    let client = TcpStream::connect_on(&poller, there).expect("connected");
    let (server, _from) = listener.accept().expect("a client");
    assert!(server.nodelay().expect("connected"), "not inherited from the listener");
    assert!(!client.nodelay().expect("connected"));
    // A port of a connection that has ended here is held for a while, unless said otherwise.
    drop(server);
    let mut end = [0];
    assert_eq!((&client).read(&mut end).expect("the end"), 0);
    drop(client);
    listener.close().expect("the first close");
    let held = ListenOptions::new().reuse_address(false).tcp_on(&poller, there);
    assert_eq!(held.expect_err("the connection is ending").kind(), ErrorKind::AddrInUse);
    TcpListener::bind_on(&poller, there).expect("it may be there");
    // IPv6 alone leaves the port of IPv4 to others; a machine without IPv6 has none to leave.
    let any_v6 = "[::]:0".parse().expect("an address");
    if let Ok(v6) = ListenOptions::new().only_v6(true).tcp_on(&poller, any_v6) {
        let port = v6.local_addr().expect("bound").port();
        let v4 = SocketAddr::from(([0, 0, 0, 0], port));
        TcpListener::bind_on(&poller, v4).expect("IPv4 is not its business");
    }
    let name = format!("\0netpoller-backlog-{}-{port}", std::process::id(), port = there.port());
    let unix = ListenOptions::new().backlog(0).unix_on(&poller, &name).expect("a name");
    let _first = UnixStream::connect_on(&poller, &name).expect("one may wait");
    let full = UnixStream::connect_on(&poller, &name).expect_err("and no second one");
    assert_eq!(full.kind(), ErrorKind::WouldBlock, "{full}");
    assert_eq!(unix.incoming().next().expect("open").expect("the first").1, Address::Unnamed);
}

/// The resolver is asked by another thread where the caller may not block, and under its deadline.
#[test]
fn a_name_is_looked_up_in_both_styles_and_with_a_deadline() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let listener = TcpListener::bind_on(&poller, anywhere()).expect("a port");
    let there = listener.local_addr().expect("bound");
    let name = format!("localhost:{}", there.port());
    let late = Some(poller.now().saturating_add(std::time::Duration::from_secs(3600)));
    for client in [
        TcpStream::connect_on(&poller, &*name),
        TcpStream::connect_by_on(&poller, ("localhost", there.port()), late),
        block_on(TcpStream::async_connect_on(&poller, name.clone())),
        block_on(TcpStream::async_connect_by_on(&poller, &*name, late)),
    ] {
        assert_eq!(client.expect("somebody listens").peer_addr().expect("connected"), there);
    }
    for malformed in ["no port", "localhost:99999", ""] {
        let blocking = TcpStream::connect_on(&poller, malformed).expect_err("no name");
        let other = block_on(TcpStream::async_connect_on(&poller, malformed)).expect_err("no name");
        assert_eq!(
            (blocking.kind(), other.kind()),
            (ErrorKind::InvalidInput, ErrorKind::InvalidInput)
        );
    }
    let now = Some(poller.now());
    let error = TcpStream::connect_by_on(&poller, &*name, now).expect_err("it is late");
    assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{error}");
    // A future that is dropped leaves its lookup to the thread that makes it.
    let mut dropped = Box::pin(TcpStream::async_connect_on(&poller, &*name));
    let _either = dropped.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(dropped);
    drop(driver);
}
