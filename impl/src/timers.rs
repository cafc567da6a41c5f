//! The queue of timers: which descriptor has to be looked at, and when.
//!
//! # State, all under one lock
//!
//! * `entries`: a heap of (when, slab index), the earliest first. An entry names the place, not the
//!   incarnation, and carries no authority: whoever takes it out asks the descriptor's ledger
//!   whether it still counts (`netpoller_spec::time`, NP-TIME-6).
//! * `superseded`: how many of them are known to count no more. Purged when they are more than half
//!   (NP-TIME-11).
//! * `sleepers`, `until`: how many threads sleep in the kernel, or are about to, and an instant at
//!   which one of them will look here by itself.
//!
//! # Who changes what
//!
//! Whoever sets a deadline pushes, holding the descriptor's control lock; so does a poller that
//! has handled an entry and found a live deadline left. A poller notes its sleep, takes it back,
//! and takes entries out that are due, holding no lock.
//!
//! # The handshake of sleeping and pushing (NP-TIME-12)
//!
//! [`sleep`](Timers::sleep) reads the first entry and notes the sleep in one section of the lock;
//! [`push`](Timers::push) enters and reads the note in one section. So either the sleeper has seen
//! the entry, or whoever pushed sees the sleeper and is told to break it. No fences: there is one
//! lock on both sides.
//!
//! Locks are taken in the order control (`desc`), then this one. Out of scope: the deadlines
//! themselves (`desc`), the break and the clock (`poller`).

use crate::seam::{Instant, Mutex, System, condensed};
use core::cmp::Reverse;
use netpoller_spec::time::{NEVER, NONE, sleep_until};
use std::collections::BinaryHeap;

#[derive(Debug)]
pub(crate) struct Timers<S: System> {
    queue: S::Mutex<Queue>,
}

/// An entry of the queue. Compared by when it comes due first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    /// When it comes due: nanoseconds on the system's clock.
    pub(crate) when: u64,
    /// The index of the descriptor.
    pub(crate) index: u32,
    /// Which of the pushes it was: of several entries for one descriptor the last one may count.
    number: u64,
}

#[derive(Debug)]
struct Queue {
    entries: BinaryHeap<Reverse<Entry>>,
    superseded: usize,
    pushes: u64,
    sleepers: u32,
    until: u64,
}

impl Queue {
    /// All that decides what comes next, for an explorer: not the numbers of the pushes
    /// themselves, but their order.
    fn digest(&self) -> Option<u64> {
        let mut entries: Vec<Entry> = self.entries.iter().map(|Reverse(entry)| *entry).collect();
        entries.sort_unstable_by_key(|entry| (entry.index, entry.number));
        let entries = entries.into_iter().flat_map(|entry| [u64::from(entry.index), entry.when]);
        let numbers = [self.superseded as u64, u64::from(self.sleepers), self.until];
        Some(condensed(numbers.into_iter().chain(entries)))
    }

    fn first(&self) -> u64 {
        self.entries.peek().map_or(NONE, |Reverse(entry)| entry.when)
    }

    /// Drops all entries of a descriptor but the one that was pushed last: the others do not
    /// count. In place, and rarely: each push pays for a constant part of it.
    fn purge(&mut self) {
        let mut entries = core::mem::take(&mut self.entries).into_vec();
        entries.sort_unstable_by_key(|Reverse(entry)| (entry.index, Reverse(entry.number)));
        entries.dedup_by_key(|Reverse(entry)| entry.index);
        self.entries = entries.into();
        self.superseded = 0;
    }
}

impl<S: System> Timers<S> {
    pub(crate) fn new() -> Self {
        let queue = Queue {
            entries: BinaryHeap::new(),
            superseded: 0,
            pushes: 0,
            sleepers: 0,
            until: NEVER,
        };
        Timers { queue: S::Mutex::new(queue, Queue::digest) }
    }

    /// Enters a descriptor; `supersedes`: an earlier entry of it counts no more. Returns whether a
    /// thread sleeps that would sleep past the new entry: the caller has to break it once all locks
    /// are released (NP-TIME-12).
    #[must_use = "a thread that sleeps too long has to be woken"]
    pub(crate) fn push(&self, index: u32, when: u64, supersedes: bool) -> bool {
        let mut queue = self.queue.lock();
        queue.pushes += 1;
        let number = queue.pushes;
        queue.entries.push(Reverse(Entry { when, index, number }));
        queue.superseded += usize::from(supersedes);
        if 2 * queue.superseded > queue.entries.len() {
            queue.purge(); // NP-TIME-11
        }
        let late = queue.sleepers > 0 && when < queue.until;
        if late {
            queue.until = when; // the one that will be broken looks here by then
        }
        late
    }

    /// A thread is about to sleep in the kernel, until `allowed` at most. Returns until when it
    /// may: until the first entry comes due, if that is earlier.
    pub(crate) fn sleep(&self, allowed: u64) -> u64 {
        let mut queue = self.queue.lock();
        let until = sleep_until(allowed, queue.first());
        queue.sleepers += 1;
        // The first sleeper replaces what an earlier one left behind.
        queue.until = if queue.sleepers == 1 { until } else { queue.until.min(until) };
        until
    }

    /// A thread has come back from the kernel. Returns when the first entry is due, or
    /// [`NONE`].
    pub(crate) fn awake(&self) -> u64 {
        let mut queue = self.queue.lock();
        queue.sleepers -= 1;
        // It may have been the one that was to look here: then only the others are left, and
        // until when they sleep was not kept. A break too many is harmless.
        queue.until = NEVER;
        queue.first()
    }

    /// When the first entry is due, or [`NONE`].
    pub(crate) fn first(&self) -> u64 {
        self.queue.lock().first()
    }

    /// Takes out an entry that is due at `now`, the earliest first.
    pub(crate) fn due(&self, now: Instant) -> Option<Entry> {
        let mut queue = self.queue.lock();
        if queue.first() == NONE || queue.first() > now.as_nanos() {
            return None;
        }
        queue.entries.pop().map(|Reverse(entry)| entry)
    }

    /// An entry that was taken out counted no more.
    pub(crate) fn was_superseded(&self) {
        let mut queue = self.queue.lock();
        queue.superseded = queue.superseded.saturating_sub(1);
    }

    /// How many entries there are. For diagnostics.
    pub(crate) fn len(&self) -> usize {
        self.queue.peek(|queue| queue.entries.len())
    }

    /// All entries: (index, when), in no order. For diagnostics and oracles.
    pub(crate) fn peek(&self) -> Vec<(u32, u64)> {
        self.queue.peek(|queue| {
            queue.entries.iter().map(|Reverse(entry)| (entry.index, entry.when)).collect()
        })
    }
}
