//! Where the search of [`LoomSc`](super::LoomSc) is, and which of its executions are given up because
//! they bring nothing new.
//!
//! # Sleep sets
//!
//! loom's reduction (dynamic, with backtracking points where two operations on one object race)
//! finds every trace, but finds most of them many times: when it has explored that `A` goes on
//! first, and then lets `B` go on first, it comes again to everything in which `B` does something
//! that has nothing to do with the next operation of `A`. Sleep sets (Godefroid) forbid just that.
//! When `B` is tried where `A` was tried before, `A` is put to *sleep*, with the operation it was
//! about to perform. It wakes when somebody performs an operation that does not commute with that
//! one. What can be reached by picking a thread that sleeps was seen in the executions that began
//! with it. So when a sleeping thread is picked and no thread is left that could go on and is awake,
//! the execution is *cut*. loom has a call for that, `skip_branch`: nothing that comes afterwards in
//! this execution is branched from. It is run to its end without further scheduling points; it is a
//! real execution, its behaviour counts and its failures are failures.
//!
//! # Why nothing is lost
//!
//! What could be lost are backtracking points: a race that loom would have noticed in what was cut.
//! The claim, for a point of the search that is through, with the threads `Z` asleep when it was
//! reached and the threads `D` picked there: every sequence of operations that can follow is a
//! prefix, up to commuting, of an execution that was explored from there, unless one of its
//! operations that could be moved to the front belongs to `Z`. By induction from the ends:
//!
//! - If an operation that can be moved to the front belongs to `D`, take the thread of `D` that was
//!   picked first: the rest follows its subtree, where nothing that can be moved to the front
//!   sleeps.
//! - Otherwise the point was not cut: the first operation of the sequence belongs to a thread that
//!   could go on and is not in `Z`. Take any thread `d` that was picked. If its operation commutes
//!   with the whole sequence, the sequence follows `d`. If not, let `e` be the first operation that
//!   it does not commute with. What comes before `e`, and `e`, are a prefix of what was explored
//!   after `d`, and there loom has noticed the race between `d` and `e`: it knows what a thread is
//!   about to do before it can be cut, and looks at the last operation on the object, which was that
//!   of `d`. So the thread of `e` was picked at this point (or all were). Its own first operation
//!   in the sequence comes no later than `e` and cannot be moved to the front, so there is an
//!   earlier one with which it does not commute: the same argument finds another thread of `D`, and
//!   so on, each with a shorter beginning of the sequence. This ends in a contradiction.
//!
//! The second case is why a sleeping thread that is picked is *not* cut while somebody is awake. loom
//! picks the thread that took part in the race, not one that leads there, as it would have to: with
//! three threads, cutting those loses behaviours (`models/tests/loom_random.rs` has a program).
//!
//! # What commutes
//!
//! Operations on different objects. An attempt to take a lock that is held is the one exception: the
//! holder's operation on another object, after which it gives the lock back, decides whether it
//! fails. But an attempt that fails is nothing that anybody sees. What follows it can also follow
//! the point before it, and loom has noticed its race before it has failed.
//!
//! In a plan of two threads two operations also commute if they are on one object and neither
//! changes it, or both wake. loom takes them for dependent, and looks for a race with the *last*
//! operation on the object, where the argument above needs the last one that does not commute. With
//! two threads it comes to the same. Let `d` and `e` be as above, of threads `A` and `B`, and among
//! the executions from there that contain what `B` does up to `e`, take one that has the fewest
//! operations of `A` before the first one of `B`, and of these one that has the fewest before the
//! second, and so on. If an operation of `B` in it, up to `e`, is on an object that an operation
//! `a` of `A` has used since, then for the first such one loom has noticed a race with the last
//! such `a`, for nothing before has ordered them. If `a` is `d`, `B` was picked where `d` was. If
//! not, `B` was picked before `a`, or slept there, having been picked before that; what it does
//! up to `e` needs nothing of `A`, so it was explored from there with fewer operations of `A` before
//! it, against the choice. With more threads the last operation may be that of a third one, so there
//! the coarse relation, which is loom's own, decides on both sides.

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
        let alike = self.effect == other.effect && self.effect != Effect::Changes;
        self.object != other.object || (finely && alike)
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
        self.finely = threads == 2;
        self.at = 0;
        self.asleep.clear();
        self.idle.clear();
        self.idle.resize(threads + 1, false);
        self.idle[0] = true;
    }

    /// `thread` was picked to perform its next operation: whether what follows is known.
    fn picked(&mut self, thread: usize) -> bool {
        let step = Step { thread, object: Object::NONE, effect: Effect::Changes };
        match self.path.get_mut(self.at) {
            // What was decided here stays decided.
            Some(point) if point.taken.thread == thread => {
                self.asleep.extend_from_slice(&point.tried);
                return false;
            }
            Some(point) => {
                let before = core::mem::replace(&mut point.taken, step);
                point.tried.push(before);
                self.path.truncate(self.at + 1);
            }
            None => self.path.push(Point { taken: step, tried: Vec::new() }),
        }
        self.asleep.extend_from_slice(&self.path[self.at].tried);
        let Some(sleeper) = self.sleeper(thread) else { return false };
        self.path[self.at].taken = sleeper;
        let awake = |(place, idle): (usize, &bool)| !idle && self.sleeper(place).is_none();
        !self.idle.iter().enumerate().any(awake)
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
