//! Deadlines of a descriptor: setting, moving and clearing them, and what a timer that is due does.
//!
//! # State
//!
//! The ledger (`Desc::control`, under the control lock): a deadline per direction, and when the
//! entry comes due that stands for them in the queue of timers. The expired flags are in the info
//! word, where waiters see them without a lock. `netpoller_spec::time` decides what changes; this
//! file carries it out, all of it in one section of the control lock (NP-TIME-7):
//!
//! ```text
//! the ledger ; expired flags in the info word ; fence ; cancel the slots ; push the new entry
//! ```
//!
//! and afterwards, without a lock, the waking of whoever was cancelled, and of a poller that would
//! sleep past the new entry (NP-TIME-12).
//!
//! # Who gets here
//!
//! The user, through [`Source`], and the poller for an entry that is due (`Desc::fire`). An entry
//! carries no authority (NP-TIME-6): between its being taken out of the queue and the control lock
//! the deadline may be moved, cleared, or the descriptor closed and used again.
//!
//! Out of scope: the queue (`timers`), the clock and who looks at it (`poller`).

use crate::desc::{Desc, Incarnation, Wakers, wake, woken};
use crate::error::Reason;
use crate::in_flight::InFlight;
use crate::observe::{Call, Noted, Place, Returned, Step};
use crate::poller::{Poller, Shared};
use crate::seam::{Instant, Mutex, Ordering, System};
use crate::source::Source;
use crate::timers::{Entry, Timers};
use netpoller_spec::time::{self, Change, Ledger};
use netpoller_spec::{Mode, info};
use std::io;

/// What whoever changed a deadline, or handled a timer, still has to do: without any lock.
#[derive(Debug, Default)]
#[must_use = "the wakers have to be woken, and a poller that sleeps too long"]
pub struct Consequences {
    /// Whom to wake.
    pub wakers: Wakers,
    /// A poller would sleep past an entry that was pushed (NP-TIME-12).
    pub break_poller: bool,
    /// By how much the count of those who are on their way was raised: to be lowered when the wakers
    /// have been woken (NP-WAKE-3).
    pub taken: u64,
}

fn expired(word: info::Word) -> [bool; 2] {
    Mode::BOTH.map(|mode| word.expired(mode))
}

impl<S: System> Incarnation<'_, S> {
    /// Sets a deadline in the directions `concerned`, or clears it (`None`).
    ///
    /// # Errors
    ///
    /// `Closed` when a close has begun or the incarnation is over.
    pub(crate) fn set_deadline(
        &self,
        timers: &Timers<S>,
        in_flight: &InFlight<S>,
        concerned: [bool; 2],
        deadline: Option<Instant>,
    ) -> Result<Consequences, netpoller_spec::Reason> {
        // Read once, and before the lock: that can only make a deadline expire later (NP-TIME-5).
        let now = deadline.map_or(time::NONE, |_| self.system.now().as_nanos());
        // The first instant is taken: 0 says that there is no deadline.
        let deadline = deadline.map_or(time::NONE, |deadline| deadline.as_nanos().max(1));
        self.system.called(&Call::SetDeadline { place: self.place, concerned, deadline, now });
        let set = self.enter_deadline(timers, in_flight, concerned, deadline, now);
        self.returned(match &set {
            Ok(consequences) => woken(&consequences.wakers),
            Err(reason) => Returned::Failed(*reason),
        });
        if let Ok(consequences) = &set {
            self.note_expired(consequences);
        }
        set
    }

    fn enter_deadline(
        &self,
        timers: &Timers<S>,
        in_flight: &InFlight<S>,
        concerned: [bool; 2],
        deadline: u64,
        now: u64,
    ) -> Result<Consequences, netpoller_spec::Reason> {
        let mut ledger = self.desc.control.lock();
        let word = self.info();
        if word.generation() != self.place.generation || word.closing() {
            return Err(netpoller_spec::Reason::Closed);
        }
        let change = time::set(*ledger, expired(word), concerned, deadline, now);
        Ok(self.carry_out(&mut ledger, word, change, timers, in_flight, now))
    }

    /// Says that a deadline has expired, if one has, and who is about to be woken because of it. To be
    /// called without the control lock.
    fn note_expired(&self, consequences: &Consequences) {
        if consequences.taken > 0 {
            self.system.noted(&Noted::Expired { place: self.place });
            self.note_woken(&consequences.wakers);
        }
    }

    /// The deadline of one direction, whether it has expired or not.
    ///
    /// # Errors
    ///
    /// `Closed` when the incarnation is over.
    pub(crate) fn deadline(&self, mode: Mode) -> Result<Option<Instant>, netpoller_spec::Reason> {
        let ledger = self.desc.control.lock();
        if self.info().generation() != self.place.generation {
            return Err(netpoller_spec::Reason::Closed);
        }
        let deadline = ledger.deadlines[mode as usize];
        Ok((deadline != time::NONE).then(|| Instant::from_nanos(deadline)))
    }

    /// Does what the spec says. The caller holds the control lock, `ledger` being its contents, and
    /// has seen `word`, whose expired flags nobody else changes.
    fn carry_out(
        &self,
        ledger: &mut Ledger,
        word: info::Word,
        change: Change,
        timers: &Timers<S>,
        in_flight: &InFlight<S>,
        now: u64,
    ) -> Consequences {
        *ledger = change.ledger;
        let (place, generation) = (self.place, self.place.generation);
        for mode in Mode::BOTH {
            let Some(expired) = change.expired[mode as usize] else { continue };
            if expired == word.expired(mode) {
                continue; // NP-INFO-2
            }
            if expired {
                let deadline = ledger.deadlines[mode as usize];
                self.system.observe(&Step::Expires { place, mode, deadline, now });
            }
            self.publish(|word| info::expired(word, generation, mode, expired));
        }
        let mut done = Consequences::default();
        if change.expired.contains(&Some(true)) {
            // NP-WAIT-3, the side of whoever lets a deadline expire. Pairs with the fence in
            // `Incarnation::poll_wait`.
            S::fence(Ordering::SeqCst);
            done.taken = 2;
            in_flight.raise(done.taken);
            done.wakers = Mode::BOTH.map(|mode| {
                let expired = change.expired[mode as usize] == Some(true);
                expired.then(|| self.desc.slot(mode).cancel(&self.at(mode)).1).flatten()
            });
        }
        if let Some(when) = change.push {
            done.break_poller = timers.push(place.index, when, change.supersedes);
        }
        done
    }
}

impl<S: System> Desc<S> {
    /// An entry of the queue is due at `now`. `None`: it was superseded and means nothing.
    pub(crate) fn fire(
        &self,
        system: &S,
        timers: &Timers<S>,
        in_flight: &InFlight<S>,
        entry: Entry,
        now: Instant,
    ) -> Option<Consequences> {
        system.called(&Call::Fire { index: entry.index, now: now.as_nanos() });
        let fired = self.look(system, timers, in_flight, entry, now);
        let done = fired.as_ref().map_or(Returned::Superseded, |(_, fired)| woken(&fired.wakers));
        system.returned(entry.index, &done);
        let (place, fired) = fired?;
        Incarnation { system, desc: self, place }.note_expired(&fired);
        Some(fired)
    }

    /// The same for the incarnation that it is.
    fn look(
        &self,
        system: &S,
        timers: &Timers<S>,
        in_flight: &InFlight<S>,
        entry: Entry,
        now: Instant,
    ) -> Option<(Place, Consequences)> {
        let mut ledger = self.control.lock();
        // For whichever incarnation it is: the control lock keeps it from ending (NP-TIME-10).
        let place = Place { index: entry.index, generation: self.generation() };
        let incarnation = Incarnation { system, desc: self, place };
        let now = now.as_nanos();
        let word = incarnation.info();
        let change = time::fire(*ledger, expired(word), entry.when, now)?;
        Some((place, incarnation.carry_out(&mut ledger, word, change, timers, in_flight, now)))
    }
}

/// Deadlines: absolute instants, one per direction. From a deadline on every operation in its
/// direction fails with an error of kind `TimedOut` ([`Reason::DeadlineExceeded`]), also one that
/// waits already, and also if data is there; until another deadline is set, or none. Whoever polls
/// lets them expire, never early; one that is set in the past expires at once, without a poll.
///
/// Where nobody drives, the threads that block poll, so a deadline that comes while nobody waits is noticed by
/// the next one that does; an operation that does not have to wait may succeed until then.
///
/// Moving a deadline forward, as before each read with a timeout, makes no system call, allocates
/// nothing and touches nothing that descriptors share.
impl<S: System> Source<S> {
    /// Sets the deadline of both directions, or clears it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::{io::{ErrorKind, Read}, time::Duration};
    /// let poller = netpoller::Poller::new()?;
    /// let (a, _b) = poller.stream_pair()?;
    /// a.set_deadline(Some(poller.now().saturating_add(Duration::from_millis(1))))?;
    /// let late = (&a).read(&mut [0]).unwrap_err();
    /// assert_eq!(late.kind(), ErrorKind::TimedOut);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`]; [`Reason::NotPollable`] in blocking mode; and when a poller that sleeps too long cannot be broken.
    pub fn set_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.change_deadline([true, true], deadline)
    }

    /// Sets the deadline for reading, or clears it.
    ///
    /// # Errors
    ///
    /// As [`set_deadline`](Self::set_deadline).
    pub fn set_read_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.change_deadline([true, false], deadline)
    }

    /// Sets the deadline for writing, or clears it.
    ///
    /// # Errors
    ///
    /// As [`set_deadline`](Self::set_deadline).
    pub fn set_write_deadline(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.change_deadline([false, true], deadline)
    }

    /// The deadline of one direction as it was set, passed or not.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`] when the descriptor is gone; [`Reason::NotPollable`] in blocking mode.
    pub fn deadline(&self, mode: Mode) -> io::Result<Option<Instant>> {
        let incarnation = self.entry().ok_or(Reason::NotPollable)?;
        Ok(incarnation.deadline(mode).map_err(Reason::from)?)
    }

    fn change_deadline(&self, concerned: [bool; 2], deadline: Option<Instant>) -> io::Result<()> {
        let incarnation = self.entry().ok_or(Reason::NotPollable)?;
        self.poller().change_deadline(&incarnation, concerned, deadline)
    }
}

impl<S: System> Poller<S> {
    /// Sets a deadline, and does what follows from it without any lock.
    pub(crate) fn change_deadline(
        &self,
        incarnation: &Incarnation<'_, S>,
        concerned: [bool; 2],
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        let Shared { timers, in_flight, .. } = &*self.shared;
        let done = incarnation.set_deadline(timers, in_flight, concerned, deadline);
        let Consequences { wakers, break_poller, taken } = done.map_err(Reason::from)?;
        let _taken = in_flight.taken(taken);
        let broken = if break_poller { self.break_poll() } else { Ok(()) }; // NP-TIME-12
        if taken > 0 {
            wake(wakers); // last: a waker that panics leaves nothing half done
        }
        broken
    }
}
