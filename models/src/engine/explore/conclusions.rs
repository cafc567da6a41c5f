//! What was concluded where all that was to be known was: of many states with the same around them.
//!
//! Which edges are missing in a state, and what may be touched from it on, follows from where its threads are,
//! from what its edges tell and what may be touched after them, all of which have numbers, and from the
//! touches that there are. Most states that are looked at have the same numbers as one that was looked at before.

use crate::engine::mix::Map;

/// What was concluded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Conclusion {
    /// These edges have to be taken as well.
    Missing(u32),
    /// From here on this may be touched.
    Touched(u32),
}

/// The conclusions that are remembered. Only ever saves work.
#[derive(Debug, Default)]
pub(super) struct Conclusions {
    known: Map<Vec<u32>, Conclusion>,
    /// How many touches there were when they were drawn.
    touches: usize,
}

/// How many are remembered before they are forgotten again.
const MOST: usize = 1 << 16;

impl Conclusions {
    /// What was concluded from these numbers when there were as many touches.
    pub(super) fn find(&mut self, from: &[u32], touches: usize) -> Option<Conclusion> {
        if self.touches != touches {
            self.known.clear();
            self.touches = touches;
        }
        self.known.get(from).copied()
    }

    /// What is concluded from the numbers that were looked for last.
    pub(super) fn add(&mut self, from: Vec<u32>, conclusion: Conclusion) {
        if self.known.len() >= MOST {
            self.known.clear();
        }
        self.known.insert(from, conclusion);
    }
}
