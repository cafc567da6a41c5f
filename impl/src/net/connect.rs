//! The way of a connection.
//!
//! ```text
//! socket ; connect(2), once ; register ; deadline ; wait for room, without a reset ; look
//!     not there: wait again        there: take the deadline back, done
//! ```
//!
//! * connect(2) is called once (NP-CONN-2, Go #7474): after EINPROGRESS and EINTR alike the kernel
//!   goes on by itself, and the descriptor becomes writable when it is over.
//! * The socket is registered after connect(2), so that its first report is about the connection. That
//!   report may be older than the wait: nothing is reset before it (NP-EDGE-1).
//! * Being writable is a hint (NP-EDGE-5). The pending error of the socket says whether the connection
//!   has failed, and **no error does not mean that it is there**: the edge may have been a stray one (Go
//!   #14548, #19289). The peer's address says so: without one the wait goes on (NP-CONN-1).
//! * A deadline is the write deadline of the fresh source, from before the first wait until the
//!   connection is there. It is taken back before anybody has the source, so that it ends no later
//!   write (NP-CONN-3, Go #15078, #16523); one that has come before the connection begins ends the
//!   attempt without a system call (NP-CONN-4).
//!
//! Of several addresses one is tried after the other, each in this way (`target`).
//!
//! Dropping the future closes the socket, which ends the attempt. So does every failure: nobody else has
//! the source.

use super::target::{Attempts, Target};
use crate::error::Reason;
use crate::operation::Operation;
use crate::poller::Poller;
use crate::seam::{Address, Connecting, Instant, Kernel, Kind, System};
use crate::source::{Fd, Source};
use core::future::poll_fn;
use netpoller_spec::Mode;
use std::io;

/// A socket whose connection has begun, and whether it is there already.
fn begin<S: System>(poller: &Poller<S>, address: &Address) -> io::Result<(Source<S>, bool)> {
    let kernel = poller.system().kernel();
    let fd = kernel.socket(address, Kind::Stream)?;
    // NP-CONN-2
    let there = match kernel.connect(&fd, address) {
        Ok(()) => true,
        Err(error) => match Connecting::of(&error) {
            Connecting::UnderWay => false,
            Connecting::Done => true,
            Connecting::Failed => return Err(error),
        },
    };
    let believed = kernel.is_plain_tcp(&fd);
    Ok((poller.register_as(fd, believed)?, there))
}

/// Looks how far the connection has come. `WouldBlock`: not yet.
fn look<S: System>(kernel: &S::Kernel, fd: &Fd<S>) -> io::Result<()> {
    if let Some(error) = kernel.take_error(fd)? {
        match Connecting::of(&error) {
            Connecting::UnderWay => return Err(io::ErrorKind::WouldBlock.into()),
            Connecting::Done => return Ok(()),
            Connecting::Failed => return Err(error),
        }
    }
    match kernel.peer_address(fd) {
        Ok(_) => Ok(()),
        // NP-CONN-1
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

/// [`look`], but not before the first wait: nothing can be seen that early.
fn look_after_a_wait<S: System>() -> impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<()> {
    let mut waited = false;
    move |kernel, fd| {
        if core::mem::replace(&mut waited, true) {
            look::<S>(kernel, fd)
        } else {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }
}

/// Sees that there is time left, and begins.
fn begin_by<S: System>(
    poller: &Poller<S>,
    address: &Address,
    deadline: Option<Instant>,
) -> io::Result<(Source<S>, bool)> {
    if deadline.is_some_and(|deadline| deadline <= poller.now()) {
        return Err(Reason::DeadlineExceeded.into()); // NP-CONN-4
    }
    let (source, there) = begin(poller, address)?;
    if !there && deadline.is_some() {
        source.set_write_deadline(deadline)?;
    }
    Ok((source, there))
}

/// The deadline was that of the attempt, which is over.
fn without_deadline<S: System>(
    source: Source<S>,
    deadline: Option<Instant>,
) -> io::Result<Source<S>> {
    if deadline.is_some() {
        source.set_write_deadline(None)?; // NP-CONN-3
    }
    Ok(source)
}

/// Connects, blocking the thread, until `deadline` at the latest.
pub(super) fn connect<S: System>(
    poller: &Poller<S>,
    address: &Address,
    deadline: Option<Instant>,
) -> io::Result<Source<S>> {
    let (source, there) = begin_by(poller, address, deadline)?;
    if there {
        return Ok(source);
    }
    Operation::without_reset(&source, Mode::Write).block(look_after_a_wait::<S>())?;
    without_deadline(source, deadline)
}

/// Connects, until `deadline` at the latest.
pub(super) async fn async_connect<S: System>(
    poller: &Poller<S>,
    address: &Address,
    deadline: Option<Instant>,
) -> io::Result<Source<S>> {
    let (source, there) = begin_by(poller, address, deadline)?;
    if there {
        return Ok(source);
    }
    let mut operation = Operation::without_reset(&source, Mode::Write);
    let mut look = look_after_a_wait::<S>();
    poll_fn(|cx| operation.poll(cx.waker(), &mut look)).await?;
    drop(operation);
    without_deadline(source, deadline)
}

/// Connects to the first address that answers, blocking the thread, until `deadline` at the latest.
pub(super) fn connect_to<S: System>(
    poller: &Poller<S>,
    target: Target,
    deadline: Option<Instant>,
) -> io::Result<Source<S>> {
    let target = match target.only() {
        Ok(address) => return connect(poller, &Address::Inet(address), deadline),
        Err(target) => target,
    };
    let mut attempts = Attempts::new(target.addresses(poller, deadline)?, deadline);
    loop {
        let (address, until) = attempts.next(poller.now())?;
        match connect(poller, &Address::Inet(address), until) {
            Ok(source) => return Ok(source),
            Err(error) => attempts.failed(error),
        }
    }
}

/// The same without blocking the thread.
pub(super) async fn async_connect_to<S: System>(
    poller: &Poller<S>,
    target: Target,
    deadline: Option<Instant>,
) -> io::Result<Source<S>> {
    let target = match target.only() {
        Ok(address) => return async_connect(poller, &Address::Inet(address), deadline).await,
        Err(target) => target,
    };
    let mut attempts = Attempts::new(target.async_addresses(poller, deadline).await?, deadline);
    loop {
        let (address, until) = attempts.next(poller.now())?;
        match async_connect(poller, &Address::Inet(address), until).await {
            Ok(source) => return Ok(source),
            Err(error) => attempts.failed(error),
        }
    }
}
