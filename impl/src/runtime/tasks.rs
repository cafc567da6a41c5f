//! The tasks of a runtime that have not ended: so that all of them can be waited for and cancelled.
//!
//! # State
//!
//! * `state`, under its lock: for each live task its waker, how many there are, how many have ended and
//!   in which way, and who wants to know when there is none.
//! * `closed`: whether the runtime takes no tasks any more, and those that are live are to end. Set once, before
//!   the wakers are collected.
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
//! The flag (`closed`, or that of the task, `task`) is set, and the task is woken. A task looks at both
//! flags whenever it is polled. If it was not in a queue it comes into one, is polled and sees the
//! flag. If it was in one already, the wake is a read-modify-write of the state of the task that
//! does nothing else, and the poll begins with another one (`async_task`): in whatever order they come, either the
//! poll sees the flag or the wake finds the task running and it is polled once more.

use crate::seam::{Atomic, Mutex, Ordering, Os, Primitives};
use core::task::Waker;

/// The number of a task among those that are live.
pub(crate) type Key = usize;

#[derive(Debug)]
pub(crate) struct Tasks {
    state: <Os as Primitives>::Mutex<State>,
    closed: <Os as Primitives>::AtomicU32,
}

#[derive(Debug, Default)]
struct State {
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
        Tasks { state, closed: Atomic::<u32>::new(0) }
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
    pub(crate) fn leave(&self, key: Key, completed: bool) {
        let mut state = self.state.lock();
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

    /// Wakes the task that has this number, if there is one.
    pub(crate) fn wake(&self, key: Key) {
        let waker = self.state.lock().entries[key].clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// No task may come into being any more, and all that live are to end. Returns their wakers, which
    /// the caller wakes.
    pub(crate) fn close(&self) -> Vec<Waker> {
        let state = self.state.lock();
        // Release: pairs with the acquire in `is_closed`; see above for who is sure to see it.
        self.closed.store(1, Ordering::Release);
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
