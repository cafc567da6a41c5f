//! One exploration in parts: which states divide the space, and how a walk gets to them.
//!
//! The space is *opened* from its first state, level by level, with every thread that can go on and every
//! alternative of every choice; nothing is left out. The level of a node is how many nodes an execution has
//! passed before it, choices included; it is the same on all ways to the node, for it is a sum over the
//! histories of the threads. Opening ends at the first level with enough states, or when all executions have
//! ended before. The states of that level are the *frontier*, in the order in which they were come to first;
//! with each goes the way by which that was, its *prefix*. Which states they are follows from the program and
//! from how many were asked for, and from nothing else: so whoever opens the same space numbers the same
//! prefixes.
//!
//! A walk takes the edges of a prefix, whatever is open on the way, and only where that ends does the search
//! of `graph.rs` begin. README.md has the argument why all prefixes together are the whole.
//!
//! - *Opening*: one execution for each edge between two levels, run to its end without learning anything once
//!   it has come to the new level. One walker does it; the others wait.
//! - *Exploring*: any walker takes any prefix below which something is open, until all is known below each
//!   that was asked for ([`Prefixes`]).

use super::prefixes::Prefixes;
use crate::engine::digest::Digest;
use crate::engine::outcome::Share;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Edges from the first node on.
pub(super) type Way = Vec<u32>;

/// A state of a level, how many ways on it has, and how it was come to first.
#[derive(Debug)]
struct Opened {
    node: u32,
    edges: u32,
    way: Way,
}

/// The level that is being opened.
#[derive(Debug, Default)]
struct Opening {
    /// The level above.
    above: Vec<Opened>,
    /// Which edge of which state above is taken next.
    state: usize,
    edge: u32,
    /// What was come to.
    level: Vec<Opened>,
    /// The first walk has begun, which finds the first level.
    begun: bool,
}

/// A space that is divided.
#[derive(Debug)]
pub(super) struct Split {
    prefixes: Arc<Prefixes>,
    /// Nothing once the frontier is known.
    opening: Option<Opening>,
    frontier: Vec<Opened>,
    /// Names the frontier.
    digest: u128,
    /// The prefixes that are to be explored still.
    left: Vec<usize>,
    done: BTreeSet<usize>,
    /// Those of them that nobody was told of.
    news: Vec<usize>,
    /// Something has failed: nobody need go on.
    pub(super) stopped: bool,
}

impl Split {
    pub(super) fn new(prefixes: &Arc<Prefixes>) -> Split {
        Split {
            prefixes: Arc::clone(prefixes),
            opening: Some(Opening::default()),
            frontier: Vec::new(),
            digest: 0,
            left: Vec::new(),
            done: BTreeSet::new(),
            news: Vec::new(),
            stopped: false,
        }
    }

    /// Whether the frontier is not known yet.
    pub(super) fn opens(&self) -> bool {
        self.opening.is_some()
    }

    /// A walk that opens the space has come by this way to a node with so many edges.
    pub(super) fn found(&mut self, node: u32, edges: u32, way: &Way) {
        if let Some(opening) = &mut self.opening
            && opening.level.iter().all(|known| known.node != node)
        {
            opening.level.push(Opened { node, edges, way: way.clone() });
        }
    }

    /// Where the next walk goes to open something; nothing if the frontier is known.
    pub(super) fn open(&mut self) -> Option<Way> {
        while let Some(opening) = &mut self.opening {
            if !core::mem::replace(&mut opening.begun, true) {
                return Some(Way::new());
            } else if let Some(above) = opening.above.get(opening.state) {
                if opening.edge < above.edges {
                    let way = above.way.iter().copied().chain([opening.edge]).collect();
                    opening.edge += 1;
                    return Some(way);
                }
                (opening.state, opening.edge) = (opening.state + 1, 0);
            } else {
                let level = core::mem::take(&mut opening.level);
                if level.is_empty() || level.len() >= self.prefixes.at_least() {
                    self.close(level);
                } else {
                    *opening = Opening { above: level, begun: true, ..Opening::default() };
                }
            }
        }
        None
    }

    /// This is the frontier.
    fn close(&mut self, frontier: Vec<Opened>) {
        let start = Digest::new(0xf407).with(frontier.len() as u64);
        let of = |opened: &Opened| {
            let start = Digest::new(u64::from(opened.edges)).with(opened.way.len() as u64);
            opened.way.iter().fold(start, |all, edge| all.with(u64::from(*edge)))
        };
        self.digest = frontier.iter().fold(start, |all, opened| all.with_digest(of(opened))).bits();
        self.left = self.prefixes.of(self.digest, frontier.len());
        self.frontier = frontier;
        self.opening = None;
    }

    /// The prefixes that are not done, `first` before all others: with the state that each leads to.
    pub(super) fn left(&self, first: usize) -> Vec<(usize, u32)> {
        let (before, after) =
            self.left.split_at(self.left.partition_point(|prefix| *prefix < first));
        let of = |prefix: &usize| (*prefix, self.frontier[*prefix].node);
        after.iter().chain(before).map(of).collect()
    }

    /// The prefix with which walker `number` of `of` begins.
    pub(super) fn beginning(&self, number: usize, of: usize) -> usize {
        self.left.get(self.left.len() * number / of).copied().unwrap_or(0)
    }

    pub(super) fn way(&self, prefix: usize) -> &Way {
        &self.frontier[prefix].way
    }

    /// All is known below the state that this prefix leads to.
    pub(super) fn finish(&mut self, prefix: usize) {
        self.left.retain(|left| *left != prefix);
        self.done.insert(prefix);
        self.news.push(prefix);
    }

    pub(super) fn prefixes(&self) -> Arc<Prefixes> {
        Arc::clone(&self.prefixes)
    }

    /// The prefixes that were done since this was asked last.
    pub(super) fn news(&mut self) -> Vec<Share> {
        let share = |prefix| Share::new(self.digest, self.frontier.len(), BTreeSet::from([prefix]));
        core::mem::take(&mut self.news).into_iter().map(share).collect()
    }

    /// What is done.
    pub(super) fn share(&self) -> Share {
        Share::new(self.digest, self.frontier.len(), self.done.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens a space in which each node has as many edges as `edges` says of the way to it; an execution
    /// ends where that is 0.
    fn opened(at_least: usize, edges: impl Fn(&[u32]) -> u32) -> Split {
        let mut split = Split::new(&Arc::new(Prefixes::all(at_least)));
        while let Some(way) = split.open() {
            let of = edges(&way);
            if of > 0 {
                // A name for the node, and none for those that can be come to in two ways.
                let node = way.iter().fold(1, |node, edge| node * 8 + edge);
                split.found(node, of, &way);
            }
        }
        split
    }

    #[test]
    fn a_space_is_opened_until_a_level_has_enough_states() {
        let split = opened(5, |way| if way.len() < 9 { 2 } else { 0 });
        assert_eq!((split.frontier.len(), split.left.len()), (8, 8));
        assert!(split.frontier.iter().all(|state| state.way.len() == 3), "{split:?}");
        let ways: BTreeSet<_> = split.frontier.iter().map(|state| state.way.clone()).collect();
        assert_eq!(ways.len(), 8, "every way is there, and is there once");
    }

    #[test]
    fn a_space_that_ends_before_is_opened_whole() {
        let split = opened(100, |way| if way.len() < 3 { 2 } else { 0 });
        assert!(!split.opens() && split.share().is_whole(), "{split:?}");
    }

    #[test]
    fn a_state_that_is_come_to_in_two_ways_is_one() {
        let mut split = Split::new(&Arc::new(Prefixes::all(2)));
        let nodes: [(&[u32], u32); 3] = [(&[], 0), (&[0], 1), (&[1], 1)];
        for (way, node) in nodes {
            assert_eq!(split.open().as_deref(), Some(way));
            split.found(node, 2, &way.to_vec());
        }
        assert_eq!(split.open().as_deref(), Some(&[0, 0][..]), "one state, with the first way");
    }

    #[test]
    fn the_name_of_a_frontier_is_that_of_its_prefixes() {
        let two = |way: &[u32]| if way.len() < 9 { 2 } else { 0 };
        let three = |way: &[u32]| if way.len() < 9 { 2 + u32::from(way == [0, 0, 0]) } else { 0 };
        assert_eq!(opened(5, two).digest, opened(8, two).digest);
        assert_ne!(opened(5, two).digest, opened(9, two).digest);
        assert_ne!(opened(5, two).digest, opened(5, three).digest);
    }
}
