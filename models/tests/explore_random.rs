//! Random small programs: the search that merges states and lets steps sleep must see what a plain
//! depth-first search over all schedules sees.
//!
//! Programs of two or three threads with words, locks (with and without a digest of what is in them),
//! parking, choices, branches that depend on what was seen, and an oracle that remembers the order
//! in which it was told things. Compared are the behaviours, what the oracle remembered at the end,
//! and whether there is a deadlock.
//!
//! `NETPOLLER_RANDOM_PROGRAMS=20000 cargo test --features shuttle --test explore_random` tries more.

use netpoller::seam::Ordering::SeqCst;
use netpoller::seam::{Atomic as _, Mutex as _, Parker as _, Primitives};
use netpoller_models::engine::{Completeness, Engine, Explore, Limits, Outcome, Plan, Search};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

/// How many programs an ordinary run compares.
const PROGRAMS: u64 = 500;
/// Programs with more schedules are passed over.
const SCHEDULES: u64 = 20_000;
const WORDS: usize = 2;
const LOCKS: usize = 2;

type Word = <Explore as Primitives>::AtomicU64;
type Lock = <Explore as Primitives>::Mutex<u64>;
type Parker = <Explore as Primitives>::Parker;

#[derive(Clone, Debug)]
enum Step {
    Load(usize),
    Store(usize, u64),
    Swap(usize, u64),
    CompareExchange(usize, u64, u64),
    Or(usize, u64),
    /// Adds to what is in a lock, and makes the steps inside.
    Locked(usize, u64, Vec<Step>),
    /// Takes the lock and looks, no more.
    Look(usize),
    Park,
    Unpark(usize),
    Choose(usize),
    /// Tells the oracle a number.
    Tell(u64),
    /// The steps, if what was seen last is odd.
    IfOdd(Vec<Step>),
    /// Waits until this thread sleeps.
    AwaitSleep(usize),
}

#[derive(Clone, Debug)]
struct Program(Vec<Vec<Step>>);

fn some_step(g: &mut Gen, depth: usize) -> Step {
    let below = |g: &mut Gen, bound: usize| usize::arbitrary(g) % bound;
    let few = |g: &mut Gen, depth: usize| {
        (0..1 + usize::arbitrary(g) % 2).map(|_| some_step(g, depth + 1)).collect()
    };
    let word = below(g, WORDS);
    let value = below(g, 3) as u64;
    match below(g, if depth > 1 { 10 } else { 14 }) {
        0 | 1 => Step::Load(word),
        2 => Step::Store(word, value),
        3 => Step::Swap(word, value),
        4 => Step::CompareExchange(word, value, below(g, 3) as u64),
        5 => Step::Or(word, value),
        6 => Step::Unpark(below(g, 3)),
        7 => Step::Choose(2),
        8 => Step::Tell(value),
        9 => Step::Look(below(g, LOCKS)),
        10 => Step::Locked(below(g, LOCKS), value, few(g, depth)),
        11 => Step::IfOdd(few(g, depth)),
        12 => Step::Park,
        _ if below(g, 4) == 0 => Step::AwaitSleep(below(g, 3)),
        _ => Step::Locked(below(g, LOCKS), value, Vec::new()),
    }
}

impl Arbitrary for Program {
    fn arbitrary(g: &mut Gen) -> Self {
        let threads = 2 + usize::arbitrary(g) % 2;
        let most = if threads == 2 { 4 } else { 3 };
        let mut steps = || (0..1 + usize::arbitrary(g) % most).map(|_| some_step(g, 0)).collect();
        Program((0..threads).map(|_| steps()).collect())
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let program = self.clone();
        let places = program.0.iter().enumerate();
        let places: Vec<_> = places
            .flat_map(|(thread, steps)| (0..steps.len()).map(move |at| (thread, at)))
            .collect();
        Box::new(places.into_iter().map(move |(thread, at)| {
            let mut smaller = program.clone();
            smaller.0[thread].remove(at);
            smaller
        }))
    }
}

/// What the threads share.
struct Shared {
    words: Vec<Word>,
    locks: Vec<Lock>,
    parkers: Vec<OnceLock<Parker>>,
    told: Mutex<Vec<u64>>,
}

impl Shared {
    fn new(threads: usize) -> Shared {
        Shared {
            words: (0..WORDS).map(|_| Word::new(0)).collect(),
            // One that says what is in it, and one that does not.
            locks: vec![Lock::new(0, |there| Some(*there)), Lock::new(0, |_| None)],
            parkers: (0..threads).map(|_| OnceLock::new()).collect(),
            told: Mutex::default(),
        }
    }

    fn run(&self, me: usize, steps: &[Step], seen: &mut u64) {
        for step in steps {
            match step {
                Step::Load(word) => *seen = self.words[*word].load(SeqCst),
                Step::Store(word, value) => self.words[*word].store(*value, SeqCst),
                Step::Swap(word, value) => *seen = self.words[*word].swap(*value, SeqCst),
                Step::CompareExchange(word, old, new) => {
                    let result = self.words[*word].compare_exchange(*old, *new, SeqCst, SeqCst);
                    *seen = result.unwrap_or_else(|there| there);
                }
                Step::Or(word, mask) => *seen = self.words[*word].fetch_or(*mask, SeqCst),
                Step::Locked(lock, more, inside) => {
                    let mut held = self.locks[*lock].lock();
                    *seen = *held;
                    *held += more;
                    self.run_inside(me, *lock, inside, seen);
                    drop(held);
                }
                Step::Look(lock) => {
                    let held = self.locks[*lock].lock();
                    *seen = *held;
                }
                Step::Park => self.parkers[me].get().expect("set at the start").park(),
                Step::Unpark(thread) => {
                    if let Some(parker) = self.parkers.get(*thread).and_then(OnceLock::get) {
                        parker.unpark();
                    }
                }
                Step::Choose(ways) => *seen = Explore::choose(*ways) as u64,
                Step::Tell(value) => self.tell(me as u64 * 16 + value),
                Step::IfOdd(inside) => {
                    if *seen % 2 == 1 {
                        self.run(me, inside, seen);
                    }
                }
                Step::AwaitSleep(thread) => {
                    if *thread < self.parkers.len() {
                        Explore::await_sleep(*thread);
                    }
                }
            }
        }
    }

    /// The same inside a lock: it is not taken twice.
    fn run_inside(&self, me: usize, lock: usize, steps: &[Step], seen: &mut u64) {
        for step in steps {
            match step {
                Step::Locked(other, ..) | Step::Look(other) if *other == lock => {}
                Step::Locked(..) | Step::IfOdd(_) => {}
                step => self.run(me, core::slice::from_ref(step), seen),
            }
        }
    }

    fn tell(&self, what: u64) {
        let mut told = self.told.lock().expect("nobody panics with it");
        told.push(what);
        let digest = told.iter().fold(7, |digest: u64, one| digest.wrapping_mul(1_000_003) ^ one);
        Explore::absorb("told", digest);
    }
}

/// What came of a program: the outcome, and what the oracle remembered at the ends.
fn explore(program: &Program, search: Search) -> (Outcome, BTreeSet<Vec<u64>>) {
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let (ends, threads) = (Arc::clone(&told), program.0.clone());
    let build = move || {
        let shared = Arc::new(Shared::new(threads.len()));
        let names = ["a", "b", "c"];
        let mut plan = Plan::new();
        for (me, steps) in threads.iter().cloned().enumerate() {
            let shared = Arc::clone(&shared);
            plan = plan.thread(names[me], move || {
                let _first = shared.parkers[me].set(Explore::parker());
                // Everybody's parker is there before anybody goes on: a thread runs to its first
                // operation before there is a decision.
                shared.run(me, &[Step::Load(0)], &mut 0);
                shared.run(me, &steps, &mut 0);
            });
        }
        let ends = Arc::clone(&ends);
        plan.finally(move || {
            let told = shared.told.lock().expect("nobody panics with it").clone();
            ends.lock().expect("nobody panics with it").insert(told);
        })
    };
    let limits = Limits { search, executions: Some(SCHEDULES), ..Limits::default() };
    let outcome = Explore::run(build, &limits);
    let told = told.lock().expect("nobody panics with it").clone();
    (outcome, told)
}

static COMPARED: AtomicUsize = AtomicUsize::new(0);
static DEADLOCKED: AtomicUsize = AtomicUsize::new(0);

fn both_searches_see_the_same(program: Program) -> bool {
    let (plain, told_plain) = explore(&program, Search::Schedules);
    if matches!(plain.completeness, Completeness::Bounded(_)) && plain.failure.is_none() {
        return true; // too many schedules; how many were compared is asserted
    }
    let (merged, told_merged) = explore(&program, Search::States);
    COMPARED.fetch_add(1, Ordering::Relaxed);
    if plain.failure.is_some() || merged.failure.is_some() {
        DEADLOCKED.fetch_add(1, Ordering::Relaxed);
        return plain.failure.map(|f| f.kind) == merged.failure.map(|f| f.kind);
    }
    merged.assert_exhaustive();
    assert_eq!(told_plain, told_merged, "an order that the oracle was told in was lost");
    plain.behaviours == merged.behaviours && merged.executions <= plain.executions
}

#[test]
fn random_programs_behave_the_same_in_both_searches() {
    let programs = std::env::var("NETPOLLER_RANDOM_PROGRAMS");
    let programs = programs.map_or(PROGRAMS, |number| number.parse().expect("a number"));
    let property = both_searches_see_the_same as fn(Program) -> bool;
    QuickCheck::new().tests(programs).max_tests(2 * programs).quickcheck(property);
    let compared = COMPARED.load(Ordering::Relaxed) as u64;
    let deadlocked = DEADLOCKED.load(Ordering::Relaxed) as u64;
    println!("{compared} programs were compared, {deadlocked} of them deadlock");
    assert!(compared > programs * 9 / 10, "too few programs were small enough: {compared}");
    assert!(deadlocked < compared / 2, "too many programs deadlock: {deadlocked} of {compared}");
}
