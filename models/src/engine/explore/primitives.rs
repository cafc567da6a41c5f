//! The primitives of explore: declared, decided upon, performed, observed.
//!
//! None of them is built on shuttle's. A word is a cell with a value, a lock is a flag in the run
//! beside the data, a token is a flag in the run. What they have in common is [`perform`]: declare
//! the operation, let the run decide who goes on, and when this thread does, perform the operation
//! at one go.
//!
//! Outside of the phase in which threads are interleaved (while the plan is built, in the final
//! check, in the destructors of an execution that has failed) operations are performed at once.

use super::crew;
use super::state::{self, Needs, Way};
use crate::engine::leaks;
use crate::engine::quiet;
use crate::engine::record::{self, Done, Object, Op};
use crate::engine::value::Value;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use netpoller::seam::{self, Ordering};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::task::{Wake, Waker};

/// Comes back when the calling thread is to perform the operation.
fn perform(op: Op, object: Object, needs: Needs) {
    let me = record::current();
    let declare = |run: &mut state::Run| {
        if !run.interleaves(me) {
            return None;
        }
        record::entered(op, object);
        Some(run.declare(me, op, object, needs))
    };
    if let Some(Some(Way::Switch)) = state::with(declare) {
        crew::yields();
        record::resume(me);
    }
}

/// An atomic word.
pub struct Word<V> {
    object: Object,
    // An atomic for the sake of `Sync` only: one thread runs at a time.
    value: AtomicU64,
    kind: PhantomData<fn() -> V>,
}

impl<V: Value> Word<V> {
    fn apply(&self, op: Op, arguments: [u64; 2], after: impl FnOnce(u64) -> u64) -> V {
        perform(op, self.object, Needs::Nothing);
        let before = self.value.load(Relaxed);
        let after = after(before);
        if after != before {
            self.value.store(after, Relaxed);
            state::with(|run| run.atomic(self.object, Some(before), after));
        }
        let seen = (op != Op::Store).then_some(before);
        state::observe(Done { arguments, seen, ..Done::new(op, self.object) });
        V::from_bits(before)
    }
}

impl<V: Value> seam::Atomic<V> for Word<V> {
    fn new(value: V) -> Self {
        let object = record::made();
        state::with(|run| run.atomic(object, None, value.bits()));
        Word { object, value: AtomicU64::new(value.bits()), kind: PhantomData }
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

/// A lock: who holds it is known to the run, what is in it lies here.
pub struct Lock<T> {
    object: Object,
    /// Its number in the run.
    number: usize,
    epoch: u64,
    data: Mutex<T>,
    digest: fn(&T) -> Option<u64>,
}

impl<T: Send + fmt::Debug> seam::Mutex<T> for Lock<T> {
    type Guard<'a>
        = Held<'a, T>
    where
        Self: 'a;

    fn new(value: T, digest: fn(&T) -> Option<u64>) -> Self {
        let object = record::made();
        let made = state::with(|run| (run.lock_made(object, digest(&value)), run.epoch()));
        let (number, epoch) = made.unwrap_or_default();
        Lock { object, number, epoch, data: Mutex::new(value), digest }
    }

    fn lock(&self) -> Held<'_, T> {
        let me = record::current();
        perform(Op::Lock, self.object, Needs::Lock(self.number));
        if quiet::unwinding(me) {
            self.wait_while_unwinding(me);
        }
        state::observe(Done::new(Op::Lock, self.object));
        state::with(|run| {
            if run.epoch() == self.epoch {
                run.locked(me, self.number);
            }
        });
        let data = match self.data.try_lock() {
            Ok(data) => data,
            Err(TryLockError::Poisoned(data)) => data.into_inner(),
            Err(TryLockError::WouldBlock) => unreachable!("a lock was handed out while it is held"),
        };
        Held { lock: self, data: Some(data), written: false }
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        match self.data.try_lock() {
            Ok(data) => look(&data),
            Err(TryLockError::Poisoned(data)) => look(&data.into_inner()),
            Err(TryLockError::WouldBlock) => panic!("peeked into a lock that is held"),
        }
    }
}

impl<T> Lock<T> {
    /// The destructors of a failed thread are not interleaved any more, but may need a lock that
    /// another thread was stopped with. Then others go on until it was given back.
    fn wait_while_unwinding(&self, me: usize) {
        let way = state::with(|run| {
            let free = run.epoch() != self.epoch || run.lock_is_free(self.number);
            if free { Way::Ahead } else { run.await_lock(me, self.number, self.object) }
        });
        match way.unwrap_or(Way::Ahead) {
            Way::Ahead => {}
            Way::Switch => {
                crew::yields();
                record::resume(me);
            }
            Way::Nowhere => {
                eprintln!(
                    "a destructor needs a lock that nobody will give back, after this panic:"
                );
                eprintln!("{}\n{}", quiet::message().unwrap_or_default(), record::story());
                std::process::abort();
            }
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
#[derive(Debug)]
pub struct Held<'a, T: fmt::Debug> {
    lock: &'a Lock<T>,
    /// There until it is dropped.
    data: Option<MutexGuard<'a, T>>,
    written: bool,
}

impl<T: fmt::Debug> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data.as_deref().expect("a held lock has data until it is dropped")
    }
}

impl<T: fmt::Debug> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.written = true;
        self.data.as_deref_mut().expect("a held lock has data until it is dropped")
    }
}

impl<T: fmt::Debug> Drop for Held<'_, T> {
    fn drop(&mut self) {
        let lock = self.lock;
        // What nobody could write to is what it was.
        let data = self.data.as_deref().filter(|_| self.written);
        let condensed = data.and_then(lock.digest);
        self.data = None;
        let me = record::current();
        record::done(Done::new(Op::Unlock, lock.object));
        state::with(|run| {
            if run.epoch() == lock.epoch {
                run.unlocked(me, lock.number, condensed, self.written);
            }
        });
    }
}

/// The parker of a thread: its token lies in the run.
#[derive(Clone)]
pub struct Token(Arc<Handle>);

struct Handle {
    /// Whose it is.
    place: usize,
    epoch: u64,
    waker: Waker,
}

/// What a waker of a parker holds.
struct Signal {
    place: usize,
    epoch: u64,
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
        let epoch = state::with(|run| run.epoch()).unwrap_or(0);
        PARKERS.with_borrow_mut(|parkers| {
            let known = parkers.iter().find(|token| token.0.place == place);
            known.cloned().unwrap_or_else(|| {
                let signal = Arc::new(Signal { place, epoch });
                leaks::count("a waker of a parker", &signal);
                let waker = Waker::from(signal);
                let token = Token(Arc::new(Handle { place, epoch, waker }));
                parkers.push(token.clone());
                token
            })
        })
    }
}

fn unpark(place: usize, epoch: u64) {
    if state::with(|run| run.epoch()) != Some(epoch) {
        return;
    }
    perform(Op::Unpark, Object::thread(place), Needs::Nothing);
    state::with(|run| run.token(place, true));
    state::observe(Done::new(Op::Unpark, Object::thread(place)));
}

/// Comes back when the thread at this place is parked and nobody has made its token available.
pub(super) fn await_sleep(place: usize) {
    let object = Object::thread(place);
    perform(Op::Asleep, object, Needs::Asleep(place));
    state::observe(Done::new(Op::Asleep, object));
}

impl seam::Parker for Token {
    fn park(&self) {
        let object = Object::thread(self.0.place);
        perform(Op::Park, object, Needs::Token);
        let there = state::with(|run| {
            // Only where nothing is interleaved any more can it be missing.
            let there = run.has_token(self.0.place) || !run.interleaves(self.0.place);
            run.token(self.0.place, false);
            there
        });
        assert_ne!(there, Some(false), "a thread came out of park without a token");
        state::observe(Done::new(Op::Park, object));
    }

    fn unpark(&self) {
        unpark(self.0.place, self.0.epoch);
    }

    fn waker(&self) -> &Waker {
        &self.0.waker
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parker of thread {}", self.0.place)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        unpark(self.place, self.epoch);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        unpark(self.place, self.epoch);
    }
}
