//! Running recorded programs on a host, and what came of it.
//!
//! A program ends at its first difference: what follows would differ because of it.

use super::{Host, Op, Program, Recording, SocketKind, Step};
use crate::kernel::{Control, Errno};
use netpoller::seam::{Address, Kind};
use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What became of the programs of one file on one host. Every program is in `equal`, in
/// `different` or in `skipped`.
#[derive(Clone, Debug)]
pub struct Report {
    /// The file.
    pub file: String,
    /// How many programs it has.
    pub programs: usize,
    /// How many waits were made and gave what was recorded.
    pub waits: usize,
    /// How many programs gave what was recorded from beginning to end.
    pub equal: usize,
    /// Those that did not, and where.
    pub different: Vec<Difference>,
    /// Those that were not run.
    pub skipped: Vec<Skipped>,
}

/// The first difference in a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the program.
    pub program: String,
    /// Which of its operations, counted from 0.
    pub place: usize,
    /// That operation.
    pub op: Op,
    /// What was recorded.
    pub expected: String,
    /// What the host gave.
    pub got: String,
}

/// A program that was not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its name.
    pub program: String,
    /// The operations in it that are not known here, and how often each occurs.
    pub unknown: BTreeMap<String, usize>,
}

impl Report {
    /// The operations that are not known, over all programs.
    #[must_use]
    pub fn unknown(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (name, count) in self.skipped.iter().flat_map(|skipped| &skipped.unknown) {
            *all.entry(name.clone()).or_default() += count;
        }
        all
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { file, programs, waits, equal, different, skipped } = self;
        let (different_count, skipped_count) = (different.len(), skipped.len());
        writeln!(
            f,
            "{file}: {programs} programs, {equal} equal ({waits} waits), \
             {different_count} different, {skipped_count} skipped"
        )?;
        for Difference { program, place, op, expected, got } in different {
            writeln!(f, "  {program}, operation {place} ({op:?}): expected {expected}, got {got}")?;
        }
        for Skipped { program, unknown } in skipped {
            let names: Vec<&str> = unknown.keys().map(String::as_str).collect();
            writeln!(f, "  {program}: not run, no {}", names.join(", "))?;
        }
        Ok(())
    }
}

/// Runs each program of `recording` on a host of its own.
pub fn replay<H: Host>(recording: &Recording, mut host: impl FnMut() -> H) -> Report {
    let mut report = Report {
        file: recording.file.clone(),
        programs: recording.programs.len(),
        waits: 0,
        equal: 0,
        different: Vec::new(),
        skipped: Vec::new(),
    };
    for program in &recording.programs {
        let unknown = unknown(program);
        if !unknown.is_empty() {
            report.skipped.push(Skipped { program: program.name.clone(), unknown });
            continue;
        }
        match replay_one(program, &mut host) {
            Ok(waits) => {
                report.equal += 1;
                report.waits += waits;
            }
            Err(difference) => report.different.push(*difference),
        }
    }
    report
}

/// Runs one program, of known operations; where it needs the kernel to come to rest, again with
/// more patience if there was a difference. How many waits it made.
///
/// # Errors
///
/// The first difference of the last run.
pub fn replay_one<H: Host>(
    program: &Program,
    mut host: impl FnMut() -> H,
) -> Result<usize, Box<Difference>> {
    let attempts = if program.asynchronous { H::ATTEMPTS } else { 1 };
    let mut attempt = 0;
    loop {
        let mut waits = 0;
        match Run::new(host(), attempt).program(program, &mut waits) {
            None => return Ok(waits),
            Some(difference) if attempt + 1 == attempts => return Err(Box::new(difference)),
            Some(_) => attempt += 1,
        }
    }
}

/// Runs operations on a host and writes down what it answers, as a program to be replayed
/// elsewhere. None of them may be unknown.
pub fn record<H: Host>(name: &str, ops: Vec<Op>, host: H) -> Program {
    let mut run = Run::new(host, 0);
    let steps = ops.into_iter().map(|op| {
        let (returned, events) = run.answer(&op);
        Step { op, returned, events }
    });
    Program {
        name: name.to_owned(),
        capacity_dependent: false,
        asynchronous: false,
        steps: steps.collect(),
    }
}

fn unknown(program: &Program) -> BTreeMap<String, usize> {
    let mut unknown = BTreeMap::new();
    for step in &program.steps {
        if let Op::Unknown(name) = &step.op {
            *unknown.entry(name.clone()).or_default() += 1;
        }
    }
    unknown
}

/// A program under way.
pub(crate) struct Run<H> {
    host: H,
    /// What a name stands for, closed or not.
    numbers: BTreeMap<String, i32>,
    /// The addresses that were given to names, which they keep when they are closed.
    addresses: BTreeMap<String, Address>,
    /// How patient it is.
    attempt: usize,
    /// The label that is meant by a number in the kernel.
    labels: Vec<String>,
}

/// What a step came to: a word or a number, and for a wait its events.
pub type Answer = (String, Vec<(String, u32)>);

/// How much is written at once to fill an object.
const CHUNK: usize = 4096;

impl<H: Host> Run<H> {
    pub(crate) fn new(host: H, attempt: usize) -> Run<H> {
        let (numbers, addresses) = (BTreeMap::new(), BTreeMap::new());
        Run { host, numbers, addresses, attempt, labels: Vec::new() }
    }

    fn program(&mut self, program: &Program, waits: &mut usize) -> Option<Difference> {
        for (place, step) in program.steps.iter().enumerate() {
            let waits_now = matches!(step.op, Op::EpollWait { .. });
            if program.asynchronous && waits_now {
                self.host.settle(self.attempt);
            }
            let answer = self.step(&step.op).unwrap_or_else(|error| (error.name(), Vec::new()));
            if !equal(step, &answer, program.capacity_dependent) {
                let shown = |(word, events): &Answer| format!("{word} {}", show(events));
                return Some(Difference {
                    program: program.name.clone(),
                    place,
                    op: step.op.clone(),
                    expected: shown(&(step.returned.clone(), step.events.clone())),
                    got: shown(&answer),
                });
            }
            *waits += usize::from(waits_now);
        }
        None
    }

    pub(crate) fn answer(&mut self, op: &Op) -> Answer {
        self.step(op).unwrap_or_else(|error| (error.name(), Vec::new()))
    }

    /// The number of a name. A name that never was is no number either.
    fn number(&self, name: &str) -> i32 {
        self.numbers.get(name).copied().unwrap_or(-1)
    }

    fn named(&mut self, name: &str, number: i32) -> Answer {
        self.numbers.insert(name.to_owned(), number);
        done(())
    }

    fn label(&mut self, label: &str) -> u64 {
        self.labels.push(label.to_owned());
        self.labels.len() as u64 - 1
    }

    fn control(&mut self, epoll: &str, name: &str, control: Control) -> Result<Answer, Errno> {
        let (epoll, number) = (self.number(epoll), self.number(name));
        self.host.epoll_ctl(epoll, number, control).map(done)
    }

    fn step(&mut self, op: &Op) -> Result<Answer, Errno> {
        match op {
            Op::Eventfd { name, count } => {
                let number = self.host.eventfd(*count)?;
                Ok(self.named(name, number))
            }
            Op::Pipe { read, write } => {
                let (first, second) = self.host.pipe()?;
                self.named(read, first);
                Ok(self.named(write, second))
            }
            Op::SocketPair { kind, names } => {
                let (first, second) = self.host.socketpair(*kind)?;
                self.named(&names[0], first);
                Ok(self.named(&names[1], second))
            }
            Op::RegularFile { name } => {
                let number = self.host.regular_file()?;
                Ok(self.named(name, number))
            }
            Op::EpollCreate { name } => {
                let number = self.host.epoll_create()?;
                Ok(self.named(name, number))
            }
            Op::EpollAdd { epoll, name, mask, label } => {
                let control = Control::Add(*mask, self.label(label));
                self.control(epoll, name, control)
            }
            Op::EpollModify { epoll, name, mask, label } => {
                let control = Control::Modify(*mask, self.label(label));
                self.control(epoll, name, control)
            }
            Op::EpollDelete { epoll, name } => self.control(epoll, name, Control::Delete),
            Op::EpollWait { epoll, most } => {
                let reports = self.host.epoll_wait(self.number(epoll), *most)?;
                // A label is an index that this run handed out.
                let label =
                    |data: u64| self.labels[usize::try_from(data).unwrap_or(usize::MAX)].clone();
                let events: Vec<_> = reports.iter().map(|r| (label(r.data), r.bits)).collect();
                Ok((events.len().to_string(), events))
            }
            Op::Close { name } => self.host.close(self.number(name)).map(done),
            Op::Dup { name, copy } => {
                let number = self.host.dup(self.number(name))?;
                Ok(self.named(copy, number))
            }
            Op::SameNumber { old, new } => {
                let same = self.number(old) == self.number(new);
                Ok((if same { "same" } else { "different" }.to_owned(), Vec::new()))
            }
            Op::Shutdown { name, how } => self.host.shutdown(self.number(name), *how).map(done),
            _ => self.connection(op),
        }
    }

    /// Sockets that are made one by one, FIFOs, timers.
    fn connection(&mut self, op: &Op) -> Result<Answer, Errno> {
        let number = match op {
            Op::Socket { kind, name } => {
                let (family, kind) = family(*kind);
                (name, self.host.socket(&family, kind)?)
            }
            Op::Accept { listener, name } => (name, self.host.accept(self.number(listener))?),
            Op::Open { name, fifo, write } => (name, self.host.open_fifo(Path::new(fifo), *write)?),
            Op::Timer { name } => (name, self.host.timer()?),
            _ => return self.change(op),
        };
        Ok(self.named(number.0, number.1))
    }

    /// What makes no new number.
    fn change(&mut self, op: &Op) -> Result<Answer, Errno> {
        match op {
            Op::Bind { name } => {
                let number = self.number(name);
                // A socket that is bound already has the family of its address.
                let any = match self.host.local_address(number)? {
                    Address::Inet(_) => loopback(),
                    Address::Unix(_) | Address::Unnamed => Address::Unnamed,
                };
                self.host.bind(number, &any)?;
                let address = self.host.local_address(number)?;
                self.addresses.insert(name.clone(), address);
                Ok(done(()))
            }
            Op::Listen { name, backlog } => self.host.listen(self.number(name), *backlog).map(done),
            Op::Connect { name, to } => {
                let address = match to {
                    Some(to) => self.address(to),
                    None => self.closed_port()?,
                };
                self.host.connect(self.number(name), &address).map(done)
            }
            Op::TcpPair { names } => self.tcp_pair(names).map(done),
            Op::TakeError { name } => {
                let error = self.host.take_error(self.number(name))?;
                Ok((error.map_or_else(|| "0".to_owned(), Errno::name), Vec::new()))
            }
            Op::SetBuffer { name, send, size } => {
                self.host.set_buffer(self.number(name), *send, *size)?;
                // Linux says twice what was asked for: the bookkeeping counts too.
                Ok(((size * 2).to_string(), Vec::new()))
            }
            Op::MakeFifo { name } => self.host.make_fifo(Path::new(name)).map(done),
            Op::TimerSet { name, millis } => {
                let after = Duration::from_millis(*millis);
                self.host.set_timer(self.number(name), after)?;
                Ok(("0".to_owned(), Vec::new()))
            }
            Op::Sleep { millis } => {
                self.host.sleep(Duration::from_millis(*millis));
                Ok(done(()))
            }
            _ => self.transfer(op).map(|count| (count.to_string(), Vec::new())),
        }
    }

    /// The address of a name; of one that has none, one that nobody has.
    fn address(&self, name: &str) -> Address {
        let nobody = || Address::Unix(PathBuf::from("\0nobody"));
        self.addresses.get(name).cloned().unwrap_or_else(nobody)
    }

    /// An address where somebody was.
    fn closed_port(&mut self) -> Result<Address, Errno> {
        let number = self.host.socket(&loopback(), Kind::Stream)?;
        self.host.bind(number, &loopback())?;
        let address = self.host.local_address(number)?;
        self.host.close(number)?;
        Ok(address)
    }

    fn tcp_pair(&mut self, [client, server]: &[String; 2]) -> Result<(), Errno> {
        let listener = self.host.socket(&loopback(), Kind::Stream)?;
        self.host.bind(listener, &loopback())?;
        self.host.listen(listener, 1)?;
        let address = self.host.local_address(listener)?;
        let connecting = self.host.socket(&loopback(), Kind::Stream)?;
        match self.host.connect(connecting, &address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(error) => return Err(error),
        }
        self.host.settle(self.attempt);
        let accepted = self.host.accept(listener)?;
        self.named(client, connecting);
        self.named(server, accepted);
        self.host.close(listener)
    }

    /// What moves bytes and returns how many.
    fn transfer(&mut self, op: &Op) -> Result<u64, Errno> {
        let bytes = |count: usize| vec![b'x'; count];
        match op {
            Op::Read { name, count } => {
                self.host.read(self.number(name), &mut bytes(*count)).map(count_of)
            }
            Op::Write { name, count } => {
                self.host.write(self.number(name), &bytes(*count)).map(count_of)
            }
            Op::Receive { name, count } => {
                self.host.receive(self.number(name), &mut bytes(*count)).map(count_of)
            }
            Op::Send { name, count } => {
                self.host.send(self.number(name), &bytes(*count)).map(count_of)
            }
            Op::SendTo { name, to, count } => {
                let (number, to) = (self.number(name), self.address(to));
                self.host.send_to(number, &to, &bytes(*count)).map(count_of)
            }
            Op::FillSettled { name } => {
                let (number, chunk) = (self.number(name), bytes(CHUNK));
                let mut sum = 0;
                loop {
                    let more = all(|| self.host.write(number, &chunk), |_, _| true)?;
                    if more == 0 {
                        return Ok(sum);
                    }
                    sum += more;
                    self.host.settle(self.attempt);
                }
            }
            Op::EventfdWrite { name, value } => {
                self.host.write(self.number(name), &value.to_ne_bytes()).map(count_of)
            }
            Op::EventfdRead { name } => {
                let mut value = [0; 8];
                self.host.read(self.number(name), &mut value)?;
                Ok(u64::from_ne_bytes(value))
            }
            Op::Fill { name } => {
                let (number, chunk) = (self.number(name), bytes(CHUNK));
                all(|| self.host.write(number, &chunk), |_, _| true)
            }
            Op::Drain { name } => {
                let (number, mut chunk) = (self.number(name), bytes(16 * CHUNK));
                all(|| self.host.read(number, &mut chunk), |got, _| got > 0)
            }
            Op::ReadTotal { name, count } => {
                let (number, mut left) = (self.number(name), bytes(*count));
                let want = count_of(*count);
                let mut sum = 0;
                all(
                    || {
                        let got = self.host.read(number, &mut left[sum..])?;
                        sum += got;
                        Ok(got)
                    },
                    |got, total| got > 0 && total < want,
                )
            }
            other => unreachable!("{other:?} moves no bytes, or is unknown and was skipped"),
        }
    }
}

/// A port of the kernel's choice.
fn loopback() -> Address {
    Address::Inet((Ipv4Addr::LOCALHOST, 0).into())
}

fn family(kind: SocketKind) -> (Address, Kind) {
    match kind {
        SocketKind::Tcp => (loopback(), Kind::Stream),
        SocketKind::UnixStream => (Address::Unnamed, Kind::Stream),
        SocketKind::UnixDatagram => (Address::Unnamed, Kind::Datagram),
    }
}

fn done((): ()) -> Answer {
    ("ok".to_owned(), Vec::new())
}

fn count_of(bytes: usize) -> u64 {
    bytes as u64
}

/// Repeats a transfer until it says EAGAIN, or `on` (told the last count and the sum) says that
/// it is enough. Another error is the result, whatever was moved before it.
fn all(
    mut transfer: impl FnMut() -> Result<usize, Errno>,
    on: impl Fn(usize, u64) -> bool,
) -> Result<u64, Errno> {
    let mut total = 0;
    loop {
        match transfer() {
            Ok(count) => {
                total += count_of(count);
                if !on(count, total) {
                    return Ok(total);
                }
            }
            Err(Errno::EAGAIN) => return Ok(total),
            Err(error) => return Err(error),
        }
    }
}

/// Whether that is what was recorded.
pub(crate) fn equal(step: &Step, (word, events): &Answer, capacity_dependent: bool) -> bool {
    let is_number = |word: &str| word.parse::<u64>().is_ok();
    let moves_bytes = matches!(
        step.op,
        Op::Fill { .. }
            | Op::FillSettled { .. }
            | Op::Drain { .. }
            | Op::Write { .. }
            | Op::Read { .. }
            | Op::ReadTotal { .. }
    );
    let same_word = if capacity_dependent && moves_bytes {
        step.returned == *word || is_number(&step.returned) && is_number(word)
    } else {
        step.returned == *word
    };
    same_word && step.events == *events
}

fn show(events: &[(String, u32)]) -> String {
    let bits = |bits: u32| netpoller_spec::events::Bits(bits);
    let shown: Vec<String> =
        events.iter().map(|(label, mask)| format!("{label}:{:?}", bits(*mask))).collect();
    format!("[{}]", shown.join(", "))
}
