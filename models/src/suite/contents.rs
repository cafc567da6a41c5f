//! What each scenario holds: `models/scenarios.toml`.
//!
//! ```toml
//! [park_ready]
//! family = "park/unpark"
//! kernel = "none"                                  # or "simulated"
//! threads = [["reader", 14, 9], ["poller", 8, 9]]  # name, operations, operations in reverse order
//! choices = []                                     # alternatives, in the order of the plan
//! ```
//!
//! The operations are those of two executions with a fixed schedule ([`Census`]): whoever comes
//! first in the plan goes on until it has to wait, and the same with the plan turned round. In the one
//! a waiter parks, in the other one it finds what it waits for. They are pinned so that nothing
//! gets faster by checking less: a thread that is gone, an operation, or a choice of the kernel is a
//! difference that somebody has to explain.

use crate::engine::Census;
use crate::scenario::{self, Scenario};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What one scenario holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// The race family, by its title.
    pub family: String,
    /// `none` or `simulated`.
    pub kernel: String,
    /// Name, operations in the order of the plan, operations in the reverse order.
    pub threads: Vec<(String, u64, u64)>,
    /// How many alternatives there are at each choice, in the order of the plan.
    pub choices: Vec<u64>,
}

impl Contents {
    /// Counts what a scenario holds.
    ///
    /// # Panics
    ///
    /// When one of the two executions fails.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Contents {
        let build = scenario.explore;
        let forward = Census::of(build);
        let reverse = Census::of(move || {
            let mut plan = build();
            plan.threads.reverse();
            plan
        });
        let threads = forward.threads.into_iter().zip(reverse.threads.into_iter().rev());
        Contents {
            family: scenario.family.title().to_owned(),
            kernel: if scenario.is_simulated() { "simulated" } else { "none" }.to_owned(),
            threads: threads.map(|((name, one), (_, two))| (name, one, two)).collect(),
            choices: forward.choices,
        }
    }
}

/// Everything but the family, under which it is listed.
impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let threads: Vec<_> =
            self.threads.iter().map(|(name, one, two)| format!("{name} {one}/{two}")).collect();
        write!(f, "{}; kernel: {}", threads.join(", "), self.kernel)?;
        if !self.choices.is_empty() {
            write!(f, "; choices among {:?}", self.choices)?;
        }
        Ok(())
    }
}

/// What is pinned of all scenarios.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AllContents(BTreeMap<String, Contents>);

impl AllContents {
    /// What this version of the project ships.
    ///
    /// # Panics
    ///
    /// When the file is not well formed, with the place.
    #[must_use]
    pub fn shipped() -> AllContents {
        Self::parse(include_str!("../../scenarios.toml"))
            .unwrap_or_else(|error| panic!("models/scenarios.toml: {error}"))
    }

    /// Reads the contents of a file.
    ///
    /// # Errors
    ///
    /// With the line and column of what is not well formed.
    pub fn parse(text: &str) -> Result<AllContents, toml::de::Error> {
        toml::from_str(text)
    }

    /// Counts what all scenarios hold.
    ///
    /// # Panics
    ///
    /// When an execution fails.
    #[must_use]
    pub fn counted() -> AllContents {
        AllContents(scenario::all().map(|s| (s.name.to_owned(), Contents::of(s))).collect())
    }

    /// What is pinned of one scenario.
    #[must_use]
    pub fn of(&self, scenario: &str) -> Option<&Contents> {
        self.0.get(scenario)
    }

    /// The differences between what is pinned here and what there `is`, in words.
    #[must_use]
    pub fn differences(&self, is: &AllContents) -> Vec<String> {
        let mut differences = Vec::new();
        for (name, there) in &is.0 {
            match self.0.get(name) {
                None => differences.push(format!("{name} is not pinned: {there}")),
                Some(pinned) => {
                    let families = [&pinned.family, &there.family];
                    if families[0] != families[1] {
                        let [pinned, is] = families;
                        differences.push(format!("{name}: pinned in {pinned}, is in {is}"));
                    }
                    let (pinned, is) = (pinned.to_string(), there.to_string());
                    if pinned != is {
                        differences.push(format!("{name}: pinned {pinned}\n{name}: is     {is}"));
                    }
                }
            }
        }
        let gone = self.0.keys().filter(|name| !is.0.contains_key(*name));
        differences
            .extend(gone.map(|name| format!("{name} is pinned, and there is no such scenario")));
        differences
    }

    /// The contents of the file.
    ///
    /// # Panics
    ///
    /// Never: strings and numbers can be written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        use std::fmt::Write;
        let mut text = String::from(
            "# What each scenario holds. threads: name, operations when the threads run in the order of the\n\
             # plan, each until it has to wait, and in the reverse order. choices: how many alternatives each\n\
             # has. Written by `cargo verify list --pin`; read the difference before you commit it: less is a\n\
             # scenario that checks less.\n",
        );
        for (name, Contents { family, kernel, threads, choices }) in &self.0 {
            let threads: Vec<_> = threads
                .iter()
                .map(|(name, one, two)| format!("[\"{name}\", {one}, {two}]"))
                .collect();
            let _ = write!(
                text,
                "\n[{name}]\nfamily = \"{family}\"\nkernel = \"{kernel}\"\nthreads = [{}]\nchoices = {choices:?}\n",
                threads.join(", ")
            );
        }
        text
    }
}
