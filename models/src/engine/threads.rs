//! Threads of the operating system: the primitives that ship, at full speed, many rounds.
//!
//! Nothing is recorded but notes, because recording would order the threads. A round that hangs
//! hangs for ever: to notice needs a clock, and so is left to whoever runs this in a process of
//! its own.

use super::{Completeness, Engine, Failure, FailureKind, Limits, Outcome, Plan, quiet, record};
use netpoller::seam::{Ordering, Os, Primitives};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::Instant;

/// Threads of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

thread_local! {
    /// The state of the random numbers that `choose` draws.
    static RANDOM: Cell<u64> = const { Cell::new(1) };
}

impl Primitives for Threads {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + core::fmt::Debug> = <Os as Primitives>::Mutex<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(alternatives: usize) -> usize {
        // Xorshift: any choice will do, as long as all come up.
        let mut bits = RANDOM.get();
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        RANDOM.set(bits);
        (bits >> 16) as usize % alternatives
    }
}

impl Engine for Threads {
    const NAME: &'static str = "threads";
    const SERIAL: bool = false;

    fn run(build: impl Fn() -> Plan + Send + Sync + 'static, limits: &Limits) -> Outcome {
        let started = Instant::now();
        let mut outcome = Outcome {
            engine: Self::NAME,
            executions: 0,
            behaviours: BTreeSet::new(),
            completeness: Completeness::Sampled { rounds: limits.rounds, seed: 0 },
            time: started.elapsed(),
            states: 0,
            cut: 0,
            depth: 0,
            failure: None,
        };
        while outcome.executions < limits.rounds
            && outcome.failure.is_none()
            && limits.time.is_none_or(|most| started.elapsed() < most)
        {
            outcome.failure = round(&build, limits.seed ^ outcome.executions);
            outcome.executions += 1;
            if outcome.failure.is_none() {
                outcome.behaviours.insert(record::behaviour());
            }
        }
        outcome.completeness = Completeness::Sampled { rounds: outcome.executions, seed: 0 };
        outcome.time = started.elapsed();
        outcome
    }
}

/// One round: all threads at once, then the final check.
fn round(build: &impl Fn() -> Plan, seed: u64) -> Option<Failure> {
    let _quiet = quiet::Quiet::begin();
    record::begin();
    seed_random(seed, 0);
    let mut message = None;
    let built = panic::catch_unwind(AssertUnwindSafe(build));
    let Ok(plan) = built else { return failure(quiet::message()) };
    let start = Arc::new(Barrier::new(plan.threads.len()));
    let names: Vec<&'static str> = plan.threads.iter().map(|(name, _)| *name).collect();
    let threads = plan.threads.len();
    let (ended, reports) = mpsc::channel();
    for (name, body) in plan.threads {
        let place = record::thread(name);
        let (start, names, ended) = (Arc::clone(&start), names.clone(), ended.clone());
        thread::spawn(move || {
            let _quiet = quiet::Quiet::begin();
            record::begin();
            for name in names {
                record::thread(name);
            }
            record::resume(place);
            seed_random(seed, place);
            start.wait();
            let result = panic::catch_unwind(AssertUnwindSafe(body));
            if result.is_ok() {
                record::ended();
            }
            // Nobody listens any more once another thread has panicked.
            let _ = ended.send((place, record::detach(), quiet::message()));
        });
    }
    drop(ended);
    // After a panic the other threads may wait for ever for what the panicking one owed them:
    // they are left behind, and the run ends with this round.
    for (place, kept, said) in reports.iter().take(threads) {
        record::attach(place, kept);
        message = said;
        if message.is_some() {
            break;
        }
    }
    if message.is_none()
        && let Some(finally) = plan.finally
        && panic::catch_unwind(AssertUnwindSafe(finally)).is_err()
    {
        message = quiet::message();
    }
    message.and_then(|message| failure(Some(message)))
}

fn failure(message: Option<String>) -> Option<Failure> {
    let message = message.unwrap_or_else(|| "a panic that was not reported".to_owned());
    Some(Failure::now(FailureKind::Panic, message))
}

/// Each thread of each round draws numbers of its own, never from zero, where xorshift stays.
fn seed_random(seed: u64, place: usize) {
    let mixed = (seed ^ (place as u64) << 48).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    RANDOM.set(mixed | 1);
}
