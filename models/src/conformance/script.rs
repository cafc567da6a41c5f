//! Primitives whose choices are written out beforehand, on one thread, and whose locks say what is
//! in them: so that a kernel can be led through all its choices and its states compared.
//!
//! A [`Tape`] belongs to one kernel. While it is in use, on this thread, the locks that are made
//! report to it, and [`choose`](Primitives::choose) reads from it; where the script has ended the
//! first alternative is taken. All choices are noted, with how many there were.
//!
//! The state of a kernel is that of its locks. Its clock is a word and not among them: of two
//! kernels that were given the same calls and no signals, the time is the same.

use netpoller::seam::{Mutex, Ordering, Os, Primitives};
use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};

/// The primitives.
#[derive(Clone, Copy, Debug)]
pub struct Scripted;

/// What the locks of one kernel hold, by the order in which they were made.
type Digests = Arc<std::sync::Mutex<Vec<u64>>>;

/// The choices of one kernel.
#[derive(Debug, Default)]
pub(super) struct Tape {
    script: Vec<usize>,
    /// What was chosen, and among how many.
    choices: Vec<(usize, usize)>,
    digests: Digests,
}

thread_local! {
    static IN_USE: RefCell<Tape> = RefCell::default();
}

impl Tape {
    pub(super) fn new(script: Vec<usize>) -> Tape {
        Tape { script, ..Tape::default() }
    }

    /// Runs `body` with this tape.
    pub(super) fn used<R>(&mut self, body: impl FnOnce() -> R) -> R {
        IN_USE.set(std::mem::take(self));
        let result = body();
        *self = IN_USE.take();
        result
    }

    pub(super) fn choices(&self) -> &[(usize, usize)] {
        &self.choices
    }

    /// What the locks hold.
    pub(super) fn digests(&self) -> Vec<u64> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The script that differs from what was chosen at the last possible place, no earlier than
    /// `from`: a search depth first.
    pub(super) fn next_branch(&self, from: usize) -> Option<Vec<usize>> {
        let open = self.choices.iter().rposition(|(taken, among)| taken + 1 < *among)?;
        if open < from {
            return None;
        }
        let mut script: Vec<usize> =
            self.choices[..=open].iter().map(|(taken, _)| *taken).collect();
        script[open] += 1;
        Some(script)
    }

    fn choose(&mut self, alternatives: usize) -> usize {
        let taken = self.script.get(self.choices.len()).copied().unwrap_or(0);
        assert!(taken < alternatives, "a script was written for another program");
        self.choices.push((taken, alternatives));
        taken
    }
}

impl Primitives for Scripted {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + Debug> = Lock<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(alternatives: usize) -> usize {
        IN_USE.with_borrow_mut(|tape| tape.choose(alternatives))
    }
}

/// A lock that says what is in it whenever it is released.
#[derive(Debug)]
pub struct Lock<T> {
    data: std::sync::Mutex<T>,
    digest: fn(&T) -> Option<u64>,
    place: usize,
    digests: Digests,
}

impl<T> Lock<T> {
    fn note(&self, data: &T) {
        let digest = (self.digest)(data).expect("every lock of the kernel can be condensed");
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)[self.place] = digest;
    }
}

impl<T: Send + Debug> Mutex<T> for Lock<T> {
    type Guard<'a>
        = Held<'a, T>
    where
        Self: 'a;

    fn new(value: T, digest: fn(&T) -> Option<u64>) -> Self {
        let digests = IN_USE.with_borrow(|tape| tape.digests.clone());
        let place = {
            let mut all = digests.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(0);
            all.len() - 1
        };
        let lock = Lock { data: std::sync::Mutex::new(value), digest, place, digests };
        drop(lock.lock());
        lock
    }

    fn lock(&self) -> Held<'_, T> {
        let data = self.data.try_lock().expect("one thread, which holds no lock twice");
        Held { lock: self, data }
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.data.try_lock().expect("one thread, which holds no lock twice"))
    }
}

/// A lock that is held.
#[derive(Debug)]
pub struct Held<'a, T: Debug> {
    lock: &'a Lock<T>,
    data: std::sync::MutexGuard<'a, T>,
}

impl<T: Debug> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: Debug> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

impl<T: Debug> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.lock.note(&self.data);
    }
}
