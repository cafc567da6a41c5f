//! Which moves commute, and which of them need not be made because of it.
//!
//! A move is the operation that a thread has declared, together with everything it does after that up
//! to its next one. Two moves of different threads commute, that is: each does the same and sees the
//! same whichever is first, and neither makes the other one possible or impossible, if
//!
//! - they are about different objects, or both only load. What else a move touches does not matter: it
//!   gives back locks that its thread holds, and whoever wants those has no move; it reads what lies in
//!   a lock that its thread has taken, and nobody else can; what it makes is new. To see a thread asleep
//!   is possible only while that one has no move, and what gives it one is about the same object.
//! - not both change what an oracle remembers. That cannot be told from the declared operation; it
//!   is learned when a move is made. A move that is asleep was made before, in a state in which its thread
//!   had observed the same, so it is known by then. A move with a choice in it counts as one
//!   that does: it was made one way, and may tell an oracle the other way. So does one of which an oracle
//!   will look whether it was made ([`Engine::performed`](crate::engine::Engine::performed)).

use crate::engine::record::{Object, Op};
use std::collections::HashSet;

/// What a thread is about to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) thread: usize,
    pub(super) op: Op,
    pub(super) object: Object,
    /// The thread's term of the fingerprint: tells this move from all others of the thread.
    pub(super) term: u128,
}

impl Move {
    fn commutes_with(&self, other: &Move) -> bool {
        self.object != other.object || self.op == Op::Load && other.op == Op::Load
    }
}

/// What is asleep where the walk is.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    asleep: Vec<Move>,
    /// The move that is being made.
    made: Option<Move>,
    /// Whether it has told an oracle something.
    told: bool,
    /// The terms of all moves that do.
    telling: HashSet<u128>,
    /// Those of moves that do so by being made.
    watched: HashSet<u128>,
}

impl Sleep {
    /// The walk is at its next decision: which of the moves on offer are asleep.
    pub(super) fn among(&mut self, offers: &[Move]) -> u32 {
        self.wake();
        self.made = None;
        let asleep = |offer: &Move| self.asleep.iter().any(|asleep| asleep.thread == offer.thread);
        let places = offers.iter().enumerate().filter(|(_, offer)| asleep(offer));
        places.fold(0, |set, (place, _)| set | 1 << place)
    }

    /// These moves on offer are asleep from here on.
    pub(super) fn carry(&mut self, offers: &[Move], places: u32) {
        self.asleep.clear();
        let carried = offers.iter().enumerate().filter(|(place, _)| places & 1 << place != 0);
        self.asleep.extend(carried.map(|(_, offer)| *offer));
    }

    /// This move is being made.
    pub(super) fn makes(&mut self, made: Move) {
        (self.made, self.told) = (Some(made), self.watched.contains(&made.term));
    }

    /// An oracle will look whether the move with this term was made.
    pub(super) fn will_tell(&mut self, term: u128) {
        self.telling.insert(term);
        self.watched.insert(term);
    }

    /// It has come to a choice.
    pub(super) fn chooses(&mut self) {
        self.tells();
        self.wake();
    }

    /// It changes what an oracle remembers.
    pub(super) fn tells(&mut self) {
        self.told = true;
        if let Some(made) = &self.made {
            self.telling.insert(made.term);
        }
    }

    /// The threads that are asleep, as far as the move that is being made has come.
    pub(super) fn threads(&self) -> u32 {
        self.asleep.iter().fold(0, |set, asleep| set | 1 << asleep.thread)
    }

    /// The execution is over.
    pub(super) fn clear(&mut self) {
        self.asleep.clear();
        (self.made, self.told) = (None, false);
    }

    /// What does not commute with the move that was made is asleep no longer.
    fn wake(&mut self) {
        let Some(made) = self.made else { return };
        let (told, telling) = (self.told, &self.telling);
        self.asleep.retain(|asleep| {
            asleep.commutes_with(&made) && !(told && telling.contains(&asleep.term))
        });
    }
}
