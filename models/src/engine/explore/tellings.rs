//! What the steps of edges tell oracles.
//!
//! An edge has the number of a list: there are few lists, and as many edges as there are ways on.

use super::footprint::Touch;
use super::pool::Pool;

/// What is told by each edge.
#[derive(Debug)]
pub(super) struct Tellings {
    /// By edge: the number of its list.
    edges: Vec<u32>,
    lists: Pool<Vec<Touch>>,
}

/// The number of the list with nothing in it.
const NOTHING: u32 = 0;

impl Default for Tellings {
    fn default() -> Self {
        let mut lists = Pool::default();
        lists.number(Vec::new());
        Tellings { edges: Vec::new(), lists }
    }
}

impl Tellings {
    /// There are so many edges now; the new ones tell nothing as yet.
    pub(super) fn resize(&mut self, edges: usize) {
        self.edges.resize(edges, NOTHING);
    }

    /// What the step of an edge tells.
    pub(super) fn of(&self, edge: u32) -> &[Touch] {
        self.lists.get(self.edges[edge as usize])
    }

    /// The step of this edge tells this, too. Whether that is new.
    pub(super) fn add(&mut self, edge: u32, touch: Touch) -> bool {
        let known = self.of(edge);
        if known.contains(&touch) {
            return false;
        }
        let all = known.iter().copied().chain([touch]).collect();
        self.edges[edge as usize] = self.lists.number(all);
        true
    }

    /// The number of the list of an edge.
    pub(super) fn number(&self, edge: u32) -> u32 {
        self.edges[edge as usize]
    }

    /// The same, if there is anything in the list.
    pub(super) fn list(&self, edge: u32) -> Option<u32> {
        Some(self.number(edge)).filter(|list| *list != NOTHING)
    }

    /// The step of this edge tells what is in this list.
    pub(super) fn set(&mut self, edge: u32, list: u32) {
        self.edges[edge as usize] = list;
    }
}
