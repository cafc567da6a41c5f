//! The workers and their queues.
//!
//! # State
//!
//! * `queue`, one per worker, first in first out: tasks that this worker has woken. It pushes and pops;
//!   others steal, half of it at a time.
//! * `injector`: tasks that were woken by a thread that is no worker.
//! * `idle`: which workers sleep, where, and who is called when there is work ([`Idle`], SPEC.md section 16).
//! * `tasks`: which tasks are live (`tasks`).
//!
//! # Who changes what
//!
//! Whoever wakes a task pushes it, and then says so to `idle` (NP-IDLE-2). A worker takes from its own
//! queue. When that is empty it *searches*, and only then takes from the injector and from others: what
//! it moves into its own queue is on the way for a moment, in which nobody can see it, and whoever looks
//! for work in that moment may go to sleep. As a worker that searches, it looks for more once it has
//! found something (NP-IDLE-7), and calls somebody for what it cannot do at once.
//!
//! Every [`LOOK_UP`] tasks a worker takes one from the injector before its own, and looks at the kernel
//! if nobody else watches it; so neither tasks from outside nor readiness nor deadlines wait
//! for ever behind tasks that wake each other.
//!
//! # The end
//!
//! Closing ([`Shared::close`]) cancels all tasks and takes no new ones; the workers go on until the last
//! one has left, because those in blocking calls may depend on the poller. Whoever takes the last task off the
//! list, or whoever closes if there is none, shuts the workers down.
//!
//! Out of scope: blocking tasks (`blocking`), what a task is (`task`).

use super::blocking::Pool;
use super::context::{Context, Inside};
use super::task::{self, JoinHandle, Runnable};
use super::tasks::Tasks;
use crate::idle::{Idle, Slept, Worker};
use crate::poller::Poller;
use crate::ready::Ready;
use crate::seam::{Arc, Atomic, Ordering, Os, Primitives, os};
use core::future::Future;
use core::task::Waker;
use crossbeam_deque::{Injector, Steal, Stealer};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Wake;

/// After how many tasks a worker looks at the injector and at the kernel although it has tasks of its own.
pub(crate) const LOOK_UP: u32 = 61;

type Queue = crossbeam_deque::Worker<Runnable>;

/// What the threads of a runtime share.
pub(crate) struct Shared {
    idle: Idle<Os>,
    injector: Injector<Runnable>,
    stealers: Box<[Stealer<Runnable>]>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) pool: Pool,
    /// How many workers have not ended.
    serving: <Os as Primitives>::AtomicU32,
}

impl Shared {
    /// The shared part for workers on this poller, and their queues.
    pub(crate) fn new(
        poller: &Poller<Os>,
        workers: u32,
        pool: Pool,
    ) -> io::Result<(Arc<Shared>, Vec<Queue>)> {
        let idle = Idle::new(poller, workers)?;
        let queues: Vec<Queue> = (0..workers).map(|_| Queue::new_fifo()).collect();
        let stealers = queues.iter().map(Queue::stealer).collect();
        let (injector, tasks) = (Injector::new(), Arc::new(Tasks::new()));
        let serving = Atomic::<u32>::new(workers);
        Ok((Arc::new(Shared { idle, injector, stealers, tasks, pool, serving }), queues))
    }

    pub(crate) fn poller(&self) -> &Poller<Os> {
        self.idle.poller()
    }

    pub(crate) fn idle(&self) -> &Idle<Os> {
        &self.idle
    }

    pub(crate) fn workers(&self) -> usize {
        self.stealers.len()
    }

    pub(crate) fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let shared = Arc::clone(self);
        let schedule = move |runnable| shared.schedule(runnable);
        let (runnable, handle) = task::make(&self.tasks, future, |guarded| {
            async_task::Builder::new().spawn(|()| guarded, schedule)
        });
        if let Some(runnable) = runnable {
            runnable.schedule();
        }
        handle
    }

    /// A task was woken: it is put where workers look, and one is called if nobody is about to.
    fn schedule(self: &Arc<Self>, runnable: Runnable) {
        match Context::current().as_deref() {
            Some(Context::Worker(shared, queue)) if Arc::ptr_eq(shared, self) => {
                queue.push(runnable);
            }
            _ => self.injector.push(runnable),
        }
        // A break that cannot be posted, because foreign code has closed the number, is for the worker
        // in the kernel to find out; whoever woke a task could do nothing about it.
        let _told = self.idle.work(); // NP-IDLE-2, NP-IDLE-4
    }

    /// Whether there is a task in any queue.
    fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.stealers.iter().any(|queue| !queue.is_empty())
    }

    /// Cancels all tasks, and ends the workers once there is none. Returns at once.
    pub(crate) fn close(self: &Arc<Self>) {
        for waker in self.tasks.close() {
            waker.wake();
        }
        let last = Waker::from(Arc::new(LastOneOut(Arc::clone(self))));
        if self.tasks.is_empty_or_wakes(&last) {
            last.wake();
        }
    }
}

/// Is woken when a runtime that was closed has no task any more.
struct LastOneOut(Arc<Shared>);

impl Wake for LastOneOut {
    fn wake(self: Arc<Self>) {
        // As in `schedule`: a worker in an event queue that is not usable finds out by itself.
        let _told = self.0.idle.shut_down(); // NP-IDLE-9
        self.0.pool.stop();
    }
}

/// The life of the worker with this number, on its thread.
pub(crate) fn serve(shared: &Arc<Shared>, number: u32, queue: Queue) {
    let context = Rc::new(Context::Worker(Arc::clone(shared), queue));
    let _inside = Inside::of(Rc::clone(&context));
    let Context::Worker(_, queue) = &*context else { unreachable!("it was made a line above") };
    let worker = shared.idle.worker(number);
    let ready = Ready::new();
    let mut desk = Desk { shared, number, queue, worker, ready, until_look_up: LOOK_UP };
    loop {
        if let Some(runnable) = desk.next() {
            // As in `schedule`.
            let _told = desk.worker.found(|| shared.has_work()); // NP-IDLE-7
            // `task` catches the panics of its future. Whether the task was woken meanwhile is nothing to us.
            runnable.run();
        } else if !desk.sleep() {
            break;
        }
    }
    // AcqRel: the last one comes after all others have been in the kernel for the last time.
    if shared.serving.fetch_sub(1, Ordering::AcqRel) == 1 {
        shared.idle.detach();
    }
}

/// What a worker works with.
struct Desk<'a> {
    shared: &'a Arc<Shared>,
    number: u32,
    queue: &'a Queue,
    worker: Worker<'a, Os>,
    ready: Ready<Os>,
    until_look_up: u32,
}

impl Desk<'_> {
    /// The next task to run. It counts: whoever gets one runs it.
    fn next(&mut self) -> Option<Runnable> {
        if self.until_look_up == 0 {
            self.until_look_up = LOOK_UP;
            self.glance();
            if let Some(runnable) = until_sure(|| self.shared.injector.steal()) {
                return Some(runnable);
            }
        }
        let own = self.queue.pop();
        let next = own.or_else(|| if self.worker.search() { self.elsewhere() } else { None });
        self.until_look_up -= u32::from(next.is_some());
        next
    }

    /// Takes from the injector and from the other workers, and more than one.
    fn elsewhere(&self) -> Option<Runnable> {
        let stealers = &self.shared.stealers;
        let next = self.number as usize + 1;
        let others = (next..next + stealers.len() - 1).map(|other| other % stealers.len());
        until_sure(|| {
            let injected = self.shared.injector.steal_batch_and_pop(self.queue);
            injected.or_else(|| {
                others
                    .clone()
                    .map(|other| stealers[other].steal_batch_and_pop(self.queue))
                    .collect()
            })
        })
    }

    fn glance(&mut self) {
        // An error is for the poll that blocks.
        let _seen = self.worker.glance(&mut self.ready);
        self.wake_all();
    }

    /// Sleeps until there may be something to do. `false`: the workers are shut down.
    fn sleep(&mut self) -> bool {
        let Desk { shared, worker, ready, .. } = self;
        let slept = worker.sleep(ready, |_| shared.has_work());
        self.wake_all();
        match slept {
            Ok(slept) => slept != Slept::ShutDown,
            // A foreign event: the others of its batch were applied.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => true,
            Err(_) => {
                self.give_up();
                true
            }
        }
    }

    /// The event queue is not usable any more: nobody will ever be woken by it, so nobody may go on
    /// waiting, and no worker can sleep in it.
    fn give_up(&self) {
        if !self.shared.tasks.is_closed() {
            self.shared.close();
        }
        self.shared.poller().close_all();
        os::yield_now();
    }

    fn wake_all(&mut self) {
        // A waker that panics is its owner's misfortune: the panic hook has reported it, and the other
        // wakers were woken (NP-WAKE-2).
        let _reported = catch_unwind(AssertUnwindSafe(|| self.ready.wake_all()));
    }
}

/// Repeats a look that another thread has disturbed.
fn until_sure<T>(mut look: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match look() {
            Steal::Success(found) => return Some(found),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}
