//! `--unique`: is who claims to be the only one to catch a mutant the only one?
//!
//! An entry with `only_oracle` says that with all other oracles on, and this one off, nobody notices
//! the mutant; one with `only_family`, that no scenario of another family, or group of them, does. Either is shown by
//! running all scenarios in question on explore, as far as a quick run goes, and on loom-weak too if
//! the mutant is one that only a weak memory shows. That it is caught *by* the oracle and the family
//! is what the entry designates, and is run as well.

use super::{Jury, Task};
use netpoller_models::mutants::Mutant;
use netpoller_models::scenario;
use std::collections::BTreeSet;

/// How far these runs go: as far as a quick run, but where the mutant has made the program so much
/// larger that there is no end to it; or as far as somebody has patience.
pub(super) fn reach(seconds: Option<u64>) -> String {
    format!("--seconds={}", seconds.unwrap_or(60))
}

/// Whether the mutant claims anything.
pub(super) fn claims(mutant: &Mutant) -> bool {
    mutant.only_oracle.is_some() || mutant.only_family.is_some()
}

/// What has to pass if the claims are true.
pub(super) fn tasks(mutant: &Mutant) -> BTreeSet<Task> {
    let engines: &[&str] = if mutant.memory { &["explore", "loom-weak"] } else { &["explore"] };
    let mut tasks = BTreeSet::new();
    for scenario in scenario::all() {
        let of_another = |only: &String| !scenario.family.is_of(only);
        let others = mutant.only_family.as_ref().is_some_and(of_another);
        for engine in engines {
            if let Some(oracle) = &mutant.only_oracle {
                let jury = Jury::Except(oracle.clone());
                tasks.insert(Task::new(scenario.name, engine, jury));
            }
            if others {
                tasks.insert(Task::new(scenario.name, engine, Jury::All));
            }
        }
    }
    tasks
}
