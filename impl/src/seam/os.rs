//! [`Os`] and [`Portable`]: the seam as the operating system fills it in.
//!
//! The atomics, the mutex, the clock and the threads of the standard library, a kernel, and an
//! observer that sees nothing. Neither has contents or a state of its own; all of this compiles down to
//! what it wraps.
//!
//! | system | its event queue |
//! |---|---|
//! | [`Os`] | epoll on Linux; elsewhere as [`Portable`] |
//! | [`Portable`] | poll(2), and a set that is kept here ([`crate::level`]) |
//!
//! # Parking
//!
//! Each thread has one [`OsParker`], made when it is first asked for. Its token is an atomic
//! word; the sleep is that of `std::thread::park`, whose own token belongs to the program that
//! runs on the thread: a wait for I/O that happened to swallow it could leave that program
//! asleep for ever. So a park that slept hands the token of the standard library back, at the
//! price that the next `std::thread::park` on this thread may return spuriously, which its
//! callers expect anyway.
//!
//! # Threads
//!
//! [`spawn`] is the only place in this crate that starts a thread.

use super::{Arc, Atomic, Instant, Mutex, Ordering, Parker, Primitives, System};
use crate::observe::Step;
use crate::poller::Poller;
pub use crate::sys::{Descriptor, PollQueue, PosixPoll};
#[cfg(target_os = "linux")]
pub use crate::sys::{Epoll, EventQueue, Harvest};
use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicU64, fence};
use core::task::Waker;
use std::io;
use std::sync::{MutexGuard, PoisonError};
use std::thread;

/// The operating system that this program runs on, with its best event queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

/// The operating system that this program runs on, with poll(2) as its event queue.
///
/// Level-triggered: each wait has to be armed, and every poll goes through all waits that are armed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

/// The kernel of [`Os`].
#[cfg(target_os = "linux")]
pub type Native = Epoll;
/// The kernel of [`Os`].
#[cfg(not(target_os = "linux"))]
pub type Native = PosixPoll;

macro_rules! system {
    ($($name:ident on $kernel:ident = $value:expr;)*) => {$(
        impl Primitives for $name {
            type AtomicU32 = AtomicU32;
            type AtomicU64 = AtomicU64;
            type Mutex<T: Send + fmt::Debug> = OsMutex<T>;
            type Parker = OsParker;

            #[inline]
            fn fence(order: Ordering) {
                fence(order);
            }

            fn parker() -> OsParker {
                // While the thread is taken down there is no place to keep one; a new one serves as
                // well, because whoever parks on a parker holds a handle to it.
                PARKER.try_with(OsParker::clone).unwrap_or_else(|_| OsParker::new())
            }

            #[inline]
            fn choose(_alternatives: usize) -> usize {
                0
            }
        }

        impl System for $name {
            type Kernel = $kernel;

            #[inline]
            fn kernel(&self) -> &$kernel {
                &$value
            }

            fn now(&self) -> Instant {
                now()
            }

            #[inline]
            fn observe(&self, _step: &Step) {}

            fn unattended(&self, poller: &Poller<$name>) -> io::Result<()> {
                crate::driver::unattended(poller)
            }

            #[cfg(feature = "tracing")]
            fn noted(&self, noted: &crate::observe::Noted) {
                super::traced::event(noted);
            }
        }
    )*};
}

system! {
    Os on Native = Native {};
    Portable on PosixPoll = PosixPoll;
}

fn now() -> Instant {
    Instant::from_nanos(crate::sys::nanos())
}

macro_rules! atomic {
    ($($word:ty: $value:ty),*) => {$(
        impl Atomic<$value> for $word {
            #[inline]
            fn new(value: $value) -> Self {
                <$word>::new(value)
            }
            #[inline]
            fn load(&self, order: Ordering) -> $value {
                self.load(order)
            }
            #[inline]
            fn store(&self, value: $value, order: Ordering) {
                self.store(value, order);
            }
            #[inline]
            fn swap(&self, value: $value, order: Ordering) -> $value {
                self.swap(value, order)
            }
            #[inline]
            fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(current, new, success, failure)
            }
            #[inline]
            fn fetch_or(&self, mask: $value, order: Ordering) -> $value {
                self.fetch_or(mask, order)
            }
            #[inline]
            fn fetch_and(&self, mask: $value, order: Ordering) -> $value {
                self.fetch_and(mask, order)
            }
            #[inline]
            fn peek(&self) -> $value {
                self.load(Ordering::Relaxed)
            }
        }
    )*};
}

atomic!(AtomicU32: u32, AtomicU64: u64);

/// The mutex of the standard library, without its poison: the critical sections of this crate
/// leave their contents whole at every point where they could panic.
pub struct OsMutex<T>(std::sync::Mutex<T>);

impl<T: Send + fmt::Debug> Mutex<T> for OsMutex<T> {
    type Guard<'a>
        = MutexGuard<'a, T>
    where
        Self: 'a;

    #[inline]
    fn new(value: T, _digest: fn(&T) -> Option<u64>) -> Self {
        OsMutex(std::sync::Mutex::new(value))
    }

    #[inline]
    fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }
}

impl<T: fmt::Debug> fmt::Debug for OsMutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Does not wait for the lock: whoever prints may hold it.
        match self.0.try_lock() {
            Ok(value) => value.fmt(f),
            Err(std::sync::TryLockError::Poisoned(value)) => value.into_inner().fmt(f),
            Err(std::sync::TryLockError::WouldBlock) => f.write_str("<locked>"),
        }
    }
}

// What the layout of a descriptor is reckoned with.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const _: () = {
    assert!(size_of::<OsMutex<()>>() <= 8);
    assert!(size_of::<OsMutex<Option<Waker>>>() == 24);
};

thread_local! {
    static PARKER: OsParker = OsParker::new();
}

/// What a thread of the operating system sleeps on.
#[derive(Clone)]
pub struct OsParker(Arc<Handle>);

/// A signal and the waker that is made of it; together, so that a clone of a parker is one
/// reference.
struct Handle {
    signal: Arc<Signal>,
    waker: Waker,
}

struct Signal {
    /// The token: 1 while it is there. Written by swaps only, released by whoever puts it there
    /// and acquired by whoever takes it, so that what was written before an unpark is seen after
    /// the park that it ended.
    token: AtomicU32,
    thread: thread::Thread,
}

impl OsParker {
    fn new() -> OsParker {
        let signal = Arc::new(Signal { token: AtomicU32::new(0), thread: thread::current() });
        let waker = Waker::from(signal.clone());
        OsParker(Arc::new(Handle { signal, waker }))
    }
}

impl fmt::Debug for OsParker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = &self.0.signal;
        write!(f, "parker of {:?}, token {}", signal.thread.id(), signal.token.peek())
    }
}

impl Parker for OsParker {
    fn park(&self) {
        let signal = &self.0.signal;
        debug_assert_eq!(signal.thread.id(), thread::current().id(), "parked by another thread");
        let mut slept = false;
        while signal.token.swap(0, Ordering::Acquire) == 0 {
            thread::park();
            slept = true;
        }
        if slept {
            // The token of `thread::park` that ended the sleep may have been somebody else's.
            signal.thread.unpark();
        }
    }

    fn unpark(&self) {
        self.0.signal.raise();
    }

    fn waker(&self) -> &Waker {
        &self.0.waker
    }
}

impl Signal {
    fn raise(&self) {
        // Whoever found no token wakes the thread; one that found it leaves that to the former.
        if self.token.swap(1, Ordering::Release) == 0 {
            self.thread.unpark();
        }
    }
}

impl std::task::Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

/// A thread that was started by [`spawn`].
#[derive(Debug)]
pub struct Worker(thread::JoinHandle<()>);

impl Worker {
    /// Whether the thread has ended.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits until the thread has ended. `false`: it panicked, and the panic hook has said why.
    pub fn join(self) -> bool {
        self.0.join().is_ok()
    }

    /// Whether the calling thread is this one, which must not wait for itself.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.0.thread().id() == thread::current().id()
    }
}

/// Starts a thread that shows under `name` in debuggers.
///
/// # Errors
///
/// Those of the operating system, for example a limit on threads.
pub fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<Worker> {
    thread::Builder::new().name(name.to_owned()).spawn(body).map(Worker)
}

/// The addresses of `host:port`, as the resolver of the system has them. Blocks for as long as that takes.
///
/// # Errors
///
/// Those of the resolver; kind `InvalidInput` for what is no name with a port.
pub fn look_up(name: &str) -> io::Result<Vec<super::SocketAddr>> {
    Ok(std::net::ToSocketAddrs::to_socket_addrs(name)?.collect())
}

/// Lets other threads run.
pub fn yield_now() {
    thread::yield_now();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_there_already_ends_the_park_at_once() {
        let parker = Os::parker();
        parker.unpark();
        parker.waker().wake_by_ref();
        parker.park();
        assert_eq!(parker.0.signal.token.peek(), 0, "two wakes are one token, and it is taken");
    }

    #[test]
    fn a_waker_ends_the_park_of_its_thread() {
        let (send, receive) = std::sync::mpsc::channel();
        let worker = spawn("sleeper", move || {
            send.send(Os::parker().waker().clone()).expect("the test is waiting");
            Os::parker().park();
        })
        .expect("a thread");
        receive.recv().expect("the sleeper sent its waker").wake();
        assert!(worker.join(), "the sleeper panicked");
    }

    #[test]
    fn a_wait_for_io_does_not_swallow_the_wake_of_the_program_around_it() {
        let parker = Os::parker();
        thread::current().unpark();
        let waker = parker.waker().clone();
        let worker = spawn("waker", move || waker.wake()).expect("a thread");
        parker.park();
        assert!(worker.join());
        // Would hang here for ever.
        thread::park();
    }

    #[test]
    fn a_thread_has_one_parker_and_another_thread_another() {
        let here = Os::parker();
        assert!(Arc::ptr_eq(&here.0, &Os::parker().0));
        let (send, receive) = std::sync::mpsc::channel();
        let worker = spawn("other", move || send.send(Os::parker()).expect("receiver")).unwrap();
        assert!(!Arc::ptr_eq(&here.0, &receive.recv().expect("a parker").0));
        assert!(worker.join());
    }

    #[test]
    fn a_thread_that_is_being_taken_down_can_still_wait() {
        struct WaitsWhenDropped;
        impl Drop for WaitsWhenDropped {
            fn drop(&mut self) {
                let parker = Os::parker();
                let waker = parker.waker().clone();
                let other = spawn("waker", move || waker.wake()).expect("a thread");
                parker.park();
                assert!(other.join());
            }
        }
        thread_local! {
            static LAST: WaitsWhenDropped = const { WaitsWhenDropped };
        }
        // Destructors run in the order of the last registration first, or the other way round:
        // both orders are tried.
        for last_is_first in [false, true] {
            let worker = spawn("ends", move || {
                if last_is_first {
                    LAST.with(|_| ());
                }
                drop(Os::parker());
                LAST.with(|_| ());
            });
            assert!(worker.expect("a thread").join(), "the thread panicked on its way out");
        }
    }

    #[test]
    fn a_holder_that_panics_does_not_poison_the_mutex() {
        let mutex = Arc::new(<OsMutex<u32> as Mutex<u32>>::new(1, |_| None));
        let theirs = mutex.clone();
        let worker = spawn("panics", move || {
            let mut held = theirs.lock();
            *held = 2;
            panic!("on purpose, while the lock is held");
        })
        .expect("a thread");
        assert!(!worker.join());
        assert_eq!(*mutex.lock(), 2);
    }

    #[test]
    fn time_does_not_go_back() {
        let first = Os.now();
        assert!(Os.now() >= first);
    }
}
