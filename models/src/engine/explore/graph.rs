//! What is known of the space: which decisions were open where, and what came of them.
//!
//! A node is a state with more than one way on; an edge is a decision, and leads to the next such
//! state or to the end. No state can come again within an execution, for the history of the thread
//! that takes a step grows with it: so the graph has no cycles. An execution is a walk: at every node
//! it takes an edge that is open, or else one that leads towards a node with an open edge. A walk
//! that gets into a node below which all is known learns nothing more; the space is exhausted when the
//! first node is like that. Compared with a depth first search that stops at every state seen before,
//! a walk goes on through known states and takes many new edges, so far fewer executions are needed.
//!
//! # Edges that are never taken
//!
//! Two steps that commute lead to the same state in either order, and it is enough to get there
//! once. Each node has a set of edges that are *asleep*: what follows them is seen elsewhere. Of two
//! edges of a node, the one that comes later in the node's order carries the earlier one along as
//! asleep, for as long as the steps made commute with it ([`sleep`](super::sleep)). So every state is
//! still reached; what is saved are edges, most of them. The order of a node is: what was asleep when
//! the walk got there for the first time; then the others, as they are numbered.
//!
//! A node that is reached on another way may be reached with less asleep. What is no longer asleep is
//! open then, and the node is not settled any more. (Nor is anything on the way by which the walk has
//! come; what else is above may be, for the search gets there by this way.) An edge that is opened like
//! that carries along what is still asleep and nothing else: the other edges of the node were taken with
//! it asleep, so it comes before them. (To remember the states and to forget what was asleep in them is
//! the well-known mistake: it can lose states.)
//!
//! A choice is a decision within a step, by the thread that makes the step: nothing commutes with it, and
//! it is taken whichever thread is asleep. When such a node is reached with less asleep all its edges
//! are taken again, to hand the news on.

use super::sleep::{Move, Sleep};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Nobody has come to the end of this edge.
const UNKNOWN: u32 = u32::MAX;
/// This edge leads to the end of the execution.
const END: u32 = u32::MAX - 1;

/// Edges of a node, or threads: as many as there are bits.
type Set = u32;

#[derive(Debug)]
struct Node {
    /// Where its edges begin.
    first: u32,
    /// The walk that was here last.
    walk: u32,
    /// Edges that were taken.
    taken: Set,
    /// Edges that need not be taken; of a choice: threads that are asleep.
    asleep: Set,
    /// What was asleep when it was reached first.
    asleep_first: Set,
    edges: u8,
    /// A choice of a thread, as opposed to one among threads.
    choice: bool,
    /// Whether everything below it is known.
    settled: bool,
}

impl Node {
    fn open(&self) -> Set {
        let all = Set::MAX >> (Set::BITS - u32::from(self.edges));
        let asleep = if self.choice { 0 } else { self.asleep };
        all & !self.taken & !asleep
    }

    /// Which edges come before this one.
    fn before(&self, edge: u32) -> Set {
        let bit = 1 << edge;
        if self.asleep_first & bit != 0 { self.asleep } else { self.asleep_first | (bit - 1) }
    }
}

/// States and the decisions between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    edges: Vec<u32>,
    names: HashMap<u128, u32, BuildHasherDefault<AsIs>>,
    /// The edge by which the walk left the last node, and that node.
    last: Option<(u32, u32)>,
    /// What is asleep where the walk is.
    sleep: Sleep,
    /// The way to an open edge: nodes and the edges to take there, last first.
    way: Vec<(u32, u32)>,
    /// The walk is in a part where everything is known.
    idle: bool,
    /// How many walks there were before this one.
    walks: u32,
    /// How many of the nodes are choices.
    choices: usize,
}

impl Graph {
    /// The walk is at a state with this fingerprint, where one of these moves is next. Which one;
    /// `None` if everything below is known.
    pub(super) fn decide(&mut self, fingerprint: u128, offers: &[Move]) -> Option<usize> {
        if self.idle {
            return None;
        }
        let asleep = self.sleep.among(offers);
        if let [only] = offers {
            if asleep != 0 {
                // What follows is seen elsewhere. Nobody needs to know where this edge leads.
                (self.idle, self.last) = (true, None);
                return None;
            }
            self.sleep.makes(*only);
            return Some(0);
        }
        let node = self.arrive(fingerprint, offers.len(), asleep, false);
        let edge = self.take(node)?;
        let before = self.nodes[node as usize].before(edge);
        self.sleep.carry(offers, before & !(1 << edge));
        self.sleep.makes(offers[edge as usize]);
        Some(edge as usize)
    }

    /// The walk is at a choice among `ways` of the thread that makes the step. Which one to take;
    /// `None` if everything below is known.
    pub(super) fn choose(&mut self, fingerprint: u128, ways: usize) -> Option<usize> {
        if self.idle {
            return None;
        }
        self.sleep.chooses();
        let node = self.arrive(fingerprint, ways, self.sleep.threads(), true);
        self.take(node).map(|edge| edge as usize)
    }

    /// The step with this term will change what an oracle can know.
    pub(super) fn will_tell(&mut self, term: u128) {
        self.sleep.will_tell(term);
    }

    /// The step that is being made changes what an oracle remembers.
    pub(super) fn tells(&mut self) {
        self.sleep.tells();
    }

    fn take(&mut self, node: u32) -> Option<u32> {
        let edge = self.pick(node);
        self.idle = edge.is_none();
        self.last = edge.map(|edge| (self.nodes[node as usize].first + edge, node));
        edge
    }

    /// The walk has come to an end. Whether it spent its end where everything was known.
    pub(super) fn end(&mut self) -> bool {
        if let Some((edge, _)) = self.last.take() {
            self.lead(edge, END);
        }
        self.way.clear();
        self.sleep.clear();
        self.walks += 1;
        core::mem::take(&mut self.idle)
    }

    /// Whether everything is known.
    pub(super) fn exhausted(&mut self) -> bool {
        let exhausted = self.nodes.is_empty() || self.settle(0);
        self.way.clear();
        exhausted
    }

    /// How many states with a decision among threads are known.
    pub(super) fn states(&self) -> usize {
        self.nodes.len() - self.choices
    }

    fn arrive(&mut self, fingerprint: u128, ways: usize, asleep: Set, choice: bool) -> u32 {
        assert!(ways <= Set::BITS as usize, "{ways} ways on from one state are too many");
        let last = self.last.take();
        let next = self.nodes.len() as u32;
        let node = *self.names.entry(fingerprint).or_insert(next);
        if node == next {
            self.nodes.push(Node {
                first: self.edges.len() as u32,
                walk: u32::MAX,
                taken: 0,
                asleep,
                asleep_first: asleep,
                edges: ways as u8,
                choice,
                settled: false,
            });
            self.edges.resize(self.edges.len() + ways, UNKNOWN);
            self.choices += usize::from(choice);
        } else {
            self.awake(node, asleep);
        }
        // Not a failure of the program under test: the fingerprint left something out, or the
        // program depends on something that is not its state.
        assert_eq!(
            usize::from(self.nodes[node as usize].edges),
            ways,
            "a state that was seen before has another number of ways on: the program under test \
             is not a function of what it observed"
        );
        let seen = core::mem::replace(&mut self.nodes[node as usize].walk, self.walks);
        assert_ne!(
            seen, self.walks,
            "a state came again within one execution, although histories only grow: the \
             fingerprint leaves something out"
        );
        if let Some((edge, _)) = last {
            self.lead(edge, node);
        }
        node
    }

    /// A known node was reached with no more than this asleep.
    fn awake(&mut self, node: u32, asleep: Set) {
        let known = &mut self.nodes[node as usize];
        if known.asleep & !asleep == 0 {
            return;
        }
        known.asleep &= asleep;
        known.settled = false;
        if known.choice {
            known.taken = 0;
        }
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

    /// An edge of the node that is open or leads towards an open one.
    fn pick(&mut self, node: u32) -> Option<u32> {
        let open = self.nodes[node as usize].open();
        if open != 0 {
            self.way.clear();
            let edge = open.trailing_zeros();
            self.nodes[node as usize].taken |= 1 << edge;
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

    /// Whether everything below a node is known. If not, `way` is left as the way from the node to
    /// one with an open edge, first node first.
    fn settle(&mut self, start: u32) -> bool {
        self.way.clear();
        if self.nodes[start as usize].settled {
            return true;
        }
        self.way.push((start, 0));
        while let Some((node, edge)) = self.way.last_mut() {
            let here = &self.nodes[*node as usize];
            if here.open() != 0 {
                self.way.pop();
                return false;
            }
            if *edge == u32::from(here.edges) {
                self.nodes[*node as usize].settled = true;
                self.way.pop();
                if let Some((_, edge)) = self.way.last_mut() {
                    *edge += 1;
                }
                continue;
            }
            let to = self.edges[(here.first + *edge) as usize];
            // Of an edge that is asleep, and of one that leads to where all threads are, the end is not
            // known and of no interest.
            if to == END || to == UNKNOWN || self.nodes[to as usize].settled {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::{Object, Op};

    /// Threads and the objects that they are about to write to.
    fn moves(of: &[(usize, usize)]) -> Vec<Move> {
        let one = |&(thread, object): &(usize, usize)| Move {
            thread,
            op: Op::Store,
            object: Object::thread(object),
            term: thread as u128,
        };
        of.iter().map(one).collect()
    }

    /// What a walk comes to.
    enum Stop<'a> {
        /// A state, and the moves there.
        State(u128, &'a [(usize, usize)]),
        /// A choice, and how many ways there are.
        Choice(u128, usize),
    }
    use Stop::{Choice, State};

    /// Which ways the walk takes.
    fn walk(graph: &mut Graph, stops: &[Stop<'_>]) -> Vec<Option<usize>> {
        let took = stops.iter().map(|stop| match stop {
            State(name, of) => graph.decide(*name, &moves(of)),
            Choice(name, ways) => graph.choose(*name, *ways),
        });
        let took = took.collect();
        graph.end();
        took
    }

    /// Two ways lead to C: one with thread 2 asleep, and then one without.
    #[test]
    fn what_is_not_asleep_any_more_is_opened_and_comes_before_the_others() {
        let start = || State(1, &[(4, 4), (5, 5)]);
        let a = || State(2, &[(2, 2), (3, 3)]);
        let c = || State(3, &[(1, 1), (2, 2)]);
        let d = || State(4, &[(7, 7), (8, 7)]);
        let e = || State(5, &[(1, 1), (6, 6)]);
        let mut graph = Graph::default();
        assert_eq!(walk(&mut graph, &[start(), a()]), [Some(0), Some(0)]);
        assert_eq!(walk(&mut graph, &[start(), d()]), [Some(1), Some(0)]);
        let to_c = walk(&mut graph, &[start(), a(), c()]);
        assert_eq!(to_c, [Some(0), Some(1), Some(0)], "thread 2 is asleep in C");
        let to_e = walk(&mut graph, &[start(), d(), c(), e()]);
        let opened = [Some(1), Some(1), Some(1), Some(0)];
        assert_eq!(to_e, opened, "thread 2 is not asleep in C any more, nor thread 1 in E");
        assert!(!graph.exhausted(), "there is more below C than before");
        let more = walk(&mut graph, &[start(), d(), c(), e()]);
        assert_eq!(more, [Some(1), Some(1), Some(1), Some(1)], "C was left below as it was");
        assert!(graph.exhausted());
    }

    /// The same with a choice between them and the state with less asleep.
    #[test]
    fn a_choice_hands_on_that_less_is_asleep() {
        let start = || State(1, &[(4, 4), (5, 5)]);
        let a = || State(2, &[(2, 2), (3, 3)]);
        let d = || State(4, &[(7, 3), (3, 3)]);
        let after = || State(6, &[(2, 2), (6, 6)]);
        let mut graph = Graph::default();
        assert_eq!(walk(&mut graph, &[start(), a()]), [Some(0), Some(0)]);
        assert_eq!(walk(&mut graph, &[start(), d()]), [Some(1), Some(0)]);
        let first = walk(&mut graph, &[start(), a(), Choice(3, 2), after()]);
        assert_eq!(first, [Some(0), Some(1), Some(0), Some(1)], "thread 2 is asleep");
        let other = walk(&mut graph, &[start(), a(), Choice(3, 2)]);
        assert_eq!(other, [Some(0), Some(1), Some(1)]);
        let again = walk(&mut graph, &[start(), d(), Choice(3, 2), after()]);
        assert_eq!(again, [Some(1), Some(1), Some(0), Some(0)], "thread 2 is not asleep any more");
    }
}
