//! Recorded programs: what Linux answered, held against the simulated kernel and against the
//! kernel of this machine.
//!
//! `models/vectors/*.json` are programs of system calls with the answers that a real kernel
//! gave: hand-picked ones, and random ones. Each is single-threaded and no wait blocks, so it has
//! one right answer; what several threads see is not recorded here. [`parse`] reads a file,
//! [`replay`] runs its programs on a [`Host`], and the [`Report`] says which were equal, which
//! differed and where, and which could not be run because of operations that nobody here knows.
//! [`record`] makes a new program of what a host answers.
//!
//! # Out of scope
//!
//! Sockets that connect, timers, and whatever needs the kernel to settle: programs with such
//! operations are named in the report, with the operations that are missing.

mod format;
mod host;
#[cfg(all(feature = "real-kernel", target_os = "linux"))]
mod real;
mod replay;

pub use format::{Op, Program, Recording, Step, parse};
pub use host::Host;
#[cfg(all(feature = "real-kernel", target_os = "linux"))]
pub use real::RealKernel;
pub use replay::{Answer, Difference, Report, Skipped, record, replay};
pub(crate) use replay::{Run, equal};

/// The recordings that come with this crate: name and contents.
pub const RECORDINGS: [(&str, &str); 2] = [
    ("epoll-curated.json", include_str!("../../vectors/epoll-curated.json")),
    ("epoll-random.json", include_str!("../../vectors/epoll-random.json")),
];
