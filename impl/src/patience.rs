//! An operation that tries again after a while, where no report says when that is worth it.
//!
//! There are two such cases: an accept without a free number, which becomes free elsewhere in the process,
//! and a message to a Unix socket whose queue is full, which its sender is not told of unless the two
//! are connected. In both the descriptor *is* ready, and says so again and again: whoever waits for
//! readiness does not wait at all, and spins.
//!
//! # States
//!
//! | state | left by |
//! |---|---|
//! | trying | the call succeeds or fails: the end; it says *later*: pausing; EAGAIN: waits for readiness as every operation does |
//! | pausing | the timer comes due: trying; the descriptor is closed, or the deadline of its direction expires: the end |
//!
//! Each pause is twice as long as the one before, up to the longest ([`Pace`]); it is counted from the
//! attempt. So the number of attempts grows with the logarithm of the time at first, and then by one for each
//! longest pause.
//!
//! While it pauses the operation keeps its right and is parked in two places: in the read slot of a
//! [`Timer`], and in the slot of its direction, where a close and a deadline find it. It does not arm the
//! latter, for a level-triggered queue would report it at once, and passes over edges: they are the reports
//! that were not worth anything. No readiness is lost by that, because the system call comes after the
//! pause (NP-WAIT-4).
//!
//! No state of its own that others see: the timer is an incarnation, the slot is the descriptor's.

use crate::operation::Operation;
use crate::seam::System;
use crate::source::{Fd, Source};
use crate::timer::Timer;
use crate::turns::{Kept, block};
use core::future::poll_fn;
use core::task::{Poll, Waker, ready};
use core::time::Duration;
use netpoller_spec::Mode;
use std::io;

/// How long the pauses are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

/// What an attempt says: done, or later, because of an error.
pub(crate) type Attempt<T> = io::Result<Result<T, io::Error>>;

/// An operation with pauses.
pub(crate) struct Patient<'a, S: System> {
    source: &'a Source<S>,
    operation: Operation<'a, S>,
    pace: Pace,
    /// The next pause.
    pause: Duration,
    /// Made for the first one.
    timer: Option<Timer<S>>,
    pausing: bool,
    pauses: u64,
}

impl<'a, S: System> Patient<'a, S> {
    pub(crate) fn new(source: &'a Source<S>, mode: Mode, pace: Pace) -> Self {
        let operation = Operation::new(source, mode);
        let (timer, pausing, pauses) = (None, false, 0);
        Patient { source, operation, pace, pause: pace.first, timer, pausing, pauses }
    }

    /// The whole operation in the async style, and how many pauses it has made.
    pub(crate) async fn run<T>(
        mut self,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> Attempt<T>,
    ) -> (io::Result<T>, u64) {
        let result = poll_fn(|cx| {
            ready!(self.operation.begin(cx.waker()))?;
            let polled = self.go_on(cx.waker(), &mut call);
            self.operation.polled(polled)
        });
        (result.await, self.pauses)
    }

    /// The whole operation in the blocking style, and how many pauses it has made.
    pub(crate) fn block<T>(
        mut self,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> Attempt<T>,
    ) -> (io::Result<T>, u64) {
        let poller = self.source.poller();
        let begun = block(poller, Kept::Elsewhere, |waker| self.operation.begin(waker));
        if let Err(error) = begun.and_then(core::convert::identity) {
            return (Err(error), self.pauses);
        }
        let result = block(poller, Kept::InSlot, |waker| self.go_on(waker, &mut call));
        self.operation.end();
        (result.and_then(core::convert::identity), self.pauses)
    }

    /// Attempts and pauses, as a user with the right.
    fn go_on<T>(
        &mut self,
        waker: &Waker,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> Attempt<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if self.pausing {
                ready!(self.rest(waker))?;
            }
            match ready!(self.operation.attempt(waker, &mut call))? {
                Ok(value) => return Poll::Ready(Ok(value)),
                Err(_later) => self.begin_to_pause()?,
            }
        }
    }

    fn begin_to_pause(&mut self) -> io::Result<()> {
        let poller = self.source.poller();
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => none.insert(poller.timer()?),
        };
        timer.set(Some(poller.now().saturating_add(self.pause)))?;
        self.pause = self.pace.longest.min(self.pause * 2);
        self.pausing = true;
        self.pauses += 1;
        Ok(())
    }

    /// Waits until the pause is over. The error that ends the operation is that of the direction.
    fn rest(&mut self, waker: &Waker) -> Poll<io::Result<()>> {
        self.operation.park_for_the_end(waker)?;
        let timer = self.timer.as_mut().expect("a pause has a timer");
        ready!(timer.look(waker))?;
        self.operation.retract();
        self.pausing = false;
        Poll::Ready(Ok(()))
    }
}
