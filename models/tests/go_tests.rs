//! The table of the tests of Go does not rot: every name in it exists, and every test of Go that a
//! behaviour follows is in it.

use netpoller_models::engine::Threads;
use netpoller_models::kernel::SimKernel;
use netpoller_models::world::Model;
use netpoller_models::{behaviour, conn};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

type Simulated = Model<Threads, SimKernel<Threads>>;

const TABLE: &str = include_str!("../src/behaviour/GO-TESTS.md");
/// Tests of Go in the table, and how many of them nothing here follows.
const TESTS: (usize, usize) = (73, 4);

/// The words in backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Each test of Go, and its second column.
fn rows() -> BTreeMap<&'static str, &'static str> {
    let cells = |line: &'static str| {
        let (go, here) = line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")?;
        Some((go, here))
    };
    TABLE.lines().filter_map(cells).collect()
}

/// All sources in which a test or scenario may be defined.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *all += &fs::read_to_string(&path).expect("a source");
        }
    }
}

#[test]
fn every_name_in_the_table_exists() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut text = String::new();
    for folder in ["tests", "src/scenario", "../tests/real", "../tests/stress"] {
        sources(&here.join(folder), &mut text);
    }
    let mut known: Vec<&str> = behaviour::catalogue::<Simulated>().iter().map(|b| b.name).collect();
    known.extend(conn::properties::<Simulated>().iter().map(|property| property.name));
    for (go, names) in rows() {
        for name in quoted(names) {
            let defined = |open| text.contains(&format!("fn {name}{open}"));
            let exists = known.contains(&name) || defined("(") || defined("<E>()");
            assert!(exists, "{go} is said to be followed by {name}, which does not exist");
        }
        let said = names.starts_with("Not here: ") && names.ends_with('.');
        assert!(said || names.starts_with('`'), "{go}: neither a name nor a reason: {names}");
    }
}

#[test]
fn every_test_that_is_followed_is_in_the_table() {
    let rows = rows();
    for behaviour in behaviour::catalogue::<Simulated>() {
        for go in behaviour.go {
            let names = rows.get(go).unwrap_or_else(|| panic!("{go} is not in the table"));
            let named = quoted(names).contains(&behaviour.name);
            let name = behaviour.name;
            assert!(named, "{name} follows {go}, and the table names others: {names}");
        }
    }
    for property in conn::properties::<Simulated>() {
        let go = format!("nettest.{}", property.go);
        assert_eq!(rows.get(&*go).map(|names| quoted(names)), Some(vec![property.name]), "{go}");
    }
}

#[test]
fn the_number_of_tests_is_pinned() {
    let rows = rows();
    let lines = TABLE.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows.len(), lines, "a line cannot be read, or a test is there twice");
    let missing = rows.values().filter(|names| names.starts_with("Not here: ")).count();
    println!("{} tests of Go, of which {missing} have no subject here", rows.len());
    assert_eq!((rows.len(), missing), TESTS);
}
