//! What runs on a thread: the runtime whose thread it is, or whose future it runs.

use super::local;
use super::scheduler::Shared;
use super::task::Runnable;
use crate::poller::Poller;
use crate::seam::{Arc, Os, host};
use std::any::Any;
use std::rc::Rc;

/// What lies in the place of a thread while it belongs to a runtime.
pub(crate) enum Context {
    /// A worker, with the queue of the tasks that it has made runnable.
    Worker(Arc<Shared>, crossbeam_deque::Worker<Runnable>),
    /// A thread that does one blocking task at a time.
    Blocking(Arc<Shared>),
    /// A thread of somebody else, which is in `block_on`.
    Guest(Arc<Shared>),
    /// The thread of a runtime that has one.
    Local(Rc<local::Inner>),
}

impl Context {
    /// That of the calling thread.
    pub(crate) fn current() -> Option<Rc<Context>> {
        host::current()?.downcast().ok()
    }

    /// The runtime of several threads that it belongs to.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        match self {
            Context::Worker(shared, _) | Context::Blocking(shared) | Context::Guest(shared) => {
                Some(shared)
            }
            Context::Local(_) => None,
        }
    }

    pub(crate) fn poller(&self) -> &Poller<Os> {
        match self {
            Context::Local(inner) => inner.poller(),
            Context::Worker(shared, _) | Context::Blocking(shared) | Context::Guest(shared) => {
                shared.poller()
            }
        }
    }

    /// Whether the calling thread must not block, because tasks would wait for it.
    pub(crate) fn forbids_blocking() -> bool {
        let current = Context::current();
        current.is_some_and(|context| matches!(*context, Context::Worker(..) | Context::Local(_)))
    }
}

/// Puts a context into the place of the calling thread until it is dropped.
pub(crate) struct Inside {
    before: Option<Rc<dyn Any>>,
}

impl Inside {
    pub(crate) fn of(context: Rc<Context>) -> Inside {
        Inside { before: host::replace(Some(context)) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        host::replace(self.before.take());
    }
}
