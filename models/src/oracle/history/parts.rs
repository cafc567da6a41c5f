//! The parts of a call: what it does to the entry one after the other, each at one point.
//!
//! [`Pending`] is a call that has begun and how far it has come. [`Pending::advance`] takes its next
//! part on the sequential oracle. Which parts a call has, and in which order, is the table of
//! `netpoller_spec::machine`; what comes next follows from what the last part found. A call is
//! [`Next::Over`] when nothing is left of it but to return.
//!
//! Deadlines are changed, expire and are taken away by a free under the control lock of their
//! entry, so those calls exclude each other from their first part to their last: `control` says who
//! holds that lock.

use netpoller::observe::{Call, Returned};
use netpoller_spec::machine::{Held, Machine, Waited};
use netpoller_spec::slot::Ticket;
use netpoller_spec::token::Generation;
use netpoller_spec::{Mode, Reason, time};

/// An entry of the slab. Wakers are not told apart: that each wakes its own task is seen by whoever
/// sleeps for ever otherwise.
pub(super) type Entry = Machine<()>;

/// Names a call that has begun, among those that have not returned.
pub(super) type Id = u16;

/// What a call does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// A wait that parked before: what became of it?
    Finish(u64),
    /// The look at the info word.
    Check,
    /// Take readiness, or park.
    Announce,
    /// Parked under this number: the second look at the info word.
    CheckAgain(u64),
    /// The second look has found a reason.
    Withdraw(u64, Reason),
    /// Somebody was quicker: has it left readiness?
    FinishWithdrawn(u64, Reason),
    Reset,
    GiveUp,
    Publish,
    Notify(Mode),
    BeginClose,
    Cancel(Mode),
    /// Take the control lock, and see what has to be published.
    Enter,
    PublishExpired(Mode),
    BeginFree,
    FreeSlot(Mode),
    /// Return this.
    Over(Returned),
}

/// A call that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Pending {
    call: Call,
    /// For whom it acts.
    actor: Generation,
    next: Next,
    /// Which flags it has to change, of a call that is about deadlines.
    publish: [Option<bool>; 2],
    /// Which slots it has to look at, and has not yet.
    look: [bool; 2],
    /// Whom it has found parked.
    woken: [bool; 2],
}

impl Pending {
    /// A call that has begun and done nothing.
    pub(super) fn new(call: Call) -> Pending {
        let (actor, look, next) = match call {
            Call::Wait { place, ticket, .. } => {
                let held = ticket.map(|ticket| u64::from(ticket.get()));
                (place.generation, [false; 2], held.map_or(Next::Check, Next::Finish))
            }
            Call::Prepare { place, .. } => (place.generation, [false; 2], Next::Check),
            Call::Retract { place, .. } => (place.generation, [false; 2], Next::GiveUp),
            Call::Publish { place, .. } => (place.generation, [false; 2], Next::Publish),
            // Which slot comes first is asked below.
            Call::Notify { place, concerned } => {
                (place.generation, concerned, Next::Over(Returned::Done))
            }
            Call::Release { place } => (place.generation, [true; 2], Next::Over(Returned::Done)),
            Call::Close { place } => (place.generation, [true; 2], Next::BeginClose),
            Call::SetDeadline { place, .. } => (place.generation, [false; 2], Next::Enter),
            // For whichever incarnation there is when it has the control lock.
            Call::Fire { .. } => (Generation::FIRST, [false; 2], Next::Enter),
            Call::Free { place } => (place.generation, [true; 2], Next::BeginFree),
        };
        let begun = Pending { call, actor, next, publish: [None; 2], look, woken: [false; 2] };
        if matches!(call, Call::Notify { .. } | Call::Release { .. }) {
            begun.look_next()
        } else {
            begun
        }
    }

    /// Whether it may return this, as it is.
    pub(super) fn may_return(&self, returned: Returned) -> bool {
        match self.next {
            Next::Over(over) => over == returned,
            // The kernel is asked between the look at the info word and the slot.
            Next::Announce => returned == Returned::Unarmed,
            // Which entry of the queue counts is not known here.
            Next::Enter => {
                matches!(self.call, Call::Fire { .. }) && returned == Returned::Superseded
            }
            _ => false,
        }
    }

    /// What it returns, if nothing else is left of it.
    pub(super) fn over(&self) -> Option<Returned> {
        match self.next {
            Next::Over(returned) => Some(returned),
            _ => None,
        }
    }

    /// Takes the next part. `None`: there is none, or not now.
    pub(super) fn advance(
        mut self,
        me: Id,
        entry: &mut Entry,
        control: &mut Option<Id>,
    ) -> Option<Pending> {
        let actor = self.actor;
        self.next = match self.next {
            Next::Over(_) => return None,
            Next::Finish(number) => {
                match entry.finish(actor, self.mode(), &mut Held::numbered(number), ()) {
                    Some(Waited::Parked) => parked(number),
                    Some(waited) => over(waited),
                    None => Next::Check,
                }
            }
            Next::Check => match (entry.check(actor, self.mode()), self.call) {
                (Err(reason), _) => Next::Over(Returned::Failed(reason)),
                (Ok(()), Call::Prepare { .. }) => Next::Reset,
                (Ok(()), _) => Next::Announce,
            },
            Next::Announce => {
                let mut held = Held::default();
                let waited = entry.announce(actor, self.mode(), &mut held, ());
                held.number().map_or_else(|| over(waited), Next::CheckAgain)
            }
            Next::CheckAgain(number) => match entry.check(actor, self.mode()) {
                Ok(()) => parked(number),
                Err(reason) => Next::Withdraw(number, reason),
            },
            Next::Withdraw(number, reason) => {
                if entry.retract(actor, self.mode(), &mut Held::numbered(number)) {
                    Next::Over(Returned::Failed(reason))
                } else {
                    Next::FinishWithdrawn(number, reason)
                }
            }
            Next::FinishWithdrawn(number, reason) => {
                match entry.finish(actor, self.mode(), &mut Held::numbered(number), ()) {
                    Some(Waited::Ready) => Next::Over(Returned::Ready), // NP-WAIT-7
                    _ => Next::Over(Returned::Failed(reason)),
                }
            }
            Next::Reset => {
                entry.reset(actor, self.mode());
                Next::Over(Returned::Done)
            }
            Next::GiveUp => {
                let Call::Retract { mode, ticket, .. } = self.call else { return None };
                entry.retract(actor, mode, &mut Held::numbered(u64::from(ticket.get())));
                Next::Over(Returned::Done)
            }
            Next::Publish => {
                let Call::Publish { error, .. } = self.call else { return None };
                entry.publish(actor, error);
                Next::Over(Returned::Done)
            }
            Next::Notify(mode) => {
                self.woken[mode as usize] = entry.notify(actor, mode).is_some();
                return Some(self.look_next());
            }
            Next::BeginClose => {
                if !entry.begin_close(actor) {
                    Next::Over(Returned::Superseded) // NP-INFO-2
                } else {
                    return Some(self.look_next());
                }
            }
            Next::Cancel(mode) => {
                self.woken[mode as usize] = entry.cancel(actor, mode).is_some();
                return Some(self.look_next().giving_back(control));
            }
            Next::Enter if control.is_some() => return None,
            Next::Enter => {
                if let Err(reason) = self.enter(entry) {
                    Next::Over(Returned::Failed(reason))
                } else {
                    *control = Some(me);
                    return Some(self.publish_next().giving_back(control));
                }
            }
            Next::PublishExpired(mode) => {
                let expired = self.publish[mode as usize].take() == Some(true);
                entry.publish_expired(mode, expired);
                return Some(self.publish_next().giving_back(control));
            }
            Next::BeginFree if control.is_some() || !entry.begin_free(actor) => return None,
            Next::BeginFree => return Some(self.look_next()),
            Next::FreeSlot(mode) => {
                self.woken[mode as usize] = entry.free_slot(actor, mode).is_some();
                return Some(self.look_next());
            }
        };
        Some(self)
    }

    /// The first part of a call that is about deadlines: what is there to be done?
    fn enter(&mut self, entry: &mut Entry) -> Result<(), Reason> {
        match self.call {
            Call::SetDeadline { concerned, deadline, now, .. } => {
                let deadline = (deadline != time::NONE).then_some(deadline);
                entry.enter_deadline(self.actor, concerned, deadline)?;
                for mode in Mode::BOTH.into_iter().filter(|mode| concerned[*mode as usize]) {
                    let due = entry.due(mode, now); // NP-TIME-2
                    self.look[mode as usize] = due;
                    self.publish[mode as usize] = (due != entry.expired(mode)).then_some(due);
                }
            }
            Call::Fire { now, .. } => {
                self.actor = entry.generation();
                for mode in Mode::BOTH {
                    let expires = entry.due(mode, now) && !entry.expired(mode);
                    self.look[mode as usize] = expires;
                    self.publish[mode as usize] = expires.then_some(true);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// On to the next flag, or the first slot.
    fn publish_next(mut self) -> Pending {
        match Mode::BOTH.into_iter().find(|mode| self.publish[*mode as usize].is_some()) {
            Some(mode) => {
                self.next = Next::PublishExpired(mode);
                self
            }
            None => self.look_next(),
        }
    }

    /// On to the next slot, or to the end.
    fn look_next(mut self) -> Pending {
        let slot = Mode::BOTH.into_iter().find(|mode| self.look[*mode as usize]);
        self.next = match (slot, self.call) {
            (None, _) => Next::Over(Returned::Woken(self.woken)),
            (Some(mode), Call::Notify { .. }) => Next::Notify(mode),
            (Some(mode), Call::Free { .. }) => Next::FreeSlot(mode),
            (Some(mode), _) => Next::Cancel(mode),
        };
        if let Some(mode) = slot {
            self.look[mode as usize] = false;
        }
        self
    }

    /// Gives the control lock back after the last part of a call that takes it.
    fn giving_back(self, control: &mut Option<Id>) -> Pending {
        let takes = matches!(self.call, Call::SetDeadline { .. } | Call::Fire { .. });
        if takes && self.over().is_some() {
            *control = None;
        }
        self
    }

    fn mode(&self) -> Mode {
        match self.call {
            Call::Wait { mode, .. } | Call::Prepare { mode, .. } | Call::Retract { mode, .. } => {
                mode
            }
            _ => unreachable!("{:?} is about both directions", self.call),
        }
    }
}

fn parked(number: u64) -> Next {
    // Tickets are 30 bits wide; nothing here waits that often.
    Next::Over(Returned::Parked(Ticket::new(number as u32)))
}

fn over(waited: Waited) -> Next {
    Next::Over(match waited {
        Waited::Ready => Returned::Ready,
        Waited::Occupied => Returned::Occupied,
        Waited::Failed(reason) => Returned::Failed(reason),
        // Whoever parks gets a number.
        Waited::Parked => Returned::Done,
    })
}
