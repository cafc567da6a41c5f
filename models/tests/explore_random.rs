//! Random small programs: the search that merges states and leaves steps out must see what a plain
//! depth-first search over all schedules sees.
//!
//! Programs of two to four threads with words, locks (with and without a digest of what is in them),
//! parking, choices, branches that depend on what was seen, sealed calls, and oracles: one that remembers the order
//! in which it was told things, and one that remembers which calls had begun when others ended. Compared
//! are the behaviours, what the oracles remembered at the end, whether there is a deadlock, and, with the
//! search that merges states and leaves nothing out, the number of states. The same is asked of the search in
//! two, three or five parts, and by two threads that share what they learn. The plain search is audited
//! meanwhile: it keeps each state in full, and fails where a fingerprint does not stand for one state, or
//! a state not for one future.
//!
//! Each program is compared once more with about a half of its steps in sealed calls.
//!
//! An ordinary run compares the same 500 programs each time. `ci/random-programs.sh` compares 20,000,
//! each time others, and prints the seed.

use netpoller::seam::Ordering::SeqCst;
use netpoller::seam::{Atomic as _, Mutex as _, Parker as _, Primitives};
use netpoller_models::engine::{
    Completeness, Engine, Explore, FailureKind, Limits, Outcome, Plan, Prefixes, Search,
};
use netpoller_models::oracle::{self, Which};
use quickcheck::{Arbitrary, Gen, QuickCheck};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How many programs an ordinary run compares.
const PROGRAMS: u64 = 500;
/// Where the random numbers of an ordinary run start.
const SEED: u64 = 0x5eed;
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
    /// A call about a part of what the other oracle looks at, with a load and these steps.
    Call(u32, Vec<Step>),
    /// The steps, if what was seen last is odd.
    IfOdd(Vec<Step>),
    /// The steps, of which the thread remembers whether what it saw last was odd.
    Sealed(Vec<Step>),
    /// Waits until this thread sleeps.
    AwaitSleep(usize),
}

#[derive(Clone, Debug)]
struct Program {
    /// Whether the setup makes a choice, which all threads know.
    chooses: bool,
    /// What each thread does; the first step is an operation, so that everybody's parker is there
    /// before anybody goes on.
    threads: Vec<Vec<Step>>,
}

/// What a program is mostly made of: a program of everything has too little of each to go wrong.
#[derive(Clone, Copy)]
enum Kind {
    Words,
    Locks,
    Parking,
    Telling,
    Everything,
}

fn below(g: &mut Gen, bound: usize) -> usize {
    usize::arbitrary(g) % bound
}

fn on_a_word(g: &mut Gen) -> Step {
    let (word, value) = (below(g, WORDS), below(g, 3) as u64);
    match below(g, 7) {
        0..3 => Step::Load(word),
        3 => Step::Store(word, value),
        4 => Step::Swap(word, value),
        5 => Step::CompareExchange(word, value, below(g, 3) as u64),
        _ => Step::Or(word, value),
    }
}

fn on_a_lock(g: &mut Gen, kind: Kind, depth: usize) -> Step {
    let (lock, more) = (below(g, LOCKS), below(g, 3) as u64);
    match below(g, 3) {
        0 => Step::Look(lock),
        1 => Step::Locked(lock, more, Vec::new()),
        _ => Step::Locked(lock, more, few(g, kind, depth)),
    }
}

fn few(g: &mut Gen, kind: Kind, depth: usize) -> Vec<Step> {
    (0..1 + below(g, 2)).map(|_| some_step(g, kind, depth + 1)).collect()
}

fn some_step(g: &mut Gen, kind: Kind, depth: usize) -> Step {
    let kind = match kind {
        Kind::Everything => {
            let kinds = [Kind::Words, Kind::Locks, Kind::Parking, Kind::Telling];
            kinds[below(g, kinds.len())]
        }
        // A third of it is something else.
        kind if below(g, 3) > 0 => kind,
        _ => Kind::Words,
    };
    match kind {
        Kind::Words if depth < 2 && below(g, 6) == 0 => Step::IfOdd(few(g, kind, depth)),
        Kind::Locks if depth < 2 => on_a_lock(g, kind, depth),
        Kind::Words | Kind::Locks | Kind::Everything => on_a_word(g),
        Kind::Parking => match below(g, 7) {
            0..4 => Step::Unpark(below(g, 3)),
            4..6 => Step::Park,
            _ => Step::AwaitSleep(below(g, 3)),
        },
        Kind::Telling => match below(g, 8) {
            0 => Step::Tell(below(g, 3) as u64),
            1..3 => Step::Choose(2),
            3..7 if depth < 2 => Step::Call(below(g, 2) as u32, few(g, kind, depth + 1)),
            _ if depth < 2 => Step::IfOdd(few(g, kind, depth)),
            _ => Step::Tell(1),
        },
    }
}

impl Arbitrary for Program {
    fn arbitrary(g: &mut Gen) -> Self {
        let kinds = [Kind::Words, Kind::Locks, Kind::Parking, Kind::Telling, Kind::Everything];
        let kind = kinds[below(g, kinds.len())];
        let threads = 2 + below(g, 3);
        let most = [5, 4, 2][threads - 2];
        let mut thread = || {
            let first = on_a_word(g);
            let others = (0..below(g, most)).map(|_| some_step(g, kind, 0)).collect::<Vec<_>>();
            std::iter::once(first).chain(others).collect()
        };
        let threads = (0..threads).map(|_| thread()).collect();
        Program { chooses: below(g, 8) == 0, threads }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let program = self.clone();
        let places = program.threads.iter().enumerate();
        let places: Vec<_> = places
            .flat_map(|(thread, steps)| (1..steps.len()).map(move |at| (thread, at)))
            .collect();
        Box::new(places.into_iter().map(move |(thread, at)| {
            let mut smaller = program.clone();
            smaller.threads[thread].remove(at);
            smaller
        }))
    }
}

impl Program {
    /// The same, where each thread makes its steps but the first by twos, and every other time within a sealed call.
    fn sealed(&self) -> Program {
        let thread = |steps: &Vec<Step>| {
            let (first, others) = steps.split_at(1);
            let seal = |(place, steps): (usize, &[Step])| match place % 2 {
                0 => vec![Step::Sealed(steps.to_vec())],
                _ => steps.to_vec(),
            };
            first.iter().cloned().chain(others.chunks(2).enumerate().flat_map(seal)).collect()
        };
        Program { chooses: self.chooses, threads: self.threads.iter().map(thread).collect() }
    }
}

/// What the threads share.
struct Shared {
    words: Vec<Word>,
    locks: Vec<Lock>,
    parkers: Vec<OnceLock<Parker>>,
    told: Mutex<Vec<u64>>,
    calls: Mutex<Vec<Call>>,
}

/// A call, as an oracle knows it.
struct Call {
    /// Its thread, and how many calls that had made before.
    name: (usize, usize),
    part: u32,
    /// How many operations its thread had performed when it was announced.
    announced: Option<u64>,
    /// The calls about the same part that had begun when this one ended.
    begun: Option<BTreeSet<(usize, usize)>>,
}

impl Call {
    fn has_begun(&self) -> bool {
        self.begun.is_some() || Explore::performed(self.name.0 + 1) > self.announced
    }

    /// Condensed, for an oracle that has no use for the order in which calls end.
    fn condensed(&self) -> u64 {
        let number = |name: &(usize, usize)| (name.0 * 8 + name.1) as u64;
        let of = u64::from(self.part) << 8 | number(&self.name);
        let mix = |all: u64, one: u64| (all ^ one).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.begun.iter().flatten().fold(of + 1, |all, name| mix(all, number(name)))
    }
}

impl Shared {
    fn new(threads: usize) -> Shared {
        Shared {
            words: (0..WORDS).map(|_| Word::new(0)).collect(),
            // One that says what is in it, and one that does not.
            locks: vec![Lock::new(0, |there| Some(*there)), Lock::new(0, |_| None)],
            parkers: (0..threads).map(|_| OnceLock::new()).collect(),
            told: Mutex::default(),
            calls: Mutex::default(),
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
                Step::Call(part, steps) => {
                    let name = self.call(me, *part);
                    *seen = self.words[0].load(SeqCst);
                    self.run(me, steps, seen);
                    self.end(name);
                }
                Step::IfOdd(inside) => {
                    if *seen % 2 == 1 {
                        self.run(me, inside, seen);
                    }
                }
                Step::Sealed(inside) => {
                    let before = *seen;
                    *seen = Explore::sealed(|| {
                        let mut seen = before;
                        self.run(me, inside, &mut seen);
                        seen % 2
                    });
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
                Step::Locked(..) | Step::IfOdd(_) | Step::Call(..) | Step::Sealed(_) => {}
                step => self.run(me, core::slice::from_ref(step), seen),
            }
        }
    }

    fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().expect("nobody panics with it")
    }

    /// The next operation of this thread begins a call.
    fn call(&self, me: usize, part: u32) -> (usize, usize) {
        let mut calls = self.calls();
        let name = (me, calls.iter().filter(|call| call.name.0 == me).count());
        let announced = Explore::announced("calls", part);
        calls.push(Call { name, part, announced, begun: None });
        name
    }

    fn end(&self, name: (usize, usize)) {
        let mut calls = self.calls();
        let place = calls.iter().position(|call| call.name == name).expect("it was announced");
        let part = calls[place].part;
        let begun = calls.iter().filter(|call| call.part == part && call.has_begun());
        let begun = begun.map(|call| call.name).collect();
        calls[place].begun = Some(begun);
        let ended = calls.iter().filter(|call| call.part == part && call.begun.is_some());
        let digest = ended.map(Call::condensed).fold(0, u64::wrapping_add);
        Explore::ended("calls", part, digest);
    }

    fn tell(&self, what: u64) {
        let mut told = self.told.lock().expect("nobody panics with it");
        told.push(what);
        let digest = told.iter().fold(7, |digest: u64, one| digest.wrapping_mul(1_000_003) ^ one);
        Explore::absorb("told", digest);
    }

    /// What the oracles remember.
    fn remembered(&self) -> Vec<u64> {
        let mut all = self.told.lock().expect("nobody panics with it").clone();
        let mut calls: Vec<_> = self.calls().iter().map(Call::condensed).collect();
        calls.sort_unstable();
        all.append(&mut calls);
        all
    }
}

type Build = dyn Fn() -> Plan + Send + Sync;
/// What came of a program: the outcome, and what the oracle remembered at the ends.
type Found = (Outcome, BTreeSet<Vec<u64>>);

fn explore(program: &Program, search: Search) -> Found {
    let limits = Limits { search, executions: Some(SCHEDULES), ..Limits::default() };
    run(program, |build| Explore::run(build, &limits))
}

/// The same, in so many parts, and by two threads that share what they learn.
fn explore_in_parts(program: &Program, of: usize) -> [Found; 2] {
    let limits = Limits { executions: Some(SCHEDULES), ..Limits::default() };
    let in_parts = run(program, |build| {
        let build = Arc::new(build);
        let part = |part| {
            let build = Arc::clone(&build);
            let prefixes = Prefixes::part(2 * of, part, of);
            Explore::run_prefixes(move || build(), &limits, prefixes, 1)
        };
        Outcome::together((1..=of).map(part)).expect("parts of one exploration")
    });
    let shared =
        run(program, |build| Explore::run_prefixes(build, &limits, Prefixes::all(2 * of), 2));
    [in_parts, shared]
}

fn run(program: &Program, explore: impl FnOnce(Box<Build>) -> Outcome) -> Found {
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let (ends, threads) = (Arc::clone(&told), program.threads.clone());
    let chooses = program.chooses;
    let build = move || {
        let mut seen = if chooses { Explore::choose(2) as u64 } else { 0 };
        let shared = Arc::new(Shared::new(threads.len()));
        let names = ["a", "b", "c", "d"];
        let mut plan = Plan::new();
        for (me, steps) in threads.iter().cloned().enumerate() {
            let shared = Arc::clone(&shared);
            plan = plan.thread(names[me], move || {
                let _first = shared.parkers[me].set(Explore::parker());
                shared.run(me, &steps, &mut seen);
            });
        }
        let ends = Arc::clone(&ends);
        plan.finally(move || {
            ends.lock().expect("nobody panics with it").insert(shared.remembered());
        })
    };
    let outcome = explore(Box::new(build));
    let told = told.lock().expect("nobody panics with it").clone();
    (outcome, told)
}

static COMPARED: AtomicUsize = AtomicUsize::new(0);
static DEADLOCKED: AtomicUsize = AtomicUsize::new(0);
/// How many programs with sealed calls were compared.
static SEALED: AtomicUsize = AtomicUsize::new(0);

/// What the oracles judge is the same for a whole process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn all_searches_see_the_same(program: Program) -> bool {
    let Some(deadlocks) = compare(&program) else { return true };
    let sealed = compare(&program.sealed());
    let any = program.threads.iter().any(|steps| steps.len() > 1);
    SEALED.fetch_add(usize::from(any && sealed.is_some()), Ordering::Relaxed);
    COMPARED.fetch_add(1, Ordering::Relaxed);
    DEADLOCKED.fetch_add(usize::from(deadlocks), Ordering::Relaxed);
    true
}

/// Whether it deadlocks; nothing if it has too many schedules.
///
/// # Panics
///
/// When the searches differ.
fn compare(program: &Program) -> Option<bool> {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    oracle::only(None);
    let searches = [Search::Schedules, Search::AllStates, Search::States];
    let mut all = searches.map(|search| explore(program, search));
    let deadlock = |(outcome, _): &(Outcome, _)| match &outcome.failure {
        Some(failure) => {
            assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
            true
        }
        None => false,
    };
    let finished = |(outcome, _): &(Outcome, _)| {
        matches!(outcome.completeness, Completeness::Exhaustive(_)) || outcome.failure.is_some()
    };
    if !finished(&all[0]) {
        return None; // how many were compared is asserted
    }
    let deadlocks = deadlock(&all[0]);
    let of = [2, 3, 5][COMPARED.load(Ordering::Relaxed) % 3];
    for found in all.iter().chain(&explore_in_parts(program, of)) {
        assert_eq!(deadlock(found), deadlocks, "a deadlock was lost or made up");
    }
    if deadlocks {
        // A run ends with the first deadlock, unless nobody asks for it.
        oracle::except(Which::Deadlock);
        all = searches.map(|search| explore(program, search));
        if !finished(&all[0]) {
            return None;
        }
    }
    for (outcome, told) in explore_in_parts(program, of) {
        outcome.assert_exhaustive();
        assert_eq!(all[0].0.behaviours, outcome.behaviours, "a behaviour was lost in {of} parts");
        assert_eq!(
            all[0].1, told,
            "something that the oracles could remember was lost in {of} parts"
        );
    }
    let [(plain, told), (whole, told_whole), (reduced, told_reduced)] = all;
    for outcome in [&plain, &whole, &reduced] {
        outcome.assert_exhaustive();
        assert_eq!(plain.behaviours, outcome.behaviours, "a behaviour was lost or made up");
    }
    assert_eq!(plain.states, whole.states, "states were lost or made up");
    assert_eq!(told, told_whole, "something that the oracles could remember was lost");
    assert_eq!(told, told_reduced, "something that the oracles could remember was left out");
    assert!(reduced.states <= whole.states, "leaving steps out led to more states");
    // The first execution is made twice.
    assert!(whole.executions <= plain.executions + 1, "merging states made the search longer");
    Some(deadlocks)
}

#[test]
fn random_programs_behave_the_same_in_all_searches() {
    let programs = std::env::var("NETPOLLER_RANDOM_PROGRAMS");
    let programs = programs.map_or(PROGRAMS, |number| number.parse().expect("a number"));
    let seed = std::env::var("NETPOLLER_RANDOM_SEED");
    let seed = seed.map_or(SEED, |number| number.parse().expect("a number"));
    println!("NETPOLLER_RANDOM_SEED={seed}");
    let property = all_searches_see_the_same as fn(Program) -> bool;
    QuickCheck::new()
        .rng(Gen::from_size_and_seed(100, seed))
        .tests(programs)
        .max_tests(2 * programs)
        .quickcheck(property);
    let compared = COMPARED.load(Ordering::Relaxed) as u64;
    let deadlocked = DEADLOCKED.load(Ordering::Relaxed) as u64;
    let sealed = SEALED.load(Ordering::Relaxed) as u64;
    println!(
        "{compared} programs were compared, {deadlocked} of them deadlock; {sealed} with sealed calls"
    );
    assert!(sealed > compared * 9 / 10, "too few programs had sealed calls: {sealed}");
    assert!(compared > programs * 9 / 10, "too few programs were small enough: {compared}");
    assert!(deadlocked < compared / 2, "too many programs deadlock: {deadlocked} of {compared}");
}

/// Programs on which a search with a mistake in it went wrong that few random ones show.
#[test]
fn programs_on_which_a_search_went_wrong_behave_the_same_in_all() {
    use Step::{Call, Choose, IfOdd, Load, Or, Park, Store, Swap, Tell, Unpark};
    let programs = [
        // The token is there at the end if the parker parked in between.
        vec![
            vec![Load(0), Unpark(1), Unpark(1)],
            vec![Load(0), Park, Load(1), Load(1)],
            vec![Load(1)],
        ],
        // An unpark before the last park, or after it.
        vec![
            vec![Or(0, 2), Unpark(2)],
            vec![Swap(0, 0), Unpark(2), Load(0)],
            vec![Load(1), Park],
            vec![Load(0)],
        ],
        // The second park ends only if the first one came between the unparks.
        vec![vec![Load(0), Unpark(1), Unpark(1)], vec![Load(0), Park, Park]],
        // The oracle looks whether a call has begun that was announced.
        vec![
            vec![Load(0), Call(0, vec![])],
            vec![Load(0), Call(0, vec![Store(1, 1)])],
            vec![Load(0)],
        ],
        // A step that tells the oracle something only the second way.
        vec![vec![Load(0), Choose(2), IfOdd(vec![Tell(1)]), Load(0)], vec![Load(1), Tell(2)]],
        vec![
            vec![Load(0), Choose(2), IfOdd(vec![Tell(1)])],
            vec![Load(1), Tell(2), Load(1)],
            vec![Load(0)],
        ],
    ];
    for threads in programs {
        let program = Program { chooses: false, threads };
        assert!(compare(&program).is_some(), "too many schedules: {program:?}");
    }
}
