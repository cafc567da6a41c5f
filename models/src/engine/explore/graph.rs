//! What is known of the space: which decisions were open where, and what came of them.
//!
//! [`Graph`] knows states. A node is a state with more than one way on; an edge is a decision, and
//! leads to the next such state or to the end. No state can come again within an execution, for
//! the history of the thread that takes a step grows with it: so the graph has no cycles. An
//! execution is a walk: at every node it takes an edge that nobody took before, or else one that
//! leads towards such an edge. A walk that gets into a node below which all is known learns
//! nothing more; the space is exhausted when the first node is like that. Compared with a depth
//! first search that stops at every state seen before, a walk goes on through known states and
//! takes many new edges, so far fewer executions are needed.
//!
//! [`Tree`] knows no states: every schedule, depth first. It is there to be compared with.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Nobody has taken this edge.
const UNKNOWN: u32 = u32::MAX;
/// This edge leads to the end of the execution.
const END: u32 = u32::MAX - 1;

#[derive(Debug)]
struct Node {
    /// Where its edges begin.
    first: u32,
    edges: u16,
    /// How many of the edges nobody has taken.
    open: u16,
    /// Whether everything below it is known.
    settled: bool,
    /// The walk that was here last.
    walk: u64,
}

/// States and the decisions between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    edges: Vec<u32>,
    names: HashMap<u128, u32, BuildHasherDefault<AsIs>>,
    /// The edge by which the walk left the last node.
    last: Option<u32>,
    /// The way to an edge that nobody took: nodes and the edges to take there, last first.
    way: Vec<(u32, u16)>,
    /// The walk is in a part where everything is known.
    idle: bool,
    /// How many walks there were before this one.
    walks: u64,
}

impl Graph {
    /// The walk is at a state with this fingerprint, where `choices` decisions are open. Which one
    /// to take; `None` if everything below is known.
    pub(super) fn decide(&mut self, fingerprint: u128, choices: usize) -> Option<usize> {
        if self.idle {
            return None;
        }
        let node = self.arrive(fingerprint, choices);
        let Some(edge) = self.pick(node) else {
            self.idle = true;
            return None;
        };
        self.last = Some(self.nodes[node as usize].first + u32::from(edge));
        Some(usize::from(edge))
    }

    /// The walk has come to an end. Whether it spent its end where everything was known.
    pub(super) fn end(&mut self) -> bool {
        if let Some(edge) = self.last.take() {
            self.lead(edge, END);
        }
        self.way.clear();
        self.walks += 1;
        core::mem::take(&mut self.idle)
    }

    /// Whether everything is known.
    pub(super) fn exhausted(&mut self) -> bool {
        let exhausted = self.nodes.is_empty() || self.settle(0);
        self.way.clear();
        exhausted
    }

    /// How many states are known.
    pub(super) fn states(&self) -> usize {
        self.nodes.len()
    }

    fn arrive(&mut self, fingerprint: u128, choices: usize) -> u32 {
        let next = self.nodes.len() as u32;
        let node = *self.names.entry(fingerprint).or_insert(next);
        if node == next {
            let first = self.edges.len() as u32;
            let edges = choices as u16;
            let walk = u64::MAX;
            self.nodes.push(Node { first, edges, open: edges, settled: false, walk });
            self.edges.resize(self.edges.len() + choices, UNKNOWN);
        }
        // Not a failure of the program under test: the fingerprint left something out, or the
        // program depends on something that is not its state.
        assert_eq!(
            usize::from(self.nodes[node as usize].edges),
            choices,
            "a state that was seen before has another number of ways on: the program under test \
             is not a function of what it observed"
        );
        let last = core::mem::replace(&mut self.nodes[node as usize].walk, self.walks);
        assert_ne!(
            last, self.walks,
            "a state came again within one execution, although histories only grow: the \
             fingerprint leaves something out"
        );
        if let Some(edge) = self.last.take() {
            self.lead(edge, node);
        }
        node
    }

    fn lead(&mut self, edge: u32, to: u32) {
        let known = &mut self.edges[edge as usize];
        assert!(
            *known == UNKNOWN || *known == to,
            "one decision in one state led to two different states: the program under test is not \
             a function of what it observed"
        );
        *known = to;
    }

    /// An edge of the node that is new or leads to a new one.
    fn pick(&mut self, node: u32) -> Option<u16> {
        if let Some(edge) = self.open_edge(node) {
            self.way.clear();
            self.nodes[node as usize].open -= 1;
            return Some(edge);
        }
        if let Some((expected, edge)) = self.way.pop()
            && expected == node
        {
            return Some(edge);
        }
        self.way.clear();
        if self.settle(node) {
            return None;
        }
        self.way.reverse();
        self.way.pop().map(|(_, edge)| edge)
    }

    fn open_edge(&self, node: u32) -> Option<u16> {
        let Node { first, edges, open, .. } = self.nodes[node as usize];
        if open == 0 {
            return None;
        }
        (0..edges).find(|edge| self.edges[first as usize + usize::from(*edge)] == UNKNOWN)
    }

    /// Whether everything below a node is known. If not, `way` is left as the way from the node to
    /// one with an open edge, first node first.
    fn settle(&mut self, start: u32) -> bool {
        self.way.clear();
        if self.nodes[start as usize].settled {
            return true;
        }
        self.way.push((start, 0));
        while let Some((node, edge)) = self.way.last_mut() {
            let Node { first, edges, open, .. } = self.nodes[*node as usize];
            if open > 0 {
                self.way.pop();
                return false;
            }
            if *edge == edges {
                self.nodes[*node as usize].settled = true;
                self.way.pop();
                if let Some((_, edge)) = self.way.last_mut() {
                    *edge += 1;
                }
                continue;
            }
            let to = self.edges[first as usize + usize::from(*edge)];
            // An edge that is being walked for the first time has no end yet, and cannot be here:
            // a way is looked for below the node at which the walk is.
            if to == END || self.nodes[to as usize].settled {
                *edge += 1;
            } else {
                self.way.push((to, 0));
                assert!(
                    self.way.len() <= self.nodes.len(),
                    "the states lead back to themselves: the fingerprint leaves something out"
                );
            }
        }
        true
    }
}

/// Every schedule, depth first.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Per decision: how many ways there were, and which one is taken.
    path: Vec<(u16, u16)>,
    /// How many decisions were taken in this execution.
    at: usize,
    exhausted: bool,
}

impl Tree {
    pub(super) fn decide(&mut self, choices: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push((choices as u16, 0));
        }
        let (_, way) = self.path[self.at];
        self.at += 1;
        usize::from(way)
    }

    /// The execution is over: on to the next schedule.
    pub(super) fn end(&mut self) {
        self.at = 0;
        while let Some((ways, way)) = self.path.pop() {
            if way + 1 < ways {
                self.path.push((ways, way + 1));
                return;
            }
        }
        self.exhausted = true;
    }

    pub(super) fn exhausted(&self) -> bool {
        self.exhausted
    }
}

/// A hasher for fingerprints, which are hashes already.
#[derive(Debug, Default)]
pub(super) struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks_exact(8) {
            self.0 ^= chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
    }

    fn write_u128(&mut self, fingerprint: u128) {
        self.0 = fingerprint as u64;
    }
}
