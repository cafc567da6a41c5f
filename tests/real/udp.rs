//! UDP and Unix datagrams on the real kernel: what it tells of a peer that is not there, options, conversions,
//! threads. What every kernel shows of messages is in `behaviour`.

use crate::backend::{Counted, Poller, UdpSocket, UnixDatagram, driven};
use netpoller::net::UnixDatagram as AnyUnixDatagram;
use netpoller::{Mode, Reason};
use netpoller_tests::{tasks, undisturbed};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// A poller, and two sockets on it that know nothing of each other.
fn two() -> (Poller, UdpSocket, UdpSocket) {
    let poller = Poller::new().expect("a poller");
    let here = UdpSocket::bind_on(&poller, anywhere()).expect("a port");
    let there = UdpSocket::bind_on(&poller, anywhere()).expect("a port");
    (poller, here, there)
}

/// The address of a port that nobody else gets, because a socket has it that is connected to itself
/// and takes no message of others: they are answered as if nobody were there.
fn nobody(poller: &Poller) -> (UdpSocket, SocketAddr) {
    let deaf = UdpSocket::bind_on(poller, anywhere()).expect("a port");
    let there = deaf.local_addr().expect("bound");
    deaf.connect(there).expect("to itself");
    (deaf, there)
}

#[test]
fn messages_carry_their_sender_in_both_styles() {
    let _undisturbed = undisturbed();
    let (poller, here, there) = two();
    let driver = poller.drive().expect("a thread");
    let (from, to) = (here.local_addr().expect("bound"), there.local_addr().expect("bound"));
    let mut buffer = [0; 16];
    assert_eq!(here.send_to(b"one", to).expect("room"), 3);
    assert_eq!(there.recv_from(&mut buffer).expect("a message"), (3, from));
    tasks::block_on(
        async {
            assert_eq!(here.async_send_to(b"two!", to).await.expect("room"), 4);
            assert_eq!(there.async_peek_from(&mut buffer).await.expect("there"), (4, from));
            assert_eq!(there.async_recv_from(&mut buffer).await.expect("there"), (4, from));
        },
        || {},
    );
    assert_eq!(&buffer[..4], b"two!");
    assert_eq!(there.try_recv(&mut buffer).expect_err("none").kind(), ErrorKind::WouldBlock);
    drop(driver);
}

/// An end is something that UDP does not have; neither is an empty buffer, or an empty message.
#[test]
fn a_message_of_no_bytes_arrives_and_is_not_the_end() {
    let _undisturbed = undisturbed();
    let (_poller, here, there) = two();
    let to = there.local_addr().expect("bound");
    let mut buffer = [7; 4];
    for message in [&b""[..], b"x", b""] {
        assert_eq!(here.send_to(message, to).expect("room"), message.len());
        assert_eq!(there.recv(&mut buffer).expect("a message"), message.len());
    }
    here.send_to(b"gone", to).expect("room");
    here.send_to(b"next", to).expect("room");
    assert_eq!(there.recv(&mut []).expect("a message"), 0, "an empty buffer takes one out");
    assert_eq!(there.recv(&mut buffer[..2]).expect("a message"), 2);
    assert_eq!(&buffer[..2], b"ne");
    let rest = there.try_recv(&mut buffer).expect_err("what did not fit is lost");
    assert_eq!(rest.kind(), ErrorKind::WouldBlock, "{rest}");
}

/// A report that nobody listens comes from the network, after the send has succeeded.
#[test]
fn a_report_that_nobody_listens_is_told_once_by_the_next_call() {
    let _undisturbed = undisturbed();
    let (poller, here, _there) = two();
    let (_deaf, to) = nobody(&poller);
    here.connect(to).expect("it does not ask");
    for style in ["a receive that waits", "an async receive", "a send"] {
        assert_eq!(here.try_send(b"x").expect("it is not known yet"), 1, "before {style}");
        let error = match style {
            "a receive that waits" => here.recv(&mut [0]).map(drop),
            "an async receive" => {
                let driver = poller.drive().expect("a thread");
                let received = tasks::block_on(here.async_recv(&mut [0]), || {});
                drop(driver);
                received.map(drop)
            }
            _ => {
                here.writable().expect("room");
                // On the loopback the report is there before the call returns.
                here.send(b"x").map(drop)
            }
        }
        .expect_err("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{style}: {error}");
        let none = here.try_recv(&mut [0]).expect_err("nothing to receive");
        assert_eq!(none.kind(), ErrorKind::WouldBlock, "told twice after {style}: {none}");
    }
}

#[test]
fn a_socket_that_is_not_connected_is_told_of_no_report() {
    let _undisturbed = undisturbed();
    let (poller, here, _there) = two();
    let (_deaf, to) = nobody(&poller);
    for _ in 0..3 {
        assert_eq!(here.send_to(b"x", to).expect("it is not told"), 1);
    }
    let none = here.try_recv(&mut [0]).expect_err("nothing to receive");
    assert_eq!(none.kind(), ErrorKind::WouldBlock, "{none}");
}

#[test]
fn a_connected_socket_receives_from_its_peer_alone() {
    let _undisturbed = undisturbed();
    let (poller, here, there) = two();
    let stranger = UdpSocket::bind_on(&poller, anywhere()).expect("a port");
    let address = here.local_addr().expect("bound");
    here.connect(there.local_addr().expect("bound")).expect("connected");
    assert_eq!(here.peer_addr().expect("connected"), there.local_addr().expect("bound"));
    stranger.send_to(b"no", address).expect("room");
    there.send_to(b"yes", address).expect("room");
    let mut buffer = [0; 8];
    assert_eq!(here.recv(&mut buffer).expect("a message"), 3);
    assert_eq!(&buffer[..3], b"yes");
    let error = stranger.send(b"x").expect_err("it has no peer");
    assert_eq!(error.raw_os_error(), Some(libc::EDESTADDRREQ), "{error}");
    assert_eq!(stranger.peer_addr().expect_err("none").kind(), ErrorKind::NotConnected);
}

/// Follows Go's `net.TestCloseUnblocksReadUDP` (Go #72770): threads sit in a receive when the socket is closed.
#[test]
fn go_72770_a_close_ends_the_receives_of_threads() {
    let _undisturbed = undisturbed();
    let (_poller, here, _there) = two();
    thread::scope(|scope| {
        let receivers: Vec<_> = (0..3).map(|_| scope.spawn(|| here.recv(&mut [0; 8]))).collect();
        while !here.peek_lock().held(Mode::Read) {
            thread::yield_now();
        }
        here.close().expect("the first close");
        for receiver in receivers {
            let error = receiver.join().expect("no panic").expect_err("nobody sends");
            assert_eq!(Reason::of(&error), Some(Reason::Closed), "{error}");
        }
    });
}

/// Follows Go's `net.TestUDPReadTimeout` and `net.TestReadFromTimeout`.
#[test]
fn a_receive_ends_at_its_deadline() {
    let _undisturbed = undisturbed();
    let (poller, here, there) = two();
    for delay in [0, 1, 3] {
        let deadline = poller.now().saturating_add(Duration::from_millis(delay));
        here.set_read_deadline(Some(deadline)).expect("open");
        let error = here.recv_from(&mut [0; 8]).expect_err("nobody sends");
        assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{error}");
        assert!(poller.now() >= deadline, "too early");
    }
    there.send_to(b"x", here.local_addr().expect("bound")).expect("room");
    here.set_read_deadline(None).expect("open");
    assert_eq!(here.recv(&mut [0; 8]).expect("a message"), 1);
}

#[test]
fn options_are_set_and_read_back() {
    let _undisturbed = undisturbed();
    let (_poller, here, _there) = two();
    assert!(!here.broadcast().expect("open"));
    let to = SocketAddr::from((Ipv4Addr::BROADCAST, 9));
    let error = here.try_send_to(b"x", to).expect_err("a broadcast that nobody has allowed");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    here.set_broadcast(true).expect("open");
    assert!(here.broadcast().expect("open"));
    here.set_ttl(7).expect("open");
    assert_eq!(here.ttl().expect("open"), 7);
    assert_eq!(here.set_ttl(256).expect_err("too many").kind(), ErrorKind::InvalidInput);
    assert!(here.multicast_loop_v4().expect("open"));
    here.set_multicast_loop_v4(false).expect("open");
    assert!(!here.multicast_loop_v4().expect("open"));
    here.set_multicast_ttl_v4(3).expect("open");
    assert_eq!(here.multicast_ttl_v4().expect("open"), 3);
    here.set_recv_buffer_size(10_000).expect("open");
    assert!(here.recv_buffer_size().expect("open") >= 10_000);
    here.set_send_buffer_size(10_000).expect("open");
    assert!(here.send_buffer_size().expect("open") >= 10_000);
    here.close().expect("the first close");
    let error = here.set_ttl(1).expect_err("closed");
    assert_eq!(Reason::of(&error), Some(Reason::Closed), "{error}");
}

#[test]
fn a_group_is_joined_and_left() {
    let _undisturbed = undisturbed();
    let (poller, here, _there) = two();
    let group = Ipv4Addr::new(239, 255, 77, 7);
    let member = UdpSocket::bind_on(&poller, (Ipv4Addr::UNSPECIFIED, 0).into()).expect("a port");
    member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).expect("the loopback has groups");
    let twice = member.join_multicast_v4(group, Ipv4Addr::LOCALHOST).expect_err("it is one");
    assert_eq!(twice.kind(), ErrorKind::AddrInUse, "{twice}");
    let to = SocketAddr::from((group, member.local_addr().expect("bound").port()));
    // Out by the loopback, because its sender is bound to that.
    here.send_to(b"all", to).expect("room");
    let mut buffer = [0; 8];
    assert_eq!(member.recv(&mut buffer).expect("a message"), 3);
    member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).expect("a member");
    here.send_to(b"all", to).expect("room");
    let none = member.try_recv(&mut buffer).expect_err("not a member any more");
    assert_eq!(none.kind(), ErrorKind::WouldBlock, "{none}");
    let no_group = member.join_multicast_v4(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
    assert_eq!(no_group.expect_err("no group").kind(), ErrorKind::InvalidInput);
}

#[test]
fn sockets_of_the_standard_library_become_ours_and_go_back() {
    let _undisturbed = undisturbed();
    let (poller, here, _there) = two();
    let theirs = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let to = theirs.local_addr().expect("bound");
    let ours = UdpSocket::from_std_on(&poller, theirs).expect("adopted");
    thread::scope(|scope| {
        let receiver = scope.spawn(|| ours.recv(&mut [0; 8]));
        here.send_to(b"hello", to).expect("room");
        assert_eq!(receiver.join().expect("no panic").expect("a message"), 5);
    });
    here.send_to(b"later", to).expect("room");
    let theirs = ours.into_std().expect("open");
    theirs.set_nonblocking(false).expect("open");
    assert_eq!(theirs.recv(&mut [0; 8]).expect("a message"), 5);
    let (one, other) = std::os::unix::net::UnixDatagram::pair().expect("a pair");
    let one = UnixDatagram::from_std_on(&poller, one).expect("adopted");
    one.send(b"x").expect("room");
    assert_eq!(other.recv(&mut [0; 8]).expect("a message"), 1);
}

/// Whoever is not connected to a full receiver is told nothing, and every refusal reports the sender itself:
/// tasks that waited for such a report would park and be woken without end (Go #23604).
#[test]
fn a_sender_whose_receiver_is_full_parks_once_for_each_pause() {
    let _undisturbed = undisturbed();
    const PAUSES: u64 = 8;
    driven(1, |poller: &netpoller::poller::Poller<Counted>| {
        let name = format!("\0netpoller-full-{}-{:p}", std::process::id(), poller);
        let receiver = AnyUnixDatagram::bind_on(poller, &name).expect("a name");
        let sender = AnyUnixDatagram::unbound_on(poller).expect("a socket");
        let mut sent = 0;
        while sender.try_send_to(b"f", &name).is_ok() {
            sent += 1;
        }
        let ledger = poller.system().ledger();
        let parked = || ledger.get(|ledger| &ledger.parked);
        let expired = || ledger.get(|ledger| &ledger.expired);
        let before = (parked(), expired());
        thread::scope(|scope| {
            let sending = scope.spawn(|| sender.send_to(b"x", &name));
            while expired() < before.1 + PAUSES {
                thread::yield_now();
            }
            for _ in 0..sent {
                receiver.recv(&mut [0]).expect("a message");
            }
            assert_eq!(sending.join().expect("no panic").expect("there is room"), 1);
        });
        assert_eq!(receiver.recv(&mut [0]).expect("the last one"), 1);
        // For each pause: in the timer, in the slot, and in the slot once more after the report of the
        // refusal; and there after the report of each message that was received.
        let (pauses, parks) = (expired() - before.1, parked() - before.0);
        let most = 3 * (pauses + 1) + sent;
        assert!(parks <= most, "{parks} parks in {pauses} pauses, at most {most}: it spins");
        sender.close().expect("the first close");
        receiver.close().expect("the first close");
    });
}
