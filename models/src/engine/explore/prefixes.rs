//! Which prefixes of an exploration are to be explored, and who is told of them.
//!
//! The prefixes are numbered, the same way for everybody who opens the same space (`split.rs`): so numbers are
//! enough to say which of them are asked for, and which were done before.

use crate::engine::outcome::Share;
use core::fmt;
use std::collections::BTreeSet;
use std::ops::Range;

/// What was learned by exploring a prefix, beside what was known before.
#[derive(Clone, Debug)]
pub struct Explored {
    /// Which prefix, of which frontier.
    pub share: Share,
    /// Executions since the prefix before was done, or since the beginning.
    pub executions: u64,
    /// States that were not known when the prefix before was done.
    pub states: usize,
    /// Behaviours that were not known when the prefix before was done.
    pub behaviours: BTreeSet<u128>,
}

/// Is told of each prefix when it is done.
type Listener = Box<dyn Fn(&Explored) + Send + Sync>;

/// The prefixes that are to be explored.
pub struct Prefixes {
    at_least: usize,
    part: usize,
    of: usize,
    /// Those that are done, with the names of their frontiers.
    known: BTreeSet<(u128, usize)>,
    at_most: usize,
    listener: Option<Listener>,
}

impl fmt::Debug for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Prefixes { at_least, part, of, .. } = self;
        write!(f, "part {part}/{of} of {at_least} prefixes or more")
    }
}

impl Prefixes {
    /// All prefixes of a frontier that has at least so many, if there are that many.
    #[must_use]
    pub fn all(at_least: usize) -> Prefixes {
        Prefixes::part(at_least, 1, 1)
    }

    /// Those of part `part`, counted from 1, of `of` parts of the same frontier: a block, since what lies side
    /// by side has much in common.
    ///
    /// # Panics
    ///
    /// If there is no such part.
    #[must_use]
    pub fn part(at_least: usize, part: usize, of: usize) -> Prefixes {
        assert!((1..=of).contains(&part), "{part}/{of} is no part of a whole");
        let known = BTreeSet::new();
        Prefixes { at_least, part, of, known, at_most: usize::MAX, listener: None }
    }

    /// Without this one, which was done before. That of a frontier with another name is not among them
    /// anyway.
    #[must_use]
    pub fn without(mut self, frontier: u128, prefix: usize) -> Prefixes {
        self.known.insert((frontier, prefix));
        self
    }

    /// No more than so many.
    #[must_use]
    pub fn at_most(self, prefixes: usize) -> Prefixes {
        Prefixes { at_most: prefixes, ..self }
    }

    /// Tells `listener` of each prefix when it is done. When that comes back, what it was told may be relied
    /// upon: together with what it was told before it is all that there is to be seen below these prefixes.
    #[must_use]
    pub fn telling(self, listener: impl Fn(&Explored) + Send + Sync + 'static) -> Prefixes {
        Prefixes { listener: Some(Box::new(listener)), ..self }
    }

    pub(super) fn at_least(&self) -> usize {
        self.at_least
    }

    /// Which ones, of the frontier with this name, which has so many.
    pub(super) fn of(&self, frontier: u128, prefixes: usize) -> Vec<usize> {
        let new = |prefix: &usize| !self.known.contains(&(frontier, *prefix));
        block(prefixes, self.part - 1, self.of).filter(new).take(self.at_most).collect()
    }

    pub(super) fn tell(&self, explored: &Explored) {
        if let Some(listener) = &self.listener {
            listener(explored);
        }
    }
}

/// Part `part`, counted from 0, of `of` blocks of so many, as even as can be.
fn block(all: usize, part: usize, of: usize) -> Range<usize> {
    all * part / of..all * (part + 1) / of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_prefix_is_in_exactly_one_of_the_parts() {
        for (all, of) in [(0, 3), (1, 3), (7, 3), (24, 5), (25, 1)] {
            let parts = (1..=of).map(|part| Prefixes::part(8, part, of).of(7, all));
            assert_eq!(
                parts.flatten().collect::<Vec<_>>(),
                (0..all).collect::<Vec<_>>(),
                "{all} by {of}"
            );
        }
    }

    #[test]
    fn what_was_done_before_is_left_out_if_the_frontier_is_the_same() {
        let left = |prefixes: Prefixes| prefixes.of(7, 5);
        assert_eq!(left(Prefixes::all(1).without(7, 0).without(7, 3)), [1, 2, 4]);
        assert_eq!(left(Prefixes::all(1).without(8, 0)), [0, 1, 2, 3, 4], "of another frontier");
        assert_eq!(left(Prefixes::all(1).without(7, 0).at_most(2)), [1, 2]);
    }
}
