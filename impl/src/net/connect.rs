//! The way of a connection.
//!
//! ```text
//! socket ; connect(2), once ; register ; wait for room, without a reset ; look ; wait again, or done
//! ```
//!
//! * connect(2) is called once (Go #7474): after EINPROGRESS and EINTR alike the kernel goes on by
//!   itself, and the descriptor becomes writable when it is over.
//! * The socket is registered after connect(2), so that its first report is about the connection. That
//!   report may be older than the wait: nothing is reset before it (NP-EDGE-1).
//! * Being writable is a hint (NP-EDGE-5). The pending error of the socket says whether the connection
//!   has failed, and **no error does not mean that it is there**: the edge may have been a stray one (Go
//!   #14548, #19289). The peer's address says so: without one the wait goes on.
//!
//! Dropping the future closes the socket, which ends the attempt.

use crate::operation::Operation;
use crate::poller::Poller;
use crate::seam::{Address, Connecting, Kernel, Kind, System};
use crate::source::{Fd, Source};
use core::future::poll_fn;
use netpoller_spec::Mode;
use std::io;

/// A socket whose connection has begun, and whether it is there already.
fn begin<S: System>(poller: &Poller<S>, address: &Address) -> io::Result<(Source<S>, bool)> {
    let kernel = poller.system().kernel();
    let fd = kernel.socket(address, Kind::Stream)?;
    let there = match kernel.connect(&fd, address) {
        Ok(()) => true,
        Err(error) => match Connecting::of(&error) {
            Connecting::UnderWay => false,
            Connecting::Done => true,
            Connecting::Failed => return Err(error),
        },
    };
    Ok((poller.register(fd)?, there))
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

/// Connects, blocking the thread.
pub(super) fn connect<S: System>(poller: &Poller<S>, address: &Address) -> io::Result<Source<S>> {
    let (source, there) = begin(poller, address)?;
    if !there {
        Operation::without_reset(&source, Mode::Write).block(look_after_a_wait::<S>())?;
    }
    Ok(source)
}

/// Connects.
pub(super) async fn async_connect<S: System>(
    poller: &Poller<S>,
    address: &Address,
) -> io::Result<Source<S>> {
    let (source, there) = begin(poller, address)?;
    if !there {
        let mut operation = Operation::without_reset(&source, Mode::Write);
        let mut look = look_after_a_wait::<S>();
        poll_fn(|cx| operation.poll(cx.waker(), &mut look)).await?;
        drop(operation);
    }
    Ok(source)
}
