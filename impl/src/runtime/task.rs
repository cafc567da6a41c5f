//! A task: a future that runs by itself, and the handle to what becomes of it.
//!
//! The allocation, the states and the wakers of a task are those of the crate `async-task`. Here is what
//! surrounds its future: panics are caught, in the future and in its destructor; whether the task
//! was aborted is looked at before each poll; and the task leaves the list of its runtime when the
//! future has been dropped, on whatever way.

use super::block_on;
use super::tasks::{Flag, Key, Tasks};
use crate::seam::{Arc, Mutex, Os, Primitives};
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A task that is to be polled.
pub(crate) type Runnable = async_task::Runnable;

/// What a task and its handle share.
#[derive(Debug)]
pub(crate) struct Header {
    tasks: Arc<Tasks>,
    /// `None`: the runtime was shut down when the task was spawned.
    key: Option<Key>,
    flag: Flag,
}

impl Header {
    fn abort(&self) {
        if let Some(key) = self.key {
            self.tasks.abort(key, &self.flag);
        }
    }
}

/// Takes the task off the list when the future is gone.
struct Ticket {
    /// Those of the header, which a poll need not touch.
    tasks: Arc<Tasks>,
    header: Arc<Header>,
    completed: bool,
}

impl Ticket {
    #[inline]
    fn is_over(&self) -> bool {
        self.tasks.is_over(&self.header.flag)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(key) = self.header.key {
            self.tasks.leave(key, &self.header.flag, self.completed);
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a task. The ticket is in front, in the cache line of what `async_task` keeps: however large the
    /// future is, a poll finds there whether there is to be one.
    #[repr(C)]
    pub(crate) struct Guarded<F> {
        ticket: Ticket,
        // `None`: it has been dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Guarded<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut future = this.project().future;
            // A destructor that panics is reported by the panic hook and ends nobody else.
            let _reported = catch_unwind(AssertUnwindSafe(|| future.set(None)));
        }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Output<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let result = if this.ticket.is_over() {
            Err(JoinError(Why::Cancelled))
        } else {
            let future = this.future.as_mut().as_pin_mut();
            let future = future.expect("a task that has ended is not polled");
            match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(value)) => Ok(value),
                Err(payload) => Err(JoinError::panicked(payload)),
            }
        };
        this.ticket.completed = !matches!(result, Err(JoinError(Why::Cancelled)));
        // As in the destructor: what has been decided stands.
        let _reported = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        Poll::Ready(Output(Some(result)))
    }
}

/// What a task leaves behind; dropped without a panic if nobody fetches it.
pub(crate) struct Output<T>(Option<Result<T, JoinError>>);

impl<T> Drop for Output<T> {
    fn drop(&mut self) {
        let left = self.0.take();
        let _reported = catch_unwind(AssertUnwindSafe(|| drop(left)));
    }
}

/// Puts a task together. `build` hands the future to `async_task`. The runnable is `None` when the
/// runtime is shut down: the future has been dropped then.
pub(crate) fn make<F: Future>(
    tasks: &Arc<Tasks>,
    future: F,
    build: impl FnOnce(Guarded<F>) -> (Runnable, async_task::Task<Output<F::Output>>),
) -> (Option<Runnable>, JoinHandle<F::Output>) {
    let key = tasks.enter();
    let header = Arc::new(Header { tasks: Arc::clone(tasks), key, flag: Tasks::flag() });
    let ticket = Ticket { tasks: Arc::clone(tasks), header: Arc::clone(&header), completed: false };
    let (runnable, task) = build(Guarded { future: Some(future), ticket });
    let handle = JoinHandle { task: Some(task.fallible()), header };
    (key.map(|key| tasks.admit(key, runnable.waker())).map(|()| runnable), handle)
}

/// A handle to a task: a future of what becomes of it.
///
/// Dropping the handle leaves the task alone: it goes on by itself.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = netpoller::runtime::Runtime::new()?;
/// let sum = runtime.spawn(async { 20 + 22 });
/// assert_eq!(runtime.block_on(sum).expect("it neither panics nor is cancelled"), 42);
/// # Ok(())
/// # }
/// ```
#[must_use = "a task goes on without its handle; say so with `drop`"]
pub struct JoinHandle<T> {
    /// `None` only while it is being dropped.
    task: Option<async_task::FallibleTask<Output<T>>>,
    header: Arc<Header>,
}

impl<T> JoinHandle<T> {
    /// Cancels the task: its future is not polled any more and dropped by the runtime, soon; the handle then says
    /// cancelled. One that has ended keeps its result. A blocking task that has begun is not disturbed.
    pub fn abort(&self) {
        if !self.is_finished() {
            self.header.abort();
        }
    }

    /// Whether the task has ended in one way or another.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.as_ref().is_none_or(async_task::FallibleTask::is_finished)
    }

    /// Blocks the calling thread until the task has ended. For a task of a
    /// [`LocalRuntime`](super::LocalRuntime) that has to be another thread than the one that runs it.
    ///
    /// # Errors
    ///
    /// The task was cancelled, or it has panicked.
    ///
    /// # Panics
    ///
    /// On a thread that runs tasks, which would wait for each other.
    pub fn join(self) -> Result<T, JoinError> {
        block_on::on_this_thread(self)
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let task = self.task.as_mut().expect("it is there until the handle is dropped");
        // `None`: the future was dropped before its end.
        let output = ready!(Pin::new(task).poll(cx)).and_then(|mut output| output.0.take());
        Poll::Ready(output.unwrap_or(Err(JoinError(Why::Cancelled))))
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}

/// Why a task has no result.
pub struct JoinError(Why);

enum Why {
    Cancelled,
    /// In a lock, so that the error can be shared although the payload cannot.
    Panicked(<Os as Primitives>::Mutex<Box<dyn Any + Send>>),
}

impl JoinError {
    fn panicked(payload: Box<dyn Any + Send>) -> JoinError {
        JoinError(Why::Panicked(Mutex::new(payload, |_| None)))
    }

    /// The task was aborted, or its runtime was shut down.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Why::Cancelled)
    }

    /// The task has panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Why::Panicked(_))
    }

    /// What the task has panicked with, for [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// The error itself when the task was cancelled.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, JoinError> {
        match self.0 {
            Why::Cancelled => Err(self),
            Why::Panicked(payload) => {
                let nothing: Box<dyn Any + Send> = Box::new(());
                Ok(core::mem::replace(&mut *payload.lock(), nothing))
            }
        }
    }

    /// The same.
    ///
    /// # Panics
    ///
    /// When the task was cancelled.
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        self.try_into_panic().expect("the task has not panicked")
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Why::Panicked(payload) = &self.0 else { return f.write_str("the task was cancelled") };
        let payload = payload.lock();
        let said = payload.downcast_ref::<&str>().copied();
        match said.or_else(|| payload.downcast_ref::<String>().map(String::as_str)) {
            Some(said) => write!(f, "the task panicked: {said}"),
            None => f.write_str("the task panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> io::Error {
        io::Error::other(error)
    }
}
