//! The suite: every scenario on every engine, held against what is pinned in `expected.toml`.
//!
//! A run is *quick* or *deep*. What a quick run may cost is pinned per scenario and engine:
//! either it goes through everything, and then the number of executions and the set of behaviours
//! must be the pinned ones, or it stops after a pinned number of executions and says so. A deep
//! run has no limit but the one its user gives.
//!
//! Numbers are pinned because a search that loses interleavings looks like one that got faster:
//! a drop of the number of executions is the symptom. The digest of the behaviours is one per
//! scenario, for all sequentially consistent engines: where two of them finish, they have to have
//! seen the same set.

#[cfg(feature = "shuttle")]
pub mod contents;
mod expected;

pub use expected::{Expected, Pinned, Verdict};

use crate::engine::{Engine, Limits, Outcome, Threads};
#[cfg(feature = "shuttle")]
use crate::engine::{Explore, Shuttle};
#[cfg(feature = "loom")]
use crate::engine::{LoomSc, LoomWeak};
use crate::oracle;
use crate::scenario::Scenario;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// The engines, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Threads of the operating system.
    Threads,
    /// The exhaustive engine.
    #[cfg(feature = "shuttle")]
    Explore,
    /// Random schedules.
    #[cfg(feature = "shuttle")]
    Shuttle,
    /// loom, sequentially consistent.
    #[cfg(feature = "loom")]
    LoomSc,
    /// loom, orderings as written.
    #[cfg(feature = "loom")]
    LoomWeak,
}

impl Kind {
    /// How many scenarios to run at a time in one process.
    fn jobs(self) -> usize {
        match self {
            // Each execution maps the stacks of its threads, and two threads of one process that map
            // and unmap wait for each other longer than two runs in turn take.
            #[cfg(feature = "loom")]
            Kind::LoomSc | Kind::LoomWeak => 1,
            _ => thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// All that this build has, in the order of the table.
    pub const ALL: &[Kind] = &[
        Kind::Threads,
        #[cfg(feature = "shuttle")]
        Kind::Explore,
        #[cfg(feature = "shuttle")]
        Kind::Shuttle,
        #[cfg(feature = "loom")]
        Kind::LoomSc,
        #[cfg(feature = "loom")]
        Kind::LoomWeak,
    ];

    /// The name in tables, in `expected.toml` and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Threads => Threads::NAME,
            #[cfg(feature = "shuttle")]
            Kind::Explore => Explore::NAME,
            #[cfg(feature = "shuttle")]
            Kind::Shuttle => Shuttle::NAME,
            #[cfg(feature = "loom")]
            Kind::LoomSc => LoomSc::NAME,
            #[cfg(feature = "loom")]
            Kind::LoomWeak => LoomWeak::NAME,
        }
    }

    /// The engine of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Kind> {
        Kind::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether the engine can go through everything, as opposed to sampling.
    #[must_use]
    pub fn searches(self) -> bool {
        match self {
            Kind::Threads => false,
            #[cfg(feature = "shuttle")]
            Kind::Explore => true,
            #[cfg(feature = "shuttle")]
            Kind::Shuttle => false,
            #[cfg(feature = "loom")]
            Kind::LoomSc | Kind::LoomWeak => true,
        }
    }

    /// How many executions a search without a pin gets in a quick run: what takes about two
    /// seconds.
    #[must_use]
    pub fn unpinned(self) -> u64 {
        match self {
            #[cfg(feature = "shuttle")]
            Kind::Explore => 100_000,
            _ => 10_000,
        }
    }

    /// Whether its memory is sequentially consistent and its behaviours recorded, so that its set
    /// of behaviours is that of the scenario.
    #[must_use]
    pub fn settles_behaviours(self) -> bool {
        match self {
            Kind::Threads => false,
            #[cfg(feature = "shuttle")]
            Kind::Explore => true,
            #[cfg(feature = "shuttle")]
            Kind::Shuttle => false,
            #[cfg(feature = "loom")]
            Kind::LoomSc => true,
            #[cfg(feature = "loom")]
            Kind::LoomWeak => false,
        }
    }

    /// Whether its quick runs of all scenarios reach every transition of the spec. Not so where
    /// they are samples, which hardly ever come by a step for an incarnation that is over, are cut
    /// early, or depend on the machine.
    #[must_use]
    pub fn takes_every_row(self) -> bool {
        match self {
            Kind::Threads => false,
            #[cfg(feature = "shuttle")]
            Kind::Explore => true,
            #[cfg(feature = "shuttle")]
            Kind::Shuttle => false,
            #[cfg(feature = "loom")]
            Kind::LoomSc | Kind::LoomWeak => false,
        }
    }

    /// Runs a scenario.
    #[must_use]
    pub fn run(self, scenario: &Scenario, limits: &Limits) -> Outcome {
        match self {
            Kind::Threads => Threads::run(scenario.threads, limits),
            #[cfg(feature = "shuttle")]
            Kind::Explore => Explore::run(scenario.explore, limits),
            #[cfg(feature = "shuttle")]
            Kind::Shuttle => Shuttle::run(scenario.shuttle, limits),
            #[cfg(feature = "loom")]
            Kind::LoomSc => LoomSc::run(scenario.loom_sc, limits),
            #[cfg(feature = "loom")]
            Kind::LoomWeak => LoomWeak::run(scenario.loom_weak, limits),
        }
    }
}

/// The limits of a quick run.
#[must_use]
pub fn quick(kind: Kind, pinned: Option<&Pinned>) -> Limits {
    let mut limits =
        Limits { rounds: if kind == Kind::Threads { 300 } else { 3_000 }, ..Limits::default() };
    if kind.searches() {
        // Without a pin: enough to see whether the scenario is a small one.
        limits.executions = match pinned {
            Some(pinned) if pinned.complete => None,
            Some(pinned) => Some(pinned.executions),
            None => Some(kind.unpinned()),
        };
    } else if let Some(pinned) = pinned {
        limits.rounds = pinned.executions;
    }
    limits
}

/// Runs all scenarios on one engine, quickly, and holds each against its pin.
///
/// # Panics
///
/// When a run fails, differs from its pin or has none, when no scenario was run at all, and when no
/// scenario takes some transition of the spec, on an engine that should take them all
/// ([`Kind::takes_every_row`]); with a report on all of them.
pub fn check_all(kind: Kind) {
    let expected = Expected::shipped();
    let scenarios: Vec<_> = crate::scenario::all().collect();
    assert!(!scenarios.is_empty(), "no scenario was run on {}", kind.name());
    let next = AtomicUsize::new(0);
    let check = || {
        let mut wrong = Vec::new();
        while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
            wrong.extend(check(&expected, scenario, kind));
        }
        wrong
    };
    // One scenario for each processor at a time: a run keeps to the thread that began it.
    let mut wrong: Vec<String> = thread::scope(|scope| {
        let jobs = kind.jobs().min(scenarios.len());
        let jobs: Vec<_> = (0..jobs).map(|_| scope.spawn(check)).collect();
        jobs.into_iter().flat_map(|job| job.join().expect("a run reports its panics")).collect()
    });
    if kind.takes_every_row() {
        for row in oracle::missing(oracle::coverage()) {
            wrong.push(format!("no scenario takes the transition {row}"));
        }
    }
    assert!(wrong.is_empty(), "on {}:\n{}", kind.name(), wrong.join("\n"));
    println!("{} scenarios on {}: as pinned", scenarios.len(), kind.name());
}

/// Runs a scenario, quickly, and holds it against its pin; says what is wrong.
fn check(expected: &Expected, scenario: &Scenario, kind: Kind) -> Option<String> {
    let pinned = expected.pinned(scenario.name, kind.name());
    let outcome = kind.run(scenario, &quick(kind, pinned));
    let verdict = expected.judge(scenario.name, kind, &outcome);
    println!("{:<34} {outcome} {verdict}", scenario.name);
    match &outcome.failure {
        Some(failure) => {
            let headline = failure.headline(scenario.rules);
            Some(format!("{}: {headline}\n{}", scenario.name, failure.story))
        }
        None if verdict != Verdict::AsPinned => Some(format!("{}: {verdict}", scenario.name)),
        None => None,
    }
}
