//! The operating system with an observer that counts: what goes into a state comes out of it.
//!
//! A [`Counted`] behaves as the system does that has its kernel, and tells a [`Ledger`] of every step of the state machine. The
//! counters are relaxed: they are read when all threads have been joined.

use netpoller::observe::Step;
use netpoller::seam::{Instant, Kernel, Os, Primitives, System};
use netpoller_spec::slot::State;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How often each thing happened.
#[derive(Debug, Default)]
pub struct Ledger {
    /// A task parked.
    pub parked: AtomicU64,
    /// A parked task was released by an edge.
    pub notified: AtomicU64,
    /// A parked task was released without an edge: close, retract, reset, free.
    pub released: AtomicU64,
    /// A close began.
    pub closed: AtomicU64,
    /// An incarnation ended.
    pub freed: AtomicU64,
    /// A deadline has expired.
    pub expired: AtomicU64,
    /// The flag of the break was set.
    pub breaks_set: AtomicU64,
    /// The flag of the break was cleared.
    pub breaks_cleared: AtomicU64,
}

impl Ledger {
    fn enter(&self, step: &Step) {
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match step {
            Step::Slot { before, after, .. } => match (before.state(), after.state()) {
                (State::Nil | State::Ready, State::Parked) => count(&self.parked),
                (State::Parked, State::Ready) => count(&self.notified),
                (State::Parked, State::Nil) => count(&self.released),
                _ => {}
            },
            Step::Info { before, after, .. } => {
                if !before.closing() && after.closing() {
                    count(&self.closed);
                }
                if before.generation() != after.generation() {
                    count(&self.freed);
                }
            }
            Step::Expires { .. } => count(&self.expired),
            Step::Break { before, after } => match (before, after) {
                (false, true) => count(&self.breaks_set),
                (true, false) => count(&self.breaks_cleared),
                _ => {}
            },
        }
    }

    /// Reads a counter.
    #[must_use]
    pub fn get(&self, counter: impl Fn(&Ledger) -> &AtomicU64) -> u64 {
        counter(self).load(Ordering::Relaxed)
    }

    /// Sees that every task that parked was released, once, and that no break is left over.
    ///
    /// # Panics
    ///
    /// When that is not so.
    pub fn assert_balanced(&self) {
        let left = self.get(|l| &l.notified) + self.get(|l| &l.released);
        assert_eq!(self.get(|l| &l.parked), left, "parked and released differ: {self:?}");
    }
}

/// The operating system with the kernel `K`, counted.
#[derive(Debug, Default)]
pub struct Counted<K>(Arc<Ledger>, K);

impl<K: Copy> Clone for Counted<K> {
    fn clone(&self) -> Self {
        Counted(Arc::clone(&self.0), self.1)
    }
}

impl<K> Counted<K> {
    /// What has been counted so far.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.0
    }
}

impl<K: Kernel> Primitives for Counted<K> {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + Debug> = <Os as Primitives>::Mutex<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(_: usize) -> usize {
        0
    }
}

impl<K: Kernel + Copy> System for Counted<K> {
    type Kernel = K;

    fn kernel(&self) -> &K {
        &self.1
    }

    fn now(&self) -> Instant {
        Os.now()
    }

    fn observe(&self, step: &Step) {
        self.0.enter(step);
    }
}
