//! A one-shot event: threads wait until somebody sets it, and from then on nobody waits.
//!
//! The code is written once, generic over [`Primitives`]. In production these are [`Os`]: the atomics,
//! the mutex and the parking of the standard library. In a scenario they are an engine's, which decides
//! every interleaving. `tests/scenarios.rs` has the scenarios, `tests/real.rs` threads for real.
//!
//! # The race
//!
//! To set an event on which nobody waits takes no lock: a word says whether anybody may be in the queue.
//! So waiting and setting are a store and a load of two words in opposite orders, on both sides:
//!
//! | who waits | who sets |
//! |---|---|
//! | `waiting` := 1 | `set` := 1 |
//! | fence | fence |
//! | reads `set` | reads `waiting` |
//!
//! At least one of them sees the other. Two bugs can be put in, as features: `lost-wakeup` leaves out
//! that the waiter looks at `set` after it has said that it waits; `missing-fence` leaves out the fences,
//! which matters only where memory is weaker than sequentially consistent.

use netpoller::seam::{Atomic, Mutex, Ordering, Os, Parker, Primitives};

/// An event on threads of the operating system.
pub type Event = OneShot<Os>;

/// An event that is set once. See [`Event`] for the one that is used in production.
#[derive(Debug)]
pub struct OneShot<P: Primitives> {
    /// 1 from the moment on at which it was set.
    set: P::AtomicU32,
    /// 1 once somebody may be in the queue.
    waiting: P::AtomicU32,
    queue: P::Mutex<Vec<P::Parker>>,
}

impl<P: Primitives> OneShot<P> {
    /// An event that is not set.
    #[must_use]
    pub fn new() -> Self {
        OneShot {
            set: P::AtomicU32::new(0),
            waiting: P::AtomicU32::new(0),
            // A parker does not say whose it is, so the contents cannot be condensed: an engine that
            // recognises states goes by who wrote them.
            queue: P::Mutex::new(Vec::new(), |_| None),
        }
    }

    /// Whether it was set. What was written before [`set`](Self::set) is visible then.
    #[must_use]
    pub fn is_set(&self) -> bool {
        // Acquire: pairs with the store in `set`.
        self.set.load(Ordering::Acquire) == 1
    }

    /// Blocks the calling thread until it is set.
    pub fn wait(&self) {
        if self.is_set() {
            return;
        }
        let parker = P::parker();
        self.queue.lock().push(parker.clone());
        // Relaxed: the fence orders it before the look at `set`.
        self.waiting.store(1, Ordering::Relaxed);
        fence::<P>();
        if cfg!(feature = "lost-wakeup") {
            parker.park(); // it may have been set since the first look, and nobody wakes us again
        }
        // Whoever set it before we were in the queue is seen here; whoever sets it later sees us. What a
        // park returned for may have been meant for another wait of this thread: look, and park again.
        while !self.is_set() {
            parker.park();
        }
    }

    /// Sets it and wakes everybody who waits. To set it again does nothing.
    pub fn set(&self) {
        // Release: pairs with the load in `is_set`.
        self.set.store(1, Ordering::Release);
        fence::<P>();
        // Relaxed: the fence orders it after the store.
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        let sleepers = core::mem::take(&mut *self.queue.lock());
        sleepers.iter().for_each(Parker::unpark);
    }
}

impl<P: Primitives> Default for OneShot<P> {
    fn default() -> Self {
        Self::new()
    }
}

/// Between the store and the load of either side: pairs with the one of the other side.
fn fence<P: Primitives>() {
    if !cfg!(feature = "missing-fence") {
        P::fence(Ordering::SeqCst);
    }
}
