//! Unix datagram sockets.
//!
//! # A receiver that is full
//!
//! Nothing is lost here: a message for a receiver whose queue is full is refused with EAGAIN. A sender that is
//! *connected* to that receiver is not writable then, and is told when there is room: it waits as every
//! operation does. One that is *not* connected stays writable whatever the receiver does, every
//! refused send gives it a report of its own, and the room that comes about at the receiver gives it none.
//! Whoever waits for readiness there spins, and whoever trusts that an edge will come sleeps for ever
//! (Go #23604, #17249). So a `send_to` that is refused tries again after a pause (`patience`), and `send` is
//! what to use where it matters.

use super::datagram::{self, has_messages};
use super::is_a_source;
use crate::driver::Real;
use crate::operation::uninterrupted;
use crate::patience::{Attempt, Pace, Patient};
use crate::poller::Poller;
use crate::seam::{Address, Kernel, Kind, System, Taking};
use crate::source::{Fd, Source};
use core::time::Duration;
use netpoller_spec::Mode;
use std::io;
use std::path::Path;

/// A Unix datagram socket: messages to and from whoever has a name, or, once [connected](Self::connect), to one peer.
///
/// Its file is not removed when it is closed. Usable from many tasks at once through `&self`; receivers
/// take turns, and so do senders. The reads of the [`Source`] that it lends know no messages of no
/// bytes, so `recv` is what to call here.
pub struct UnixDatagram<S: System> {
    source: Source<S>,
}

is_a_source!(UnixDatagram, "UnixDatagram");
has_messages!(UnixDatagram, Address, as_it_is);

/// When a receiver that was full is tried again.
const PACE: Pace = Pace { first: Duration::from_millis(1), longest: Duration::from_millis(64) };

/// The system call of a send by name: later, if there is no room.
fn attempt<'a, S: System>(
    message: &'a [u8],
    to: &'a Address,
) -> impl FnMut(&S::Kernel, &Fd<S>) -> Attempt<usize> + 'a {
    move |kernel, fd| match kernel.send_to(fd, message, to) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Err(error)),
        sent => sent.map(Ok),
    }
}

fn as_it_is(address: Address) -> io::Result<Address> {
    Ok(address)
}

fn named(path: &Path) -> Address {
    Address::Unix(path.into())
}

impl<S: Real> UnixDatagram<S> {
    /// A socket at `path`, on the [current](Poller::current) poller.
    ///
    /// # Errors
    ///
    /// As for [`bind_on`](Self::bind_on); those of [`Poller::current`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        UnixDatagram::bind_on(&Poller::current()?, path)
    }

    /// A socket without a name, on the [current](Poller::current) poller: it can send, and nobody can
    /// send to it unless it is one of a pair.
    ///
    /// # Errors
    ///
    /// As for [`unbound_on`](Self::unbound_on); those of [`Poller::current`].
    pub fn unbound() -> io::Result<Self> {
        UnixDatagram::unbound_on(&Poller::current()?)
    }
}

impl<S: System> UnixDatagram<S> {
    /// A socket at `path`, where no file may be. A path that begins with a NUL byte is a name in the
    /// abstract namespace.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let name = format!("\0netpoller-example-{}", std::process::id());
    /// let poller = netpoller::Poller::new()?;
    /// let log = netpoller::UnixDatagram::bind_on(&poller, &name)?;
    /// let program = netpoller::UnixDatagram::unbound_on(&poller)?;
    /// program.connect(&name)?;
    /// program.send(b"it began")?; // waits while the queue of the receiver is full
    /// let mut line = [0; 80];
    /// let count = log.recv(&mut line)?;
    /// assert_eq!(&line[..count], b"it began");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2), and of [`register`](Poller::register). Kind `InvalidInput` for a path
    /// that does not fit.
    pub fn bind_on(poller: &Poller<S>, path: impl AsRef<Path>) -> io::Result<Self> {
        let (kernel, address) = (poller.system().kernel(), named(path.as_ref()));
        let fd = kernel.socket(&address, Kind::Datagram)?;
        kernel.bind(&fd, &address)?;
        Ok(UnixDatagram { source: poller.register(fd)? })
    }

    /// A socket without a name.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and of [`register`](Poller::register).
    pub fn unbound_on(poller: &Poller<S>) -> io::Result<Self> {
        let fd = poller.system().kernel().socket(&Address::Unnamed, Kind::Datagram)?;
        Ok(UnixDatagram { source: poller.register(fd)? })
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2) and of [`register`](Poller::register).
    pub fn pair_on(poller: &Poller<S>) -> io::Result<(Self, Self)> {
        let (one, other) = poller.system().kernel().socket_pair(Kind::Datagram)?;
        let (one, other) = (poller.register(one)?, poller.register(other)?);
        Ok((UnixDatagram { source: one }, UnixDatagram { source: other }))
    }

    /// From now on messages go to the socket at `path`, and come from it alone. Does not wait. May be
    /// called again, for another peer.
    ///
    /// # Errors
    ///
    /// Those of connect(2): kind `NotFound` or `ConnectionRefused` where nobody is, `PermissionDenied`
    /// where somebody is who is connected with another one. [`Reason::Closed`](crate::Reason::Closed).
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let peer = named(path.as_ref());
        self.source.using(|kernel, fd| kernel.connect(fd, &peer))
    }

    /// Sends a message to the socket at `path`, blocking the thread while there is no room. It is sent
    /// whole, or not at all.
    ///
    /// **The kernel tells nobody of room at a receiver that he is not connected to.** So a message that
    /// is refused is tried again after a pause: of 1 millisecond, then twice as long each time, of 64 milliseconds at most.
    /// [`Connect`](Self::connect) and [`send`](Self::send) where that is too late: they are told. A close
    /// and the write deadline end a pause at once.
    ///
    /// # Errors
    ///
    /// Those of sendto(2): kind `NotFound` or `ConnectionRefused` where nobody is, that of `EMSGSIZE`
    /// for what is too long; those of [`Poller::timer`]. [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`.
    pub fn send_to(&self, message: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = named(path.as_ref());
        Patient::new(&self.source, Mode::Write, PACE).block(attempt::<S>(message, &to)).0
    }

    /// The same without blocking the thread.
    ///
    /// Cancel safety: when the future is dropped nothing has been sent.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to).
    pub async fn async_send_to(&self, message: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = named(path.as_ref());
        Patient::new(&self.source, Mode::Write, PACE).run(attempt::<S>(message, &to)).await.0
    }

    /// The same without waiting, neither for room nor for a turn.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to); kind `WouldBlock` when there is no room, at either end.
    pub fn try_send_to(&self, message: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = named(path.as_ref());
        self.source.using(|kernel, fd| uninterrupted(|| kernel.send_to(fd, message, &to)))
    }
}
