//! The story of an execution that failed: a table of what happened, in the order in which it
//! happened, and what every thread was up to at the end.

use super::record::{Done, Object, Op, Record, SETUP};
use core::fmt;
use std::borrow::Cow;

/// An operation and who did it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) done: Done,
}

/// What happened, step by step. Displays as a table.
#[derive(Clone, Debug, Default)]
pub struct Story {
    rows: Vec<Row>,
    threads: Vec<String>,
}

/// One step of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The name of the thread.
    pub thread: &'static str,
    /// What it did.
    pub operation: &'static str,
    /// With which object.
    pub object: String,
    /// Which values went in and came out.
    pub values: String,
}

impl Story {
    /// The steps, in the order in which they happened.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// What each thread was up to at the end, such as `waiter: waits in park`.
    #[must_use]
    pub fn threads(&self) -> &[String] {
        &self.threads
    }

    pub(crate) fn of(record: &Record) -> Story {
        let rows = record.events.iter().map(|event| row(record, event)).collect();
        let threads = record.tracks.iter().skip(SETUP + 1).map(|track| {
            let state = match track.entered {
                _ if track.ended => Cow::from("has ended"),
                None => Cow::from("runs"),
                Some((Op::Park, _)) => Cow::from("waits in park for an unpark"),
                Some((Op::Lock, object)) => format!(
                    "waits for the lock of {}, held by {}",
                    name(record, object),
                    holder(record, object)
                )
                .into(),
                Some((op, object)) => {
                    format!("is about to {} {}", verb(op), name(record, object)).into()
                }
            };
            format!("{}: {state}", track.name)
        });
        Story { rows, threads: threads.collect() }
    }
}

/// Who holds a lock: who took it last, unless it was given back since.
fn holder(record: &Record, lock: Object) -> &'static str {
    let last =
        record.events.iter().rev().find(|event| {
            event.done.object == lock && matches!(event.done.op, Op::Lock | Op::Unlock)
        });
    match last {
        Some(event) if event.done.op == Op::Lock => record.tracks[event.thread].name,
        _ => "nobody",
    }
}

fn verb(op: Op) -> &'static str {
    match op {
        Op::Load => "load",
        Op::Store => "store",
        Op::Swap => "swap",
        Op::CompareExchange => "compare-exchange",
        Op::FetchOr => "fetch-or",
        Op::FetchAnd => "fetch-and",
        Op::Lock => "lock",
        Op::Unlock => "unlock",
        Op::Park => "park",
        Op::Unpark => "unpark",
        Op::Choose => "choose",
        Op::Note => "note",
        Op::Step => "  =",
        Op::Asleep => "await sleep of",
    }
}

fn name(record: &Record, object: Object) -> String {
    if object == Object::NONE {
        return String::new();
    }
    let maker = record.tracks.get(object.maker()).map_or("outside", |track| track.name);
    if object.number() == 0 {
        return maker.to_owned();
    }
    match record.labels.iter().find(|(labelled, _, _)| *labelled == object) {
        Some((_, label, 0)) => (*label).to_owned(),
        Some((_, label, number)) => format!("{label} {number}"),
        None => format!("{maker}.{}", object.number()),
    }
}

fn row(record: &Record, event: &Event) -> Row {
    let done = &event.done;
    let [first, second] = done.arguments.map(Value);
    let seen = Value(done.seen.unwrap_or_default());
    let values = match done.op {
        Op::Load => format!("{seen}"),
        Op::Store => format!("<- {first}"),
        Op::Swap => format!("{seen} <- {first}"),
        Op::CompareExchange if done.seen == Some(done.arguments[0]) => {
            format!("{first} <- {second}")
        }
        Op::CompareExchange => format!("failed: {seen} there, not {first}"),
        Op::FetchOr => format!("{seen} | {first}"),
        Op::FetchAnd => format!("{seen} & {first}"),
        Op::Choose => format!("{seen} of {first}"),
        Op::Note => format!("{} = {seen}", done.label),
        Op::Step => step(done),
        Op::Lock | Op::Unlock | Op::Park | Op::Unpark | Op::Asleep => String::new(),
    };
    let thread = record.tracks.get(event.thread).map_or("outside", |track| track.name);
    Row { thread, operation: verb(done.op), object: name(record, done.object), values }
}

/// What a step of the state machine did to a word.
fn step(done: &Done) -> String {
    let [before, after] = done.arguments.map(|word| match done.words {
        Some(read) => read(word),
        None => word.to_string(),
    });
    if before == after {
        format!("{}: leaves {before}", done.label)
    } else {
        format!("{}: {before} -> {after}", done.label)
    }
}

/// Small numbers are easier to read in decimals, packed words in hexadecimals.
struct Value(u64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10_000 { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> usize| self.rows.iter().map(of).max().unwrap_or(0);
        let thread = width(|row| row.thread.len());
        let operation = width(|row| row.operation.len());
        let object = width(|row| row.object.len());
        for (step, row) in self.rows.iter().enumerate() {
            let line = format!(
                "{step:4}  {:thread$}  {:operation$}  {:object$}  {}",
                row.thread, row.operation, row.object, row.values
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        for thread in &self.threads {
            writeln!(f, "      {thread}")?;
        }
        Ok(())
    }
}
