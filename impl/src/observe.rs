//! What an observer is told: every step that changes, or decides on, a word of the protocol.
//!
//! The oracles of `netpoller-models` read these. In production the observer is empty and the
//! calls compile to nothing.

pub use netpoller_spec::machine::Cause;
use netpoller_spec::token::Generation;
use netpoller_spec::{Mode, info, slot};

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
