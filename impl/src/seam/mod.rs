//! The seam: everything the poller cannot decide by itself comes in here.
//!
//! The state machine is written once, generic over [`System`]. In production the system is
//! [`Os`]: the atomics of the standard library, its mutex, the epoll of Linux, and an observer
//! that is an empty inline function. A model checker brings its own atomics, a simulated kernel
//! and an observer that judges every step. Nothing outside this module and `sys` names
//! `std::sync`, `std::thread`, `std::time`, `std::net` or `libc`; `ci/seam.sh` proves it.
//!
//! # Not covered by semantic versioning
//!
//! These traits are public for the crate `netpoller-models` and for experiments. They change
//! whenever the model needs it.

#[cfg(feature = "runtime")]
pub(crate) mod host;
mod kernel;
mod option;
pub mod os;
mod plain;
#[cfg(feature = "tracing")]
mod traced;

pub use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
pub use core::sync::atomic::Ordering;
pub use kernel::{
    Accepting, Address, Batch, Connecting, Event, HowToShut, Kernel, Kind, RegisterFault,
    SetChange, Timeout,
};
pub use option::{Group, SocketOption, Taking};
pub use os::{Os, Portable};
pub use plain::{Counter, Note, Spread};
// Plumbing that carries no nondeterminism of the protocol: what is behind it is shared, never
// raced for. The reference count of an `Arc` has no effect on the state machine.
pub use std::sync::{Arc, OnceLock, Weak};

use crate::desc::Peek;
use crate::observe::{Call, Noted, Returned, Step};
use crate::poller::Poller;
use core::fmt::Debug;
use core::task::Waker;
use std::io;

/// Where atomics, locks, parking and choices come from.
///
/// All functions are without a receiver: what they need to know, such as the calling thread,
/// an implementer finds by itself.
pub trait Primitives: Debug + Send + Sync + 'static {
    /// A 32-bit atomic word.
    type AtomicU32: Atomic<u32>;
    /// A 64-bit atomic word.
    type AtomicU64: Atomic<u64>;
    /// A mutual exclusion lock. Critical sections under it are a few instructions long.
    type Mutex<T: Send + Debug>: Mutex<T>;
    /// What a thread sleeps on.
    type Parker: Parker;

    /// A fence. The protocol uses sequentially consistent ones only.
    fn fence(order: Ordering);

    /// The parker of the calling thread: always the same one on the same thread.
    fn parker() -> Self::Parker;

    /// A number below `alternatives`, picked by whoever explores. Production returns 0.
    fn choose(alternatives: usize) -> usize;
}

/// The one type parameter of everything in this crate: primitives, a kernel, a clock and an
/// observer. A value of it travels with each poller.
pub trait System: Primitives + Clone {
    /// The kernel that moves the bytes and reports the edges.
    type Kernel: Kernel;

    /// Whether the count of waiters is one of the words of these primitives: for models that are about
    /// it. Elsewhere it is a plain word, and no step of the program that an explorer could interleave.
    const COUNT_IS_MODELLED: bool = false;

    /// The kernel of this system.
    fn kernel(&self) -> &Self::Kernel;

    /// The time. Never goes back.
    fn now(&self) -> Instant;

    /// Is told of every step of the state machine, right after it was taken.
    fn observe(&self, step: &Step);

    /// A future is left parked, and nobody is attached to its poller.
    ///
    /// # Errors
    ///
    /// When a thread that would poll was to be started, and could not.
    #[inline]
    fn unattended(&self, _poller: &Poller<Self>) -> io::Result<()> {
        Ok(())
    }

    /// Is told that the calling thread begins a call on an entry of the slab.
    #[inline]
    fn called(&self, _call: &Call) {}

    /// Is told what the newest call returns that the calling thread has begun on the entry with
    /// this index.
    #[inline]
    fn returned(&self, _index: u32, _returned: &Returned) {}

    /// Is told what happened in the large, outside of all locks.
    #[inline]
    fn noted(&self, _noted: &Noted) {}

    /// Is told what the entry with this index holds, by whoever knows that nobody uses the poller
    /// any more.
    #[inline]
    fn at_rest(&self, _index: u32, _found: &Peek) {}
}

/// An atomic word.
pub trait Atomic<V>: Debug + Send + Sync {
    /// A word that holds `value`. Whoever names words in a report names them after where they are made.
    #[track_caller]
    fn new(value: V) -> Self;
    /// Reads it.
    fn load(&self, order: Ordering) -> V;
    /// Writes it.
    fn store(&self, value: V, order: Ordering);
    /// Writes it and returns what was there.
    fn swap(&self, value: V, order: Ordering) -> V;
    /// Writes `new` if `current` is there; returns what was there as `Ok` or `Err`. Does not fail
    /// spuriously.
    ///
    /// # Errors
    ///
    /// The value that was there instead of `current`.
    fn compare_exchange(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V>;
    /// Sets the bits of `mask` and returns what was there.
    fn fetch_or(&self, mask: V, order: Ordering) -> V;
    /// Clears the bits that are not in `mask` and returns what was there.
    fn fetch_and(&self, mask: V, order: Ordering) -> V;
    /// The newest value, for diagnostics and oracles. Synchronises with nothing, and is not a
    /// step of the program that an explorer could interleave.
    fn peek(&self) -> V;
}

/// A mutual exclusion lock. A holder that panics leaves the contents as they are: the lock is
/// not poisoned.
pub trait Mutex<T>: Debug + Send + Sync {
    /// What holds the lock; dropping it unlocks.
    type Guard<'a>: core::ops::DerefMut<Target = T>
    where
        Self: 'a;

    /// A lock around `value`.
    ///
    /// `digest` condenses the contents for an explorer that recognises states it has seen:
    /// equal digests promise equal futures. `None` says that the contents at hand cannot be
    /// condensed, and the explorer falls back on who wrote them. Production ignores it.
    #[track_caller]
    fn new(value: T, digest: fn(&T) -> Option<u64>) -> Self;

    /// Takes the lock.
    fn lock(&self) -> Self::Guard<'_>;

    /// Looks at the contents without a step that an explorer could interleave; for diagnostics
    /// and oracles.
    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R;
}

/// Condenses numbers to one, for the digest of a [`Mutex`]: FNV-1a over words. Their order counts.
#[must_use]
pub fn condensed(numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, number| (hash ^ number).wrapping_mul(0x0100_0000_01b3))
}

/// What a thread sleeps on: one token. Waking makes the token available, parking waits for it
/// and takes it. A clone is another handle to the same parker.
pub trait Parker: Clone + Debug + Send + Sync {
    /// Waits for the token and takes it. To be called by the thread that owns the parker only.
    fn park(&self);

    /// Makes the token available.
    fn unpark(&self);

    /// A waker that makes the token available. Cloning it allocates nothing.
    fn waker(&self) -> &Waker;
}

/// A point in time: nanoseconds since some start that all instants of one system share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The instant this many nanoseconds after the start.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This instant plus `delay`, or the last instant there is.
    #[must_use]
    pub fn saturating_add(self, delay: core::time::Duration) -> Instant {
        let seconds = delay.as_secs().saturating_mul(1_000_000_000);
        let delay = seconds.saturating_add(u64::from(delay.subsec_nanos()));
        Instant(self.0.saturating_add(delay))
    }

    /// What is left from `now` until this instant; zero when it has passed.
    #[must_use]
    pub fn since(self, now: Instant) -> core::time::Duration {
        core::time::Duration::from_nanos(self.0.saturating_sub(now.0))
    }
}
