//! A harvest under way: what it has still to ask, and what it found.
//!
//! It asks each item at its own instant, so a batch is not a snapshot. It takes no lock of the
//! event queue; the set of registrations does not change under it.

use super::Freedom;
use super::description::{Description, mask};
use super::epoll::{Key, Report};
use netpoller::seam::{Arc, Primitives};
use std::collections::VecDeque;

/// A harvest under way.
pub(super) struct Harvest<P: Primitives> {
    /// What it has not asked.
    pub(super) left: VecDeque<Look<P>>,
    /// What goes back to the end of the list: level-triggered items that were reported.
    pub(super) again: Vec<Key>,
    /// ONESHOT items that were reported.
    pub(super) spent: Vec<Key>,
    pub(super) reports: Vec<Report>,
    pub(super) freedom: Freedom,
}

/// What a harvest needs of an item.
pub(super) struct Look<P: Primitives> {
    pub(super) key: Key,
    pub(super) mask: u32,
    pub(super) data: u64,
    pub(super) description: Arc<Description<P>>,
}

impl<P: Primitives> Look<P> {
    fn bits(&self) -> u32 {
        self.description.poll() & self.mask
    }
}

impl<P: Primitives> Harvest<P> {
    pub(super) fn of(left: VecDeque<Look<P>>, freedom: Freedom) -> Harvest<P> {
        Harvest { left, again: Vec::new(), spent: Vec::new(), reports: Vec::new(), freedom }
    }

    /// Takes up to `most` events.
    pub(super) fn run(&mut self, most: usize) {
        let most = self.batch(most);
        while self.reports.len() < most {
            let Some(look) = self.next() else { break };
            let bits = look.bits();
            if bits == 0 {
                continue;
            }
            self.reports.push(Report { data: look.data, bits });
            if look.mask & mask::ONESHOT != 0 {
                self.spent.push(look.key);
            } else if look.mask & mask::ET == 0 {
                self.again.push(look.key);
            }
        }
    }

    /// How many events this harvest takes at most.
    fn batch(&self, most: usize) -> usize {
        let top = most.min(self.left.len());
        if self.freedom.any_batch && top > 1 { top - P::choose(top) } else { most }
    }

    fn next(&mut self) -> Option<Look<P>> {
        if self.freedom.any_order && self.left.len() > 1 {
            return self.left.remove(P::choose(self.left.len()));
        }
        self.left.pop_front()
    }

    /// Whether there is anything to report; what is stale in front of it is dropped.
    pub(super) fn probe(&mut self) -> bool {
        while let Some(look) = self.left.front() {
            if look.bits() != 0 {
                return true;
            }
            self.left.pop_front();
        }
        false
    }
}
