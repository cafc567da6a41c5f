//! What is known of the space: which decisions were open where, and what came of them.
//!
//! A node is a state, or a choice within a step; an edge is a decision, and leads to the next node or
//! to the end. No state can come again within an execution, for the history of the thread that takes a
//! step grows with it: so the graph has no cycles. (Threads that forget their history could make one; that
//! ends the run.) An execution is a walk: at every node it takes an edge
//! that is open, or else one that leads towards a node with an open edge. A walk that gets into a node
//! below which all is known learns nothing more; the space is exhausted when the first node is like that.
//! Compared with a depth first search that stops at every state seen before, a walk goes on through known
//! states and takes many new edges, so far fewer executions are needed.
//!
//! The first walk is made twice: a program that does not do the same in the same state is found out by
//! that if it was lucky enough not to come to any state on two ways.
//!
//! # Edges that are never taken
//!
//! Of the threads that can go on in a state it is enough to follow some, if no step that the others can
//! take before one of these moves meets with the steps of these: a *persistent set*. Everybody else can
//! as well come later. A node begins with one edge. When all below it is known it is known, too, what the
//! others would do, for they do it there; if that meets with the step that was taken, another edge is
//! opened. `persistent.rs` says how that is found, and why it is sound.
//!
//! Where two threads are followed, their next steps may commute all the same; it is a later one that does
//! not. Then both orders of the two lead to the same state, and if it is known where one leads, the other
//! one is known without being taken: the *diamond* is closed (`Graph::close_diamonds`). A walk that comes
//! by that edge later on its way to something else finds out if that was wrong.

use super::footprint::{Footprint, Move, Told, Touch, Touches};
use super::forecast::Forecast;
use super::persistent::{Here, Seen, Stand, Taken, Waits};
use super::visited::Visited;
use std::collections::HashMap;

/// Nobody has come to the end of this edge.
const UNKNOWN: u32 = u32::MAX;
/// This edge leads to the end of the execution.
const END: u32 = u32::MAX - 1;

/// Edges of a node: as many as there are bits.
type Set = u32;

#[derive(Debug)]
struct Node {
    /// Where its edges begin.
    first: u32,
    /// The walk that was here last.
    walk: u32,
    /// Edges that were taken.
    taken: Set,
    /// Edges that have to be.
    chosen: Set,
    /// Where the threads are: a number of [`Seen`].
    stands: u32,
    /// What may be touched from here on: another number, once it is settled.
    touched: u32,
    edges: u8,
    /// A choice of a thread, as opposed to one among threads.
    choice: bool,
    /// Whether everything below it is known.
    settled: bool,
}

impl Node {
    fn all(&self) -> Set {
        Set::MAX >> (Set::BITS - u32::from(self.edges))
    }

    fn open(&self) -> Set {
        self.chosen & !self.taken
    }
}

/// States and the decisions between them.
#[derive(Debug)]
pub(super) struct Graph {
    /// Whether edges may be left out.
    reduces: bool,
    nodes: Vec<Node>,
    edges: Vec<u32>,
    visited: Visited,
    touches: Touches,
    seen: Seen,
    /// The terms of moves that tell an oracle something by being made.
    watched: HashMap<u128, Told>,
    /// What the steps of edges tell oracles.
    told: HashMap<u32, Vec<Touch>>,
    /// The node that the walk was at last, and the edge by which it left.
    last: Option<(u32, u32)>,
    /// The node and the edge of the step that is being made.
    made: Option<(u32, u32, Move)>,
    forecast: Forecast,
    /// The way to an open edge: nodes and the edges to take there, last first.
    way: Vec<(u32, u32)>,
    /// The walk is in a part where everything is known.
    idle: bool,
    /// How many walks there were before this one.
    walks: u32,
    /// The edges of the first walk, which the second one takes again; the next one is last.
    first: Vec<u32>,
    /// How many of the nodes are states with a decision among threads.
    states: usize,
}

impl Graph {
    /// `reduces`: whether edges may be left out. If not, every state is come to.
    pub(super) fn new(reduces: bool) -> Graph {
        Graph {
            reduces,
            nodes: Vec::new(),
            edges: Vec::new(),
            visited: Visited::default(),
            touches: Touches::default(),
            seen: Seen::default(),
            watched: HashMap::new(),
            told: HashMap::new(),
            last: None,
            made: None,
            forecast: Forecast::default(),
            way: Vec::new(),
            idle: false,
            walks: 0,
            first: Vec::new(),
            states: 0,
        }
    }

    /// The walk is at a state with this fingerprint, where each thread is about to do this, or waits,
    /// or has ended. Who goes on: the place among those that can; `None` if everything below is known.
    pub(super) fn decide(&mut self, fingerprint: u128, threads: &[(Move, Waits)]) -> Option<usize> {
        if self.idle {
            return None;
        }
        let ways = threads.iter().filter(|(_, waits)| *waits == Waits::Nothing).count();
        let above = self.last;
        let node = match self.arrive(fingerprint, ways) {
            Arrived::Known(node) => node,
            Arrived::New(node) => {
                self.begin(node, threads);
                node
            }
        };
        if let Some(above) = above
            && self.reduces
        {
            self.close_diamonds(above, node);
        }
        let edge = self.take(node)?;
        let mut able = threads.iter().filter(|(_, waits)| *waits == Waits::Nothing);
        let (made, _) = able.nth(edge as usize).expect("an edge for each thread that can go on");
        self.made = Some((node, edge, *made));
        if let Some(told) = self.watched.get(&made.term) {
            self.tells(*told);
        }
        Some(edge as usize)
    }

    /// The walk is at a choice among `ways` of the thread that makes the step. Which one to take;
    /// `None` if everything below is known.
    pub(super) fn choose(&mut self, fingerprint: u128, ways: usize) -> Option<usize> {
        if self.idle {
            return None;
        }
        let node = match self.arrive(fingerprint, ways) {
            Arrived::Known(node) => node,
            Arrived::New(node) => {
                let node_here = &mut self.nodes[node as usize];
                (node_here.choice, node_here.chosen) = (true, node_here.all());
                node
            }
        };
        self.take(node).map(|edge| edge as usize)
    }

    /// The step with this term will tell an oracle this by being made.
    pub(super) fn will_tell(&mut self, term: u128, told: Told) {
        self.watched.insert(term, told);
    }

    /// The step that is being made tells an oracle this.
    pub(super) fn tells(&mut self, told: Told) {
        if let Some((node, edge, made)) = self.made {
            let touch = self.touches.telling(told, made.holds);
            let known = self.told.entry(self.nodes[node as usize].first + edge).or_default();
            if !known.contains(&touch) {
                known.push(touch);
                self.forecast.learn(made.thread, made.after, touch);
            }
        }
    }

    /// All threads have ended: what is done from here on is no step of anybody's.
    pub(super) fn ends(&mut self) {
        self.made = None;
    }

    fn take(&mut self, node: u32) -> Option<u32> {
        let edge = match self.walks {
            1 if !self.first.is_empty() => self.first.pop(),
            _ => self.pick(node),
        };
        if self.walks == 0 {
            self.first.extend(edge);
        }
        self.idle = edge.is_none();
        self.last = edge.map(|edge| (node, edge));
        self.made = self.made.filter(|_| !self.idle);
        edge
    }

    /// The walk has come to an end. Whether it spent its end where everything was known.
    pub(super) fn end(&mut self) -> bool {
        if let Some(last) = self.last.take() {
            self.lead(last, END);
        }
        self.way.clear();
        self.made = None;
        self.walks += 1;
        match self.walks {
            1 => self.first.reverse(),
            _ => self.first.clear(),
        }
        core::mem::take(&mut self.idle)
    }

    /// Whether everything is known, and the first walk was made again.
    pub(super) fn exhausted(&mut self) -> bool {
        let exhausted = self.walks > 1 && (self.nodes.is_empty() || self.settle(0));
        self.way.clear();
        exhausted
    }

    /// How many states with a decision among threads are known.
    pub(super) fn states(&self) -> usize {
        self.states
    }

    fn arrive(&mut self, fingerprint: u128, ways: usize) -> Arrived {
        assert!(ways <= Set::BITS as usize, "{ways} ways on from one state are too many");
        let last = self.last.take();
        let next = self.nodes.len() as u32;
        let node = self.visited.number(fingerprint);
        if node == next {
            self.nodes.push(Node {
                first: self.edges.len() as u32,
                walk: u32::MAX,
                taken: 0,
                chosen: 0,
                stands: 0,
                touched: 0,
                edges: ways as u8,
                choice: false,
                settled: false,
            });
            self.edges.resize(self.edges.len() + ways, UNKNOWN);
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
            "a state came again within one execution: a loop that forgets need not end, or, if \
             none does, the fingerprint leaves something out"
        );
        if let Some(last) = last {
            self.lead(last, node);
        }
        if node == next { Arrived::New(node) } else { Arrived::Known(node) }
    }

    /// A state that was not known: where its threads are, and with which edge to begin.
    fn begin(&mut self, node: u32, threads: &[(Move, Waits)]) {
        let stand = |(at, waits): &(Move, Waits)| {
            let touch = self.touches.number(at);
            if *waits != Waits::Over {
                self.forecast.learn(at.thread, at.after, touch);
            }
            Stand { touch, waits: *waits, holds: at.holds }
        };
        let stands: Vec<_> = threads.iter().map(stand).collect();
        let here = &self.nodes[node as usize];
        let first = match here.edges {
            2.. if self.reduces => 1 << self.guess(threads, &stands),
            _ => here.all(),
        };
        let here = &mut self.nodes[node as usize];
        self.states += usize::from(here.edges > 1);
        (here.stands, here.chosen) = (self.seen.stands(stands), first);
    }

    /// The edge of a thread whose next step is likely to meet with the fewest others.
    fn guess(&self, threads: &[(Move, Waits)], stands: &[Stand]) -> usize {
        let able = threads.iter().zip(stands).filter(|((_, waits), _)| *waits == Waits::Nothing);
        let met = |((mover, _), stand): &(&(Move, Waits), &Stand)| {
            let kept = self.touches.kept_by(&mover.holds);
            let meets = |(other, waits): &&(Move, Waits)| {
                let mut later = self.forecast.of(other.thread, other.after);
                later.leave_out(&kept);
                *waits != Waits::Over
                    && other.thread != mover.thread
                    && self.touches.against(stand.touch).meets(&later)
            };
            threads.iter().filter(meets).count()
        };
        let met = able.map(|able| met(&able)).enumerate();
        met.min_by_key(|(_, met)| *met).map_or(0, |(edge, _)| edge)
    }

    /// The walk has come from an edge of the node above. Where another thread's step there commutes with
    /// the one that was made, and it is known what both lead to the other way round, its edge here
    /// leads there as well, and need not be taken.
    fn close_diamonds(&mut self, (above, by): (u32, u32), node: u32) {
        if self.nodes[above as usize].choice {
            return;
        }
        let made = self.mover(above, by);
        let mut open = self.nodes[node as usize].open();
        while open != 0 {
            let edge = open.trailing_zeros();
            open &= open - 1;
            let other = self.mover(node, edge);
            let Some(first) = self.edge_of(above, other) else { continue };
            let Some(beside) = self.state_after(above, first) else { continue };
            let Some(second) = self.edge_of(beside, made) else { continue };
            let to = self.edges[(self.nodes[beside as usize].first + second) as usize];
            let ends_a_step = to == END || to != UNKNOWN && !self.nodes[to as usize].choice;
            if !ends_a_step || !self.commute(above, by, first) {
                continue;
            }
            let told = self.told.get(&(self.nodes[above as usize].first + first)).cloned();
            let here = &mut self.nodes[node as usize];
            here.taken |= 1 << edge;
            let edge = here.first + edge;
            self.edges[edge as usize] = to;
            if let Some(told) = told {
                self.told.insert(edge, told);
            }
        }
    }

    /// The thread of an edge of a state.
    fn mover(&self, node: u32, edge: u32) -> usize {
        self.seen.able(self.nodes[node as usize].stands).nth(edge as usize).expect("an able thread")
    }

    /// The edge of a thread, if it can go on.
    fn edge_of(&self, node: u32, thread: usize) -> Option<u32> {
        let place = self.seen.able(self.nodes[node as usize].stands).position(|t| t == thread);
        place.map(|place| place as u32)
    }

    /// The state to which an edge leads, if it is known and a state.
    fn state_after(&self, node: u32, edge: u32) -> Option<u32> {
        let to = self.edges[(self.nodes[node as usize].first + edge) as usize];
        (to != END && to != UNKNOWN && !self.nodes[to as usize].choice).then_some(to)
    }

    /// Whether the steps of two edges of a state commute, both of which were made.
    fn commute(&self, node: u32, one: u32, other: u32) -> bool {
        let first = self.nodes[node as usize].first;
        let all = |edge: u32| {
            let touch = self.seen.touch(self.nodes[node as usize].stands, self.mover(node, edge));
            let told = self.told.get(&(first + edge)).into_iter().flatten();
            let mut all = Footprint::default();
            std::iter::once(&touch).chain(told).for_each(|touch| all.add(*touch));
            all
        };
        let touch = self.seen.touch(self.nodes[node as usize].stands, self.mover(node, one));
        let told = self.told.get(&(first + one)).into_iter().flatten();
        let other = all(other);
        std::iter::once(&touch).chain(told).all(|touch| !self.touches.against(*touch).meets(&other))
    }

    fn lead(&mut self, (from, edge): (u32, u32), to: u32) {
        let edge = self.nodes[from as usize].first + edge;
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
        if self.way.is_empty() {
            return self.pick(node); // an edge of its own was opened
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
                let node = *node;
                self.way.pop();
                if !self.conclude(node) {
                    return false;
                }
                if let Some((_, edge)) = self.way.last_mut() {
                    *edge += 1;
                }
                continue;
            }
            let to = self.edges[(here.first + *edge) as usize];
            // The end of an edge that need not be taken is not known, and of no interest.
            if to == END || to == UNKNOWN || self.nodes[to as usize].settled {
                *edge += 1;
            } else {
                self.way.push((to, 0));
                assert!(
                    self.way.len() <= self.nodes.len(),
                    "the states lead back to themselves: a loop that forgets need not end, or, if \
                     none does, the fingerprint leaves something out"
                );
            }
        }
        true
    }

    /// All edges that were to be taken lead to where everything is known. Whether that is enough; if
    /// it is not, others are open now.
    fn conclude(&mut self, node: u32) -> bool {
        if !self.reduces {
            self.nodes[node as usize].settled = true;
            return true;
        }
        let here = self.here(node);
        if here.choice {
            let touched = self.seen.of_a_choice(&here);
            let known = &mut self.nodes[node as usize];
            (known.settled, known.touched) = (true, touched);
            return true;
        }
        let more = self.seen.missing(&here, &self.touches);
        let known = &mut self.nodes[node as usize];
        known.chosen |= more;
        if more != 0 {
            return false;
        }
        let touched = self.seen.of_a_state(&here, &self.touches);
        let known = &mut self.nodes[node as usize];
        (known.settled, known.touched) = (true, touched);
        true
    }
}

impl Graph {
    /// What is known of a node, put together.
    fn here(&self, node: u32) -> Here {
        let known = &self.nodes[node as usize];
        let edges = (0..u32::from(known.edges)).filter(|edge| known.chosen & 1 << edge != 0);
        let ways = edges.map(|edge| {
            let to = self.edges[(known.first + edge) as usize];
            let after = if to == END { Seen::NOTHING } else { self.nodes[to as usize].touched };
            let (mut tells, mut against) = (Footprint::default(), Footprint::default());
            for touch in self.told.get(&(known.first + edge)).into_iter().flatten() {
                tells.add(*touch);
                against.join(&self.touches.against(*touch));
            }
            Taken { edge, tells, against, after }
        });
        Here {
            stands: known.stands,
            choice: known.choice,
            all: known.chosen == known.all(),
            taken: ways.collect(),
        }
    }
}

/// Where a walk has come to.
enum Arrived {
    Known(u32),
    New(u32),
}

#[cfg(test)]
mod tests {
    use super::super::footprint::Holds;
    use super::*;
    use crate::engine::record::{Object, Op};

    /// Threads, and the object that each is about to write to, or what it waits for.
    type At = (usize, Waits);
    const OVER: At = (99, Waits::Over);

    fn at(object: usize) -> At {
        (object, Waits::Nothing)
    }

    fn moves(of: &[At]) -> Vec<(Move, Waits)> {
        let one = |(place, &(object, waits)): (usize, &At)| {
            let (op, object, holds) = (Op::Store, Object::thread(object), Holds::default());
            (Move { thread: place + 1, op, object, term: 0, holds, after: 0 }, waits)
        };
        of.iter().enumerate().map(one).collect()
    }

    /// Which ways a walk takes through these states. The first one is made twice.
    fn walk(graph: &mut Graph, stops: &[(u128, &[At])]) -> Vec<Option<usize>> {
        let once = |graph: &mut Graph| {
            let took: Vec<_> =
                stops.iter().map(|(name, of)| graph.decide(*name, &moves(of))).collect();
            graph.end();
            took
        };
        let took = once(graph);
        if graph.walks == 1 {
            assert!(!graph.exhausted(), "not before it was made twice");
            assert_eq!(once(graph), took, "the second walk is the first one again");
        }
        took
    }

    /// Two threads with a step each; whether a second order is needed.
    fn two(first: usize, second: usize) -> bool {
        let mut graph = Graph::new(true);
        let took = walk(&mut graph, &[(1, &[at(first), at(second)]), (2, &[OVER, at(second)])]);
        assert_eq!(took, [Some(0), Some(0)]);
        let more = !graph.exhausted();
        if more {
            let took = walk(&mut graph, &[(1, &[at(first), at(second)]), (3, &[at(first), OVER])]);
            assert_eq!(took, [Some(1), Some(0)], "the other order is open");
            assert!(graph.exhausted());
        }
        more
    }

    #[test]
    fn steps_that_commute_are_taken_in_one_order_and_others_in_both() {
        assert!(!two(5, 6), "two objects");
        assert!(two(5, 5), "one object");
    }

    /// What the other thread is about to do is harmless; what it does after that is not.
    #[test]
    fn what_comes_later_opens_an_edge_above() {
        let start: &[At] = &[at(5), at(6)];
        let mut graph = Graph::new(true);
        let states: &[(u128, &[At])] = &[(1, start), (2, &[OVER, at(6)]), (3, &[OVER, at(5)])];
        assert_eq!(walk(&mut graph, states), [Some(0); 3]);
        assert!(!graph.exhausted(), "the second thread could have been at 5 before the first");
        // In state 4 the first thread leads to state 3: the other order of two steps that commute.
        let states: &[(u128, &[At])] = &[(1, start), (4, &[at(5), at(5)]), (5, &[at(5), OVER])];
        assert_eq!(walk(&mut graph, states), [Some(1), Some(1), Some(0)]);
        assert!(graph.exhausted());
    }

    #[test]
    fn who_is_parked_is_followed_once_somebody_could_wake_him() {
        // The second thread is parked, and would write to 5 then. The third is about to unpark it,
        // or to do something else.
        let with = |third: usize| {
            let start: &[At] = &[at(5), (2, Waits::Parked), at(third)];
            let mut graph = Graph::new(true);
            let awake = if third == 2 { Waits::Nothing } else { Waits::Parked };
            let states: &[(u128, &[At])] = &[
                (1, start),
                (2, &[OVER, (2, Waits::Parked), at(third)]),
                (3, &[OVER, (2, awake), OVER]),
                (4, &[OVER, at(5), OVER]),
            ];
            let most = if third == 2 { 4 } else { 2 };
            assert_eq!(walk(&mut graph, &states[..most]), vec![Some(0); most]);
            graph.exhausted()
        };
        assert!(with(6), "nobody wakes the second thread");
        assert!(!with(2), "it is woken, and meets with the first one's step");
    }

    #[test]
    fn who_waits_for_a_lock_rests_as_long_as_its_holder() {
        let start: &[At] = &[at(5), (7, Waits::ForThread(0))];
        let mut graph = Graph::new(true);
        let states: &[(u128, &[At])] = &[(1, start), (2, &[OVER, at(7)]), (3, &[OVER, at(5)])];
        assert_eq!(walk(&mut graph, states), [Some(0); 3]);
        assert!(graph.exhausted(), "the second thread cannot be at 5 before the first");
    }

    #[test]
    fn who_waits_for_a_lock_is_followed_once_it_could_be_given_back() {
        let start: &[At] = &[at(5), (7, Waits::ForThread(2)), at(6)];
        let mut graph = Graph::new(true);
        let states: &[(u128, &[At])] = &[
            (1, start),
            (2, &[OVER, (7, Waits::ForThread(2)), at(6)]),
            (3, &[OVER, at(7), OVER]),
            (4, &[OVER, at(5), OVER]),
        ];
        assert_eq!(walk(&mut graph, states), [Some(0); 4]);
        assert!(!graph.exhausted(), "the second thread can be at 5 before the first");
    }

    #[test]
    fn what_comes_after_any_alternative_of_a_choice_opens_an_edge_above() {
        let start: &[At] = &[at(5), at(6)];
        let mut graph = Graph::new(true);
        let mut through = |alternative: usize, then: &[At]| {
            assert_eq!(graph.decide(1, &moves(start)), Some(0));
            assert_eq!(graph.decide(2, &moves(&[OVER, at(6)])), Some(0));
            assert_eq!(graph.choose(3, 2), Some(alternative));
            assert_eq!(graph.decide(4 + alternative as u128, &moves(then)), Some(0));
            graph.end();
        };
        through(0, &[OVER, at(7)]);
        through(0, &[OVER, at(7)]); // the first walk is made twice
        through(1, &[OVER, at(5)]);
        assert!(!graph.exhausted(), "the second thread can be at 5 before the first");
    }

    #[test]
    fn an_unreduced_graph_takes_every_edge() {
        let mut graph = Graph::new(false);
        let start: &[At] = &[at(5), at(6)];
        walk(&mut graph, &[(1, start), (2, &[OVER, at(6)])]);
        assert!(!graph.exhausted());
        assert_eq!(walk(&mut graph, &[(1, start), (3, &[at(5), OVER])]), [Some(1), Some(0)]);
        assert!(graph.exhausted());
    }
}
