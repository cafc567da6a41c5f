//! A registered descriptor with its lifetime, and the right to wait on it.
//!
//! # State
//!
//! * `fd`: the number. Owned; closed when the source is dropped, and not before.
//! * `place`: which entry of the slab, in which generation. Fixed.
//! * `waiting`: one bit per direction: the right to wait there is out, in the hands of a
//!   [`Waiter`]. Taken by fetch_or, given back by fetch_and.
//!
//! # How a source ends
//!
//! [`close`](Source::close) may be called while others use the source: it ends every wait, now
//! and to come, with an error. The number stays open until the source itself is dropped, which
//! the borrow checker allows only when nobody uses it any more, so nobody can read a stranger's
//! file by a number that was given to somebody else (Go #7970). Drop then takes the descriptor
//! out of the event queue, ends the incarnation, gives the entry back and closes the number once.

use crate::desc::{Incarnation, Wait, wake};
use crate::error::Reason;
use crate::observe::Place;
use crate::poller::Poller;
use crate::seam::{Atomic, Kernel, Ordering, Parker, System};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use netpoller_spec::Mode;
use netpoller_spec::token::Token;
use std::io;

/// A descriptor registered with a [`Poller`]. Usable from many tasks at once through `&self`.
pub struct Source<S: System> {
    poller: Poller<S>,
    /// `None` only while it is being taken out.
    fd: Option<<S::Kernel as Kernel>::Fd>,
    place: Place,
    waiting: S::AtomicU32,
}

impl<S: System> Source<S> {
    pub(crate) fn new(poller: Poller<S>, fd: <S::Kernel as Kernel>::Fd, place: Place) -> Self {
        Source { poller, fd: Some(fd), place, waiting: S::AtomicU32::new(0) }
    }

    /// Ends all waits in both directions, now and to come, with an error of kind `NotConnected`
    /// ([`Reason::Closed`]). The descriptor itself is closed when the source is dropped.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`] when the source was closed before.
    pub fn close(&self) -> io::Result<()> {
        let wakers = self.incarnation().close().ok_or(Reason::Closed)?;
        wake(wakers);
        Ok(())
    }

    /// The right to wait for readiness in one direction. There is one per direction at a time:
    /// it is what tells the same task that polls again from a second one.
    ///
    /// # Errors
    ///
    /// Of kind `ResourceBusy` ([`Reason::Busy`]) while another [`Waiter`] for this direction is
    /// alive.
    pub fn waiter(&self, mode: Mode) -> io::Result<Waiter<'_, S>> {
        // Acquire: pairs with the release in `Waiter::drop`, whose retract comes before it.
        let before = self.waiting.fetch_or(bit(mode), Ordering::Acquire);
        if before & bit(mode) != 0 {
            return Err(Reason::Busy.into());
        }
        Ok(Waiter { source: self, mode, wait: Wait::default() })
    }

    /// Takes the descriptor out of the poller and gives it to the caller, open.
    ///
    /// # Errors
    ///
    /// When the kernel does not know the registration any more, for example because foreign code
    /// closed the number. The descriptor is dropped then.
    ///
    /// # Panics
    ///
    /// Never: the descriptor is there until this call.
    pub fn into_fd(mut self) -> io::Result<<S::Kernel as Kernel>::Fd> {
        let fd = self.fd.take().expect("the descriptor is there until the source ends");
        self.deregister(&fd)?;
        Ok(fd)
    }

    /// The poller it is registered with.
    #[must_use]
    pub fn poller(&self) -> &Poller<S> {
        &self.poller
    }

    /// The descriptor as the state machine sees it.
    #[doc(hidden)]
    pub fn incarnation(&self) -> Incarnation<'_, S> {
        let desc = self.poller.desc(self.place.index);
        Incarnation { system: &self.poller.shared.system, desc, place: self.place }
    }

    /// What its events are named.
    #[doc(hidden)]
    #[must_use]
    pub fn token(&self) -> Token {
        Token::entry(self.place.index, self.place.generation)
    }

    pub(crate) fn kernel(&self) -> &S::Kernel {
        self.poller.shared.system.kernel()
    }

    pub(crate) fn fd(&self) -> &<S::Kernel as Kernel>::Fd {
        self.fd.as_ref().expect("the descriptor is there until the source ends")
    }

    fn arm(&self, mode: Mode) -> io::Result<()> {
        let change = self.kernel().arm(&self.poller.shared.queue, self.fd(), self.token(), mode)?;
        self.poller.take_note(change)
    }

    /// Ends the registration and the incarnation; the number stays open.
    fn deregister(&self, fd: &<S::Kernel as Kernel>::Fd) -> io::Result<()> {
        let waiting = self.incarnation().close();
        // Before the generation ends, or a new incarnation could meet an old registration.
        let removed = self.kernel().remove(&self.poller.shared.queue, fd);
        let Place { index, generation } = self.place;
        let late = self.poller.retire_or_release(index, self.poller.desc(index), generation);
        // Last, so that a waker that panics leaves nothing half done.
        wake(waiting.into_iter().flatten().chain(late));
        self.poller.take_note(removed?)
    }
}

impl<S: System> Drop for Source<S> {
    fn drop(&mut self) {
        let Some(fd) = self.fd.take() else { return };
        // A registration that is gone already (foreign code closed the number) is what we want;
        // and the number is gone whatever close says. Both leave nothing to do for anybody.
        let _gone = self.deregister(&fd);
        let _gone = self.kernel().close(&fd);
    }
}

impl<S: System> core::fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Place { index, generation } = self.place;
        let peek = self.poller.desc(index).peek();
        f.debug_struct("Source")
            .field("fd", &self.fd)
            .field("entry", &format_args!("{index} g{}", generation.get()))
            .field("info", &peek.info)
            .field("reader", &peek.slots[0])
            .field("writer", &peek.slots[1])
            .finish()
    }
}

/// The right to wait for readiness in one direction of a [`Source`].
///
/// Dropping it gives the right back and ends a wait that is under way; readiness that has
/// arrived and was not consumed stays for the next waiter.
pub struct Waiter<'a, S: System> {
    source: &'a Source<S>,
    mode: Mode,
    wait: Wait,
}

impl<S: System> Waiter<'_, S> {
    /// Before a system call: sees that the operation may go on, and drops readiness that the
    /// call will find again.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], [`Reason::NotPollable`].
    pub fn prepare(&mut self) -> io::Result<()> {
        Ok(self.source.incarnation().prepare(self.mode).map_err(Reason::from)?)
    }

    /// Waits for readiness. `Ok` consumes it: it is a hint that the system call is worth trying,
    /// not a promise that it will succeed (NP-EDGE-5).
    ///
    /// Each call replaces the waker of the call before.
    ///
    /// Cancel safety: not polling again leaves the wait on; dropping the `Waiter` ends it and
    /// loses no readiness.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], [`Reason::NotPollable`].
    pub fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_wait_with(cx.waker())
    }

    /// The same as a future.
    ///
    /// Cancel safety: as [`poll_wait`](Self::poll_wait).
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], [`Reason::NotPollable`].
    pub async fn ready(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    /// The same, blocking the thread. Somebody else has to drive the poller meanwhile: another
    /// thread that calls [`Poller::poll`], or a driver.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], [`Reason::NotPollable`].
    pub fn wait(&mut self) -> io::Result<()> {
        let parker = S::parker();
        loop {
            match self.poll_wait_with(parker.waker()) {
                Poll::Ready(result) => return result,
                // A token left over from elsewhere wakes us for nothing: then the wait is still
                // on and we park again.
                Poll::Pending => parker.park(),
            }
        }
    }

    fn poll_wait_with(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        let Waiter { source, mode, wait } = self;
        source
            .incarnation()
            .poll_wait(*mode, wait, waker, || source.arm(*mode))
            .map_err(io::Error::from)
    }
}

impl<S: System> Drop for Waiter<'_, S> {
    fn drop(&mut self) {
        self.source.incarnation().retract(self.mode, &mut self.wait);
        // Release: pairs with the acquire in `Source::waiter`.
        self.source.waiting.fetch_and(!bit(self.mode), Ordering::Release);
    }
}

impl<S: System> core::fmt::Debug for Waiter<'_, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Waiter")
            .field("mode", &self.mode)
            .field("parked", &self.wait.parked())
            .field("source", &self.source)
            .finish()
    }
}

fn bit(mode: Mode) -> u32 {
    match mode {
        Mode::Read => 1,
        Mode::Write => 2,
    }
}
