//! For other people's code: a program of a few threads, written once, on every engine there is.
//!
//! [`netpoller::seam::Primitives`] stands for atomics and fences, a mutex, parking, and choices. Code that
//! takes them as a type parameter runs on [`Os`](netpoller::seam::Os) in production, and on an engine in a
//! test. Its scenarios are [`Program`]s: what each thread does, and what must hold in the end.
//!
//! The crate's front page has a whole example; `models/outside` is a crate of its own, with two bugs
//! that can be put in and are found.
//!
//! # What a plan may do
//!
//! Everything that the threads share goes through the primitives of the engine, or is not changed while
//! they run; `std::sync::Arc` around it is free. Nothing else may decide what a thread does: no address,
//! no clock, no hash seed, no thread-local, no static. The plan is built afresh for each execution.
//!
//! * Two to four threads with few operations each. What one thread does alone costs nothing; what is
//!   shared multiplies.
//! * A loop ends because another thread has done something, or it has no end: park instead of spinning.
//! * What a thread has found out and is not the result of an operation (what it computed, which way it
//!   went): [`Engine::note`]. What objects are called in a story: [`Engine::label`], before they are made.
//! * `digest` of a mutex condenses what is in it, for explore, which goes on from a state only once. If two
//!   contents could lead to different futures, so must their digests differ; `None` is always right.
//! * The final check ([`Plan::finally`]) looks only, with `peek`.
//!
//! # What the answer means
//!
//! [`Outcome::assert_exhaustive`] is the strongest: every interleaving, under sequential consistency, with
//! no bound (explore, loom-sc). loom-weak says [`assert_ended`](Outcome::assert_ended): it looks for
//! missing orderings, and is known to pass over some interleavings. The engines that sample have
//! [`assert_passed`](Outcome::assert_passed). A lost wakeup is a deadlock; its story says who waits.

use crate::engine::{Engine, Limits, Outcome, Plan, Threads};
#[cfg(feature = "shuttle")]
use crate::engine::{Explore, Shuttle};
#[cfg(feature = "loom")]
use crate::engine::{LoomSc, LoomWeak};
use crate::suite::Kind;

/// A program that is written once, for every engine.
pub trait Program: 'static {
    /// What it is called where outcomes are shown.
    const NAME: &'static str;

    /// Builds one run of it: fresh objects, and what each thread does with them.
    fn plan<E: Engine>() -> Plan;
}

/// Runs a program on one engine.
///
/// An execution that fails is an [`Outcome`] with a failure, and ends the run. On
/// [`Threads`] a deadlock does not end: it is real.
#[must_use]
pub fn run<P: Program>(kind: Kind, limits: &Limits) -> Outcome {
    match kind {
        Kind::Threads => Threads::run(P::plan::<Threads>, limits),
        #[cfg(feature = "shuttle")]
        Kind::Explore => Explore::run(P::plan::<Explore>, limits),
        #[cfg(feature = "shuttle")]
        Kind::Shuttle => Shuttle::run(P::plan::<Shuttle>, limits),
        #[cfg(feature = "loom")]
        Kind::LoomSc => LoomSc::run(P::plan::<LoomSc>, limits),
        #[cfg(feature = "loom")]
        Kind::LoomWeak => LoomWeak::run(P::plan::<LoomWeak>, limits),
    }
}

/// Runs a program on every engine of this build, until one finds fault.
///
/// Those that search come first, and threads of the operating system last: they would hang in a deadlock,
/// which the others have named by then. Without the features `shuttle` and `loom` there are only
/// threads.
///
/// loom takes as many threads as it was built for (5, with the one that builds the plan), and may need very
/// long for more than two: [`Limits::time`] and [`Limits::executions`] cut a run, which then says so.
#[must_use]
pub fn everywhere<P: Program>(limits: &Limits) -> Vec<Outcome> {
    let mut kinds = Kind::ALL.to_vec();
    kinds.sort_by_key(|kind| (*kind == Kind::Threads, !kind.searches()));
    let mut outcomes = Vec::new();
    for kind in kinds {
        let outcome = run::<P>(kind, limits);
        let failed = outcome.failure.is_some();
        outcomes.push(outcome);
        if failed {
            break;
        }
    }
    outcomes
}
