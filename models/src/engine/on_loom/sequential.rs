//! The primitives on loom with sequentially consistent memory.
//!
//! What loom is used for is to decide who goes on, and to know when everything was tried. The
//! values lie in plain memory: one thread runs at a time, and an operation is performed at one go
//! between two scheduling points, so there is nothing old to be read. A scheduling point is a
//! [`Gate`]: an object of loom's on which every operation depends on every other one. Those that
//! loom offers for the purpose are not fit for it: its loads hide other loads from the reduction
//! (`models/tests/loom_selftest.rs`), and of an attempt to take its lock that fails nobody outside of
//! loom learns.
//!
//! There are scheduling points only while the threads of the plan are interleaved: while one
//! thread builds the plan or makes the final check it runs alone, and when an execution was cut
//! ([`walk`]) it does not matter.
//!
//! # Waiting
//!
//! A lock is attempted at a scheduling point. When it is held the attempt has changed nothing, and
//! the thread sleeps in loom's park until the lock is given back, to try again. Giving it back is
//! no scheduling point: all that others can tell of it is whether an attempt succeeds, and that is
//! at the same place whether the lock came back just before the attempt or with the last operation
//! of the holder; an attempt that fails leaves things as they were, so there is nothing that could
//! only happen after it.
//!
//! A park is attempted when the token is there: until then the thread sleeps in loom's park.
//!
//! A thread says where it sleeps with no scheduling point before loom's park, and is taken off
//! that place by whoever wakes it. So loom's `unpark` is called once for a thread that is inside of
//! `park`, and for no other: it neither leaves a token behind nor mistakes one kind of waiting for
//! the other.
//!
//! # After a panic
//!
//! The panicking thread unwinds, and its destructors use these primitives; loom is not in a state
//! to be asked. From then on operations are performed at once.

use super::walk::{self, Effect};
use crate::engine::record::{self, Done, Object, Op};
use crate::engine::value::Value;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use netpoller::seam::{self, Ordering};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Wake, Waker};

/// A scheduling point. What it is to loom: a condition variable on which nobody waits, and which
/// is notified; every notification depends on every other one.
#[derive(Debug)]
struct Gate(loom::sync::Condvar);

impl Gate {
    fn new() -> Gate {
        Gate(loom::sync::Condvar::new())
    }

    /// Comes back when the calling thread is to perform the operation.
    fn pass(&self, op: Op, object: Object) {
        if walk::interleaves() {
            let me = record::current();
            record::entered(op, object);
            self.0.notify_all();
            record::resume(me);
            walk::picked(me);
        }
    }
}

/// Sleeps until somebody calls [`Sleeper::wake`] on what this puts into `place`.
fn sleep_in(place: impl FnOnce(Sleeper)) {
    let me = record::current();
    place(Sleeper { place: me, thread: loom::thread::current() });
    walk::idle(me, true);
    loom::thread::park();
    record::resume(me);
}

/// A thread that is inside of loom's park.
#[derive(Debug)]
struct Sleeper {
    place: usize,
    thread: loom::thread::Thread,
}

impl Sleeper {
    fn wake(self) {
        if walk::live() {
            walk::idle(self.place, false);
            self.thread.unpark();
        }
    }
}

/// An atomic word.
pub struct Word<V> {
    object: Object,
    gate: Gate,
    /// An atomic for the sake of `Sync` only: one thread runs at a time.
    value: AtomicU64,
    kind: PhantomData<fn() -> V>,
}

impl<V: Value> Word<V> {
    fn apply(&self, op: Op, arguments: [u64; 2], after: impl FnOnce(u64) -> u64) -> V {
        self.gate.pass(op, self.object);
        let before = self.value.load(Relaxed);
        let after = after(before);
        self.value.store(after, Relaxed);
        let effect = if after == before { Effect::Looks } else { Effect::Changes };
        walk::performed(record::current(), self.object, effect);
        let seen = (op != Op::Store).then_some(before);
        record::done(Done { arguments, seen, ..Done::new(op, self.object) });
        V::from_bits(before)
    }
}

impl<V: Value> seam::Atomic<V> for Word<V> {
    fn new(value: V) -> Self {
        let value = AtomicU64::new(value.bits());
        Word { object: record::made(), gate: Gate::new(), value, kind: PhantomData }
    }

    fn load(&self, _order: Ordering) -> V {
        self.apply(Op::Load, [0; 2], |there| there)
    }

    fn store(&self, value: V, _order: Ordering) {
        self.apply(Op::Store, [value.bits(), 0], |_| value.bits());
    }

    fn swap(&self, value: V, _order: Ordering) -> V {
        self.apply(Op::Swap, [value.bits(), 0], |_| value.bits())
    }

    fn compare_exchange(
        &self,
        current: V,
        new: V,
        _success: Ordering,
        _failure: Ordering,
    ) -> Result<V, V> {
        let before = self.apply(Op::CompareExchange, [current.bits(), new.bits()], |there| {
            if there == current.bits() { new.bits() } else { there }
        });
        if before == current { Ok(before) } else { Err(before) }
    }

    fn fetch_or(&self, mask: V, _order: Ordering) -> V {
        self.apply(Op::FetchOr, [mask.bits(), 0], |there| there | mask.bits())
    }

    fn fetch_and(&self, mask: V, _order: Ordering) -> V {
        self.apply(Op::FetchAnd, [mask.bits(), 0], |there| there & mask.bits())
    }

    fn peek(&self) -> V {
        V::from_bits(self.value.load(Relaxed))
    }
}

impl<V: Value> fmt::Debug for Word<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&seam::Atomic::peek(self), f)
    }
}

/// A lock: a flag, who waits for it, and the data.
pub struct Lock<T> {
    object: Object,
    gate: Gate,
    held: AtomicBool,
    waiters: Mutex<Vec<Sleeper>>,
    data: Mutex<T>,
}

impl<T> Lock<T> {
    /// An attempt is a step whether it succeeds or not: loom has to know of it before the thread
    /// sleeps, or the race with the holder's own would be noticed when it is too late.
    fn acquire(&self) {
        let me = record::current();
        loop {
            self.gate.pass(Op::Lock, self.object);
            if !self.held.swap(true, Relaxed) || !walk::live() {
                return walk::performed(me, self.object, Effect::Changes);
            }
            walk::performed(me, self.object, Effect::Looks);
            record::entered(Op::Lock, self.object);
            sleep_in(|me| {
                self.waiters.lock().unwrap_or_else(PoisonError::into_inner).push(me);
            });
        }
    }

    fn give_back(&self) {
        self.held.store(false, Relaxed);
        let waiters =
            core::mem::take(&mut *self.waiters.lock().unwrap_or_else(PoisonError::into_inner));
        waiters.into_iter().for_each(Sleeper::wake);
    }
}

impl<T: Send + fmt::Debug> seam::Mutex<T> for Lock<T> {
    type Guard<'a>
        = Held<'a, T>
    where
        Self: 'a;

    fn new(value: T, _digest: fn(&T) -> Option<u64>) -> Self {
        Lock {
            object: record::made(),
            gate: Gate::new(),
            held: AtomicBool::new(false),
            waiters: Mutex::default(),
            data: Mutex::new(value),
        }
    }

    fn lock(&self) -> Held<'_, T> {
        self.acquire();
        let data = match self.data.try_lock() {
            Ok(data) => data,
            Err(TryLockError::Poisoned(data)) => data.into_inner(),
            Err(TryLockError::WouldBlock) => super::nobody_gives_it_back(),
        };
        record::done(Done::new(Op::Lock, self.object));
        Held { lock: self, data: Some(data) }
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
    lock: &'a Lock<T>,
    /// There until it is dropped.
    data: Option<MutexGuard<'a, T>>,
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
        record::done(Done::new(Op::Unlock, self.lock.object));
        self.lock.give_back();
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
    gate: Gate,
    /// Whether the token is there.
    token: AtomicBool,
    /// The thread, while it waits for the token.
    sleeper: Mutex<Option<Sleeper>>,
}

thread_local! {
    /// The parkers of the threads of this execution, so that each has one and keeps it.
    static PARKERS: RefCell<Vec<Token>> = const { RefCell::new(Vec::new()) };
}

/// Forgets the parkers of the last execution.
pub(super) fn forget_parkers() {
    let _forgotten = PARKERS.take();
}

impl Token {
    pub(super) fn of_this_thread() -> Token {
        let place = record::current();
        PARKERS.with_borrow_mut(|parkers| {
            let known = parkers.iter().find(|token| token.0.signal.place == place);
            known.cloned().unwrap_or_else(|| {
                let (token, sleeper) = (AtomicBool::new(false), Mutex::new(None));
                let signal = Arc::new(Signal { place, gate: Gate::new(), token, sleeper });
                let waker = Waker::from(Arc::clone(&signal));
                let token = Token(Arc::new(Handle { signal, waker }));
                parkers.push(token.clone());
                token
            })
        })
    }
}

impl Signal {
    fn sleeper(&self) -> MutexGuard<'_, Option<Sleeper>> {
        self.sleeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unpark(&self) {
        let object = Object::thread(self.place);
        self.gate.pass(Op::Unpark, object);
        self.token.store(true, Relaxed);
        let sleeper = self.sleeper().take();
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
        walk::performed(record::current(), object, Effect::Wakes);
        record::done(Done::new(Op::Unpark, object));
    }
}

impl seam::Parker for Token {
    fn park(&self) {
        let signal = &self.0.signal;
        let object = Object::thread(signal.place);
        while !signal.token.load(Relaxed) && walk::live() {
            record::entered(Op::Park, object);
            sleep_in(|me| *signal.sleeper() = Some(me));
        }
        signal.gate.pass(Op::Park, object);
        signal.token.store(false, Relaxed);
        walk::performed(record::current(), object, Effect::Changes);
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
