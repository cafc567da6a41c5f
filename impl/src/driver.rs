//! A thread that polls, for programs that bring no loop of their own, and the global poller.
//!
//! # The thread of the global poller
//!
//! The global poller has no thread at first: its blocking waits take turns (`turns`). A future has no
//! thread that could, so the first one that is left parked while nobody is attached starts one, under
//! the lock of `Global::thread` and once (NP-TURN-9). That thread is a blocking wait that never ends: it takes the turn when
//! nobody else has it, retires to the bench while somebody drives, and is called when the last one
//! ends to, by the rules that hold for every wait. A future that was left parked while somebody was
//! attached is woken by the last one that detaches (NP-TURN-8), and looks again who is there.

use crate::error::Reason;
use crate::poller::{Poller, Shape};
use crate::ready::Ready;
use crate::seam::os::{Worker, spawn, yield_now};
use crate::seam::{Arc, Mutex, OnceLock, Ordering, Os, Portable, Primitives, System};
use crate::turns::{Attached, Kept, block};
use core::task::Poll;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A system of the machine that this program runs on, and not of a model: it has threads, and one
/// poller for all of the process.
pub trait Real: System + Default {
    /// Where that poller is.
    #[doc(hidden)]
    fn place() -> &'static OnceLock<Global<Self>>;

    /// The poller of the runtime that the calling thread belongs to, if there is one on this system.
    #[doc(hidden)]
    fn of_the_runtime() -> Option<Poller<Self>> {
        None
    }
}

macro_rules! real {
    ($($system:ty: { $($more:item)* })*) => {$(
        impl Real for $system {
            fn place() -> &'static OnceLock<Global<Self>> {
                static GLOBAL: OnceLock<Global<$system>> = OnceLock::new();
                &GLOBAL
            }

            $($more)*
        }
    )*};
}

real! {
    Os: {
        #[cfg(feature = "runtime")]
        fn of_the_runtime() -> Option<Poller<Self>> {
            crate::runtime::poller_of_this_thread()
        }
    }
    Portable: {}
}

/// A thread that polls a poller until this is dropped.
#[derive(Debug)]
pub struct Driver<S: Real = Os> {
    poller: Poller<S>,
    stop: Arc<Stop>,
    thread: Option<Worker>,
}

type Stop = <Os as Primitives>::AtomicU32;

impl<S: Real> Poller<S> {
    /// A poller with an event queue of its own.
    ///
    /// Blocking waits need nobody to drive it: where nobody does, they poll it themselves, one at a time.
    /// Futures need a [`Driver`], or a loop of the program that is [attached](Poller::attach).
    ///
    /// # Errors
    ///
    /// When the kernel cannot make an event queue, for example because the table of descriptors
    /// is full.
    pub fn new() -> io::Result<Self> {
        Poller::on(S::default(), Shape::default())
    }

    /// The poller of the process. Made on first use, and lives as long as the process.
    ///
    /// It needs no driver: blocking waits on it poll it themselves, and a thread is started for it
    /// when the first future is left parked while nobody is [attached](Poller::attach).
    /// That thread keeps out of the way while somebody is, and takes over again when the last guard is dropped.
    ///
    /// # Errors
    ///
    /// When the kernel has no event queue for it. The next call tries again.
    pub fn global() -> io::Result<&'static Poller<S>> {
        if let Some(global) = S::place().get() {
            return Ok(&global.poller);
        }
        let poller = Poller::new()?;
        let thread = Mutex::new(None, |_| None);
        // Of several first users one wins; what the others made goes away again.
        Ok(&S::place().get_or_init(|| Global { poller, thread }).poller)
    }

    /// The poller on which the calling thread makes its descriptors unless it says otherwise: that of the
    /// runtime (`netpoller::runtime`) whose task, blocking task or `block_on` runs here, else the
    /// [global](Poller::global) one.
    ///
    /// # Errors
    ///
    /// As for [`global`](Poller::global), where there is no runtime.
    pub fn current() -> io::Result<Self> {
        match S::of_the_runtime() {
            Some(poller) => Ok(poller),
            None => Poller::global().cloned(),
        }
    }

    /// Starts a thread that is [attached](Poller::attach), polls and wakes until the [`Driver`] is
    /// dropped. Several drivers of one poller are allowed.
    ///
    /// A waker that panics does not end the driver. An event queue that is not usable any more
    /// (foreign code closed its descriptor) does: all descriptors of the poller are closed then,
    /// so that every wait ends with an error.
    ///
    /// Dropping the last driver ends no wait: tasks stay parked until somebody polls again or
    /// their sources are closed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::task::{Context, Poll, Wake, Waker};
    /// use std::thread::Thread;
    ///
    /// /// The smallest executor: a thread.
    /// struct Unpark(Thread);
    ///
    /// impl Wake for Unpark {
    ///     fn wake(self: Arc<Self>) {
    ///         self.0.unpark();
    ///     }
    /// }
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let driver = poller.drive()?; // polls for the future below
    /// let (socket, peer) = poller.stream_pair()?;
    /// peer.try_write(b"x")?;
    ///
    /// let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    /// let mut byte = [0];
    /// let mut read = std::pin::pin!(socket.async_read(&mut byte));
    /// let count = loop {
    ///     match read.as_mut().poll(&mut Context::from_waker(&waker)) {
    ///         Poll::Ready(count) => break count?,
    ///         Poll::Pending => std::thread::park(),
    ///     }
    /// };
    /// assert_eq!(count, 1);
    /// drop(driver);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the thread cannot be started. [`Reason::Forked`] in a child that was forked.
    pub fn drive(&self) -> io::Result<Driver<S>> {
        if !self.is_of_this_process() {
            return Err(Reason::Forked.into());
        }
        let stop = Arc::new(Stop::new(0));
        let (attached, seen) = (self.attach(), Arc::clone(&stop));
        let thread = spawn("netpoller-driver", move || {
            drive(&attached, &seen);
            drop(attached); // hands over
        })?;
        Ok(Driver { poller: self.clone(), stop, thread: Some(thread) })
    }
}

/// The poller of the process, and its thread once there is one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Global<S: System> {
    poller: Poller<S>,
    thread: <Os as Primitives>::Mutex<Option<Worker>>,
}

/// A future is left parked and nobody is attached: the global poller needs its thread.
///
/// # Errors
///
/// When the thread cannot be started.
pub(crate) fn unattended<S: Real>(poller: &Poller<S>) -> io::Result<()> {
    let Some(global) = S::place().get() else { return Ok(()) };
    if !Arc::ptr_eq(&global.poller.shared, &poller.shared) {
        return Ok(()); // a poller of the program is driven by the program
    }
    let mut thread = global.thread.lock();
    if thread.is_none() {
        // NP-TURN-9: inside of the lock, so that whoever finds a thread can rely on it.
        *thread = Some(spawn("netpoller-global", || wait_for_ever(&global.poller))?);
    }
    Ok(())
}

fn wait_for_ever<S: System>(poller: &Poller<S>) {
    let ended = block(poller, Kept::Elsewhere, |_waker| Poll::<core::convert::Infallible>::Pending);
    if ended.is_err() {
        poller.close_all(); // the event queue is not usable any more
    }
}

fn drive<S: Real>(attached: &Attached<S>, stop: &Stop) {
    let mut ready = Ready::new();
    // Acquire: pairs with the store in `Driver::drop`. That the store is seen by the driver it is
    // meant for follows from NP-BREAK-4: the break comes after it.
    while stop.load(Ordering::Acquire) == 0 {
        let polled = attached.poll(&mut ready, None);
        // A waker that panics is its owner's misfortune: the panic hook has reported it, the
        // other wakers were woken (NP-WAKE-2), and all other tasks still need this thread.
        let _reported = catch_unwind(AssertUnwindSafe(|| ready.wake_all()));
        match polled {
            Ok(_) => {}
            // A foreign event: reported to whoever polls by hand; here it must not end service.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            // The event queue is not usable any more: nobody will ever be woken by it, so
            // nobody may go on waiting.
            Err(_) => return attached.poller().close_all(),
        }
    }
}

impl<S: Real> Drop for Driver<S> {
    fn drop(&mut self) {
        // Release: pairs with the load in `drive`.
        self.stop.store(1, Ordering::Release);
        let Some(thread) = self.thread.take() else { return };
        if thread.is_current() {
            return; // dropped by a waker that this very thread runs: it ends after that
        }
        // A break gets one polling thread out, not a chosen one: break until it was this one.
        while !thread.is_finished() {
            if self.poller.wake().is_err() {
                return; // the queue is not usable, and the thread has ended because of that
            }
            yield_now();
        }
        // If it panicked, it said so on its own; a destructor is no place to say it again.
        let _ended = thread.join();
    }
}
