//! The rules once more: as tables of transitions, and as a sequential oracle.
//!
//! The tables ([`TABLE`], [`INFO_TABLE`]) state each transition by itself; [`allows`] judges one
//! observed step by them.
//!
//! [`Machine`] states what whole operations do when nothing runs at the same time: one entry of
//! the slab with its generation, whether it is closing, whether its newest event was nothing but
//! an error, and per direction the slot, the deadline and whether it has expired. It is written without the functions of [`slot`](crate::slot) and
//! [`info`](crate::info), without words, and without tickets that wrap, so that it can contradict
//! them. A waiter is known to it by a value of type `W`, which stands for its waker; an operation
//! returns the wakers that have to be woken because of it.
//!
//! | operation | Go | what it is in `netpoller` |
//! |---|---|---|
//! | [`edge`](Machine::edge) | `netpollready` | `publish_report`, then `notify` |
//! | [`prepare`](Machine::prepare) | `pollReset` | `prepare` |
//! | [`wait`](Machine::wait) | `pollWait`, one turn | `poll_wait` |
//! | [`retract`](Machine::retract) | none | `retract` |
//! | [`set_deadline`](Machine::set_deadline) | `pollSetDeadline` | `set_deadline` |
//! | [`tick`](Machine::tick) | `netpolldeadlineimpl` | `fire`, for whatever is due |
//! | [`close`](Machine::close) | `pollUnblock` | `close` |
//! | [`free`](Machine::free) | `pollClose`, `pollOpen` | `free` |
//!
//! Where an implementation is not atomic, an operation has parts that others can come between, and
//! the whole is the parts in this order:
//!
//! | operation | parts |
//! |---|---|
//! | edge | [`publish`](Machine::publish); per direction [`notify`](Machine::notify) |
//! | prepare | [`check`](Machine::check); [`reset`](Machine::reset) |
//! | wait | [`finish`](Machine::finish); `check`; [`announce`](Machine::announce); once parked, `check` again, and to withdraw: [`retract`](Machine::retract), and `finish` if the wait was over |
//! | close | [`begin_close`](Machine::begin_close); per direction [`cancel`](Machine::cancel) |
//! | set a deadline | [`enter_deadline`](Machine::enter_deadline); per direction [`publish_expired`](Machine::publish_expired); per direction `cancel` |
//! | tick | per direction `publish_expired`; per direction `cancel` |
//! | free | [`begin_free`](Machine::begin_free); per direction [`free_slot`](Machine::free_slot) |
//!
//! The machine knows no timers and no queue of them: a deadline has come, or it has not.
//!
//! Out of scope: the kernel, the break, who polls.

mod table;

pub use table::{
    Actor, Cause, Cell, Fact, GenerationRule, INFO_TABLE, InfoRow, Row, TABLE, TicketRule,
    Violation, Wait, allows, allows_info, told_apart,
};

use crate::events::Report;
use crate::slot::State;
use crate::token::Generation;
use crate::{Mode, Reason};

/// The sequential oracle: one entry of the slab, through all its incarnations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine<W> {
    generation: Generation,
    closing: bool,
    event_error: bool,
    sides: [Side<W>; 2],
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Side<W> {
    /// Of its slot: behind that of the whole between the parts of a free.
    generation: Generation,
    pending: Pending<W>,
    /// How many waits have parked here so far; the newest of them has this number.
    waits: u64,
    /// Nanoseconds; the last instant never comes.
    deadline: Option<u64>,
    /// The deadline has come, and was not set or cleared since.
    expired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pending<W> {
    Nothing,
    Readiness,
    Waiter(W),
}

/// What a waiter keeps between two calls: the number of its wait while it believes to be parked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Held(Option<u64>);

impl Held {
    /// What the waiter with this number keeps: the first one that parks in a direction has 1.
    #[must_use]
    pub const fn numbered(number: u64) -> Held {
        Held(Some(number))
    }

    /// The number of the wait.
    #[must_use]
    pub const fn number(self) -> Option<u64> {
        self.0
    }

    /// Whether the waiter believes to be parked.
    #[must_use]
    pub const fn parked(self) -> bool {
        self.0.is_some()
    }
}

/// What one call of [`Machine::wait`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waited {
    /// The direction is ready, and the readiness is consumed.
    Ready,
    /// The waiter is parked and will be woken.
    Parked,
    /// Somebody else is parked in this direction (NP-WAIT-1).
    Occupied,
    /// The wait cannot succeed.
    Failed(Reason),
}

/// Who has to be woken: in the direction of reading, in the direction of writing.
pub type Woken<W> = [Option<W>; 2];

impl<W: Copy> Machine<W> {
    /// A fresh incarnation, with this generation.
    #[must_use]
    pub const fn new(generation: Generation) -> Self {
        let pending = Pending::Nothing;
        let side = Side { generation, pending, waits: 0, deadline: None, expired: false };
        Machine { generation, closing: false, event_error: false, sides: [side; 2] }
    }

    /// The generation it is in.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether a close has begun.
    #[must_use]
    pub const fn closing(&self) -> bool {
        self.closing
    }

    /// Whether the newest event was nothing but an error.
    #[must_use]
    pub const fn event_error(&self) -> bool {
        self.event_error
    }

    /// The deadline of one direction, in nanoseconds.
    #[must_use]
    pub const fn deadline(&self, mode: Mode) -> Option<u64> {
        self.sides[mode as usize].deadline
    }

    /// Whether the deadline of one direction has come.
    #[must_use]
    pub const fn expired(&self, mode: Mode) -> bool {
        self.sides[mode as usize].expired
    }

    /// The state of one slot.
    #[must_use]
    pub const fn state(&self, mode: Mode) -> State {
        match self.sides[mode as usize].pending {
            Pending::Nothing => State::Nil,
            Pending::Readiness => State::Ready,
            Pending::Waiter(_) => State::Parked,
        }
    }

    /// The generation of one slot. That of the whole, but for the time between the parts of a free.
    #[must_use]
    pub const fn slot_generation(&self, mode: Mode) -> Generation {
        self.sides[mode as usize].generation
    }

    /// Who is parked in one direction.
    #[must_use]
    pub const fn parked(&self, mode: Mode) -> Option<W> {
        match self.sides[mode as usize].pending {
            Pending::Waiter(waiter) => Some(waiter),
            Pending::Nothing | Pending::Readiness => None,
        }
    }

    /// An event for `actor` arrives.
    pub fn edge(&mut self, actor: Generation, report: Report) -> Woken<W> {
        self.publish(actor, report.error);
        [(Mode::Read, report.read), (Mode::Write, report.write)]
            .map(|(mode, concerned)| if concerned { self.notify(actor, mode) } else { None })
    }

    /// The first part of an edge: whether it was nothing but an error.
    pub fn publish(&mut self, actor: Generation, error: bool) {
        if actor == self.generation {
            self.event_error = error; // NP-INFO-5
        }
    }

    /// The second part of an edge, for each direction it concerns.
    pub fn notify(&mut self, actor: Generation, mode: Mode) -> Option<W> {
        if actor != self.side(mode).generation {
            return None; // NP-GEN-2
        }
        self.leave(mode, Pending::Readiness) // NP-SLOT-3
    }

    /// May an operation of `actor` go on in `mode`?
    ///
    /// # Errors
    ///
    /// The reason why not.
    pub fn check(&self, actor: Generation, mode: Mode) -> Result<(), Reason> {
        if actor != self.generation || self.closing {
            Err(Reason::Closed) // NP-INFO-3: before all others
        } else if self.expired(mode) {
            Err(Reason::DeadlineExceeded) // NP-INFO-7
        } else if self.event_error && mode == Mode::Read {
            Err(Reason::NotPollable) // NP-INFO-4
        } else {
            Ok(())
        }
    }

    /// A system call follows. On success returns a waiter that was in the way (NP-SLOT-8).
    ///
    /// # Errors
    ///
    /// The reason why the operation may not go on; nothing has changed then.
    pub fn prepare(&mut self, actor: Generation, mode: Mode) -> Result<Option<W>, Reason> {
        self.check(actor, mode)?;
        Ok(self.reset(actor, mode))
    }

    /// The second part of a preparation: readiness is dropped. Returns a waiter that was in the way.
    pub fn reset(&mut self, actor: Generation, mode: Mode) -> Option<W> {
        if actor != self.side(mode).generation {
            return None; // NP-GEN-2
        }
        self.leave(mode, Pending::Nothing) // NP-WAIT-4
    }

    /// One turn of a wait: the first one, or that of a waiter that looks again, `who` being woken
    /// from now on (NP-WAIT-5).
    pub fn wait(&mut self, actor: Generation, mode: Mode, held: &mut Held, who: W) -> Waited {
        if let Some(over) = self.finish(actor, mode, held, who) {
            return over;
        }
        if let Err(reason) = self.check(actor, mode) {
            return Waited::Failed(reason); // NP-WAIT-2
        }
        self.announce(actor, mode, held, who)
    }

    /// The first part of a turn: whoever was parked looks what became of that. `None`: the turn goes
    /// on.
    pub fn finish(
        &mut self,
        actor: Generation,
        mode: Mode,
        held: &mut Held,
        who: W,
    ) -> Option<Waited> {
        let number = held.0.take()?;
        let side = self.side(mode);
        if actor != side.generation {
            return Some(Waited::Failed(Reason::Closed));
        }
        match side.pending {
            Pending::Waiter(_) if side.waits == number => {
                side.pending = Pending::Waiter(who);
                *held = Held(Some(number));
                Some(Waited::Parked)
            }
            Pending::Readiness => {
                // Before the check: readiness that ended the wait has won (NP-WAIT-7).
                side.pending = Pending::Nothing;
                Some(Waited::Ready)
            }
            // Woken for nothing that lasts: not an error by itself (NP-WAIT-6).
            Pending::Nothing | Pending::Waiter(_) => None,
        }
    }

    /// The last part of a turn, after the check: takes the readiness there is, or parks.
    pub fn announce(&mut self, actor: Generation, mode: Mode, held: &mut Held, who: W) -> Waited {
        let side = self.side(mode);
        if actor != side.generation {
            return Waited::Failed(Reason::Closed);
        }
        match side.pending {
            Pending::Readiness => {
                side.pending = Pending::Nothing; // NP-SLOT-5
                Waited::Ready
            }
            Pending::Waiter(_) => Waited::Occupied,
            Pending::Nothing => {
                side.waits += 1; // NP-SLOT-6
                side.pending = Pending::Waiter(who);
                *held = Held(Some(side.waits));
                Waited::Parked
            }
        }
    }

    /// A waiter gives up. Readiness stays (NP-SLOT-7), the wait of somebody else too (NP-SLOT-6).
    /// Returns whether it was parked still.
    pub fn retract(&mut self, actor: Generation, mode: Mode, held: &mut Held) -> bool {
        let number = held.0.take();
        let side = self.side(mode);
        let parked = matches!(side.pending, Pending::Waiter(_));
        let own = actor == side.generation && parked && number == Some(side.waits);
        if own {
            side.pending = Pending::Nothing;
        }
        own
    }

    /// A deadline is set, or cleared, in the directions `concerned`, at the instant `now`.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], and nothing has changed.
    pub fn set_deadline(
        &mut self,
        actor: Generation,
        concerned: [bool; 2],
        deadline: Option<u64>,
        now: u64,
    ) -> Result<Woken<W>, Reason> {
        self.enter_deadline(actor, concerned, deadline)?;
        for mode in Mode::BOTH.into_iter().filter(|mode| concerned[*mode as usize]) {
            self.publish_expired(mode, false); // NP-TIME-3
        }
        Ok(self.tick(now)) // NP-TIME-2
    }

    /// The first part of setting a deadline: it is written down, and nobody is told yet.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], and nothing has changed.
    pub fn enter_deadline(
        &mut self,
        actor: Generation,
        concerned: [bool; 2],
        deadline: Option<u64>,
    ) -> Result<(), Reason> {
        if actor != self.generation || self.closing {
            return Err(Reason::Closed);
        }
        for mode in Mode::BOTH.into_iter().filter(|mode| concerned[*mode as usize]) {
            self.side(mode).deadline = deadline;
        }
        Ok(())
    }

    /// Whether the deadline of a direction has come at `now`, expired already or not.
    #[must_use]
    pub fn due(&self, mode: Mode, now: u64) -> bool {
        let deadline = self.sides[mode as usize].deadline;
        deadline.is_some_and(|deadline| deadline <= now && deadline != u64::MAX)
    }

    /// The next part, for each direction: whether its deadline has expired is told to all.
    pub fn publish_expired(&mut self, mode: Mode, expired: bool) {
        self.side(mode).expired = expired;
    }

    /// It is `now`: deadlines that have come expire. Readiness stays (NP-SLOT-4).
    pub fn tick(&mut self, now: u64) -> Woken<W> {
        Mode::BOTH.map(|mode| {
            if self.expired(mode) || !self.due(mode, now) {
                return None;
            }
            self.publish_expired(mode, true);
            self.cancel(self.generation, mode)
        })
    }

    /// A close begins. `None`: it has begun before, or the incarnation is over.
    pub fn close(&mut self, actor: Generation) -> Option<Woken<W>> {
        self.begin_close(actor).then(|| Mode::BOTH.map(|mode| self.cancel(actor, mode)))
    }

    /// The first part of a close. Returns whether the caller is the one who closes (NP-INFO-2).
    pub fn begin_close(&mut self, actor: Generation) -> bool {
        let first = actor == self.generation && !self.closing;
        self.closing |= first;
        first
    }

    /// The second part of a close, for each direction: whoever waits is released. Readiness is
    /// neither made nor taken away (NP-SLOT-4).
    pub fn cancel(&mut self, actor: Generation, mode: Mode) -> Option<W> {
        if actor != self.side(mode).generation {
            return None;
        }
        self.parked(mode)?;
        self.leave(mode, Pending::Nothing)
    }

    /// The incarnation ends and the next one begins. `None`, and nothing changes, for whoever
    /// acts for another incarnation, and after the last one: the entry is retired (NP-GEN-3).
    pub fn free(&mut self, actor: Generation) -> Option<Woken<W>> {
        self.begin_free(actor).then(|| Mode::BOTH.map(|mode| self.free_slot(actor, mode)))
    }

    /// The first part of a free: the facts are gone, and the slots are of the past. Returns whether
    /// the next incarnation has begun.
    pub fn begin_free(&mut self, actor: Generation) -> bool {
        let Some(next) = actor.next().filter(|_| actor == self.generation) else { return false };
        self.generation = next;
        (self.closing, self.event_error) = (false, false); // NP-GEN-5
        for side in &mut self.sides {
            (side.deadline, side.expired) = (None, false);
        }
        true
    }

    /// The second part of a free, for each direction: the slot follows. Returns who was parked.
    pub fn free_slot(&mut self, actor: Generation, mode: Mode) -> Option<W> {
        let side = self.side(mode);
        let next = actor.next().filter(|_| actor == side.generation)?;
        side.generation = next;
        self.leave(mode, Pending::Nothing)
    }

    fn side(&mut self, mode: Mode) -> &mut Side<W> {
        &mut self.sides[mode as usize]
    }

    /// Replaces what is pending, and returns the waiter if there was one.
    fn leave(&mut self, mode: Mode, pending: Pending<W>) -> Option<W> {
        match core::mem::replace(&mut self.side(mode).pending, pending) {
            Pending::Waiter(waiter) => Some(waiter),
            Pending::Nothing | Pending::Readiness => None,
        }
    }
}
