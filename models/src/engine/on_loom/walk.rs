//! Where the search of [`LoomSc`](super::LoomSc) is: what loom is not told of, because nothing
//! depends on it, and which of its executions are given up, because they bring nothing new.
//!
//! # Sleep sets
//!
//! loom's reduction (dynamic, with backtracking points where two operations on one object race)
//! finds every trace, but finds most of them many times: when it has explored that `A` goes on
//! first, and then lets `B` go on first, it comes again to everything in which `B` does something
//! that has nothing to do with the next operation of `A`. Sleep sets (Godefroid) forbid just that.
//! When `B` is tried where `A` was tried before, `A` is put to *sleep*, with the operation it was
//! about to perform. It wakes when somebody performs an operation that does not commute with that
//! one. Should it be picked while it sleeps, then all that can follow was seen in the executions
//! that began with it: the execution is *cut*. loom has a call for that, `skip_branch`: nothing
//! that comes afterwards in this execution is branched from.
//!
//! An execution that was cut is run to its end, with no further scheduling points: a thread goes
//! on until it sleeps or ends. It is a real one and its failures are failures, but the tail adds
//! no backtracking points to speak of.
//!
//! Two operations *commute* if they are on different objects. In a plan of two threads, also if
//! they are on one object and neither changes it, or both wake. loom's reduction takes any two
//! operations on one object for dependent, which only makes its sets of backtracking points
//! larger; but it looks for a race with the *last* operation on the object only. That is sound with
//! the finer relation as long as a thread that was sent on by a backtracking point gets from there
//! to the operation that raced without anybody being picked in between, which is the case with
//! two threads (the picked one goes on by default, and if it cannot, only the other one is left,
//! and the race is with what made it stop); with more threads it is not, and there the coarse
//! relation decides on both sides.
//!
//! A thread that is picked *because nobody else was*, by default, is cut only if no thread is
//! left that could go on and is awake: what loom tries first at a point must not be cut if there
//! is something at that point that has to be tried.

use super::super::quiet;
use super::super::record::Object;
use std::cell::RefCell;

/// What an operation did to its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It left it as it was.
    Looks,
    /// It made a token available, or would have, had it not been.
    Wakes,
    /// It changed it.
    Changes,
}

/// An operation that was performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    thread: usize,
    object: Object,
    effect: Effect,
}

impl Step {
    /// Whether the two in either order come to the same.
    fn commutes(&self, other: &Step, finely: bool) -> bool {
        self.object != other.object
            || (finely && self.effect == other.effect && self.effect != Effect::Changes)
    }
}

/// A point of the path: who was tried there before, and who went on this time.
#[derive(Debug)]
struct Point {
    taken: Step,
    tried: Vec<Step>,
}

/// The path of an execution through the search.
#[derive(Debug, Default)]
struct Walk {
    finely: bool,
    nocut: bool,
    norefuse: bool,
    /// The points of this execution up to `at`, and of the one before after that.
    path: Vec<Point>,
    at: usize,
    asleep: Vec<Step>,
    /// Which threads have ended or are waiting for somebody.
    idle: Vec<bool>,
}

impl Walk {
    /// An execution of this many threads begins, numbered from 1.
    fn begin(&mut self, threads: usize) {
        self.finely = threads == 2 && std::env::var_os("NP_COARSE").is_none();
        self.nocut = std::env::var_os("NP_NOCUT").is_some();
        self.norefuse = std::env::var_os("NP_NOREFUSE").is_some();
        self.at = 0;
        self.asleep.clear();
        self.idle.clear();
        self.idle.resize(threads + 1, false);
        self.idle[0] = true;
    }

    /// `thread` was picked to perform its next operation: whether what follows is known.
    fn picked(&mut self, thread: usize) -> bool {
        let step = Step { thread, object: Object::NONE, effect: Effect::Changes };
        let mut backtracked = false;
        match self.path.get_mut(self.at) {
            // What was decided here stays decided.
            Some(point) if point.taken.thread == thread => {
                self.asleep.extend_from_slice(&point.tried);
                return false;
            }
            Some(point) => {
                backtracked = true;
                let before = core::mem::replace(&mut point.taken, step);
                point.tried.push(before);
                self.path.truncate(self.at + 1);
            }
            None => self.path.push(Point { taken: step, tried: Vec::new() }),
        }
        self.asleep.extend_from_slice(&self.path[self.at].tried);
        let Some(sleeper) = self.sleeper(thread) else { return false };
        self.path[self.at].taken = sleeper;
        let awake = |(other, idle): (usize, &bool)| {
            other != thread && !idle && self.sleeper(other).is_none()
        };
        !self.nocut && (backtracked || !self.idle.iter().enumerate().any(awake))
    }

    fn sleeper(&self, thread: usize) -> Option<Step> {
        self.asleep.iter().find(|step| step.thread == thread).copied()
    }

    /// The picked thread has performed this.
    fn performed(&mut self, step: Step) {
        let finely = self.finely;
        let point = &mut self.path[self.at];
        point.taken = step;
        self.asleep.retain(|other| other.thread != step.thread && other.commutes(&step, finely));
        self.at += 1;
    }
}

/// What the engine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing; loom cannot be asked.
    #[default]
    Outside,
    /// One thread runs alone: it builds the plan, or makes the final check.
    Alone,
    /// The threads of the plan are interleaved.
    Together,
    /// They are, but loom does not branch any more.
    Cut,
}

#[derive(Debug, Default)]
struct Run {
    phase: Phase,
    walk: Walk,
    cut: u64,
}

thread_local! {
    static RUN: RefCell<Run> = RefCell::new(Run::default());
}

/// A search begins, or ends: says how many executions were cut in the one before.
pub(super) fn reset() -> u64 {
    RUN.with_borrow_mut(|run| core::mem::take(run).cut)
}

/// An execution begins: a thread builds the plan.
pub(super) fn alone() {
    RUN.with_borrow_mut(|run| run.phase = Phase::Alone);
}

/// The threads of the plan are let loose.
pub(super) fn together(threads: usize) {
    RUN.with_borrow_mut(|run| {
        run.phase = Phase::Together;
        run.walk.begin(threads);
    });
}

/// Whether loom can be asked.
pub(super) fn live() -> bool {
    RUN.with_borrow(|run| run.phase != Phase::Outside) && !quiet::panicked()
}

/// Whether the next operation has a scheduling point.
pub(super) fn interleaves() -> bool {
    RUN.with_borrow(|run| run.phase == Phase::Together) && !quiet::panicked()
}

/// `thread` was picked to perform its next operation.
pub(super) fn picked(thread: usize) {
    let known = RUN.with_borrow_mut(|run| run.phase == Phase::Together && run.walk.picked(thread));
    if known {
        cut();
    }
}

/// `thread` was picked to take a lock that somebody else has taken since: it could not go on
/// where it was picked. With two threads the other one could and was tried there before, or both
/// are stuck.
pub(super) fn refused(thread: usize, lock: Object) {
    let two = RUN.with_borrow(|run| {
        let others = run.walk.idle.iter().enumerate().skip(1).filter(|(other, _)| *other != thread);
        run.phase == Phase::Together && run.walk.finely && others.clone().all(|(_, idle)| !idle)
    });
    performed(thread, lock, Effect::Looks);
    if two && !RUN.with_borrow(|run| run.walk.norefuse) {
        cut();
    }
}

/// `thread` has performed an operation, with a scheduling point before it.
pub(super) fn performed(thread: usize, object: Object, effect: Effect) {
    RUN.with_borrow_mut(|run| {
        if run.phase == Phase::Together && !quiet::panicked() {
            run.walk.performed(Step { thread, object, effect });
        }
    });
}

/// `thread` has ended or waits for somebody, or does not any more.
pub(super) fn idle(thread: usize, idle: bool) {
    RUN.with_borrow_mut(|run| {
        if let Some(is) = run.walk.idle.get_mut(thread) {
            *is = idle;
        }
    });
}

fn cut() {
    RUN.with_borrow_mut(|run| {
        run.phase = Phase::Cut;
        run.cut += 1;
    });
    loom::skip_branch();
}
