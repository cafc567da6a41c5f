//! The descriptor that ships does what the sequential oracle says, one operation at a time.
//!
//! Random operations run on a registered descriptor (through `Incarnation`, current and stale) and
//! on `netpoller_spec::machine::Machine`. After each operation the results, the wakers that were
//! woken, in their order, and everything that can be seen from outside have to be equal; and the
//! observer judges each step of the implementation by the tables of the spec.
//!
//! Several waiters per direction take part, and handles of earlier incarnations, so that misuse
//! and lateness are compared too. Out of scope: anything that happens at the same time (that is
//! what `netpoller-models` is for), and the kernel: edges are delivered by hand.

mod common;

use netpoller::desc::{Wait, wake};
use netpoller::error::WaitError;
use netpoller::observe::Step;
use netpoller::poller::{Poller, Shape};
use netpoller::seam::{Event, Instant, Kernel, Ordering, Os, System};
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::{Bits, report};
use netpoller_spec::machine::{
    Held, INFO_TABLE, Machine, TABLE, Waited, allows, allows_info, told_apart,
};
use netpoller_spec::token::{Generation, Named, Token};
use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

/// The operating system with a clock of its own, and an observer that judges each step and notes
/// which row it took.
#[derive(Clone, Debug, Default)]
struct Judged {
    taken: Arc<Mutex<BTreeSet<&'static str>>>,
    clock: Arc<AtomicU64>,
}

common::primitives_of_the_os!(Judged);

impl System for Judged {
    type Kernel = <Os as System>::Kernel;

    fn kernel(&self) -> &Self::Kernel {
        Os.kernel()
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.load(Ordering::Relaxed))
    }

    fn observe(&self, step: &Step) {
        let row = match *step {
            Step::Slot { place, cause, before, after, .. } => {
                allows(cause, place.generation, before, after).map(|row| TABLE[row].name)
            }
            Step::Info { place, before, after } => {
                allows_info(place.generation, before, after).map(|row| INFO_TABLE[row].name)
            }
            Step::Expires { deadline, now, .. } => {
                assert!(deadline <= now, "NP-TIME-5 broken: {deadline} expires at {now}");
                return;
            }
            Step::Break { .. } => return,
        };
        match row {
            Ok(name) => self.taken.lock().expect("no holder panics").insert(name),
            Err(broken) => panic!("{broken}"),
        };
    }
}

/// A waker that is known by its number.
struct Numbered {
    number: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("no holder panics").push(self.number);
    }
}

/// One operation. Handle 0 is the current incarnation, the others are earlier ones. Even waiters
/// read, odd ones write.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Edge { handle: usize, bits: Bits },
    Prepare { handle: usize, mode: Mode },
    Wait { waiter: usize },
    Retract { waiter: usize },
    Deadline { concerned: [bool; 2], deadline: Option<u64> },
    Tick { nanos: u64 },
    Close { handle: usize },
    Reopen,
}

const HANDLES: usize = 3;
const WAITERS: usize = 4;

fn mode_of(waiter: usize) -> Mode {
    Mode::BOTH[waiter % 2]
}

impl Arbitrary for Operation {
    fn arbitrary(g: &mut Gen) -> Self {
        let handle = *g.choose(&[0, 0, 0, 0, 1, 2]).expect("not empty");
        let waiter = usize::arbitrary(g) % WAITERS;
        match u8::arbitrary(g) % 20 {
            16..=17 => {
                let concerned = *g.choose(&[[true, true], [true, false], [false, true]]).unwrap();
                let near = Some(u64::arbitrary(g) % 32 + 1);
                let deadline = *g.choose(&[near, near, near, None, Some(u64::MAX)]).unwrap();
                Operation::Deadline { concerned, deadline }
            }
            18..=19 => Operation::Tick { nanos: u64::arbitrary(g) % 8 },
            0..=4 => {
                let bits = [Bits::IN, Bits::OUT, Bits::RDHUP, Bits::HUP, Bits::ERR, Bits::PRI];
                let (one, two) = (*g.choose(&bits).expect("some"), *g.choose(&bits).expect("some"));
                Operation::Edge { handle, bits: one.or(two) }
            }
            5..=6 => Operation::Prepare { handle, mode: mode_of(waiter) },
            7..=11 => Operation::Wait { waiter },
            12..=13 => Operation::Retract { waiter },
            14 => Operation::Close { handle },
            _ => Operation::Reopen,
        }
    }
}

type Fd = <<Os as System>::Kernel as Kernel>::Fd;

/// A waiter: its incarnation, and what it holds of the oracle and of the implementation.
struct Party {
    token: Token,
    held: Held,
    wait: Wait,
}

struct Pair {
    machine: Machine<usize>,
    poller: Poller<Judged>,
    /// `None` only inside `reopen`.
    source: Option<Source<Judged>>,
    /// The other end of the pipe.
    _writer: Fd,
    /// The newest first.
    handles: Vec<Token>,
    parties: Vec<Party>,
    wakers: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

fn generation_of(token: Token) -> Generation {
    match token.named() {
        Named::Entry(_, generation) => generation,
        other => panic!("{other:?} is no entry"),
    }
}

impl Pair {
    fn new(judge: &Judged, first: Generation) -> Pair {
        let shape = Shape { first_segment: 1, first_generation: first, turns: false };
        let poller = Poller::on(judge.clone(), shape).expect("a poller");
        let (reader, writer) = Os.kernel().pipe().expect("a pipe");
        let source = poller.register(reader).expect("registered");
        let token = source.token();
        let party = |_| Party { token, held: Held::default(), wait: Wait::default() };
        Pair {
            machine: Machine::new(generation_of(token)),
            poller,
            source: Some(source),
            _writer: writer,
            handles: vec![token],
            parties: (0..WAITERS).map(party).collect(),
            wakers: 0,
            woken: Arc::default(),
        }
    }

    fn handle(&self, number: usize) -> Token {
        self.handles[number.min(self.handles.len() - 1)]
    }

    /// Does it on both sides: what the oracle says, what the implementation did. `None`: the entry
    /// is retired and the run is over.
    fn step(&mut self, operation: Operation) -> Option<(String, String)> {
        self.woken.lock().expect("no holder panics").clear();
        let (result, expected): (String, Vec<usize>);
        let returned = match operation {
            Operation::Edge { handle, bits } => {
                let token = self.handle(handle);
                let woken = self.machine.edge(generation_of(token), report(bits));
                (result, expected) = (String::new(), woken.into_iter().flatten().collect());
                self.poller.deliver(&[Event { token, bits }]);
                String::new()
            }
            Operation::Prepare { handle, mode } => {
                let token = self.handle(handle);
                let prepared = self.machine.prepare(generation_of(token), mode);
                expected = prepared.iter().copied().flatten().collect();
                result = format!("{:?}", prepared.map(drop));
                format!("{:?}", self.poller.incarnation(token).prepare(mode))
            }
            Operation::Wait { waiter } => {
                self.wakers += 1;
                let numbered = Numbered { number: self.wakers, woken: Arc::clone(&self.woken) };
                let (waker, current) = (Waker::from(Arc::new(numbered)), self.handle(0));
                let party = &mut self.parties[waiter];
                if !party.held.parked() {
                    party.token = current; // a new wait begins with the newest handle
                }
                let (mode, actor) = (mode_of(waiter), generation_of(party.token));
                let waited = self.machine.wait(actor, mode, &mut party.held, self.wakers);
                (result, expected) = (format!("{waited:?}"), Vec::new());
                let incarnation = self.poller.incarnation(party.token);
                let polled = incarnation.poll_wait(mode, &mut party.wait, &waker, || Ok(()));
                format!("{:?}", as_waited(polled))
            }
            Operation::Retract { waiter } => {
                let party = &mut self.parties[waiter];
                let actor = generation_of(party.token);
                self.machine.retract(actor, mode_of(waiter), &mut party.held);
                (result, expected) = (String::new(), Vec::new());
                let incarnation = self.poller.incarnation(party.token);
                incarnation.retract(mode_of(waiter), &mut party.wait);
                String::new()
            }
            Operation::Deadline { concerned, deadline } => {
                let now = self.poller.now().as_nanos();
                let actor = generation_of(self.handle(0));
                let set = self.machine.set_deadline(actor, concerned, deadline, now);
                expected = set.iter().flatten().copied().flatten().collect();
                result = format!("{}", set.is_ok());
                let source = self.source.as_ref().expect("there is one between two operations");
                let deadline = deadline.map(Instant::from_nanos);
                let set = match concerned {
                    [true, true] => source.set_deadline(deadline),
                    [true, false] => source.set_read_deadline(deadline),
                    _ => source.set_write_deadline(deadline),
                };
                format!("{}", set.is_ok())
            }
            Operation::Tick { nanos } => {
                let clock = &self.poller.system().clock;
                let now = clock.fetch_add(nanos, Ordering::Relaxed) + nanos;
                expected = self.machine.tick(now).into_iter().flatten().collect();
                result = String::new();
                self.poller.expire_due();
                String::new()
            }
            Operation::Close { handle } => {
                let token = self.handle(handle);
                let closed = self.machine.close(generation_of(token));
                result = format!("{:?}", closed.is_some());
                expected = closed.into_iter().flatten().flatten().collect();
                let wakers = self.poller.incarnation(token).close();
                let first = wakers.is_some();
                wakers.into_iter().for_each(wake);
                format!("{first:?}")
            }
            Operation::Reopen => {
                let last = self.handle(0);
                let closed = self.machine.close(generation_of(last));
                let freed = self.machine.free(generation_of(last));
                let retired = freed.is_none();
                expected = [closed, freed].into_iter().flatten().flatten().flatten().collect();
                result = format!("retired: {retired}");
                let source = self.source.take().expect("there is one between two operations");
                let source = self.poller.register(source.into_fd().expect("the number"));
                let source = source.expect("registered again");
                let next = source.token();
                let elsewhere = next.bits() >> 32 != last.bits() >> 32;
                self.source = Some(source);
                if retired && elsewhere {
                    return None; // NP-GEN-3
                }
                self.handles.insert(0, next);
                self.handles.truncate(HANDLES);
                format!("retired: {elsewhere}")
            }
        };
        let woken = self.woken.lock().expect("no holder panics");
        Some((format!("{result} woke {expected:?}"), format!("{returned} woke {woken:?}")))
    }

    /// What can be seen of both between two operations.
    fn compare(&self) -> Result<(), String> {
        let Pair { machine, poller, .. } = self;
        let (entries, _flag) = poller.peek();
        let (_, seen) = entries.first().expect("the slab has an entry");
        for (place, mode) in Mode::BOTH.into_iter().enumerate() {
            let word = seen.slots[place];
            let same = word.state() == machine.state(mode)
                && word.generation() == machine.generation()
                && seen.wakers[place] == machine.parked(mode).is_some()
                && seen.info.expired(mode) == machine.expired(mode)
                && seen.ledger.deadlines[place] == machine.deadline(mode).unwrap_or(0);
            if !same {
                return Err(format!("{mode:?} at {word:?}, a waker: {}", seen.wakers[place]));
            }
        }
        let info = seen.info;
        let facts = (info.generation(), info.closing(), info.event_error());
        if facts != (machine.generation(), machine.closing(), machine.event_error()) {
            return Err(format!("the facts at {info:?}"));
        }
        match self.parties.iter().position(|party| party.held.parked() != party.wait.parked()) {
            None => Ok(()),
            Some(number) => Err(format!("waiter {number} at {:?}", self.parties[number].wait)),
        }
    }
}

fn as_waited(polled: Poll<Result<(), WaitError>>) -> Waited {
    match polled {
        Poll::Pending => Waited::Parked,
        Poll::Ready(Ok(())) => Waited::Ready,
        Poll::Ready(Err(WaitError::Occupied)) => Waited::Occupied,
        Poll::Ready(Err(WaitError::Protocol(reason))) => Waited::Failed(reason),
        Poll::Ready(Err(WaitError::Kernel(error))) => panic!("nothing was armed: {error}"),
    }
}

fn agree(judge: &Judged, first: u32, operations: &[Operation]) -> Result<(), String> {
    // Half of the runs start near the end of the generations (NP-GEN-3).
    let first = if first.is_multiple_of(2) { 1 } else { u32::MAX - first % 4 };
    let mut pair = Pair::new(judge, Generation::new(first).expect("not zero"));
    for (place, &operation) in operations.iter().enumerate() {
        let before = format!("{:?}", pair.machine);
        let Some((oracle, code)) = pair.step(operation) else { return Ok(()) };
        if oracle != code {
            return Err(format!(
                "{place} {operation:?} on {before}: the oracle says {oracle}, the code did {code}"
            ));
        }
        pair.compare().map_err(|left| {
            format!("{place} {operation:?} left {left}, the oracle {:?}", pair.machine)
        })?;
    }
    Ok(())
}

/// Rows about short reads, which the machine does not know: no descriptor here is of a TCP stream (NP-READ-1).
const OF_SHORT_READS: &[&str] = &["believe", "doubt"];

/// Rows that one thread alone never takes.
const ONLY_IN_RACES: &[&str] = &[
    // The owner closes before it frees, so a parked waiter is gone unless it parks in between.
    "free-wakes",
    // The owner frees once; a second free panics.
    "stale-free-nil",
    "stale-free-ready",
    "stale-free-parked",
    // These look at the info word first, and a stale handle gets no further.
    "stale-cancel-nil",
    "stale-cancel-ready",
    "stale-cancel-parked",
    "stale-reset-nil",
    "stale-reset-ready",
    "stale-reset-parked",
    "stale-announce-nil",
    "stale-announce-ready",
    "stale-announce-parked",
];

#[test]
fn the_descriptor_does_what_the_machine_says() {
    // NP-GEN-1, NP-GEN-2, NP-GEN-3, NP-GEN-5, NP-INFO-1, NP-INFO-2, NP-INFO-3, NP-INFO-4,
    // NP-INFO-5, NP-INFO-6, NP-SLOT-2, NP-SLOT-3, NP-SLOT-4, NP-SLOT-5, NP-SLOT-6, NP-SLOT-7,
    // NP-TIME-2, NP-TIME-3, NP-TIME-4, NP-TIME-5, NP-INFO-7,
    // NP-SLOT-8, NP-WAIT-1, NP-WAIT-2, NP-WAIT-4, NP-WAIT-5, NP-WAIT-6, NP-EVT-1, NP-EVT-2
    let judge = Judged::default();
    let watching = judge.clone();
    let property =
        move |first: u32, operations: Vec<Operation>| match agree(&watching, first, &operations) {
            Ok(()) => TestResult::passed(),
            Err(difference) => TestResult::error(difference),
        };
    QuickCheck::new().rng(Gen::new(120)).tests(2_000).quickcheck(Property(Box::new(property)));

    let taken = judge.taken.lock().expect("no holder panics");
    let slots = (0..TABLE.len()).filter(|&row| told_apart(row)).map(|row| TABLE[row].name);
    for name in slots.chain(INFO_TABLE.iter().map(|row| row.name)) {
        assert_eq!(
            taken.contains(name),
            !ONLY_IN_RACES.contains(&name) && !OF_SHORT_READS.contains(&name),
            "row {name}: taken on the left, expected on the right"
        );
    }
}

/// A closure that quickcheck takes for a property.
struct Property(Box<dyn Fn(u32, Vec<Operation>) -> TestResult>);

impl quickcheck::Testable for Property {
    fn result(&self, g: &mut Gen) -> TestResult {
        let (first, mut operations) = (u32::arbitrary(g), Vec::<Operation>::arbitrary(g));
        let run = |operations: &[Operation]| (self.0)(first, operations.to_vec());
        let mut failed = run(&operations);
        if !failed.is_failure() {
            return failed;
        }
        // Leave out what is not needed, for as long as it still fails.
        let mut place = 0;
        while place < operations.len() {
            let mut shorter = operations.clone();
            shorter.remove(place);
            let result = run(&shorter);
            if result.is_failure() {
                (operations, failed, place) = (shorter, result, 0);
            } else {
                place += 1;
            }
        }
        eprintln!("generations from {first}, shortest: {operations:?}");
        failed
    }
}
