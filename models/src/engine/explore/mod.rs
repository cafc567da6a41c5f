//! The exhaustive engine: every interleaving, each state explored once.
//!
//! shuttle lends it its coroutines and nothing else: [`primitives`] are this engine's own, so that
//! everything a thread observes and everything that decides who can go on is in the [`state`], and
//! the [`graph`] says which way to go. The memory is sequentially consistent: a fence is nothing.
//!
//! The cut is sound because a state determines everything that can follow: the local state of a
//! thread is a function of what it has observed, so two executions that lead to the same
//! fingerprint have the same futures. It keeps what each thread can do and see, deadlocks and the
//! states at the end; it does *not* keep all real-time orders of steps that do not depend on each
//! other, so an oracle that looks at those has to [`absorb`](super::Engine::absorb) its state.
//!
//! An execution that got to where everything is known is run to its end, fairly: to leave it
//! where it is would leak what lies on the stacks of its threads, and to unwind them would run
//! destructors in states that no program is ever in. Only an execution that has failed, or has
//! had too many steps, is left.

mod audit;
mod conclusions;
mod crew;
mod footprint;
mod forecast;
mod graph;
mod guide;
mod persistent;
mod pool;
mod prefixes;
mod primitives;
mod shortest;
mod split;
mod state;
mod tellings;
mod tree;
mod visited;
mod walker;

use self::crew::Crew;
use self::footprint::Told;
use self::graph::Graph;
pub use self::prefixes::{Explored, Prefixes};
use self::walker::{Space, Walker};
use super::digest::Digest;
use super::{
    Body, Bound, Certificate, Completeness, Engine, Failure, FailureFile, FailureKind, Limits,
    NamedStep, Outcome, Plan, Search, Verdict, leaks, quiet, record,
};
use netpoller::seam::{Ordering, Primitives};
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::collections::{BTreeSet, HashSet};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;
use std::time::Instant;

/// The engine that explores every interleaving.
#[derive(Clone, Copy, Debug, Default)]
pub struct Explore;

impl Explore {
    /// Comes back when a thread of the plan, counted from 0, is parked and nobody has woken it:
    /// what a debugger can see from outside, and a program cannot. If that never happens, it is a
    /// deadlock.
    pub fn await_sleep(thread: usize) {
        primitives::await_sleep(thread + record::SETUP + 1);
    }

    /// Runs one execution of the plan that `build` builds, in which the threads take these steps
    /// in this order, as far as they come; `models/README.md` says how steps are scheduled that
    /// are not among them. Whichever engine recorded them: memory is sequentially consistent here.
    pub fn replay(
        build: impl Fn() -> Plan + Send + Sync + 'static,
        steps: &[NamedStep],
        limits: &Limits,
    ) -> Replayed {
        let (outcome, run) =
            alone(&Arc::new(build), limits, Goal::Follow(guide::Guide::new(steps)));
        let guide = run.followed();
        let failure = outcome.failure;
        let over = failure.is_none();
        let missed = guide.map(|guide| guide.missed(over)).unwrap_or_default();
        let endless = outcome.completeness == Completeness::Bounded(Bound::Steps);
        Replayed { failure, missed, endless }
    }

    /// Goes through what lies below these prefixes, `at_once` threads of the operating system at a time.
    /// The outcome has a certificate only if these are all prefixes that there are; else it says which of how
    /// many they were ([`Completeness::Part`]), and [`Outcome::together`] puts it together with others.
    ///
    /// Every one that takes part opens the space for itself, and remembers the states that it has seen itself:
    /// so executions and states are more than those of an undivided run, and with several threads they differ
    /// from run to run. Behaviours and failures are those of an undivided run. [`Limits`] are those of each
    /// thread; one thread that fails stops the others.
    ///
    /// # Panics
    ///
    /// With [`Search::Schedules`], which has no states to divide the space at, and without a thread.
    pub fn run_prefixes(
        build: impl Fn() -> Plan + Send + Sync + 'static,
        limits: &Limits,
        prefixes: Prefixes,
        at_once: usize,
    ) -> Outcome {
        let (build, started) = (Arc::new(build), Instant::now());
        assert!(limits.search != Search::Schedules, "a search that knows no states is not divided");
        let graph = Graph::new(limits.search == Search::States, Some(&Arc::new(prefixes)));
        let (space, seen) = (Arc::new(Space::new(graph)), Arc::default());
        let mut runs: Vec<_> = std::thread::scope(|scope| {
            let walk = |number| {
                let goal = Goal::Share(Walker::among(&space, number, at_once));
                let (build, seen) = (&build, &seen);
                scope.spawn(move || walk(build, limits, goal, seen, started))
            };
            let walkers: Vec<_> = (0..at_once).map(walk).collect();
            let run = |walker: ScopedJoinHandle<'_, _>| walker.join().expect("panics are caught");
            walkers.into_iter().map(run).collect()
        });
        let outcome = Outcome::together([outcome(&mut runs, &seen, limits, started)]);
        told_shortly(outcome.expect("a part"), &build, limits)
    }
}

/// With the failure, if there is one, told by few changes of thread.
fn told_shortly<B: Fn() -> Plan + Send + Sync + 'static>(
    mut outcome: Outcome,
    build: &Arc<B>,
    limits: &Limits,
) -> Outcome {
    outcome.failure = outcome.failure.map(|failure| {
        shortest::shortest(failure, |steps| {
            let again = Arc::clone(build);
            Explore::replay(move || again(), steps, limits).failure
        })
    });
    outcome
}

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// How the execution failed, if it did.
    pub failure: Option<Failure>,
    /// The steps that never came: the place on the list, counted from 0, and why.
    pub missed: Vec<(usize, String)>,
    /// The execution was given up because it had more steps than it may.
    pub endless: bool,
}

impl Replayed {
    /// What that means for the failure that was replayed.
    #[must_use]
    pub fn verdict(&self, file: &FailureFile) -> Verdict {
        match (&self.failure, self.missed.first()) {
            (Some(failure), _) if file.is_like(failure) => Verdict::Reproduced,
            (Some(_), _) => Verdict::FailedOtherwise,
            (None, _) if self.endless => Verdict::Endless,
            (None, Some((step, why))) => Verdict::Diverged(*step, why.clone()),
            (None, None) => Verdict::EndedWell,
        }
    }
}

impl Primitives for Explore {
    type AtomicU32 = primitives::Word<u32>;
    type AtomicU64 = primitives::Word<u64>;
    type Mutex<T: Send + core::fmt::Debug> = primitives::Lock<T>;
    type Parker = primitives::Token;

    /// Nothing: the memory is sequentially consistent.
    fn fence(_order: Ordering) {}

    fn parker() -> primitives::Token {
        primitives::Token::of_this_thread()
    }

    fn choose(alternatives: usize) -> usize {
        let me = record::current();
        let chosen = state::with(|run| run.choose(me, alternatives)).unwrap_or(0);
        state::observe(record::Done {
            arguments: [alternatives as u64, 0],
            seen: Some(chosen as u64),
            ..record::Done::new(record::Op::Choose, record::Object::NONE)
        });
        chosen
    }
}

impl Engine for Explore {
    const NAME: &'static str = "explore";

    fn run(build: impl Fn() -> Plan + Send + Sync + 'static, limits: &Limits) -> Outcome {
        let build = Arc::new(build);
        told_shortly(alone(&build, limits, Goal::Whole).0, &build, limits)
    }

    fn note(label: &'static str, value: u64) {
        state::observe(record::Done {
            label,
            seen: Some(value),
            ..record::Done::new(record::Op::Note, record::Object::NONE)
        });
    }

    fn forget(kept: u64) {
        if let Some(kept) = record::forgets(kept) {
            state::with(|run| run.forgets(record::current(), kept));
        }
    }

    fn absorb(key: &'static str, digest: u64) {
        let name = condensed(key, None);
        state::with(|run| run.oracle(name, Told::Something(name), digest));
    }

    fn performed(thread: usize) -> Option<u64> {
        state::with(|run| run.performed(thread)).flatten()
    }

    fn announced(key: &'static str, part: u32) -> Option<u64> {
        let told = Told::Beginning(condensed(key, Some(part)));
        state::with(|run| run.announced(record::current(), told)).flatten()
    }

    fn ended(key: &'static str, part: u32, digest: u64) {
        let name = condensed(key, Some(part));
        state::with(|run| run.oracle(name, Told::Ending(name), digest));
    }
}

/// The running thread begins a call that may be sealed.
pub(super) fn begin_call() -> Option<state::Begun> {
    state::with(|run| run.begin_call(record::current())).flatten()
}

/// The call was sealed, and `kept` stands for it.
pub(super) fn end_call(begun: Option<state::Begun>, kept: u64) {
    if let Some(begun) = begun {
        state::with(|run| run.end_call(record::current(), begun, kept));
    }
}

/// A number for what an oracle remembers, or a part of it.
fn condensed(key: &'static str, part: Option<u32>) -> u64 {
    let part = part.map_or(0, |part| u64::from(part) + 1);
    Digest::new(0).with_text(key).with(part).bits() as u64
}

/// What a run is for.
enum Goal {
    /// To see everything.
    Whole,
    /// To take part in going through a space that is divided.
    Share(Walker),
    /// To have one execution follow a list of steps.
    Follow(guide::Guide),
}

/// Runs the plans that `build` builds, alone; the executions have to be at most as many as are wanted.
fn alone(
    build: &Arc<impl Fn() -> Plan + Send + Sync + 'static>,
    limits: &Limits,
    goal: Goal,
) -> (Outcome, state::Run) {
    let (started, seen) = (Instant::now(), Arc::default());
    let mut run = [walk(build, limits, goal, &seen, started)];
    let outcome = outcome(&mut run, &seen, limits, started);
    let [run] = run;
    (outcome, run)
}

/// Runs the plans that `build` builds until nothing is left to be done, on this thread.
fn walk(
    build: &Arc<impl Fn() -> Plan + Send + Sync + 'static>,
    limits: &Limits,
    goal: Goal,
    seen: &Arc<Mutex<Seen>>,
    started: Instant,
) -> state::Run {
    let quiet = quiet::Quiet::begin();
    state::install(limits);
    state::with(|run| match goal {
        Goal::Whole => {}
        Goal::Share(walker) => run.share(walker),
        Goal::Follow(guide) => run.follow(guide),
    });
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        let (build, walk) = (Arc::clone(build), Walk { started, seen: Arc::clone(seen) });
        Runner::new(walk.clone(), config()).run(move || executions(&*build, &walk));
    }));
    let run = state::uninstall();
    let mut run = run.expect("the run that was installed above");
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.executions += u64::from(run.end());
    primitives::forget_parkers();
    leaks::end();
    if result.is_err() && seen.failure.is_none() {
        let message = quiet::message().unwrap_or_else(|| "shuttle gave up".to_owned());
        run.fail(FailureKind::Engine, message);
    }
    seen.take_failure(&run);
    if seen.failure.is_some() {
        run.space().inspect(|space| space.stop());
    }
    drop(quiet);
    run
}

/// What came of the runs of all that took part.
fn outcome(
    runs: &mut [state::Run],
    seen: &Mutex<Seen>,
    limits: &Limits,
    started: Instant,
) -> Outcome {
    let seen = core::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    let behaviours = seen.behaviours.len();
    let completeness = if seen.failure.is_some() {
        Completeness::Bounded(Bound::Failure)
    } else if runs.iter().any(|run| run.overran) {
        Completeness::Bounded(Bound::Steps)
    } else if let Some(bound) = seen.bound {
        Completeness::Bounded(bound)
    } else if runs.iter().any(state::Run::follows) {
        Completeness::Bounded(Bound::Executions)
    } else {
        assert!(runs.iter_mut().all(state::Run::exhausted), "explore stopped without a reason");
        let share = runs[0].space().and_then(|space| space.split(|split| split.share()));
        share.map_or_else(
            || {
                let certificate = Certificate::issue(Explore::NAME, seen.executions, behaviours);
                Completeness::Exhaustive(certificate)
            },
            Completeness::Part,
        )
    };
    Outcome {
        engine: match limits.search {
            Search::States => Explore::NAME,
            Search::AllStates => "explore (all states)",
            Search::Schedules => "explore (schedules)",
        },
        executions: seen.executions,
        behaviours: seen.behaviours.into_iter().collect(),
        completeness,
        time: started.elapsed(),
        states: runs[0].states(),
        cut: runs.iter().map(|run| run.cut).sum(),
        depth: runs.iter().map(|run| run.depth).max().unwrap_or(0),
        failure: seen.failure,
    }
}

/// What the executions have shown.
#[derive(Debug, Default)]
struct Seen {
    executions: u64,
    behaviours: HashSet<u128>,
    /// Behaviours, executions and states that belong to no prefix that is done.
    fresh: BTreeSet<u128>,
    told: (u64, usize),
    failure: Option<Failure>,
    bound: Option<Bound>,
}

impl Seen {
    /// Keeps the failure of the run, with the story as it is now.
    fn take_failure(&mut self, run: &state::Run) {
        if self.failure.is_none()
            && let Some((kind, message)) = run.failed()
        {
            self.failure = Some(Failure::now(*kind, message.clone()));
        }
    }

    /// Tells whoever wants to know of the prefixes that are done, if any are. Nobody else adds anything to
    /// what was seen meanwhile: so whatever belongs to a prefix was told when that is told.
    fn tell_of_prefixes(&mut self, space: &Space) {
        let states = space.states();
        let Some((prefixes, news)) = space.split(|split| (split.prefixes(), split.news())) else {
            return;
        };
        for share in news {
            let before = core::mem::replace(&mut self.told, (self.executions, states));
            prefixes.tell(&Explored {
                share,
                executions: self.executions - before.0,
                states: states - before.1,
                behaviours: core::mem::take(&mut self.fresh),
            });
        }
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 0x4_0000;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::None;
    config.silence_warnings = true;
    config
}

/// How many executions run in one of shuttle's, which keeps a list of all that it has scheduled.
const IN_ONE: usize = 1_000;

/// Executions, from the coroutine that shuttle calls its main thread.
fn executions(build: &impl Fn() -> Plan, walk: &Walk) {
    let crew = Crew::default();
    for number in 1.. {
        execute(build, &walk.seen, &crew);
        if state::with(|run| run.is_left()) != Some(false) {
            return; // with tasks that are stuck: shuttle asks who goes on, is told nobody, and begins anew
        }
        let goes_on = state::with(|run| {
            run.goes_on = Some(walk.goes_on(run));
            run.goes_on
        });
        if goes_on.flatten() != Some(true) || number == IN_ONE {
            break;
        }
    }
    crew.dismiss();
}

/// One execution.
fn execute(build: &impl Fn() -> Plan, seen: &Arc<Mutex<Seen>>, crew: &Crew) {
    record::begin();
    quiet::forget();
    primitives::forget_parkers();
    leaks::begin();
    state::with(state::Run::begin);
    let plan = match panic::catch_unwind(AssertUnwindSafe(build)) {
        Ok(plan) => plan,
        Err(_) => return failed(),
    };
    let finally = Arc::new(Mutex::new(plan.finally));
    let mut first = None;
    for (name, body) in plan.threads {
        let place = record::thread(name);
        state::with(state::Run::spawn);
        let (finally, seen) = (Arc::clone(&finally), Arc::clone(seen));
        let task = move || live(place, body, &finally, &seen);
        if first.is_none() {
            first = Some(task);
        } else {
            crew.give(place - record::SETUP - 2, task);
        }
    }
    state::with(state::Run::start);
    if let Some(first) = first {
        first();
        while state::with(|run| run.has_ended()) == Some(false) {
            crew::yields();
        }
    }
}

/// The life of a thread of the plan.
fn live(place: usize, body: Body, finally: &Mutex<Option<Body>>, seen: &Mutex<Seen>) {
    record::resume(place);
    if panic::catch_unwind(AssertUnwindSafe(body)).is_err() {
        return failed();
    }
    record::resume(place);
    record::ended();
    let last = state::with(|run| run.ended(place)).unwrap_or(false);
    if !last {
        return;
    }
    // Which thread it was that ended last is nothing that a thread does or sees.
    record::resume(record::SETUP);
    let finally = finally.lock().unwrap_or_else(PoisonError::into_inner).take();
    let at_the_end = || {
        finally.into_iter().for_each(|finally| finally());
        primitives::forget_parkers();
        leaks::settle();
    };
    if panic::catch_unwind(AssertUnwindSafe(at_the_end)).is_err() {
        return failed();
    }
    state::with(state::Run::all_ended);
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let behaviour = record::behaviour();
    if seen.behaviours.insert(behaviour) {
        seen.fresh.insert(behaviour);
    }
}

/// A thread has panicked.
fn failed() {
    let message = quiet::message().unwrap_or_else(|| "a panic that was not reported".to_owned());
    state::with(|run| run.fail(FailureKind::Panic, message));
}

/// What shuttle asks when it needs a decision; the decisions were taken already.
#[derive(Clone, Debug)]
struct Walk {
    started: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Walk {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is to be another execution.
    fn goes_on(&self, run: &mut state::Run) -> bool {
        let ended = run.end();
        let mut seen = self.seen();
        seen.executions += u64::from(ended);
        seen.take_failure(run);
        if seen.failure.is_some() {
            run.space().inspect(|space| space.stop());
            return false;
        }
        drop(seen); // others need it before something is left to be done, or nothing
        let exhausted = run.exhausted();
        let mut seen = self.seen();
        run.space().inspect(|space| seen.tell_of_prefixes(space));
        if exhausted {
            return false;
        }
        seen.bound = seen.bound.or_else(|| run.bound(seen.executions, self.started.elapsed()));
        if seen.bound.is_some() {
            run.space().inspect(|space| space.stop());
        }
        seen.bound.is_none()
    }
}

impl Scheduler for Walk {
    fn new_execution(&mut self) -> Option<Schedule> {
        let goes_on = state::with(|run| run.goes_on.take().unwrap_or_else(|| self.goes_on(run)));
        goes_on.unwrap_or(false).then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        unfinished: &[&Task],
        current: Option<TaskId>,
        _yielding: bool,
    ) -> Option<TaskId> {
        // The first thread of the plan runs in the task that built it.
        let place = |task: TaskId| usize::from(task) + record::SETUP + 1;
        // shuttle goes on naming a task that has finished, but does not list it.
        let current = current.filter(|current| unfinished.iter().any(|task| task.id() == *current));
        if current.is_none() && state::with(|run| run.is_idle()) == Some(true) {
            // To begin with there is one; in the end all have to end.
            return unfinished.first().map(|task| task.id());
        }
        let next = state::with(|run| run.resume(current.map(place))).flatten();
        next.map(|place| TaskId::from(place - record::SETUP - 1))
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("explore does not offer shuttle's random numbers")
    }
}
