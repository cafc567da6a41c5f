//! The scenarios: small programs with a race in them, each written once and run on every engine.
//!
//! A scenario is a function that builds a [`Plan`]: fresh objects, a few threads, and what must
//! hold at the end. What must hold *always* is in the oracles. Every scenario names its race, the
//! rules that it is about and the bug it comes from; `netpoller-check list` shows them.
//!
//! | file | race family |
//! |---|---|
//! | [`park`] | a task parks while an edge, a close, an error or a stray wake arrives |
//! | [`retract`] | a wait is given up, or polled again with another waker |
//! | [`consume`] | readiness is consumed or reset while the next edge arrives |
//! | [`reopen`] | waiters, events and closes of an incarnation that is over |
//! | [`deadline`] | deadlines that move and expire while someone waits |
//! | [`breaks`] | breaks against pollers, blocking and not |
//! | [`fd_lock`] | users of a number, turns of a direction, and a close |
//! | [`connect`] | connections that come while their deadline does, or their future goes |
//! | [`harvest`] | signals, and batches with no room for all |
//! | [`traffic`] | bytes through the simulated kernel, end to end |
//!
//! The first four drive the poller through stale and fresh handles on a kernel that does nothing
//! ([`StubKernel`](crate::kernel::StubKernel)): a poller thread that always brings
//! readiness would hide a lost wakeup. So would a kernel whose locks order what the code under
//! test does not; the scenarios that are about memory ordering avoid both.

pub mod bench;
pub mod breaks;
pub mod connect;
pub mod consume;
pub mod deadline;
pub mod fd_lock;
pub mod harvest;
pub mod park;
pub mod reopen;
pub mod retract;
pub mod traffic;

use crate::engine::Plan;

/// One scenario: what it is about, and how to build it for each engine.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name on the command line and in `expected.toml`.
    pub name: &'static str,
    /// The race, in a few lines.
    pub race: &'static str,
    /// The rules of SPEC.md it is about, separated by spaces.
    pub rules: &'static str,
    /// The bug or the argument it comes from.
    pub origin: &'static str,
    /// The plan on OS threads.
    pub threads: fn() -> Plan,
    /// The plan on loom, every operation a read-modify-write.
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

/// The families, by the names of their files, in the order of the table.
pub const FAMILIES: &[(&str, &[Scenario])] = &[
    ("park", park::ALL),
    ("retract", retract::ALL),
    ("consume", consume::ALL),
    ("reopen", reopen::ALL),
    ("deadline", deadline::ALL),
    ("breaks", breaks::ALL),
    ("fd_lock", fd_lock::ALL),
    ("connect", connect::ALL),
    ("harvest", harvest::ALL),
    ("traffic", traffic::ALL),
];

/// All scenarios, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    FAMILIES.iter().flat_map(|(_, family)| *family)
}

/// The family of the scenario of this name.
#[must_use]
pub fn family(name: &str) -> Option<&'static str> {
    let of = |family: &[Scenario]| family.iter().any(|scenario| scenario.name == name);
    FAMILIES.iter().find(|(_, family)| of(family)).map(|(name, _)| *name)
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
}

/// Turns a documented generic function into a module with the function, called `plan`, and its
/// entry for the catalogue.
macro_rules! scenario {
    (
        $(#[doc = $doc:literal])+
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
