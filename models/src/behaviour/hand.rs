//! Tasks that are run by hand, and the few steps that behaviours are made of.
//!
//! Nothing here waits: a poll has the timeout zero, a task runs when it is told to.

use super::host::Fd;
use crate::scenario::bench::Tally;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::System;
use netpoller::source::{Source, Waiter};
use netpoller::{Mode, Reason};
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A poll that does not block.
pub(super) const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

pub(super) fn kernel<S: System>(poller: &Poller<S>) -> &S::Kernel {
    poller.system().kernel()
}

/// Polls once without blocking and wakes; the number of wakers.
#[track_caller]
pub(super) fn poll<S: System>(poller: &Poller<S>) -> usize {
    let mut ready = Ready::new();
    let woken = poller.poll(&mut ready, AT_ONCE).expect("the queue is usable");
    assert_eq!(ready.stale(), 0, "a report reached the poller after its incarnation");
    ready.wake_all();
    woken
}

/// Harvests what registering has reported, for which nobody waits yet.
#[track_caller]
pub(super) fn settle<S: System>(poller: &Poller<S>) {
    assert_eq!(poll(poller), 0, "somebody waited already");
}

#[track_caller]
pub(super) fn register<S: System>(poller: &Poller<S>, fd: Fd<S>) -> Source<S> {
    poller.register(fd).expect("registered")
}

/// A registered pipe whose first reports were harvested.
#[track_caller]
pub(super) fn pipe<S: System>(poller: &Poller<S>) -> (Source<S>, Source<S>) {
    let ends = poller.pipe().expect("a pipe");
    settle(poller);
    ends
}

/// Two connected sockets whose first reports were harvested.
#[track_caller]
pub(super) fn stream<S: System>(poller: &Poller<S>) -> (Source<S>, Source<S>) {
    let ends = poller.stream_pair().expect("a pair");
    settle(poller);
    ends
}

/// Writes a byte, for which there is room.
#[track_caller]
pub(super) fn put<S: System>(source: &Source<S>, byte: u8) {
    assert_eq!(source.try_write(&[byte]).expect("room"), 1);
}

/// Reads everything that is there: up to EAGAIN, or up to the end of the stream.
#[track_caller]
pub(super) fn take<S: System>(source: &Source<S>) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match source.try_read(&mut buffer) {
            Ok(0) => return bytes,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return bytes,
            Err(error) => panic!("reading failed: {error}"),
        }
    }
}

/// Writes until there is no room, not even for a byte.
#[track_caller]
pub(super) fn fill<S: System>(source: &Source<S>) {
    for size in [4096, 1] {
        loop {
            match source.try_write(&[0; 4096][..size]) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => panic!("writing failed: {error}"),
            }
        }
    }
}

/// What a system call that may not block says.
#[track_caller]
pub(super) fn kind<T: Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.expect_err("an error").kind()
}

/// A waker that counts.
#[derive(Debug)]
pub(super) struct Watch {
    tally: Arc<Tally>,
    waker: Waker,
}

impl Watch {
    pub(super) fn new() -> Watch {
        let (tally, waker) = Tally::new();
        Watch { tally, waker }
    }

    /// How often it was woken.
    pub(super) fn wakes(&self) -> usize {
        self.tally.wakes()
    }

    /// Whether somebody else holds a clone of it.
    pub(super) fn is_held(&self) -> bool {
        Arc::strong_count(&self.tally) > 2
    }

    /// One poll of a wait.
    pub(super) fn poll<S: System>(&self, waiter: &mut Waiter<'_, S>) -> Poll<io::Result<()>> {
        waiter.poll_wait(&mut Context::from_waker(&self.waker))
    }

    /// Takes the right to wait, consumes what is pending, and parks.
    #[track_caller]
    pub(super) fn park<'a, S: System>(&self, source: &'a Source<S>, mode: Mode) -> Waiter<'a, S> {
        let mut waiter = source.waiter(mode).expect("nobody else waits");
        if let Poll::Ready(consumed) = self.poll(&mut waiter) {
            consumed.expect("it can be waited for");
            pending("a wait after readiness was consumed", self.poll(&mut waiter));
        }
        waiter
    }
}

/// A future that is polled by hand.
pub(super) struct Task<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    watch: Watch,
}

impl<'a, T> Task<'a, T> {
    pub(super) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Task { future: Box::pin(future), watch: Watch::new() }
    }

    pub(super) fn poll(&mut self) -> Poll<T> {
        self.future.as_mut().poll(&mut Context::from_waker(&self.watch.waker))
    }

    pub(super) fn wakes(&self) -> usize {
        self.watch.wakes()
    }
}

/// A task that reads once, at most 64 bytes.
pub(super) fn reading<S: System>(source: &Source<S>) -> Task<'_, io::Result<Vec<u8>>> {
    Task::new(async {
        let mut buffer = [0; 64];
        let count = source.async_read(&mut buffer).await?;
        Ok(buffer[..count].to_vec())
    })
}

/// A task that writes a byte.
pub(super) fn writing<S: System>(source: &Source<S>) -> Task<'_, io::Result<usize>> {
    Task::new(source.async_write(b"w"))
}

/// It is not over.
#[track_caller]
pub(super) fn pending<T: Debug>(what: &str, polled: Poll<T>) {
    assert!(polled.is_pending(), "{what} should wait, and was over: {polled:?}");
}

/// It is over, with success.
#[track_caller]
pub(super) fn done<T: Debug>(what: &str, polled: Poll<io::Result<T>>) -> T {
    match polled {
        Poll::Ready(Ok(value)) => value,
        Poll::Ready(Err(error)) => panic!("{what} failed: {error}"),
        Poll::Pending => panic!("{what} should be over, and waits"),
    }
}

/// It is over, with an error.
#[track_caller]
pub(super) fn failed<T: Debug>(what: &str, polled: Poll<io::Result<T>>) -> io::Error {
    match polled {
        Poll::Ready(Ok(value)) => panic!("{what} should fail, and said {value:?}"),
        Poll::Ready(Err(error)) => error,
        Poll::Pending => panic!("{what} should fail, and waits"),
    }
}

/// It is over, refused by the poller for this reason.
#[track_caller]
pub(super) fn refused<T: Debug>(what: &str, polled: Poll<io::Result<T>>, reason: Reason) {
    let error = failed(what, polled);
    assert_eq!(Reason::of(&error), Some(reason), "{what} failed with: {error}");
}
