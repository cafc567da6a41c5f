//! A runtime on one thread, for futures that cannot leave it.
//!
//! # State
//!
//! * `here`: tasks that were woken on the thread of the runtime, first in first out.
//! * `Elsewhere`, under its lock: tasks that other threads have woken, and whether the thread sleeps in the
//!   kernel, or is about to.
//! * `Root`: whether the future of `block_on` is to be polled.
//!
//! # The handshake of sleeping and waking
//!
//! The thread finds nothing to do and notes that it sleeps in one section of the lock; another thread enters a
//! task (or, for the root, has set its flag) and reads the note in one section. So either the thread sees
//! the task, or it is broken out of the kernel. No fences: there is one lock on both sides. The thread polls alone, so the
//! break reaches it.
//!
//! The thread looks at the kernel, and at what others have woken, every [`LOOK_UP`] tasks and before it sleeps.

use super::context::{Context, Inside};
use super::scheduler::LOOK_UP;
use super::task::{self, JoinHandle, Runnable};
use super::tasks::Tasks;
use crate::poller::Poller;
use crate::ready::Ready;
use crate::seam::{Arc, Atomic, Mutex, Ordering, Os, Primitives, os};
use core::cell::RefCell;
use core::future::Future;
use core::pin::pin;
use core::task::{Poll, Waker};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Wake;

/// A runtime on the thread that calls [`block_on`](LocalRuntime::block_on), which drives its poller and runs its
/// tasks. They may hold what must not leave the thread.
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// # fn main() -> std::io::Result<()> {
/// let local = netpoller::runtime::LocalRuntime::new()?;
/// let seen = Rc::new(Cell::new(0));
/// let theirs = seen.clone();
/// let task = local.spawn_local(async move { theirs.set(42) });
/// local.block_on(task).expect("it neither panics nor is cancelled");
/// assert_eq!(seen.get(), 42);
/// # Ok(())
/// # }
/// ```
///
/// Tasks run while `block_on` does; those that have not ended when it returns go on in the next one. Dropping
/// the runtime drops their futures.
#[derive(Debug)]
pub struct LocalRuntime {
    inner: Rc<Inner>,
}

/// What the thread knows of its runtime.
#[derive(Debug)]
pub(crate) struct Inner {
    elsewhere: Arc<Elsewhere>,
    tasks: Arc<Tasks>,
    here: RefCell<VecDeque<Runnable>>,
    /// Taken by the one `block_on` that runs.
    ready: RefCell<Ready<Os>>,
}

/// What other threads know of it.
#[derive(Debug)]
struct Elsewhere {
    poller: Poller<Os>,
    woken: <Os as Primitives>::Mutex<Woken>,
}

#[derive(Debug, Default)]
struct Woken {
    tasks: VecDeque<Runnable>,
    asleep: bool,
}

impl Elsewhere {
    /// Enters what there is to do, and calls the thread if it sleeps.
    fn call(&self, task: Option<Runnable>) {
        let mut woken = self.woken.lock();
        woken.tasks.extend(task);
        let asleep = core::mem::take(&mut woken.asleep);
        drop(woken);
        if asleep {
            // That the event queue is not usable any more is for the thread to find out.
            let _told = self.poller.wake();
        }
    }
}

/// The waker of the future of `block_on`.
struct Root {
    /// 1: it is to be polled.
    woken: <Os as Primitives>::AtomicU32,
    elsewhere: Arc<Elsewhere>,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: what was done before the wake is seen by the poll that it leads to. Whoever finds it
        // set leaves the call to the one who has set it.
        if self.woken.swap(1, Ordering::AcqRel) == 0 {
            self.elsewhere.call(None);
        }
    }
}

impl LocalRuntime {
    /// A runtime with a poller of its own.
    ///
    /// # Errors
    ///
    /// Those of [`Poller::new`].
    pub fn new() -> io::Result<LocalRuntime> {
        let poller = Poller::new()?;
        let woken = Mutex::new(Woken::default(), |_| None);
        let inner = Inner {
            elsewhere: Arc::new(Elsewhere { poller, woken }),
            tasks: Arc::new(Tasks::new()),
            here: RefCell::default(),
            ready: RefCell::default(),
        };
        Ok(LocalRuntime { inner: Rc::new(inner) })
    }

    /// The poller, to register descriptors with. Only `block_on` may block in it.
    #[must_use]
    pub fn poller(&self) -> &Poller<Os> {
        self.inner.poller()
    }

    /// Starts a task, which runs while [`block_on`](Self::block_on) does.
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner.spawn(future)
    }

    /// Runs a future to its end, and the tasks meanwhile.
    ///
    /// # Panics
    ///
    /// When the future does; inside of another `block_on` of this runtime, or on a thread that runs the tasks of
    /// another one; and when the event queue is not usable any more.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !Context::forbids_blocking(),
            "a thread that runs tasks must not block: await, or use spawn_blocking"
        );
        let inner = &self.inner;
        let _inside = Inside::of(Rc::new(Context::Local(Rc::clone(inner))));
        let root = Arc::new(Root {
            woken: Atomic::<u32>::new(1),
            elsewhere: Arc::clone(&inner.elsewhere),
        });
        let waker = Waker::from(Arc::clone(&root));
        let mut cx = core::task::Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            // AcqRel: pairs with the swap in `wake_by_ref`.
            if root.woken.swap(0, Ordering::AcqRel) == 1
                && let Poll::Ready(value) = future.as_mut().poll(&mut cx)
            {
                return value;
            }
            for _ in 0..LOOK_UP {
                let Some(task) = inner.next() else { break };
                task.run();
            }
            inner.look_up(&root);
        }
    }
}

impl Inner {
    pub(crate) fn poller(&self) -> &Poller<Os> {
        &self.elsewhere.poller
    }

    pub(crate) fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let elsewhere = Arc::clone(&self.elsewhere);
        let schedule = move |runnable| match Context::current().as_deref() {
            Some(Context::Local(inner)) if Arc::ptr_eq(&inner.elsewhere, &elsewhere) => {
                inner.here.borrow_mut().push_back(runnable);
            }
            _ => elsewhere.call(Some(runnable)),
        };
        let (runnable, handle) = task::make(&self.tasks, future, |guarded| {
            async_task::Builder::new().spawn_local(|()| guarded, schedule)
        });
        if let Some(runnable) = runnable {
            runnable.schedule();
        }
        handle
    }

    fn next(&self) -> Option<Runnable> {
        self.here.borrow_mut().pop_front()
    }

    /// Takes over what others have woken and what the kernel reports; sleeps if there is nothing to do.
    fn look_up(&self, root: &Root) {
        let mut woken = self.elsewhere.woken.lock();
        if !woken.tasks.is_empty() {
            self.here.borrow_mut().append(&mut woken.tasks);
        }
        // Acquire: pairs with the swap of whoever has set it.
        let busy = !self.here.borrow().is_empty() || root.woken.load(Ordering::Acquire) == 1;
        woken.asleep = !busy;
        drop(woken);
        let mut ready = self.ready.borrow_mut();
        let polled = self.poller().poll(&mut ready, busy.then_some(core::time::Duration::ZERO));
        self.elsewhere.woken.lock().asleep = false;
        // As everywhere: a waker that panics keeps nobody else asleep, and was reported.
        let _reported = catch_unwind(AssertUnwindSafe(|| ready.wake_all()));
        match polled {
            Ok(_) => {}
            // A foreign event; the others of its batch were applied.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => panic!("the event queue of the runtime is not usable: {error}"),
        }
    }
}

impl Drop for LocalRuntime {
    /// Drops the futures of all tasks; their handles say cancelled.
    fn drop(&mut self) {
        let inner = &self.inner;
        let _inside = Inside::of(Rc::new(Context::Local(Rc::clone(inner))));
        for waker in inner.tasks.close() {
            waker.wake();
        }
        while inner.tasks.live() > 0 {
            let mut woken = inner.elsewhere.woken.lock();
            inner.here.borrow_mut().append(&mut woken.tasks);
            drop(woken);
            match inner.next() {
                Some(task) => {
                    task.run();
                }
                // Another thread has woken a task and is about to enter it.
                None => os::yield_now(),
            }
        }
    }
}
