//! Sleeping, and giving up after a time: futures around a [`Timer`](crate::Timer).
//!
//! There is no queue of timers here. A sleep is an entry of the poller, made when it is first polled
//! and given back when it is dropped; the worker that sleeps in the kernel sleeps until the first one, and
//! one that is set meanwhile breaks it if it is earlier (NP-TIME-12).

use super::context::Context;
use crate::seam::{Instant, Os, System};
use crate::timer::Timer;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{self, Poll, ready};
use core::time::Duration;
use std::io;

/// The time, on the clock of all sleeps and deadlines.
#[must_use]
pub fn now() -> Instant {
    Os.now()
}

/// A future that ends when this time has passed, not earlier.
///
/// ```
/// use netpoller::runtime::{Runtime, now, sleep};
/// use std::time::Duration;
/// # fn main() -> std::io::Result<()> {
/// let begin = now();
/// Runtime::new()?.block_on(sleep(Duration::from_millis(2)));
/// # Ok(())
/// # }
/// ```
///
/// To be awaited on a thread of a runtime, or in its `block_on`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(now().saturating_add(duration))
}

/// A future that ends when this instant has come, not earlier. One that lies in the past has come.
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep { timer: None, at }
}

/// The future of [`sleep`].
///
/// Cancel safety: dropping it ends the sleep.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    /// On the poller of the runtime in which the sleep was polled first.
    timer: Option<Timer<Os>>,
    at: Instant,
}

impl Sleep {
    /// When it ends.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.at
    }

    /// Lets it end at another instant, whether it has ended or not.
    ///
    /// # Panics
    ///
    /// When the poller has come to its end.
    pub fn reset(&mut self, at: Instant) {
        self.at = at;
        if let Some(timer) = &self.timer {
            alive(timer.set(Some(at)));
        }
    }
}

/// A sleep has no errors but the end of the poller, which ends its runtime with all tasks.
fn alive<T>(result: io::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("the poller cannot keep time any more: {error}"))
}

impl Future for Sleep {
    type Output = ();

    /// # Panics
    ///
    /// Outside of a runtime; and when the poller has come to its end, or all of its entries are in use.
    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        let Sleep { timer, at } = &mut *self;
        let timer = match timer {
            Some(timer) => timer,
            None if *at <= now() => return Poll::Ready(()),
            None => {
                let context = Context::current();
                let context = context.expect("there is no runtime on this thread to sleep in");
                let new = alive(context.poller().timer());
                alive(new.set(Some(*at)));
                timer.insert(new)
            }
        };
        alive(ready!(timer.poll_expired(cx)));
        Poll::Ready(())
    }
}

/// Gives a future this much time.
///
/// ```
/// use netpoller::runtime::{Runtime, timeout};
/// use std::{future::pending, time::Duration};
/// # fn main() -> std::io::Result<()> {
/// let late = Runtime::new()?.block_on(timeout(Duration::from_millis(1), pending::<()>()));
/// assert!(late.is_err());
/// # Ok(())
/// # }
/// ```
pub fn timeout<F: Future>(duration: Duration, future: F) -> Timeout<F> {
    Timeout { future, sleep: sleep(duration) }
}

pin_project_lite::pin_project! {
    /// The future of [`timeout`]: what the other one returns, or [`Elapsed`] when it was not ready in
    /// time. Who is ready and late is ready.
    #[must_use = "a future does nothing unless it is polled"]
    #[derive(Debug)]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Sleep,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(value) = this.future.poll(cx) {
            return Poll::Ready(Ok(value));
        }
        Pin::new(this.sleep).poll(cx).map(|()| Err(Elapsed(())))
    }
}

/// The time was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time given to a future has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, elapsed)
    }
}

/// A clock that ticks once in a period: the first time at once.
///
/// # Panics
///
/// When the period is zero.
pub fn interval(period: Duration) -> Interval {
    assert!(!period.is_zero(), "an interval of no length would tick without end");
    Interval { sleep: sleep_until(now()), period }
}

/// What [`interval`] returns.
#[derive(Debug)]
pub struct Interval {
    sleep: Sleep,
    period: Duration,
}

impl Interval {
    /// Waits for the next tick; returns the instant for which it was due. Ticks for which nobody came in
    /// time are left out; the ones after them are where they would have been.
    ///
    /// Cancel safety: a future that is dropped takes no tick.
    ///
    /// # Panics
    ///
    /// As a [`Sleep`].
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| Pin::new(&mut self.sleep).poll(cx)).await;
        let due = self.sleep.deadline();
        let late = now().since(due).as_nanos();
        let missed = late / self.period.as_nanos();
        // All of it fits: what is late has fitted into 64 bits of nanoseconds.
        let missed = u64::try_from(missed * self.period.as_nanos()).unwrap_or(u64::MAX);
        let next = due.saturating_add(Duration::from_nanos(missed)).saturating_add(self.period);
        self.sleep.reset(next);
        due
    }
}

/// Lets the other tasks that can run go first, once.
///
/// Cancel safety: nothing is lost.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
