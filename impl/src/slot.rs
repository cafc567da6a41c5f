//! The readiness slot made atomic: one per direction of a descriptor.
//!
//! `netpoller_spec::slot` decides, this file writes. There are three states (`Nil`, `Ready`,
//! `Parked`); the transitions and who makes them:
//!
//! | from → to | operation | called by |
//! |---|---|---|
//! | Nil → Ready | notify | whoever polls, for an edge |
//! | Parked → Ready | notify | whoever polls; the waiter is woken |
//! | Parked → Nil | cancel | a close; the waiter is woken |
//! | Ready → Nil | announce, finish | the waiter: it consumes the readiness |
//! | Nil → Parked | announce | the waiter |
//! | Parked → Nil | retract | the waiter that gives up |
//! | Ready, Parked → Nil | reset | the owner of the direction, before a system call |
//! | any → Nil of the next generation | free | the owner of the descriptor |
//!
//! # What publishes what
//!
//! The word is written by compare-exchange only, and the comparand holds the generation
//! (NP-GEN-2). The waker of a parked task lies in `cell`. `Parked` is entered and left under the
//! lock of `cell` (NP-SLOT-2), so whoever moved the word away from `Parked` holds the waker that
//! belongs to it, and nobody else does. Wakers are cloned, woken and dropped outside that lock
//! (NP-WAKE-1); inside it there are one compare-exchange and one move of a waker.
//!
//! Out of scope: closing and errors (`desc`), who may wait (`source`), system calls.

use crate::desc::same_task;
use crate::observe::{Cause, Place, Step};
use crate::seam::{Atomic, Mutex, Ordering, System};
use core::task::Waker;
use netpoller_spec::Mode;
use netpoller_spec::slot::{
    self, Announced, Cancelled, Finished, Freed, Move, Notified, Reset, Retracted, State, Ticket,
    Word,
};
use netpoller_spec::token::Generation;

/// The slot of one direction. The word comes first: a notification that wakes nobody looks at nothing else.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slot<S: System> {
    word: S::AtomicU64,
    cell: S::Mutex<Option<Waker>>,
}

/// On whose behalf a slot is used: the system that observes, the incarnation, the direction.
#[derive(Debug)]
pub(crate) struct At<'a, S> {
    pub(crate) system: &'a S,
    pub(crate) place: Place,
    pub(crate) mode: Mode,
}

impl<S: System> Slot<S> {
    pub(crate) fn new(generation: Generation) -> Self {
        Slot {
            word: S::AtomicU64::new(Word::initial(generation).bits()),
            // An empty cell is an empty cell; a full one is known by who filled it.
            cell: S::Mutex::new(None, |cell| if cell.is_none() { Some(0) } else { None }),
        }
    }

    /// An edge arrived. The waker, if any, is to be woken by the caller.
    pub(crate) fn notify(&self, at: &At<'_, S>) -> (Notified, Option<Waker>) {
        self.apply(at, Cause::Notify, None, |word| slot::notify(word, at.place.generation))
    }

    /// The waiter shall look at the info word. The waker, if any, is to be woken by the caller.
    pub(crate) fn cancel(&self, at: &At<'_, S>) -> (Cancelled, Option<Waker>) {
        self.apply(at, Cause::Cancel, None, |word| slot::cancel(word, at.place.generation))
    }

    /// A task wants to wait; `waker` wakes it.
    pub(crate) fn announce(&self, at: &At<'_, S>, waker: &Waker) -> Announced {
        let decide = |word| slot::announce(word, at.place.generation);
        let (outcome, _none) = self.apply(at, Cause::Announce, Some(waker), decide);
        if outcome == Announced::Consumed {
            fence_after_consume::<S>();
        }
        outcome
    }

    /// The task that parked under `ticket` looks again; from now on `waker` wakes it.
    pub(crate) fn finish(&self, at: &At<'_, S>, ticket: Ticket, waker: &Waker) -> Finished {
        let decide = |word| slot::finish(word, at.place.generation, ticket);
        let (outcome, replaced) = self.apply(at, Cause::Finish, Some(waker), decide);
        drop(replaced); // here, because a waker's destructor may do anything (NP-WAKE-1)
        if outcome == Finished::Consumed {
            fence_after_consume::<S>();
        }
        outcome
    }

    /// The task that parked under `ticket` gives up.
    pub(crate) fn retract(&self, at: &At<'_, S>, ticket: Ticket) -> Retracted {
        let decide = |word| slot::retract(word, at.place.generation, ticket);
        let (outcome, own) = self.apply(at, Cause::Retract, None, decide);
        drop(own); // not woken: it is the caller's
        outcome
    }

    /// The wait that is on, of whomever; it is given up on his behalf. The waker is to be woken by
    /// the caller.
    pub(crate) fn evict(&self, at: &At<'_, S>) -> Option<Waker> {
        let parked = self.peek_ticket()?;
        let decide = |word| slot::retract(word, at.place.generation, parked);
        self.apply(at, Cause::Retract, None, decide).1
    }

    fn peek_ticket(&self) -> Option<Ticket> {
        // Relaxed: a guess, which the exchange of the retract confirms.
        let word = Word::from_bits(self.word.load(Ordering::Relaxed));
        (word.state() == State::Parked).then(|| word.ticket())
    }

    /// The wait that is on, if it is one that wakes the same task as `waker`.
    pub(crate) fn parked_with(&self, waker: &Waker) -> Option<Ticket> {
        let cell = self.cell.lock();
        let same = cell.as_ref().is_some_and(|parked| same_task(parked, waker));
        // A waker lies in the cell while the word is `Parked`, and this lock is held for both
        // (NP-SLOT-2).
        if same { self.peek_ticket() } else { None }
    }

    /// A system call follows. The waker, if any, is to be woken by the caller.
    pub(crate) fn reset(&self, at: &At<'_, S>) -> (Reset, Option<Waker>) {
        let (outcome, evicted) =
            self.apply(at, Cause::Reset, None, |word| slot::reset(word, at.place.generation));
        if outcome == Reset::Cleared {
            fence_after_consume::<S>();
        }
        (outcome, evicted)
    }

    /// The incarnation ends. The waker, if any, is to be woken by the caller.
    pub(crate) fn free(&self, at: &At<'_, S>, next: Generation) -> (Freed, Option<Waker>) {
        self.apply(at, Cause::Free, None, |word| slot::free(word, at.place.generation, next))
    }

    /// Whether a task is parked.
    pub(crate) fn parked(&self) -> bool {
        // Acquire: pairs with the release in `exchange`; whoever finds a task taken out finds it
        // counted as being on its way (`in_flight`).
        Word::from_bits(self.word.load(Ordering::Acquire)).state() == State::Parked
    }

    /// The newest word, for diagnostics and oracles.
    pub(crate) fn peek(&self) -> Word {
        Word::from_bits(self.word.peek())
    }

    /// Whether the cell holds a waker, for diagnostics and oracles.
    pub(crate) fn peek_waker(&self) -> bool {
        self.cell.peek(Option::is_some)
    }

    /// Load, ask the spec, do what it says; again when somebody was quicker.
    ///
    /// Returns the outcome and the waker that came out of the cell.
    fn apply<O>(
        &self,
        at: &At<'_, S>,
        cause: Cause,
        waker: Option<&Waker>,
        decide: impl Fn(Word) -> Move<O>,
    ) -> (O, Option<Waker>) {
        loop {
            // Acquire: pairs with the release half of `exchange`, so that what the writer of this
            // word did before (an event error published, a system call made) is seen after it.
            let before = Word::from_bits(self.word.load(Ordering::Acquire));
            match decide(before) {
                Move::Stay(outcome) => {
                    observe(at, cause, before, before);
                    return (outcome, None);
                }
                Move::Set(after, outcome) => {
                    if self.exchange(at, cause, before, after) {
                        return (outcome, None);
                    }
                }
                Move::Enter(after, outcome) => {
                    let fresh = waker.cloned(); // cloned before the lock (NP-WAKE-1)
                    let mut cell = self.cell.lock();
                    if self.exchange(at, cause, before, after) {
                        let left = core::mem::replace(&mut *cell, fresh);
                        drop(cell);
                        assert!(left.is_none(), "NP-SLOT-2 broken: a waker lay in an idle slot");
                        return (outcome, None);
                    }
                    drop(cell); // before `fresh`, which is dropped here
                }
                Move::Leave(after, outcome) => {
                    let mut cell = self.cell.lock();
                    if self.exchange(at, cause, before, after) {
                        let taken = cell.take();
                        drop(cell);
                        assert!(taken.is_some(), "NP-SLOT-2 broken: a parked task has no waker");
                        return (outcome, taken);
                    }
                }
                Move::Refresh(outcome) => {
                    let mut fresh = waker.cloned();
                    let mut cell = self.cell.lock();
                    // Relaxed: `Parked` is left under this lock only, so while it is held the word
                    // either is `before` for good or has gone on for good.
                    if self.word.load(Ordering::Relaxed) == before.bits() {
                        core::mem::swap(&mut *cell, &mut fresh);
                        drop(cell);
                        observe(at, cause, before, before);
                        return (outcome, fresh);
                    }
                    drop(cell);
                }
            }
        }
    }

    fn exchange(&self, at: &At<'_, S>, cause: Cause, before: Word, after: Word) -> bool {
        // AcqRel: release hands on what this thread did before (the edge it saw, the waker it
        // stored) to the acquire load in `apply`; acquire takes over the same from the last
        // writer. On failure nothing was learned that `apply` does not load again.
        let exchanged = self
            .word
            .compare_exchange(before.bits(), after.bits(), Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if exchanged {
            observe(at, cause, before, after);
        }
        exchanged
    }
}

/// NP-EDGE-3, the consumer's side: readiness was taken away (`Ready` → `Nil`), and the system
/// call or the look at the info word comes next. Pairs with the fence in `Poller::harvest`
/// between the edge and the look at the slot: one of the two sides sees the other (Dekker).
fn fence_after_consume<S: System>() {
    S::fence(Ordering::SeqCst);
}

fn observe<S: System>(at: &At<'_, S>, cause: Cause, before: Word, after: Word) {
    at.system.observe(&Step::Slot { place: at.place, mode: at.mode, cause, before, after });
}
