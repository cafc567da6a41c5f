//! The entries of `models/mutants` are in order: what can be told without building anything.
//!
//! `cargo verify mutants` builds and runs them; these tests keep a change of the sources from
//! leaving an entry behind that no longer finds what it replaces.

use netpoller_models::mutants::{self, Mutant};
use netpoller_models::oracle::Which;
use netpoller_models::scenario::family::GROUPS;
use std::collections::BTreeMap;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("models lies in the workspace")
}

fn shipped() -> Vec<Mutant> {
    mutants::load(root()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_entry_is_in_order() {
    let faults = mutants::faults(&shipped(), root()).unwrap_or_else(|error| panic!("{error}"));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_rule_of_the_specification_has_a_mutant() {
    let mutants = shipped();
    let rules = mutants::rules(root()).unwrap_or_else(|error| panic!("{error}"));
    assert!(!rules.is_empty(), "SPEC.md holds no rule");
    let without: Vec<_> = rules
        .iter()
        .filter(|rule| !mutants.iter().any(|mutant| mutant.rules().any(|name| name == *rule)))
        .collect();
    assert!(without.is_empty(), "no mutant breaks {without:?}");
}

#[test]
fn the_table_of_bugs_is_true() {
    let bugs = mutants::bugs(root()).unwrap_or_else(|error| panic!("{error}"));
    let untrue = mutants::untrue(&bugs, &shipped());
    assert!(untrue.is_empty(), "BUGS.md:\n{}", untrue.join("\n"));
}

#[test]
fn the_matrix_has_every_mutant_that_scenarios_catch_or_says_that_it_was_not_run() {
    let path = root().join("models/mutants/MATRIX.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{error}"));
    let (_, not_run) = text.split_once("Not run for it: ").unwrap_or(("", ""));
    let not_run = not_run.lines().next().unwrap_or("");
    let untold: Vec<_> = shipped()
        .into_iter()
        .filter(|mutant| !mutant.caught.is_empty())
        .map(|mutant| mutant.id)
        // In a row, or in the line of those that were not run: in one of the two.
        .filter(|id| text.contains(&format!("\n| {id} |")) == not_run.contains(&format!("`{id}`")))
        .collect();
    assert!(untold.is_empty(), "`cargo verify mutants --matrix --write {}`", untold.join(" "));
}

#[test]
fn what_sequential_consistency_can_show_is_caught_by_explore() {
    // That each entry keeps to it is among the faults; here, that both kinds exist.
    let scenarios: Vec<_> = shipped().into_iter().filter(|m| !m.caught.is_empty()).collect();
    let memory = scenarios.iter().filter(|mutant| mutant.memory).count();
    assert!(memory > 0 && memory < scenarios.len(), "{memory} of {} mutants", scenarios.len());
    for mutant in scenarios {
        let explored = mutant.caught.iter().any(|catch| catch.engine == "explore");
        assert_ne!(explored, mutant.memory, "{} on explore", mutant.id);
    }
}

#[test]
fn every_oracle_and_every_group_of_families_is_the_only_one_to_catch_something() {
    // That the claims are true is what `cargo verify mutants --unique` shows.
    let mutants = shipped();
    let oracles = Which::ALL.map(Which::name);
    let by_oracle =
        |name: &&&str| !mutants.iter().any(|mutant| mutant.only_oracle.as_deref() == Some(**name));
    let without: Vec<_> = oracles.iter().filter(by_oracle).collect();
    assert!(without.is_empty(), "no mutant claims to be caught by {without:?} only");
    let groups = GROUPS.iter().map(|(name, _)| *name);
    let by_group =
        |name: &&str| !mutants.iter().any(|mutant| mutant.only_family.as_deref() == Some(*name));
    let without: Vec<_> = groups.filter(by_group).collect();
    assert!(without.is_empty(), "no mutant claims to be caught by {without:?} only");
}

#[test]
fn no_two_mutants_are_the_same_change() {
    let mut seen: BTreeMap<_, String> = BTreeMap::new();
    for mutant in shipped() {
        let changed = mutant.apply(root()).unwrap_or_else(|error| panic!("{error}"));
        if let Some(other) = seen.insert(changed, mutant.id.clone()) {
            panic!("{} and {other} make the same change", mutant.id);
        }
    }
}

#[test]
fn an_entry_that_names_what_does_not_exist_is_found() {
    let entry = |scenario: &str, engine: &str, rule: &str, test: &str| {
        format!(
            "[[mutant]]\nid = \"m\"\norigin = \"here\"\nrule = \"{rule}\"\nwhat = \"Nothing.\"\n\
             file = \"spec/src/lib.rs\"\nfind = \"#![no_std]\"\nreplace = \"\"\ntests = [{test}]\n\
             caught = [{{ scenario = \"{scenario}\", engine = \"{engine}\", how = \"deadlock\" }}]\n"
        )
    };
    let faults = |text: &str| {
        let mutants = mutants::parse(text).unwrap_or_else(|error| panic!("{error}"));
        mutants::faults(&mutants, root()).unwrap_or_else(|error| panic!("{error}")).join("\n")
    };
    assert_eq!(faults(&entry("park_close", "explore", "NP-WAIT-3", "")), "");
    for (entry, fault) in [
        (entry("park_clothes", "explore", "NP-WAIT-3", ""), "no scenario is called park_clothes"),
        (entry("park_close", "explorer", "NP-WAIT-3", ""), "no engine is called explorer"),
        (entry("park_close", "explore", "NP-WAIT-333", ""), "NP-WAIT-333 is no rule"),
        (entry("park_close", "explore", "NP-GEN-4", ""), "nothing that catches it cites NP-GEN-4"),
        (
            entry("park_close", "explore", "NP-WAIT-3", "\"netpoller machine no_such_test\""),
            "holds no test no_such_test",
        ),
        (
            entry("park_close", "explore", "NP-WAIT-3", "\"netpoller machines t\""),
            "no file holds the test",
        ),
    ] {
        let found = faults(&entry);
        assert!(found.contains(fault), "expected `{fault}`, found `{found}` for\n{entry}");
    }
    let weak = |entry: &str| entry.replace("tests =", "memory = true\ntests =");
    let found = faults(&weak(&entry("park_close", "explore", "NP-WAIT-3", "")));
    assert!(found.contains("loom-weak alone has to catch it"), "{found}");
    let on_weak = entry("park_close", "loom-weak", "NP-WAIT-3", "");
    assert!(faults(&on_weak).contains("explore has to catch it"), "{}", faults(&on_weak));
    assert_eq!(faults(&weak(&on_weak)), "");
    for (claim, fault) in [
        ("only_oracle = \"deadlock\"", ""),
        ("only_oracle = \"deadlocks\"", "no oracle is called deadlocks"),
        ("only_oracle = \"refinement\"", "refinement is not the only oracle"),
        ("only_family = \"park\"", ""),
        ("only_family = \"park/close\"", ""),
        ("only_family = \"park/unpark\"", "park/unpark is not the only family"),
        ("only_family = \"parks\"", "no family is called parks"),
        ("only_family = \"breaks\"", "breaks is not the only family"),
    ] {
        let claimed = entry("park_close", "explore", "NP-WAIT-3", "");
        let found = faults(&claimed.replace("tests =", &format!("{claim}\ntests =")));
        assert!(found.contains(fault) && found.is_empty() == fault.is_empty(), "{claim}: {found}");
    }
    let twice = entry("park_close", "explore", "NP-WAIT-3", "").repeat(2);
    assert!(faults(&twice).contains("the id is used twice"), "{}", faults(&twice));
}
