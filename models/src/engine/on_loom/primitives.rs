//! The primitives on loom, in two flavours.
//!
//! `SC` says how operations are issued. If it is true, each is a read-modify-write: loom's loads
//! may return old values even where everything is sequentially consistent, and a load followed by
//! a write to the same word hides interleavings from its reduction; read-modify-writes have
//! neither defect. If it is false, everything is issued as it is written.
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

use crate::engine::quiet;
use crate::engine::record::{self, Done, Object, Op};
use crate::engine::value::Value;
use ::loom::sync::atomic::AtomicU64;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use netpoller::seam::{self, Ordering};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, AtomicU64 as Plain, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Wake, Waker};

thread_local! {
    /// Whether a model runs on this thread of the operating system.
    static LIVE: Cell<bool> = const { Cell::new(false) };
    static PARKERS: RefCell<Vec<(usize, Box<dyn core::any::Any>)>> =
        const { RefCell::new(Vec::new()) };
}

/// An execution begins, or no more are to come.
pub(super) fn live(live: bool) {
    LIVE.set(live);
    PARKERS.take();
}

/// Performs an operation of loom's on behalf of the running thread, or what takes its place when
/// loom cannot be asked.
fn perform<R>(op: Op, object: Object, live: impl FnOnce() -> R, dead: impl FnOnce() -> R) -> R {
    let me = record::current();
    if !LIVE.get() || quiet::panicked() {
        return dead();
    }
    record::entered(op, object);
    let result = live();
    record::resume(me);
    result
}

/// An atomic word of loom's.
pub struct Word<V, const SC: bool> {
    object: Object,
    word: AtomicU64,
    newest: Plain,
    kind: PhantomData<fn() -> V>,
}

impl<V: Value, const SC: bool> Word<V, SC> {
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

/// With which ordering a read-modify-write is issued.
fn order<const SC: bool>(written: Ordering) -> Ordering {
    if SC { Ordering::SeqCst } else { written }
}

impl<V: Value, const SC: bool> seam::Atomic<V> for Word<V, SC> {
    fn new(value: V) -> Self {
        Word {
            object: record::made(),
            word: AtomicU64::new(value.bits()),
            newest: Plain::new(value.bits()),
            kind: PhantomData,
        }
    }

    fn load(&self, written: Ordering) -> V {
        let seen = perform(
            Op::Load,
            self.object,
            || if SC { self.word.fetch_or(0, Ordering::SeqCst) } else { self.word.load(written) },
            || self.newest.load(SeqCst),
        );
        record::done(Done { seen: Some(seen), ..Done::new(Op::Load, self.object) });
        V::from_bits(seen)
    }

    fn store(&self, value: V, written: Ordering) {
        let value = value.bits();
        let store = |word: &AtomicU64| {
            if SC {
                word.swap(value, Ordering::SeqCst)
            } else {
                word.store(value, written);
                0
            }
        };
        self.write(Op::Store, [value, 0], store, |_| value);
    }

    fn swap(&self, value: V, written: Ordering) -> V {
        let value = value.bits();
        let swap = |word: &AtomicU64| word.swap(value, order::<SC>(written));
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
        let (success, failure) = (order::<SC>(success), order::<SC>(failure));
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
        let set = |word: &AtomicU64| word.fetch_or(mask, order::<SC>(written));
        V::from_bits(self.write(Op::FetchOr, [mask, 0], set, |before| before | mask))
    }

    fn fetch_and(&self, mask: V, written: Ordering) -> V {
        let mask = mask.bits();
        let clear = |word: &AtomicU64| word.fetch_and(mask, order::<SC>(written));
        V::from_bits(self.write(Op::FetchAnd, [mask, 0], clear, |before| before & mask))
    }

    fn peek(&self) -> V {
        V::from_bits(self.newest.load(SeqCst))
    }
}

impl<V: Value, const SC: bool> fmt::Debug for Word<V, SC> {
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
            Err(TryLockError::WouldBlock) => {
                // The holder will not run any more, and a destructor cannot be left: the process
                // has to go, and says why.
                eprintln!(
                    "a destructor needs a lock that nobody will give back, after this panic:"
                );
                eprintln!("{}\n{}", quiet::message().unwrap_or_default(), record::story());
                std::process::abort();
            }
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
pub struct Token<const SC: bool>(Arc<Handle<SC>>);

struct Handle<const SC: bool> {
    signal: Arc<Signal<SC>>,
    waker: Waker,
}

struct Signal<const SC: bool> {
    place: usize,
    thread: loom::thread::Thread,
    /// 1 while the token is there.
    token: AtomicU64,
    /// Whether the thread is inside loom's park.
    asleep: AtomicBool,
}

impl<const SC: bool> Token<SC> {
    pub(super) fn of_this_thread() -> Token<SC> {
        let place = record::current();
        let known = PARKERS.with_borrow(|parkers| {
            let known = parkers.iter().find(|(known, _)| *known == place);
            known.and_then(|(_, token)| token.downcast_ref::<Token<SC>>().cloned())
        });
        known.unwrap_or_else(|| {
            let signal = Arc::new(Signal {
                place,
                thread: loom::thread::current(),
                token: AtomicU64::new(0),
                asleep: AtomicBool::new(false),
            });
            let waker = Waker::from(Arc::clone(&signal));
            let token = Token(Arc::new(Handle { signal, waker }));
            PARKERS.with_borrow_mut(|parkers| parkers.push((place, Box::new(token.clone()))));
            token
        })
    }
}

impl<const SC: bool> Signal<SC> {
    fn unpark(&self) {
        let object = Object::thread(self.place);
        let raise = || {
            self.token.swap(1, order::<SC>(Ordering::Release));
            if self.asleep.swap(false, SeqCst) {
                self.thread.unpark();
            }
        };
        perform(Op::Unpark, object, raise, || ());
        record::done(Done::new(Op::Unpark, object));
    }
}

impl<const SC: bool> seam::Parker for Token<SC> {
    fn park(&self) {
        let signal = &self.0.signal;
        let object = Object::thread(signal.place);
        let take = || {
            while signal.token.swap(0, order::<SC>(Ordering::Acquire)) == 0 {
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

impl<const SC: bool> fmt::Debug for Token<SC> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parker of thread {}", self.0.signal.place)
    }
}

impl<const SC: bool> Wake for Signal<SC> {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.unpark();
    }
}
