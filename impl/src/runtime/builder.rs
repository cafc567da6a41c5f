//! A runtime as its owner sees it: how it begins, and how it ends.

use super::blocking::Pool;
use super::context::Context;
use super::handle::Handle;
use super::scheduler::{Shared, serve};
use super::tasks::Ended;
use super::time::timeout;
use crate::poller::Poller;
use crate::seam::os::{self, spawn};
use crate::seam::{Arc, Os, host};
use core::future::poll_fn;
use core::ops::Deref;
use core::task::Poll;
use core::time::Duration;
use netpoller_spec::election::Word;
use std::io;

/// How a [`Runtime`] is made.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = netpoller::runtime::Builder::new().workers(2).thread_name("server").build()?;
/// assert_eq!(runtime.workers(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    workers: Option<usize>,
    blocking_threads: Option<usize>,
    name: Option<String>,
    poller: Option<Poller<Os>>,
}

impl Builder {
    /// Everything as in [`Runtime::new`].
    pub fn new() -> Builder {
        Builder::default()
    }

    /// How many workers: from 1 to 48. Unless said otherwise as many as threads can run at once, and 48 at
    /// most.
    pub fn workers(self, workers: usize) -> Builder {
        Builder { workers: Some(workers), ..self }
    }

    /// How many threads for blocking tasks at most, at least 1; 512 unless said otherwise. They are started when they are
    /// needed, and stay.
    pub fn blocking_threads(self, most: usize) -> Builder {
        Builder { blocking_threads: Some(most), ..self }
    }

    /// What the threads are called, with a number behind it; `netpoller` unless said otherwise.
    pub fn thread_name(self, name: impl Into<String>) -> Builder {
        Builder { name: Some(name.into()), ..self }
    }

    /// A poller to share, in place of a new one. While the runtime lives nobody else may block in
    /// it: no [`Driver`](crate::Driver), and no [`Poller::poll`] with a timeout. A worker that is called out of the kernel
    /// has to be the one that is there.
    pub fn poller(self, poller: &Poller<Os>) -> Builder {
        Builder { poller: Some(poller.clone()), ..self }
    }

    /// Starts the workers.
    ///
    /// # Errors
    ///
    /// Of kind `InvalidInput` for a number of workers that is not from 1 to 48, or no threads for blocking tasks; when the
    /// kernel has no event queue for a new poller, or no thread for a worker.
    pub fn build(self) -> io::Result<Runtime> {
        let most = Word::MOST_WORKERS as usize;
        let workers = self.workers.unwrap_or_else(|| host::cores().min(most));
        let blocking_threads = self.blocking_threads.unwrap_or(512);
        if blocking_threads == 0 {
            let message = "no threads for blocking tasks: at least 1";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let poller = self.poller.map_or_else(Poller::new, Ok)?;
        let name = self.name.as_deref().unwrap_or("netpoller");
        let pool = Pool::new(blocking_threads, name);
        // What does not fit is too many.
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        let (shared, queues) = Shared::new(&poller, workers, pool)?;
        // From here on somebody drives the poller, until `end`.
        let mut runtime = Runtime { handle: Handle { shared }, threads: Vec::new() };
        for (number, queue) in (0..).zip(queues) {
            let shared = Arc::clone(&runtime.handle.shared);
            let body = move || serve(&shared, number, queue);
            // If there is no thread, the drop of `runtime` ends those that have begun.
            runtime.threads.push(spawn(&format!("{name}-{number}"), body)?);
        }
        Ok(runtime)
    }
}

/// Workers that run tasks and drive a poller. It is also a [`Handle`].
///
/// Dropping it is a [`shutdown`](Runtime::shutdown) without a grace period. On one of its own threads,
/// in a task that happens to own it, the drop does not wait for the end, which would be waiting for
/// itself.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    threads: Vec<os::Worker>,
}

/// What became of the tasks of a [`Runtime`], all that it ever had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// How many have ended by themselves, those that have panicked included.
    pub completed: u64,
    /// How many were aborted, or cancelled by the shutdown.
    pub cancelled: u64,
}

impl Runtime {
    /// A runtime with a poller of its own and a worker per core, at most 48.
    ///
    /// # Errors
    ///
    /// When the kernel has no event queue or no thread for it.
    pub fn new() -> io::Result<Runtime> {
        Builder::new().build()
    }

    /// How to make one that is different.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A handle to it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the runtime. Its tasks have `grace` to end by themselves, and may spawn others; then all that
    /// are left are cancelled: their futures are dropped, by the workers, and their handles say cancelled. Returns
    /// when the last one has ended, and the threads are gone.
    ///
    /// Waits without a limit for a task that does not return from its poll, and for blocking tasks that
    /// have begun; the poller is driven for them until then.
    ///
    /// ```
    /// use std::time::Duration;
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = netpoller::runtime::Runtime::new()?;
    /// let done = runtime.spawn(async { 1 });
    /// let stuck = runtime.spawn(std::future::pending::<()>());
    /// let report = runtime.shutdown(Duration::from_millis(10));
    /// assert_eq!((report.completed, report.cancelled), (1, 1));
    /// assert!(stuck.join().unwrap_err().is_cancelled());
    /// # drop(done);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// On a thread that runs tasks, here or in another runtime: they would wait for each other.
    pub fn shutdown(mut self, grace: Duration) -> Report {
        assert!(
            !self.is_mine() && !Context::forbids_blocking(),
            "a thread that runs tasks must not wait for the end of a runtime"
        );
        let tasks = &self.handle.shared.tasks;
        if !grace.is_zero() {
            let empty = poll_fn(|cx| match tasks.is_empty_or_wakes(cx.waker()) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            });
            let _in_time = self.handle.block_on(timeout(grace, empty));
        }
        self.end();
        let Ended { completed, cancelled } = self.handle.shared.tasks.ended();
        Report { completed, cancelled }
    }

    /// Whether the calling thread is one of its own.
    fn is_mine(&self) -> bool {
        match Context::current().as_deref() {
            Some(Context::Worker(shared, _) | Context::Blocking(shared)) => {
                Arc::ptr_eq(shared, &self.handle.shared)
            }
            _ => false,
        }
    }

    fn end(&mut self) {
        let shared = &self.handle.shared;
        let threads = core::mem::take(&mut self.threads);
        if !shared.tasks.is_closed() {
            shared.close();
        }
        if self.is_mine() {
            return; // the threads end without being waited for
        }
        for thread in threads {
            // One that has panicked has said so on its own.
            let _ended = thread.join();
        }
        shared.pool.join();
    }
}

impl Deref for Runtime {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.end();
    }
}
