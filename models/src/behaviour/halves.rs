//! The two directions of a stream as two values.

use super::hand::{Task, done, pending, poll, refused, take};
use super::host::Host;
use super::net::{connected, finish};
use netpoller::net::{OwnedReadHalf, Stream, UnixStream};
use netpoller::poller::Poller;
use netpoller::{Mode, Reason};
use std::io::{self, Read, Write};
use std::task::Poll;

fn pair<S: Host>(poller: &Poller<S>) -> (UnixStream<S>, UnixStream<S>) {
    let ends = UnixStream::pair_on(poller).expect("a pair");
    poll(poller);
    ends
}

/// A task that reads once, at most 8 bytes.
fn reading<T: Stream>(half: &OwnedReadHalf<T>) -> Task<'_, io::Result<Vec<u8>>> {
    Task::new(async {
        let mut buffer = [0; 8];
        let count = half.async_read(&mut buffer).await?;
        Ok(buffer[..count].to_vec())
    })
}

pub(super) fn the_end_of_the_half_that_writes_is_the_end_for_the_peer<S: Host>(poller: &Poller<S>) {
    let (here, there) = pair(poller);
    let (_read, write) = here.into_split();
    let mut end = Task::new(there.async_readable());
    pending("a wait for the end", end.poll());
    drop(write);
    assert_eq!((poll(poller), end.wakes()), (1, 1), "the end of the half was none for the peer");
    drop(end);
    assert_eq!(there.try_read(&mut [0]).expect("the end"), 0);
    let (_listener, client, server) = connected(poller);
    let (mut read, mut write) = client.into_split();
    assert_eq!(write.write(b"x").expect("room"), 1);
    drop(write);
    let mut buffer = [0; 8];
    let mut receive = Task::new(server.async_read(&mut buffer));
    assert_eq!(finish(poller, &mut receive).expect("the data"), 1);
    drop(receive);
    let mut receive = Task::new(server.async_read(&mut buffer));
    assert_eq!(finish(poller, &mut receive).expect("the end"), 0);
    drop(receive);
    // The other direction goes on.
    assert_eq!((&server).write(b"y").expect("room"), 1);
    assert_eq!(finish(poller, &mut reading(&read)).expect("the other direction"), b"y");
    drop(server);
    assert_eq!(finish(poller, &mut reading(&read)).expect("the end"), b"");
    assert_eq!(read.read(&mut buffer).expect("the end, in the blocking style"), 0);
}

pub(super) fn the_end_of_the_half_that_reads_ends_nothing<S: Host>(poller: &Poller<S>) {
    let (here, there) = pair(poller);
    let (read, write) = here.into_split();
    drop(read);
    assert_eq!(done("a write", Task::new(write.async_write(b"x")).poll()), 1);
    assert_eq!(take(&there), b"x");
    let mut end = Task::new(there.async_readable());
    pending("a wait for more", end.poll());
    drop(write);
    assert_eq!((poll(poller), end.wakes()), (1, 1), "both halves are gone, and it was not closed");
    drop(end);
    assert_eq!(there.try_read(&mut [0]).expect("the end"), 0);
}

pub(super) fn both_halves_are_used_at_once<S: Host>(poller: &Poller<S>) {
    let (here, there) = pair(poller);
    {
        let (read, mut write) = here.split();
        let mut buffer = [0; 8];
        let mut receive = Task::new(read.async_read(&mut buffer));
        pending("the read of the borrowed half", receive.poll());
        assert_eq!(write.write(b"a").expect("room"), 1);
        assert_eq!(write.try_write(b"").expect("nothing"), 0);
        assert_eq!(there.try_write(b"b").expect("room"), 1);
        assert_eq!((poll(poller), receive.wakes()), (1, 1));
        assert_eq!(done("the read of the borrowed half", receive.poll()), 1);
    }
    assert_eq!(take(&there), b"a", "the end of borrowed halves shuts something");
    let mut more = Task::new(there.async_readable());
    pending("a wait for more", more.poll());
    drop(more);
    let (read, write) = here.into_split();
    let mut receive = reading(&read);
    pending("the read of the owned half", receive.poll());
    assert_eq!(done("the write", Task::new(write.async_write(b"c")).poll()), 1);
    assert_eq!(there.try_write(b"d").expect("room"), 1);
    poll(poller);
    assert_eq!(done("the read of the owned half", receive.poll()), b"d");
    drop(receive);
    assert_eq!(take(&there), b"c");
}

pub(super) fn halves_of_one_stream_are_reunited_and_others_are_not<S: Host>(poller: &Poller<S>) {
    let ((here, there), (strange, _other)) = (pair(poller), pair(poller));
    let ((read, write), (other_read, other_write)) = (here.into_split(), strange.into_split());
    let refusal = read.reunite(other_write).expect_err("they are of two streams");
    assert_eq!(refusal.to_string(), "halves of two different streams");
    let (read, other_write) = (refusal.0, refusal.1);
    other_read.reunite(other_write).expect("they were given back");
    let here = read.reunite(write).expect("they are of one stream");
    let mut end = Task::new(there.async_readable());
    pending("a wait for data", end.poll());
    assert_eq!((&here).write(b"x").expect("reuniting has shut nothing"), 1);
    assert_eq!((poll(poller), end.wakes()), (1, 1));
    drop(end);
    assert_eq!(take(&there), b"x");
    assert!(here.waiter(Mode::Read).is_ok());
}

pub(super) fn a_half_that_is_forgotten_shuts_nothing<S: Host>(poller: &Poller<S>) {
    let (here, there) = pair(poller);
    let (read, write) = here.into_split();
    write.forget();
    let mut end = Task::new(there.async_readable());
    pending("a wait for the end", end.poll());
    drop(read);
    assert_eq!((poll(poller), end.wakes()), (1, 1), "the last half has closed nothing");
}

pub(super) fn a_close_by_one_half_ends_the_other<S: Host>(poller: &Poller<S>) {
    let (here, _there) = pair(poller);
    let (read, mut write) = here.into_split();
    let mut receive = reading(&read);
    pending("a read", receive.poll());
    write.stream().close().expect("the first close");
    assert_eq!(receive.wakes(), 1);
    refused("the read", receive.poll(), Reason::Closed);
    refused("a write", Poll::Ready(write.write(b"x")), Reason::Closed);
}
