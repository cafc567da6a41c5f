//! The tasks of a runtime that have not ended: so that all of them can be waited for and cancelled.
//!
//! # State
//!
//! * `state`, under its lock: for each live task its waker, how many there are, how many have ended and
//!   in which way, and who wants to know when there is none.
//! * `closed`: whether the runtime takes no tasks any more, and those that are live are to end. Set once, before
//!   the wakers are collected.
//! * `flag`, of each task, and outside of the list: whether it is live, aborted, or has left. Written under the lock.
//! * `ending`: whether the runtime is closed or a live task was aborted. Written under the lock, after what it
//!   says. Each poll reads it, and the flag of its task only if it says so: that lies in a cache line of its own.
//!
//! # Who changes what
//!
//! Whoever spawns enters the task, leaves its waker here and schedules it for the first time. `close` either
//! finds the waker, or comes before it: then that first poll sees that the list is closed, for both take the lock. The
//! task leaves when its future has been dropped, and not before, so when nobody is live no future of this
//! runtime exists.
//!
//! # Cancelling a task that may be in a queue, or running
//!
//! What says it is set (`closed`, or the flag of the task, and then `ending`), and the task is woken. A task looks at
//! them whenever it is polled. If it was not in a queue it comes into one, is polled and sees it. If it was in one
//! already, the wake is a read-modify-write of the state of the task that does nothing else, and the poll
//! begins with another one (`async_task`): in whatever order they come, either the poll sees what was set or the wake
//! finds the task running and it is polled once more.

use crate::seam::{Atomic, Mutex, Ordering, Os, Primitives};
use core::task::Waker;

/// The number of a task among those that are live.
pub(crate) type Key = usize;

/// The flag of a task.
pub(crate) type Flag = <Os as Primitives>::AtomicU32;

const LIVE: u32 = 0;
const ABORTED: u32 = 1;
const LEFT: u32 = 2;

#[derive(Debug)]
pub(crate) struct Tasks {
    state: <Os as Primitives>::Mutex<State>,
    closed: <Os as Primitives>::AtomicU32,
    ending: <Os as Primitives>::AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    /// How many are live and aborted.
    aborted: usize,
    entries: Vec<Option<Waker>>,
    free: Vec<Key>,
    live: usize,
    ended: Ended,
    when_empty: Vec<Waker>,
}

/// How the tasks of a runtime have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
}

impl Tasks {
    pub(crate) fn new() -> Tasks {
        let state = Mutex::new(State::default(), |_| None);
        Tasks { state, closed: Atomic::<u32>::new(0), ending: Atomic::<u32>::new(0) }
    }

    /// The flag of a task that comes into being.
    pub(crate) fn flag() -> Flag {
        Atomic::<u32>::new(LIVE)
    }

    /// A task comes into being. `None`: none may any more.
    pub(crate) fn enter(&self) -> Option<Key> {
        let mut state = self.state.lock();
        if self.is_closed() {
            return None;
        }
        state.live += 1;
        Some(state.free.pop().unwrap_or_else(|| {
            state.entries.push(None);
            state.entries.len() - 1
        }))
    }

    /// The task can be woken from now on. It is to be scheduled after this.
    pub(crate) fn admit(&self, key: Key, waker: Waker) {
        self.state.lock().entries[key] = Some(waker);
    }

    /// The future of the task has been dropped.
    pub(crate) fn leave(&self, key: Key, flag: &Flag, completed: bool) {
        let mut state = self.state.lock();
        // Relaxed: both are written under the lock only.
        if flag.swap(LEFT, Ordering::Relaxed) == ABORTED {
            state.aborted -= 1;
            self.say_whether_ending(&state);
        }
        let waker = state.entries[key].take();
        state.free.push(key);
        state.live -= 1;
        let ended = &mut state.ended;
        let kind = if completed { &mut ended.completed } else { &mut ended.cancelled };
        *kind += 1;
        let last = state.live == 0;
        let when_empty = if last { core::mem::take(&mut state.when_empty) } else { Vec::new() };
        // What the lock protects may be dropped with a waker, and woken by one.
        drop(state);
        drop(waker);
        when_empty.into_iter().for_each(Waker::wake);
    }

    /// The task that has this number and this flag is to end, unless it has left.
    pub(crate) fn abort(&self, key: Key, flag: &Flag) {
        let mut state = self.state.lock();
        // Relaxed: read under the lock, and published by what comes after it.
        if flag.load(Ordering::Relaxed) != LIVE {
            return;
        }
        flag.store(ABORTED, Ordering::Relaxed);
        state.aborted += 1;
        self.say_whether_ending(&state);
        let waker = state.entries[key].clone();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether the task that has this flag is to end.
    #[inline]
    pub(crate) fn is_over(&self, flag: &Flag) -> bool {
        // Acquire: pairs with the release in `say_whether_ending`; see above for who is sure to see it.
        let ending = self.ending.load(Ordering::Acquire) != 0;
        // Relaxed: it was written before what was just read.
        ending && (self.is_closed() || flag.load(Ordering::Relaxed) == ABORTED)
    }

    /// Under the lock.
    fn say_whether_ending(&self, state: &State) {
        let ending = self.is_closed() || state.aborted > 0;
        // Release: pairs with the acquire in `is_over`, and publishes the flag of the task.
        self.ending.store(u32::from(ending), Ordering::Release);
    }

    /// No task may come into being any more, and all that live are to end. Returns their wakers, which
    /// the caller wakes.
    pub(crate) fn close(&self) -> Vec<Waker> {
        let state = self.state.lock();
        // Release: pairs with the acquire in `is_closed`; see above for who is sure to see it.
        self.closed.store(1, Ordering::Release);
        self.say_whether_ending(&state);
        state.entries.iter().flatten().cloned().collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: pairs with the release in `close`.
        self.closed.load(Ordering::Acquire) != 0
    }

    /// Whether no task is live; if some are, the waker is woken once when none is.
    pub(crate) fn is_empty_or_wakes(&self, waker: &Waker) -> bool {
        let mut state = self.state.lock();
        if state.live > 0 && !state.when_empty.iter().any(|known| known.will_wake(waker)) {
            state.when_empty.push(waker.clone());
        }
        state.live == 0
    }

    pub(crate) fn live(&self) -> usize {
        self.state.lock().live
    }

    pub(crate) fn ended(&self) -> Ended {
        self.state.lock().ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_end_is_looked_for_only_while_somebody_is() {
        let tasks = Tasks::new();
        let [one, other] = [(); 2].map(|()| (tasks.enter().expect("it is open"), Tasks::flag()));
        let ending = |tasks: &Tasks| tasks.ending.load(Ordering::Relaxed) != 0;
        tasks.abort(one.0, &one.1);
        tasks.abort(one.0, &one.1);
        assert!(tasks.is_over(&one.1) && !tasks.is_over(&other.1), "one of two was aborted");
        tasks.leave(one.0, &one.1, false);
        assert!(!ending(&tasks), "the only one that was aborted has left");
        let next = (tasks.enter().expect("it is open"), Tasks::flag());
        assert_eq!(next.0, one.0, "the number is used again");
        tasks.abort(one.0, &one.1);
        assert!(!ending(&tasks) && !tasks.is_over(&next.1), "one that has left cannot be aborted");
        assert!(tasks.close().is_empty(), "no task has left a waker");
        assert!(tasks.is_over(&other.1) && tasks.is_over(&next.1), "all are to end");
        tasks.abort(other.0, &other.1);
        tasks.leave(other.0, &other.1, false);
        assert!(tasks.is_over(&next.1), "the runtime is closed for good");
    }
}
