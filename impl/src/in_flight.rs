//! How many tasks wait: those that are parked, and those that were taken out of their slots and have
//! not been woken yet. Go's `netpollWaiters`.
//!
//! # State
//!
//! * The slots say who is parked; nobody counts them when a task parks, so that tasks on different
//!   processors share nothing.
//! * `word`: how many tasks are on their way from the slot to their waker, in the hands of somebody who
//!   is about to wake them. Written by whoever takes them out:
//!
//! ```text
//! taker:    raise ; slot Parked -> Ready, or Nil ; wake ; lower
//! counter:  read the slots ; read the word
//! ```
//!
//! The order on both sides is the point (NP-WAKE-3). Whoever counts and finds a task in its slot no
//! more reads the word after that: the raise was before the slot was changed, so it is seen, unless the
//! task has been woken by then as well. Read the other way round, the word is 0 before the task is taken
//! out and the slot is empty after it. A counter that is lowered before the wake says that there is
//! nobody while the only task is in nobody's hands (Go #61454); one that is never lowered wraps, or
//! keeps somebody polling for ever (Go #33624, #60782).
//!
//! Raised by what there may be, two for an event, and corrected when it is known: for that moment the
//! count is too high, and never too low.
//!
//! # Which word
//!
//! Nothing in the poller is decided by this count, so in most models it is a plain word, of which no
//! engine knows; in those that are about it, it is one of theirs ([`System::COUNT_IS_MODELLED`]).

use crate::poller::Poller;
use crate::seam::{Arc, Atomic, Ordering, Os, Primitives, System};

/// How many tasks are between their slot and their waker.
#[derive(Debug)]
pub(crate) struct InFlight<S: System> {
    plain: Plain,
    modelled: Option<S::AtomicU64>,
}

type Plain = <Os as Primitives>::AtomicU64;

impl<S: System> InFlight<S> {
    pub(crate) fn new() -> Self {
        let modelled = S::COUNT_IS_MODELLED.then(|| S::AtomicU64::new(0));
        InFlight { plain: Plain::new(0), modelled }
    }

    /// So many tasks are about to be taken out, at most.
    pub(crate) fn raise(&self, tasks: u64) {
        // Relaxed: the exchange of the slot that follows publishes it (AcqRel, in `slot`), to the
        // acquire load in `Slot::parked`.
        self.add(tasks, Ordering::Relaxed);
    }

    /// So many of them were woken, or not there.
    pub(crate) fn lower(&self, tasks: u64) {
        // Release: pairs with the acquire in `get`; whoever finds the task counted no more finds it
        // woken.
        self.add(tasks.wrapping_neg(), Ordering::Release);
    }

    fn add(&self, tasks: u64, order: Ordering) {
        if tasks == 0 {
            return;
        }
        let Some(word) = &self.modelled else {
            self.plain.fetch_add(tasks, order);
            return;
        };
        // Relaxed: a guess, which the exchange confirms.
        let mut before = word.load(Ordering::Relaxed);
        loop {
            let after = before.wrapping_add(tasks);
            match word.compare_exchange(before, after, order, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => before = now,
            }
        }
    }

    /// To be read after the slots.
    fn get(&self) -> u64 {
        // Acquire: pairs with the release in `lower`.
        match &self.modelled {
            None => self.plain.load(Ordering::Acquire),
            Some(word) => word.load(Ordering::Acquire),
        }
    }

    fn peek(&self) -> u64 {
        self.modelled.as_ref().map_or_else(|| Atomic::peek(&self.plain), Atomic::peek)
    }

    /// So many were raised by somebody who wakes them before he drops this, or panics over it.
    #[must_use = "it lowers the count when it is dropped"]
    pub(crate) fn taken(&self, tasks: u64) -> Taken<'_, S> {
        Taken { of: self, tasks }
    }

    /// Somebody is about to end the waits of one descriptor, and wakes them before he drops this.
    #[must_use = "it lowers the count when it is dropped"]
    pub(crate) fn both_directions(&self) -> Taken<'_, S> {
        self.raise(2);
        self.taken(2)
    }
}

/// Tasks in the hands of somebody who does not poll: who closes, or sets a deadline that has passed.
pub(crate) struct Taken<'a, S: System> {
    of: &'a InFlight<S>,
    tasks: u64,
}

impl<S: System> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        self.of.lower(self.tasks);
    }
}

/// What a buffer of a poll has raised and not lowered yet.
#[derive(Debug)]
pub(crate) struct Share<S: System> {
    /// The count of the poller that was polled last.
    of: Option<Arc<InFlight<S>>>,
    tasks: u64,
}

impl<S: System> Share<S> {
    pub(crate) const NONE: Self = Share { of: None, tasks: 0 };

    /// So many tasks of this poller are about to be taken out, at most.
    pub(crate) fn raise(&mut self, of: &Arc<InFlight<S>>, tasks: u64) {
        of.raise(tasks);
        self.adopt(of, tasks);
    }

    /// So many were raised by somebody else, who leaves it to this buffer to wake them.
    pub(crate) fn adopt(&mut self, of: &Arc<InFlight<S>>, tasks: u64) {
        if !self.of.as_ref().is_some_and(|ours| Arc::ptr_eq(ours, of)) {
            self.settle(0); // with the poller that was polled before
            self.of = Some(Arc::clone(of));
        }
        self.tasks += tasks;
    }

    /// So many are left in the buffer; the others were woken, or never there (NP-WAKE-3).
    pub(crate) fn settle(&mut self, left: usize) {
        let gone = self.tasks.saturating_sub(left as u64);
        if let Some(of) = &self.of {
            of.lower(gone);
        }
        self.tasks -= gone;
    }
}

impl<S: System> Poller<S> {
    /// How many tasks and threads wait: those that are parked, and those that were taken out to be
    /// woken and have not been woken yet.
    ///
    /// For a scheduler that wants to know whether there is anybody to poll for. A task that was parked
    /// when the call began is counted, unless its waker has been called meanwhile, or it has given up by
    /// itself: so 0 never means that a task is neither parked nor on its way to run (NP-WAKE-3). What is
    /// in a [`Ready`](crate::ready::Ready) that nobody has woken or dropped counts; so does what
    /// [`drain`](crate::ready::Ready::drain) has handed out, until the iterator is dropped.
    ///
    /// It looks through all entries that were ever in use, without a lock.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use netpoller::{Mode, Poller, Ready};
    /// use std::{io::Write, task::{Context, Waker}};
    ///
    /// let (poller, mut ready) = (Poller::new()?, Ready::new());
    /// let (a, b) = poller.stream_pair()?;
    /// let mut waiter = a.waiter(Mode::Read)?;
    /// while waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
    /// (&b).write_all(b"x")?;
    /// poller.poll(&mut ready, None)?;
    /// assert_eq!(poller.waiters(), 1); // not parked any more, and not woken yet
    /// ready.wake_all();
    /// assert_eq!(poller.waiters(), 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is not guaranteed: that the number is that of one moment. While a poll applies what it has
    /// harvested it may be too high by two for each event; tasks that are woken and park again during
    /// the call may be counted or not.
    #[must_use]
    pub fn waiters(&self) -> usize {
        let parked: usize = self.shared.slab.entries().map(|(_, desc)| desc.parked()).sum();
        // After the slots (NP-WAKE-3).
        parked + usize::try_from(self.shared.in_flight.get()).unwrap_or(usize::MAX)
    }

    /// How many tasks are between their slot and their waker. For oracles.
    #[doc(hidden)]
    #[must_use]
    pub fn peek_in_flight(&self) -> u64 {
        self.shared.in_flight.peek()
    }
}
