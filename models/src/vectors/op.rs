//! One operation of a recorded program: its words, and what they mean.
//!
//! Every operation that is known is read here and [written](words) here, so that what is printed
//! can be read again.

use netpoller::seam::{HowToShut, Kind};
use serde_json::{Value, json};

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
    Socket {
        kind: SocketKind,
        name: String,
    },
    /// Gives a socket an address of the kernel's choice.
    Bind {
        name: String,
    },
    Listen {
        name: String,
        backlog: u32,
    },
    /// `None`: to a port where nobody listens.
    Connect {
        name: String,
        to: Option<String>,
    },
    Accept {
        listener: String,
        name: String,
    },
    SendTo {
        name: String,
        to: String,
        count: usize,
    },
    TakeError {
        name: String,
    },
    /// A connected pair: the client's end, the server's end.
    TcpPair {
        names: [String; 2],
    },
    /// The size of a buffer, that for sending or the one for receiving.
    SetBuffer {
        name: String,
        send: bool,
        size: usize,
    },
    /// As `Fill`, again and again until nothing is taken after a pause either.
    FillSettled {
        name: String,
    },
    MakeFifo {
        name: String,
    },
    Open {
        name: String,
        fifo: String,
        write: bool,
    },
    Timer {
        name: String,
    },
    TimerSet {
        name: String,
        millis: u64,
    },
    Sleep {
        millis: u64,
    },
    /// An operation, or a kind of object, that is not known here.
    Unknown(String),
}

/// Kinds of sockets that are made one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// TCP on the loopback.
    Tcp,
    /// A Unix stream.
    UnixStream,
    /// Unix datagrams.
    UnixDatagram,
}

const SOCKET_KINDS: [(&str, SocketKind); 3] = [
    ("tcp", SocketKind::Tcp),
    ("ustream", SocketKind::UnixStream),
    ("udgram", SocketKind::UnixDatagram),
];

/// What is meant by the address of nobody.
const CLOSED_PORT: &str = "CLOSEDPORT";

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

/// The bits of `IN|OUT|ET`; `0` stands for none.
pub(super) fn mask(text: &str) -> Result<u32, String> {
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

    fn socket(&self) -> Result<Op, String> {
        let [kind, name] = self.two()?;
        let known = SOCKET_KINDS.iter().find(|(word, _)| *word == kind);
        Ok(match known {
            Some((_, kind)) => Op::Socket { kind: *kind, name },
            None => Op::Unknown(format!("socket {kind}")),
        })
    }

    fn open(&self) -> Result<Op, String> {
        self.count(3, 3)?;
        let write = match self.text(2)?.as_str() {
            "r" => false,
            "w" => true,
            other => return Err(self.bad(format_args!("no direction is named {other:?}"))),
        };
        Ok(Op::Open { name: self.text(0)?, fifo: self.text(1)?, write })
    }

    fn send_to(&self) -> Result<Op, String> {
        self.count(3, 3)?;
        Ok(Op::SendTo { name: self.text(0)?, to: self.text(1)?, count: self.number(2)? })
    }

    fn sleep(&self) -> Result<Op, String> {
        self.count(1, 1)?;
        Ok(Op::Sleep { millis: self.number(0)? })
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

/// What the words of an operation mean.
pub(super) fn op(words: &[Value]) -> Result<Op, String> {
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
        other => return connection(other, &words),
    })
}

/// The operations of sockets that are made one by one, of FIFOs and of timers.
fn connection(name: &str, words: &Words<'_>) -> Result<Op, String> {
    Ok(match name {
        "socket" => words.socket()?,
        "bind" => Op::Bind { name: words.one()? },
        "listen" => words.amount().map(|(name, backlog)| Op::Listen { name, backlog })?,
        "connect" => {
            let [name, to] = words.two()?;
            Op::Connect { name, to: Some(to).filter(|to| to != CLOSED_PORT) }
        }
        "accept" => {
            let [listener, name] = words.two()?;
            Op::Accept { listener, name }
        }
        "sendto" => words.send_to()?,
        "getsockopt_SO_ERROR" => Op::TakeError { name: words.one()? },
        "tcppair" => Op::TcpPair { names: words.two()? },
        "sndbuf" => words.amount().map(|(name, size)| Op::SetBuffer { name, send: true, size })?,
        "rcvbuf" => words.amount().map(|(name, size)| Op::SetBuffer { name, send: false, size })?,
        "write_until_EAGAIN_settled" => Op::FillSettled { name: words.one()? },
        "mkfifo" => Op::MakeFifo { name: words.one()? },
        "open" => words.open()?,
        "timerfd" => Op::Timer { name: words.one()? },
        "timerfd_set_ms" => words.amount().map(|(name, millis)| Op::TimerSet { name, millis })?,
        "sleep" => words.sleep()?,
        other => Op::Unknown(other.to_owned()),
    })
}

/// The names of conditions and options, joined by `|`.
pub(super) fn mask_words(bits: u32) -> String {
    let names = BITS.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name);
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}

/// An operation in the words of the format.
pub(super) fn words(op: &Op) -> Value {
    let kind = |kind: Kind| if kind == Kind::Stream { "stream" } else { "dgram" };
    let socket = |kind: SocketKind| {
        SOCKET_KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| *word)
    };
    let how = |how: HowToShut| match how {
        HowToShut::Read => "rd",
        HowToShut::Write => "wr",
        HowToShut::Both => "rdwr",
    };
    match op {
        Op::Eventfd { name, count: 0 } => json!(["eventfd", name]),
        Op::Eventfd { name, count } => json!(["eventfd", name, count]),
        Op::Pipe { read, write } => json!(["pipe", read, write]),
        Op::SocketPair { kind: pair, names } => {
            json!(["socketpair", kind(*pair), names[0], names[1]])
        }
        Op::RegularFile { name } => json!(["file", name]),
        Op::EpollCreate { name } => json!(["epoll_create", name]),
        Op::EpollAdd { epoll, name, mask, label } => {
            json!(["epoll_add", epoll, name, mask_words(*mask), label])
        }
        Op::EpollModify { epoll, name, mask, label } => {
            json!(["epoll_mod", epoll, name, mask_words(*mask), label])
        }
        Op::EpollDelete { epoll, name } => json!(["epoll_del", epoll, name]),
        Op::EpollWait { epoll, most } => json!(["epoll_wait", epoll, most, 0]),
        Op::Read { name, count } => json!(["read", name, count]),
        Op::Write { name, count } => json!(["write", name, count]),
        Op::Receive { name, count } => json!(["recv", name, count]),
        Op::Send { name, count } => json!(["send", name, count]),
        Op::EventfdWrite { name, value } => json!(["eventfd_write", name, value]),
        Op::EventfdRead { name } => json!(["read_u64", name]),
        Op::Fill { name } => json!(["write_until_EAGAIN", name]),
        Op::Drain { name } => json!(["read_until_EAGAIN_or_EOF", name]),
        Op::ReadTotal { name, count } => json!(["read_total", name, count]),
        Op::Shutdown { name, how: direction } => json!(["shutdown", name, how(*direction)]),
        Op::Close { name } => json!(["close", name]),
        Op::Dup { name, copy } => json!(["dup", name, copy]),
        Op::SameNumber { old, new } => json!(["same_fd_number", old, new]),
        Op::Socket { kind, name } => json!(["socket", socket(*kind), name]),
        Op::Bind { name } => json!(["bind", name]),
        Op::Listen { name, backlog } => json!(["listen", name, backlog]),
        Op::Connect { name, to } => {
            json!(["connect", name, to.as_deref().unwrap_or(CLOSED_PORT)])
        }
        Op::Accept { listener, name } => json!(["accept", listener, name]),
        Op::SendTo { name, to, count } => json!(["sendto", name, to, count]),
        Op::TakeError { name } => json!(["getsockopt_SO_ERROR", name]),
        Op::TcpPair { names } => json!(["tcppair", names[0], names[1]]),
        Op::SetBuffer { name, send: true, size } => json!(["sndbuf", name, size]),
        Op::SetBuffer { name, send: false, size } => json!(["rcvbuf", name, size]),
        Op::FillSettled { name } => json!(["write_until_EAGAIN_settled", name]),
        Op::MakeFifo { name } => json!(["mkfifo", name]),
        Op::Open { name, fifo, write } => {
            json!(["open", name, fifo, if *write { "w" } else { "r" }])
        }
        Op::Timer { name } => json!(["timerfd", name]),
        Op::TimerSet { name, millis } => json!(["timerfd_set_ms", name, millis]),
        Op::Sleep { millis } => json!(["sleep", millis]),
        Op::Unknown(name) => json!([name]),
    }
}
