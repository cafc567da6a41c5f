//! A small runtime, whose idle workers sleep in the poller themselves.
//!
//! [`Runtime`] has some worker threads, which run tasks and, when they have none, watch the kernel: one
//! of them sleeps in the poller, the others sleep on their parkers. There is no thread that only polls, so
//! readiness is met by the thread that goes on with the task. [`LocalRuntime`] is the same on one
//! thread, for futures that cannot leave it. Tasks that block have threads of their own
//! ([`Handle::spawn_blocking`], [`Handle::spawn_thread`]), on which blocking calls on descriptors park
//! while the workers drive the poller.
//!
//! ```
//! use netpoller::runtime::{Runtime, timeout};
//! use std::time::Duration;
//!
//! # fn main() -> std::io::Result<()> {
//! let runtime = Runtime::new()?;
//! let (a, b) = runtime.poller().stream_pair()?;
//! let echo = runtime.spawn(async move {
//!     let mut byte = [0];
//!     b.async_read(&mut byte).await?;
//!     b.async_write(&byte).await
//! });
//! let byte = runtime.block_on(async {
//!     a.async_write(b"x").await?;
//!     let mut byte = [0];
//!     timeout(Duration::from_secs(10), a.async_read(&mut byte)).await??;
//!     echo.await??;
//!     std::io::Result::Ok(byte)
//! })?;
//! assert_eq!(&byte, b"x");
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! * **Work is conserved.** While a task can run and a worker sleeps, one is called (SPEC.md section 16).
//! * **Idle is idle.** Workers that have nothing to do make no system calls and do not wake up.
//! * **Nothing is early.** A [`sleep`] ends when its instant has come, not before.
//! * **A shutdown is an end.** Afterwards each task has ended, or its future was dropped and its handle says
//!   cancelled; the threads are gone.
//! * A task that panics ends alone; the panic is in its [`JoinError`].
//!
//! # What does not
//!
//! * A task that does not return from its poll keeps its worker, and delays a shutdown.
//! * In which order tasks run: each queue is first in first out, but there are several, and workers steal.
//! * Descriptors that a task makes without naming a poller ([`TcpStream::connect`](crate::net::TcpStream)) belong
//!   to that of its runtime ([`Poller::current`](crate::poller::Poller::current)), and are driven as long as the
//!   runtime lives, or by whoever drives the poller then.
//!
//! # Where what is
//!
//! `scheduler` has the workers and their queues, `task` and `tasks` what a task is and which ones live, `blocking` the
//! threads for tasks that block, `time` what sleeps, `local` the runtime on one thread; who sleeps and who
//! is called is decided in `idle`, outside of this module, and model-checked there.

mod block_on;
mod blocking;
mod builder;
mod context;
mod handle;
mod local;
mod scheduler;
mod task;
mod tasks;
mod time;

pub use builder::{Builder, Report, Runtime};
pub use handle::{Handle, NoRuntime};
pub use local::LocalRuntime;
pub use task::{JoinError, JoinHandle};
pub use time::{
    Elapsed, Interval, Sleep, Timeout, interval, now, sleep, sleep_until, timeout, yield_now,
};

use crate::poller::Poller;
use crate::seam::Os;
use context::Context;
use core::future::Future;

/// The poller of the runtime of this thread.
pub(crate) fn poller_of_this_thread() -> Option<Poller<Os>> {
    Context::current().map(|context| context.poller().clone())
}

/// Starts a task on the runtime of this thread.
///
/// # Panics
///
/// On a thread that is in no [`Runtime`].
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Handle::current().spawn(future)
}

/// Starts a task that blocks, on the runtime of this thread; see [`Handle::spawn_blocking`].
///
/// # Panics
///
/// On a thread that is in no [`Runtime`].
pub fn spawn_blocking<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    Handle::current().spawn_blocking(call)
}

/// Starts a task on the [`LocalRuntime`] of this thread.
///
/// # Panics
///
/// On a thread that is in no [`LocalRuntime`].
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    match Context::current().as_deref() {
        Some(Context::Local(inner)) => inner.spawn(future),
        _ => panic!("there is no LocalRuntime on this thread"),
    }
}
