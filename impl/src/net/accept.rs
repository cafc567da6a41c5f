//! The next connection of a listener.
//!
//! A connection that its peer has given up before it was accepted (ECONNABORTED) is passed over
//! (NP-CONN-5, Go #6163). Any other error is the caller's, and the listener stays as it is: when the table
//! of descriptors is full (EMFILE, ENFILE) the connection stays in the kernel's queue, no edge will
//! report it again, and the next accept finds it, because every operation tries its system call first
//! (NP-CONN-6).
//!
//! A loop of accepts, which knows what to do then, is in `incoming`.
//!
//! The deadline of an accept is the read deadline of the listener.
//!
//! A connection has from its listener what decides whether its short reads are believed: the protocol, and options
//! that somebody has set. So the listener is asked once, and its connections inherit the answer (NP-READ-1).

use crate::seam::{Address, Kernel, System};
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

pub(super) fn registered<S: System>(
    listener: &Source<S>,
    (fd, from): (Fd<S>, Address),
) -> io::Result<(Source<S>, Address)> {
    // Asked after the accept: what was done by a number that was handed out later is not in this connection.
    let believed = listener.is_believed();
    Ok((listener.poller().register_as(fd, believed)?, from))
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
