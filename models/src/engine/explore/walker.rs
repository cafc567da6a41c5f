//! Who walks through the graph: where a walk is, and what walkers share.
//!
//! What was learned lies in one [`Graph`], behind a lock; where a walk has come to is the walker's own. With
//! one walker that is all there is to it. With several, each on a thread of the operating system, an edge can
//! be taken by one while nobody knows yet where it leads: what lies below is *pending*, neither open nor known.
//! A walker that finds nothing but that runs its execution to its end and looks elsewhere; if everything that
//! is not known is pending, it waits until some walk has come to an end or to a new state.

use super::footprint::{Move, Told};
use super::graph::{Below, Graph};
use super::persistent::Waits;
use super::split::{Split, Way};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where a walk is.
#[derive(Debug)]
pub(super) struct Walk {
    /// The number of the walker, and how many there are.
    pub(super) number: usize,
    pub(super) of: usize,
    /// Tells this walk from all others; 0 is none.
    pub(super) name: u32,
    /// The node that the walk was at last, and the edge by which it left.
    pub(super) last: Option<(u32, u32)>,
    /// The node and the edge of the step that is being made.
    pub(super) made: Option<(u32, u32, Move)>,
    /// The way to an open edge: nodes and the edges to take there, last first.
    pub(super) way: Vec<(u32, u32)>,
    /// There is nothing to be learned where the walk is.
    pub(super) idle: bool,
    /// How many walks there were that have searched, and did not open a space that is divided.
    pub(super) searches: u32,
    /// The edges of the first of them, which the second one takes again; the next one is last.
    pub(super) first: Vec<u32>,
    /// The prefix that is being explored, if the space is divided.
    pub(super) prefix: Option<usize>,
    /// The way that it is; how many nodes were passed.
    pub(super) route: Way,
    passed: usize,
}

impl Walk {
    /// The edge that the walk takes at the node where it is because of its prefix.
    pub(super) fn edge_of_its_prefix(&mut self) -> Option<u32> {
        let edge = self.route.get(self.passed).copied();
        self.passed += 1;
        edge
    }

    /// Whether the walk has left the state that its prefix leads to.
    pub(super) fn is_past_its_prefix(&self) -> bool {
        self.passed > self.route.len()
    }
}

/// What walkers share.
#[derive(Debug)]
pub(super) struct Space {
    graph: Mutex<Graph>,
    /// Something was learned.
    news: Condvar,
}

impl Space {
    pub(super) fn new(graph: Graph) -> Space {
        Space { graph: Mutex::new(graph), news: Condvar::new() }
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the space is divided, if it is.
    pub(super) fn split<R>(&self, look: impl FnOnce(&mut Split) -> R) -> Option<R> {
        self.graph().split().map(look)
    }

    /// Something has failed: nobody need go on.
    pub(super) fn stop(&self) {
        let _ = self.split(|split| split.stopped = true);
        self.news.notify_all();
    }

    /// How many states with a decision among threads are known.
    pub(super) fn states(&self) -> usize {
        self.graph().states()
    }
}

/// One of those that walk through a graph.
#[derive(Debug)]
pub(super) struct Walker {
    space: Arc<Space>,
    walk: Walk,
}

impl Walker {
    /// The only one, for the whole space.
    pub(super) fn new(reduces: bool) -> Walker {
        Walker::among(&Arc::new(Space::new(Graph::new(reduces, None))), 0, 1)
    }

    /// Number `number` of `of`.
    pub(super) fn among(space: &Arc<Space>, number: usize, of: usize) -> Walker {
        let walk = Walk {
            number,
            of,
            name: 0,
            last: None,
            made: None,
            way: Vec::new(),
            idle: false,
            searches: 0,
            first: Vec::new(),
            prefix: None,
            route: Way::new(),
            passed: 0,
        };
        Walker { space: Arc::clone(space), walk }
    }

    pub(super) fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// The graph; this walk has a name from now on.
    fn graph<'a>(space: &'a Space, walk: &mut Walk) -> MutexGuard<'a, Graph> {
        let mut graph = space.graph();
        if walk.name == 0 {
            walk.name = graph.walk();
        }
        graph
    }

    /// See [`Graph::decide`].
    pub(super) fn decide(&mut self, fingerprint: u128, threads: &[(Move, Waits)]) -> Option<usize> {
        let Walker { space, walk } = self;
        if walk.idle {
            return None;
        }
        let way = Self::graph(space, walk).decide(walk, fingerprint, threads);
        self.tell_others();
        way
    }

    /// See [`Graph::choose`].
    pub(super) fn choose(&mut self, fingerprint: u128, ways: usize) -> Option<usize> {
        let Walker { space, walk } = self;
        if walk.idle {
            return None;
        }
        let way = Self::graph(space, walk).choose(walk, fingerprint, ways);
        self.tell_others();
        way
    }

    /// See [`Graph::tells`].
    pub(super) fn tells(&mut self, told: Told) {
        if self.walk.made.is_some() {
            self.space.graph().tells(&self.walk, told);
        }
    }

    /// All threads have ended: what is done from here on is no step of anybody's.
    pub(super) fn ends(&mut self) {
        self.walk.made = None;
    }

    /// The walk has come to an end. Whether there was nothing to be learned at its end.
    pub(super) fn end(&mut self) -> bool {
        let Walker { space, walk } = self;
        let mut graph = Self::graph(space, walk);
        graph.end(walk);
        walk.searches += u32::from(!graph.opens());
        drop(graph);
        match walk.searches {
            1 => walk.first.reverse(),
            _ => walk.first.clear(),
        }
        walk.way.clear();
        (walk.last, walk.made, walk.name, walk.passed) = (None, None, 0, 0);
        self.tell_others();
        core::mem::take(&mut self.walk.idle)
    }

    /// Whether everything is known, and the first walk was made again. Waits while nothing is open, but
    /// others may find something that is.
    pub(super) fn exhausted(&mut self) -> bool {
        let Walker { space, walk } = self;
        let mut graph = space.graph();
        loop {
            match graph.next(walk) {
                Below::Known => break,
                Below::Open => return false,
                Below::Pending => {
                    graph = space.news.wait(graph).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        drop(graph);
        self.tell_others();
        true
    }

    fn tell_others(&self) {
        if self.walk.of > 1 {
            self.space.news.notify_all();
        }
    }

    /// How many walks there were that have searched.
    #[cfg(test)]
    pub(super) fn searches(&self) -> u32 {
        self.walk.searches
    }
}

#[cfg(test)]
mod tests {
    use super::super::footprint::Holds;
    use super::*;
    use crate::engine::record::{Object, Op};

    /// Two threads that are about to write to these, or have ended.
    fn threads(objects: [Option<usize>; 2]) -> Vec<(Move, Waits)> {
        let one = |(place, object): (usize, Option<usize>)| {
            let waits = if object.is_some() { Waits::Nothing } else { Waits::Over };
            let (op, object, holds) =
                (Op::Store, Object::thread(object.unwrap_or(99)), Holds::default());
            (Move { thread: place + 1, op, object, holds, after: 0, tells: None }, waits)
        };
        objects.into_iter().enumerate().map(one).collect()
    }

    #[test]
    fn what_somebody_is_under_way_to_is_neither_open_nor_known() {
        let space = Arc::new(Space::new(Graph::new(true, None)));
        let [mut one, mut other] = [0, 1].map(|number| Walker::among(&space, number, 2));
        let start = threads([Some(5), Some(6)]);
        assert_eq!(one.decide(1, &start), Some(0));
        for _ in 0..2 {
            assert_eq!(other.decide(1, &start), None, "the only open edge was taken");
            assert!(other.end(), "there was nothing to be learned");
        }
        let below = |walker: &mut Walker| space.graph().next(&mut walker.walk);
        assert_eq!(below(&mut other), Below::Pending, "nobody knows where the edge leads");
        assert_eq!(one.decide(2, &threads([None, Some(6)])), Some(0));
        assert_eq!(below(&mut other), Below::Pending, "nor where the next one does");
        assert!(!one.end());
        assert_eq!(below(&mut other), Below::Known);
    }

    #[test]
    fn walkers_begin_with_different_edges() {
        let space = Arc::new(Space::new(Graph::new(false, None)));
        let [mut one, mut other] = [0, 1].map(|number| Walker::among(&space, number, 2));
        let start = threads([Some(5), Some(5)]);
        assert_eq!(one.decide(1, &start), Some(0));
        assert_eq!(other.decide(1, &start), Some(1));
    }
}
