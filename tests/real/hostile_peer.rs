//! What a peer can send, and what comes of it: the claims of SECURITY.md that are about the kernel.
//!
//! A peer decides when bytes come, how many, of what kind, and how the connection ends. None of that
//! may reach another descriptor, put a task to sleep for ever, or keep a poller busy that has nothing to do.

use netpoller::{Mode, Poller, Ready, Source};
use netpoller_tests::{in_child, sys};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn adopted(poller: &Poller, fd: impl Into<OwnedFd>) -> Source {
    poller.adopt(fd.into().into()).expect("a descriptor that has readiness")
}

/// A connection over TCP: our end, and the peer.
fn connection(poller: &Poller) -> (Source, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let peer = TcpStream::connect(listener.local_addr().expect("its address")).expect("a peer");
    let (ours, _) = listener.accept().expect("the connection");
    (adopted(poller, ours), peer)
}

fn drain(source: &Source) {
    while source.try_read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
}

#[test]
fn a_reset_ends_both_waits_with_an_error_and_keeps_no_poller_busy() {
    // NP-EVT-2
    let poller = Poller::new().expect("a poller");
    let (ours, peer) = connection(&poller);
    let mut ready = Ready::new();
    poller.poll(&mut ready, AT_ONCE).expect("what was true when it was registered");
    (&ours).write_all(b"x").expect("room");
    let mut reader = ours.waiter(Mode::Read).expect("the right to read");
    reader.prepare().expect("it is open");
    let mut look = || reader.poll_wait(&mut Context::from_waker(Waker::noop()));
    assert!(look().is_pending(), "there was something to read");

    drop(peer); // with a byte that it has not read: TCP resets the connection
    while look().is_pending() {
        poller.poll(&mut ready, None).expect("a poll that blocks until the reset is there");
    }
    drop(reader);
    let error = (&ours).read(&mut [0; 8]).expect_err("it was reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    let error = (&ours).write_all(b"x").expect_err("it was reset");
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    poller.poll(&mut ready, AT_ONCE).expect("a poll");
    let events = poller.stats().events;
    for _ in 0..3 {
        poller.poll(&mut ready, AT_ONCE).expect("a poll");
    }
    assert_eq!(poller.stats().events, events, "what was told is told again");
}

#[test]
fn an_urgent_byte_is_no_data_and_does_not_hide_any() {
    // NP-EVT-1
    let poller = Poller::new().expect("a poller");
    let (ours, mut peer) = connection(&poller);
    for round in 0..3 {
        sys::send_urgent(&peer, b'!').expect("an urgent byte");
        peer.write_all(b"n").expect("an ordinary one");
        let mut buffer = [0; 8];
        let count = (&ours).read(&mut buffer).expect("the ordinary byte");
        assert_eq!(&buffer[..count], b"n", "round {round}");
    }
}

#[test]
fn a_descriptor_that_is_passed_along_with_data_is_not_received() {
    in_child("a_descriptor_that_is_passed_along_with_data_is_not_received", || {
        let poller = Poller::new().expect("a poller");
        let (ours, peer) = UnixStream::pair().expect("a pair");
        let ours = adopted(&poller, ours);
        let (reader, writer) = sys::pipe().expect("a pipe");
        let reader = adopted(&poller, reader);
        let open = || (0..256).filter(|&number| sys::is_open(number)).count();
        let before = open();
        sys::send_descriptor(&peer, b'x', &writer).expect("a byte and a descriptor");
        let mut buffer = [0; 8];
        assert_eq!((&ours).read(&mut buffer).expect("the byte"), 1);
        assert_eq!(open(), before, "a descriptor came along");
        // Had it been kept anywhere, the pipe would still have somebody who writes.
        drop(writer);
        assert_eq!(reader.try_read(&mut buffer).expect("the end of the pipe"), 0);
    });
}

#[test]
fn an_empty_datagram_is_not_the_end() {
    let poller = Poller::new().expect("a poller");
    let (ours, peer) = UnixDatagram::pair().expect("a pair");
    let ours = adopted(&poller, ours);
    for round in 0..3 {
        let mut buffer = [0; 8];
        peer.send(b"").expect("an empty datagram");
        assert_eq!((&ours).read(&mut buffer).expect("it"), 0, "round {round}");
        peer.send(b"x").expect("another one");
        assert_eq!((&ours).read(&mut buffer).expect("it"), 1, "round {round}");
    }
}

#[test]
fn bytes_that_nobody_reads_are_reported_once() {
    // NP-SLOT-3: however many edges there were, one readiness.
    let poller = Poller::new().expect("a poller");
    let (ours, mut peer) = UnixStream::pair().expect("a pair");
    let ours = adopted(&poller, ours);
    let mut ready = Ready::new();
    poller.poll(&mut ready, AT_ONCE).expect("what was true when it was registered");
    for _ in 0..200 {
        peer.write_all(b"x").expect("room");
    }
    let events = poller.stats().events;
    for _ in 0..3 {
        poller.poll(&mut ready, AT_ONCE).expect("a poll");
    }
    assert_eq!(poller.stats().events, events + 1, "200 writes are one event, told once");
    drain(&ours);
    let mut reader = ours.waiter(Mode::Read).expect("the right to read");
    let look = reader.poll_wait(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(look, Poll::Ready(Ok(()))), "the readiness was kept: {look:?}");
}
