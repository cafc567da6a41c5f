//! A failure as a file, and what became of it when it was replayed.
//!
//! # The format
//!
//! One JSON object. `format` is `"netpoller-failure"`, `version` is [`VERSION`]; a reader refuses
//! every other version, and a change that an older reader would misread makes a new one. Fields:
//!
//! | field | holds |
//! |---|---|
//! | `scenario`, `engine` | what was run, and by whom |
//! | `kind` | `deadlock`, `panic` or `engine` |
//! | `message` | what the engine, an oracle or a thread said |
//! | `headline` | kind and cause in one line |
//! | `cause` | `text`, the `rules` that broke as far as that can be told, and the `others` that wait |
//! | `about` | the rules that the scenario is about |
//! | `obstacle` | why it cannot be replayed; absent if it can |
//! | `steps` | the steps that a replay goes by: `thread`, `operation`, `object`, `occurrence`, and `chosen` for a choice |
//! | `words` | the words of the protocol: `name`, `entry`, and what they hold at the `start` |
//! | `rows` | all that happened: `thread`, `operation`, `object`, `values`; `why` it is a step of the state machine; the words `after` it, where it changes them; the `newest` value, where the thread saw an older one |
//! | `ends` | what each thread was up to at the end |
//!
//! `steps` are named so that they outlive changes of the program; `rows` are for people.

use super::cause::Cause;
use super::outcome::{Failure, FailureKind};
use super::story::{Doing, Story};
use core::fmt;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "netpoller-failure";
/// The version of the format.
const VERSION: u32 = 1;

/// A failure of a scenario on an engine, to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureFile {
    format: String,
    version: u32,
    /// What was run.
    pub scenario: String,
    /// By whom.
    pub engine: String,
    /// How it failed.
    pub kind: FailureKind,
    /// What was said.
    pub message: String,
    /// The kind and the cause in one line, with the rules that the scenario is about if no rule
    /// could be told.
    pub headline: String,
    /// Why it failed.
    pub cause: Cause,
    /// The rules that the scenario is about.
    pub about: Vec<String>,
    /// Why it cannot be replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub story: Story,
}

impl FailureFile {
    /// The file for a failure. `about`: the rules that the scenario is about, separated by spaces.
    #[must_use]
    pub fn new(scenario: &str, engine: &str, about: &str, failure: &Failure) -> FailureFile {
        FailureFile {
            format: FORMAT.to_owned(),
            version: VERSION,
            scenario: scenario.to_owned(),
            engine: engine.to_owned(),
            kind: failure.kind,
            message: failure.message.clone(),
            headline: failure.headline(about),
            cause: failure.cause.clone(),
            about: about.split_whitespace().map(str::to_owned).collect(),
            obstacle: obstacle(engine, failure),
            story: failure.story.clone(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When the text is no failure, or is one of another version; in one line.
    pub fn parse(text: &str) -> Result<FailureFile, String> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        let head: Head =
            serde_json::from_str(text).map_err(|error| format!("is not a failure: {error}"))?;
        if head.format != FORMAT {
            return Err(format!("is a {}, not a {FORMAT}", head.format));
        }
        if head.version != VERSION {
            let Head { version, .. } = head;
            return Err(format!("has version {version} of the format; this is version {VERSION}"));
        }
        serde_json::from_str(text).map_err(|error| format!("is not in order: {error}"))
    }

    /// The text of the file.
    ///
    /// # Panics
    ///
    /// Never: all of it can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("plain data is JSON");
        text.push('\n');
        text
    }

    /// Whether another failure is the same one ([`Failure::is_like`]).
    #[must_use]
    pub fn is_like(&self, failure: &Failure) -> bool {
        alike((self.kind, &self.message, &self.story), failure)
    }
}

impl Failure {
    /// Whether another failure is the same one: of the same kind, and the same threads wait in the
    /// same way, or the same was found wrong. Where in the sources that was does not count.
    #[must_use]
    pub fn is_like(&self, other: &Failure) -> bool {
        alike((self.kind, &self.message, &self.story), other)
    }
}

fn alike((kind, message, story): (FailureKind, &str, &Story), failure: &Failure) -> bool {
    let waiting = |story: &Story| -> Vec<(String, String)> {
        let waits = story.ends().iter().filter(|end| end.doing.waits());
        waits.map(|end| (end.thread.clone(), what(&end.doing))).collect()
    };
    kind == failure.kind
        && match kind {
            FailureKind::Deadlock => waiting(story) == waiting(&failure.story),
            FailureKind::Panic | FailureKind::Engine => {
                without_place(message) == without_place(&failure.message)
            }
        }
}

/// How a thread waits, without names that a change of the program may change.
fn what(doing: &Doing) -> String {
    match doing {
        Doing::AwaitsLock { holder, .. } => format!("for a lock that {holder} holds"),
        other => other.to_string(),
    }
}

/// A message without the place in the sources at its end.
fn without_place(message: &str) -> &str {
    match message.rsplit_once(" (") {
        Some((said, place)) if place.contains(".rs:") && place.ends_with(')') => said,
        _ => message,
    }
}

/// Why the steps of a failure do not lead to it again, if they do not.
fn obstacle(engine: &str, failure: &Failure) -> Option<String> {
    if engine == "threads" {
        return Some(
            "the engine of OS threads keeps no record of steps, because recording would order them"
                .to_owned(),
        );
    }
    if failure.kind == FailureKind::Engine {
        return Some("the engine gave up; the program under test did not fail".to_owned());
    }
    let rows = failure.story.rows().iter().enumerate();
    let old = rows.filter_map(|(step, row)| row.newest.as_ref().map(|newest| (step, row, newest)));
    old.map(|(step, row, newest)| {
        format!(
            "in step {step} {} saw {} in {}, where {newest} was already: only weak memory shows \
             old values, and a replay is sequentially consistent",
            row.thread, row.values, row.object
        )
    })
    .next()
}

/// What became of a failure that was replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same failure.
    Reproduced,
    /// All steps were taken, and nothing failed.
    EndedWell,
    /// A step never came, and nothing failed: which one, by its number, and why.
    Diverged(usize, String),
    /// Something else failed.
    FailedOtherwise,
    /// Nothing failed, but the execution did not end.
    Endless,
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailureKind::Deadlock => "deadlock",
            FailureKind::Panic => "panic",
            FailureKind::Engine => "engine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::story::{NamedStep, Row, Word};

    fn failure() -> Failure {
        let story = Story {
            words: vec![Word { name: "info".to_owned(), entry: 0, start: "g1".to_owned() }],
            rows: vec![Row { thread: "reader".to_owned(), ..Row::default() }],
            ends: Vec::new(),
            steps: vec![NamedStep {
                thread: "reader".to_owned(),
                operation: "load".to_owned(),
                object: "desc.1".to_owned(),
                occurrence: 1,
                chosen: None,
            }],
        };
        Failure::new(FailureKind::Panic, "\"that\" is wrong (models/src/a.rs:7)".to_owned(), story)
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let file = FailureFile::new("park_close", "explore", "NP-WAIT-3 NP-SLOT-4", &failure());
        assert_eq!(FailureFile::parse(&file.to_json()), Ok(file.clone()));
        assert!(
            file.headline.ends_with("(the scenario is about NP-WAIT-3 NP-SLOT-4)"),
            "{}",
            file.headline
        );
    }

    #[test]
    fn what_is_no_file_or_one_of_another_version_is_refused() {
        let text = FailureFile::new("s", "explore", "", &failure()).to_json();
        let newer = text.replace("\"version\": 1", "\"version\": 2");
        let error = FailureFile::parse(&newer).expect_err("another version");
        assert_eq!(error, "has version 2 of the format; this is version 1");
        let other = text.replace(FORMAT, "netpoller-something");
        let error = FailureFile::parse(&other).expect_err("another format");
        assert_eq!(error, "is a netpoller-something, not a netpoller-failure");
        let error = FailureFile::parse("[]").expect_err("no object");
        assert!(error.starts_with("is not a failure: "), "{error}");
        let error =
            FailureFile::parse(&text.replace("\"rows\"", "\"lines\"")).expect_err("no rows");
        assert!(error.starts_with("is not in order: missing field `rows`"), "{error}");
    }

    #[test]
    fn a_failure_is_known_again_when_lines_have_moved() {
        let file = FailureFile::new("s", "explore", "", &failure());
        let moved =
            Failure { message: "\"that\" is wrong (models/src/a.rs:9)".into(), ..failure() };
        assert!(file.is_like(&moved));
        let other = Failure { message: "this is wrong (models/src/a.rs:7)".into(), ..failure() };
        assert!(!file.is_like(&other));
        let kind = Failure { kind: FailureKind::Deadlock, ..failure() };
        assert!(!file.is_like(&kind));
    }

    #[test]
    fn what_only_weak_memory_shows_cannot_be_replayed_and_the_file_says_so() {
        let mut failure = failure();
        failure.story.rows[0] = Row {
            thread: "reader".to_owned(),
            operation: "load".to_owned(),
            object: "info".to_owned(),
            values: "g1".to_owned(),
            newest: Some("g1 closing".to_owned()),
            ..Row::default()
        };
        let file = FailureFile::new("s", "loom-weak", "", &failure);
        let obstacle = file.obstacle.expect("an old value was seen");
        assert!(obstacle.contains("reader saw g1 in info, where g1 closing was"), "{obstacle}");
        assert!(FailureFile::new("s", "threads", "", &failure).obstacle.is_some());
    }
}
