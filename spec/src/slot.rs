//! The readiness slot: one word that says whether readiness is pending and who is waiting.
//!
//! # States
//!
//! | state | meaning | Go |
//! |---|---|---|
//! | [`Nil`](State::Nil) | nothing pending, nobody waiting | `pdNil` |
//! | [`Ready`](State::Ready) | an edge was seen and not consumed | `pdReady` |
//! | [`Parked`](State::Parked) | a task waits; its waker lies in the cell beside the word | a `*g` |
//!
//! Go has a fourth state, `pdWait`: announced, not parked yet. It bridges the time until the
//! goroutine has left its stack. Here the waker is stored and the word is moved in one critical
//! section of the cell's lock, so there is nothing to bridge: announcing *is* parking, and the
//! error re-check that Go makes in `pdWait` is made while `Parked`, followed by a retract.
//!
//! # The word: generation 32 | ticket 30 | state 2
//!
//! The *generation* names the incarnation of the descriptor. Every write is a compare-exchange
//! whose comparand holds it, so nobody who acts for an earlier incarnation can change a later one
//! (NP-GEN-2). The *ticket* names one wait: it grows by one each time `Parked` is entered, so
//! that a future that is dropped late cannot take the waker of the one that waits now (NP-SLOT-6).
//!
//! # How an implementation uses this module
//!
//! Load the word, ask the function of the operation, do what the [`Move`] says; when the
//! compare-exchange fails, start again. `Parked` is entered and left only under the cell's lock
//! (NP-SLOT-2); that is what makes whoever moved the word the owner of the waker.

use crate::token::Generation;

/// The three states of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Nothing pending, nobody waiting.
    Nil,
    /// An edge was seen and not consumed.
    Ready,
    /// A task waits.
    Parked,
}

impl State {
    /// All states.
    pub const ALL: [State; 3] = [State::Nil, State::Ready, State::Parked];
}

/// Names one wait in one slot of one incarnation: a number of [`Ticket::BITS`] bits.
///
/// Tickets wrap. A stale wait could be taken for a new one only if its owner slept through
/// exactly 2^30 later waits in the same direction of the same incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u32);

impl Ticket {
    /// The width of a ticket.
    pub const BITS: u32 = 30;
    const MASK: u32 = (1 << Self::BITS) - 1;

    /// The ticket with this number, modulo 2^30.
    #[inline]
    #[must_use]
    pub const fn new(number: u32) -> Ticket {
        Ticket(number & Self::MASK)
    }

    /// Its number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    const fn next(self) -> Ticket {
        Ticket::new(self.0.wrapping_add(1))
    }
}

/// The value of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word(u64);

impl Word {
    /// The word with these three parts.
    #[inline]
    #[must_use]
    pub const fn new(generation: Generation, ticket: Ticket, state: State) -> Word {
        let state = match state {
            State::Nil => 0,
            State::Ready => 1,
            State::Parked => 2,
        };
        Word((generation.get() as u64) << 32 | (ticket.get() as u64) << 2 | state)
    }

    /// The word of an entry that was never used: `Nil` in this generation.
    #[inline]
    #[must_use]
    pub const fn initial(generation: Generation) -> Word {
        Word::new(generation, Ticket(0), State::Nil)
    }

    /// The word whose bits were loaded.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Word {
        Word(bits)
    }

    /// The bits to store.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The incarnation.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> Generation {
        Generation::from_word((self.0 >> 32) as u32)
    }

    /// The wait that parked last.
    #[inline]
    #[must_use]
    pub const fn ticket(self) -> Ticket {
        Ticket::new((self.0 >> 2) as u32)
    }

    /// The state.
    ///
    /// # Panics
    ///
    /// On the fourth bit pattern, which no function of this module writes (NP-SLOT-1).
    #[inline]
    #[must_use]
    pub const fn state(self) -> State {
        match self.0 & 3 {
            0 => State::Nil,
            1 => State::Ready,
            2 => State::Parked,
            _ => panic!("NP-SLOT-1 broken: a slot holds a state that does not exist"),
        }
    }

    const fn with(self, state: State) -> Word {
        Word::new(self.generation(), self.ticket(), state)
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "g{} t{} {:?}", self.generation().get(), self.ticket().get(), self.state())
    }
}

/// What one look at the word tells the caller to do. `O` is the outcome once that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move<O> {
    /// Write nothing.
    Stay(O),
    /// Compare-exchange to the word; the cell is not concerned.
    Set(Word, O),
    /// Under the cell's lock: compare-exchange to the word, store the waker in the cell.
    Enter(Word, O),
    /// Under the cell's lock: compare-exchange to the word, take the waker out of the cell.
    Leave(Word, O),
    /// Under the cell's lock: see that the word is unchanged, replace the waker in the cell.
    Refresh(O),
}

/// What became of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notified {
    /// The slot became ready; a waiter that was parked has to be woken.
    Delivered,
    /// It was ready already.
    Coalesced,
    /// The edge belongs to another incarnation and was dropped.
    Stale,
}

/// An edge of the kernel arrives for `generation`.
#[inline]
#[must_use]
pub const fn notify(word: Word, generation: Generation) -> Move<Notified> {
    if !same(word.generation(), generation) {
        return Move::Stay(Notified::Stale); // NP-GEN-2
    }
    match word.state() {
        State::Nil => Move::Set(word.with(State::Ready), Notified::Delivered), // NP-SLOT-3
        State::Ready => Move::Stay(Notified::Coalesced),
        State::Parked => Move::Leave(word.with(State::Ready), Notified::Delivered), // NP-SLOT-3
    }
}

/// What became of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// A parked waiter was released and has to be woken.
    Released,
    /// Nobody was parked.
    NobodyParked,
    /// The slot belongs to another incarnation by now.
    Stale,
}

/// The waiter of `generation`, if there is one, shall look at the info word again.
#[inline]
#[must_use]
pub const fn cancel(word: Word, generation: Generation) -> Move<Cancelled> {
    if !same(word.generation(), generation) {
        return Move::Stay(Cancelled::Stale); // NP-GEN-2
    }
    match word.state() {
        // NP-SLOT-4: a cancellation neither makes readiness nor takes it away.
        State::Nil | State::Ready => Move::Stay(Cancelled::NobodyParked),
        State::Parked => Move::Leave(word.with(State::Nil), Cancelled::Released),
    }
}

/// What became of an attempt to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// Readiness was pending; it is consumed and the wait is over.
    Consumed,
    /// The task is parked under this ticket.
    Parked(Ticket),
    /// Somebody else is parked here: the right to wait was given out twice.
    Occupied,
    /// The incarnation is over.
    Closed,
}

/// A task wants to wait.
#[inline]
#[must_use]
pub const fn announce(word: Word, generation: Generation) -> Move<Announced> {
    if !same(word.generation(), generation) {
        return Move::Stay(Announced::Closed); // NP-GEN-2
    }
    match word.state() {
        State::Ready => Move::Set(word.with(State::Nil), Announced::Consumed), // NP-SLOT-5
        State::Nil => {
            let ticket = word.ticket().next(); // NP-SLOT-6
            Move::Enter(Word::new(generation, ticket, State::Parked), Announced::Parked(ticket))
        }
        State::Parked => Move::Stay(Announced::Occupied), // NP-WAIT-1
    }
}

/// What a task that was parked finds when it looks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Readiness was pending; it is consumed and the wait is over.
    Consumed,
    /// The wait was ended and left no readiness: look at the info word, and wait again.
    Released,
    /// Still parked: the wake was spurious, the waker is the one of this poll.
    Waiting,
    /// The incarnation is over.
    Closed,
}

/// The task that parked under `ticket` looks again.
#[inline]
#[must_use]
pub const fn finish(word: Word, generation: Generation, ticket: Ticket) -> Move<Finished> {
    if !same(word.generation(), generation) {
        return Move::Stay(Finished::Closed); // NP-GEN-2
    }
    match word.state() {
        State::Ready => Move::Set(word.with(State::Nil), Finished::Consumed), // NP-SLOT-5
        State::Nil => Move::Stay(Finished::Released),
        State::Parked if word.ticket().get() == ticket.get() => Move::Refresh(Finished::Waiting),
        State::Parked => Move::Stay(Finished::Released), // NP-SLOT-6: somebody else's wait
    }
}

/// What became of a retract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retracted {
    /// The wait was still on; nobody will wake it any more.
    Withdrawn,
    /// The wait had ended already: its waker was taken, and readiness may have been left.
    Ended,
}

/// The task that parked under `ticket` gives up, for example because its future is dropped.
#[inline]
#[must_use]
pub const fn retract(word: Word, generation: Generation, ticket: Ticket) -> Move<Retracted> {
    let mine = same(word.generation(), generation) // NP-GEN-2
        && word.ticket().get() == ticket.get(); // NP-SLOT-6
    match word.state() {
        State::Parked if mine => Move::Leave(word.with(State::Nil), Retracted::Withdrawn),
        // NP-SLOT-7: readiness that nobody consumed stays for whoever waits next.
        _ => Move::Stay(Retracted::Ended),
    }
}

/// What became of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Nothing was pending.
    Clean,
    /// Pending readiness was dropped: the system call that follows will find what caused it.
    Cleared,
    /// A wait that was given up without a retract was in the way; its waker has to be woken.
    Evicted,
    /// The incarnation is over.
    Closed,
}

/// The owner of the direction is about to make a system call.
#[inline]
#[must_use]
pub const fn reset(word: Word, generation: Generation) -> Move<Reset> {
    if !same(word.generation(), generation) {
        return Move::Stay(Reset::Closed); // NP-GEN-2
    }
    match word.state() {
        State::Nil => Move::Stay(Reset::Clean),
        State::Ready => Move::Set(word.with(State::Nil), Reset::Cleared),
        State::Parked => Move::Leave(word.with(State::Nil), Reset::Evicted), // NP-SLOT-8
    }
}

/// What became of a free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freed {
    /// The slot belongs to the next generation; a late waiter that was parked has to be woken.
    Advanced,
    /// It was not in the generation that is to be freed.
    Stale,
}

/// The incarnation ends; `next` is the generation that follows.
#[inline]
#[must_use]
pub const fn free(word: Word, generation: Generation, next: Generation) -> Move<Freed> {
    if !same(word.generation(), generation) {
        return Move::Stay(Freed::Stale); // NP-GEN-2
    }
    let freed = Word::new(next, word.ticket(), State::Nil); // NP-GEN-5
    match word.state() {
        State::Nil | State::Ready => Move::Set(freed, Freed::Advanced),
        // A waiter that looked at the info word before it said closing may still get here.
        State::Parked => Move::Leave(freed, Freed::Advanced),
    }
}

const fn same(a: Generation, b: Generation) -> bool {
    a.get() == b.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "NP-SLOT-1")]
    fn the_fourth_bit_pattern_is_no_state() {
        // NP-SLOT-1
        let _ = Word::from_bits(Word::initial(Generation::FIRST).bits() | 3).state();
    }
}
