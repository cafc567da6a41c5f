//! Errors of the poller, as they reach users: [`std::io::Error`] with a kind to match on.
//!
//! | what happened | kind | [`Reason`] |
//! |---|---|---|
//! | the descriptor was closed, here or by another task | `NotConnected` | `Closed` |
//! | the deadline of the direction has expired | `TimedOut` | `DeadlineExceeded` |
//! | the kernel gave up on a connection (ETIMEDOUT) | `TimedOut` | none |
//! | the kernel cannot report readiness for it | `Unsupported` | `NotPollable` |
//! | a waiter is asked for while somebody has the right of that direction | `ResourceBusy` | `Busy` |
//! | the poller belongs to the process that this one was forked from | `PermissionDenied` | `Forked` |
//! | anything a system call returned | the kind of its errno | none |
//!
//! # Misuse
//!
//! A caller's mistake on a live system is an error; a broken invariant is a panic that names the
//! rule of SPEC.md.
//!
//! | what is done | what happens |
//! |---|---|
//! | a second read, write or accept while one is under way | it queues, and has its turn |
//! | a second task polls (`poll_read`, `poll_write`) in one direction | it takes the place of the first, which is woken |
//! | a second waiter while one is alive | error, `Busy` |
//! | any use of a closed descriptor, also by a future that waited before the close | error, `Closed` |
//! | closing twice | the second close: error, `Closed`; it does not wait |
//! | closing while holding an `FdGuard` of the same descriptor, on the same thread | blocks for ever |
//! | forgetting an `FdGuard` | a close blocks for ever; dropping the source closes the number |
//! | forgetting a future that reads | its direction stays taken; a close ends and frees it |
//! | taking back the number of a closed descriptor | error, `Closed` |
//! | registering what has no readiness | error, `Unsupported`; `adopt` takes it in blocking mode |
//! | waiting for readiness of a descriptor in blocking mode | error, `NotPollable` |
//! | more users than can be counted (2^26, all of them leaked guards) | error, `ResourceBusy` |
//! | registering in a forked child, or starting a driver there | error, `Forked` |
//! | polling, waking or waiting in a forked child | takes events of the parent; not checked |
//! | a number that foreign code has closed or replaced | the errors of the kernel; never a panic |
//! | an empty buffer | `Ok(0)` at once, and `Closed` on a closed descriptor |
//!
//! # System calls
//!
//! | errno | what is made of it |
//! |---|---|
//! | `EAGAIN` | waited for |
//! | `EINTR` | repeated; not close(2), and connect(2) goes on by itself |
//! | `ECONNABORTED` from accept(2) | passed over: the next connection |
//! | `EINPROGRESS`, `EALREADY` from connect(2) | waited for; `EISCONN` is success |
//! | `EMFILE`, `ENFILE` from accept(2) | the caller's, and the connection stays for a later accept; `incoming` tries again after a pause |
//! | other errors of accept(2) about one connection | the caller's; `incoming` passes over them |
//! | `ETIMEDOUT` | the caller's, kind `TimedOut`, without a [`Reason`] |
//! | `EPERM` from epoll_ctl(2) | no readiness: see above |
//! | all others | the caller's |

use std::io;

/// Why the poller refused or ended an operation; see [`Reason::of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The descriptor was closed.
    Closed,
    /// The deadline of the direction has expired.
    DeadlineExceeded,
    /// The kernel cannot report readiness for the descriptor.
    NotPollable,
    /// The right to wait in that direction is in somebody else's hands.
    Busy,
    /// The poller was made in the process that this one was forked from, and shares its event queue.
    Forked,
}

impl Reason {
    /// The reason inside an error, or `None` when the error came from a system call.
    ///
    /// Allocates nothing.
    ///
    /// ```
    /// use netpoller::Reason;
    /// let error = std::io::Error::from(Reason::Closed);
    /// assert_eq!(Reason::of(&error), Some(Reason::Closed));
    /// assert_eq!(Reason::of(&std::io::Error::from_raw_os_error(32)), None);
    /// ```
    #[must_use]
    pub fn of(error: &io::Error) -> Option<Reason> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Reason::Closed => "use of a closed descriptor",
            Reason::DeadlineExceeded => "the deadline has passed",
            Reason::NotPollable => "the descriptor cannot be polled for readiness",
            Reason::Busy => "another task has the right to wait in this direction",
            Reason::Forked => "the poller is that of the process that this one was forked from",
        })
    }
}

impl std::error::Error for Reason {}

impl From<Reason> for io::Error {
    fn from(reason: Reason) -> io::Error {
        let kind = match reason {
            Reason::Closed => io::ErrorKind::NotConnected,
            Reason::DeadlineExceeded => io::ErrorKind::TimedOut,
            Reason::NotPollable => io::ErrorKind::Unsupported,
            Reason::Busy => io::ErrorKind::ResourceBusy,
            Reason::Forked => io::ErrorKind::PermissionDenied,
        };
        io::Error::new(kind, reason)
    }
}

/// Why a wait ended without readiness.
#[derive(Debug)]
pub enum WaitError {
    /// The state machine says so.
    Protocol(netpoller_spec::Reason),
    /// Somebody else is parked in that direction (NP-WAIT-1).
    Occupied,
    /// A level-triggered backend could not be armed.
    Kernel(io::Error),
}

impl From<netpoller_spec::Reason> for WaitError {
    fn from(reason: netpoller_spec::Reason) -> WaitError {
        WaitError::Protocol(reason)
    }
}

impl From<netpoller_spec::Reason> for Reason {
    fn from(reason: netpoller_spec::Reason) -> Reason {
        match reason {
            netpoller_spec::Reason::Closed => Reason::Closed,
            netpoller_spec::Reason::DeadlineExceeded => Reason::DeadlineExceeded,
            netpoller_spec::Reason::NotPollable => Reason::NotPollable,
        }
    }
}

impl From<WaitError> for io::Error {
    fn from(error: WaitError) -> io::Error {
        match error {
            WaitError::Protocol(reason) => Reason::from(reason).into(),
            WaitError::Occupied => Reason::Busy.into(),
            WaitError::Kernel(error) => error,
        }
    }
}
