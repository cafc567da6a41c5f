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

use super::conclusions::{Conclusion, Conclusions};
use super::footprint::{Footprint, Move, Told, Touches};
use super::forecast::Forecast;
use super::persistent::{Here, Seen, Stand, Taken, Waits};
use super::prefixes::Prefixes;
use super::split::Split;
use super::tellings::Tellings;
use super::visited::Visited;
use super::walker::Walk;
use std::collections::HashSet;
use std::sync::Arc;

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

    /// Which edge walker `number` looks at in this turn: not all begin with the same one.
    fn turn(&self, turn: u32, number: usize) -> u32 {
        (turn + number as u32) % u32::from(self.edges)
    }
}

/// What there is below a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// Everything is known.
    Known,
    /// Something is open.
    Open,
    /// Nothing is open, but another walk is under way to something that is not known.
    Pending,
}

/// States and the decisions between them: what all walks have learned.
#[derive(Debug)]
pub(super) struct Graph {
    /// Whether edges may be left out.
    reduces: bool,
    nodes: Vec<Node>,
    edges: Vec<u32>,
    visited: Visited,
    touches: Touches,
    seen: Seen,
    /// What the steps of edges tell oracles.
    told: Tellings,
    forecast: Forecast,
    concluded: Conclusions,
    /// A place for what is concluded from.
    key: Vec<u32>,
    /// How many walks have begun.
    walks: u32,
    /// How many of the nodes are states with a decision among threads.
    states: usize,
    /// How the space is divided, if it is.
    split: Option<Split>,
}

impl Graph {
    /// `reduces`: whether edges may be left out. If not, every state is come to. `prefixes`: if it is not the
    /// whole that is to be explored.
    pub(super) fn new(reduces: bool, prefixes: Option<&Arc<Prefixes>>) -> Graph {
        Graph {
            reduces,
            nodes: Vec::new(),
            edges: Vec::new(),
            visited: Visited::default(),
            touches: Touches::default(),
            seen: Seen::default(),
            told: Tellings::default(),
            forecast: Forecast::default(),
            concluded: Conclusions::default(),
            key: Vec::new(),
            walks: 0,
            states: 0,
            split: prefixes.map(Split::new),
        }
    }

    /// The walk is at a state with this fingerprint, where each thread is about to do this, or waits,
    /// or has ended. Who goes on: the place among those that can; `None` if there is nothing to be learned.
    pub(super) fn decide(
        &mut self,
        walk: &mut Walk,
        fingerprint: u128,
        threads: &[(Move, Waits)],
    ) -> Option<usize> {
        let ways = threads.iter().filter(|(_, waits)| *waits == Waits::Nothing).count();
        let above = walk.last;
        let node = match self.arrive(walk, fingerprint, ways) {
            Arrived::Known(node) => node,
            Arrived::New(node) => {
                self.begin(node, threads);
                node
            }
        };
        if let Some(above) = above
            && self.reduces
            && walk.is_past_its_prefix()
        {
            self.close_diamonds(above, node);
        }
        let edge = self.take(walk, node)?;
        let mut able = threads.iter().filter(|(_, waits)| *waits == Waits::Nothing);
        let (made, _) = able.nth(edge as usize).expect("an edge for each thread that can go on");
        walk.made = Some((node, edge, *made));
        if let Some(told) = made.tells {
            self.tells(walk, told);
        }
        Some(edge as usize)
    }

    /// The walk is at a choice among `ways` of the thread that makes the step. Which one to take;
    /// `None` if there is nothing to be learned.
    pub(super) fn choose(
        &mut self,
        walk: &mut Walk,
        fingerprint: u128,
        ways: usize,
    ) -> Option<usize> {
        let node = match self.arrive(walk, fingerprint, ways) {
            Arrived::Known(node) => node,
            Arrived::New(node) => {
                let node_here = &mut self.nodes[node as usize];
                (node_here.choice, node_here.chosen) = (true, node_here.all());
                node
            }
        };
        self.take(walk, node).map(|edge| edge as usize)
    }

    /// The step that is being made tells an oracle this.
    pub(super) fn tells(&mut self, walk: &Walk, told: Told) {
        if let Some((node, edge, made)) = walk.made {
            let touch = self.touches.telling(told, made.holds);
            if self.told.add(self.nodes[node as usize].first + edge, touch) {
                self.forecast.learn(made.thread, made.after, touch);
            }
        }
    }

    fn take(&mut self, walk: &mut Walk, node: u32) -> Option<u32> {
        let edge = match (walk.edge_of_its_prefix(), &mut self.split) {
            (Some(edge), _) => Some(edge),
            (None, Some(split)) if split.opens() => {
                split.found(node, u32::from(self.nodes[node as usize].edges), &walk.route);
                None
            }
            (None, _) => self.search(walk, node),
        };
        walk.idle = edge.is_none();
        walk.last = edge.map(|edge| (node, edge));
        walk.made = walk.made.filter(|_| !walk.idle);
        edge
    }

    /// The first walk that searches is made twice.
    fn search(&mut self, walk: &mut Walk, node: u32) -> Option<u32> {
        let edge = match walk.searches {
            1 if !walk.first.is_empty() => walk.first.pop(),
            _ => self.pick(walk, node),
        };
        if walk.searches == 0 {
            walk.first.extend(edge);
        }
        edge
    }

    /// A walk begins: its number.
    pub(super) fn walk(&mut self) -> u32 {
        self.walks += 1;
        self.walks
    }

    /// The walk has come to an end.
    pub(super) fn end(&mut self, walk: &Walk) {
        if let Some(last) = walk.last {
            self.lead(last, END);
        }
    }

    /// Whether the space is being opened.
    pub(super) fn opens(&self) -> bool {
        self.split.as_ref().is_some_and(Split::opens)
    }

    /// Whether everything is known, and the first walk was made again; or where the next one goes.
    pub(super) fn next(&mut self, walk: &mut Walk) -> Below {
        let next = if self.split.is_some() {
            self.next_prefix(walk)
        } else if walk.searches < 2 {
            Below::Open
        } else if self.nodes.is_empty() {
            Below::Known
        } else {
            self.settle(walk, 0)
        };
        // What one walker has found is the way that it would find again from there; others take edges meanwhile.
        if walk.of == 1 {
            walk.way.reverse()
        } else {
            walk.way.clear()
        }
        next
    }

    /// The same, where the space is divided.
    fn next_prefix(&mut self, walk: &mut Walk) -> Below {
        let Some(split) = &mut self.split else { return Below::Known };
        if split.stopped {
            return Below::Known;
        }
        if split.opens() {
            if walk.number > 0 {
                return Below::Pending;
            }
            if let Some(route) = split.open() {
                walk.route = route;
                return Below::Open;
            }
        }
        if walk.searches == 1 {
            return Below::Open; // the first one again
        }
        let first = walk.prefix.unwrap_or_else(|| split.beginning(walk.number, walk.of));
        let mut all = Below::Known;
        for (prefix, root) in split.left(first) {
            let below = self.settle(walk, root);
            let Some(split) = &mut self.split else { break };
            match below {
                Below::Known => split.finish(prefix),
                Below::Pending => all = Below::Pending,
                Below::Open => {
                    walk.prefix = Some(prefix);
                    walk.route.clone_from(split.way(prefix));
                    return Below::Open;
                }
            }
        }
        all
    }

    /// How the space is divided, if it is.
    pub(super) fn split(&mut self) -> Option<&mut Split> {
        self.split.as_mut()
    }

    /// How many states with a decision among threads are known.
    pub(super) fn states(&self) -> usize {
        self.states
    }

    fn arrive(&mut self, walk: &mut Walk, fingerprint: u128, ways: usize) -> Arrived {
        assert!(ways <= Set::BITS as usize, "{ways} ways on from one state are too many");
        let last = walk.last.take();
        let next = self.nodes.len() as u32;
        let node = match last.and_then(|last| self.known_after(last)) {
            // Where an edge leads is known as a rule, and need not be looked up.
            Some(node) if self.visited.is(node, fingerprint) => node,
            _ => self.visited.number(fingerprint),
        };
        if node == next {
            self.nodes.push(Node {
                first: self.edges.len() as u32,
                walk: 0,
                taken: 0,
                chosen: 0,
                stands: 0,
                touched: 0,
                edges: ways as u8,
                choice: false,
                settled: false,
            });
            self.edges.resize(self.edges.len() + ways, UNKNOWN);
            self.told.resize(self.edges.len());
        }
        // Not a failure of the program under test: the fingerprint left something out, or the
        // program depends on something that is not its state.
        assert_eq!(
            usize::from(self.nodes[node as usize].edges),
            ways,
            "a state that was seen before has another number of ways on: the program under test \
             is not a function of what it observed"
        );
        let seen = core::mem::replace(&mut self.nodes[node as usize].walk, walk.name);
        assert_ne!(
            seen, walk.name,
            "a state came again within one execution: a loop that forgets need not end, or, if \
             none does, the fingerprint leaves something out"
        );
        if let Some(last) = last {
            self.lead(last, node);
        }
        if node == next { Arrived::New(node) } else { Arrived::Known(node) }
    }

    /// The node that an edge leads to, if one is known.
    fn known_after(&self, (from, edge): (u32, u32)) -> Option<u32> {
        let to = self.edges[(self.nodes[from as usize].first + edge) as usize];
        (to != END && to != UNKNOWN).then_some(to)
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
            let told = self.told.list(self.nodes[above as usize].first + first);
            let here = &mut self.nodes[node as usize];
            here.taken |= 1 << edge;
            let edge = here.first + edge;
            self.edges[edge as usize] = to;
            if let Some(told) = told {
                self.told.set(edge, told);
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
        self.known_after((node, edge)).filter(|to| !self.nodes[*to as usize].choice)
    }

    /// Whether the steps of two edges of a state commute, both of which were made.
    fn commute(&self, node: u32, one: u32, other: u32) -> bool {
        let first = self.nodes[node as usize].first;
        let all = |edge: u32| {
            let touch = self.seen.touch(self.nodes[node as usize].stands, self.mover(node, edge));
            let told = self.told.of(first + edge);
            let mut all = Footprint::default();
            std::iter::once(&touch).chain(told).for_each(|touch| all.add(*touch));
            all
        };
        let touch = self.seen.touch(self.nodes[node as usize].stands, self.mover(node, one));
        let told = self.told.of(first + one);
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
    fn pick(&mut self, walk: &mut Walk, node: u32) -> Option<u32> {
        let open = self.nodes[node as usize].open();
        if open != 0 {
            walk.way.clear();
            let edge = open.trailing_zeros();
            self.nodes[node as usize].taken |= 1 << edge;
            return Some(edge);
        }
        if let Some((expected, edge)) = walk.way.pop()
            && expected == node
        {
            return Some(edge);
        }
        if self.settle(walk, node) != Below::Open {
            return None;
        }
        if walk.way.is_empty() {
            return self.pick(walk, node); // an edge of its own was opened
        }
        walk.way.reverse();
        walk.way.pop().map(|(_, edge)| edge)
    }

    /// What there is below a node. If something is open, `way` is left as the way from the node to one with
    /// an open edge, first node first.
    fn settle(&mut self, walk: &mut Walk, start: u32) -> Below {
        walk.way.clear();
        if self.nodes[start as usize].settled {
            return Below::Known;
        }
        // Nodes below which nothing is open, but somebody is under way.
        let mut pending = HashSet::new();
        walk.way.push((start, 0));
        while let Some((node, turn)) = walk.way.last_mut() {
            let here = &self.nodes[*node as usize];
            if here.open() != 0 {
                walk.way.pop();
                return self.open_below(walk);
            }
            if *turn == u32::from(here.edges) {
                let node = *node;
                walk.way.pop();
                let is_pending = pending.contains(&node);
                if !is_pending && !self.conclude(node) {
                    return self.open_below(walk);
                }
                if let Some((above, turn)) = walk.way.last_mut() {
                    *turn += 1;
                    is_pending.then(|| pending.insert(*above));
                }
                continue;
            }
            let edge = here.turn(*turn, walk.number);
            let to = self.edges[(here.first + edge) as usize];
            if to == UNKNOWN && here.chosen & 1 << edge != 0 || pending.contains(&to) {
                pending.insert(*node);
                *turn += 1;
            } else if to == END || to == UNKNOWN || self.nodes[to as usize].settled {
                // The end of an edge that need not be taken is not known, and of no interest.
                *turn += 1;
            } else {
                walk.way.push((to, 0));
                assert!(
                    walk.way.len() <= self.nodes.len(),
                    "the states lead back to themselves: a loop that forgets need not end, or, if \
                     none does, the fingerprint leaves something out"
                );
            }
        }
        if pending.is_empty() { Below::Known } else { Below::Pending }
    }

    /// Has `way` hold edges, in place of turns.
    fn open_below(&self, walk: &mut Walk) -> Below {
        for (node, turn) in &mut walk.way {
            *turn = self.nodes[*node as usize].turn(*turn, walk.number);
        }
        Below::Open
    }

    /// All edges that were to be taken lead to where everything is known. Whether that is enough; if
    /// it is not, others are open now.
    fn conclude(&mut self, node: u32) -> bool {
        if !self.reduces {
            self.nodes[node as usize].settled = true;
            return true;
        }
        let mut key = core::mem::take(&mut self.key);
        self.numbers_of(node, &mut key);
        let touches = self.touches.count();
        let conclusion = self.concluded.find(&key, touches).unwrap_or_else(|| {
            let conclusion = self.look_at(node);
            self.concluded.add(key.clone(), conclusion);
            conclusion
        });
        self.key = key;
        let known = &mut self.nodes[node as usize];
        match conclusion {
            Conclusion::Missing(more) => known.chosen |= more,
            Conclusion::Touched(touched) => (known.settled, known.touched) = (true, touched),
        }
        self.nodes[node as usize].settled
    }

    /// All that follows is a function of these, and of the touches that there are.
    fn numbers_of(&self, node: u32, into: &mut Vec<u32>) {
        let known = &self.nodes[node as usize];
        into.clear();
        let [edges, choice] = [known.edges.into(), known.choice.into()];
        into.extend([known.stands, edges, choice, known.chosen]);
        let edges = (0..u32::from(known.edges)).filter(|edge| known.chosen & 1 << edge != 0);
        into.extend(edges.flat_map(|edge| {
            let edge = known.first + edge;
            [self.touched_after(edge), self.told.number(edge)]
        }));
    }

    /// What is concluded from what is known of a node.
    fn look_at(&mut self, node: u32) -> Conclusion {
        let here = self.here(node);
        if here.choice {
            return Conclusion::Touched(self.seen.of_a_choice(&here));
        }
        let more = self.seen.missing(&here, &self.touches);
        if more != 0 {
            return Conclusion::Missing(more);
        }
        Conclusion::Touched(self.seen.of_a_state(&here, &self.touches))
    }

    /// What may be touched after an edge that leads to where all is known.
    fn touched_after(&self, edge: u32) -> u32 {
        let to = self.edges[edge as usize];
        if to == END { Seen::NOTHING } else { self.nodes[to as usize].touched }
    }
}

impl Graph {
    /// What is known of a node, put together.
    fn here(&self, node: u32) -> Here {
        let known = &self.nodes[node as usize];
        let edges = (0..u32::from(known.edges)).filter(|edge| known.chosen & 1 << edge != 0);
        let ways = edges.map(|edge| {
            let after = self.touched_after(known.first + edge);
            let (mut tells, mut against) = (Footprint::default(), Footprint::default());
            for touch in self.told.of(known.first + edge) {
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
mod tests;
