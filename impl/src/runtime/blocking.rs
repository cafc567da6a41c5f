//! Tasks that block: threads that do one at a time, so that no worker stands still.
//!
//! # State
//!
//! `state`, under its lock: the calls that nobody has begun, the threads that have nothing to do, how many
//! threads there are, and whether they are to end. A call is begun by a thread that has nothing to do, or by a
//! new one; when there are as many as there may be, it waits.
//!
//! A thread that has nothing to do enters its parker and finds the queue of calls empty in one section of the lock,
//! and whoever brings a call enters it and takes a parker in one section; so no call is left behind.
//! Threads stay until the runtime ends.

use super::context::{Context, Inside};
use super::scheduler::Shared;
use super::task::{self, JoinHandle, Runnable};
use crate::seam::os::{self, spawn};
use crate::seam::{Arc, Mutex, Os, Parker, Primitives};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// The threads for calls that block.
pub(crate) struct Pool {
    most: usize,
    name: String,
    state: <Os as Primitives>::Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<Runnable>,
    /// With the number of the thread.
    resting: Vec<(usize, <Os as Primitives>::Parker)>,
    started: usize,
    threads: Vec<os::Worker>,
    stopped: bool,
}

impl Pool {
    pub(crate) fn new(most: usize, name: &str) -> Pool {
        let state = Mutex::new(State::default(), |_| None);
        Pool { most, name: format!("{name}-blocking"), state }
    }

    /// A call is to be made.
    fn submit(&self, shared: &Arc<Shared>, call: Runnable) {
        let mut state = self.state.lock();
        state.calls.push_back(call);
        if let Some((_, parker)) = state.resting.pop() {
            drop(state);
            return parker.unpark();
        }
        if state.started == self.most {
            return;
        }
        let number = state.started;
        state.started += 1;
        drop(state);
        let theirs = Arc::clone(shared);
        let thread = spawn(&format!("{}-{number}", self.name), move || serve(&theirs, number));
        let mut state = self.state.lock();
        let undone = match thread {
            Ok(thread) => {
                state.threads.push(thread);
                VecDeque::new()
            }
            Err(_) => {
                state.started -= 1;
                // Another thread will come by, unless there is none: then the calls are cancelled.
                if state.started == 0 { core::mem::take(&mut state.calls) } else { VecDeque::new() }
            }
        };
        drop(state);
        drop(undone); // without the lock: what a call holds may be anything
    }

    /// No call will come any more: the threads end.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.stopped = true;
        let resting = core::mem::take(&mut state.resting);
        drop(state);
        for (_, parker) in resting {
            parker.unpark();
        }
    }

    /// Waits until the threads have ended.
    pub(crate) fn join(&self) {
        let threads = core::mem::take(&mut self.state.lock().threads);
        for thread in threads {
            let _ended = thread.join();
        }
    }

    /// The next call; sleeps while there is none. `None`: there will be none.
    fn next(&self, number: usize) -> Option<Runnable> {
        let parker = Os::parker();
        loop {
            let mut state = self.state.lock();
            // Still there if it was woken by a token that was left over.
            state.resting.retain(|(resting, _)| *resting != number);
            if let Some(call) = state.calls.pop_front() {
                return Some(call);
            }
            if state.stopped {
                return None;
            }
            state.resting.push((number, parker.clone()));
            drop(state);
            parker.park();
        }
    }
}

/// The life of a thread of the pool.
fn serve(shared: &Arc<Shared>, number: usize) {
    let _inside = Inside::of(Rc::new(Context::Blocking(Arc::clone(shared))));
    while let Some(call) = shared.pool.next(number) {
        call.run();
    }
}

/// A blocking task on a thread of the pool.
pub(crate) fn in_pool<T: Send + 'static>(
    shared: &Arc<Shared>,
    call: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let theirs = Arc::clone(shared);
    let schedule = move |runnable| theirs.pool.submit(&theirs, runnable);
    let (runnable, handle) = task::make(&shared.tasks, async move { call() }, |guarded| {
        async_task::Builder::new().spawn(|()| guarded, schedule)
    });
    if let Some(runnable) = runnable {
        runnable.schedule();
    }
    handle
}

/// A blocking task on a thread of its own.
pub(crate) fn on_own_thread<T: Send + 'static>(
    shared: &Arc<Shared>,
    name: &str,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // It runs once, on the thread that is started below, and never waits: nobody schedules it.
    let schedule = |runnable: Runnable| drop(runnable);
    let (runnable, handle) = task::make(&shared.tasks, async move { call() }, |guarded| {
        async_task::Builder::new().spawn(|()| guarded, schedule)
    });
    if let Some(runnable) = runnable {
        let theirs = Arc::clone(shared);
        spawn(name, move || {
            let _inside = Inside::of(Rc::new(Context::Blocking(theirs)));
            runnable.run();
        })?;
    }
    Ok(handle)
}
