//! The next connection of a listener.
//!
//! A connection that its peer has given up before it was accepted (ECONNABORTED) is passed over
//! (NP-CONN-5, Go #6163). Any other error is the caller's, and the listener stays as it is: when the table
//! of descriptors is full (EMFILE, ENFILE) the connection stays in the kernel's queue, no edge will
//! report it again, and the next accept finds it, because every operation tries its system call first
//! (NP-CONN-6).
//!
//! The deadline of an accept is the read deadline of the listener.

use crate::poller::Poller;
use crate::seam::{Address, Kernel, Kind, System};
use crate::source::{Fd, Source};
use netpoller_spec::Mode;
use std::io;

/// The next one that is still there. One system call for each that is not.
fn next<S: System>(kernel: &S::Kernel, listener: &Fd<S>) -> io::Result<(Fd<S>, Address)> {
    loop {
        match kernel.accept(listener) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {} // NP-CONN-5
            other => return other,
        }
    }
}

fn registered<S: System>(
    listener: &Source<S>,
    (fd, from): (Fd<S>, Address),
) -> io::Result<(Source<S>, Address)> {
    Ok((listener.poller().register(fd)?, from))
}

/// Accepts, blocking the thread.
pub(super) fn accept<S: System>(listener: &Source<S>) -> io::Result<(Source<S>, Address)> {
    let accepted = listener.operate_blocking(Mode::Read, next::<S>)?;
    registered(listener, accepted)
}

/// Accepts.
pub(super) async fn async_accept<S: System>(
    listener: &Source<S>,
) -> io::Result<(Source<S>, Address)> {
    let accepted = listener.operate(Mode::Read, next::<S>).await?;
    registered(listener, accepted)
}

/// A listener at `address`; `reuse`: also where connections of an earlier one are still ending.
pub(super) fn listen<S: System>(
    poller: &Poller<S>,
    address: &Address,
    reuse: bool,
) -> io::Result<Source<S>> {
    let kernel = poller.system().kernel();
    let fd = kernel.socket(address, Kind::Stream)?;
    if reuse {
        kernel.set_reuse_address(&fd, true)?;
    }
    kernel.bind(&fd, address)?;
    kernel.listen(&fd, super::BACKLOG)?;
    Ok(poller.register(fd)?)
}
