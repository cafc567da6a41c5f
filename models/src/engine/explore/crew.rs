//! The coroutines that threads of the plan run on, one execution after the other.
//!
//! To have shuttle make a task for each thread and take it down again, in every execution, costs as much as
//! some tens of steps. So many executions run in one of shuttle's: the thread that comes first runs on the task
//! that builds the plan, and each of the others on a task of its own, which waits for its part in the next
//! execution when it has done the one it had. Nobody waits in shuttle: whoever has nothing to do is not chosen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a thread does in an execution.
type Part = Box<dyn FnOnce() + Send>;

/// Those who wait for a part.
#[derive(Clone, Default)]
pub(super) struct Crew(Arc<Mutex<Parts>>);

#[derive(Default)]
struct Parts {
    /// By task, but for the first one.
    parts: Vec<Option<Part>>,
    dismissed: bool,
}

impl Crew {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task with this number, counted from 0 without the first one, has a part. All before it have one.
    pub(super) fn give(&self, number: usize, part: impl FnOnce() + Send + 'static) {
        let mut parts = self.parts();
        let known = parts.parts.len();
        if number < known {
            parts.parts[number] = Some(Box::new(part));
            return;
        }
        parts.parts.push(Some(Box::new(part)));
        drop(parts); // to make a task is a scheduling point
        let crew = self.clone();
        // Not joined: the last one to end knows that it is.
        let _handle = shuttle::thread::spawn(move || crew.work(known));
    }

    /// The life of a task.
    fn work(&self, number: usize) {
        loop {
            let mut parts = self.parts();
            let part = parts.parts[number].take();
            let dismissed = parts.dismissed;
            drop(parts);
            match part {
                Some(part) => part(),
                None if dismissed => return,
                None => yields(),
            }
        }
    }

    /// There are no more parts: the tasks end when they are chosen next.
    pub(super) fn dismiss(&self) {
        self.parts().dismissed = true;
    }
}

/// The plainest scheduling point that shuttle has; no time passes.
pub(super) fn yields() {
    shuttle::thread::sleep(Duration::ZERO);
}
