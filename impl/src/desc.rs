//! The descriptor of the poller, Go's `pollDesc`: two readiness slots and the info word.
//!
//! # State
//!
//! * `read`, `write`: who waits and what is pending in each direction (`slot`, Go's `rg`, `wg`).
//! * `info`: the generation of the incarnation, whether it is closing, whether a deadline has
//!   expired, whether its newest event was nothing but an error (Go's `atomicInfo`), and whether its short
//!   reads are believed (`short_read`). Read without a
//!   lock, written by compare-exchange with the generation in the comparand (NP-GEN-2).
//! * `control`: the deadlines and the entry in the queue of timers that covers them
//!   (`netpoller_spec::time`; Go's `rd`, `wd` and two timers). Under its own lock, the *control
//!   lock*, which also keeps the expired flags and the generation of `info` still.
//!
//! # Who changes what
//!
//! A poller publishes the event error and then notifies the slots. The closer publishes closing
//! and then cancels the slots. The owner frees: first the info word and the deadlines, under the
//! control lock, then the slots, each into the next generation. A waiter parks and then reads the
//! info word. Whoever sets a deadline, and the poller for a timer that is due, change `control`,
//! publish what has expired, cancel the slots that it concerns and push what has to be pushed, in
//! one section of the control lock; whom they have to wake they wake after it.
//!
//! # The handshake of parking and closing (NP-WAIT-3)
//!
//! ```text
//! waiter:  slot Nil -> Parked ; fence ; read info
//! closer:  info |= closing    ; fence ; read slot
//! ```
//!
//! Store buffering, as in Dekker's algorithm: with a sequentially consistent fence on both sides
//! at least one of them sees the other, so either the waiter withdraws or the closer wakes it.
//! Without one of the fences both can read the old value, and the waiter sleeps for ever (Go
//! #45211). `impl/src/README.md` has the proof sketch. An expired deadline takes the same way.
//!
//! Out of scope: what is done with `control` (`deadline`), who may wait in a direction (`source`),
//! memory of descriptors (`slab`).

use crate::error::WaitError;
use crate::observe::{Call, Noted, Place, Returned, Step};
use crate::seam::{Atomic, Mutex, Note, Ordering, System, condensed};
use crate::slot::{At, Slot};
use core::task::{Poll, Waker};
use netpoller_spec::events::Report;
use netpoller_spec::info::{self, Publish};
use netpoller_spec::slot::{Announced, Finished, Freed, Retracted, Ticket, Word};
use netpoller_spec::time::{self, Ledger};
use netpoller_spec::token::Generation;
use netpoller_spec::{Mode, Reason};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A descriptor. Lives in the slab for ever; serves one incarnation after the other.
// Two cache lines to itself: neighbours in the slab do not share one. In this order, so that the first holds what
// an event and a wait to read look at, and the second what a deadline changes.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct Desc<S: System> {
    info: S::AtomicU64,
    read: Slot<S>,
    write: Slot<S>,
    pub(crate) control: S::Mutex<Ledger>,
    /// The number of the descriptor that the incarnation is of. For diagnostics (`show`).
    pub(crate) number: Note,
}

/// One wait of one task: nothing, or the ticket under which it is parked.
///
/// Dropping it does not retract; its owner has to ([`Incarnation::retract`]).
#[derive(Debug, Default)]
pub struct Wait {
    ticket: Option<Ticket>,
}

impl Wait {
    /// Whether the task is parked as far as it knows.
    #[must_use]
    pub fn parked(&self) -> bool {
        self.ticket.is_some()
    }
}

/// The wakers of at most both directions, to be woken outside all locks.
pub type Wakers = [Option<Waker>; 2];

/// What an observer is told of them.
pub(crate) fn woken(wakers: &Wakers) -> Returned {
    Returned::Woken(core::array::from_fn(|place| wakers[place].is_some()))
}

/// Wakes them.
///
/// # Panics
///
/// When a waker panics: after all have been woken, with the payload of the first panic.
pub fn wake(wakers: impl IntoIterator<Item = Option<Waker>>) {
    let mut first_panic = None;
    for waker in wakers.into_iter().flatten() {
        // NP-WAKE-2: the panic of one does not keep the others asleep.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
            first_panic.get_or_insert(payload);
        }
    }
    if let Some(payload) = first_panic {
        resume_unwind(payload);
    }
}

/// Whether two wakers are known to wake the same task.
///
/// `will_wake` alone may say no to a clone, where the compiler has made two copies of the functions of
/// one kind of waker. A task that its own poll takes for a stranger is woken by it, polls again, and so
/// on.
pub(crate) fn same_task(one: &Waker, other: &Waker) -> bool {
    one.will_wake(other) || (!one.data().is_null() && one.data() == other.data())
}

impl<S: System> Desc<S> {
    pub(crate) fn new(generation: Generation) -> Self {
        Desc {
            info: S::AtomicU64::new(info::Word::new(generation).bits()),
            read: Slot::new(generation),
            write: Slot::new(generation),
            control: S::Mutex::new(Ledger::default(), digest),
            number: Note::default(),
        }
    }

    /// The generation the entry is in. Exact for whoever owns the entry, a hint for all others.
    pub(crate) fn generation(&self) -> Generation {
        // Acquire: pairs with the release in `publish`, for the owner that takes over an entry.
        info::Word::from_bits(self.info.load(Ordering::Acquire)).generation()
    }

    /// The newest words of reader, writer and info, and whether the cells hold wakers. For
    /// diagnostics and oracles.
    pub fn peek(&self) -> Peek {
        Peek {
            info: info::Word::from_bits(self.info.peek()),
            slots: [self.read.peek(), self.write.peek()],
            wakers: [self.read.peek_waker(), self.write.peek_waker()],
            ledger: self.control.peek(|ledger| *ledger),
        }
    }

    /// How many tasks are parked, of both directions.
    pub(crate) fn parked(&self) -> usize {
        usize::from(self.read.parked()) + usize::from(self.write.parked())
    }

    pub(crate) fn slot(&self, mode: Mode) -> &Slot<S> {
        match mode {
            Mode::Read => &self.read,
            Mode::Write => &self.write,
        }
    }
}

/// What [`Desc::peek`] saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek {
    /// The info word.
    pub info: info::Word,
    /// Reader and writer.
    pub slots: [Word; 2],
    /// Whether a waker lies in the cell of reader and writer.
    pub wakers: [bool; 2],
    /// The deadlines.
    pub ledger: Ledger,
}

/// A ledger is three numbers, for an explorer.
fn digest(ledger: &Ledger) -> Option<u64> {
    let [read, write] = ledger.deadlines;
    Some(condensed([read, write, ledger.armed]))
}

/// A descriptor seen by somebody who acts for one incarnation of it.
#[derive(Debug)]
pub struct Incarnation<'a, S: System> {
    pub(crate) system: &'a S,
    pub(crate) desc: &'a Desc<S>,
    pub(crate) place: Place,
}

impl<S: System> Incarnation<'_, S> {
    /// May an operation in `mode` go on?
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, mode: Mode) -> Result<(), Reason> {
        info::check(self.info(), self.place.generation, mode)
    }

    /// Before a system call in `mode`: checks, and drops readiness that the call will find again
    /// (NP-WAIT-4).
    ///
    /// # Errors
    ///
    /// Why the operation may not go on. Readiness stays as it is then.
    pub fn prepare(&self, mode: Mode) -> Result<(), Reason> {
        self.system.called(&Call::Prepare { place: self.place, mode });
        let prepared = self.check_and_reset(mode);
        self.returned(prepared.map_or_else(Returned::Failed, |()| Returned::Done));
        prepared
    }

    fn check_and_reset(&self, mode: Mode) -> Result<(), Reason> {
        self.check(mode)?;
        let (_outcome, evicted) = self.desc.slot(mode).reset(&self.at(mode));
        if let Some(waker) = evicted {
            waker.wake();
        }
        Ok(())
    }

    /// Waits for readiness in `mode`. `arm` is called before the task parks.
    ///
    /// Cancel safe: the wait stays on until [`retract`](Self::retract).
    pub fn poll_wait(
        &self,
        mode: Mode,
        wait: &mut Wait,
        waker: &Waker,
        arm: impl FnOnce() -> io::Result<()>,
    ) -> Poll<Result<(), WaitError>> {
        self.system.called(&Call::Wait { place: self.place, mode, ticket: wait.ticket });
        let turn = self.turn(mode, wait, waker, arm);
        self.returned(match (&turn, wait.ticket) {
            (Poll::Ready(Ok(())), _) => Returned::Ready,
            (Poll::Ready(Err(WaitError::Protocol(reason))), _) => Returned::Failed(*reason),
            (Poll::Ready(Err(WaitError::Occupied)), _) => Returned::Occupied,
            (Poll::Ready(Err(WaitError::Kernel(_))), _) => Returned::Unarmed,
            (Poll::Pending, Some(ticket)) => Returned::Parked(ticket),
            (Poll::Pending, None) => Returned::Done, // which no wait may return
        });
        if turn.is_pending() {
            self.system.noted(&Noted::Parked { place: self.place, mode });
        }
        turn
    }

    /// One turn of a wait.
    fn turn(
        &self,
        mode: Mode,
        wait: &mut Wait,
        waker: &Waker,
        arm: impl FnOnce() -> io::Result<()>,
    ) -> Poll<Result<(), WaitError>> {
        let (slot, at) = (self.desc.slot(mode), self.at(mode));
        if let Some(ticket) = wait.ticket {
            let finished = slot.finish(&at, ticket, waker);
            if finished == Finished::Waiting {
                return Poll::Pending; // NP-WAIT-5: the waker of this poll is in place
            }
            wait.ticket = None;
            match finished {
                Finished::Consumed => return Poll::Ready(Ok(())),
                Finished::Closed => return Poll::Ready(Err(Reason::Closed.into())),
                // NP-WAIT-6: woken without readiness. What woke us may be over by now, so this
                // is not an error yet (Go #6103).
                Finished::Released | Finished::Waiting => {}
            }
        }
        self.check(mode)?; // NP-WAIT-2
        arm().map_err(WaitError::Kernel)?;
        match slot.announce(&at, waker) {
            Announced::Consumed => Poll::Ready(Ok(())),
            Announced::Closed => Poll::Ready(Err(Reason::Closed.into())),
            Announced::Occupied => Poll::Ready(Err(WaitError::Occupied)),
            Announced::Parked(ticket) => {
                // NP-WAIT-3, the waiter's side. Pairs with the fence in `close`.
                S::fence(Ordering::SeqCst);
                let Err(reason) = self.check(mode) else {
                    wait.ticket = Some(ticket);
                    return Poll::Pending;
                };
                if slot.retract(&at, ticket) == Retracted::Ended
                    && slot.finish(&at, ticket, waker) == Finished::Consumed
                {
                    return Poll::Ready(Ok(())); // NP-WAIT-7: readiness won
                }
                Poll::Ready(Err(reason.into()))
            }
        }
    }

    /// Ends a wait that is given up. Readiness that arrived meanwhile stays (NP-SLOT-7).
    pub fn retract(&self, mode: Mode, wait: &mut Wait) {
        if let Some(ticket) = wait.ticket.take() {
            self.system.called(&Call::Retract { place: self.place, mode, ticket });
            self.desc.slot(mode).retract(&self.at(mode), ticket);
            self.returned(Returned::Done);
        }
    }

    /// Adopts a wait that an earlier poll by the same task has left behind, if it is still on. For
    /// whoever has the right of the direction.
    pub(crate) fn adopt(&self, mode: Mode, waker: &Waker) -> Wait {
        Wait { ticket: self.desc.slot(mode).parked_with(waker) }
    }

    /// Ends a wait that somebody else has left behind, who is woken. For whoever has the right of
    /// the direction.
    #[cold]
    pub(crate) fn evict(&self, mode: Mode) {
        wake([self.desc.slot(mode).evict(&self.at(mode))]);
    }

    /// The newest info word. Whoever holds the control lock may rely on it: its generation and
    /// its expired flags do not change meanwhile.
    pub(crate) fn info(&self) -> info::Word {
        // Acquire: pairs with the release in `publish`.
        info::Word::from_bits(self.desc.info.load(Ordering::Acquire))
    }

    /// The first half of an event: publishes what it says about the descriptor as a whole.
    /// A fence has to follow before [`notify`](Self::notify).
    pub fn publish_report(&self, report: Report) {
        let generation = self.place.generation;
        self.system.called(&Call::Publish { place: self.place, error: report.error });
        // NP-INFO-5
        let word = self.published(|word| info::event_error(word, generation, report.error)).1;
        // A write of its own (NP-INFO-6), and none where nobody has believed: that is never taken up again.
        if report.doubt && word.believed() {
            self.doubt(); // NP-READ-2
        }
        self.returned(Returned::Done);
    }

    /// The second half: hands the edge to the slots. The wakers are the caller's to wake.
    pub fn notify(&self, report: Report) -> Wakers {
        let deliver = |mode, concerned: bool| {
            concerned.then(|| self.desc.slot(mode).notify(&self.at(mode)).1).flatten()
        };
        let concerned = [report.read, report.write];
        self.system.called(&Call::Notify { place: self.place, concerned });
        let wakers = [deliver(Mode::Read, report.read), deliver(Mode::Write, report.write)];
        self.returned(woken(&wakers));
        self.note_woken(&wakers);
        wakers
    }

    /// Says who is about to be woken, if anybody is.
    pub(crate) fn note_woken(&self, wakers: &Wakers) {
        let woken = [wakers[0].is_some(), wakers[1].is_some()];
        if woken != [false, false] {
            self.system.noted(&Noted::Woken { place: self.place, woken });
        }
    }

    /// Begins to close: everybody who waits, or is about to, is told. The wakers are the
    /// caller's to wake. `None`: somebody else has begun already.
    #[must_use = "the wakers have to be woken"]
    pub fn close(&self) -> Option<Wakers> {
        self.system.called(&Call::Close { place: self.place });
        let wakers = self.close_and_cancel();
        self.returned(wakers.as_ref().map_or(Returned::Superseded, woken));
        if let Some(wakers) = &wakers {
            self.system.noted(&Noted::Closed { place: self.place });
            self.note_woken(wakers);
        }
        wakers
    }

    fn close_and_cancel(&self) -> Option<Wakers> {
        let first = self.publish(|word| info::close(word, self.place.generation));
        if !first {
            return None; // NP-INFO-2
        }
        // NP-WAIT-3, the closer's side. Pairs with the fence in `poll_wait`.
        S::fence(Ordering::SeqCst);
        Some(Mode::BOTH.map(|mode| self.desc.slot(mode).cancel(&self.at(mode)).1))
    }

    /// Makes everybody who is parked look again, for no reason that would last. The wakers are the
    /// caller's to wake.
    #[must_use = "the wakers have to be woken"]
    pub(crate) fn release(&self) -> Wakers {
        self.system.called(&Call::Release { place: self.place });
        let wakers = Mode::BOTH.map(|mode| self.desc.slot(mode).cancel(&self.at(mode)).1);
        self.returned(woken(&wakers));
        wakers
    }

    /// Ends the incarnation: `next` begins. To be called once, by the owner. The wakers are the
    /// caller's to wake.
    ///
    /// # Panics
    ///
    /// When the incarnation was not the current one: somebody else freed it.
    #[must_use = "the wakers have to be woken"]
    pub fn free(&self, next: Generation) -> Wakers {
        self.system.called(&Call::Free { place: self.place });
        let wakers = self.advance(next);
        self.returned(woken(&wakers));
        wakers
    }

    /// Takes the info word and then the slots into the next generation.
    fn advance(&self, next: Generation) -> Wakers {
        let mut ledger = self.desc.control.lock();
        let first = self.publish(|word| info::free(word, self.place.generation, next));
        if first {
            *ledger = time::free(*ledger); // NP-TIME-10
        }
        drop(ledger);
        assert!(first, "NP-GEN-5 broken: {:?} was freed twice", self.place);
        Mode::BOTH.map(|mode| {
            let (outcome, waker) = self.desc.slot(mode).free(&self.at(mode), next);
            assert!(outcome == Freed::Advanced, "NP-GEN-5 broken: slot {mode:?} ran ahead");
            waker
        })
    }

    /// Returns whether the word was changed by this call.
    pub(crate) fn publish(&self, decide: impl Fn(info::Word) -> Publish) -> bool {
        self.published(decide).0
    }

    /// The same, and the word as it is then.
    fn published(&self, decide: impl Fn(info::Word) -> Publish) -> (bool, info::Word) {
        let cell = &self.desc.info;
        // Acquire: the decision may rest on what the last writer knew.
        let mut bits = cell.load(Ordering::Acquire);
        loop {
            let before = info::Word::from_bits(bits);
            let after = match decide(before) {
                Publish::Set(after) => after,
                Publish::Already | Publish::Stale => {
                    let step = Step::Info { place: self.place, before, after: before };
                    self.system.observe(&step);
                    return (false, before);
                }
            };
            // Release: pairs with the acquire load in `check`. Acquire: as above.
            let exchanged =
                cell.compare_exchange(bits, after.bits(), Ordering::AcqRel, Ordering::Acquire);
            match exchanged {
                Ok(_) => {
                    self.system.observe(&Step::Info { place: self.place, before, after });
                    return (true, after);
                }
                Err(now) => bits = now,
            }
        }
    }

    /// Tells the observer what the call returns that was begun last.
    pub(crate) fn returned(&self, returned: Returned) {
        self.system.returned(self.place.index, &returned);
    }

    pub(crate) fn at(&self, mode: Mode) -> At<'_, S> {
        At { system: self.system, place: self.place, mode }
    }
}
