//! What is wrong with the entries, as far as can be told without building anything.

use super::{Catch, ENGINES, How, Judge, Mutant, read, rules};
use crate::engine::Threads;
use crate::kernel::SimKernel;
use crate::oracle::Which;
use crate::scenario;
use crate::world::Model;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// What is wrong with the entries, as far as can be told without building; nothing if empty.
///
/// Ids are unique; each text to be replaced is there exactly once; scenarios, engines, rules and
/// tests exist; somebody is to catch it; and each rule is cited by a scenario or test
/// that catches the mutant, for a rule that is broken in front of tests about something else is
/// not tested. Explore is among those that catch it, unless only a weak memory shows it; and what it
/// claims to be the only one of is among those that catch it.
///
/// # Errors
///
/// When a file cannot be read.
pub fn faults(mutants: &[Mutant], root: &Path) -> io::Result<Vec<String>> {
    let known = rules(root)?;
    let behaviours = crate::behaviour::catalogue::<Model<Threads, SimKernel<Threads>>>();
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for mutant in mutants {
        let mut fault = |what: String| faults.push(format!("mutant {}: {what}", mutant.id));
        if !ids.insert(mutant.id.as_str()) {
            fault("the id is used twice".to_owned());
        }
        if mutant.caught.is_empty() && mutant.tests.is_empty() {
            fault("nothing is named that catches it".to_owned());
        }
        let mut cited = String::new();
        for Catch { scenario, engine, how, oracle } in &mutant.caught {
            match crate::scenario::find(scenario) {
                None => fault(format!("no scenario is called {scenario}")),
                Some(found) => {
                    cited.push_str(found.rules);
                    cited.push(' ');
                }
            }
            if !ENGINES.contains(&engine.as_str()) {
                fault(format!("no engine is called {engine}: {}", ENGINES.join(", ")));
            }
            let fits = match how {
                How::Deadlock => oracle.is_none_or(|oracle| oracle == Judge::Deadlock),
                How::Panic => oracle.is_some_and(|oracle| oracle != Judge::Deadlock),
                How::Hang => oracle.is_none(),
            };
            if !fits {
                fault(format!("a {} on {scenario} does not go with that oracle", how.name()));
            }
        }
        for test in &mutant.tests {
            // The tests of behaviours are made by a macro: the catalogue has their names and rules.
            if (test.package.as_str(), test.target.as_str()) == ("netpoller-models", "behaviour") {
                match behaviours.iter().find(|behaviour| behaviour.name == test.name) {
                    None => fault(format!("no behaviour is called {}", test.name)),
                    Some(found) => cited.push_str(&found.rules.join(" ")),
                }
                cited.push(' ');
                continue;
            }
            let Some(source) = test.source(root) else {
                fault(format!("no file holds the test {test}"));
                continue;
            };
            let text = read(&source)?;
            let function = test.name.rsplit("::").next().unwrap_or_default();
            if !text.contains(&format!("fn {function}(")) {
                fault(format!("{} holds no test {function}", source.display()));
            }
            cited.push_str(&text);
        }
        for rule in mutant.rules() {
            if let Some((_, folder)) = NO_RULES.iter().find(|(name, _)| *name == rule) {
                if !mutant.edits().all(|edit| edit.file.starts_with(folder)) {
                    fault(format!("{rule} is for mutants of {folder} alone"));
                }
            } else if !known.iter().any(|known| known == rule) {
                fault(format!("{rule} is no rule of SPEC.md"));
            } else if !cites(&cited, rule) {
                fault(format!("nothing that catches it cites {rule}"));
            }
        }
        memory_and_claims(mutant, &mut fault);
        if mutant.rule.trim().is_empty() {
            fault("it names no rule".to_owned());
        }
        if let Err(error) = mutant.apply(root) {
            faults.push(error.to_string());
        }
    }
    Ok(faults)
}

/// Who has to catch it, because of what it is and what it claims.
fn memory_and_claims(mutant: &Mutant, fault: &mut impl FnMut(String)) {
    let on = |engine: &str| mutant.caught.iter().any(|catch| catch.engine == engine);
    if mutant.memory {
        if mutant.caught.is_empty() || !mutant.caught.iter().all(|catch| catch.engine == WEAK) {
            fault(format!("only a weak memory shows it, so {WEAK} alone has to catch it"));
        }
    } else if !mutant.caught.is_empty() && !on(STRONG) {
        fault(format!("{STRONG} has to catch it, or it has to say `memory = true`"));
    }
    if let Some(name) = &mutant.only_oracle {
        let by = |catch: &Catch| match (catch.how, catch.oracle) {
            (How::Deadlock, _) => Some(Judge::Deadlock),
            (_, oracle) => oracle,
        };
        if !Which::ALL.iter().any(|which| which.name() == name) {
            fault(format!("no oracle is called {name}"));
        }
        let mut judges = mutant.caught.iter().map(by);
        if mutant.memory || !judges.all(|judge| judge.is_some_and(|judge| judge.name() == name)) {
            fault(format!("{name} is not the only oracle that catches it on {STRONG}"));
        }
    }
    if let Some(name) = &mutant.only_family {
        if !scenario::family::names().any(|known| known == name) {
            fault(format!("no family is called {name}"));
        }
        let of = |catch: &Catch| {
            scenario::find(&catch.scenario).is_some_and(|scenario| scenario.family.is_of(name))
        };
        if !mutant.caught.iter().all(of) {
            fault(format!("{name} is not the only family that catches it"));
        }
    }
    let claims = mutant.only_oracle.is_some() || mutant.only_family.is_some();
    if claims && mutant.caught.is_empty() {
        fault("it claims to be caught by one of the scenarios only, and names none".to_owned());
    }
}

/// The engine that goes through all that sequential consistency allows.
const STRONG: &str = "explore";
/// The one whose memory is weaker.
const WEAK: &str = "loom-weak";

/// What a mutant breaks that is no rule of SPEC.md, and where such mutants are: what Linux does, by a
/// mutant of the simulated kernel; that nothing is passed over, by a mutant of the search.
const NO_RULES: [(&str, &str); 2] =
    [("Linux", "models/src/kernel/"), ("Search", "models/src/engine/")];

/// NP-SLOT-1 is not cited by NP-SLOT-100.
fn cites(text: &str, rule: &str) -> bool {
    text.match_indices(rule)
        .any(|(at, _)| !text[at + rule.len()..].starts_with(|next: char| next.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_not_cited_by_a_longer_number() {
        assert!(cites("NP-SLOT-100 NP-SLOT-1", "NP-SLOT-1"));
        assert!(!cites("NP-SLOT-100", "NP-SLOT-1"));
    }
}
