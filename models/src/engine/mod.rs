//! The engines: who decides which thread runs next.
//!
//! A scenario is one generic function that builds a [`Plan`]. An engine runs the plan many times,
//! each time with another interleaving, and reports what it saw ([`Outcome`]).
//!
//! | engine | threads are | explores | memory model |
//! |---|---|---|---|
//! | [`Threads`] | threads of the operating system | what happens to happen | the machine's |
//! | [`Explore`] | coroutines | all interleavings, each state once | sequentially consistent |
//! | [`Shuttle`] | coroutines | random ones, or by priorities | sequentially consistent |
//! | [`LoomSc`] | coroutines | all interleavings, with reduction | sequentially consistent |
//! | [`LoomWeak`] | coroutines | interleavings and old values | what loom knows of C11 |
//!
//! `Explore` and `LoomSc` were written by different people on different principles; where both
//! finish a scenario, the behaviours they saw must be the same set. `Explore` is the quicker one by
//! far; `LoomWeak` is the only one that can miss a fence, and does not find everything.
//!
//! # What a scenario may do
//!
//! Everything the threads share goes through the primitives of the engine, or is not changed while
//! they run. Nothing else may decide what a thread does: no address, no clock of the machine, no
//! hash seed, no thread-local, no static. Plumbing such as `std::sync::Arc` is free.

mod cause;
#[cfg(feature = "shuttle")]
mod census;
mod digest;
#[cfg(feature = "shuttle")]
mod explore;
mod file;
#[cfg_attr(not(feature = "shuttle"), allow(dead_code))]
mod leaks;
pub(crate) mod mix;
#[cfg(feature = "loom")]
mod on_loom;
#[cfg(feature = "shuttle")]
mod on_shuttle;
// Each engine uses its part of these; without the others, part of them is idle.
#[cfg_attr(not(all(feature = "loom", feature = "shuttle")), allow(dead_code))]
mod outcome;
#[cfg_attr(not(all(feature = "loom", feature = "shuttle")), allow(dead_code))]
mod quiet;
#[cfg_attr(not(all(feature = "loom", feature = "shuttle")), allow(dead_code))]
mod record;
mod sealed;
mod story;
mod telling;
mod threads;
#[cfg(any(feature = "loom", feature = "shuttle"))]
mod value;

pub use cause::Cause;
#[cfg(feature = "shuttle")]
pub use census::Census;
#[cfg(feature = "shuttle")]
pub use explore::{Explore, Explored, Prefixes, Replayed};
pub use file::{FailureFile, Verdict};
#[cfg(feature = "loom")]
pub use on_loom::{Loom, LoomSc, LoomWeak};
#[cfg(feature = "shuttle")]
pub use on_shuttle::Shuttle;
pub use outcome::{
    Apart, Bound, Certificate, Completeness, Failure, FailureKind, Limits, Outcome, Sampling,
    Search, Share,
};
pub use record::Told;
pub use sealed::seal_nothing;
pub use story::{Doing, End, NamedStep, Row, Story, Word};
pub use threads::Threads;

pub(crate) use digest::{Digest, Words};
pub(crate) use leaks::count;
pub(crate) use record::current;
pub(crate) use sealed::{sealed, unseal};

use core::hash::Hash;
use netpoller::seam::Primitives;

/// An engine, as a type parameter of a scenario: its primitives, and how it runs a plan.
pub trait Engine: Primitives + Clone {
    /// The name in tables and on the command line.
    const NAME: &'static str;

    /// Whether one thread runs at a time and all are known by their place in the plan.
    const SERIAL: bool = true;

    /// Whether its memory is sequentially consistent, so that what happens has one order.
    const ORDERED: bool = true;

    /// Runs the plans that `build` builds until everything was seen, a limit is reached or an
    /// execution fails.
    fn run(build: impl Fn() -> Plan + Send + Sync + 'static, limits: &Limits) -> Outcome;

    /// Adds a value to the behaviour of the calling thread and to the story. Not a step that could
    /// be interleaved.
    fn note(label: &'static str, value: u64) {
        record::done(record::Done {
            label,
            seen: Some(value),
            ..record::Done::new(record::Op::Note, record::Object::NONE)
        });
    }

    /// Adds a step of the state machine to the story, to which it gives a column. Neither a step
    /// that could be interleaved nor a part of the behaviour: it follows from the operations around it.
    fn tell(step: Told) {
        record::told(step);
    }

    /// The objects that the calling thread makes from now on have this name in the story; the
    /// second and later ones with a number.
    fn label(label: &'static str) {
        record::label(label);
    }

    /// State outside of the seam that decides whether an execution passes, such as that of an
    /// oracle: `digest` condenses what is in it now, `key` tells one such state from another. An
    /// engine that recognises states takes it into account, and goes through all orders in which
    /// steps call this with the same key.
    ///
    /// If an oracle only asks which calls had ended before others began, [`announced`](Self::announced)
    /// and [`ended`](Self::ended) say so, and far fewer orders have to be gone through.
    fn absorb(_key: &'static str, _digest: u64) {}

    /// The calling thread begins a call with its next operation, about this part of what the oracle
    /// with this key looks at. Returns what [`performed`](Self::performed) says of it now.
    ///
    /// What an oracle remembers of a part may depend on which calls about it had begun when one of them
    /// ended; neither on the order in which they began nor on that in which they ended.
    #[must_use]
    fn announced(_key: &'static str, _part: u32) -> Option<u64> {
        None
    }

    /// The calling thread ends a call about this part. `digest` condenses what the oracle remembers
    /// of the part now.
    fn ended(_key: &'static str, _part: u32, _digest: u64) {}

    /// How many operations the thread at this place of the plan has performed; `None` on engines
    /// that cannot tell. By that an observer learns whether a thread that has announced a call has
    /// begun it ([`announced`](Self::announced)): a function of what the thread has observed, so a
    /// state that is recognised need not hold it once more. Nothing else may be concluded from it.
    #[must_use]
    fn performed(_thread: usize) -> Option<u64> {
        None
    }

    /// What the calling thread does from here on depends on nothing that it has observed so far, but on
    /// `kept`: for threads that go round in a loop. What it did before is no part of its behaviour any
    /// more, and an engine that recognises states takes two for the same that differ in it only.
    ///
    /// It must not hold a lock nor be within a call on the poller. A thread that has changed something which is in no
    /// state, and has said so, forgets nothing. A loop that can come back to the
    /// state it began in is a panic: such a program need not end.
    fn forget(kept: u64) {
        let _kept = record::forgets(kept);
    }

    /// Makes a call of which the calling thread remembers nothing but the result: what it observed within is
    /// no part of its behaviour once the call has returned, and an engine that recognises states takes two
    /// for the same that differ in it only.
    ///
    /// Whatever the call changes that is the thread's own has to be part of the result. What it changes that others can
    /// see has to be a primitive of the engine, or absorbed: a call that changes anything else is not to be
    /// sealed. It gives back the locks that it takes. A call on the poller lies within it as a whole, or it
    /// within one.
    ///
    /// # Panics
    ///
    /// Only if `call` does. A result from which something was left out is found out by a search that comes to one
    /// state on two ways and sees it go on differently ([`Search::Schedules`] is sure to).
    fn sealed<R: Hash>(call: impl FnOnce() -> R) -> R {
        sealed::sealed(call)
    }

    /// The name of the calling thread in the plan.
    #[must_use]
    fn thread_name() -> &'static str {
        record::name()
    }
}

/// One run of a scenario: fresh objects, and what each thread does with them.
#[derive(Default)]
pub struct Plan {
    /// The threads; the first one may be run by the engine's main thread.
    pub threads: Vec<(&'static str, Body)>,
    /// Runs after all threads have ended, on one of them or elsewhere; looks only through `peek`.
    pub finally: Option<Body>,
}

/// What a thread does.
pub type Body = Box<dyn FnOnce() + Send>;

impl Plan {
    /// A plan without threads.
    #[must_use]
    pub fn new() -> Plan {
        Plan::default()
    }

    /// Adds a thread.
    #[must_use]
    pub fn thread(mut self, name: &'static str, body: impl FnOnce() + Send + 'static) -> Plan {
        self.threads.push((name, Box::new(body)));
        self
    }

    /// What must hold when all threads have ended. Panics when it does not.
    #[must_use]
    pub fn finally(mut self, check: impl FnOnce() + Send + 'static) -> Plan {
        self.finally = Some(Box::new(check));
        self
    }
}

impl core::fmt::Debug for Plan {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.threads.iter().map(|(name, _)| name)).finish()
    }
}
