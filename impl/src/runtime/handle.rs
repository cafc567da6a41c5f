//! A handle to a runtime, for whoever wants to spawn and does not own it.

use super::block_on;
use super::blocking;
use super::context::{Context, Inside};
use super::scheduler::Shared;
use super::task::JoinHandle;
use crate::poller::Poller;
use crate::seam::{Arc, Os};
use core::fmt;
use core::future::Future;
use std::io;
use std::rc::Rc;

/// A handle to a [`Runtime`](super::Runtime). A clone is another handle to the same one; none of them keeps it
/// running.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// That of the runtime to which the calling thread belongs: a worker, a thread for blocking tasks, or
    /// a thread that is in `block_on`.
    ///
    /// # Panics
    ///
    /// When it belongs to none.
    #[must_use]
    pub fn current() -> Handle {
        Handle::try_current().unwrap_or_else(|none| panic!("{none}"))
    }

    /// The same.
    ///
    /// # Errors
    ///
    /// When it belongs to none.
    pub fn try_current() -> Result<Handle, NoRuntime> {
        let context = Context::current();
        let shared = context.as_ref().and_then(|context| context.shared());
        shared.map(|shared| Handle { shared: Arc::clone(shared) }).ok_or(NoRuntime(()))
    }

    /// Starts a task. It goes on by itself, whether its handle is kept or not.
    ///
    /// When the runtime is shut down the future is dropped at once, and the handle says cancelled.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.shared.spawn(future)
    }

    /// Starts a task that blocks, on a thread that no task waits for. There is a limit to these threads
    /// ([`Builder::blocking_threads`](super::Builder::blocking_threads)): beyond it calls wait for each other, in their
    /// order.
    ///
    /// A call that has begun cannot be cancelled, and a shutdown waits for it. When no thread can be
    /// started at all the handle says cancelled.
    pub fn spawn_blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        blocking::in_pool(&self.shared, call)
    }

    /// Starts a task that blocks, on a thread of its own with this name: the blocking style beside the async
    /// one, on the same descriptors. A blocking read on a descriptor of the [`poller`](Self::poller) parks the
    /// thread, and the workers wake it.
    ///
    /// ```
    /// use std::io::{Read, Write};
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = netpoller::runtime::Runtime::new()?;
    /// let (a, b) = runtime.poller().stream_pair()?;
    /// let reader = runtime.spawn_thread("reader", move || {
    ///     let mut byte = [0];
    ///     (&b).read_exact(&mut byte).map(|()| byte) // parks this thread
    /// })?;
    /// runtime.block_on(a.async_write(b"x"))?; // a task on the same poller
    /// assert_eq!(&reader.join().expect("no panic")?, b"x");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A shutdown waits for a body that has begun: close what it waits for. One that has not is cancelled.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn spawn_thread<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        blocking::on_own_thread(&self.shared, name, body)
    }

    /// Runs a future to its end on the calling thread, which parks while it waits. The workers drive the
    /// poller.
    ///
    /// # Panics
    ///
    /// When the future does; and on a thread that runs tasks, which would wait for each other.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !Context::forbids_blocking(),
            "a thread that runs tasks must not block: await, or use spawn_blocking"
        );
        // A thread of this very runtime stays what it is.
        let current = Context::current();
        let shared = current.as_ref().and_then(|context| context.shared());
        let at_home = shared.is_some_and(|shared| Arc::ptr_eq(shared, &self.shared));
        let guest = || Rc::new(Context::Guest(Arc::clone(&self.shared)));
        let _inside = (!at_home).then(|| Inside::of(guest()));
        block_on::on_this_thread(future)
    }

    /// The poller that the workers drive, to register descriptors with. Nobody else may block in it.
    #[must_use]
    pub fn poller(&self) -> &Poller<Os> {
        self.shared.poller()
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.shared.workers()
    }

    /// How many tasks have not ended.
    #[must_use]
    pub fn live_tasks(&self) -> usize {
        self.shared.tasks.live()
    }

    /// The word of the idle workers, for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn idle(&self) -> netpoller_spec::election::Word {
        self.shared.idle().peek()
    }
}

impl Handle {
    /// How many hold on to what the threads share: handles, threads, and each allocation of a task, which
    /// the last waker of the task keeps. For tests that count what is left.
    #[doc(hidden)]
    #[must_use]
    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.shared)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("idle", &self.idle())
            .field("live tasks", &self.live_tasks())
            .field("ended", &self.shared.tasks.ended())
            .finish()
    }
}

/// The calling thread belongs to no [`Runtime`](super::Runtime).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRuntime(());

impl fmt::Display for NoRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no runtime on this thread")
    }
}

impl std::error::Error for NoRuntime {}
