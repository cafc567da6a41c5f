//! What is pinned: `models/expected.toml`.
//!
//! ```toml
//! [park_close]
//! behaviours = "11 0123456789abcdef0123456789abcdef"   # how many, and the digest of the set
//! explore = { executions = 31, complete = true }
//! loom-weak = { executions = 20000, complete = false } # a quick run stops here
//! ```

use super::Kind;
use crate::engine::{Completeness, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The contents of `expected.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expected {
    scenarios: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Number and digest of the behaviours, where some engine has seen them all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    behaviours: Option<String>,
    /// By the name of the engine.
    #[serde(flatten)]
    engines: BTreeMap<String, Pinned>,
}

/// What is pinned for one scenario on one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pinned {
    /// How many executions a quick run has.
    pub executions: u64,
    /// Whether the search came to its end.
    pub complete: bool,
}

/// How an outcome compares with its pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was pinned.
    AsPinned,
    /// Nothing is pinned.
    NotPinned,
    /// It differs.
    Differs(String),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::AsPinned => f.write_str("as pinned"),
            Verdict::NotPinned => f.write_str("not pinned: `cargo verify run --pin` pins it"),
            Verdict::Differs(how) => f.write_str(how),
        }
    }
}

impl Expected {
    /// What this version of the project ships.
    ///
    /// # Panics
    ///
    /// When the file is not well formed, with the place.
    #[must_use]
    pub fn shipped() -> Expected {
        Self::parse(include_str!("../../expected.toml"))
            .unwrap_or_else(|error| panic!("models/expected.toml: {error}"))
    }

    /// Reads the contents of a file.
    ///
    /// # Errors
    ///
    /// With the line and column of what is not well formed.
    pub fn parse(text: &str) -> Result<Expected, toml::de::Error> {
        toml::from_str(text)
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
            "# How many executions a quick run of each scenario has on each engine, and whether the\n\
             # search came to its end with them. `behaviours`: number and digest of the set, seen in full.\n\
             # Written by `cargo verify run --pin`; read the difference before you commit it.\n",
        );
        for (name, entry) in &self.scenarios {
            let _ = writeln!(text, "\n[{name}]");
            if let Some(behaviours) = &entry.behaviours {
                let _ = writeln!(text, "behaviours = \"{behaviours}\"");
            }
            for (engine, Pinned { executions, complete }) in &entry.engines {
                let _ = writeln!(
                    text,
                    "{engine} = {{ executions = {executions}, complete = {complete} }}"
                );
            }
        }
        text
    }

    /// What is pinned for a scenario on an engine.
    #[must_use]
    pub fn pinned(&self, scenario: &str, engine: &str) -> Option<&Pinned> {
        self.scenarios.get(scenario)?.engines.get(engine)
    }

    /// The names of the scenarios that have an entry.
    pub fn scenarios(&self) -> impl Iterator<Item = &str> {
        self.scenarios.keys().map(String::as_str)
    }

    /// Pins an outcome. The behaviours are pinned by a run that has seen them all.
    pub fn pin(&mut self, scenario: &str, kind: Kind, outcome: &Outcome) {
        let exhaustive = matches!(outcome.completeness, Completeness::Exhaustive(_));
        let entry = self.scenarios.entry(scenario.to_owned()).or_default();
        if exhaustive && kind.settles_behaviours() {
            entry.behaviours = Some(behaviours(outcome));
        }
        let complete = complete(&outcome.completeness);
        let pinned = Pinned { executions: outcome.executions, complete };
        entry.engines.insert(kind.name().to_owned(), pinned);
    }

    /// Takes over what `other` pins, over what is pinned here.
    pub fn adopt(&mut self, other: Expected) {
        for (name, entry) in other.scenarios {
            let mine = self.scenarios.entry(name).or_default();
            mine.behaviours = entry.behaviours.or(mine.behaviours.take());
            mine.engines.extend(entry.engines);
        }
    }

    /// Takes the entries of scenarios that are not in `names` out.
    pub fn keep_only(&mut self, names: &[&str]) {
        self.scenarios.retain(|name, _| names.contains(&name.as_str()));
    }

    /// Compares an outcome with what is pinned.
    #[must_use]
    pub fn judge(&self, scenario: &str, kind: Kind, outcome: &Outcome) -> Verdict {
        let Some(entry) = self.scenarios.get(scenario) else { return Verdict::NotPinned };
        let Some(pinned) = entry.engines.get(kind.name()) else { return Verdict::NotPinned };
        let exhaustive = matches!(outcome.completeness, Completeness::Exhaustive(_));
        let ended = complete(&outcome.completeness);
        if ended != pinned.complete {
            let said = |complete| if complete { "complete" } else { "cut" };
            return Verdict::Differs(format!(
                "pinned as {}, was {}",
                said(pinned.complete),
                said(ended)
            ));
        }
        if outcome.executions != pinned.executions {
            return Verdict::Differs(format!(
                "{} executions are pinned, there were {}",
                pinned.executions, outcome.executions
            ));
        }
        if exhaustive && kind.settles_behaviours() {
            let seen = behaviours(outcome);
            if entry.behaviours.as_ref() != Some(&seen) {
                let pinned = entry.behaviours.as_deref().unwrap_or("none");
                return Verdict::Differs(format!("behaviours: pinned {pinned}, seen {seen}"));
            }
        }
        Verdict::AsPinned
    }
}

fn complete(completeness: &Completeness) -> bool {
    matches!(completeness, Completeness::Exhaustive(_) | Completeness::Ended)
}

fn behaviours(outcome: &Outcome) -> String {
    format!("{} {:032x}", outcome.behaviours.len(), outcome.behaviours_digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Completeness, Outcome};

    fn outcome(executions: u64) -> Outcome {
        Outcome {
            engine: "threads",
            executions,
            behaviours: std::collections::BTreeSet::new(),
            completeness: Completeness::Sampled { rounds: executions, seed: 0 },
            time: std::time::Duration::ZERO,
            states: 0,
            cut: 0,
            depth: 0,
            failure: None,
        }
    }

    #[test]
    fn what_was_pinned_is_as_pinned_and_what_differs_is_said() {
        let mut expected = Expected::default();
        assert_eq!(expected.judge("x", Kind::Threads, &outcome(3)), Verdict::NotPinned);
        expected.pin("x", Kind::Threads, &outcome(3));
        let read_back = Expected::parse(&expected.to_toml()).expect("what was written is read");
        assert_eq!(read_back, expected);
        assert_eq!(read_back.judge("x", Kind::Threads, &outcome(3)), Verdict::AsPinned);
        let Verdict::Differs(how) = read_back.judge("x", Kind::Threads, &outcome(2)) else {
            panic!("fewer executions than pinned went unnoticed");
        };
        assert!(how.contains("3 executions are pinned, there were 2"), "{how}");
    }

    #[test]
    fn a_typing_error_is_found_and_placed() {
        let error = Expected::parse("[x]\nexplore = { executons = 1, complete = true }\n")
            .expect_err("an unknown field");
        let text = error.to_string();
        assert!(text.contains("line ") && text.contains("[x]"), "where is it? {text}");
    }

    #[test]
    fn every_entry_belongs_to_a_scenario() {
        for name in Expected::shipped().scenarios() {
            assert!(crate::scenario::find(name).is_some(), "expected.toml: no scenario {name}");
        }
    }
}
