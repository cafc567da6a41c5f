//! Linux and other Unix systems: the system calls, and the kernels of the poller made of them.
//!
//! This is the only module that calls into C, and the only one where `unsafe` is allowed. Each
//! file takes one kind of object:
//!
//! | file | what it holds |
//! |---|---|
//! | [`fd`] | [`Descriptor`]: a number that is owned; pipe, dup, read, write, close |
//! | [`make`] | how a descriptor comes to be non-blocking and close-on-exec: Linux, or any Unix |
//! | [`address`] | socket addresses to the bytes of the kernel and back; safe code only |
//! | `open` | files that have a name; safe code only |
//! | [`socket`] | what can be done with sockets only |
//! | [`datagram`] | messages, by name and without; groups |
//! | `clock` | the clock of deadlines |
//! | `epoll` | the event queue of Linux: the epoll, its eventfd, waiting with a timeout |
//! | [`poll`] | poll(2), and the pipes that break it; the queue made of them is [`crate::level`] |
//! | `process` | which process this is, without a call as long as it is the same |
//! | `standard` | sockets of the standard library, which become ours; safe code only |
//! | [`kernel`] | `Epoll` and [`PosixPoll`], the instances of the seam's `Kernel` |
//!
//! # Errors
//!
//! Calls that move bytes or concern one socket hand on the bare error number, so that
//! [`io::Error::raw_os_error`] and the kinds are those of the manual pages and the path that
//! ends in EAGAIN allocates nothing. Calls on the event queue fail only when something is wrong
//! with the program or the limits of the process. Their errors say which call failed on which
//! number ([`Failure`]), keep the kind, and hold the bare error as their source.
//!
//! # Out of scope
//!
//! Policy: what to retry, which error ends a connection, who waits. Nothing here blocks but
//! a wait on the event queue, because every descriptor that is created here is non-blocking.

#![allow(unsafe_code)]

mod address;
mod clock;
mod datagram;
#[cfg(target_os = "linux")]
mod epoll;
mod fd;
mod kernel;
// The cfg `netpoller_portable` has Linux do without what only Linux has: for tests.
#[cfg_attr(all(target_os = "linux", not(netpoller_portable)), path = "make_linux.rs")]
#[cfg_attr(not(all(target_os = "linux", not(netpoller_portable))), path = "make_posix.rs")]
mod make;
mod open;
mod poll;
mod process;
mod socket;
mod standard;

pub(crate) use clock::nanos;
#[cfg(target_os = "linux")]
pub use epoll::{EventQueue, Harvest};
pub use fd::Descriptor;
#[cfg(target_os = "linux")]
pub use kernel::Epoll;
pub use kernel::PollQueue;
pub use poll::PosixPoll;

use std::io;
use std::os::fd::RawFd;

/// What a system call returned as a result: -1 is the error in `errno`, all else is the value.
trait Returned: Copy {
    fn or_errno(self) -> io::Result<Self>;
}

macro_rules! returned {
    ($($number:ty),*) => {$(
        impl Returned for $number {
            #[inline]
            fn or_errno(self) -> io::Result<Self> {
                if self == -1 { Err(io::Error::last_os_error()) } else { Ok(self) }
            }
        }
    )*};
}

returned!(i32, i64, isize);

/// The whole milliseconds that are not shorter.
#[cfg_attr(target_os = "freebsd", expect(dead_code, reason = "it has ppoll"))]
fn millis_up(delay: core::time::Duration) -> u128 {
    delay.as_nanos().div_ceil(1_000_000)
}

/// Why a call on the event queue failed: the call, the number it was made on, and the error.
#[derive(Debug)]
struct Failure {
    call: &'static str,
    fd: RawFd,
    source: io::Error,
}

impl Failure {
    /// The error of `call` on `fd`, with the kind of `source` and a text that names all three.
    fn of(call: &'static str, fd: RawFd, source: io::Error) -> io::Error {
        io::Error::new(source.kind(), Failure { call, fd, source })
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} on descriptor {}: {}", self.call, self.fd, self.source)
    }
}

impl core::error::Error for Failure {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}
