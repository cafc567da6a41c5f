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

use netpoller::seam::{HowToShut, Kind};
use serde::Deserialize;
use serde_json::Value;
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
#[derive(Clone, Debug)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// Whether numbers of bytes are those of one kernel's buffers.
    pub capacity_dependent: bool,
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

/// What a step does. Strings are names of objects.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are the operands, in the order of the system call
pub enum Op {
    Eventfd {
        name: String,
        count: u32,
    },
    Pipe {
        read: String,
        write: String,
    },
    SocketPair {
        kind: Kind,
        names: [String; 2],
    },
    RegularFile {
        name: String,
    },
    EpollCreate {
        name: String,
    },
    EpollAdd {
        epoll: String,
        name: String,
        mask: u32,
        label: String,
    },
    EpollModify {
        epoll: String,
        name: String,
        mask: u32,
        label: String,
    },
    EpollDelete {
        epoll: String,
        name: String,
    },
    EpollWait {
        epoll: String,
        most: usize,
    },
    Read {
        name: String,
        count: usize,
    },
    Write {
        name: String,
        count: usize,
    },
    Receive {
        name: String,
        count: usize,
    },
    Send {
        name: String,
        count: usize,
    },
    EventfdWrite {
        name: String,
        value: u64,
    },
    EventfdRead {
        name: String,
    },
    /// Writes until there is no room.
    Fill {
        name: String,
    },
    /// Reads until there is nothing.
    Drain {
        name: String,
    },
    /// Reads until this much was read.
    ReadTotal {
        name: String,
        count: usize,
    },
    Shutdown {
        name: String,
        how: HowToShut,
    },
    Close {
        name: String,
    },
    Dup {
        name: String,
        copy: String,
    },
    /// Whether the second has the number that the first had.
    SameNumber {
        old: String,
        new: String,
    },
    /// An operation, or a kind of object, that is not known here.
    Unknown(String),
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
    #[serde(default, rename = "asynchronous")]
    _asynchronous: bool,
    #[serde(rename = "runs_agreeing")]
    _runs_agreeing: Option<String>,
    ops: Vec<Vec<Value>>,
    ret: Vec<Value>,
    expected: Vec<Vec<(String, String)>>,
}

const BITS: [(&str, u32); 8] = {
    use crate::kernel::mask;
    [
        ("IN", mask::IN),
        ("PRI", mask::PRI),
        ("OUT", mask::OUT),
        ("ERR", mask::ERR),
        ("HUP", mask::HUP),
        ("RDHUP", mask::RDHUP),
        ("ONESHOT", mask::ONESHOT),
        ("ET", mask::ET),
    ]
};

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
        0 => Ok(Program { name: text.name, capacity_dependent: text.capacity_dependent, steps }),
        more => Err(format!("{more} more lists of events than waits")),
    }
}

/// The bits of `IN|OUT|ET`; `0` stands for none.
fn mask(text: &str) -> Result<u32, String> {
    text.split('|').filter(|name| *name != "0").try_fold(0, |mask, name| {
        let bit = BITS.iter().find(|(known, _)| *known == name);
        bit.map(|(_, bit)| mask | bit).ok_or_else(|| format!("no condition is named {name:?}"))
    })
}

/// The operands of an operation.
struct Words<'a> {
    name: &'a str,
    operands: &'a [Value],
}

impl Words<'_> {
    fn bad(&self, what: impl std::fmt::Display) -> String {
        format!("{}: {what}", self.name)
    }

    fn count(&self, least: usize, most: usize) -> Result<(), String> {
        let count = self.operands.len();
        if (least..=most).contains(&count) {
            return Ok(());
        }
        let takes = if least == most { format!("{least}") } else { format!("{least} to {most}") };
        Err(self.bad(format_args!("takes {takes} operands, has {count}")))
    }

    fn text(&self, place: usize) -> Result<String, String> {
        let text = self.operands[place].as_str();
        text.map(str::to_owned)
            .ok_or_else(|| self.bad(format_args!("operand {} is no name", place + 1)))
    }

    fn number<N: TryFrom<u64>>(&self, place: usize) -> Result<N, String> {
        let number = self.operands[place].as_u64().and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| self.bad(format_args!("operand {} is no number in range", place + 1)))
    }

    /// Epoll, object, mask, label.
    fn registration(&self) -> Result<(String, String, u32, String), String> {
        self.count(3, 4)?;
        let name = self.text(1)?;
        let label = if self.operands.len() == 4 { self.text(3)? } else { name.clone() };
        Ok((self.text(0)?, name, mask(&self.text(2)?).map_err(|e| self.bad(e))?, label))
    }

    /// An object and a number.
    fn amount<N: TryFrom<u64>>(&self) -> Result<(String, N), String> {
        self.count(2, 2)?;
        Ok((self.text(0)?, self.number(1)?))
    }

    fn one(&self) -> Result<String, String> {
        self.count(1, 1)?;
        self.text(0)
    }

    fn two(&self) -> Result<[String; 2], String> {
        self.count(2, 2)?;
        Ok([self.text(0)?, self.text(1)?])
    }

    fn socket_pair(&self) -> Result<Op, String> {
        self.count(3, 3)?;
        let kind = match self.text(0)?.as_str() {
            "stream" => Kind::Stream,
            "dgram" => Kind::Datagram,
            other => return Ok(Op::Unknown(format!("socketpair {other}"))),
        };
        Ok(Op::SocketPair { kind, names: [self.text(1)?, self.text(2)?] })
    }

    fn shutdown(&self) -> Result<Op, String> {
        let [name, how] = self.two()?;
        let how = match how.as_str() {
            "rd" => HowToShut::Read,
            "wr" => HowToShut::Write,
            "rdwr" => HowToShut::Both,
            other => return Err(self.bad(format_args!("no direction is named {other:?}"))),
        };
        Ok(Op::Shutdown { name, how })
    }

    fn wait(&self) -> Result<Op, String> {
        self.count(3, 3)?;
        if self.number::<u64>(2)? != 0 {
            return Err(self.bad("a recorded wait has the timeout 0"));
        }
        Ok(Op::EpollWait { epoll: self.text(0)?, most: self.number(1)? })
    }
}

fn op(words: &[Value]) -> Result<Op, String> {
    let (name, operands) = words.split_first().ok_or("an operation without a name")?;
    let name = name.as_str().ok_or_else(|| format!("{name} is no name of an operation"))?;
    let words = Words { name, operands };
    Ok(match name {
        "eventfd" => {
            words.count(1, 2)?;
            let count = if operands.len() == 2 { words.number(1)? } else { 0 };
            Op::Eventfd { name: words.text(0)?, count }
        }
        "pipe" => {
            let [read, write] = words.two()?;
            Op::Pipe { read, write }
        }
        "socketpair" => words.socket_pair()?,
        "file" => Op::RegularFile { name: words.one()? },
        "epoll_create" => Op::EpollCreate { name: words.one()? },
        "epoll_add" => {
            let (epoll, name, mask, label) = words.registration()?;
            Op::EpollAdd { epoll, name, mask, label }
        }
        "epoll_mod" => {
            let (epoll, name, mask, label) = words.registration()?;
            Op::EpollModify { epoll, name, mask, label }
        }
        "epoll_del" => {
            let [epoll, name] = words.two()?;
            Op::EpollDelete { epoll, name }
        }
        "epoll_wait" => words.wait()?,
        "read" => words.amount().map(|(name, count)| Op::Read { name, count })?,
        "write" => words.amount().map(|(name, count)| Op::Write { name, count })?,
        "recv" => words.amount().map(|(name, count)| Op::Receive { name, count })?,
        "send" => words.amount().map(|(name, count)| Op::Send { name, count })?,
        "eventfd_write" => words.amount().map(|(name, value)| Op::EventfdWrite { name, value })?,
        "read_u64" => Op::EventfdRead { name: words.one()? },
        "write_until_EAGAIN" => Op::Fill { name: words.one()? },
        "read_until_EAGAIN_or_EOF" => Op::Drain { name: words.one()? },
        "read_total" => words.amount().map(|(name, count)| Op::ReadTotal { name, count })?,
        "shutdown" => words.shutdown()?,
        "close" => Op::Close { name: words.one()? },
        "dup" => {
            let [name, copy] = words.two()?;
            Op::Dup { name, copy }
        }
        "same_fd_number" => {
            let [old, new] = words.two()?;
            Op::SameNumber { old, new }
        }
        other => Op::Unknown(other.to_owned()),
    })
}
