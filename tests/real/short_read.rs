//! Reads after a short one: what Linux leaves behind a short read without an edge is read, and what is believed to
//! be empty is waited for (SPEC.md, section 19).
//!
//! Where it matters each test is done twice: the report is harvested before the short read, and after it.

use crate::backend::{KERNEL, Poller, Ready, Source, TcpListener, TcpStream};
use netpoller::Mode;
use netpoller::seam::os::Descriptor;
use netpoller::seam::{Address, Kernel, Kind};
use netpoller_tests::in_child;
use netpoller_tests::skip::skip;
use netpoller_tests::sys::{self, stopping};
use netpoller_tests::tasks::Wakes;
use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::net;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn poller() -> Poller {
    Poller::new().expect("a poller")
}

/// Harvests what there is.
fn look(poller: &Poller) {
    let mut ready = Ready::new();
    poller.poll(&mut ready, Some(Duration::ZERO)).expect("a poll");
    ready.wake_all();
}

/// What a read with plenty of room finds of what is there already, by a future. One that sleeps has to be woken by
/// what there is to harvest.
fn find(poller: &Poller, source: &Source) -> Vec<u8> {
    let mut read = pin!(async {
        let mut room = [0; 64];
        let count = source.async_read(&mut room).await.expect("no error");
        room[..count].to_vec()
    });
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    for woken in 0..8 {
        match read.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(found) => return found,
            Poll::Pending => look(poller),
        }
        assert!(wakes.count() > woken, "a read sleeps beside what is there: {source:?}");
    }
    panic!("woken again and again, and nothing is there: {source:?}");
}

/// A stream that was accepted here, and its peer.
fn accepted(poller: &Poller) -> (TcpStream, net::TcpStream) {
    let listener = listener(poller);
    let peer = net::TcpStream::connect(listener.local_addr().expect("bound")).expect("a peer");
    let (ours, _from) = listener.accept().expect("the connection");
    (ours, peer)
}

fn listener(poller: &Poller) -> TcpListener {
    let anywhere = "127.0.0.1:0".parse().expect("an address");
    TcpListener::bind_on(poller, anywhere).expect("a port")
}

/// The same after a short read.
fn drained(poller: &Poller) -> (TcpStream, net::TcpStream) {
    let (ours, mut peer) = accepted(poller);
    peer.write_all(b"0").expect("room");
    arrived(&peer);
    look(poller);
    assert_eq!(find(poller, &ours), b"0");
    assert!(ours.peek_lock().drained(), "a short read of our own stream is believed: {ours:?}");
    (ours, peer)
}

/// Waits until all that was sent has arrived, the end included.
fn arrived(peer: &net::TcpStream) {
    while stopping::unacknowledged(peer).expect("a socket") > 0 {
        std::thread::yield_now();
    }
}

fn adopted(poller: &Poller, fd: impl Into<OwnedFd>) -> Source {
    poller.adopt(fd.into().into()).expect("a descriptor that has readiness")
}

/// Two pieces that no read takes together.
fn two_pieces(poller: &Poller, source: &Source, between: bool) {
    if between {
        look(poller);
    }
    assert_eq!(find(poller, source), b"a", "report first: {between}");
    assert_eq!(find(poller, source), b"b", "report first: {between}");
}

#[test]
fn an_urgent_byte_in_the_middle_of_a_tcp_stream_hides_nothing() {
    // NP-READ-2, NP-READ-6
    for between in [true, false] {
        let poller = poller();
        let (ours, mut peer) = drained(&poller);
        peer.write_all(b"a").expect("room");
        sys::send_urgent(&peer, b'!').expect("an urgent byte");
        peer.write_all(b"b").expect("room");
        arrived(&peer);
        two_pieces(&poller, &ours, between);
        // And again: nothing is believed any more.
        peer.write_all(b"c").expect("room");
        arrived(&peer);
        assert_eq!(find(&poller, &ours), b"c");
    }
}

#[test]
fn a_descriptor_that_is_sent_along_on_a_unix_stream_hides_nothing() {
    // NP-READ-1
    for between in [true, false] {
        let poller = poller();
        let (ours, mut peer) = UnixStream::pair().expect("a pair");
        let ours = adopted(&poller, ours);
        let file = File::open("/dev/null").expect("a file");
        sys::send_descriptor(&peer, b'a', &file).expect("a byte and a descriptor");
        peer.write_all(b"b").expect("room");
        two_pieces(&poller, &ours, between);
    }
}

#[test]
fn credentials_of_two_writers_hide_nothing() {
    // NP-READ-1
    in_child("short_read::credentials_of_two_writers_hide_nothing", || {
        for between in [true, false] {
            let poller = poller();
            let (ours, mut peer) = UnixStream::pair().expect("a pair");
            stopping::pass_credentials(&ours).expect("a Unix socket");
            let ours = adopted(&poller, ours);
            peer.write_all(b"a").expect("room");
            let other = sys::in_fork(|| (&peer).write_all(b"b").expect("room"));
            assert!(other.expect("a child"), "the child has written nothing");
            two_pieces(&poller, &ours, between);
        }
    });
}

#[test]
fn an_urgent_byte_on_a_unix_stream_hides_nothing() {
    // NP-READ-1
    for between in [true, false] {
        let poller = poller();
        let (ours, mut peer) = UnixStream::pair().expect("a pair");
        let ours = adopted(&poller, ours);
        peer.write_all(b"a").expect("room");
        if let Err(error) = sys::send_urgent(&peer, b'!') {
            return skip("unix-urgent", &format!("urgent data on Unix sockets: {error}"));
        }
        peer.write_all(b"b").expect("room");
        two_pieces(&poller, &ours, between);
    }
}

#[test]
fn packets_of_a_pipe_hide_nothing() {
    // NP-READ-1
    for between in [true, false] {
        let poller = poller();
        let (ours, peer) = stopping::packet_pipe().expect("a pipe");
        let (ours, mut peer) = (adopted(&poller, ours), File::from(peer));
        peer.write_all(b"a").expect("room");
        peer.write_all(b"b").expect("room");
        two_pieces(&poller, &ours, between);
    }
}

#[test]
fn lines_of_a_terminal_hide_nothing() {
    // NP-READ-1
    let poller = poller();
    let (master, slave) = sys::pty().expect("a terminal");
    let (ours, mut peer) = (adopted(&poller, slave), File::from(master));
    peer.write_all(b"a\nb\n").expect("room");
    // The terminal passes them on in its own time, so these wait for as long as that takes.
    for line in [b"a\n", b"b\n"] {
        let mut room = [0; 64];
        let count = (&ours).read(&mut room).expect("a line");
        assert_eq!(&room[..count], line);
    }
}

#[test]
fn the_end_that_comes_with_the_last_bytes_is_found() {
    // NP-READ-2
    for between in [true, false] {
        for closes in [true, false] {
            let poller = poller();
            let (ours, mut peer) = drained(&poller);
            peer.write_all(b"a").expect("room");
            peer.shutdown(net::Shutdown::Write).expect("connected");
            arrived(&peer);
            let peer = if closes { None } else { Some(peer) };
            if between {
                look(&poller);
            }
            assert_eq!(find(&poller, &ours), b"a", "{between} {closes}");
            assert_eq!(find(&poller, &ours), b"", "{between} {closes}");
            assert_eq!(find(&poller, &ours), b"", "the end, once more");
            drop(peer);
        }
    }
}

#[test]
fn a_reset_behind_the_last_bytes_is_found() {
    // NP-READ-2
    let poller = poller();
    let (ours, mut peer) = drained(&poller);
    peer.write_all(b"a").expect("room");
    arrived(&peer);
    sys::reset_on_close(&peer).expect("a socket");
    drop(peer);
    // However the byte and the reset are reported: these wait for as long as that takes.
    let mut room = [0; 64];
    let first = (&ours).read(&mut room);
    if let Ok(count) = first {
        assert_eq!(&room[..count], b"a");
        let error = (&ours).read(&mut room).expect_err("it was reset");
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
}

#[test]
fn a_number_that_is_handed_out_ends_the_belief() {
    // NP-READ-1: fewer bytes than this make no edge.
    let poller = poller();
    let (ours, mut peer) = drained(&poller);
    {
        let number = ours.fd().expect("open");
        stopping::report_no_less_than(number.as_fd(), 16).expect("a socket");
    }
    for bytes in [b"abcd", b"efgh"] {
        peer.write_all(bytes).expect("room");
        arrived(&peer);
        assert_eq!(find(&poller, &ours), bytes);
    }
}

#[test]
fn what_was_done_to_a_listener_is_done_to_its_connections() {
    // NP-READ-1
    let poller = poller();
    let listener = listener(&poller);
    let there = listener.local_addr().expect("bound");
    {
        let number = listener.fd().expect("open");
        stopping::report_no_less_than(number.as_fd(), 16).expect("a socket");
    }
    let mut peer = net::TcpStream::connect(there).expect("a peer");
    let (ours, _from) = listener.accept().expect("the connection");
    for bytes in [b"abcd", b"efgh"] {
        peer.write_all(bytes).expect("room");
        arrived(&peer);
        assert_eq!(find(&poller, &ours), bytes);
        assert!(!ours.peek_lock().drained(), "{ours:?}");
    }
}

#[test]
fn what_is_tcp_and_what_is_not() {
    // NP-READ-1
    let anywhere = Address::Inet("127.0.0.1:0".parse().expect("an address"));
    let made = |address: &Address, kind| KERNEL.socket(address, kind).expect("a socket");
    assert!(KERNEL.is_plain_tcp(&made(&anywhere, Kind::Stream)), "TCP");
    let v6 = Address::Inet("[::1]:0".parse().expect("an address"));
    assert!(KERNEL.is_plain_tcp(&made(&v6, Kind::Stream)), "TCP over IPv6");
    assert!(!KERNEL.is_plain_tcp(&made(&anywhere, Kind::Datagram)), "UDP");
    assert!(!KERNEL.is_plain_tcp(&made(&Address::Unnamed, Kind::Stream)), "a Unix stream");
    let (pipe, _) = KERNEL.pipe().expect("a pipe");
    assert!(!KERNEL.is_plain_tcp(&pipe), "a pipe");
    match stopping::mptcp_socket() {
        Ok(socket) => assert!(!KERNEL.is_plain_tcp(&Descriptor::from(socket)), "MPTCP"),
        Err(error) => skip("mptcp", &format!("a socket of MPTCP: {error}")),
    }
}

#[test]
fn what_says_that_nothing_is_left_and_what_does_not() {
    // NP-READ-1, NP-READ-3, NP-READ-4
    let poller = poller();
    let (ours, mut peer) = drained(&poller);
    let mut send = |bytes: &[u8]| {
        peer.write_all(bytes).expect("room");
        arrived(&peer);
        look(&poller);
    };
    let says = || ours.peek_lock().drained();
    send(b"abcd");
    let mut room = [0; 2];
    assert_eq!((&*ours).read(&mut room).expect("two bytes"), 2);
    assert!(!says(), "a full buffer says nothing");
    assert_eq!(ours.peek(&mut [0; 8]).expect("a look"), 2);
    assert!(!says(), "a look takes nothing");
    assert_eq!((&*ours).read(&mut room).expect("two bytes"), 2);
    assert!(!says(), "a full buffer says nothing, though nothing is left");
    send(b"abcd");
    let mut pieces = [[0; 3], [0; 3]];
    let mut buffers = pieces.each_mut().map(|piece| IoSliceMut::new(piece));
    assert_eq!((&*ours).read_vectored(&mut buffers).expect("four bytes"), 4);
    assert!(says(), "six bytes of room and four bytes");
    drop(ours.waiter(Mode::Read).expect("nobody reads"));
    assert!(!says(), "somebody has had the right meanwhile");
    send(b"abcd");
    assert_eq!(ours.try_read(&mut [0; 8]).expect("four bytes"), 4);
    assert!(!says(), "a read without the right says nothing");
    // A stream that has connected here, and two that were made elsewhere.
    let listener = listener(&poller);
    let there = listener.local_addr().expect("bound");
    let connected = TcpStream::connect_on(&poller, there).expect("a connection");
    let (other, _from) = listener.accept().expect("the connection");
    (&*other).write_all(b"x").expect("room");
    assert_eq!((&*connected).read(&mut [0; 8]).expect("a byte"), 1);
    assert!(connected.peek_lock().drained(), "one that has connected here");
    let (stream, mut peer) = accepted(&poller);
    let again = stream.into_source().into_fd().expect("open");
    let again = poller.register(again).expect("room");
    peer.write_all(b"x").expect("room");
    assert_eq!((&again).read(&mut [0; 8]).expect("a byte"), 1);
    assert!(!again.peek_lock().drained(), "nobody knows where that has been");
}

#[test]
fn more_buffers_than_the_kernel_takes_hide_nothing() {
    // NP-READ-3
    const SENT: usize = 1030;
    let poller = poller();
    let (ours, mut peer) = drained(&poller);
    peer.write_all(&[7; SENT]).expect("room");
    arrived(&peer);
    look(&poller);
    let mut pieces = [[0; 1]; SENT];
    let mut buffers: Vec<_> = pieces.iter_mut().map(|piece| IoSliceMut::new(piece)).collect();
    let first = (&*ours).read_vectored(&mut buffers).expect("some of them");
    assert!(first < SENT, "the kernel takes as many buffers as that: the test is void");
    assert_eq!(find(&poller, &ours).len(), SENT - first);
}
