//! What a poller has done so far, counted, and how much there is of everything.
//!
//! # State
//!
//! Counters, which decide nothing and publish nothing ([`Counter`]): they are no part of the protocol,
//! and no model sees them. Each is written by one kind of thread, and what the same kind writes lies
//! together, away from what others read:
//!
//! * `Polled`: by whoever polls, once for a wait or for a batch, and only what is not zero;
//! * `Asked`: by whoever breaks. A break that is suppressed costs a fence and a load, in as many threads
//!   at once as there are: so its counter is one that they do not share ([`Spread`]).
//!
//! The gauges are not kept: [`Poller::stats`] looks, under the lock of the list of free entries, that of
//! the queue of timers, and through all entries of the slab.

use crate::poller::Poller;
use crate::seam::{Counter, Spread, System};
use netpoller_spec::Mode;
use netpoller_spec::slot::State;

/// What a poller has done so far, and what there is at the moment; from [`Poller::stats`].
///
/// Counters begin at 0 with the poller, grow, and wrap at 2^64. They are read one after the other while
/// others count: two of them may differ by what happened in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Waits in the kernel, by all threads that poll; one that a signal interrupted is one, and the wait
    /// that follows it another.
    pub waits: u64,
    /// How many of them were allowed to block.
    pub blocking_waits: u64,
    /// How many of them were interrupted by a signal.
    pub interrupted: u64,
    /// Events that the kernel reported, breaks included.
    pub events: u64,
    /// Events for an incarnation that was over; they were dropped.
    pub stale_events: u64,
    /// Events that no registration of this poller explains: foreign code added to the event queue.
    pub foreign_events: u64,
    /// Wakers that polls have taken out, to be woken by whoever polled.
    pub wakers: u64,
    /// Breaks that were asked for: calls of [`Poller::wake`], and those that the poller makes itself, for
    /// an earlier deadline for example.
    pub breaks_asked: u64,
    /// How many of them were written to the kernel, by one system call each.
    pub breaks_written: u64,
    /// How many of them were not, because another one was on its way.
    pub breaks_suppressed: u64,
    /// Breaks that a poll has taken.
    pub breaks_taken: u64,
    /// Entries of the queue of timers that came due and still counted: a deadline expired, or the next
    /// one was entered.
    pub timers_fired: u64,
    /// Entries of the queue of timers that came due and counted no more: the deadline had been moved,
    /// or its descriptor closed.
    pub timers_superseded: u64,
    /// Sources that are registered now. Those in blocking mode are not ([`Poller::adopt`]).
    pub registered: u64,
    /// Tasks and threads that are parked now, of both directions.
    pub parked: u64,
    /// Entries in the queue of timers now: at most one for each descriptor that counts, and no more than
    /// as many again that do not.
    pub timers: u64,
}

/// What whoever polls counts.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Polled {
    pub(crate) passing: Counter,
    pub(crate) blocking: Counter,
    pub(crate) interrupted: Counter,
    pub(crate) events: Counter,
    pub(crate) stale: Counter,
    pub(crate) foreign: Counter,
    pub(crate) wakers: Counter,
    pub(crate) taken: Counter,
    pub(crate) fired: Counter,
    pub(crate) superseded: Counter,
}

/// What whoever breaks counts.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Asked {
    pub(crate) suppressed: Spread,
    pub(crate) written: Counter,
    pub(crate) failed: Counter,
}

/// The counters of one poller.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) polled: Polled,
    pub(crate) asked: Asked,
}

impl<S: System> Poller<S> {
    /// What this poller has done so far, and what there is at the moment.
    ///
    /// For diagnostics: it looks through all entries that were ever in use, and takes two locks for a
    /// moment. From any thread at any time, but not from a handler of a signal.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (_a, _b) = poller.stream_pair()?;
    /// poller.wake()?;
    /// poller.wake()?;
    /// let stats = poller.stats();
    /// assert_eq!(stats.registered, 2);
    /// assert_eq!((stats.breaks_asked, stats.breaks_written, stats.breaks_suppressed), (2, 1, 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// What is not guaranteed: that the numbers are those of one moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Counters { polled, asked } = &self.shared.counters;
        let blocking_waits = polled.blocking.get();
        let (breaks_written, breaks_suppressed) = (asked.written.get(), asked.suppressed.get());
        let parked = self.shared.slab.entries().map(|(_, desc)| {
            let parked = |mode: &Mode| desc.slot(*mode).peek().state() == State::Parked;
            Mode::BOTH.iter().filter(|mode| parked(mode)).count() as u64
        });
        Stats {
            waits: polled.passing.get() + blocking_waits,
            blocking_waits,
            interrupted: polled.interrupted.get(),
            events: polled.events.get(),
            stale_events: polled.stale.get(),
            foreign_events: polled.foreign.get(),
            wakers: polled.wakers.get(),
            breaks_asked: breaks_written + breaks_suppressed + asked.failed.get(),
            breaks_written,
            breaks_suppressed,
            breaks_taken: polled.taken.get(),
            timers_fired: polled.fired.get(),
            timers_superseded: polled.superseded.get(),
            registered: u64::from(self.shared.slab.in_use()),
            parked: parked.sum(),
            timers: self.shared.timers.len() as u64,
        }
    }
}
