//! The transitions of the slot and of the info word, written out as tables.
//!
//! [`slot`](crate::slot) and [`info`](crate::info) say what an operation does as functions.
//! [`TABLE`] and [`INFO_TABLE`] say the same a second time, as rows that were written by hand and
//! are computed from nothing. Two statements of one thing that are compared with each other
//! (`spec/tests/table.rs`, and the tables of SPEC.md by `spec/tests/prose.rs`) do not drift, and a
//! change of the rules has to be made twice, on purpose.
//!
//! [`allows`] and [`allows_info`] judge a step that was observed: which row it took, or which
//! rule it broke. They see words only. Out of scope: the cell beside the word, and whose ticket
//! the actor held; the columns `cell` and `wait` are compared with the functions, and the
//! sequential [`Machine`](super::Machine) knows both.

use crate::slot::{State, Ticket, Word};
use crate::token::Generation;
use crate::{Mode, info, slot};
use core::fmt;

/// Who took a step, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// An edge of the kernel.
    Notify,
    /// A close, or an expired deadline.
    Cancel,
    /// A task wants to wait.
    Announce,
    /// A task that was parked looks again.
    Finish,
    /// A task gives up its wait.
    Retract,
    /// The owner of the direction is about to make a system call.
    Reset,
    /// The incarnation ends.
    Free,
}

impl Cause {
    /// All causes, in the order of [`TABLE`].
    pub const ALL: [Cause; 7] = [
        Cause::Notify,
        Cause::Cancel,
        Cause::Announce,
        Cause::Finish,
        Cause::Retract,
        Cause::Reset,
        Cause::Free,
    ];
}

/// For which incarnation the actor acts, compared with the one that the word is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// For the same one.
    Same,
    /// For another one: its knowledge is stale.
    Other,
}

/// Which wait the actor speaks for, compared with the one that the word names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// It makes no difference.
    Any,
    /// For this one: the tickets are equal.
    Own,
    /// For another one.
    Foreign,
}

/// What becomes of the ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TicketRule {
    /// It stays.
    Kept,
    /// It grows by one, modulo 2^30.
    Next,
}

/// What becomes of the generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GenerationRule {
    /// It stays.
    Kept,
    /// It grows by one.
    Next,
}

/// What becomes of the cell that holds the waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cell {
    /// Nobody looks at it.
    Untouched,
    /// The waker of the task that parks is put in.
    Filled,
    /// The waker is taken out.
    Emptied,
    /// The waker is replaced by the one of this poll.
    Replaced,
}

/// One transition of a slot, or one decision to leave it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who, and why.
    pub cause: Cause,
    /// For the incarnation the word is in, or for another one.
    pub actor: Actor,
    /// For the wait the word names, or for another one.
    pub wait: Wait,
    /// The state that was found.
    pub from: State,
    /// The state that is left.
    pub to: State,
    /// What becomes of the ticket.
    pub ticket: TicketRule,
    /// What becomes of the generation.
    pub generation: GenerationRule,
    /// What becomes of the waker.
    pub cell: Cell,
    /// The rule that wants it so.
    pub rule: &'static str,
    /// What it is called in tables and reports. Every row has a name of its own.
    pub name: &'static str,
}

/// A row of an actor of the same incarnation that keeps ticket and generation.
const fn row(
    cause: Cause,
    wait: Wait,
    from: State,
    to: State,
    cell: Cell,
    rule: &'static str,
    name: &'static str,
) -> Row {
    let (ticket, generation) = (TicketRule::Kept, GenerationRule::Kept);
    Row { cause, actor: Actor::Same, wait, from, to, ticket, generation, cell, rule, name }
}

/// A row of an actor of another incarnation: it leaves everything as it is.
const fn stale(cause: Cause, found: State, name: &'static str) -> Row {
    let row = row(cause, Wait::Any, found, found, Cell::Untouched, "NP-GEN-2", name);
    Row { actor: Actor::Other, ..row }
}

const fn next_ticket(row: Row) -> Row {
    Row { ticket: TicketRule::Next, ..row }
}

const fn next_generation(row: Row) -> Row {
    Row { generation: GenerationRule::Next, ..row }
}

/// Everything that may happen to a slot.
#[rustfmt::skip] // one line is one row
pub const TABLE: &[Row] = {
    use Cause::{Announce, Cancel, Finish, Free, Notify, Reset, Retract};
    use Cell::{Emptied, Filled, Replaced, Untouched};
    use State::{Nil, Parked, Ready};
    use Wait::{Any, Foreign, Own};
    &[
        row(Notify, Any, Nil, Ready, Untouched, "NP-SLOT-3", "notify"),
        row(Notify, Any, Ready, Ready, Untouched, "NP-SLOT-3", "notify-coalesced"),
        row(Notify, Any, Parked, Ready, Emptied, "NP-SLOT-3", "notify-wakes"),

        row(Cancel, Any, Nil, Nil, Untouched, "NP-SLOT-4", "cancel-nobody"),
        row(Cancel, Any, Ready, Ready, Untouched, "NP-SLOT-4", "cancel-keeps-ready"),
        row(Cancel, Any, Parked, Nil, Emptied, "NP-SLOT-4", "cancel-wakes"),

        next_ticket(row(Announce, Any, Nil, Parked, Filled, "NP-SLOT-6", "park")),
        row(Announce, Any, Ready, Nil, Untouched, "NP-SLOT-5", "consume-at-once"),
        row(Announce, Any, Parked, Parked, Untouched, "NP-WAIT-1", "occupied"),

        row(Finish, Any, Nil, Nil, Untouched, "NP-WAIT-6", "finish-released"),
        row(Finish, Any, Ready, Nil, Untouched, "NP-SLOT-5", "finish-consumes"),
        row(Finish, Own, Parked, Parked, Replaced, "NP-WAIT-5", "finish-still-parked"),
        row(Finish, Foreign, Parked, Parked, Untouched, "NP-SLOT-6", "finish-other-wait"),

        row(Retract, Any, Nil, Nil, Untouched, "NP-SLOT-7", "retract-late"),
        row(Retract, Any, Ready, Ready, Untouched, "NP-SLOT-7", "retract-keeps-ready"),
        row(Retract, Own, Parked, Nil, Emptied, "NP-SLOT-7", "retract"),
        row(Retract, Foreign, Parked, Parked, Untouched, "NP-SLOT-6", "retract-other-wait"),

        row(Reset, Any, Nil, Nil, Untouched, "NP-WAIT-4", "reset-clean"),
        row(Reset, Any, Ready, Nil, Untouched, "NP-WAIT-4", "reset"),
        row(Reset, Any, Parked, Nil, Emptied, "NP-SLOT-8", "reset-evicts"),

        next_generation(row(Free, Any, Nil, Nil, Untouched, "NP-GEN-5", "free")),
        next_generation(row(Free, Any, Ready, Nil, Untouched, "NP-GEN-5", "free-drops-ready")),
        next_generation(row(Free, Any, Parked, Nil, Emptied, "NP-GEN-5", "free-wakes")),

        stale(Notify, Nil, "stale-notify-nil"),
        stale(Notify, Ready, "stale-notify-ready"),
        stale(Notify, Parked, "stale-notify-parked"),
        stale(Cancel, Nil, "stale-cancel-nil"),
        stale(Cancel, Ready, "stale-cancel-ready"),
        stale(Cancel, Parked, "stale-cancel-parked"),
        stale(Announce, Nil, "stale-announce-nil"),
        stale(Announce, Ready, "stale-announce-ready"),
        stale(Announce, Parked, "stale-announce-parked"),
        stale(Finish, Nil, "stale-finish-nil"),
        stale(Finish, Ready, "stale-finish-ready"),
        stale(Finish, Parked, "stale-finish-parked"),
        stale(Retract, Nil, "stale-retract-nil"),
        stale(Retract, Ready, "stale-retract-ready"),
        stale(Retract, Parked, "stale-retract-parked"),
        stale(Reset, Nil, "stale-reset-nil"),
        stale(Reset, Ready, "stale-reset-ready"),
        stale(Reset, Parked, "stale-reset-parked"),
        stale(Free, Nil, "stale-free-nil"),
        stale(Free, Ready, "stale-free-ready"),
        stale(Free, Parked, "stale-free-parked"),
    ]
};

/// What becomes of one fact of the info word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// It stays, true or false.
    Kept,
    /// It was false and is true.
    Raised,
    /// It was true and is false.
    Lowered,
    /// It is false, whatever it was.
    Dropped,
}

/// One change of the info word, or a decision to leave it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoRow {
    /// For the incarnation the word is in, or for another one.
    pub actor: Actor,
    /// What becomes of closing.
    pub closing: Fact,
    /// What becomes of the event error.
    pub event_error: Fact,
    /// What becomes of the expiry of the reader's deadline.
    pub read_expired: Fact,
    /// What becomes of the expiry of the writer's deadline.
    pub write_expired: Fact,
    /// What becomes of the belief in short reads.
    pub believed: Fact,
    /// What becomes of the generation.
    pub generation: GenerationRule,
    /// The rule that wants it so.
    pub rule: &'static str,
    /// What it is called in tables and reports.
    pub name: &'static str,
}

/// Everything that may happen to the info word.
#[rustfmt::skip] // one line is one row
pub const INFO_TABLE: &[InfoRow] = {
    use Actor::{Other, Same};
    use Fact::{Dropped, Kept, Lowered, Raised};
    const fn row(
        actor: Actor, facts: [Fact; 5], generation: GenerationRule,
        rule: &'static str, name: &'static str,
    ) -> InfoRow {
        let [closing, event_error, read_expired, write_expired, believed] = facts;
        InfoRow {
            actor, closing, event_error, read_expired, write_expired, believed, generation, rule, name,
        }
    }
    const KEPT: GenerationRule = GenerationRule::Kept;
    &[
        row(Same, [Raised, Kept, Kept, Kept, Kept], KEPT, "NP-INFO-1", "close"),
        row(Same, [Kept, Raised, Kept, Kept, Kept], KEPT, "NP-INFO-5", "event-error"),
        row(Same, [Kept, Lowered, Kept, Kept, Kept], KEPT, "NP-INFO-5", "event-error-over"),
        row(Same, [Kept, Kept, Raised, Kept, Kept], KEPT, "NP-TIME-4", "read-expires"),
        row(Same, [Kept, Kept, Lowered, Kept, Kept], KEPT, "NP-TIME-3", "read-revives"),
        row(Same, [Kept, Kept, Kept, Raised, Kept], KEPT, "NP-TIME-4", "write-expires"),
        row(Same, [Kept, Kept, Kept, Lowered, Kept], KEPT, "NP-TIME-3", "write-revives"),
        row(Same, [Kept, Kept, Kept, Kept, Raised], KEPT, "NP-READ-1", "believe"),
        row(Same, [Kept, Kept, Kept, Kept, Lowered], KEPT, "NP-READ-2", "doubt"),
        row(Same, [Dropped; 5], GenerationRule::Next, "NP-GEN-5", "info-free"),
        row(Same, [Kept; 5], KEPT, "NP-INFO-2", "known-already"),
        row(Other, [Kept; 5], KEPT, "NP-GEN-2", "stale-fact"),
    ]
};

/// A step that no row allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The rule of SPEC.md that it breaks.
    pub rule: &'static str,
    /// Who did it; `None` for the info word.
    cause: Option<Cause>,
    actor: Generation,
    before: u64,
    after: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken: ", self.rule)?;
        match self.cause {
            Some(cause) => {
                write!(f, "{cause:?} for g{} took the slot from ", self.actor.get())?;
                slot_bits(f, self.before)?;
                f.write_str(" to ")?;
                slot_bits(f, self.after)
            }
            None => {
                let (before, after) =
                    (info::Word::from_bits(self.before), info::Word::from_bits(self.after));
                let actor = self.actor.get();
                write!(f, "a write for g{actor} took the info word from {before:?} to {after:?}")
            }
        }
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Violation {}

/// Prints a slot word that may hold a state that does not exist.
fn slot_bits(f: &mut fmt::Formatter<'_>, bits: u64) -> fmt::Result {
    if state_exists(bits) {
        write!(f, "{:?}", Word::from_bits(bits))
    } else {
        write!(f, "{bits:#018x}, which has no state")
    }
}

const fn state_exists(bits: u64) -> bool {
    bits & 3 != 3
}

/// Which row of [`TABLE`] a step took.
///
/// `actor` is the generation for which the step was taken. `before == after` is a decision to
/// write nothing. Of two rows that differ only in whose wait it is, the first is returned; see
/// [`told_apart`].
///
/// # Errors
///
/// The rule that the step breaks.
pub fn allows(
    cause: Cause,
    actor: Generation,
    before: slot::Word,
    after: slot::Word,
) -> Result<usize, Violation> {
    let broken = |rule| {
        let (before, after) = (before.bits(), after.bits());
        Err(Violation { rule, cause: Some(cause), actor, before, after })
    };
    if !state_exists(before.bits()) || !state_exists(after.bits()) {
        return broken("NP-SLOT-1");
    }
    let (same, from, to) = (who(actor, before.generation()), before.state(), after.state());
    let mut reason = "NP-SLOT-1";
    for (index, row) in TABLE.iter().enumerate() {
        if row.cause != cause || row.actor != same || row.from != from {
            continue;
        }
        reason = row.rule;
        if !generation_follows(row.generation, before.generation(), after.generation()) {
            // Only a free may end an incarnation, and a free has to (NP-GEN-5).
            reason = if same == Actor::Other { row.rule } else { "NP-GEN-5" };
        } else if !ticket_follows(row.ticket, before.ticket(), after.ticket()) {
            // Where nothing is to be written, the rule that says so is broken first.
            reason = if row.from == row.to { row.rule } else { "NP-SLOT-6" };
        } else if row.to == to {
            return Ok(index);
        }
    }
    broken(reason)
}

/// Which row of [`INFO_TABLE`] a step took.
///
/// # Errors
///
/// The rule that the step breaks.
pub fn allows_info(
    actor: Generation,
    before: info::Word,
    after: info::Word,
) -> Result<usize, Violation> {
    let broken = |rule| {
        let (before, after) = (before.bits(), after.bits());
        Err(Violation { rule, cause: None, actor, before, after })
    };
    let same = who(actor, before.generation());
    if same == Actor::Other && before != after {
        return broken("NP-GEN-2");
    }
    // What no accessor shows has to be zero.
    let facts = |word: info::Word| {
        let [read, write] = Mode::BOTH.map(|mode| word.expired(mode));
        [word.closing(), word.event_error(), read, write, word.believed()]
    };
    let shown = |word: info::Word| {
        let flags =
            facts(word).into_iter().rev().fold(0, |flags, fact| flags << 1 | u64::from(fact));
        word.bits() as u32 as u64 == flags
    };
    if !shown(before) || !shown(after) {
        return broken("NP-INFO-6");
    }
    let row = INFO_TABLE.iter().position(|row| {
        row.actor == same
            && generation_follows(row.generation, before.generation(), after.generation())
            && [row.closing, row.event_error, row.read_expired, row.write_expired, row.believed]
                .into_iter()
                .zip(facts(before).into_iter().zip(facts(after)))
                .all(|(rule, (before, after))| fact_follows(rule, before, after))
    });
    if let Some(index) = row {
        return Ok(index);
    }
    if before.generation() != after.generation() {
        broken("NP-GEN-5") // to a generation that does not follow, or with facts of the last one
    } else if before.closing() && !after.closing() {
        broken("NP-INFO-1")
    } else {
        broken("NP-INFO-6") // two facts at once
    }
}

/// Whether a step that took this row of [`TABLE`] is known from its words alone. `false`: an
/// earlier row has the same words and differs in the ticket that the actor held.
#[must_use]
pub fn told_apart(index: usize) -> bool {
    let row = &TABLE[index];
    !TABLE[..index].iter().any(|earlier| {
        earlier.cause == row.cause
            && earlier.actor == row.actor
            && earlier.from == row.from
            && earlier.to == row.to
    })
}

fn who(actor: Generation, word: Generation) -> Actor {
    if actor == word { Actor::Same } else { Actor::Other }
}

fn generation_follows(rule: GenerationRule, before: Generation, after: Generation) -> bool {
    match rule {
        GenerationRule::Kept => before == after,
        GenerationRule::Next => before.next() == Some(after), // NP-GEN-3: never round
    }
}

fn ticket_follows(rule: TicketRule, before: Ticket, after: Ticket) -> bool {
    match rule {
        TicketRule::Kept => before == after,
        TicketRule::Next => Ticket::new(before.get().wrapping_add(1)) == after,
    }
}

fn fact_follows(rule: Fact, before: bool, after: bool) -> bool {
    match rule {
        Fact::Kept => before == after,
        Fact::Raised => !before && after,
        Fact::Lowered => before && !after,
        Fact::Dropped => !after,
    }
}
