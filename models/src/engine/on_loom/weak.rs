//! The primitives on loom, with the orderings that are written.
//!
//! The newest value of a word is kept beside it, for looking at it without a step.
//!
//! # Parking
//!
//! loom's `unpark` must not meet a thread that is blocked in a lock (it panics), and a token that
//! was left before a thread blocks in a lock is lost. So the token is a word of its own, swapped
//! with the orderings that the standard library uses, and loom's park is only slept on: `unpark`
//! of loom is called for a thread that is inside `park` of loom, and for no other. The swaps are
//! steps; loom's park and unpark are none, and without the swaps executions in which a token is
//! left over would be missed.
//!
//! # After a panic
//!
//! The panicking thread unwinds, and its destructors use these primitives; loom is not in a state
//! to be asked. From then on operations are performed on the newest values, at once.

use super::walk;
use crate::engine::quiet;
use crate::engine::record::{self, Done, Object, Op};
use crate::engine::value::Value;
use ::loom::sync::atomic::AtomicU64;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use netpoller::seam::{self, Ordering};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64 as Plain, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Wake, Waker};

thread_local! {
    /// The parkers of the threads of this execution, so that each has one and keeps it.
    static PARKERS: RefCell<Vec<Token>> = const { RefCell::new(Vec::new()) };
}

/// Forgets the parkers of the last execution.
pub(super) fn forget_parkers() {
    let _forgotten = PARKERS.take();
}

/// Performs an operation of loom's on behalf of the running thread, or what takes its place when
/// loom cannot be asked.
fn perform<R>(op: Op, object: Object, live: impl FnOnce() -> R, dead: impl FnOnce() -> R) -> R {
    let me = record::current();
    if !walk::live() {
        return dead();
    }
    record::entered(op, object);
    let result = live();
    record::resume(me);
    result
}

/// An atomic word of loom's.
pub struct Word<V> {
    object: Object,
    word: AtomicU64,
    newest: Plain,
    kind: PhantomData<fn() -> V>,
}

impl<V: Value> Word<V> {
    /// Performs a write that leaves `after` of what was there.
    fn write(
        &self,
        op: Op,
        arguments: [u64; 2],
        live: impl FnOnce(&AtomicU64) -> u64,
        after: impl FnOnce(u64) -> u64,
    ) -> u64 {
        let dead = || self.newest.load(SeqCst);
        let before = perform(op, self.object, || live(&self.word), dead);
        self.newest.store(after(before), SeqCst);
        let seen = (op != Op::Store).then_some(before);
        record::done(Done { arguments, seen, ..Done::new(op, self.object) });
        before
    }
}

impl<V: Value> seam::Atomic<V> for Word<V> {
    fn new(value: V) -> Self {
        Word {
            object: record::made(),
            word: AtomicU64::new(value.bits()),
            newest: Plain::new(value.bits()),
            kind: PhantomData,
        }
    }

    fn load(&self, written: Ordering) -> V {
        let seen =
            perform(Op::Load, self.object, || self.word.load(written), || self.newest.load(SeqCst));
        record::done(Done { seen: Some(seen), ..Done::new(Op::Load, self.object) });
        V::from_bits(seen)
    }

    fn store(&self, value: V, written: Ordering) {
        let value = value.bits();
        let store = |word: &AtomicU64| {
            word.store(value, written);
            0
        };
        self.write(Op::Store, [value, 0], store, |_| value);
    }

    fn swap(&self, value: V, written: Ordering) -> V {
        let value = value.bits();
        let swap = |word: &AtomicU64| word.swap(value, written);
        V::from_bits(self.write(Op::Swap, [value, 0], swap, |_| value))
    }

    fn compare_exchange(
        &self,
        current: V,
        new: V,
        success: Ordering,
        failure: Ordering,
    ) -> Result<V, V> {
        let (old, value) = (current.bits(), new.bits());
        let before = self.write(
            Op::CompareExchange,
            [old, value],
            |word| word.compare_exchange(old, value, success, failure).unwrap_or_else(|now| now),
            |before| if before == old { value } else { before },
        );
        let before = V::from_bits(before);
        if before == current { Ok(before) } else { Err(before) }
    }

    fn fetch_or(&self, mask: V, written: Ordering) -> V {
        let mask = mask.bits();
        let set = |word: &AtomicU64| word.fetch_or(mask, written);
        V::from_bits(self.write(Op::FetchOr, [mask, 0], set, |before| before | mask))
    }

    fn fetch_and(&self, mask: V, written: Ordering) -> V {
        let mask = mask.bits();
        let clear = |word: &AtomicU64| word.fetch_and(mask, written);
        V::from_bits(self.write(Op::FetchAnd, [mask, 0], clear, |before| before & mask))
    }

    fn peek(&self) -> V {
        V::from_bits(self.newest.load(SeqCst))
    }
}

impl<V: Value> fmt::Debug for Word<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&V::from_bits(self.newest.load(SeqCst)), f)
    }
}

/// A lock: loom's around nothing, and beside it the data, at which one can look without a step.
pub struct Lock<T> {
    object: Object,
    gate: loom::sync::Mutex<()>,
    data: Mutex<T>,
}

impl<T: Send + fmt::Debug> seam::Mutex<T> for Lock<T> {
    type Guard<'a>
        = Held<'a, T>
    where
        Self: 'a;

    fn new(value: T, _digest: fn(&T) -> Option<u64>) -> Self {
        let (gate, data) = (loom::sync::Mutex::new(()), Mutex::new(value));
        Lock { object: record::made(), gate, data }
    }

    fn lock(&self) -> Held<'_, T> {
        let gate = perform(
            Op::Lock,
            self.object,
            || Some(self.gate.lock().unwrap_or_else(PoisonError::into_inner)),
            || None,
        );
        let data = match self.data.try_lock() {
            Ok(data) => data,
            Err(TryLockError::Poisoned(data)) => data.into_inner(),
            Err(TryLockError::WouldBlock) => super::nobody_gives_it_back(),
        };
        record::done(Done::new(Op::Lock, self.object));
        Held { object: self.object, data: Some(data), gate }
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        match self.data.try_lock() {
            Ok(data) => look(&data),
            Err(TryLockError::Poisoned(data)) => look(&data.into_inner()),
            Err(TryLockError::WouldBlock) => panic!("peeked into a lock that is held"),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.data.try_lock() {
            Ok(data) => fmt::Debug::fmt(&*data, f),
            Err(_) => f.write_str("<locked>"),
        }
    }
}

/// A lock that is held.
pub struct Held<'a, T> {
    object: Object,
    /// There until it is dropped.
    data: Option<MutexGuard<'a, T>>,
    gate: Option<loom::sync::MutexGuard<'a, ()>>,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data.as_deref().expect("a held lock has data until it is dropped")
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_deref_mut().expect("a held lock has data until it is dropped")
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.data = None;
        record::done(Done::new(Op::Unlock, self.object));
        match self.gate.take() {
            // The gate stays shut: loom cannot be asked to open it.
            Some(gate) if quiet::panicked() => core::mem::forget(gate),
            gate => drop(gate),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Held<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// The parker of a thread.
#[derive(Clone)]
pub struct Token(Arc<Handle>);

struct Handle {
    signal: Arc<Signal>,
    waker: Waker,
}

struct Signal {
    place: usize,
    thread: loom::thread::Thread,
    /// 1 while the token is there.
    token: AtomicU64,
    /// Whether the thread is inside loom's park.
    asleep: AtomicBool,
}

impl Token {
    pub(super) fn of_this_thread() -> Token {
        let place = record::current();
        PARKERS.with_borrow_mut(|parkers| {
            let known = parkers.iter().find(|token| token.0.signal.place == place);
            known.cloned().unwrap_or_else(|| {
                let signal = Arc::new(Signal {
                    place,
                    thread: loom::thread::current(),
                    token: AtomicU64::new(0),
                    asleep: AtomicBool::new(false),
                });
                let waker = Waker::from(Arc::clone(&signal));
                let token = Token(Arc::new(Handle { signal, waker }));
                parkers.push(token.clone());
                token
            })
        })
    }
}

impl Signal {
    fn unpark(&self) {
        let object = Object::thread(self.place);
        let raise = || {
            self.token.swap(1, Ordering::Release);
            if self.asleep.swap(false, SeqCst) {
                self.thread.unpark();
            }
        };
        perform(Op::Unpark, object, raise, || ());
        record::done(Done::new(Op::Unpark, object));
    }
}

impl seam::Parker for Token {
    fn park(&self) {
        let signal = &self.0.signal;
        let object = Object::thread(signal.place);
        let take = || {
            while signal.token.swap(0, Ordering::Acquire) == 0 {
                signal.asleep.store(true, SeqCst);
                loom::thread::park();
            }
        };
        perform(Op::Park, object, take, || ());
        record::done(Done::new(Op::Park, object));
    }

    fn unpark(&self) {
        self.0.signal.unpark();
    }

    fn waker(&self) -> &Waker {
        &self.0.waker
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parker of thread {}", self.0.signal.place)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}
