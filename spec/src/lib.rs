//! What must hold in a network poller, as pure functions.
//!
//! `SPEC.md` beside this crate states the rules in prose and numbers them (`NP-SLOT-3`); the
//! functions here are the same rules in a form that an implementation calls. Nothing in this
//! crate touches shared memory, a clock or a kernel: a function takes the value that the caller
//! loaded and says what the caller may write. Making that write atomic is the caller's work.
//!
//! | module | what it decides |
//! |---|---|
//! | [`token`] | what names a descriptor in the kernel: index and generation |
//! | [`slot`] | the readiness slot, one per direction: who is waiting, what is pending |
//! | [`info`] | the info word: closing, expired deadlines, event error, for lock-free reading |
//! | [`events`] | which directions an event of the kernel concerns |
//! | [`time`] | deadlines: when one expires, when the queue of timers is touched |
//! | [`fd`] | the lock of a descriptor: users, the right of a direction, closing |
//! | [`wake`] | the break: when a token is written, who drains it |
//! | [`election`] | going idle: which worker sleeps in the kernel, who is called for work |
//! | [`machine`] | the same rules once more as a table and as a sequential oracle |
//! | [`rules`] | `SPEC.md` itself, to read and as text |

//!
//! The functions are `#[inline]`: an operation asks a dozen of them, and the answers are known at most places
//! where they are asked once they are part of the caller.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod election;
pub mod events;
pub mod fd;
pub mod info;
pub mod machine;
pub mod rules {
    #![doc = include_str!("../SPEC.md")]

    /// This page as text, for programs that quote a rule.
    ///
    /// ```
    /// assert!(netpoller_spec::rules::TEXT.contains("#### NP-WAIT-3\n"));
    /// ```
    pub const TEXT: &str = include_str!("../SPEC.md");
}
pub mod slot;
pub mod time;
pub mod token;
pub mod wake;

/// One direction of a descriptor. Each direction has its own readiness slot and its own waiter.
///
/// Go writes `'r'` and `'w'`, and names the slots `rg` and `wg`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mode {
    /// Reading, and accepting.
    Read,
    /// Writing, and completing a connect.
    Write,
}

impl Mode {
    /// Both directions, reader first.
    pub const BOTH: [Mode; 2] = [Mode::Read, Mode::Write];
}

/// Why a wait cannot succeed. The order of the variants is their precedence (NP-INFO-3,
/// NP-INFO-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The descriptor is closing, or the caller's generation of it is over.
    Closed,
    /// The deadline of this direction has expired.
    DeadlineExceeded,
    /// The kernel reported nothing but an error condition: this descriptor cannot be polled.
    NotPollable,
}
