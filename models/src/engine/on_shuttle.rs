//! shuttle: long schedules and many threads, sampled.
//!
//! The primitives are shuttle's own, so that this engine shares nothing with
//! [`Explore`](super::Explore) but its coroutines. Every ordering is sequentially consistent
//! there, whatever is written. A thread is picked at random or by priorities (probabilistic
//! concurrency testing); a seed repeats a run.
//!
//! shuttle's `park` may return without a token, and under priorities would do so again and again.
//! The parker here is a semaphore without permits, which is given one when the token appears.
//!
//! An execution that fails is left where it is, and its stacks leak; the run ends with it.

use super::value::Value;
use super::{
    Body, Completeness, Engine, Failure, FailureKind, Limits, Outcome, Plan, Sampling, leaks,
    quiet, record,
};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use netpoller::seam::{self, Ordering, Primitives};
use record::{Done, Object, Op};
use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness};
use shuttle::rand::RngCore as _;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::sync::atomic::AtomicU64;
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64 as Plain, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Instant;

/// The engine that samples schedules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shuttle;

thread_local! {
    /// Whether the coroutines run; if not, operations are performed on what is at hand.
    static LIVE: Cell<bool> = const { Cell::new(false) };
    static PARKERS: RefCell<Vec<Token>> = const { RefCell::new(Vec::new()) };
}

/// Performs an operation of shuttle's on behalf of the running thread. After a failure nothing
/// is scheduled any more: then it is performed on the plain copy.
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

/// An atomic word of shuttle's.
pub struct Word<V> {
    object: Object,
    word: AtomicU64,
    /// Its newest value, for looking without a step.
    newest: Plain,
    kind: PhantomData<fn() -> V>,
}

impl<V: Value> Word<V> {
    fn apply(&self, op: Op, arguments: [u64; 2], after: impl Fn(u64) -> u64) -> V {
        let before = perform(
            op,
            self.object,
            || match op {
                Op::Load => self.word.load(SeqCst),
                Op::CompareExchange => {
                    let [current, new] = arguments;
                    let result = self.word.compare_exchange(current, new, SeqCst, SeqCst);
                    result.unwrap_or_else(|there| there)
                }
                Op::FetchOr => self.word.fetch_or(arguments[0], SeqCst),
                Op::FetchAnd => self.word.fetch_and(arguments[0], SeqCst),
                // What a store overwrites is not shown to the program.
                _ => self.word.swap(arguments[0], SeqCst),
            },
            || self.newest.load(SeqCst),
        );
        self.newest.store(after(before), SeqCst);
        let seen = (op != Op::Store).then_some(before);
        record::done(Done { arguments, seen, ..Done::new(op, self.object) });
        V::from_bits(before)
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
        V::from_bits(self.newest.load(SeqCst))
    }
}

impl<V: Value> fmt::Debug for Word<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&seam::Atomic::peek(self), f)
    }
}

/// A lock: shuttle's around nothing, and beside it the data, at which one can look without a step.
pub struct Lock<T> {
    object: Object,
    gate: shuttle::sync::Mutex<()>,
    data: Mutex<T>,
}

impl<T: Send + fmt::Debug> seam::Mutex<T> for Lock<T> {
    type Guard<'a>
        = Held<'a, T>
    where
        Self: 'a;

    fn new(value: T, _digest: fn(&T) -> Option<u64>) -> Self {
        let (gate, data) = (shuttle::sync::Mutex::new(()), Mutex::new(value));
        Lock { object: record::made(), gate, data }
    }

    fn lock(&self) -> Held<'_, T> {
        let gate = perform(
            Op::Lock,
            self.object,
            || Some(self.gate.lock().unwrap_or_else(PoisonError::into_inner)),
            || None,
        );
        let data = self.data.try_lock();
        let data = match data {
            Ok(data) => data,
            Err(std::sync::TryLockError::Poisoned(data)) => data.into_inner(),
            // The holder will not run any more: unwinding cannot go on, and its cause is known.
            Err(std::sync::TryLockError::WouldBlock) => {
                eprintln!("{}", quiet::message().unwrap_or_default());
                std::process::abort()
            }
        };
        record::done(Done::new(Op::Lock, self.object));
        Held { object: self.object, data: Some(data), gate }
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        match self.data.try_lock() {
            Ok(data) => look(&data),
            Err(std::sync::TryLockError::Poisoned(data)) => look(&data.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => panic!("peeked into a lock that is held"),
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
pub struct Held<'a, T> {
    object: Object,
    /// There until it is dropped.
    data: Option<MutexGuard<'a, T>>,
    gate: Option<shuttle::sync::MutexGuard<'a, ()>>,
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
        let me = record::current();
        match self.gate.take() {
            // The gate stays shut: to open it is a step, and there are no steps any more.
            Some(gate) if quiet::panicked() => core::mem::forget(gate),
            gate => drop(gate),
        }
        record::resume(me);
    }
}

/// The parker of a thread.
#[derive(Clone)]
pub struct Token(Arc<Handle>);

struct Handle {
    signal: Arc<Signal>,
    waker: Waker,
}

/// A token, and a semaphore that has a permit while the token is there.
struct Signal {
    place: usize,
    there: AtomicBool,
    permit: BatchSemaphore,
}

impl Token {
    fn of_this_thread() -> Token {
        let place = record::current();
        PARKERS.with_borrow_mut(|parkers| {
            let known = parkers.iter().find(|token| token.0.signal.place == place);
            known.cloned().unwrap_or_else(|| {
                let permit = BatchSemaphore::new(0, Fairness::StrictlyFair);
                let signal = Arc::new(Signal { place, there: AtomicBool::new(false), permit });
                leaks::count("a waker of a parker", &signal);
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
            shuttle::thread::sleep(core::time::Duration::ZERO);
            if !self.there.swap(true, SeqCst) {
                self.permit.release(1);
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
            signal.permit.acquire_blocking(1).expect("the semaphore is never closed");
            signal.there.store(false, SeqCst);
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

impl Primitives for Shuttle {
    type AtomicU32 = Word<u32>;
    type AtomicU64 = Word<u64>;
    type Mutex<T: Send + fmt::Debug> = Lock<T>;
    type Parker = Token;

    /// Nothing: every ordering is sequentially consistent.
    fn fence(_order: Ordering) {}

    fn parker() -> Token {
        Token::of_this_thread()
    }

    fn choose(alternatives: usize) -> usize {
        let draw = || (shuttle::rand::thread_rng().next_u64() % alternatives as u64) as usize;
        let chosen = perform(Op::Choose, Object::NONE, draw, || 0);
        record::done(Done {
            arguments: [alternatives as u64, 0],
            seen: Some(chosen as u64),
            ..Done::new(Op::Choose, Object::NONE)
        });
        chosen
    }
}

impl Engine for Shuttle {
    const NAME: &'static str = "shuttle";

    fn run(build: impl Fn() -> Plan + Send + Sync + 'static, limits: &Limits) -> Outcome {
        let started = Instant::now();
        let _quiet = quiet::Quiet::begin();
        let rounds = usize::try_from(limits.rounds).unwrap_or(usize::MAX);
        let seed = seed(limits);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let inner: Box<dyn Scheduler + Send> = match limits.sampling {
            Sampling::Random => Box::new(RandomScheduler::new_from_seed(seed, rounds)),
            Sampling::Pct { depth } => {
                Box::new(PctScheduler::new_from_seed(seed, depth.max(1), rounds))
            }
        };
        let mut config = Config::new();
        config.stack_size = 0x4_0000;
        config.failure_persistence = FailurePersistence::None;
        config.max_steps = MaxSteps::FailAfter(limits.steps.max(1));
        config.max_time = limits.time;
        config.silence_warnings = true;
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let scheduler = StopAtFailure { inner, seen: Arc::clone(&seen) };
            let seen = Arc::clone(&seen);
            Runner::new(scheduler, config).run(move || execute(&build, &seen));
        }));
        LIVE.set(false);
        PARKERS.take();
        leaks::end();
        let mut seen = core::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        if result.is_err() && seen.failure.is_none() {
            let message = quiet::message().unwrap_or_else(|| "shuttle gave up".to_owned());
            let kind = if message.starts_with("deadlock") {
                FailureKind::Deadlock
            } else {
                FailureKind::Engine
            };
            seen.failure = Some(Failure::now(kind, message));
        }
        Outcome {
            engine: match limits.sampling {
                Sampling::Random => Self::NAME,
                Sampling::Pct { .. } => "shuttle (pct)",
            },
            executions: seen.executions,
            behaviours: seen.behaviours,
            completeness: Completeness::Sampled { rounds: seen.executions, seed },
            time: started.elapsed(),
            states: 0,
            cut: 0,
            depth: 0,
            failure: seen.failure,
        }
    }
}

/// The seed that counts: shuttle lets an environment variable override the one it is given.
fn seed(limits: &Limits) -> u64 {
    let environment = std::env::var("SHUTTLE_RANDOM_SEED").ok();
    environment.and_then(|seed| seed.parse().ok()).unwrap_or(limits.seed)
}

/// What the executions have shown.
#[derive(Debug, Default)]
struct Seen {
    executions: u64,
    behaviours: BTreeSet<u128>,
    failure: Option<Failure>,
}

/// One execution, from the coroutine that shuttle calls its main thread.
fn execute(build: &impl Fn() -> Plan, seen: &Arc<Mutex<Seen>>) {
    record::begin();
    quiet::forget();
    PARKERS.take();
    leaks::begin();
    LIVE.set(true);
    seen.lock().unwrap_or_else(PoisonError::into_inner).executions += 1;
    let Ok(plan) = panic::catch_unwind(AssertUnwindSafe(build)) else { return failed(seen) };
    let left = Arc::new(AtomicUsize::new(plan.threads.len()));
    let finally = Arc::new(Mutex::new(plan.finally));
    // All have their places before the first of them runs.
    let lives: Vec<_> = (plan.threads.into_iter())
        .map(|(name, body)| {
            let place = record::thread(name);
            let (left, finally, seen) = (left.clone(), finally.clone(), Arc::clone(seen));
            move || live(place, body, &left, &finally, &seen)
        })
        .collect();
    for life in lives {
        // Not joined: the last one to end knows that it is.
        let _handle = shuttle::thread::spawn(life);
    }
}

/// The life of a thread of the plan.
fn live(
    place: usize,
    body: Body,
    left: &AtomicUsize,
    finally: &Mutex<Option<Body>>,
    seen: &Mutex<Seen>,
) {
    record::resume(place);
    if panic::catch_unwind(AssertUnwindSafe(body)).is_err() {
        return failed(seen);
    }
    record::resume(place);
    record::ended();
    if left.fetch_sub(1, SeqCst) > 1 {
        return;
    }
    // Which thread it was that ended last is nothing that a thread does or sees.
    record::resume(record::SETUP);
    let finally = finally.lock().unwrap_or_else(PoisonError::into_inner).take();
    let at_the_end = || {
        finally.into_iter().for_each(|finally| finally());
        PARKERS.take();
        leaks::settle();
    };
    if panic::catch_unwind(AssertUnwindSafe(at_the_end)).is_err() {
        return failed(seen);
    }
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.behaviours.insert(record::behaviour());
}

/// A thread has panicked: from here on nothing is scheduled.
fn failed(seen: &Mutex<Seen>) {
    let message = quiet::message().unwrap_or_else(|| "a panic that was not reported".to_owned());
    let failure = Failure::now(FailureKind::Panic, message);
    seen.lock().unwrap_or_else(PoisonError::into_inner).failure.get_or_insert(failure);
}

/// A scheduler of shuttle's that stops at a failure, without shuttle's noise.
struct StopAtFailure {
    inner: Box<dyn Scheduler + Send>,
    seen: Arc<Mutex<Seen>>,
}

impl StopAtFailure {
    fn failed(&self) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).failure.is_some()
    }
}

impl Scheduler for StopAtFailure {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.failed() { None } else { self.inner.new_execution() }
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        yielding: bool,
    ) -> Option<TaskId> {
        if self.failed() { None } else { self.inner.next_task(runnable, current, yielding) }
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}

/// Has shuttle install its panic hook, which it does once per process: with an empty execution.
pub(crate) fn let_shuttle_install_its_hook() {
    let mut config = Config::new();
    config.silence_warnings = true;
    Runner::new(Once(false), config).run(|| {});
}

/// A scheduler for one execution of one thread.
struct Once(bool);

impl Scheduler for Once {
    fn new_execution(&mut self) -> Option<Schedule> {
        (!core::mem::replace(&mut self.0, true)).then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        _current: Option<TaskId>,
        _yielding: bool,
    ) -> Option<TaskId> {
        runnable.first().map(|task| task.id())
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}
