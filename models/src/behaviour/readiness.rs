//! Waiting for a descriptor without reading it, and system calls that are not the poller's own.

use super::deadlines::{begin, past};
use super::hand::{
    Task, done, fill, kernel, kind, pending, pipe, poll, put, refused, stream, take,
};
use super::host::Host;
use netpoller::poller::Poller;
use netpoller::seam::Kernel;
use netpoller::{Mode, Reason};
use std::io::{self, ErrorKind};
use std::task::Poll;

pub(super) fn what_a_short_read_has_left_is_readable<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut wait = Task::new(here.async_readable());
    pending("a wait for data", wait.poll());
    put(&there, b'x');
    put(&there, b'y');
    assert_eq!((poll(poller), wait.wakes()), (1, 1));
    done("the wait", wait.poll());
    assert_eq!(here.try_read(&mut [0]).expect("data"), 1);
    done("the wait for the rest", Task::new(here.async_readable()).poll());
    here.readable().expect("the rest, in the blocking style");
    assert_eq!(take(&here), b"y");
    pending("a wait after all was read", Task::new(here.async_readable()).poll());
}

pub(super) fn a_wait_for_room_ends_when_there_is_some<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    writer.writable().expect("room");
    done("the wait", Task::new(writer.async_writable()).poll());
    fill(&writer);
    let mut wait = Task::new(writer.async_writable());
    pending("a wait for room", wait.poll());
    take(&reader);
    assert_eq!((poll(poller), wait.wakes()), (1, 1));
    done("the wait", wait.poll());
    done("a second wait", Task::new(writer.async_writable()).poll());
}

pub(super) fn an_end_is_readable<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut wait = Task::new(here.async_readable());
    pending("a wait for data", wait.poll());
    drop(there);
    assert_eq!((poll(poller), wait.wakes()), (1, 1));
    done("the wait", wait.poll());
    done("a second wait", Task::new(here.async_readable()).poll());
    done("a wait for room, which would find an error", Task::new(here.async_writable()).poll());
}

pub(super) fn a_wait_for_readiness_ends_with_the_close_and_at_the_deadline<S: Host>(
    poller: &Poller<S>,
) {
    begin(poller);
    let (here, _there) = stream(poller);
    let mut wait = Task::new(here.async_readable());
    pending("a wait for data", wait.poll());
    here.set_read_deadline(past(poller)).expect("open");
    refused("the wait", wait.poll(), Reason::DeadlineExceeded);
    drop(wait);
    here.set_read_deadline(None).expect("open");
    let mut wait = Task::new(here.async_readable());
    pending("a wait for data", wait.poll());
    here.close().expect("the first close");
    refused("the wait", wait.poll(), Reason::Closed);
    refused("a late wait", Poll::Ready(here.writable()), Reason::Closed);
}

pub(super) fn a_wait_that_is_dropped_leaves_the_data<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut wait = Task::new(here.async_readable());
    pending("a wait for data", wait.poll());
    let mut behind = Task::new(here.async_readable());
    pending("a wait behind it", behind.poll());
    put(&there, b'x');
    assert_eq!((poll(poller), wait.wakes()), (1, 1));
    drop(wait);
    assert_eq!(behind.wakes(), 1, "the turn was not handed on");
    done("the wait behind it", behind.poll());
    assert_eq!(take(&here), b"x");
}

pub(super) fn a_call_of_ones_own_is_repeated_until_it_finds_something<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let mut calls = 0;
    let mut own = Task::new(here.async_io(Mode::Read, |_fd| {
        calls += 1;
        // EINTR is not the caller's business, EAGAIN is that of the poller.
        match calls {
            1 | 3 => Err(io::ErrorKind::Interrupted.into()),
            2 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok("found"),
        }
    }));
    pending("the call", own.poll());
    put(&there, b'x');
    assert_eq!((poll(poller), own.wakes()), (1, 1));
    assert_eq!(done("the call", own.poll()), "found");
    drop(own);
    assert_eq!(calls, 4);
    assert_eq!(here.io(Mode::Read, |_fd| Ok(7)).expect("the blocking style"), 7);
    let error: io::Result<()> = here.try_io(|_fd| Err(io::ErrorKind::WouldBlock.into()));
    assert_eq!(kind(error), ErrorKind::WouldBlock, "it has waited");
    here.readable().expect("the data is still there, whatever the call has said");
    assert_eq!(take(&here), b"x");
    here.close().expect("the first close");
    refused("a call", Poll::Ready(here.try_io(|_fd| Ok(()))), Reason::Closed);
}

pub(super) fn a_file_is_always_ready<S: Host>(poller: &Poller<S>) {
    let file = poller.system().regular_file().expect("a file");
    let before = kernel(poller).nonblocking(&file).expect("open");
    let source = poller.adopt(file).expect("adopted");
    source.readable().expect("a file has no wait");
    done("the wait", Task::new(source.async_readable()).poll());
    assert_eq!(done("a call", Task::new(source.async_io(Mode::Read, |_fd| Ok(1))).poll()), 1);
    let file = source.into_fd().expect("open");
    assert_eq!(kernel(poller).nonblocking(&file).expect("open"), before);
}
