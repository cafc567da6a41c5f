//! The scenarios: small programs with a race in them, each written once and run on every engine.
//!
//! A scenario is a function that builds a [`Plan`]: fresh objects, a few threads, and what must
//! hold at the end. What must hold *always* is in the oracles. Every scenario names its race, the
//! rules that it is about and the bug it comes from; `netpoller-check list` shows them.
//!
//! | file | what is in it |
//! |---|---|
//! | [`park`] | a task parks while an edge, a close, an error or a stray wake arrives |
//! | [`edges`] | several edges, several waiters, both directions at once |
//! | [`retract`] | a wait is given up, or polled again with another waker |
//! | [`consume`] | readiness is consumed or reset while the next edge arrives |
//! | [`reopen`], [`reopen_crowd`] | waiters, events and closes of an incarnation that is over |
//! | [`churn`] | first registrations, and descriptors that come and go in one place |
//! | [`deadline`] | deadlines that move and expire while someone waits |
//! | [`deadline_both`] | deadlines of both directions, and those that part |
//! | [`at_once`] | a deadline against readiness, against a close and a reopening, and against all |
//! | [`deadline_wired`] | deadlines and a poller that sleeps in the kernel |
//! | [`timer`] | timers that have no descriptor |
//! | [`breaks`] | breaks against pollers, blocking and not |
//! | [`idle`], [`idle_polls`] | workers that go idle, one of them in the kernel, and are called for work |
//! | [`fd_lock`], [`fd_crowd`], [`fd_polls`] | users of a number, turns of a direction, and a close |
//! | [`connect`] | connections that come while their deadline does, or their future goes |
//! | [`harvest`] | signals, and batches with no room for all |
//! | [`traffic`], [`streams`] | bytes through the simulated kernel, end to end |
//! | [`level`] | races of other files on a level-triggered kernel, and those that only it has |
//! | [`ends`] | data and the end of a stream, errors that a kernel reports |
//! | [`short_reads`] | reads that wait first, after one that was short |
//! | [`turns`] | blocking waits that poll because nobody else does |
//! | [`attach`] | who begins and ends to drive while others wait in turns |
//!
//! What races with what is the [`Family`] of a scenario; [`family`] says which variants each has.
//!
//! Half of them drive the poller through stale and fresh handles on a kernel that does nothing
//! ([`StubKernel`](crate::kernel::StubKernel)): a poller thread that always brings
//! readiness would hide a lost wakeup. So would a kernel whose locks order what the code under
//! test does not; the scenarios that are about memory ordering avoid both.
//!
//! What each scenario holds (its threads, how many operations each of them does, its choices, its
//! kernel) is pinned in `scenarios.toml` ([`suite::contents`](crate::suite::contents)).

pub mod at_once;
pub mod attach;
pub mod bench;
pub mod breaks;
pub mod churn;
pub mod connect;
pub mod consume;
mod crew;
pub mod deadline;
pub mod deadline_both;
pub mod deadline_wired;
pub mod edges;
pub mod ends;
pub mod family;
pub mod fd_crowd;
pub mod fd_lock;
pub mod fd_polls;
pub mod harvest;
pub mod idle;
pub mod idle_polls;
pub mod level;
pub mod park;
pub mod reopen;
pub mod reopen_crowd;
pub mod retract;
pub mod short_reads;
pub mod streams;
pub mod timer;
pub mod traffic;
pub mod turns;
pub mod waiters;

pub use family::Family;

use crate::engine::Plan;

/// One scenario: what it is about, and how to build it for each engine.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line and in `expected.toml`.
    pub name: &'static str,
    /// What races with what.
    pub family: Family,
    /// The race, in a few lines.
    pub race: &'static str,
    /// The rules of SPEC.md it is about, separated by spaces.
    pub rules: &'static str,
    /// The bug or the argument it comes from.
    pub origin: &'static str,
    /// The plan on OS threads.
    pub threads: fn() -> Plan,
    /// The plan on loom, with sequentially consistent memory.
    #[cfg(feature = "loom")]
    pub loom_sc: fn() -> Plan,
    /// The plan on loom, orderings as written.
    #[cfg(feature = "loom")]
    pub loom_weak: fn() -> Plan,
    /// The plan on shuttle.
    #[cfg(feature = "shuttle")]
    pub shuttle: fn() -> Plan,
    /// The plan on the exhaustive engine.
    #[cfg(feature = "shuttle")]
    pub explore: fn() -> Plan,
}

impl core::fmt::Debug for Scenario {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The scenarios of each file, in the order of the table.
const FILES: &[&[Scenario]] = &[
    park::ALL,
    edges::ALL,
    retract::ALL,
    consume::ALL,
    reopen::ALL,
    reopen_crowd::ALL,
    churn::ALL,
    deadline::ALL,
    deadline_both::ALL,
    at_once::ALL,
    deadline_wired::ALL,
    timer::ALL,
    breaks::ALL,
    idle::ALL,
    idle_polls::ALL,
    fd_lock::ALL,
    fd_crowd::ALL,
    fd_polls::ALL,
    connect::ALL,
    harvest::ALL,
    traffic::ALL,
    streams::ALL,
    ends::ALL,
    short_reads::ALL,
    waiters::ALL,
    level::ALL,
    turns::ALL,
    attach::ALL,
];

/// All scenarios, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    FILES.iter().flat_map(|file| *file)
}

/// The scenario of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Scenario> {
    all().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// The names of its threads.
    #[must_use]
    pub fn thread_names(&self) -> Vec<&'static str> {
        (self.threads)().threads.iter().map(|(name, _)| *name).collect()
    }

    /// Whether it runs on the simulated kernel, and not on the one that does nothing.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        drop((self.threads)());
        matches!(crate::world::last_kernel(), "SimKernel" | "LevelKernel")
    }
}

/// Turns a documented generic function into a module with the function, called `plan`, and its
/// entry for the catalogue.
macro_rules! scenario {
    (
        $(#[doc = $doc:literal])+
        family: $family:ident;
        rules: $rules:literal;
        from: $from:literal;
        fn $name:ident<$E:ident>() -> Plan $body:block
    ) => {
        $(#[doc = $doc])+
        pub mod $name {
            use super::*;

            /// Builds one run.
            ///
            /// # Panics
            ///
            /// When the setup fails: the stub and a fresh simulated kernel have room for it.
            #[must_use]
            pub fn plan<$E: Engine>() -> Plan $body

            /// The entry in the catalogue.
            pub const SCENARIO: Scenario = Scenario {
                name: stringify!($name),
                family: $crate::scenario::Family::$family,
                race: concat!($($doc, "\n"),+),
                rules: $rules,
                origin: $from,
                threads: plan::<$crate::engine::Threads>,
                #[cfg(feature = "loom")]
                loom_sc: plan::<$crate::engine::LoomSc>,
                #[cfg(feature = "loom")]
                loom_weak: plan::<$crate::engine::LoomWeak>,
                #[cfg(feature = "shuttle")]
                shuttle: plan::<$crate::engine::Shuttle>,
                #[cfg(feature = "shuttle")]
                explore: plan::<$crate::engine::Explore>,
            };
        }
    };
}
pub(crate) use scenario;
