//! Edges: what was there before, what comes later, and what a wait consumes.

use super::hand::{
    Task, Watch, done, fill, kernel, kind, pending, pipe, poll, put, reading, register, settle,
    stream, take, writing,
};
use super::host::Host;
use netpoller::Mode;
use netpoller::poller::Poller;
use netpoller::seam::Kernel;
use netpoller_spec::slot::State;
use std::io::{ErrorKind, Read, Write};

pub(super) fn data_before_registration_is_reported<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = kernel(poller).pipe().expect("a pipe");
    kernel(poller).write(&writer, b"x").expect("room");
    let reader = register(poller, reader);
    let watch = Watch::new();
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    pending("a wait before the first poll", watch.poll(&mut waiter));
    assert_eq!((poll(poller), watch.wakes()), (1, 1), "the byte that was there was not reported");
    done("the wait", watch.poll(&mut waiter));
    assert_eq!(take(&reader), b"x");
}

pub(super) fn room_before_registration_is_reported<S: Host>(poller: &Poller<S>) {
    let (_reader, writer) = poller.pipe().expect("a pipe");
    let watch = Watch::new();
    let mut waiter = writer.waiter(Mode::Write).expect("nobody else waits");
    pending("a wait before the first poll", watch.poll(&mut waiter));
    assert_eq!((poll(poller), watch.wakes()), (1, 1), "the room that was there was not reported");
    done("the wait", watch.poll(&mut waiter));
}

pub(super) fn an_edge_wakes_the_parked_reader<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    assert_eq!(poll(poller), 0, "a wake without an edge");
    put(&writer, b'x');
    assert_eq!(task.wakes(), 0, "woken before the poll");
    assert_eq!((poll(poller), task.wakes()), (1, 1), "the edge did not wake the reader");
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn data_that_is_there_is_read_without_a_poll<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    let mut task = reading(&reader);
    assert_eq!(done("a read of data that is there", task.poll()), b"x");
    assert_eq!(poll(poller), 0, "somebody was left waiting");
}

pub(super) fn data_after_eagain_is_a_new_edge<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let watch = Watch::new();
    let mut waiter = watch.park(&reader, Mode::Read);
    for (round, byte) in (1..).zip([b'a', b'b']) {
        put(&writer, byte);
        assert_eq!((poll(poller), watch.wakes()), (1, round), "no edge in round {round}");
        done("the wait", watch.poll(&mut waiter));
        assert_eq!(take(&reader), [byte], "take ends with EAGAIN");
        pending("a wait after EAGAIN", watch.poll(&mut waiter));
        assert_eq!(poll(poller), 0, "a wake without an edge");
    }
}

pub(super) fn data_while_unread_is_an_edge_again<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = stream(poller);
    put(&writer, b'a');
    assert_eq!(poll(poller), 0);
    let watch = Watch::new();
    let mut waiter = watch.park(&reader, Mode::Read);
    assert_eq!(poll(poller), 0, "what was reported and not read was reported again");
    put(&writer, b'b');
    assert_eq!((poll(poller), watch.wakes()), (1, 1), "more data was no edge");
    done("the wait", watch.poll(&mut waiter));
    assert_eq!(take(&reader), b"ab");
}

pub(super) fn an_edge_after_the_reset_is_kept<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let watch = Watch::new();
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    waiter.prepare().expect("open");
    assert_eq!(kind(reader.try_read(&mut [0])), ErrorKind::WouldBlock);
    put(&writer, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    done("the wait, whose edge came after EAGAIN", watch.poll(&mut waiter));
    assert_eq!(take(&reader), b"x");
}

pub(super) fn an_edge_before_the_reset_is_covered_by_the_call<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    let watch = Watch::new();
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    waiter.prepare().expect("open");
    assert_eq!(take(&reader), b"x");
    pending("the wait: the readiness was that of the byte just read", watch.poll(&mut waiter));
}

pub(super) fn a_wait_consumes_readiness_once<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    let watch = Watch::new();
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    done("the wait for pending readiness", watch.poll(&mut waiter));
    assert!(!watch.is_held(), "a wait that did not park left its waker");
    pending("the wait after it", watch.poll(&mut waiter));
    assert!(watch.is_held(), "a wait that parked left no waker");
}

pub(super) fn edges_before_a_wait_are_one<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    for byte in [b'a', b'b'] {
        put(&writer, byte);
        assert_eq!(poll(poller), 0, "nobody is parked");
    }
    let watch = Watch::new();
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    done("the wait for two edges", watch.poll(&mut waiter));
    pending("the wait after it", watch.poll(&mut waiter));
    assert_eq!(take(&reader), b"ab");
}

pub(super) fn a_blocking_wait_takes_pending_readiness<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    assert_eq!(poll(poller), 0, "nobody is parked");
    // Looked at from outside, so that a failure is told instead of slept through.
    let (entries, _flag) = poller.peek();
    assert_eq!(entries[0].1.slots[0].state(), State::Ready, "the wait would sleep");
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    waiter.wait().expect("ready");
    drop(waiter);
    let mut byte = [0];
    (&reader).read_exact(&mut byte).expect("the byte is there");
    assert_eq!(byte, *b"x");
    (&writer).write_all(b"y").expect("room");
    assert_eq!(take(&reader), b"y");
}

pub(super) fn a_full_pipe_is_writable_again_once_drained<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    full_then_drained(poller, &reader, &writer);
}

pub(super) fn a_full_stream_is_writable_again_once_drained<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = stream(poller);
    full_then_drained(poller, &reader, &writer);
}

fn full_then_drained<S: Host>(
    poller: &Poller<S>,
    reader: &netpoller::source::Source<S>,
    writer: &netpoller::source::Source<S>,
) {
    for round in 1..=2 {
        fill(writer);
        let mut task = writing(writer);
        pending("a write without room", task.poll());
        assert_eq!(poll(poller), 0, "round {round}: woken without room");
        take(reader);
        assert_eq!((poll(poller), task.wakes()), (1, 1), "round {round}: room was no edge");
        assert_eq!(done("the write", task.poll()), 1);
        drop(task);
        assert_eq!(take(reader), b"w");
    }
}

pub(super) fn reader_and_writer_wait_independently<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    fill(&here);
    let (mut read, mut write) = (reading(&here), writing(&here));
    pending("the read", read.poll());
    pending("the write", write.poll());
    put(&there, b'x');
    assert_eq!((poll(poller), read.wakes(), write.wakes()), (1, 1, 0), "data is the reader's");
    pending("the write, though the read was woken", write.poll());
    assert_eq!(done("the read", read.poll()), b"x");
    let mut read = reading(&here);
    pending("the second read", read.poll());
    take(&there);
    assert_eq!((poll(poller), read.wakes(), write.wakes()), (1, 0, 1), "room is the writer's");
    assert_eq!(done("the write", write.poll()), 1);
    pending("the second read, though the write was woken", read.poll());
}

pub(super) fn an_edge_concerns_its_own_descriptor_only<S: Host>(poller: &Poller<S>) {
    let [(first, _one), (second, two)] = [pipe(poller), pipe(poller)];
    let (mut read_first, mut read_second) = (reading(&first), reading(&second));
    pending("the read of the first", read_first.poll());
    pending("the read of the second", read_second.poll());
    put(&two, b'x');
    assert_eq!((poll(poller), read_first.wakes(), read_second.wakes()), (1, 0, 1));
    pending("the read of the first", read_first.poll());
    assert_eq!(done("the read of the second", read_second.poll()), b"x");
}

pub(super) fn a_wake_whose_data_is_gone_waits_again<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = kernel(poller).pipe().expect("a pipe");
    let thief = kernel(poller).dup(&reader).expect("a duplicate");
    let (reader, writer) = (register(poller, reader), register(poller, writer));
    settle(poller);
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    put(&writer, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    assert_eq!(kernel(poller).read(&thief, &mut [0]).expect("the byte"), 1);
    pending("a read whose data somebody else has taken", task.poll());
    put(&writer, b'y');
    assert_eq!((poll(poller), task.wakes()), (1, 2), "the second edge was lost");
    assert_eq!(done("the read", task.poll()), b"y");
}

pub(super) fn nothing_is_transferred_at_once<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    fill(&here);
    let mut read = Task::new(here.async_read(&mut []));
    assert_eq!(done("a read of nothing, without data", read.poll()), 0);
    let mut write = Task::new(here.async_write(&[]));
    assert_eq!(done("a write of nothing, without room", write.poll()), 0);
    assert_eq!((&here).read(&mut []).expect("nothing to wait for"), 0);
    assert_eq!((&here).write(&[]).expect("nothing to wait for"), 0);
}
