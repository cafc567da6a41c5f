//! A guess at what threads will touch, from what they were seen to touch.
//!
//! With which thread a state is begun decides how many of them have to be followed there. Most threads
//! do much the same in every execution, so what a thread has touched at its n-th operation and later says
//! what it will touch. A wrong guess costs executions, and loses nothing.

use super::footprint::{Footprint, Touch};

/// What each thread was seen to touch.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// By thread, and by how many operations it had performed: from there on.
    threads: Vec<Vec<Footprint>>,
}

impl Forecast {
    /// A thread touches this after so many operations.
    pub(super) fn learn(&mut self, thread: usize, after: u64, touch: Touch) {
        if self.threads.len() <= thread {
            self.threads.resize(thread + 1, Vec::new());
        }
        let (steps, after) = (&mut self.threads[thread], after as usize);
        if steps.len() <= after {
            steps.resize(after + 1, Footprint::default());
        }
        // What is seen later is still to come earlier: so once it is there, it is there before that.
        for step in steps[..=after].iter_mut().rev() {
            if step.has(touch) {
                break;
            }
            step.add(touch);
        }
    }

    /// What a thread may touch that has performed so many operations.
    pub(super) fn of(&self, thread: usize, after: u64) -> Footprint {
        let steps = self.threads.get(thread);
        steps.and_then(|steps| steps.get(after as usize)).copied().unwrap_or_default()
    }
}
