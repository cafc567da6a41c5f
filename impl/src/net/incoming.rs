//! All connections of a listener, one after the other.
//!
//! A server that accepts in a loop meets two kinds of errors that are no reason to end it:
//!
//! * **About one connection**, which is gone: the next one is taken (NP-CONN-5).
//! * **About the process**: no number is free (EMFILE, ENFILE), or no memory. The connection stays in the
//!   kernel's queue, so the listener stays readable, and a loop that tries again at once spins until
//!   somebody closes something. It cannot wait for that, since no event tells of a number that was given
//!   back. So it lets time pass (NP-CONN-7), with the pauses of `patience`: of 5 milliseconds at first, then
//!   twice as long each time, up to a second. Go's `net/http` does the same.
//!
//! All other errors are the caller's, and the loop may go on after them.

use super::accept::registered;
use super::{TcpListener, TcpStream, UnixListener, UnixStream};
use crate::error::Reason;
use crate::patience::{Attempt, Pace, Patient};
use crate::seam::{Accepting, Address, Kernel, SocketAddr, System};
use crate::source::{Fd, Source};
use core::ops::Deref;
use core::time::Duration;
use netpoller_spec::Mode;
use std::io;

const PACE: Pace = Pace { first: Duration::from_millis(5), longest: Duration::from_secs(1) };

/// A socket that listens, of either kind.
pub trait Listener: Deref<Target = Source<Self::System>> {
    /// What it runs on.
    type System: System;
    /// A connection, and where it comes from.
    type Accepted;

    /// What was accepted, as that.
    ///
    /// # Errors
    ///
    /// When the address is none of this kind.
    #[doc(hidden)]
    fn accepted(source: Source<Self::System>, from: Address) -> io::Result<Self::Accepted>;
}

impl<S: System> Listener for TcpListener<S> {
    type System = S;
    type Accepted = (TcpStream<S>, SocketAddr);

    fn accepted(source: Source<S>, from: Address) -> io::Result<Self::Accepted> {
        Ok((TcpStream::of(source), super::tcp::inet(from)?))
    }
}

impl<S: System> Listener for UnixListener<S> {
    type System = S;
    type Accepted = (UnixStream<S>, Address);

    fn accepted(source: Source<S>, from: Address) -> io::Result<Self::Accepted> {
        Ok((UnixStream::of(source), from))
    }
}

/// One attempt: connections that are gone are passed over; without a number: later.
fn attempt<S: System>(kernel: &S::Kernel, listener: &Fd<S>) -> Attempt<(Fd<S>, Address)> {
    loop {
        let error = match kernel.accept(listener) {
            Ok(accepted) => return Ok(Ok(accepted)),
            Err(error) => error,
        };
        match Accepting::of(&error) {
            Accepting::Gone => {}                          // NP-CONN-5
            Accepting::Exhausted => return Ok(Err(error)), // NP-CONN-7
            Accepting::Failed => return Err(error),
        }
    }
}

/// All connections of a listener, until it is closed: an iterator whose [`next`](Iterator::next) blocks the
/// thread, and [`async_next`](Self::async_next).
///
/// Connections that are gone before they were accepted are passed over. When the process has no number or
/// memory left for one, it stays where it is and is tried again after a pause: of 5 milliseconds, then twice as
/// long each time, of a second at most. Other accepts of the same listener wait meanwhile. A close and the
/// read deadline of the listener end a pause at once.
///
/// Any other error is an item, and the next item may be a connection. While the read deadline of the listener has
/// passed each item is that error, and none of them waits.
pub struct Incoming<'a, L> {
    listener: &'a L,
    pauses: u64,
    closed: bool,
}

impl<'a, L: Listener> Incoming<'a, L> {
    pub(super) fn of(listener: &'a L) -> Self {
        Incoming { listener, pauses: 0, closed: false }
    }

    /// The next connection; `None` when the listener is closed.
    ///
    /// Cancel safety: when the future is dropped no connection is lost. A pause is over then.
    ///
    /// # Errors
    ///
    /// As an item: those of accept(2) that are about the listener; those of
    /// [`register`](crate::poller::Poller::register), with which the connection is closed; those of
    /// [`timer`](crate::poller::Poller::timer). [`Reason`] `DeadlineExceeded`.
    pub async fn async_next(&mut self) -> Option<io::Result<L::Accepted>> {
        if self.closed {
            return None;
        }
        let (result, pauses) =
            Patient::new(self.listener, Mode::Read, PACE).run(attempt::<L::System>).await;
        self.item(result, pauses)
    }

    /// How many pauses there have been, for whoever watches how often numbers run out.
    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.pauses
    }

    fn item(
        &mut self,
        result: io::Result<(Fd<L::System>, Address)>,
        pauses: u64,
    ) -> Option<io::Result<L::Accepted>> {
        self.pauses += pauses;
        let accepted = match result {
            Err(error) if Reason::of(&error) == Some(Reason::Closed) => {
                self.closed = true;
                return None;
            }
            result => result.and_then(|accepted| registered(self.listener, accepted)),
        };
        Some(accepted.and_then(|(source, from)| L::accepted(source, from)))
    }
}

/// The blocking style. The thread polls the poller if nobody else does.
impl<L: Listener> Iterator for Incoming<'_, L> {
    type Item = io::Result<L::Accepted>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.closed {
            return None;
        }
        let (result, pauses) =
            Patient::new(self.listener, Mode::Read, PACE).block(attempt::<L::System>);
        self.item(result, pauses)
    }
}

impl<L: Listener> core::iter::FusedIterator for Incoming<'_, L> {}

impl<L: core::fmt::Debug> core::fmt::Debug for Incoming<'_, L> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", self.listener)
            .field("pauses", &self.pauses)
            .finish()
    }
}
