//! Calls that not every kind of descriptor has, and descriptors that were made elsewhere.

use super::hand::{Task, done, kernel, kind, pending, pipe, poll, put, reading, refused, stream};
use super::host::Host;
use netpoller::net::UnixStream;
use netpoller::poller::Poller;
use netpoller::seam::Kernel;
use netpoller::{Mode, Reason};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::task::Poll;

pub(super) fn several_buffers_are_read_and_written<S: Host>(poller: &Poller<S>) {
    for (reader, writer) in [pipe(poller), stream(poller)] {
        let (mut one, mut other) = ([0; 1], [0; 4]);
        let mut buffers =
            [IoSliceMut::new(&mut one), IoSliceMut::new(&mut []), IoSliceMut::new(&mut other)];
        let mut read = Task::new(reader.async_read_vectored(&mut buffers));
        pending("a read", read.poll());
        let pieces = [IoSlice::new(b""), IoSlice::new(b"a"), IoSlice::new(b"b")];
        let written = Task::new(writer.async_write_vectored(&pieces)).poll();
        let written = done("a write", written);
        assert!(written > 0, "there was room");
        assert_eq!(poll(poller), 1, "the reader waits");
        assert_eq!(done("the read", read.poll()), written);
        drop(read);
        assert_eq!((one, other[0]), (*b"a", if written == 2 { b'b' } else { 0 }));
        let empty = [IoSlice::new(b""); 2];
        assert_eq!((&writer).write_vectored(&empty).expect("nothing to wait for"), 0);
        let nothing = &mut [IoSliceMut::new(&mut [])];
        assert_eq!((&reader).read_vectored(nothing).expect("nothing to wait for"), 0);
    }
}

pub(super) fn what_was_peeked_at_is_read_again<S: Host>(poller: &Poller<S>) {
    let (here, there) = UnixStream::pair_on(poller).expect("a pair");
    poll(poller);
    let mut ahead = [0; 4];
    let mut peek = Task::new(here.async_peek(&mut ahead));
    pending("a look ahead", peek.poll());
    put(&there, b'x');
    assert_eq!(poll(poller), 1, "data wakes whoever looks ahead");
    assert_eq!(done("the look ahead", peek.poll()), 1);
    drop(peek);
    assert_eq!(here.peek(&mut ahead).expect("data"), 1, "the blocking form");
    assert_eq!(done("the read", reading(&here).poll()), b"x");
    drop(there);
    assert_eq!(here.peek(&mut ahead).expect("the end"), 0);
    assert_eq!(here.peek(&mut []).expect("nothing to wait for"), 0);
}

pub(super) fn a_regular_file_is_adopted_in_blocking_mode<S: Host>(poller: &Poller<S>) {
    let file = poller.system().regular_file().expect("a file");
    let before = kernel(poller).nonblocking(&file).expect("it is open");
    let source = poller.adopt(file).expect("adopted");
    let read = (&source).read(&mut [0; 4]).expect("a file has no wait");
    assert!(read <= 4);
    done("an async read", reading(&source).poll());
    let mut waiter = source.waiter(Mode::Read).expect("nobody else waits");
    refused("a preparation", Poll::Ready(waiter.prepare()), Reason::NotPollable);
    refused("a wait", Poll::Ready(waiter.wait()), Reason::NotPollable);
    drop(waiter);
    assert_eq!(poll(poller), 0, "nothing is registered");
    let file = source.into_fd().expect("it is open");
    let after = kernel(poller).nonblocking(&file).expect("it is open");
    assert_eq!(before, after, "the mode of the file was changed");
}

pub(super) fn a_close_in_blocking_mode_waits_for_nobody<S: Host>(poller: &Poller<S>) {
    let file = poller.system().regular_file().expect("a file");
    let source = poller.adopt(file).expect("adopted");
    let inside = source.fd().expect("it is open");
    // Not the blocking form: it would hang where this one is pending.
    done("the first close, with somebody inside", Task::new(source.async_close()).poll());
    refused("a read", reading(&source).poll(), Reason::Closed);
    assert!(!source.peek_lock().destroyed(), "closed under its user");
    drop(inside);
    assert!(source.peek_lock().destroyed(), "the last user has closed nothing");
}

pub(super) fn what_is_shared_is_adopted_in_the_mode_that_it_has<S: Host>(poller: &Poller<S>) {
    for blocks in [true, false] {
        let (reader, writer) = kernel(poller).pipe().expect("a pipe");
        kernel(poller).set_nonblocking(&reader, !blocks).expect("it is open");
        // What the shell has, say.
        let shared = kernel(poller).dup(&reader).expect("a duplicate");
        let source = poller.adopt_unchanged(reader).expect("adopted");
        poll(poller);
        assert_eq!(kernel(poller).nonblocking(&shared).expect("open"), !blocks, "it was changed");
        kernel(poller).write(&writer, b"x").expect("room");
        assert_eq!(done("the read", reading(&source).poll()), b"x");
        let mut waiter = source.waiter(Mode::Read).expect("nobody else waits");
        let prepared = Poll::Ready(waiter.prepare());
        if blocks {
            refused("a preparation in blocking mode", prepared, Reason::NotPollable);
        } else {
            done("a preparation", prepared);
        }
        drop(waiter);
        drop(source);
        assert_eq!(kernel(poller).nonblocking(&shared).expect("open"), !blocks, "it was changed");
    }
}

pub(super) fn what_has_readiness_is_adopted_and_polled<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = kernel(poller).pipe().expect("a pipe");
    kernel(poller).set_nonblocking(&reader, false).expect("it is open");
    let reader = poller.adopt(reader).expect("adopted");
    poll(poller);
    let mut read = reading(&reader);
    pending("the read", read.poll());
    kernel(poller).write(&writer, b"x").expect("room");
    assert_eq!((poll(poller), read.wakes()), (1, 1));
    assert_eq!(done("the read", read.poll()), b"x");
    drop(read);
    assert_eq!(kind(reader.try_read(&mut [0])), ErrorKind::WouldBlock, "it was made non-blocking");
    drop(reader.fd().expect("it is open"));
    let reader = reader.into_fd().expect("it is open");
    let nonblocking = kernel(poller).nonblocking(&reader).expect("it is open");
    assert!(nonblocking, "whoever was lent the number finds it blocking, and so does a reader");
}
