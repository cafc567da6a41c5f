//! What a run of a scenario on an engine is allowed to cost, and what came out of it.
//!
//! The word *exhaustive* needs a [`Certificate`], and only the engines of this crate can issue
//! one: after a run that no limit cut short and whose end was seen. A run that was cut says by
//! what; a run that sampled says how often and from which seed.

use super::cause::Cause;
use super::record;
use super::story::Story;
use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// How far an engine may go, and how it samples. Engines ignore what does not concern them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Steps of one execution; one that needs more is given up and the run is not exhaustive.
    pub steps: usize,
    /// Executions of the exhaustive engines.
    pub executions: Option<u64>,
    /// How long to go on starting executions.
    pub time: Option<Duration>,
    /// States that explore remembers.
    pub states: Option<usize>,
    /// Preemptions in one execution under loom.
    pub preemptions: Option<usize>,
    /// Executions of the engines that sample.
    pub rounds: u64,
    /// Where their random numbers start.
    pub seed: u64,
    /// How shuttle picks a thread.
    pub sampling: Sampling,
    /// How explore goes through the schedules.
    pub search: Search,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps: 20_000,
            executions: None,
            time: None,
            states: None,
            preemptions: None,
            rounds: 1_000,
            seed: 0x5eed,
            sampling: Sampling::Random,
            search: Search::States,
        }
    }
}

/// How the shuttle engine picks a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampling {
    /// Each step any runnable thread.
    Random,
    /// By priorities that change this many times per execution, less one.
    Pct {
        /// How many ordering constraints a bug may need to be found with good probability.
        depth: usize,
    },
}

/// How explore goes through the schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// A state that two schedules lead to is explored once, and of the steps that commute one order is
    /// enough.
    States,
    /// Every state, in every order of steps that leads to it: each edge between states once. For comparing
    /// the states.
    AllStates,
    /// Every schedule, depth first. For comparing the behaviours.
    Schedules,
}

/// What cut a run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// [`Limits::executions`].
    Executions,
    /// [`Limits::time`].
    Time,
    /// [`Limits::states`].
    States,
    /// An execution had more than [`Limits::steps`].
    Steps,
    /// [`Limits::preemptions`].
    Preemptions,
    /// The run ended at the first execution that failed.
    Failure,
}

/// Proof that a run went through everything: it can be had from an engine only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    engine: &'static str,
    executions: u64,
    behaviours: usize,
}

impl Certificate {
    /// To be called by an engine that has seen the end of its search, with no limit set that
    /// could have brought it about.
    pub(in crate::engine) fn issue(
        engine: &'static str,
        executions: u64,
        behaviours: usize,
    ) -> Certificate {
        Certificate { engine, executions, behaviours }
    }

    /// Which engine vouches.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        self.engine
    }

    /// How many executions it took.
    #[must_use]
    pub fn executions(&self) -> u64 {
        self.executions
    }

    /// How many distinct behaviours they showed.
    #[must_use]
    pub fn behaviours(&self) -> usize {
        self.behaviours
    }
}

/// A part of an exploration that came to its end: which prefixes of which frontier
/// ([`Prefixes`](super::Prefixes)). It vouches for what lies below these, and for nothing else: the whole is
/// vouched for by [`Outcome::together`], when no prefix is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    frontier: u128,
    prefixes: usize,
    done: BTreeSet<usize>,
}

impl Share {
    /// To be called by an engine that has seen the end of its search below these prefixes.
    #[cfg_attr(not(feature = "shuttle"), allow(dead_code))]
    pub(in crate::engine) fn new(frontier: u128, prefixes: usize, done: BTreeSet<usize>) -> Share {
        Share { frontier, prefixes, done }
    }

    /// The name of the frontier: the same for all parts of one exploration.
    #[must_use]
    pub fn frontier(&self) -> u128 {
        self.frontier
    }

    /// How many prefixes there are.
    #[must_use]
    pub fn prefixes(&self) -> usize {
        self.prefixes
    }

    /// Those that were gone through, numbered from 0.
    #[must_use]
    pub fn done(&self) -> &BTreeSet<usize> {
        &self.done
    }

    /// Whether no prefix is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.done.len() == self.prefixes
    }
}

/// Why outcomes cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// There are none.
    Nothing,
    /// One of them is not of a part of an exploration.
    NoPart,
    /// They are parts of different explorations, or of one that was divided in different ways.
    Frontiers,
}

impl fmt::Display for Apart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Apart::Nothing => "there are no parts",
            Apart::NoPart => "one of them is not a part of an exploration",
            Apart::Frontiers => "they are not parts of one exploration that was divided once",
        })
    }
}

impl core::error::Error for Apart {}

/// How much of what could happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// All of it, within the memory model of the engine.
    Exhaustive(Certificate),
    /// All of it that lies below some of the prefixes of an exploration that was divided.
    Part(Share),
    /// The engine came to the end of its search, with no limit set, but is known to pass over
    /// interleavings: loom does where a thread loads and then exchanges the same word
    /// (`models/tests/loom_selftest.rs`). No certificate is issued.
    Ended,
    /// What fitted in.
    Bounded(Bound),
    /// A sample.
    Sampled {
        /// How many executions.
        rounds: u64,
        /// From which seed; the engine of OS threads has none and says 0.
        seed: u64,
    },
}

/// How an execution failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// Unfinished threads, and none that could go on. A lost wakeup is one.
    Deadlock,
    /// An assertion, or another panic.
    Panic,
    /// The engine itself gave up, for example because the execution had too many branches.
    Engine,
}

/// An execution that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// How.
    pub kind: FailureKind,
    /// What the engine, an oracle or a thread said.
    pub message: String,
    /// Why, in one line.
    pub cause: Cause,
    /// What led to it.
    pub story: Story,
}

impl Failure {
    /// A failure that ends a story.
    #[must_use]
    pub fn new(kind: FailureKind, message: String, story: Story) -> Failure {
        let cause = Cause::of(kind, &message, &story);
        Failure { kind, message, cause, story }
    }

    /// The kind and the cause in one line; with the rules that the scenario is `about` if no rule
    /// could be told.
    #[must_use]
    pub fn headline(&self, about: &str) -> String {
        let mut text = format!("{}: {}", self.kind, self.cause);
        if self.cause.rules.is_empty() && !about.is_empty() {
            text.push_str(&format!(" (the scenario is about {about})"));
        }
        text
    }

    /// A failure of the execution that is on record.
    pub(in crate::engine) fn now(kind: FailureKind, message: String) -> Failure {
        Failure::new(kind, message, record::story())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline(""))?;
        write!(f, "{}", self.story)
    }
}

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The name of the engine.
    pub engine: &'static str,
    /// How many executions ran to their end or were cut.
    pub executions: u64,
    /// The digests of the distinct behaviours of those that ended well.
    pub behaviours: BTreeSet<u128>,
    /// How much of what could happen has happened.
    pub completeness: Completeness,
    /// How long it took.
    pub time: Duration,
    /// How many distinct states were seen at which more than one thread could go on; explore only.
    pub states: usize,
    /// How many executions were led into states whose futures were all known; explore only.
    pub cut: u64,
    /// The most steps an execution had.
    pub depth: usize,
    /// The first execution that failed; the run ended with it.
    pub failure: Option<Failure>,
}

impl Outcome {
    /// Panics unless the run went through everything and nothing failed.
    ///
    /// # Panics
    ///
    /// With the story of the failure, or with what cut the run short.
    pub fn assert_exhaustive(&self) -> &Certificate {
        self.assert_passed();
        match &self.completeness {
            Completeness::Exhaustive(certificate) => certificate,
            other => panic!("{} did not go through everything: {other:?}", self.engine),
        }
    }

    /// Panics if an execution failed.
    ///
    /// # Panics
    ///
    /// With the story of the failure.
    pub fn assert_passed(&self) {
        if let Some(failure) = &self.failure {
            panic!("{}, execution {}: {failure}", self.engine, self.executions);
        }
    }

    /// The failure.
    ///
    /// # Panics
    ///
    /// If there was none.
    #[must_use]
    pub fn expect_failure(&self) -> &Failure {
        match &self.failure {
            Some(failure) => failure,
            None => panic!(
                "{} found nothing wrong in {} executions ({:?})",
                self.engine, self.executions, self.completeness
            ),
        }
    }

    /// Panics unless the search came to its end and nothing failed.
    ///
    /// # Panics
    ///
    /// With the story of the failure, or with what cut the run short.
    pub fn assert_ended(&self) {
        self.assert_passed();
        match &self.completeness {
            Completeness::Exhaustive(_) | Completeness::Ended => {}
            other => panic!("{} did not come to its end: {other:?}", self.engine),
        }
    }

    /// The parts of one exploration put together: executions and states added up, behaviours united, the
    /// first failure. Exhaustive if all parts came to their end and no prefix is missing.
    ///
    /// # Errors
    ///
    /// If these are not parts of one exploration. What failed, what a limit has cut, and what went through
    /// everything because there was nothing to be divided, is taken for a part of any.
    pub fn together(parts: impl IntoIterator<Item = Outcome>) -> Result<Outcome, Apart> {
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or(Apart::Nothing)?;
        let mut whole = parts.try_fold(first, Outcome::and)?;
        let is_whole = match &whole.completeness {
            Completeness::Part(share) => share.is_whole(),
            Completeness::Exhaustive(_) => true,
            Completeness::Bounded(_) => false,
            Completeness::Ended | Completeness::Sampled { .. } => return Err(Apart::NoPart),
        };
        if is_whole {
            let (executions, behaviours) = (whole.executions, whole.behaviours.len());
            let certificate = Certificate::issue(whole.engine, executions, behaviours);
            whole.completeness = Completeness::Exhaustive(certificate);
        }
        Ok(whole)
    }

    /// Two parts as one.
    fn and(mut self, other: Outcome) -> Result<Outcome, Apart> {
        self.executions += other.executions;
        self.behaviours.extend(other.behaviours);
        self.time = self.time.max(other.time);
        self.states += other.states;
        self.cut += other.cut;
        self.depth = self.depth.max(other.depth);
        self.failure = self.failure.or(other.failure);
        self.completeness = match (self.completeness, other.completeness) {
            (Completeness::Part(mut one), Completeness::Part(other)) => {
                if (one.frontier, one.prefixes) != (other.frontier, other.prefixes) {
                    return Err(Apart::Frontiers);
                }
                one.done.extend(other.done);
                Completeness::Part(one)
            }
            (Completeness::Bounded(bound), other) | (other, Completeness::Bounded(bound)) => {
                let failed = other == Completeness::Bounded(Bound::Failure);
                Completeness::Bounded(if failed { Bound::Failure } else { bound })
            }
            (whole @ Completeness::Exhaustive(_), Completeness::Exhaustive(_)) => whole,
            _ => return Err(Apart::NoPart),
        };
        Ok(self)
    }

    /// One digest for the whole set of behaviours: equal on every engine that saw the same set.
    #[must_use]
    pub fn behaviours_digest(&self) -> u128 {
        Outcome::digest_of(&self.behaviours)
    }

    /// The same, for a set.
    #[must_use]
    pub fn digest_of(behaviours: &BTreeSet<u128>) -> u128 {
        use super::digest::Digest;
        let start = Digest::new(0x5e7).with(behaviours.len() as u64);
        let all = behaviours.iter();
        all.fold(start, |all, one| all.with(*one as u64).with((*one >> 64) as u64)).bits()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} executions, {} behaviours, {} states, {} cut, depth {}, {:.2} s, ",
            self.engine,
            self.executions,
            self.behaviours.len(),
            self.states,
            self.cut,
            self.depth,
            self.time.as_secs_f64()
        )?;
        match &self.completeness {
            Completeness::Exhaustive(_) => write!(f, "exhaustive"),
            Completeness::Part(Share { prefixes, done, .. }) => {
                write!(f, "{} of {prefixes} prefixes", done.len())
            }
            Completeness::Ended => write!(f, "the search ended"),
            Completeness::Bounded(bound) => write!(f, "bounded: {bound:?}"),
            Completeness::Sampled { rounds, seed } => write!(f, "{rounds} rounds, seed {seed:#x}"),
        }
    }
}
