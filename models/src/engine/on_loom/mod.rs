//! loom, as it is sound to use it.
//!
//! [`LoomSc`] proves algorithms: all interleavings under sequential consistency, exhaustively.
//! [`LoomWeak`] looks for missing orderings: it shows what weak memory does as far as loom knows
//! it, which is a lot, but it neither finds everything (a load and a write by one thread to the
//! same word hide interleavings from it) nor is everything it finds real (sequentially consistent
//! *accesses* count as acquire and release; fences are right). So a protocol that is to pass it
//! uses fences or read-modify-writes where it needs total order.
//!
//! # What is loom's, and what is ours
//!
//! | | [`LoomSc`] | [`LoomWeak`] |
//! |---|---|---|
//! | which thread goes on, and the backtracking | loom's | loom's |
//! | which operations race, and so what is tried | loom's, on one object of loom's for each of ours | loom's |
//! | that the search is at its end | loom's word | loom's word |
//! | deadlocks | loom's | loom's |
//! | memory: words, locks, tokens | ours ([`sequential`]) | loom's ([`weak`]) |
//! | what is tried and need not be | ours ([`walk`]): executions that are cut | nothing |
//! | choices | ours ([`scripts`]) | ours |
//!
//! So the claim that `LoomSc` goes through everything rests on loom's reduction and on our reasons
//! for cutting, which [`walk`] gives. What holds both to account:
//!
//! - `models/tests/loom_random.rs`: random programs of two and three threads, on which it must see
//!   the same behaviours as a plain search through all schedules, which knows no reduction and has
//!   nothing of loom.
//! - `models/tests/engine_agree.rs`: the same on the scenarios that the plain search finishes.
//! - `models/expected.toml`: on every scenario that it finishes, the set of behaviours is that of
//!   `explore`, which merges states instead; the suites compare the digests of both.
//! - `models/tests/loom_selftest.rs`: what is used of loom does what it is used for, and what is
//!   not used has the defects that it is not used for.
//!
//! # What else is known of loom 0.7.3 and how it is dealt with
//!
//! - `join` multiplies executions: nothing is joined, the last thread to end makes the final check.
//!   The first thread of the plan runs on loom's main thread, which has a small stack.
//! - Environment variables set limits: every field of the builder is set here.
//! - A search that was cut short looks like a complete one: see [`witness`]. A certificate needs
//!   loom's own word that it is through, as many executions as were counted, and no limit.
//! - There is no `choose`: see [`scripts`].
//! - After a panic loom cannot be asked any more: see [`sequential`]. A model that fails leaks its
//!   threads. Where a destructor cannot do its work without them the process aborts, with the
//!   cause on standard error; a run that must fail belongs in a process of its own.

mod scripts;
mod sequential;
mod walk;
mod weak;
mod witness;

use super::{
    Body, Bound, Certificate, Completeness, Engine, Failure, FailureKind, Limits, Outcome, Plan,
    quiet, record,
};
use netpoller::seam::{Ordering, Primitives};
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// loom. `SC`: with sequentially consistent memory, and exhaustively; otherwise with the orderings
/// that are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loom<const SC: bool>;

/// loom with sequentially consistent memory.
pub type LoomSc = Loom<true>;

/// loom with the orderings that are written.
pub type LoomWeak = Loom<false>;

thread_local! {
    static CHOICES: RefCell<scripts::Choices> = RefCell::new(scripts::Choices::default());
}

impl Primitives for LoomSc {
    type AtomicU32 = sequential::Word<u32>;
    type AtomicU64 = sequential::Word<u64>;
    type Mutex<T: Send + core::fmt::Debug> = sequential::Lock<T>;
    type Parker = sequential::Token;

    /// Nothing: the memory is sequentially consistent.
    fn fence(_order: Ordering) {}

    fn parker() -> sequential::Token {
        sequential::Token::of_this_thread()
    }

    fn choose(alternatives: usize) -> usize {
        choose(alternatives)
    }
}

impl Primitives for LoomWeak {
    type AtomicU32 = weak::Word<u32>;
    type AtomicU64 = weak::Word<u64>;
    type Mutex<T: Send + core::fmt::Debug> = weak::Lock<T>;
    type Parker = weak::Token;

    fn fence(order: Ordering) {
        if walk::live() {
            loom::sync::atomic::fence(order);
        }
    }

    fn parker() -> weak::Token {
        weak::Token::of_this_thread()
    }

    fn choose(alternatives: usize) -> usize {
        choose(alternatives)
    }
}

fn choose(alternatives: usize) -> usize {
    let me = record::current();
    let chosen = CHOICES.with_borrow_mut(|choices| choices.choose(me, alternatives));
    record::done(record::Done {
        arguments: [alternatives as u64, 0],
        seen: Some(chosen as u64),
        ..record::Done::new(record::Op::Choose, record::Object::NONE)
    });
    chosen
}

/// A destructor needs a lock whose holder will not run any more, after a panic: it cannot be left,
/// so the process has to go, and says why.
fn nobody_gives_it_back() -> ! {
    eprintln!("a destructor needs a lock that nobody will give back, after this panic:");
    eprintln!("{}\n{}", quiet::message().unwrap_or_default(), record::story());
    std::process::abort();
}

impl<const SC: bool> Engine for Loom<SC>
where
    Loom<SC>: Primitives,
{
    const NAME: &'static str = if SC { "loom-sc" } else { "loom-weak" };
    // Loads of a weak memory read what is over, and no one order explains that.
    const ORDERED: bool = SC;

    fn run(build: impl Fn() -> Plan + Send + Sync + 'static, limits: &Limits) -> Outcome {
        let started = Instant::now();
        let _quiet = quiet::Quiet::begin();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let build = Arc::new(build);
        CHOICES.take();
        let mut cut = limits.preemptions.map(|_| Bound::Preemptions);
        loop {
            match search(&build, &seen, limits, started) {
                Search::Through => {}
                Search::Cut(bound) => {
                    cut = Some(bound);
                    break;
                }
            }
            if !CHOICES.with_borrow_mut(scripts::Choices::next) {
                break;
            }
        }
        let seen = core::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        let completeness = cut.map_or_else(
            || {
                if !SC {
                    return Completeness::Ended;
                }
                let behaviours = seen.behaviours.len();
                let certificate = Certificate::issue(Self::NAME, seen.executions, behaviours);
                Completeness::Exhaustive(certificate)
            },
            Completeness::Bounded,
        );
        Outcome {
            engine: Self::NAME,
            executions: seen.executions,
            behaviours: seen.behaviours.into_iter().collect(),
            completeness,
            time: started.elapsed(),
            states: 0,
            cut: seen.cut,
            depth: seen.depth,
            failure: seen.failure,
        }
    }
}

/// How a search through the interleavings of one script ended.
enum Search {
    Through,
    Cut(Bound),
}

/// What the executions have shown.
#[derive(Debug, Default)]
struct Seen {
    executions: u64,
    cut: u64,
    depth: usize,
    behaviours: HashSet<u128>,
    failure: Option<Failure>,
}

/// Has loom go through the interleavings for the script at hand.
fn search(
    build: &Arc<impl Fn() -> Plan + Send + Sync + 'static>,
    seen: &Arc<Mutex<Seen>>,
    limits: &Limits,
    started: Instant,
) -> Search {
    let count = || seen.lock().unwrap_or_else(PoisonError::into_inner).executions;
    let before = count();
    let left = limits.executions.map(|most| most.saturating_sub(before));
    let time = limits.time.map(|most| most.saturating_sub(started.elapsed()));
    if left == Some(0) {
        return Search::Cut(Bound::Executions);
    }
    let mut builder = loom::model::Builder::new();
    builder.max_threads = loom::MAX_THREADS;
    builder.max_branches = limits.steps;
    // loom stops before the execution with this number, and only looks at limits when the number
    // of the execution is a multiple of the interval.
    builder.max_permutations = left.map(|left| usize::try_from(left + 1).unwrap_or(usize::MAX));
    builder.max_duration = time;
    builder.checkpoint_interval = if left.is_some() || time.is_some() { 1 } else { usize::MAX };
    builder.preemption_bound = limits.preemptions;
    builder.checkpoint_file = None;
    builder.expect_explicit_explore = false;
    builder.location = false;
    builder.log = false;
    let _ = walk::reset();
    let (build, seen_inside) = (Arc::clone(build), Arc::clone(seen));
    let mut result = Ok(());
    let completed = witness::completed(|| {
        result = panic::catch_unwind(AssertUnwindSafe(|| {
            builder.check(move || execute(&*build, &seen_inside));
        }));
    });
    let cut = walk::reset();
    sequential::forget_parkers();
    weak::forget_parkers();
    seen.lock().unwrap_or_else(PoisonError::into_inner).cut += cut;
    if result.is_err() {
        let message = quiet::message().unwrap_or_else(|| "loom gave up".to_owned());
        let kind = if message.starts_with("deadlock") {
            FailureKind::Deadlock
        } else if message.starts_with("Model exceeded") || message.starts_with("[loom") {
            FailureKind::Engine
        } else {
            FailureKind::Panic
        };
        let failure = Failure::now(kind, message);
        seen.lock().unwrap_or_else(PoisonError::into_inner).failure = Some(failure);
        return Search::Cut(Bound::Failure);
    }
    match completed {
        Some(iterations) => {
            assert_eq!(iterations, count() - before, "loom has not run what it says it has");
            Search::Through
        }
        None if left.is_some_and(|left| count() - before >= left) => Search::Cut(Bound::Executions),
        None => Search::Cut(Bound::Time),
    }
}

/// One execution, on loom's main thread.
fn execute(build: &impl Fn() -> Plan, seen: &Arc<Mutex<Seen>>) {
    record::begin();
    quiet::forget();
    sequential::forget_parkers();
    weak::forget_parkers();
    walk::alone();
    CHOICES.with_borrow_mut(scripts::Choices::begin);
    seen.lock().unwrap_or_else(PoisonError::into_inner).executions += 1;
    let plan = build();
    assert!(
        plan.threads.len() <= loom::MAX_THREADS,
        "loom has room for {} threads, the plan has {}",
        loom::MAX_THREADS,
        plan.threads.len()
    );
    let threads_of_the_plan = plan.threads.len();
    let left = Arc::new(AtomicUsize::new(threads_of_the_plan));
    let finally = Arc::new(Mutex::new(plan.finally));
    let mut first = None;
    let threads: Vec<_> =
        (plan.threads.into_iter()).map(|(name, body)| (record::thread(name), body)).collect();
    for (place, body) in threads {
        let (left, finally, seen) = (left.clone(), finally.clone(), Arc::clone(seen));
        let life = move || live(place, body, &left, &finally, &seen);
        if first.is_none() {
            first = Some(life);
        } else {
            // Not joined: loom waits for it, and the last one to end knows that it is.
            let _handle = loom::thread::spawn(life);
        }
    }
    walk::together(threads_of_the_plan);
    if let Some(first) = first {
        first();
    }
}

/// The life of a thread of the plan. A panic ends the search: it is left to unwind.
fn live(
    place: usize,
    body: Body,
    left: &AtomicUsize,
    finally: &Mutex<Option<Body>>,
    seen: &Mutex<Seen>,
) {
    record::resume(place);
    body();
    record::resume(place);
    record::ended();
    walk::idle(place, true);
    if left.fetch_sub(1, SeqCst) > 1 {
        return;
    }
    walk::alone();
    // Which thread it was that ended last is nothing that a thread does or sees.
    record::resume(record::SETUP);
    let finally = finally.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(finally) = finally {
        finally();
    }
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.behaviours.insert(record::behaviour());
    seen.depth = seen.depth.max(record::steps());
}
