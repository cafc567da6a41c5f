//! The story of an execution that failed: a table of what happened, in the order in which it
//! happened, with the words of the protocol after each step, and what every thread was up to at
//! the end.
//!
//! It is data ([`telling`](super::telling) makes it out of the record), goes into a file and comes
//! back ([`FailureFile`](super::FailureFile)), and is displayed as text here and as a page by
//! `netpoller-check story`.

use core::fmt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The thread that builds the plan, in the rows of a story.
pub(crate) const SETUP: &str = "setup";

/// What happened, step by step. Displays as a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    pub(crate) words: Vec<Word>,
    pub(crate) rows: Vec<Row>,
    pub(crate) ends: Vec<End>,
    pub(crate) steps: Vec<NamedStep>,
}

/// A word of the protocol that the story keeps track of: a column of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Its name, such as `read slot` or `info 1`.
    pub name: String,
    /// Which entry it belongs to, if there are several.
    pub entry: u32,
    /// What was in it before it was first looked at.
    pub start: String,
}

/// One step of a story.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The name of the thread.
    pub thread: String,
    /// What it did.
    pub operation: String,
    /// With which object.
    pub object: String,
    /// Which values went in and came out.
    pub values: String,
    /// What it was in the state machine, such as `announce`; empty for most.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The words that it changed, by name, and what is in them now.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<String, String>,
    /// The newest value, where the thread saw an older one: only weak memory shows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// A step as a replay looks for it: which thread does what with which object for the how manieth
/// time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamedStep {
    /// The name of the thread.
    pub thread: String,
    /// What it does.
    pub operation: String,
    /// With which object: by the file that the object was made in and its number there, or as the
    /// scenario called it.
    pub object: String,
    /// The first time is 1.
    pub occurrence: u32,
    /// What was chosen, if the operation is a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<u64>,
}

/// A thread at the end of the story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The name of the thread.
    pub thread: String,
    /// What it was up to.
    pub doing: Doing,
}

/// What a thread was up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Doing {
    /// It has ended.
    Ended,
    /// It was running.
    Runs,
    /// It has panicked.
    Panicked,
    /// It waits in park for an unpark.
    Parked {
        /// Whether the kernel put it to sleep.
        kernel: bool,
    },
    /// It waits for a lock.
    AwaitsLock {
        /// Which lock.
        lock: String,
        /// Who holds it.
        holder: String,
    },
    /// It was about to do something that nothing kept it from.
    About {
        /// What.
        operation: String,
        /// With which object.
        object: String,
    },
}

impl Doing {
    /// Whether it waits for something that somebody else has to do.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self, Doing::Parked { .. } | Doing::AwaitsLock { .. })
    }
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doing::Ended => f.write_str("has ended"),
            Doing::Runs => f.write_str("runs"),
            Doing::Panicked => f.write_str("has panicked"),
            Doing::Parked { kernel: false } => f.write_str("waits in park for an unpark"),
            Doing::Parked { kernel: true } => f.write_str("waits in the kernel for an event"),
            Doing::AwaitsLock { lock, holder } if lock.starts_with("lock of ") => {
                write!(f, "waits for the {lock}, held by {holder}")
            }
            Doing::AwaitsLock { lock, holder } => {
                write!(f, "waits for the lock of {lock}, held by {holder}")
            }
            Doing::About { operation, object } => write!(f, "is about to {operation} {object}"),
        }
    }
}

impl fmt::Display for NamedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NamedStep { thread, operation, object, occurrence, .. } = self;
        write!(f, "{thread}: {operation}")?;
        if !object.is_empty() {
            write!(f, " {object}")?;
        }
        write!(f, ", occurrence {occurrence}")
    }
}

impl Row {
    /// Whether it belongs to the setup, before any thread ran.
    #[must_use]
    pub fn is_setup(&self) -> bool {
        self.thread == SETUP
    }
}

impl Story {
    /// The words of the protocol that the story keeps track of.
    #[must_use]
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The steps, in the order in which they happened.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What each thread was up to at the end.
    #[must_use]
    pub fn ends(&self) -> &[End] {
        &self.ends
    }

    /// The same as text, such as `waiter: waits in park for an unpark`.
    #[must_use]
    pub fn threads(&self) -> Vec<String> {
        self.ends.iter().map(|end| format!("{}: {}", end.thread, end.doing)).collect()
    }

    /// The steps that a replay goes by.
    #[must_use]
    pub fn steps(&self) -> &[NamedStep] {
        &self.steps
    }

    /// How many rows belong to the setup; they come first.
    #[must_use]
    pub fn setup(&self) -> usize {
        self.rows.iter().take_while(|row| row.is_setup()).count()
    }

    /// What is in a word after a number of rows.
    #[must_use]
    pub fn word_after(&self, word: &Word, rows: usize) -> String {
        let written = self.rows[..rows].iter().rev().find_map(|row| row.after.get(&word.name));
        written.unwrap_or(&word.start).clone()
    }

    /// What is in a word at the end.
    #[must_use]
    pub fn at_the_end(&self, word: &Word) -> String {
        self.word_after(word, self.rows.len())
    }

    /// Whether a row changes the word.
    fn changes(&self, word: &Word) -> bool {
        self.rows.iter().any(|row| row.after.contains_key(&word.name))
    }
}

/// The table: a column per word that changes, and in it what the word holds from that step on. The
/// steps of the setup are one line.
impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setup = self.setup();
        let (words, still): (Vec<_>, Vec<_>) =
            self.words.iter().partition(|word| self.changes(word));
        let mut table = Vec::new();
        let mut heads = vec!["step", "thread", "operation", "object", "values", ""];
        heads.extend(words.iter().map(|word| &*word.name));
        table.push(heads.into_iter().map(str::to_owned).collect::<Vec<_>>());
        if !words.is_empty() || setup > 0 {
            let mut start = vec![String::new(); 5];
            (start[1], start[2]) = ("setup".to_owned(), format!("{setup} steps"));
            start.push(String::new());
            start.extend(words.iter().map(|word| self.word_after(word, setup)));
            table.push(start);
        }
        for (step, row) in self.rows.iter().enumerate().skip(setup) {
            let why = match &row.newest {
                Some(newest) => format!("old: the newest is {newest}"),
                None => row.why.clone(),
            };
            let mut line = vec![step.to_string()];
            line.extend([&row.thread, &row.operation, &row.object, &row.values].map(Clone::clone));
            line.push(why);
            line.extend(words.iter().map(|w| row.after.get(&w.name).cloned().unwrap_or_default()));
            table.push(line);
        }
        write_table(f, &table)?;
        for word in still {
            writeln!(f, "      {} stays {}", word.name, word.start)?;
        }
        for thread in self.threads() {
            writeln!(f, "      {thread}")?;
        }
        Ok(())
    }
}

/// Columns as wide as what is in them, the first one to the right.
fn write_table(f: &mut fmt::Formatter<'_>, table: &[Vec<String>]) -> fmt::Result {
    let columns = table.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    for line in table {
        let mut text = format!("{:>1$}", line[0], widths[0]);
        for (cell, width) in line.iter().zip(&widths).skip(1).filter(|(_, width)| **width > 0) {
            text.push_str(&format!("  {cell:width$}"));
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}
