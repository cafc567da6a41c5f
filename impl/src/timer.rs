//! A timer: an entry of the poller that has no descriptor, only a deadline.
//!
//! # State
//!
//! None of its own. A timer is an incarnation like any other, with its place in the slab, its ledger and
//! its slots, but without a number: the kernel never reports anything for it. Its one deadline is
//! that of the read direction; whoever waits for it is parked in the read slot until the deadline ends
//! the wait. So there is no second queue of timers, no second way to be woken, and all rules of deadlines
//! hold as they are: never early (NP-TIME-5), decided by what is set when it fires (NP-TIME-6), a
//! poller that would sleep past it is broken (NP-TIME-12), an entry in the queue that outlives the
//! timer is used again by the next user of its place (NP-TIME-10).
//!
//! # Who changes what
//!
//! The owner sets, waits and drops. Whoever polls lets it expire. Dropping a timer ends its incarnation, so
//! that a poller which holds its entry in the hand finds the next one, or nobody.
//!
//! Out of scope: the deadlines themselves (`deadline`), the queue (`timers`).

use crate::desc::{Incarnation, Wait, wake};
use crate::error::{Reason, WaitError};
use crate::observe::Place;
use crate::poller::Poller;
use crate::seam::{Instant, System};
use crate::turns::{Kept, block};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use netpoller_spec::Mode;
use std::io;

/// An instant that can be waited for, on the clock of a [`Poller`].
///
/// Takes one entry of the poller, and no descriptor of the process. Whoever polls the poller lets it
/// expire, never early; how late, depends on the kernel and on who polls.
pub struct Timer<S: System> {
    poller: Poller<S>,
    place: Place,
    wait: Wait,
}

impl<S: System> Poller<S> {
    /// A timer that is not set.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use std::time::Duration;
    /// let poller = netpoller::Poller::new()?;
    /// let _driver = poller.drive()?;
    /// let mut timer = poller.timer()?;
    /// let soon = poller.now().saturating_add(Duration::from_millis(1));
    /// timer.set(Some(soon))?;
    /// timer.wait()?; // parks this thread; `timer.expired().await` parks the task
    /// assert!(poller.now() >= soon);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Of kind `OutOfMemory` when all entries of the poller are in use; [`Reason::Forked`] in a child
    /// that was forked.
    pub fn timer(&self) -> io::Result<Timer<S>> {
        if !self.is_of_this_process() {
            return Err(Reason::Forked.into());
        }
        let index = self.shared.slab.allocate()?;
        let desc = self.desc(index);
        let place = Place { index, generation: desc.generation() };
        desc.number.set(None);
        Ok(Timer { poller: self.clone(), place, wait: Wait::default() })
    }
}

impl<S: System> Timer<S> {
    /// Sets the instant, moves it, or takes it away (`None`). One that has passed expires in this call.
    ///
    /// A timer that has expired stays so until it is set again. Moving the instant of a timer forward
    /// makes no system call and touches no queue; allocates nothing but what the queue needs to grow.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`] when the poller has come to its end because its event queue is not usable any more;
    /// and when a poller that sleeps too long cannot be broken.
    pub fn set(&self, at: Option<Instant>) -> io::Result<()> {
        self.poller.change_deadline(&self.incarnation(), [true, false], at)
    }

    /// The instant as it was set, passed or not.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn get(&self) -> io::Result<Option<Instant>> {
        Ok(self.incarnation().deadline(Mode::Read).map_err(Reason::from)?)
    }

    /// Waits until the instant has come: without end while none is set.
    ///
    /// Each call replaces the waker of the call before.
    ///
    /// Cancel safety: not polling again leaves the wait on; dropping the timer ends it.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.look(cx.waker());
        if polled.is_pending() { self.poller.left_parked() } else { polled }
    }

    /// The same as a future.
    ///
    /// Cancel safety: as [`poll_expired`](Self::poll_expired); the timer stays set.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub async fn expired(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_expired(cx)).await
    }

    /// The same, blocking the thread, which polls the poller meanwhile if nobody else does.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); and when this thread has to poll, and the event queue is not usable.
    pub fn wait(&mut self) -> io::Result<()> {
        let poller = self.poller.clone();
        block(&poller, Kept::InSlot, |waker| self.look(waker))?
    }

    /// The poller that it belongs to.
    #[must_use]
    pub fn poller(&self) -> &Poller<S> {
        &self.poller
    }

    fn incarnation(&self) -> Incarnation<'_, S> {
        let Timer { poller, place, .. } = self;
        Incarnation { system: &poller.shared.system, desc: poller.desc(place.index), place: *place }
    }

    pub(crate) fn look(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        let mut wait = core::mem::take(&mut self.wait);
        let incarnation = self.incarnation();
        let result = loop {
            match incarnation.poll_wait(Mode::Read, &mut wait, waker, || Ok(())) {
                Poll::Pending => break Poll::Pending,
                Poll::Ready(Err(WaitError::Protocol(netpoller_spec::Reason::DeadlineExceeded))) => {
                    break Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error.into())),
                // An event that foreign code has forged: it is consumed, and is not what we wait for.
                Poll::Ready(Ok(())) => {}
            }
        };
        self.wait = wait;
        result
    }
}

impl<S: System> Drop for Timer<S> {
    fn drop(&mut self) {
        let mut wait = core::mem::take(&mut self.wait);
        let incarnation = self.incarnation();
        incarnation.retract(Mode::Read, &mut wait);
        let _taken = self.poller.shared.in_flight.both_directions(); // NP-WAKE-3
        let waiting = incarnation.close();
        let Place { index, generation } = self.place;
        let late = self.poller.retire_or_release(index, incarnation.desc, generation);
        wake(waiting.into_iter().chain([late]).flatten());
    }
}

impl<S: System> core::fmt::Debug for Timer<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Timer")
            .field("entry", &format_args!("{} g{}", self.place.index, self.place.generation.get()))
            .field("at", &self.get().ok().flatten())
            .field("waited for", &self.wait.parked())
            .finish()
    }
}
