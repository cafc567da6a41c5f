//! One operation in one direction of a [`Source`]: its turn, its system calls, its wait.
//!
//! # The steps
//!
//! ```text
//! begin:    queue for the right of the direction; enter as a user
//! prepare:  see that the operation may go on, drop pending readiness       (NP-WAIT-4)
//! attempt:  system call; on EAGAIN wait for readiness, and again
//! pause:    a future that waits leaves as a user and keeps the right       (NP-FD-5)
//! end:      give the right up and leave, in one step
//! ```
//!
//! The blocking style and the async style are the same steps; a thread that blocks does not
//! pause, so that a close waits until it is out.
//!
//! An operation that is dropped in between undoes what it has done so far: it leaves the queue,
//! ends its wait, gives up its right (NP-FD-7).
//!
//! [`Waiter`] is an operation whose system calls are the caller's. A plain read may begin with the wait:
//! `short_read`.
//!
//! # What a poll function leaves behind
//!
//! A poll function (`poll_style`) is an operation that ends with each poll. When it has found nothing
//! it gives the right up and leaves its wait in the slot, so *who has the right may find a wait in the
//! slot that is not his*. It comes first: preparing ends that wait and wakes its task (NP-SLOT-8), and
//! a wait that was not prepared does the same. The task polls again, and finds the right taken
//! (NP-FD-11).

use crate::desc::{Incarnation, Wait, wake};
use crate::error::{Reason, WaitError};
use crate::fd_lock::{GivenUp, Ticket, Turn};
use crate::seam::System;
use crate::source::{Fd, Source, Woken, why};
use crate::turns::{Kept, block};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker, ready};
use netpoller_spec::Mode;
use netpoller_spec::fd::Entered;
use std::io;

/// One operation.
pub(crate) struct Operation<'a, S: System> {
    source: &'a Source<S>,
    mode: Mode,
    right: Right,
    /// Whether it counts as a user now.
    user: bool,
    prepared: bool,
    wait: Wait,
    /// Whoever had the right before has found nothing more to read. Only the first step of a plain read asks.
    pub(crate) drained: bool,
    /// This one has found nothing more to read.
    pub(crate) drains: bool,
}

/// How an operation stands to the right of its direction.
#[derive(Debug)]
enum Right {
    /// It has not asked for it, or was refused.
    None,
    /// It is in the queue.
    Queued(Ticket),
    /// It has it.
    Held,
    /// It has had all it will ever have.
    Over,
}

impl<'a, S: System> Operation<'a, S> {
    pub(crate) fn source(&self) -> &'a Source<S> {
        self.source
    }

    pub(crate) fn new(source: &'a Source<S>, mode: Mode) -> Self {
        let (right, wait) = (Right::None, Wait::default());
        let (drained, drains) = (false, false);
        Operation { source, mode, right, user: false, prepared: false, wait, drained, drains }
    }

    /// One that waits for what happened before it: nothing is reset before the first system call.
    pub(crate) fn without_reset(source: &'a Source<S>, mode: Mode) -> Self {
        let mut operation = Operation::new(source, mode);
        operation.prepared = true;
        operation
    }

    /// One that has the right already, or none.
    fn claimed(source: &'a Source<S>, mode: Mode) -> io::Result<Self> {
        let mut operation = Operation::new(source, mode);
        match source.lock.claim(mode) {
            // NP-READ-4: what the last one has found is forgotten.
            Entered::Yes | Entered::Drained => operation.right = Right::Held,
            refused => return Err(why(refused)),
        }
        Ok(operation)
    }

    /// The whole of an operation of which nothing can be kept but its wait: a poll function. When it
    /// is pending the right is given up (NP-FD-12), and the wait stays in the slot with `waker` in it.
    pub(crate) fn pass<T>(
        source: &'a Source<S>,
        mode: Mode,
        waker: &Waker,
        call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let mut operation = ready!(Operation::passing(source, mode, waker))?;
        let polled = operation.attempt(waker, call);
        operation.passed(polled)
    }

    /// Begins one of those.
    pub(crate) fn passing(
        source: &'a Source<S>,
        mode: Mode,
        waker: &Waker,
    ) -> Poll<io::Result<Self>> {
        let mut operation = Operation::new(source, mode);
        match ready!(source.lock.pass(mode, waker)) {
            Entered::Yes => {}
            Entered::Drained => operation.drained = true,
            refused => return Poll::Ready(Err(why(refused))),
        }
        (operation.right, operation.user) = (Right::Held, true);
        if let Some(incarnation) = source.entry() {
            // Nothing was reported since that wait began: no system call would find anything.
            operation.wait = incarnation.adopt(mode, waker);
            operation.prepared = operation.wait.parked();
        }
        Poll::Ready(Ok(operation))
    }

    /// The last step of one of those.
    pub(crate) fn passed<T>(mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let polled = if polled.is_pending() { self.left_parked() } else { polled };
        if polled.is_pending() {
            self.wait = Wait::default(); // left behind
        }
        self.end();
        polled
    }

    /// Goes on with the operation in the async style; `call` is its system call.
    pub(crate) fn poll<T>(
        &mut self,
        waker: &Waker,
        call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        ready!(self.begin(waker))?;
        let polled = self.attempt(waker, call);
        self.polled(polled)
    }

    /// The last step of a poll in the async style.
    pub(crate) fn polled<T>(&mut self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let polled = if polled.is_pending() { self.left_parked() } else { polled };
        if polled.is_pending() {
            self.pause();
        } else {
            self.end();
        }
        polled
    }

    /// A future is parked in its slot: sees that somebody polls, if that is up to the poller.
    fn left_parked<T>(&self) -> Poll<io::Result<T>> {
        self.source.poller().left_parked()
    }

    /// The whole operation in the blocking style.
    pub(crate) fn block<T>(
        self,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.block_on(|operation, waker| operation.attempt(waker, &mut call))
    }

    /// The same; `attempt` is what it does with the right.
    pub(crate) fn block_on<T>(
        mut self,
        mut attempt: impl FnMut(&mut Self, &Waker) -> Poll<io::Result<T>>,
    ) -> io::Result<T> {
        let poller = self.source.poller();
        block(poller, Kept::Elsewhere, |waker| self.begin(waker))??;
        let result = block(poller, Kept::InSlot, |waker| attempt(&mut self, waker));
        self.end();
        result?
    }

    /// Gets the right, and enters as a user.
    ///
    /// # Panics
    ///
    /// When the operation has ended: somebody polls a future that was ready.
    pub(crate) fn begin(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        let Operation { source, mode, .. } = *self;
        let turn = match self.right {
            Right::None => source.lock.lock(mode, waker),
            Right::Queued(ticket) => source.lock.look(mode, ticket, waker),
            Right::Held => return Poll::Ready(self.enter()),
            Right::Over => panic!("a future of the poller was polled after it had been ready"),
        };
        match (turn, &self.right) {
            (Turn::Queued(ticket), _) => {
                self.right = Right::Queued(ticket);
                Poll::Pending
            }
            (Turn::Refused(refused), _) => {
                self.right = Right::Over;
                Poll::Ready(Err(why(refused)))
            }
            (Turn::Own { drained }, Right::None) => {
                (self.right, self.user, self.drained) = (Right::Held, true, drained);
                Poll::Ready(Ok(()))
            }
            (Turn::Own { drained }, _) => {
                (self.right, self.drained) = (Right::Held, drained);
                Poll::Ready(self.enter())
            }
        }
    }

    fn enter(&mut self) -> io::Result<()> {
        if !self.user {
            self.source.enter()?; // NP-FD-1
            self.user = true;
        }
        Ok(())
    }

    /// System calls and waits, as a user with the right.
    pub(crate) fn attempt<T>(
        &mut self,
        waker: &Waker,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let source = self.source;
        let Some(incarnation) = source.entry() else {
            // In blocking mode the call is all there is.
            return Poll::Ready(uninterrupted(|| call(source.kernel(), source.number())));
        };
        if !self.prepared {
            incarnation.prepare(self.mode).map_err(Reason::from)?;
            self.prepared = true;
        }
        loop {
            if !self.wait.parked() {
                match uninterrupted(|| call(source.kernel(), source.number())) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return Poll::Ready(done),
                }
            }
            ready!(self.poll_wait(&incarnation, waker))?;
        }
    }

    /// Begins with the wait: no call would find anything, and nothing is reset (NP-READ-5).
    pub(crate) fn wait_first(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        self.prepared = true;
        self.poll_ready(waker)
    }

    /// Waits for readiness, as a user with the right.
    fn poll_ready(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        match self.source.entry() {
            Some(incarnation) => self.poll_wait(&incarnation, waker),
            None => Poll::Ready(Err(Reason::NotPollable.into())),
        }
    }

    /// The same, of a descriptor that can be waited for.
    fn poll_wait(
        &mut self,
        incarnation: &Incarnation<'_, S>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let Operation { source, mode, wait, .. } = self;
        loop {
            match incarnation.poll_wait(*mode, wait, waker, || source.arm(*mode)) {
                // A poll has left it behind, and whoever has the right comes first (NP-FD-12).
                Poll::Ready(Err(WaitError::Occupied)) => incarnation.evict(*mode),
                polled => return polled.map_err(io::Error::from),
            }
        }
    }

    /// Parks the task in its slot until the direction can be used no more, as a user with the right; an
    /// error if it is so already. Reports are passed over, and none is asked for.
    pub(crate) fn park_for_the_end(&mut self, waker: &Waker) -> io::Result<()> {
        let Operation { source, mode, wait, .. } = self;
        // In blocking mode there is nothing to wait for.
        let Some(incarnation) = source.entry() else { return Ok(()) };
        loop {
            match incarnation.poll_wait(*mode, wait, waker, || Ok(())) {
                Poll::Ready(Ok(())) => {}
                // As in `poll_ready` (NP-FD-12).
                Poll::Ready(Err(WaitError::Occupied)) => incarnation.evict(*mode),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Ends the wait that is under way, if there is one; the right stays.
    pub(crate) fn retract(&mut self) {
        if self.wait.parked()
            && let Some(incarnation) = self.source.entry()
        {
            incarnation.retract(self.mode, &mut self.wait);
        }
    }

    /// NP-FD-5: nobody knows whether it is polled again.
    fn pause(&mut self) {
        if core::mem::take(&mut self.user) {
            let left = self.source.lock.leave(Some(self.mode));
            if let Some(woken) = self.source.left(left) {
                wake(woken.all());
            }
        }
    }

    /// Gives up whatever it has.
    #[inline]
    pub(crate) fn end(&mut self) {
        self.retract();
        let Operation { source, mode, .. } = *self;
        let user = core::mem::take(&mut self.user);
        let held = match core::mem::replace(&mut self.right, Right::Over) {
            Right::None | Right::Over => false,
            Right::Queued(ticket) => source.lock.abandon(mode, ticket), // NP-FD-7
            Right::Held => true,
        };
        match (held, user) {
            (true, user) => {
                if let Some(more) = source.lock.unlock(mode, user, self.drains) {
                    source.given_up(more);
                }
            }
            (false, true) => source.given_up(GivenUp::nothing(source.lock.leave(None))),
            (false, false) => {}
        }
    }
}

impl<S: System> Source<S> {
    /// Does what is left to do after a right was given up.
    #[cold]
    fn given_up(&self, GivenUp { left, next, polls }: GivenUp) {
        // All, and last: a waker that panics keeps nobody asleep.
        let woken = self.left(left).into_iter().flat_map(Woken::all);
        wake(woken.chain([next]).chain(polls.into_iter().map(Some)));
    }
}

impl<S: System> Drop for Operation<'_, S> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Repeats a call that a signal has interrupted (Go #20400, #38836).
pub(crate) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

impl<S: System> Source<S> {
    /// The right to wait for readiness in one direction. There is one per direction at a time:
    /// it is what tells the same task that polls again from a second one. Reads and writes
    /// queue while somebody has it.
    ///
    /// ```
    /// use netpoller::Mode;
    /// use std::io::{ErrorKind, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (socket, peer) = poller.stream_pair()?;
    /// let mut waiter = socket.waiter(Mode::Read)?;
    /// assert_eq!(socket.waiter(Mode::Read).unwrap_err().kind(), ErrorKind::ResourceBusy);
    ///
    /// (&peer).write_all(b"x")?;
    /// waiter.prepare()?;
    /// let count = loop {
    ///     match socket.try_read(&mut [0; 8]) {
    ///         Err(error) if error.kind() == ErrorKind::WouldBlock => waiter.wait()?,
    ///         done => break done?,
    ///     }
    /// };
    /// assert_eq!(count, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Of kind `ResourceBusy` ([`Reason::Busy`]) while another [`Waiter`] or an operation of this
    /// direction has it; [`Reason::Closed`].
    pub fn waiter(&self, mode: Mode) -> io::Result<Waiter<'_, S>> {
        Operation::claimed(self, mode).map(|operation| Waiter { operation })
    }

    /// The same, queueing for the right behind those who came earlier.
    ///
    /// Cancel safety: dropping the future gives up the place in the queue.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`].
    pub async fn async_waiter(&self, mode: Mode) -> io::Result<Waiter<'_, S>> {
        let mut operation = Operation::new(self, mode);
        poll_fn(|cx| operation.begin(cx.waker())).await?;
        operation.pause();
        Ok(Waiter { operation })
    }
}

/// The right to wait for readiness in one direction of a [`Source`].
///
/// Dropping it gives the right to whoever has queued for it longest, and ends a wait that is under
/// way; readiness that has arrived and was not consumed stays for the next waiter.
pub struct Waiter<'a, S: System> {
    operation: Operation<'a, S>,
}

impl<S: System> Waiter<'_, S> {
    /// Before a system call: sees that the operation may go on, and drops readiness that the
    /// call will find again.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], [`Reason::NotPollable`].
    pub fn prepare(&mut self) -> io::Result<()> {
        let Operation { source, mode, .. } = self.operation;
        let incarnation = source.entry().ok_or(Reason::NotPollable)?;
        Ok(incarnation.prepare(mode).map_err(Reason::from)?)
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
        self.operation.enter()?;
        let mut polled = self.operation.poll_ready(cx.waker());
        if polled.is_pending() {
            polled = self.operation.left_parked();
        }
        self.operation.pause(); // the right stays
        polled
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

    /// The same, blocking the thread, which polls the poller meanwhile if nobody else does.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`], [`Reason::NotPollable`].
    pub fn wait(&mut self) -> io::Result<()> {
        self.operation.enter()?;
        let poller = self.operation.source.poller();
        let result = block(poller, Kept::InSlot, |waker| self.operation.poll_ready(waker));
        self.operation.pause();
        result?
    }
}

impl<S: System> core::fmt::Debug for Waiter<'_, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Operation { source, mode, wait, .. } = &self.operation;
        f.debug_struct("Waiter")
            .field("mode", mode)
            .field("parked", &wait.parked())
            .field("source", source)
            .finish()
    }
}
