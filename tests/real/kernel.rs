//! Linux behind the seam: that each method of `Kernel` makes the system call it stands for, on
//! sockets of every family, and that the event queue waits as it promises.

use netpoller::seam::os::{Descriptor, Epoll};
use netpoller::seam::{Address, Batch, Event, HowToShut, Kernel, Kind, SetChange, System, Timeout};
use netpoller::{Mode, Poller, portable};
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};
use netpoller_tests::{in_child, sys, undisturbed};
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

type Queue = <Epoll as Kernel>::Queue;

fn harvest(queue: &Queue, timeout: Timeout) -> Vec<Event> {
    let mut batch = Batch::with_capacity(16);
    Epoll.wait(queue, &mut batch, timeout).expect("the queue is usable");
    (0..Batch::len(&batch)).map(|place| Batch::get(&batch, place)).collect()
}

/// Waits until the descriptor is ready for something.
fn until_ready(fd: &Descriptor) -> Bits {
    let queue = Epoll.queue().expect("a queue");
    Epoll.add(&queue, fd, Token::entry(0, Generation::FIRST)).expect("registered");
    let events = harvest(&queue, Timeout::Never);
    Epoll.remove(&queue, fd).expect("removed");
    events[0].bits
}

fn inet(text: &str) -> Address {
    Address::Inet(text.parse().expect("an address"))
}

/// A path for a socket that nobody else uses, gone with this value.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> SocketPath {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("np-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        SocketPath(env::temp_dir().join(name))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _never_bound = fs::remove_file(&self.0);
    }
}

/// Connects and accepts. Returns the listener's address, the client and the accepted socket.
fn connected(address: &Address) -> (Address, Descriptor, Descriptor) {
    let listener = Epoll.socket(address, Kind::Stream).expect("a socket");
    Epoll.set_reuse_address(&listener, true).expect("a socket");
    Epoll.bind(&listener, address).unwrap_or_else(|e| panic!("bind to {address:?}: {e}"));
    Epoll.listen(&listener, u32::MAX).expect("listening");
    let there = Epoll.local_address(&listener).expect("bound");
    let empty = Epoll.accept(&listener).expect_err("nobody has connected");
    assert_eq!(empty.kind(), ErrorKind::WouldBlock, "{empty}");

    let client = Epoll.socket(&there, Kind::Stream).expect("a socket");
    match Epoll.connect(&client, &there) {
        Ok(()) => assert!(matches!(there, Address::Unix(_)), "TCP takes a handshake"),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::EINPROGRESS), "{there:?}: {error}");
            assert!(until_ready(&client).any(Bits::OUT), "connected is writable");
        }
    }
    let pending = Epoll.take_error(&client).expect("it is a socket");
    assert!(pending.is_none(), "connecting to {there:?} failed: {pending:?}");
    until_ready(&listener);
    let (accepted, from) = Epoll.accept(&listener).expect("somebody has connected");
    let theirs = Epoll.peer_address(&accepted).expect("it is connected");
    assert_eq!(from, theirs, "accept says something else than getpeername");
    (there, client, accepted)
}

#[test]
fn sockets_of_every_family_connect_and_know_their_addresses() {
    let _undisturbed = undisturbed();
    let path = SocketPath::new();
    let abstract_name = PathBuf::from(format!("\0{}", path.0.display()));
    let families = [
        inet("127.0.0.1:0"),
        inet("[::1]:0"),
        Address::Unix(path.0.clone()),
        Address::Unix(abstract_name),
    ];
    for address in families {
        let (there, client, accepted) = connected(&address);
        assert_eq!(Epoll.peer_address(&client).expect("connected"), there);
        assert_eq!(Epoll.local_address(&accepted).expect("connected"), there);
        let (ours, theirs) = (Epoll.local_address(&client), Epoll.peer_address(&accepted));
        let ours = ours.expect("connected");
        assert_eq!(ours, theirs.expect("connected"), "the two ends disagree");
        match (&address, &ours) {
            (Address::Inet(_), Address::Inet(ours)) => assert_ne!(ours.port(), 0),
            (Address::Unix(name), Address::Unnamed) => {
                assert_eq!(there, Address::Unix(name.clone()))
            }
            (asked, ours) => panic!("a socket of {asked:?} has the address {ours:?}"),
        }

        let mut buffer = [0; 8];
        let nothing = Epoll.read(&client, &mut buffer).expect_err("nothing was sent");
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "{nothing}");
        assert_eq!(Epoll.write(&accepted, b"abc").expect("room"), 3);
        until_ready(&client);
        assert_eq!(Epoll.read(&client, &mut buffer).expect("three bytes"), 3);
        assert_eq!(&buffer[..3], b"abc");

        Epoll.shutdown(&accepted, HowToShut::Write).expect("connected");
        let end = loop {
            match Epoll.read(&client, &mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {} // it is on its way
                end => break end.expect("the end of the stream"),
            }
        };
        assert_eq!(end, 0, "bytes after the end of the stream");
        Epoll.shutdown(&client, HowToShut::Both).expect("connected");
        let error = Epoll.write(&client, b"x").expect_err("shut");
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    }
}

#[test]
fn datagrams_keep_their_bounds() {
    let _undisturbed = undisturbed();
    let (a, b) = Epoll.socket_pair(Kind::Datagram).expect("a pair");
    for message in [&b"one"[..], b"", b"three"] {
        assert_eq!(Epoll.write(&a, message).expect("room"), message.len());
    }
    let mut buffer = [0; 8];
    for length in [3, 0, 5] {
        assert_eq!(Epoll.read(&b, &mut buffer).expect("a message"), length);
    }
    let unnamed = Epoll.local_address(&a).expect("a socket has an address");
    assert_eq!(unnamed, Address::Unnamed);

    let server = Epoll.socket(&inet("127.0.0.1:0"), Kind::Datagram).expect("a socket");
    Epoll.bind(&server, &inet("127.0.0.1:0")).expect("a port");
    let there = Epoll.local_address(&server).expect("bound");
    let client = Epoll.socket(&there, Kind::Datagram).expect("a socket");
    let error = Epoll.peer_address(&client).expect_err("not connected");
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    Epoll.connect(&client, &there).expect("no handshake");
    assert_eq!(Epoll.peer_address(&client).expect("connected"), there);
    Epoll.write(&client, b"datagram").expect("room");
    while !until_ready(&server).any(Bits::IN) {}
    assert_eq!(Epoll.read(&server, &mut buffer).expect("a message"), 8);
}

#[test]
fn a_refused_connection_leaves_its_error_in_the_socket_once() {
    let _undisturbed = undisturbed();
    // Bound and not listening: nobody else can get that port. A listener that was closed would
    // not do, for a child that another test is just starting may hold it open until its exec.
    let deaf = Epoll.socket(&inet("127.0.0.1:0"), Kind::Stream).expect("a socket");
    Epoll.bind(&deaf, &inet("127.0.0.1:0")).expect("a port");
    let there = Epoll.local_address(&deaf).expect("bound");
    let client = Epoll.socket(&there, Kind::Stream).expect("a socket");
    let error = Epoll.connect(&client, &there).expect_err("nobody listens");
    let refused = if error.raw_os_error() == Some(libc::EINPROGRESS) {
        assert!(until_ready(&client).any(Bits::ERR), "refused without an error");
        Epoll.take_error(&client).expect("it is a socket").expect("an error is pending")
    } else {
        error
    };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    let again = Epoll.take_error(&client).expect("it is a socket");
    assert!(again.is_none(), "taken twice: {again:?}");
}

#[test]
fn several_buffers_are_read_and_written_in_one_call() {
    let _undisturbed = undisturbed();
    let pipe = Epoll.pipe().expect("a pipe");
    let pair = Epoll.socket_pair(Kind::Stream).expect("a pair");
    for (reader, writer) in [pipe, pair] {
        let pieces = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(Epoll.write_vectored(&writer, &pieces).expect("room"), 5, "on {writer:?}");
        let (mut one, mut other) = ([0; 3], [0; 4]);
        let mut buffers = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)];
        assert_eq!(Epoll.read_vectored(&reader, &mut buffers).expect("data"), 5, "on {reader:?}");
        assert_eq!((&one, &other), (b"abc", b"de\0\0"), "on {reader:?}");

        let many = [IoSlice::new(b"x"); 1025];
        let written = Epoll.write_vectored(&writer, &many).expect("more than a call takes");
        assert_eq!(written, 1024, "as many as the kernel takes, on {writer:?}");
    }
}

#[test]
fn what_was_peeked_at_is_still_there() {
    let _undisturbed = undisturbed();
    let (a, b) = Epoll.socket_pair(Kind::Stream).expect("a pair");
    let empty = Epoll.peek(&b, &mut [0; 4]).expect_err("nothing was sent");
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    Epoll.write(&a, b"abc").expect("room");
    for call in [Epoll.peek(&b, &mut [0; 2]), Epoll.peek(&b, &mut [0; 2])] {
        assert_eq!(call.expect("data"), 2);
    }
    let mut all = [0; 4];
    assert_eq!(Epoll.read(&b, &mut all).expect("data"), 3);
    assert_eq!(&all, b"abc\0");
    let (reader, _writer) = Epoll.pipe().expect("a pipe");
    let error = Epoll.peek(&reader, &mut [0]).expect_err("a pipe has no peek");
    assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
}

#[test]
fn options_are_set_and_read_back() {
    let _undisturbed = undisturbed();
    let (_, client, _accepted) = connected(&inet("127.0.0.1:0"));
    for on in [true, false] {
        Epoll.set_nodelay(&client, on).expect("a TCP socket");
        assert_eq!(Epoll.nodelay(&client).expect("a TCP socket"), on);
        Epoll.set_nonblocking(&client, on).expect("it is open");
        assert_eq!(Epoll.nonblocking(&client).expect("it is open"), on);
    }
    let (a, _b) = Epoll.socket_pair(Kind::Stream).expect("a pair");
    let error = Epoll.set_nodelay(&a, true).expect_err("no TCP socket");
    assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP));
}

#[test]
fn a_port_is_bound_again_although_a_connection_of_it_still_ends_if_reuse_was_asked_for() {
    let _undisturbed = undisturbed();
    let (there, client, accepted) = connected(&inet("127.0.0.1:0"));
    // The side that ends first waits for stray segments, on the port of the listener.
    drop((accepted, client));
    for reuse in [false, true] {
        let listener = Epoll.socket(&there, Kind::Stream).expect("a socket");
        Epoll.set_reuse_address(&listener, reuse).expect("a socket");
        let bound = Epoll.bind(&listener, &there).map_err(|error| error.kind());
        let expected = if reuse { Ok(()) } else { Err(ErrorKind::AddrInUse) };
        assert_eq!(bound, expected, "with reuse {reuse}");
    }
}

#[test]
fn a_descriptor_is_closed_once() {
    let _undisturbed = undisturbed();
    let (reader, _writer) = Epoll.pipe().expect("a pipe");
    Epoll.close(&reader).expect("the first close");
    for call in [Epoll.close(&reader), Epoll.read(&reader, &mut [0]).map(drop)] {
        assert_eq!(call.expect_err("it is closed").raw_os_error(), Some(libc::EBADF));
    }
    assert_eq!(reader.as_raw_fd(), -1);
    let (other, _writer) = Epoll.pipe().expect("a pipe");
    drop(reader);
    Epoll.nonblocking(&other).expect("a stranger's number was closed by the drop");
    let number = other.as_raw_fd();
    assert_eq!(OwnedFd::from(other).as_raw_fd(), number, "taken out, not closed");
}

#[test]
fn all_descriptors_are_non_blocking_and_close_on_exec() {
    let _undisturbed = undisturbed();
    let (reader, writer) = Epoll.pipe().expect("a pipe");
    let (a, b) = Epoll.socket_pair(Kind::Stream).expect("a pair");
    let (_, client, accepted) = connected(&inet("127.0.0.1:0"));
    let duplicate = Epoll.dup(&reader).expect("a duplicate");
    for fd in [&reader, &writer, &a, &b, &client, &accepted, &duplicate] {
        // The kernel's own account of it, in octal.
        let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
        let text = fs::read_to_string(path).expect("it is open");
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        let flags = i32::from_str_radix(flags.trim(), 8).expect("an octal number");
        for (bit, name) in [(libc::O_NONBLOCK, "non-blocking"), (libc::O_CLOEXEC, "close-on-exec")]
        {
            assert_ne!(flags & bit, 0, "{fd:?} is not {name}");
        }
    }
    assert_eq!(inode(&reader), inode(&duplicate), "the duplicate is another file");
}

fn inode(fd: &Descriptor) -> u64 {
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    fs::metadata(Path::new(&link)).expect("it is open").st_ino()
}

#[test]
fn an_edge_is_reported_once_and_for_both_directions() {
    let _undisturbed = undisturbed();
    // NP-EDGE-1
    let queue = Epoll.queue().expect("a queue");
    let (a, b) = Epoll.socket_pair(Kind::Stream).expect("a pair");
    Epoll.write(&b, b"x").expect("room");
    let token = Token::entry(3, Generation::FIRST);
    assert_eq!(Epoll.add(&queue, &a, token).expect("registered"), SetChange::InForce);
    let both = Bits::IN.or(Bits::OUT);
    let event = |bits| Event { token, bits };
    assert_eq!(harvest(&queue, Timeout::Zero), [event(both)], "what was there before");
    assert_eq!(harvest(&queue, Timeout::Zero), [], "the condition holds, but there was no edge");
    for mode in Mode::BOTH {
        let change = Epoll.arm(&queue, &a, token, mode).expect("nothing to do");
        assert_eq!(change, SetChange::InForce);
    }
    assert_eq!(harvest(&queue, Timeout::Zero), [], "arming is no edge");
    drop(b);
    let end = both.or(Bits::RDHUP).or(Bits::HUP);
    assert_eq!(harvest(&queue, Timeout::Zero), [event(end)], "the peer is gone");
    assert_eq!(Epoll.remove(&queue, &a).expect("removed"), SetChange::InForce);
    let error = Epoll.remove(&queue, &a).expect_err("removed twice");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("epoll_ctl(DEL)"), "{error}");
}

#[test]
fn a_break_is_reported_until_it_is_drained_and_breaks_merge() {
    let _undisturbed = undisturbed();
    // NP-BREAK-2
    let queue = Epoll.queue().expect("a queue");
    let there = [Event { token: Token::BREAK, bits: Bits::IN }];
    assert_eq!(harvest(&queue, Timeout::Zero), []);
    for _ in 0..3 {
        Epoll.post(&queue).expect("a token");
    }
    for timeout in [Timeout::Zero, Timeout::Zero, Timeout::Never] {
        assert_eq!(harvest(&queue, timeout), there, "gone before it was drained");
    }
    Epoll.drain(&queue).expect("all tokens");
    assert_eq!(harvest(&queue, Timeout::Zero), [], "three breaks were more than one token");
    Epoll.drain(&queue).expect("none is no error");
}

#[test]
fn a_break_whose_counter_is_full_is_a_break() {
    in_child("a_break_whose_counter_is_full_is_a_break", || {
        let queue = Epoll.queue().expect("a queue");
        let eventfd = (0..64).find(|number| {
            let about = fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
            about.is_ok_and(|text| text.contains("eventfd-count"))
        });
        let eventfd = eventfd.expect("the queue has an eventfd");
        sys::add_behind_the_back(eventfd, u64::MAX - 1).expect("it was empty");
        assert!(sys::add_behind_the_back(eventfd, 1).is_err(), "the counter is not full");
        Epoll.post(&queue).expect("there are tokens enough");
        assert_eq!(harvest(&queue, Timeout::Zero).len(), 1, "the break is not reported");
        Epoll.drain(&queue).expect("all tokens");
        assert_eq!(harvest(&queue, Timeout::Zero), [], "the counter was not emptied");
    });
}

#[test]
fn a_batch_takes_no_more_than_it_holds_and_loses_nothing() {
    let _undisturbed = undisturbed();
    let queue = Epoll.queue().expect("a queue");
    let pairs: Vec<_> = (0..5).map(|_| Epoll.socket_pair(Kind::Stream).expect("a pair")).collect();
    for (index, (a, _)) in (0..).zip(&pairs) {
        Epoll.add(&queue, a, Token::entry(index, Generation::FIRST)).expect("registered");
    }
    let mut batch = Batch::with_capacity(2);
    let mut seen = Vec::new();
    for expected in [2, 2, 1, 0] {
        Epoll.wait(&queue, &mut batch, Timeout::Zero).expect("the queue is usable");
        assert_eq!(Batch::len(&batch), expected, "after {seen:?}");
        seen.extend((0..expected).map(|place| Batch::get(&batch, place).token.bits() >> 32));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4], "an event was lost or doubled");
}

fn no_wait_is_shorter_than_asked_for() {
    let queue = Epoll.queue().expect("a queue");
    for nanos in [1, 999, 50_000, 999_999, 1_000_000, 1_000_001, 2_500_000] {
        let delay = Duration::from_nanos(nanos);
        for _ in 0..10 {
            let before = Instant::now();
            assert_eq!(harvest(&queue, Timeout::After(delay)), []);
            let took = before.elapsed();
            assert!(took >= delay, "waited {took:?} instead of {delay:?}");
        }
    }
    Epoll.post(&queue).expect("a token");
    assert_eq!(harvest(&queue, Timeout::After(Duration::MAX)).len(), 1, "a very long timeout");
}

#[test]
fn a_timeout_is_never_early() {
    let _undisturbed = undisturbed();
    no_wait_is_shorter_than_asked_for();
}

#[test]
fn a_timeout_is_never_early_on_a_kernel_without_epoll_pwait2() {
    in_child("a_timeout_is_never_early_on_a_kernel_without_epoll_pwait2", || {
        sys::refuse_system_call(libc::SYS_epoll_pwait2, libc::ENOSYS).expect("a filter");
        no_wait_is_shorter_than_asked_for();
    });
}

#[test]
fn a_timeout_is_never_early_in_a_sandbox_that_refuses_epoll_pwait2() {
    in_child("a_timeout_is_never_early_in_a_sandbox_that_refuses_epoll_pwait2", || {
        sys::refuse_system_call(libc::SYS_epoll_pwait2, libc::EPERM).expect("a filter");
        no_wait_is_shorter_than_asked_for();
    });
}

#[test]
fn signals_end_neither_a_poll_nor_shorten_its_timeout() {
    in_child("signals_end_neither_a_poll_nor_shorten_its_timeout", || {
        interrupt(&Poller::new().expect("a poller"));
    });
}

#[test]
fn signals_end_neither_a_poll_on_poll_nor_shorten_its_timeout() {
    in_child("signals_end_neither_a_poll_on_poll_nor_shorten_its_timeout", || {
        interrupt(&portable::Poller::new().expect("a poller"));
    });
}

/// NP-EDGE-4.
fn interrupt<S: System>(poller: &netpoller::poller::Poller<S>) {
    sys::count_sigusr1().expect("a handler");
    let delay = Duration::from_millis(30);
    let first_is_over = Arc::new(AtomicBool::new(false));
    let polling = thread::spawn({
        let (poller, first_is_over) = (poller.clone(), Arc::clone(&first_is_over));
        move || {
            let mut ready = netpoller::ready::Ready::new();
            let before = Instant::now();
            assert_eq!(poller.poll(&mut ready, Some(delay)).expect("a timeout"), 0);
            let took = before.elapsed();
            first_is_over.store(true, Ordering::Release);
            assert!(took >= delay, "a signal ended the poll after {took:?}");
            poller.poll(&mut ready, None).expect("a break");
            assert!(ready.broken(), "something else than the break ended the poll");
        }
    });
    let interrupt_until = |enough: &dyn Fn() -> bool| {
        while !enough() {
            sys::interrupt(&polling).expect("it has not been joined");
            thread::yield_now();
        }
    };
    interrupt_until(&|| {
        let first = first_is_over.load(Ordering::Acquire) && sys::signals() > 0;
        first || polling.is_finished() // it failed: the join below says how
    });
    let many = sys::signals() + 100;
    interrupt_until(&|| sys::signals() >= many || polling.is_finished());
    poller.wake().expect("a break");
    polling.join().expect("the polling thread panicked");
}
