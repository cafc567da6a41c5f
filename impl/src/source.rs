//! A registered descriptor with its lifetime.
//!
//! # State
//!
//! * `lock`: who uses the number, who has the right of a direction, whether it was closed
//!   (`fd_lock`).
//! * `fd`: the number. Closed by the last user of a source that was closed, or when the source is
//!   dropped.
//! * `place`: which entry of the slab, in which generation. Fixed. `None`: the kernel has no
//!   readiness to report for it, and calls block.
//!
//! # How a source ends
//!
//! [`close`](Source::close) may be called while others use the source. It lets nobody in any more
//! and ends every wait, now and to come, with an error. Then it leaves; **the last user
//! destroys** (NP-FD-3): it takes the descriptor out of the event queue, ends the incarnation, gives
//! the entry back and closes the number, in this order (NP-FD-10) and once (NP-FD-9). So nobody can
//! read a stranger's file by a number that was given to somebody else (Go #7970); and because
//! the closer waits for that (NP-FD-4), the port of a listener is free when its close returns
//! (Go #10527).
//!
//! Who is a user: a call while it runs, a blocking one also while it sleeps; a future while it
//! is being polled; an [`FdGuard`]. A future that waits is none (NP-FD-5).
//!
//! Out of scope: reading and writing (`io`, `operation`), what a source says of itself (`show`).

use crate::desc::{Incarnation, Wakers, wake};
use crate::error::Reason;
use crate::fd_lock::FdLock;
use crate::observe::Place;
use crate::poller::Poller;
use crate::seam::{Kernel, SetChange, System};
use crate::turns::{Kept, block, park};
use core::future::poll_fn;
use core::task::Waker;
use netpoller_spec::Mode;
use netpoller_spec::fd::{Entered, Left, Word};
use netpoller_spec::token::Token;
use std::io;

pub use crate::operation::Waiter;

/// The descriptor of a system.
pub(crate) type Fd<S> = <<S as System>::Kernel as Kernel>::Fd;

/// A descriptor registered with a [`Poller`]. Usable from many tasks at once through `&self`.
///
/// Callers of one direction take turns, in the order in which they came. Dropping the source
/// closes it.
pub struct Source<S: System> {
    poller: Poller<S>,
    /// `None` only while it is being taken out.
    fd: Option<Fd<S>>,
    place: Option<Place>,
    pub(crate) lock: FdLock<S>,
}

impl<S: System> Source<S> {
    /// `believed`: whether its short reads are (NP-READ-1).
    pub(crate) fn new(poller: Poller<S>, fd: Fd<S>, place: Option<Place>, believed: bool) -> Self {
        Source { poller, fd: Some(fd), place, lock: FdLock::new(believed) }
    }

    /// Closes the descriptor: ends all operations in both directions, now and to come, with an
    /// error of kind `NotConnected` ([`Reason::Closed`]), and waits until the last user has left
    /// and the number is given back.
    ///
    /// A future that waits on the descriptor is no user, so a task that sleeps, or a future that
    /// was forgotten, delays nobody. The calls of other threads that are inside are ended and left
    /// at once, but an [`FdGuard`] is waited for: **closing while this thread holds one blocks for
    /// ever.** On a descriptor in blocking mode ([`Poller::adopt`]) it does not wait, because the
    /// user may sit in read(2); the number is given back when that returns.
    ///
    /// ```
    /// use netpoller::Reason;
    /// use std::io::Read;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (socket, _peer) = poller.stream_pair()?;
    /// std::thread::scope(|scope| {
    ///     let reader = scope.spawn(|| (&socket).read(&mut [0; 8]));
    ///     socket.close()?; // whether the reader sleeps already or not
    ///     let ended = reader.join().expect("the reader panicked").unwrap_err();
    ///     assert_eq!(Reason::of(&ended), Some(Reason::Closed));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`] when the source was closed before; such a call does not wait. Those of
    /// close(2), after which the number is gone all the same; a signal is none of them.
    pub fn close(&self) -> io::Result<()> {
        if !self.begin_to_close()? {
            return Ok(());
        }
        let mut wait = |waker: &Waker| self.lock.poll_destroyed(waker); // NP-FD-4
        // Whoever is still inside learns by itself that the event queue is not usable.
        let waited = block(&self.poller, Kept::Elsewhere, &mut wait);
        waited.unwrap_or_else(|_unusable| park::<S, _>(wait))
    }

    /// The same without blocking the thread.
    ///
    /// Cancel safety: once polled the close goes on, whether the future is polled again or
    /// dropped; only the caller is not told any more.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close).
    pub async fn async_close(&self) -> io::Result<()> {
        if !self.begin_to_close()? {
            return Ok(());
        }
        poll_fn(|cx| self.lock.poll_destroyed(cx.waker())).await // NP-FD-4
    }

    /// Lets nobody in any more, and wakes all who wait. `true`: the end is worth waiting for.
    pub(crate) fn begin_to_close(&self) -> io::Result<bool> {
        let queued = self.lock.close().ok_or(Reason::Closed)?;
        let _taken = self.poller.shared.in_flight.both_directions(); // NP-WAKE-3
        let parked = self.entry().and_then(|incarnation| incarnation.close()).unwrap_or_default();
        let left = self.lock.leave(None);
        let woken = self.left(left);
        // Last, so that a waker that panics leaves nothing half done.
        let queued = queued.into_iter().flatten().map(Some);
        wake(queued.chain(parked).chain(woken.into_iter().flat_map(Woken::all)));
        // In blocking mode a thread may sit in read(2) for as long as it likes.
        Ok(self.place.is_some() || left == Left::Destroy)
    }

    /// Lends the number: while the guard lives the number stays open, and a [`close`](Self::close)
    /// waits.
    ///
    /// Whoever reads or writes through it takes no turn and consumes no readiness. Changing the
    /// file's mode to blocking makes operations on this source block their thread.
    ///
    /// ```
    /// use std::os::fd::AsFd;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (socket, _peer) = poller.stream_pair()?;
    /// let number = socket.fd()?;
    /// let copy = number.as_fd().try_clone_to_owned()?;
    /// drop(number); // else a close would wait for it
    /// socket.close()?;
    /// # drop(copy);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`].
    pub fn fd(&self) -> io::Result<FdGuard<'_, S>> {
        self.enter()?;
        Ok(FdGuard { source: self })
    }

    /// Takes the descriptor out of the poller and gives it to the caller, open.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`] when the source was closed. When the kernel does not know the
    /// registration any more, for example because foreign code closed the number; the descriptor is
    /// dropped then.
    ///
    /// # Panics
    ///
    /// Never: the descriptor is there until this call.
    pub fn into_fd(mut self) -> io::Result<Fd<S>> {
        if self.lock.last_word().closed() {
            return Err(Reason::Closed.into());
        }
        let fd = self.fd.take().expect("the descriptor is there until the source ends");
        let _taken = self.poller.shared.in_flight.both_directions(); // NP-WAKE-3
        let (wakers, removed) = self.deregister(&fd);
        wake(wakers.into_iter().flatten());
        removed.map(|()| fd)
    }

    /// The poller it is registered with.
    #[must_use]
    pub fn poller(&self) -> &Poller<S> {
        &self.poller
    }

    /// The descriptor as the state machine sees it.
    ///
    /// # Panics
    ///
    /// When it is in blocking mode, so that the poller does not know it.
    #[doc(hidden)]
    pub fn incarnation(&self) -> Incarnation<'_, S> {
        self.entry().expect("a descriptor in blocking mode has no entry in the poller")
    }

    /// The same; `None` for a descriptor in blocking mode.
    pub(crate) fn entry(&self) -> Option<Incarnation<'_, S>> {
        let place = self.place?;
        let desc = self.poller.desc(place.index);
        Some(Incarnation { system: &self.poller.shared.system, desc, place })
    }

    /// What its events are named.
    ///
    /// # Panics
    ///
    /// When it is in blocking mode.
    #[doc(hidden)]
    #[must_use]
    pub fn token(&self) -> Token {
        let place = self.place.expect("a descriptor in blocking mode has no events");
        Token::entry(place.index, place.generation)
    }

    /// The word of its lock, for diagnostics and oracles.
    #[doc(hidden)]
    pub fn peek_lock(&self) -> Word {
        self.lock.peek()
    }

    pub(crate) fn kernel(&self) -> &S::Kernel {
        self.poller.shared.system.kernel()
    }

    /// The number. For users only (NP-FD-1).
    pub(crate) fn number(&self) -> &Fd<S> {
        self.fd.as_ref().expect("the descriptor is there until the source ends")
    }

    /// The number for diagnostics, for everybody. It may be closed.
    pub(crate) fn shown_number(&self) -> &Fd<S> {
        self.number()
    }

    /// One call on the number, as a user.
    pub(crate) fn using<T>(
        &self,
        call: impl FnOnce(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> io::Result<T> {
        let guard = self.fd()?; // NP-FD-1
        call(self.kernel(), guard.source.number())
    }

    pub(crate) fn arm(&self, mode: Mode) -> io::Result<()> {
        let queue = &self.poller.shared.queue;
        let change = self.kernel().arm(queue, self.number(), self.token(), mode)?;
        self.poller.take_note(change)
    }

    pub(crate) fn enter(&self) -> io::Result<()> {
        match self.lock.enter() {
            Entered::Yes => Ok(()),
            refused => Err(why(refused)),
        }
    }

    /// A user has left; the last one destroys. The wakers are the caller's to wake. `None`: there is nobody
    /// to be woken, which is what every operation but the last one meets.
    pub(crate) fn left(&self, left: Left) -> Option<Woken> {
        match left {
            Left::Nothing => None,
            Left::Destroy => Some(self.destroy()), // NP-FD-3
        }
    }

    fn destroy(&self) -> Woken {
        let fd = self.number();
        let (wakers, _gone) = self.deregister(fd);
        // NP-FD-9: whatever it says, the number is gone, and may be somebody else's already.
        let result = match self.kernel().close(fd) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        };
        Woken { wakers, closer: self.lock.destroyed(result) }
    }

    /// Ends the registration and the incarnation; the number stays open. The wakers are the
    /// caller's to wake. An error says that the registration was gone already, because foreign
    /// code closed the number.
    fn deregister(&self, fd: &Fd<S>) -> ([Wakers; 2], io::Result<()>) {
        let Some(incarnation) = self.entry() else { return (Default::default(), Ok(())) };
        let waiting = incarnation.close().unwrap_or_default();
        // NP-FD-10: before the generation ends, or a new incarnation could meet an old
        // registration.
        // In a child that was forked the set is the parent's.
        let removed = match self.poller.is_of_this_process() {
            true => self.kernel().remove(&self.poller.shared.queue, fd),
            false => Ok(SetChange::InForce),
        };
        let Place { index, generation } = incarnation.place;
        let late = self.poller.retire_or_release(index, incarnation.desc, generation);
        ([waiting, late], removed.and_then(|change| self.poller.take_note(change)))
    }
}

/// Why somebody did not get in.
pub(crate) fn why(refused: Entered) -> io::Error {
    match refused {
        Entered::Yes | Entered::Drained | Entered::Closed => Reason::Closed.into(),
        Entered::Taken => Reason::Busy.into(),
        Entered::Full => io::Error::new(
            io::ErrorKind::ResourceBusy,
            "the descriptor has more users than can be counted: guards were leaked",
        ),
    }
}

/// The wakers of those who were woken by the end of a descriptor, to be woken outside all locks.
#[derive(Debug)]
pub(crate) struct Woken {
    wakers: [Wakers; 2],
    closer: Option<Waker>,
}

impl Woken {
    pub(crate) fn all(self) -> impl Iterator<Item = Option<Waker>> {
        self.wakers.into_iter().flatten().chain([self.closer])
    }
}

impl<S: System> Drop for Source<S> {
    fn drop(&mut self) {
        // Nobody borrows the source, so nobody uses it; a guard that was leaked is no user.
        if self.fd.is_none() || self.lock.last_word().destroyed() {
            return;
        }
        // A registration that is gone already (foreign code closed the number) is what we want;
        // and the number is gone whatever close says. Both leave nothing to do for anybody.
        let _taken = self.poller.shared.in_flight.both_directions(); // NP-WAKE-3
        let fd = self.number();
        let (wakers, _gone) = self.deregister(fd);
        let _gone = self.kernel().close(fd); // NP-FD-9
        wake(wakers.into_iter().flatten());
    }
}

/// The number of a [`Source`], lent: it stays open for as long as this lives.
///
/// On the real kernel it is [`AsFd`](std::os::fd::AsFd). Forgetting a guard
/// ([`core::mem::forget`]) makes every [`Source::close`] wait for ever.
///
/// Whoever has the number of a TCP stream may change what a short read says of it, by `SO_RCVLOWAT` for
/// example. So a stream whose number was asked for tries every read before it waits, for good, as all
/// other descriptors do: a system call more for a read that finds nothing. The same goes for the streams that a
/// listener accepts after its number was asked for.
pub struct FdGuard<'a, S: System> {
    source: &'a Source<S>,
}

impl<S: System> FdGuard<'_, S> {
    /// The number, for whoever does with it what he likes.
    pub(crate) fn handed_out(&self) -> &Fd<S> {
        self.source.doubt();
        self.source.number()
    }
}

impl<S: System> Drop for FdGuard<'_, S> {
    fn drop(&mut self) {
        let left = self.source.lock.leave(None);
        if let Some(woken) = self.source.left(left) {
            wake(woken.all());
        }
    }
}

impl<S: System> core::fmt::Debug for FdGuard<'_, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FdGuard({:?})", self.source.number())
    }
}
