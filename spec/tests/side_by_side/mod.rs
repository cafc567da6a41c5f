//! The sequential oracle beside the functions that the implementation calls.
//!
//! `Folded` is a descriptor made of the words of `slot` and `info`, with a cell beside each slot,
//! driven by one thread: load, ask, write. Random operations run on it and on `Machine`; results,
//! woken waiters, states and facts have to be equal after each. The operations come from current
//! and stale handles, with several waiters per direction, so that misuse is compared too. Who chooses them, a
//! generator of random numbers or a fuzzer, is up to whoever takes this module in.

use netpoller_spec::events::{Bits, report};
use netpoller_spec::info::{self, Publish};
use netpoller_spec::machine::{Cause, Held, Machine, Waited, Woken, allows, allows_info};
use netpoller_spec::slot::{self, Announced, Finished, Freed, Move, Retracted, Ticket};
use netpoller_spec::time::{self, Change, Ledger};
use netpoller_spec::token::Generation;
use netpoller_spec::{Mode, Reason};

/// One operation. Handles and waiters are named by small numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    Edge { handle: usize, bits: Bits },
    Prepare { handle: usize, mode: Mode },
    Wait { waiter: usize },
    Retract { waiter: usize },
    Deadline { handle: usize, concerned: [bool; 2], deadline: Option<u64> },
    Tick { nanos: u64 },
    Close { handle: usize },
    Free { handle: usize },
}

/// Handle 0 is the current incarnation, the others are older ones.
const HANDLES: usize = 3;
/// Even waiters read, odd ones write; each keeps the incarnation in which its wait began.
const WAITERS: usize = 4;

fn mode_of(waiter: usize) -> Mode {
    Mode::BOTH[waiter % 2]
}

impl Operation {
    /// One operation, chosen by `below`: a number below what it is given.
    pub(crate) fn draw(below: &mut dyn FnMut(usize) -> usize) -> Operation {
        let stale = [0, 0, 0, 0, 1, 2][below(6)];
        let waiter = below(WAITERS);
        match below(20) {
            16..=17 => {
                let concerned = [[true, true], [true, false], [false, true]][below(3)];
                let near = Some(below(32) as u64 + 1);
                let deadline = [near, near, near, None, Some(u64::MAX)][below(5)];
                Operation::Deadline { handle: stale, concerned, deadline }
            }
            18..=19 => Operation::Tick { nanos: below(8) as u64 },
            0..=4 => {
                let bits = [Bits::IN, Bits::OUT, Bits::RDHUP, Bits::HUP, Bits::ERR, Bits::PRI];
                Operation::Edge { handle: stale, bits: bits[below(6)].or(bits[below(6)]) }
            }
            5..=6 => Operation::Prepare { handle: stale, mode: mode_of(waiter) },
            7..=11 => Operation::Wait { waiter },
            12..=13 => Operation::Retract { waiter },
            14 => Operation::Close { handle: stale },
            _ => Operation::Free { handle: stale },
        }
    }
}

/// What an operation returned and whom it woke.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Woken(Woken<usize>),
    Prepared(Result<Option<usize>, Reason>),
    Waited(Waited),
    Retracted,
    Set(Result<Woken<usize>, Reason>),
    Ended(Option<Woken<usize>>),
}

/// A descriptor of words and cells.
struct Folded {
    info: info::Word,
    slots: [slot::Word; 2],
    cells: [Option<usize>; 2],
    ledger: Ledger,
    /// Entries that are due are handled at a tick.
    queue: Vec<u64>,
    now: u64,
}

impl Folded {
    fn new(generation: Generation) -> Folded {
        Folded {
            info: info::Word::new(generation),
            slots: [slot::Word::initial(generation); 2],
            cells: [None; 2],
            ledger: Ledger::default(),
            queue: Vec::new(),
            now: 1,
        }
    }

    fn expired(&self) -> [bool; 2] {
        Mode::BOTH.map(|mode| self.info.expired(mode))
    }

    fn change(&mut self, actor: Generation, change: Change) -> Woken<usize> {
        self.ledger = change.ledger;
        self.queue.extend(change.push);
        Mode::BOTH.map(|mode| {
            let expired = change.expired[mode as usize]?;
            self.publish(actor, info::expired(self.info, actor, mode, expired));
            let cancel = |word| slot::cancel(word, actor);
            expired.then(|| self.apply(Cause::Cancel, actor, mode, None, cancel).1).flatten()
        })
    }

    fn set_deadline(
        &mut self,
        actor: Generation,
        concerned: [bool; 2],
        deadline: Option<u64>,
    ) -> Result<Woken<usize>, Reason> {
        if actor != self.info.generation() || self.info.closing() {
            return Err(Reason::Closed);
        }
        let deadline = deadline.unwrap_or(time::NONE);
        let change = time::set(self.ledger, self.expired(), concerned, deadline, self.now);
        Ok(self.change(actor, change))
    }

    fn tick(&mut self, now: u64) -> Woken<usize> {
        self.now = now;
        let mut woken = [None; 2];
        while let Some(place) = self.queue.iter().position(|when| *when <= now) {
            let when = self.queue.swap_remove(place);
            let Some(change) = time::fire(self.ledger, self.expired(), when, now) else { continue };
            let fired = self.change(self.info.generation(), change);
            for (woken, fired) in woken.iter_mut().zip(fired) {
                *woken = woken.or(fired);
            }
        }
        woken
    }

    /// Does what the function says, and lets the table judge it.
    fn apply<O>(
        &mut self,
        cause: Cause,
        actor: Generation,
        mode: Mode,
        waker: Option<usize>,
        decide: impl Fn(slot::Word) -> Move<O>,
    ) -> (O, Option<usize>) {
        let (word, cell) = (&mut self.slots[mode as usize], &mut self.cells[mode as usize]);
        let before = *word;
        let done = match decide(before) {
            Move::Stay(outcome) => (outcome, None),
            Move::Set(after, outcome) => {
                *word = after;
                (outcome, None)
            }
            Move::Enter(after, outcome) => {
                *word = after;
                assert_eq!(cell.take(), None, "NP-SLOT-2: a waker lay in an idle slot");
                *cell = waker;
                (outcome, None)
            }
            Move::Leave(after, outcome) => {
                *word = after;
                let taken = cell.take();
                assert!(taken.is_some(), "NP-SLOT-2: a parked task has no waker");
                (outcome, taken)
            }
            Move::Refresh(outcome) => {
                *cell = waker;
                (outcome, None)
            }
        };
        if let Err(broken) = allows(cause, actor, before, *word) {
            panic!("{broken}");
        }
        done
    }

    fn publish(&mut self, actor: Generation, publish: Publish) -> bool {
        let before = self.info;
        if let Publish::Set(after) = publish {
            self.info = after;
        }
        if let Err(broken) = allows_info(actor, before, self.info) {
            panic!("{broken}");
        }
        matches!(publish, Publish::Set(_))
    }

    fn edge(&mut self, actor: Generation, bits: Bits) -> Woken<usize> {
        let report = report(bits);
        self.publish(actor, info::event_error(self.info, actor, report.error));
        [(Mode::Read, report.read), (Mode::Write, report.write)].map(|(mode, concerned)| {
            if !concerned {
                return None;
            }
            self.apply(Cause::Notify, actor, mode, None, |word| slot::notify(word, actor)).1
        })
    }

    fn prepare(&mut self, actor: Generation, mode: Mode) -> Result<Option<usize>, Reason> {
        info::check(self.info, actor, mode)?;
        Ok(self.apply(Cause::Reset, actor, mode, None, |word| slot::reset(word, actor)).1)
    }

    fn wait(
        &mut self,
        actor: Generation,
        mode: Mode,
        held: &mut Option<Ticket>,
        who: usize,
    ) -> Waited {
        if let Some(ticket) = held.take() {
            let decide = |word| slot::finish(word, actor, ticket);
            match self.apply(Cause::Finish, actor, mode, Some(who), decide).0 {
                Finished::Consumed => return Waited::Ready,
                Finished::Closed => return Waited::Failed(Reason::Closed),
                Finished::Released => {}
                Finished::Waiting => {
                    *held = Some(ticket);
                    return Waited::Parked;
                }
            }
        }
        if let Err(reason) = info::check(self.info, actor, mode) {
            return Waited::Failed(reason);
        }
        let decide = |word| slot::announce(word, actor);
        match self.apply(Cause::Announce, actor, mode, Some(who), decide).0 {
            Announced::Consumed => Waited::Ready,
            Announced::Occupied => Waited::Occupied,
            Announced::Closed => Waited::Failed(Reason::Closed),
            Announced::Parked(ticket) => {
                *held = Some(ticket);
                Waited::Parked
            }
        }
    }

    fn retract(&mut self, actor: Generation, mode: Mode, held: &mut Option<Ticket>) {
        let Some(ticket) = held.take() else { return };
        let decide = |word| slot::retract(word, actor, ticket);
        let (outcome, own) = self.apply(Cause::Retract, actor, mode, None, decide);
        assert_eq!(outcome == Retracted::Withdrawn, own.is_some());
    }

    fn close(&mut self, actor: Generation) -> Option<Woken<usize>> {
        self.publish(actor, info::close(self.info, actor)).then(|| {
            Mode::BOTH.map(|mode| {
                self.apply(Cause::Cancel, actor, mode, None, |word| slot::cancel(word, actor)).1
            })
        })
    }

    fn free(&mut self, actor: Generation) -> Option<Woken<usize>> {
        let next = actor.next()?;
        if actor == self.info.generation() {
            self.ledger = time::free(self.ledger);
        }
        self.publish(actor, info::free(self.info, actor, next)).then(|| {
            Mode::BOTH.map(|mode| {
                let decide = |word| slot::free(word, actor, next);
                let (outcome, waker) = self.apply(Cause::Free, actor, mode, None, decide);
                assert_eq!(outcome, Freed::Advanced, "NP-GEN-5: the slot ran ahead of the info");
                waker
            })
        })
    }
}

/// Both, and the handles and waiters through which they are used.
struct Pair {
    machine: Machine<usize>,
    folded: Folded,
    /// The newest first.
    handles: Vec<Generation>,
    /// Per waiter: its incarnation, and what it holds of each side.
    waiters: [(Generation, Held, Option<Ticket>); WAITERS],
    /// A waker is a number that is used once.
    wakers: usize,
}

impl Pair {
    fn new(first: Generation) -> Pair {
        Pair {
            machine: Machine::new(first),
            folded: Folded::new(first),
            handles: vec![first],
            waiters: [(first, Held::default(), None); WAITERS],
            wakers: 0,
        }
    }

    fn handle(&self, number: usize) -> Generation {
        self.handles[number.min(self.handles.len() - 1)]
    }

    fn step(&mut self, operation: Operation) -> (Seen, Seen) {
        match operation {
            Operation::Edge { handle, bits } => {
                let actor = self.handle(handle);
                let report = report(bits);
                (
                    Seen::Woken(self.machine.edge(actor, report)),
                    Seen::Woken(self.folded.edge(actor, bits)),
                )
            }
            Operation::Prepare { handle, mode } => {
                let actor = self.handle(handle);
                (
                    Seen::Prepared(self.machine.prepare(actor, mode)),
                    Seen::Prepared(self.folded.prepare(actor, mode)),
                )
            }
            Operation::Wait { waiter } => {
                self.wakers += 1;
                let (mode, current, waker) = (mode_of(waiter), self.handle(0), self.wakers);
                let (actor, held, ticket) = &mut self.waiters[waiter];
                if !held.parked() {
                    *actor = current; // a new wait begins with the newest handle
                }
                (
                    Seen::Waited(self.machine.wait(*actor, mode, held, waker)),
                    Seen::Waited(self.folded.wait(*actor, mode, ticket, waker)),
                )
            }
            Operation::Retract { waiter } => {
                let (actor, held, ticket) = &mut self.waiters[waiter];
                self.machine.retract(*actor, mode_of(waiter), held);
                self.folded.retract(*actor, mode_of(waiter), ticket);
                (Seen::Retracted, Seen::Retracted)
            }
            Operation::Deadline { handle, concerned, deadline } => {
                let (actor, now) = (self.handle(handle), self.folded.now);
                (
                    Seen::Set(self.machine.set_deadline(actor, concerned, deadline, now)),
                    Seen::Set(self.folded.set_deadline(actor, concerned, deadline)),
                )
            }
            Operation::Tick { nanos } => {
                let now = self.folded.now + nanos;
                (Seen::Woken(self.machine.tick(now)), Seen::Woken(self.folded.tick(now)))
            }
            Operation::Close { handle } => {
                let actor = self.handle(handle);
                (Seen::Ended(self.machine.close(actor)), Seen::Ended(self.folded.close(actor)))
            }
            Operation::Free { handle } => {
                let actor = self.handle(handle);
                let both =
                    (Seen::Ended(self.machine.free(actor)), Seen::Ended(self.folded.free(actor)));
                if self.machine.generation() != self.handles[0] {
                    self.handles.insert(0, self.machine.generation());
                    self.handles.truncate(HANDLES);
                }
                both
            }
        }
    }

    /// What can be seen of both when nothing is under way.
    fn compare(&self) -> Result<(), String> {
        let Pair { machine, folded, .. } = self;
        for (place, mode) in Mode::BOTH.into_iter().enumerate() {
            let word = folded.slots[place];
            let same = word.state() == machine.state(mode)
                && word.generation() == machine.generation()
                && folded.cells[place] == machine.parked(mode)
                && folded.info.expired(mode) == machine.expired(mode)
                && folded.ledger.deadlines[place] == machine.deadline(mode).unwrap_or(time::NONE);
            if !same {
                return Err(format!("{mode:?}: {word:?}, {:?}", folded.cells[place]));
            }
        }
        let facts = (folded.info.generation(), folded.info.closing(), folded.info.event_error());
        if facts != (machine.generation(), machine.closing(), machine.event_error()) {
            return Err(format!("{:?}", folded.info));
        }
        if !folded.ledger.covered(folded.expired()) {
            return Err(format!("NP-TIME-7: {:?} is not covered", folded.ledger));
        }
        for (number, (_, held, ticket)) in self.waiters.iter().enumerate() {
            if held.parked() != ticket.is_some() {
                return Err(format!("waiter {number} holds {ticket:?}"));
            }
        }
        Ok(())
    }
}

/// Runs operations on both.
///
/// # Errors
///
/// Where they differ first.
pub(crate) fn agree(first: u32, operations: &[Operation]) -> Result<(), String> {
    // Half of the runs start near the end of the generations (NP-GEN-3).
    let first = if first.is_multiple_of(2) { 1 } else { u32::MAX - first % 4 };
    let mut pair = Pair::new(Generation::new(first).expect("not zero"));
    for (place, &operation) in operations.iter().enumerate() {
        let (machine, folded) = pair.step(operation);
        if machine != folded {
            return Err(format!(
                "{place} {operation:?}: machine {machine:?}, functions {folded:?}"
            ));
        }
        pair.compare().map_err(|left| {
            format!("{place} {operation:?} left {left} and the machine {:?}", pair.machine)
        })?;
    }
    Ok(())
}
