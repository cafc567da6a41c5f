//! The format of recorded programs, and reading it.
//!
//! A file is `{"kernel", "note", "bits", "programs": [...]}`; a program is
//!
//! ```json
//! {"name": "...",
//!  "capacity_dependent": true,
//!  "asynchronous": true,
//!  "runs_agreeing": "20/20",
//!  "ops": [["eventfd", "e"], ["epoll_create", "E"], ["epoll_add", "E", "e", "IN|ET"], ["epoll_wait", "E", 128, 0]],
//!  "ret": ["ok", "ok", "ok", 0],
//!  "expected": [[]]}
//! ```
//!
//! `ret[i]` is what `ops[i]` returned: a number, `"ok"`, or the name of an error; for a wait the
//! number of events. `expected[k]` are the events of the k-th wait, in order, each a label and
//! conditions. The label is the fourth operand of `epoll_add` and `epoll_mod`, or else the name
//! of the object. `capacity_dependent` says that numbers of bytes are those of one kernel's
//! buffers; `asynchronous`, that the kernel was given time to settle before each wait.
//! A name that was closed stands for its old number.
//!
//! Nothing is passed over in silence: what is not understood is an error that says where, except
//! for an *operation* that is not known here. Those are kept by name ([`Op::Unknown`]), so that a
//! report can count them.

use super::op::{Op, mask, mask_words, op, words};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;

/// The contents of a file.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The name of the file.
    pub file: String,
    /// Its programs.
    pub programs: Vec<Program>,
}

/// A recorded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Whether numbers of bytes are those of one kernel's buffers.
    pub capacity_dependent: bool,
    /// Whether the kernel has to come to rest before each wait.
    pub asynchronous: bool,
    /// What it does, and what came back.
    pub steps: Vec<Step>,
}

/// One system call, or a short loop of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub op: Op,
    /// What came back: `"ok"`, a number, or the name of an error.
    pub returned: String,
    /// The events, if this is a wait.
    pub events: Vec<(String, u32)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    #[serde(rename = "kernel")]
    _kernel: String,
    #[serde(rename = "note")]
    _note: String,
    #[serde(default)]
    bits: BTreeMap<String, u32>,
    programs: Vec<ProgramText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramText {
    name: String,
    #[serde(default)]
    capacity_dependent: bool,
    #[serde(default)]
    asynchronous: bool,
    #[serde(rename = "runs_agreeing")]
    _runs_agreeing: Option<String>,
    ops: Vec<Vec<Value>>,
    ret: Vec<Value>,
    expected: Vec<Vec<(String, String)>>,
}

/// Reads a file.
///
/// # Errors
///
/// `InvalidData` with a text that says in which file, and in which line and column or in which
/// program and operation, what is wrong.
pub fn parse(file: &str, text: &str) -> io::Result<Recording> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, format!("{file}: {what}"));
    // The parser's own messages end in line and column.
    let read: FileText = serde_json::from_str(text).map_err(|e| bad(e.to_string()))?;
    for (name, value) in &read.bits {
        if mask(name).ok() != Some(*value) {
            return Err(bad(format!("bit {name} is {value} there, and not so here")));
        }
    }
    let mut programs = Vec::with_capacity(read.programs.len());
    for (place, program) in read.programs.into_iter().enumerate() {
        let name = program.name.clone();
        let program = self::program(program)
            .map_err(|what| bad(format!("program {place} ({name}): {what}")))?;
        programs.push(program);
    }
    Ok(Recording { file: file.to_owned(), programs })
}

fn program(text: ProgramText) -> Result<Program, String> {
    if text.ops.len() != text.ret.len() {
        return Err(format!("{} operations, but {} results", text.ops.len(), text.ret.len()));
    }
    let mut expected = text.expected.into_iter();
    let mut steps = Vec::with_capacity(text.ops.len());
    for (place, (words, returned)) in text.ops.iter().zip(&text.ret).enumerate() {
        let at = |what: String| format!("operation {place}: {what}");
        let op = op(words).map_err(at)?;
        let returned = match returned {
            Value::String(word) => word.clone(),
            Value::Number(number) => number.to_string(),
            other => return Err(at(format!("a result that is no word and no number: {other}"))),
        };
        let mut events = Vec::new();
        if words[0] == "epoll_wait" {
            let list =
                expected.next().ok_or_else(|| at("a wait without a list of events".into()))?;
            for (label, bits) in list {
                events.push((label, mask(&bits).map_err(at)?));
            }
        }
        steps.push(Step { op, returned, events });
    }
    match expected.count() {
        0 => Ok(Program {
            name: text.name,
            capacity_dependent: text.capacity_dependent,
            asynchronous: text.asynchronous,
            steps,
        }),
        more => Err(format!("{more} more lists of events than waits")),
    }
}

impl Program {
    /// The program in the format that [`parse`] reads, as one of the `programs` of a file.
    #[must_use]
    pub fn to_json(&self) -> String {
        // A number is written as one, as the recordings do.
        let returned = |step: &Step| match step.returned.parse::<u64>() {
            Ok(number) => json!(number),
            Err(_) => json!(step.returned),
        };
        let events = |step: &Step| {
            let events = step.events.iter();
            events.map(|(label, bits)| json!([label, mask_words(*bits)])).collect::<Value>()
        };
        let steps = &self.steps;
        let waits = steps.iter().filter(|step| matches!(step.op, Op::EpollWait { .. }));
        let mut text = json!({
            "name": self.name,
            "ops": steps.iter().map(|step| words(&step.op)).collect::<Value>(),
            "ret": steps.iter().map(returned).collect::<Value>(),
            "expected": waits.map(events).collect::<Value>(),
        });
        if self.asynchronous {
            text["asynchronous"] = json!(true);
        }
        if self.capacity_dependent {
            text["capacity_dependent"] = json!(true);
        }
        text.to_string()
    }
}
