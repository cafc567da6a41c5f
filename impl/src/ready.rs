//! The reusable buffer of a poll: the events of the kernel, and the wakers they lead to.
//!
//! A poll applies all slot transitions of a batch and *then* the wakers run, outside all locks.
//! With edge-triggered events a waker that is lost is a task that sleeps for ever, so nothing
//! that goes wrong on the way loses one (NP-WAKE-2): whoever drops the buffer wakes what is left,
//! and a waker that panics does not keep the others from being woken.

use crate::in_flight::Share;
use crate::seam::{Batch, Kernel, System};
use core::task::Waker;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a [`poll`](crate::poller::Poller::poll) brought; reusable, so that polling allocates
/// nothing.
#[derive(Debug)]
pub struct Ready<S: System> {
    pub(crate) batch: <S::Kernel as Kernel>::Batch,
    pub(crate) wakers: Vec<Waker>,
    pub(crate) broken: bool,
    pub(crate) stale: usize,
    /// What the count of waiters of the poller holds because of `wakers` (NP-WAKE-3).
    pub(crate) share: Share<S>,
}

impl<S: System> Ready<S> {
    /// How many events one poll takes from the kernel at most, unless said otherwise.
    pub const BATCH: usize = 128;

    /// A buffer for [`Ready::BATCH`] events.
    #[must_use]
    pub fn new() -> Self {
        Self::with_batch(Self::BATCH)
    }

    /// A buffer for `events` events, at least 1.
    #[must_use]
    pub fn with_batch(events: usize) -> Self {
        let events = events.max(1);
        Ready {
            batch: Batch::with_capacity(events),
            wakers: Vec::with_capacity(2 * events), // an event concerns two directions at most
            broken: false,
            stale: 0,
            share: Share::NONE,
        }
    }

    /// How many wakers are to be woken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wakers.len()
    }

    /// Whether there is no waker to be woken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }

    /// Whether the last poll took a break (NP-BREAK-2). Always `false` after a poll that was not
    /// allowed to block.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.broken
    }

    /// How many events of the last poll were meant for an incarnation that is over; they were
    /// dropped (NP-GEN-1).
    #[must_use]
    pub fn stale(&self) -> usize {
        self.stale
    }

    /// Wakes all, in the order of the events.
    ///
    /// # Panics
    ///
    /// When a waker panics: after all have been woken, with the payload of the first panic.
    pub fn wake_all(&mut self) {
        let mut first_panic = None;
        for waker in self.wakers.drain(..) {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                first_panic.get_or_insert(payload);
            }
        }
        self.share.settle(0); // NP-WAKE-3: after the last one
        if let Some(payload) = first_panic {
            resume_unwind(payload);
        }
    }

    /// Hands the wakers to the caller, in the order of the events, who wakes them, for example
    /// through a scheduler. They count as waiting ([`Poller::waiters`](crate::poller::Poller::waiters)) until the iterator
    /// is dropped, so that whoever puts them into a queue in between leaves no gap.
    pub fn drain(&mut self) -> impl Iterator<Item = Waker> {
        // Those that the caller does not take stay, and are woken by Drop: `Vec::drain` would
        // drop them.
        self.wakers.reverse();
        Drain { ready: self }
    }
}

impl<S: System> Default for Ready<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: System> Drop for Ready<S> {
    fn drop(&mut self) {
        for waker in self.wakers.drain(..) {
            // A second panic while one unwinds would abort the process; the panic hook has
            // reported this one, and the wakers behind it are what matters here.
            let _reported = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        self.share.settle(0);
    }
}

/// Hands out the wakers of a buffer, the last one of which is the next.
struct Drain<'a, S: System> {
    ready: &'a mut Ready<S>,
}

impl<S: System> Iterator for Drain<'_, S> {
    type Item = Waker;

    fn next(&mut self) -> Option<Waker> {
        self.ready.wakers.pop()
    }
}

impl<S: System> Drop for Drain<'_, S> {
    fn drop(&mut self) {
        // NP-WAKE-3: what was handed out is the caller's now.
        self.ready.share.settle(self.ready.wakers.len());
    }
}
