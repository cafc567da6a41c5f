//! Primitives of the operating system whose mutex can be watched: an action can be set to run
//! before a certain lock is taken, by the thread that takes it, which puts another thread's
//! step at an exact place; and the digest of what a lock protects is noted at each unlock.

use netpoller::seam::{Mutex, Ordering, Os, Primitives};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};

/// The primitives.
#[derive(Clone, Debug)]
pub(crate) struct Watched;

type OsMutex<T> = <Os as Primitives>::Mutex<T>;

/// What to do, and before which lock of this thread.
type Action = (usize, Box<dyn FnOnce()>);

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
    static DIGESTS: RefCell<BTreeMap<usize, Option<u64>>> = const { RefCell::new(BTreeMap::new()) };
    static LOCKS: Cell<usize> = const { Cell::new(0) };
    static ACTION: RefCell<Option<Action>> = const { RefCell::new(None) };
}

/// Forgets what was noted on this thread. Mutexes made from now on are numbered from 0.
pub(crate) fn start() {
    MADE.set(0);
    LOCKS.set(0);
    DIGESTS.take();
}

/// The digest of what each mutex protected when it was last unlocked; by mutex, in the order in
/// which they were made.
pub(crate) fn digests() -> BTreeMap<usize, Option<u64>> {
    DIGESTS.with_borrow(Clone::clone)
}

/// How many locks `body` takes on this thread.
pub(crate) fn locks(body: impl FnOnce()) -> usize {
    let before = LOCKS.get();
    body();
    LOCKS.get() - before
}

/// Runs `action` before the lock that comes after `locks` others, once.
pub(crate) fn before_lock(locks: usize, action: impl FnOnce() + 'static) {
    ACTION.set(Some((LOCKS.get() + locks, Box::new(action))));
}

impl Primitives for Watched {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + Debug> = WatchedMutex<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(alternatives: usize) -> usize {
        Os::choose(alternatives)
    }
}

/// The mutex.
#[derive(Debug)]
pub(crate) struct WatchedMutex<T: Send + Debug> {
    place: usize,
    digest: fn(&T) -> Option<u64>,
    inner: OsMutex<T>,
}

impl<T: Send + Debug> Mutex<T> for WatchedMutex<T> {
    type Guard<'a>
        = Guard<'a, T>
    where
        Self: 'a;

    fn new(value: T, digest: fn(&T) -> Option<u64>) -> Self {
        let place = MADE.replace(MADE.get() + 1);
        WatchedMutex { place, digest, inner: OsMutex::new(value, digest) }
    }

    fn lock(&self) -> Guard<'_, T> {
        let due = ACTION.with_borrow_mut(|set| set.take_if(|(at, _)| *at == LOCKS.get()));
        if let Some((_, action)) = due {
            action();
        }
        LOCKS.set(LOCKS.get() + 1);
        Guard { mutex: self, inner: self.inner.lock() }
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.inner.peek(look)
    }
}

/// The guard.
#[derive(Debug)]
pub(crate) struct Guard<'a, T: Send + Debug> {
    mutex: &'a WatchedMutex<T>,
    inner: <OsMutex<T> as Mutex<T>>::Guard<'a>,
}

impl<T: Send + Debug> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: Send + Debug> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: Send + Debug> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        let digest = (self.mutex.digest)(&self.inner);
        DIGESTS.with_borrow_mut(|all| all.insert(self.mutex.place, digest));
    }
}
