//! The end of the other side, directions that are shut, and errors.

use super::hand::{
    Watch, done, failed, fill, kind, pending, pipe, poll, put, reading, refused, stream, take,
    writing,
};
use super::host::Host;
use netpoller::poller::Poller;
use netpoller::source::Source;
use netpoller::{HowToShut, Mode, Reason};
use std::io::ErrorKind;
use std::task::Poll;

#[track_caller]
fn at_its_end<S: Host>(source: &Source<S>) {
    assert_eq!(source.try_read(&mut [0]).expect("the end of the stream"), 0);
}

pub(super) fn a_pipe_without_writers_is_at_its_end<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    put(&writer, b'x');
    assert_eq!(done("the read of the data", reading(&reader).poll()), b"x");
    let mut task = reading(&reader);
    pending("the read after the data", task.poll());
    drop(writer);
    assert_eq!((poll(poller), task.wakes()), (1, 1), "the end was no edge");
    assert_eq!(done("the read at the end", task.poll()), b"");
    assert_eq!(done("a second read at the end", reading(&reader).poll()), b"");
}

pub(super) fn a_pipe_without_readers_is_broken<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    drop(reader);
    for when in ["before", "after"] {
        let error = failed("a write to nobody", writing(&writer).poll());
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{when} the report: {error}");
        assert_eq!(error.raw_os_error(), Some(32), "not EPIPE {when} the report: {error}");
        assert_eq!(poll(poller), 0, "somebody was left waiting");
    }
}

pub(super) fn a_full_pipe_that_loses_its_reader_wakes_the_writer<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    fill(&writer);
    let mut task = writing(&writer);
    pending("a write without room", task.poll());
    drop(reader);
    assert_eq!((poll(poller), task.wakes()), (1, 1), "an error alone did not wake the writer");
    let error = failed("the write", task.poll());
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
}

pub(super) fn an_error_alone_fails_the_reader_only<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    fill(&writer);
    drop(reader);
    assert_eq!(poll(poller), 0, "nobody is parked");
    let watch = Watch::new();
    let mut read = writer.waiter(Mode::Read).expect("nobody else waits");
    refused("a wait to read", watch.poll(&mut read), Reason::NotPollable);
    refused("a preparation to read", Poll::Ready(read.prepare()), Reason::NotPollable);
    drop(read);
    refused("a read", reading(&writer).poll(), Reason::NotPollable);
    let mut write = writer.waiter(Mode::Write).expect("nobody else waits");
    done("a wait to write", watch.poll(&mut write));
    write.prepare().expect("a writer finds the errno by its system call");
    drop(write);
    assert_eq!(failed("the write", writing(&writer).poll()).kind(), ErrorKind::BrokenPipe);
}

pub(super) fn an_error_alone_wakes_a_parked_reader<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let watch = Watch::new();
    let mut wait = watch.park(&writer, Mode::Read);
    fill(&writer);
    drop(reader);
    assert_eq!((poll(poller), watch.wakes()), (1, 1), "the reader sleeps through the error");
    done("the wait, which the edge has ended", watch.poll(&mut wait));
    refused("the next wait", watch.poll(&mut wait), Reason::NotPollable);
}

pub(super) fn an_error_beside_room_is_no_event_error<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    drop(reader);
    assert_eq!(poll(poller), 0, "nobody is parked");
    let watch = Watch::new();
    let mut read = writer.waiter(Mode::Read).expect("nobody else waits");
    done("a wait to read: ERR concerns both directions", watch.poll(&mut read));
    pending("the next wait: it can be polled", watch.poll(&mut read));
}

pub(super) fn the_end_of_the_peer_wakes_both_directions<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let (watch_read, watch_write) = (Watch::new(), Watch::new());
    let mut read = watch_read.park(&here, Mode::Read);
    let mut write = watch_write.park(&here, Mode::Write);
    drop(there);
    assert_eq!(poll(poller), 2, "HUP concerns both directions");
    assert_eq!((watch_read.wakes(), watch_write.wakes()), (1, 1));
    done("the wait to read", watch_read.poll(&mut read));
    done("the wait to write", watch_write.poll(&mut write));
    at_its_end(&here);
    assert_eq!(kind(here.try_write(b"y")), ErrorKind::BrokenPipe);
}

pub(super) fn a_full_stream_that_loses_its_peer_wakes_the_writer<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    fill(&here);
    let mut task = writing(&here);
    pending("a write without room", task.poll());
    drop(there);
    assert_eq!((poll(poller), task.wakes()), (1, 1), "the writer sleeps through the end");
    assert_eq!(failed("the write", task.poll()).kind(), ErrorKind::BrokenPipe);
}

pub(super) fn data_before_the_end_of_the_peer_is_read_first<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut task = reading(&here);
    pending("the read", task.poll());
    put(&there, b'x');
    drop(there);
    assert_eq!((poll(poller), task.wakes()), (1, 1), "data and end are one report");
    assert_eq!(done("the read", task.poll()), b"x");
    assert_eq!(done("the read at the end", reading(&here).poll()), b"");
}

pub(super) fn a_shut_direction_is_the_end_for_the_peer<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut task = reading(&here);
    pending("the read", task.poll());
    put(&there, b'x');
    there.shutdown(HowToShut::Write).expect("connected");
    assert_eq!((poll(poller), task.wakes()), (1, 1));
    assert_eq!(done("the read of the data", task.poll()), b"x");
    assert_eq!(done("the read at the end", reading(&here).poll()), b"");
    assert_eq!(kind(there.try_write(b"y")), ErrorKind::BrokenPipe, "it is shut here");
    // The other direction works on.
    let mut back = reading(&there);
    pending("the read of the other direction", back.poll());
    assert_eq!(done("the write of the other direction", writing(&here).poll()), 1);
    assert_eq!((poll(poller), back.wakes()), (1, 1));
    assert_eq!(done("the read of the other direction", back.poll()), b"w");
}

pub(super) fn a_direction_shut_for_reading_is_at_its_end<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut task = reading(&here);
    pending("the read", task.poll());
    here.shutdown(HowToShut::Read).expect("connected");
    assert_eq!((poll(poller), task.wakes()), (1, 1), "the own shutdown was no edge");
    assert_eq!(done("the read", task.poll()), b"");
    assert_eq!(kind(there.try_write(b"y")), ErrorKind::BrokenPipe, "nobody will read that");
    put(&here, b'z');
    assert_eq!(take(&there), b"z", "the other direction is not shut");
}

pub(super) fn a_connection_shut_as_a_whole_wakes_all<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let watches = [(); 4].map(|()| Watch::new());
    let mut waiters = [
        watches[0].park(&here, Mode::Read),
        watches[1].park(&here, Mode::Write),
        watches[2].park(&there, Mode::Read),
        watches[3].park(&there, Mode::Write),
    ];
    here.shutdown(HowToShut::Both).expect("connected");
    assert_eq!(poll(poller), 4, "HUP at both ends, for both directions");
    for (watch, waiter) in watches.iter().zip(&mut waiters) {
        assert_eq!(watch.wakes(), 1, "{waiter:?}");
        done("a wait", watch.poll(waiter));
    }
    for end in [&here, &there] {
        at_its_end(end);
        assert_eq!(kind(end.try_write(b"y")), ErrorKind::BrokenPipe);
    }
}

pub(super) fn a_full_stream_shut_as_a_whole_wakes_the_writer<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    fill(&here);
    let (mut read, mut write) = (reading(&here), writing(&here));
    pending("the read", read.poll());
    pending("the write", write.poll());
    there.shutdown(HowToShut::Both).expect("connected");
    assert_eq!((poll(poller), read.wakes(), write.wakes()), (2, 1, 1), "HUP without OUT or ERR");
    assert_eq!(done("the read", read.poll()), b"");
    assert_eq!(failed("the write", write.poll()).kind(), ErrorKind::BrokenPipe);
}

pub(super) fn the_end_of_the_stream_is_no_news_for_the_writer<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    fill(&here);
    let (mut read, mut write) = (reading(&here), writing(&here));
    pending("the read", read.poll());
    pending("the write", write.poll());
    there.shutdown(HowToShut::Write).expect("connected");
    assert_eq!((poll(poller), read.wakes(), write.wakes()), (1, 1, 0), "IN and RDHUP, no OUT");
    assert_eq!(done("the read", read.poll()), b"");
    pending("the write: there is no room yet", write.poll());
    take(&there);
    assert_eq!((poll(poller), write.wakes()), (1, 1), "room after the end of the stream");
    assert_eq!(done("the write", write.poll()), 1);
}
