//! Errors of the poller, as they reach users: [`std::io::Error`] with a kind to match on.
//!
//! | what happened | kind | [`Reason`] |
//! |---|---|---|
//! | the descriptor was closed, here or by another task | `NotConnected` | `Closed` |
//! | the deadline of the direction has expired | `TimedOut` | `DeadlineExceeded` |
//! | the kernel gave up on a connection (ETIMEDOUT) | `TimedOut` | none |
//! | the kernel cannot report readiness for it | `Unsupported` | `NotPollable` |
//! | somebody else waits in that direction | `ResourceBusy` | `Busy` |
//! | anything a system call returned | the kind of its errno | none |
//!
//! A caller's mistake is an error; a broken invariant is a panic that names the rule of SPEC.md.

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
