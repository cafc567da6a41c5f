//! What an observer is told: every step that changes, or decides on, a word of the protocol
//! ([`Step`]); and where each call on an entry of the slab begins and ends ([`Call`],
//! [`Returned`]), so that the order in which calls follow each other can be judged, too.
//!
//! The oracles of `netpoller-models` read these. In production the observer is empty and the
//! calls compile to nothing; with the feature `tracing` it hands on what is [`Noted`], which no oracle
//! reads.

pub use netpoller_spec::machine::Cause;
use netpoller_spec::slot::Ticket;
use netpoller_spec::token::Generation;
use netpoller_spec::{Mode, Reason, info, slot};

/// Where a step was taken and for which incarnation the actor took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The index of the slab entry.
    pub index: u32,
    /// The incarnation for which the actor acts; the word may be of another one.
    pub generation: Generation,
}

/// One step of the state machine. `before == after`: the actor looked and decided to write
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The readiness slot of one direction.
    Slot {
        /// Which entry, for whom.
        place: Place,
        /// Which of its two slots.
        mode: Mode,
        /// Why.
        cause: Cause,
        /// The word that was decided on.
        before: slot::Word,
        /// The word that was left.
        after: slot::Word,
    },
    /// The info word.
    Info {
        /// Which entry, for whom.
        place: Place,
        /// The word that was decided on.
        before: info::Word,
        /// The word that was left.
        after: info::Word,
    },
    /// A deadline is about to be published as expired.
    Expires {
        /// Which entry, for whom.
        place: Place,
        /// Of which direction.
        mode: Mode,
        /// The deadline, in nanoseconds.
        deadline: u64,
        /// The reading of the clock by which it has come, in nanoseconds.
        now: u64,
    },
    /// The flag of the break: what was there and what was left.
    Break {
        /// Whether it was set before.
        before: bool,
        /// Whether it is set now.
        after: bool,
    },
}

/// A call on an entry of the slab, as it begins. `place` is for whom the caller acts, whatever
/// incarnation the entry is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// One turn of a wait.
    Wait {
        /// Which entry, for whom.
        place: Place,
        /// In which direction.
        mode: Mode,
        /// The ticket under which the task is parked, as far as it knows.
        ticket: Option<Ticket>,
    },
    /// A system call follows.
    Prepare {
        /// Which entry, for whom.
        place: Place,
        /// In which direction.
        mode: Mode,
    },
    /// A wait is given up.
    Retract {
        /// Which entry, for whom.
        place: Place,
        /// In which direction.
        mode: Mode,
        /// Which wait.
        ticket: Ticket,
    },
    /// The first half of an event.
    Publish {
        /// Which entry, for whom.
        place: Place,
        /// Whether it is nothing but an error.
        error: bool,
    },
    /// The second half of an event.
    Notify {
        /// Which entry, for whom.
        place: Place,
        /// Whether it concerns the reader, the writer.
        concerned: [bool; 2],
    },
    /// A close.
    Close {
        /// Which entry, for whom.
        place: Place,
    },
    /// Whoever is parked has to look again.
    Release {
        /// Which entry, for whom.
        place: Place,
    },
    /// A deadline is set or cleared.
    SetDeadline {
        /// Which entry, for whom.
        place: Place,
        /// Whether it is that of the reader, of the writer.
        concerned: [bool; 2],
        /// The deadline in nanoseconds; 0: none.
        deadline: u64,
        /// The reading of the clock that decides whether it has come, in nanoseconds.
        now: u64,
    },
    /// An entry of the queue of timers is handled, for whichever incarnation it is.
    Fire {
        /// The index of the slab entry.
        index: u32,
        /// The reading of the clock by which it is due, in nanoseconds.
        now: u64,
    },
    /// The incarnation ends.
    Free {
        /// Which entry, for whom.
        place: Place,
    },
}

impl Call {
    /// The index of the slab entry.
    #[must_use]
    pub const fn index(&self) -> u32 {
        match self {
            Call::Wait { place, .. }
            | Call::Prepare { place, .. }
            | Call::Retract { place, .. }
            | Call::Publish { place, .. }
            | Call::Notify { place, .. }
            | Call::Close { place }
            | Call::Release { place }
            | Call::SetDeadline { place, .. }
            | Call::Free { place } => place.index,
            Call::Fire { index, .. } => *index,
        }
    }
}

/// What a call has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Returned {
    /// Nothing that its caller could learn from.
    Done,
    /// The direction is ready, and the readiness was consumed.
    Ready,
    /// The task is parked under this ticket.
    Parked(Ticket),
    /// Somebody else is parked in this direction.
    Occupied,
    /// The kernel could not be told that somebody waits.
    Unarmed,
    /// The operation may not go on.
    Failed(Reason),
    /// Whether the reader, the writer has to be woken because of the call.
    Woken([bool; 2]),
    /// Somebody else had done it before: a second close, a timer that was superseded.
    Superseded,
}

/// What happened, in the large and outside of all locks of the poller: for those who follow a program,
/// where a [`Step`] is for those who judge the poller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Noted {
    /// A descriptor was registered.
    Registered {
        /// Which entry it has.
        place: Place,
        /// Its number, where descriptors have one.
        number: Option<i32>,
    },
    /// A close began.
    Closed {
        /// Which entry, for whom.
        place: Place,
    },
    /// A task is parked, or still parked after it was polled once more.
    Parked {
        /// Which entry, for whom.
        place: Place,
        /// In which direction.
        mode: Mode,
    },
    /// Tasks were taken out of their slots, and are about to be woken.
    Woken {
        /// Which entry, for whom.
        place: Place,
        /// Whether the reader, the writer.
        woken: [bool; 2],
    },
    /// A deadline has expired.
    Expired {
        /// Which entry, for whom.
        place: Place,
    },
    /// A break was written to the kernel.
    BreakWritten,
    /// A break was not, because another one is on its way.
    BreakSuppressed,
    /// A poll returns.
    Polled {
        /// How many events its last wait brought.
        events: usize,
        /// How many wakers are to be woken.
        wakers: usize,
        /// Whether it has taken a break.
        broken: bool,
    },
}
