//! The own end of a descriptor: who is told, and of what.

use super::hand::{
    Task, Watch, done, failed, fill, kernel, kind, pending, pipe, poll, put, reading, refused,
    register, stream, take, writing,
};
use super::host::Host;
use netpoller::poller::Poller;
use netpoller::seam::{HowToShut, Kernel};
use netpoller::source::Source;
use netpoller::{Mode, Reason};
use std::io::{ErrorKind, Read, Write};
use std::task::Poll;

pub(super) fn close_wakes_reader_and_writer<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    fill(&here);
    let (mut read, mut write) = (reading(&here), writing(&here));
    pending("the read", read.poll());
    pending("the write", write.poll());
    here.close().expect("the first close");
    assert_eq!((read.wakes(), write.wakes()), (1, 1), "close does not need a poll to wake");
    refused("the read", read.poll(), Reason::Closed);
    refused("the write", write.poll(), Reason::Closed);
}

pub(super) fn closing_a_pipe_ends_the_read<S: Host>(poller: &Poller<S>) {
    let (reader, _writer) = pipe(poller);
    let mut task = reading(&reader);
    pending("the read", task.poll());
    reader.close().expect("the first close");
    assert_eq!(task.wakes(), 1);
    refused("the read", task.poll(), Reason::Closed);
}

pub(super) fn closing_a_pipe_ends_the_write<S: Host>(poller: &Poller<S>) {
    let (_reader, writer) = pipe(poller);
    fill(&writer);
    let mut task = writing(&writer);
    pending("the write", task.poll());
    writer.close().expect("the first close");
    assert_eq!(task.wakes(), 1);
    refused("the write", task.poll(), Reason::Closed);
}

pub(super) fn a_second_close_is_told<S: Host>(poller: &Poller<S>) {
    let (reader, _writer) = pipe(poller);
    reader.close().expect("the first close");
    for _ in 0..2 {
        let error = reader.close().expect_err("closed twice");
        assert_eq!(Reason::of(&error), Some(Reason::Closed), "{error}");
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    }
}

#[track_caller]
fn every_use_is_refused<S: Host>(source: &Source<S>) {
    refused("a read", reading(source).poll(), Reason::Closed);
    refused("a write", writing(source).poll(), Reason::Closed);
    refused("a blocking read", Poll::Ready({ source }.read(&mut [0])), Reason::Closed);
    refused("a blocking write", Poll::Ready({ source }.write(b"w")), Reason::Closed);
    refused("a read of nothing", Poll::Ready({ source }.read(&mut [])), Reason::Closed);
    refused("a write of nothing", Poll::Ready({ source }.write(b"")), Reason::Closed);
    for mode in Mode::BOTH {
        refused("a waiter", Poll::Ready(source.waiter(mode).map(drop)), Reason::Closed);
        refused("a turn", Task::new(source.async_waiter(mode)).poll().map_ok(drop), Reason::Closed);
    }
    refused("a shutdown", Poll::Ready(source.shutdown(HowToShut::Both)), Reason::Closed);
    refused("the number", Poll::Ready(source.fd().map(drop)), Reason::Closed);
    refused("a second close", Poll::Ready(source.close()), Reason::Closed);
    refused("a second close, async", Task::new(source.async_close()).poll(), Reason::Closed);
}

pub(super) fn every_use_after_close_is_told<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    let watch = Watch::new();
    let mut waiters = Mode::BOTH.map(|mode| here.waiter(mode).expect("nobody else waits"));
    here.close().expect("the first close");
    for waiter in &mut waiters {
        refused("a preparation", Poll::Ready(waiter.prepare()), Reason::Closed);
        refused("a wait", watch.poll(waiter), Reason::Closed);
        refused("a blocking wait", Poll::Ready(waiter.wait()), Reason::Closed);
    }
    assert!(!watch.is_held(), "a wait that was refused left its waker");
    every_use_is_refused(&here);
}

pub(super) fn closed_is_told_although_readiness_is_pending<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    put(&there, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    here.close().expect("the first close");
    every_use_is_refused(&here);
}

pub(super) fn closed_is_told_before_not_pollable<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    fill(&writer);
    drop(reader);
    assert_eq!(poll(poller), 0, "nobody is parked");
    refused("a read after an error alone", reading(&writer).poll(), Reason::NotPollable);
    writer.close().expect("the first close");
    every_use_is_refused(&writer);
}

pub(super) fn an_edge_after_close_revives_nothing<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let inside = here.fd().expect("it is open");
    let mut close = Task::new(here.async_close());
    pending("the close, with a user inside", close.poll());
    put(&there, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    every_use_is_refused(&here);
    drop(inside);
    done("the close", close.poll());
}

pub(super) fn an_edge_before_close_is_over_with_the_descriptor<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let watch = Watch::new();
    let mut waiter = watch.park(&here, Mode::Read);
    put(&there, b'x');
    assert_eq!((poll(poller), watch.wakes()), (1, 1));
    here.close().expect("the first close");
    assert_eq!(watch.wakes(), 1, "woken twice");
    refused("the wait: there is nothing to read any more", watch.poll(&mut waiter), Reason::Closed);
}

pub(super) fn the_number_is_closed_when_the_last_user_has_left<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut peer = reading(&reader);
    pending("the peer's read", peer.poll());
    let inside = [writer.fd().expect("it is open"), writer.fd().expect("twice")];
    let mut close = Task::new(writer.async_close());
    pending("the close, with two users inside", close.poll());
    let [one, other] = inside;
    drop(one);
    pending("the close, with a user inside", close.poll());
    assert_eq!((poll(poller), peer.wakes()), (0, 0), "the peer was told of the end too early");
    assert_eq!(close.wakes(), 0, "woken too early");
    drop(other);
    assert_eq!(close.wakes(), 1, "the last user wakes the closer");
    done("the close", close.poll());
    assert_eq!((poll(poller), peer.wakes()), (1, 1), "the number is still open");
    assert_eq!(done("the peer's read", peer.poll()), b"");
}

pub(super) fn a_close_returns_when_the_number_is_closed<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut read = reading(&reader);
    pending("the read", read.poll());
    // A future that sleeps, or was forgotten, delays nobody.
    reader.close().expect("the first close");
    assert_eq!(kind(writer.try_write(b"x")), ErrorKind::BrokenPipe, "the number is still open");
    refused("the read", read.poll(), Reason::Closed);
}

pub(super) fn a_close_that_is_dropped_goes_on<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let inside = reader.fd().expect("it is open");
    let mut close = Task::new(reader.async_close());
    pending("the close, with a user inside", close.poll());
    drop(close);
    refused("a second close", Poll::Ready(reader.close()), Reason::Closed);
    put(&writer, b'x');
    drop(inside);
    assert_eq!(kind(writer.try_write(b"x")), ErrorKind::BrokenPipe, "the number is still open");
}

pub(super) fn a_number_taken_back_is_open_and_unknown<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    let fd = reader.into_fd().expect("it is open");
    assert_eq!(poll(poller), 0, "it is still registered");
    let mut byte = [0];
    assert_eq!(kernel(poller).read(&fd, &mut byte).expect("it is open"), 1);
    let again = register(poller, fd);
    put(&writer, b'y');
    assert_eq!(done("a read through the new source", reading(&again).poll()), b"y");
}

pub(super) fn a_number_of_a_closed_source_is_not_taken_back<S: Host>(poller: &Poller<S>) {
    let (reader, _writer) = pipe(poller);
    reader.close().expect("the first close");
    refused("taking the number back", Poll::Ready(reader.into_fd()), Reason::Closed);
}

pub(super) fn dropping_a_source_is_its_close<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    drop(reader);
    assert_eq!(kind(writer.try_write(b"y")), ErrorKind::BrokenPipe, "the number is still open");
    let (entries, _flag) = poller.peek();
    let registered = entries.iter().filter(|(_, entry)| entry.info.closing()).count();
    assert_eq!(registered, 0, "an entry was left closing");
}

pub(super) fn dropping_a_reader_with_unread_data_resets_the_peer<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    put(&there, b'x');
    let (mut read, watch) = (reading(&there), Watch::new());
    pending("the peer's read", read.poll());
    let mut write = watch.park(&there, Mode::Write);
    drop(here);
    assert_eq!((poll(poller), read.wakes(), watch.wakes()), (2, 1, 1), "ERR and HUP concern both");
    let error = failed("the peer's read", read.poll());
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    drop(read);
    done("the peer's wait for room", watch.poll(&mut write));
    assert_eq!(kind(there.try_write(b"y")), ErrorKind::BrokenPipe);
    assert_eq!(take(&there), b"", "the error is told once, then comes the end");
}

pub(super) fn dropping_a_writer_leaves_the_data_to_the_reader<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    drop(writer);
    assert_eq!(done("the read of the rest", reading(&reader).poll()), b"x");
    assert_eq!(done("the read at the end", reading(&reader).poll()), b"");
}
