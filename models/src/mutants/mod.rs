//! Mutants: known bugs and broken rules, as edits of the sources that have to be caught.
//!
//! `models/mutants/*.toml` holds one entry for each: what is edited, which rule that breaks, where
//! the bug comes from, and which scenario on which engine, or which test, has to fail because of
//! it, and how. `cargo verify mutants` puts them into a copy of the sources, one at a time. A mutant
//! that survives is a missing scenario.
//!
//! ```toml
//! [[mutant]]
//! id = "recheck-dropped"
//! origin = "Go #45211 (B1, M1c)"
//! rule = "NP-WAIT-3"                  # one or more, separated by spaces
//! what = "A task that has parked does not look at the info word again."
//! file = "impl/src/desc.rs"
//! find = "let Err(reason) = self.check(mode) else {"     # exactly once in the file
//! replace = "let Err(reason) = Ok::<(), Reason>(()) else {"
//! caught = [{ scenario = "park_close", engine = "explore", how = "deadlock", oracle = "deadlock" }]
//! tests = ["netpoller machine the_descriptor_does_what_the_machine_says"]
//! ```
//!
//! `caught` and `tests`: all of them have to catch it; one of the two may be left out. A test is
//! given as package, target (`lib`, or the name of a test target) and name; a behaviour on the
//! simulated kernel as `netpoller-models behaviour` and its name. A bug that needs edits
//! at several places has more of them in `also`.
//!
//! What sequential consistency can show has to be caught by explore, which finds everything that it
//! can show. A mutant that only a weaker memory can show says `memory = true`: it is caught by
//! loom-weak alone, and explore has to pass it.
//!
//! Two claims can be made, and `cargo verify mutants --unique` holds them against the facts:
//! `only_oracle = "quiescence"` (with all other oracles on and this one off, nobody catches it) and
//! `only_family = "retract"` (no scenario of another family catches it). A family is named by its
//! title, or by the group that it belongs to ([`scenario::family`](crate::scenario::family)). Each
//! oracle and each group has at least one, or nobody would notice if it stopped judging.
//!
//! `BUGS.md`, beside the entries, says for each bug of the catalogue which mutants put it back
//! ([`bugs`]).
//!
//! This module reads the entries and finds what is wrong with them without building anything.
//! Applying and running them is the business of the command.

mod bugs;
mod faults;

pub use bugs::{Bug, bugs, untrue};
pub use faults::faults;

use crate::oracle::Which;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Its name on the command line.
    pub id: String,
    /// The bug or the argument it comes from.
    pub origin: String,
    /// The rules of SPEC.md that it breaks, separated by spaces; `Linux` for a mutant of the
    /// simulated kernel.
    pub rule: String,
    /// What it does, in one sentence.
    pub what: String,
    file: String,
    find: String,
    replace: String,
    #[serde(default)]
    also: Vec<Edit>,
    /// The scenarios that catch it.
    #[serde(default)]
    pub caught: Vec<Catch>,
    /// The tests that catch it.
    #[serde(default)]
    pub tests: Vec<TestName>,
    /// Only a memory that is weaker than sequential consistency shows it.
    #[serde(default)]
    pub memory: bool,
    /// The oracle without which no scenario catches it.
    #[serde(default)]
    pub only_oracle: Option<String>,
    /// The family, or the group of families, without whose scenarios no scenario catches it.
    #[serde(default)]
    pub only_family: Option<String>,
}

/// A change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Which file, from the root of the workspace.
    pub file: String,
    /// What is there, exactly once.
    pub find: String,
    /// What takes its place.
    pub replace: String,
}

/// A scenario on an engine that has to fail, and how.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catch {
    /// The scenario.
    pub scenario: String,
    /// The engine.
    pub engine: String,
    /// How the run ends.
    pub how: How,
    /// Who objects. A deadlock and a hang have one possible answer, and may leave it out.
    #[serde(default)]
    pub oracle: Option<Judge>,
}

/// How a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Threads that sleep for ever.
    Deadlock,
    /// An assertion, an oracle or the poller itself.
    Panic,
    /// The run does not end within the time it is given.
    Hang,
}

/// Who objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judge {
    /// The oracle that judges each step.
    Refinement,
    /// The oracle that judges what is left.
    Quiescence,
    /// The oracle that judges the order of the calls.
    History,
    /// The oracle that counts what outlives the execution.
    Leak,
    /// The scenario.
    Assertion,
    /// The engine.
    Deadlock,
    /// The poller, which finds a rule broken.
    Invariant,
}

impl How {
    /// The word in the entries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            How::Deadlock => "deadlock",
            How::Panic => "panic",
            How::Hang => "hang",
        }
    }
}

impl Judge {
    /// The word in the entries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Judge::Refinement => "refinement",
            Judge::Quiescence => "quiescence",
            Judge::History => "history",
            Judge::Leak => "leak",
            Judge::Assertion => "assertion",
            Judge::Deadlock => "deadlock",
            Judge::Invariant => "invariant",
        }
    }

    /// Who raised the panic with this message.
    #[must_use]
    pub fn of_panic(message: &str) -> Judge {
        if message.contains(Which::Refinement.mark()) {
            Judge::Refinement
        } else if message.contains(Which::Quiescence.mark()) {
            Judge::Quiescence
        } else if message.contains(Which::History.mark()) {
            Judge::History
        } else if message.contains(Which::Leak.mark()) {
            Judge::Leak
        } else if message.contains("NP-") && message.contains(" broken: ") {
            Judge::Invariant // how the poller words it
        } else {
            Judge::Assertion
        }
    }
}

/// A test: package, target, name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct TestName {
    /// The package.
    pub package: String,
    /// `lib`, or the name of a test target.
    pub target: String,
    /// The path of the test in its target.
    pub name: String,
}

impl TryFrom<String> for TestName {
    type Error = String;

    fn try_from(text: String) -> Result<TestName, String> {
        match *text.split(' ').collect::<Vec<_>>() {
            [package, target, name] => Ok(TestName {
                package: package.to_owned(),
                target: target.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(format!("a test is `package target name`, not `{text}`")),
        }
    }
}

impl std::fmt::Display for TestName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.package, self.target, self.name)
    }
}

impl TestName {
    /// The file that holds the test.
    #[must_use]
    pub fn source(&self, root: &Path) -> Option<PathBuf> {
        let package = match self.package.as_str() {
            "netpoller-spec" => "spec",
            "netpoller" => "impl",
            "netpoller-models" => "models",
            "netpoller-tests" => "tests",
            _ => return None,
        };
        let package = root.join(package);
        let target = &self.target;
        let places = if target == "lib" {
            // a::b::tests::name: in a/b/tests.rs, a/b.rs or a/b/mod.rs.
            let module = self.name.split("::tests::").next()?.replace("::", "/");
            ["/tests.rs", ".rs", "/mod.rs"].map(|end| format!("src/{module}{end}")).to_vec()
        } else {
            // A target of several files names the one that a test is in: `short_read::name`.
            let module = self.name.split_once("::").map_or(target.as_str(), |(module, _)| module);
            let files = [module, target.as_str()].into_iter();
            files
                .flat_map(|file| {
                    ["tests", "real", "stress"].map(|folder| format!("{folder}/{file}.rs"))
                })
                .collect()
        };
        places.into_iter().map(|place| package.join(place)).find(|path| path.is_file())
    }
}

impl Mutant {
    /// All its edits.
    pub fn edits(&self) -> impl Iterator<Item = Edit> {
        let Mutant { file, find, replace, .. } = self;
        let (file, find, replace) = (file.clone(), find.clone(), replace.clone());
        std::iter::once(Edit { file, find, replace }).chain(self.also.iter().cloned())
    }

    /// Its rules.
    pub fn rules(&self) -> impl Iterator<Item = &str> {
        self.rule.split_whitespace()
    }

    /// The files it changes and what is in them then.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or does not hold exactly once what is to be replaced.
    pub fn apply(&self, root: &Path) -> io::Result<BTreeMap<String, String>> {
        let mut changed: BTreeMap<String, String> = BTreeMap::new();
        for Edit { file, find, replace } in self.edits() {
            let text = match changed.remove(&file) {
                Some(text) => text,
                None => read(&root.join(&file))?,
            };
            let times = text.matches(find.as_str()).count();
            if times != 1 {
                return Err(invalid(format!(
                    "mutant {}: {file} holds this {times} times, not once:\n{find}",
                    self.id
                )));
            }
            if find == replace {
                return Err(invalid(format!("mutant {}: changes nothing in {file}", self.id)));
            }
            changed.insert(file, text.replacen(find.as_str(), &replace, 1));
        }
        Ok(changed)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    mutant: Vec<Mutant>,
}

/// Reads the contents of one file of entries.
///
/// # Errors
///
/// With the line and column of what is not well formed.
pub fn parse(text: &str) -> Result<Vec<Mutant>, toml::de::Error> {
    toml::from_str::<Entries>(text).map(|entries| entries.mutant)
}

/// All entries of a workspace, file by file in the order of their names.
///
/// # Errors
///
/// When a file cannot be read or is not well formed, and when there are no entries.
pub fn load(root: &Path) -> io::Result<Vec<Mutant>> {
    let folder = root.join("models/mutants");
    let mut files: Vec<_> = fs::read_dir(&folder)
        .map_err(|error| about(&error, &folder))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    let mut mutants = Vec::new();
    for file in files {
        let entries = parse(&read(&file)?);
        mutants.extend(entries.map_err(|e| invalid(format!("{}: {e}", file.display())))?);
    }
    if mutants.is_empty() {
        return Err(invalid(format!("{} holds no mutants", folder.display())));
    }
    Ok(mutants)
}

/// The rules of SPEC.md, in the order of the text.
///
/// # Errors
///
/// When the file cannot be read.
pub fn rules(root: &Path) -> io::Result<Vec<String>> {
    let text = read(&root.join("spec/SPEC.md"))?;
    Ok(text
        .lines()
        .filter_map(|line| line.strip_prefix("#### "))
        .filter(|name| name.starts_with("NP-"))
        .map(str::to_owned)
        .collect())
}

/// The names of all engines, of those that this build leaves out too.
pub const ENGINES: [&str; 5] = ["threads", "explore", "shuttle", "loom-sc", "loom-weak"];

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map_err(|error| about(&error, path))
}

fn about(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r##"
[[mutant]]
id = "m"
origin = "here"
rule = "NP-SLOT-1"
what = "Nothing much."
file = "a.rs"
find = "one"
replace = "two"
caught = [{ scenario = "s", engine = "explore", how = "panic", oracle = "refinement" }]
tests = ["p lib t"]
"##;

    #[test]
    fn an_entry_is_read_and_a_field_that_nobody_knows_is_refused() {
        let read = parse(ENTRY).expect("well formed");
        assert_eq!(read[0].caught[0].oracle, Some(Judge::Refinement));
        assert_eq!(read[0].tests[0].target, "lib");
        for (from, to) in [
            ("rule =", "rules ="),
            ("\"panic\"", "\"noise\""),
            ("p lib t", "p t"),
            ("what = \"Nothing much.\"", ""),
        ] {
            let broken = ENTRY.replace(from, to);
            assert!(parse(&broken).is_err(), "{to:?} for {from:?} was taken:\n{broken}");
        }
    }

    #[test]
    fn a_text_that_is_there_twice_or_not_at_all_is_refused() {
        let root = std::env::temp_dir().join(format!("netpoller-mutants-{}", std::process::id()));
        fs::create_dir_all(&root).expect("a temporary folder");
        let mutant = &parse(ENTRY).expect("well formed")[0];
        let applied = |text: &str| {
            fs::write(root.join("a.rs"), text).expect("a temporary file");
            mutant.apply(&root).map(|changed| changed["a.rs"].clone()).map_err(|e| e.to_string())
        };
        assert_eq!(applied("zero one").as_deref(), Ok("zero two"));
        for (text, times) in [("zero", "0 times"), ("one one", "2 times")] {
            let refused = applied(text).expect_err("not exactly once");
            assert!(refused.contains(times), "{refused}");
        }
        fs::remove_dir_all(&root).expect("the folder is there");
    }

    #[test]
    fn who_objected_is_read_from_the_message() {
        assert_eq!(Judge::of_panic("refinement: x"), Judge::Refinement);
        assert_eq!(Judge::of_panic("quiescence: NP-SLOT-2: a waker is held"), Judge::Quiescence);
        assert_eq!(Judge::of_panic("history: no order of the calls"), Judge::History);
        assert_eq!(Judge::of_panic("leak: left over"), Judge::Leak);
        assert_eq!(Judge::of_panic("NP-SLOT-2 broken: a waker lay there"), Judge::Invariant);
        assert_eq!(Judge::of_panic("the reader got Closed"), Judge::Assertion);
    }

    #[test]
    fn all_engines_of_this_build_are_known() {
        for kind in crate::suite::Kind::ALL {
            assert!(ENGINES.contains(&kind.name()), "{} is missing", kind.name());
        }
    }
}
