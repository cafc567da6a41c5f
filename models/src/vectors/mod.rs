//! Recorded programs: what Linux answered, held against the simulated kernel and against the
//! kernel of this machine.
//!
//! `models/vectors/*.json` are programs of system calls with the answers that a real kernel
//! gave: hand-picked ones, and random ones. Each is single-threaded and no wait blocks, so it has
//! one right answer; what several threads see is not recorded here. A third file has what random
//! programs found that was simulated wrongly. [`parse`] reads a file,
//! [`replay`] runs its programs on a [`Host`], and the [`Report`] says which were equal, which
//! differed and where, and which could not be run because of operations that nobody here knows.
//! [`record`] makes a new program of what a host answers. [`compare`] does both with
//! [`random`] programs, and shrinks what differs to a vector that can be added to the recordings.
//!
//! Programs that need the kernel to come to rest say so. The simulated one is at rest after every
//! call; a real one is given time before each wait, and more of it if that was not enough.
//!
//! # Out of scope
//!
//! UDP, urgent data and the kinds of descriptors that are not simulated: programs with such
//! operations are named in the report, with the operations that are missing.

mod differential;
mod format;
mod host;
mod op;
pub mod random;
#[cfg(all(feature = "real-kernel", target_os = "linux"))]
mod real;
mod replay;

pub use differential::{Counterexample, compare, shrink};
pub use format::{Program, Recording, Step, parse};
pub use host::Host;
pub use op::{Op, SocketKind};
#[cfg(all(feature = "real-kernel", target_os = "linux"))]
pub use real::RealKernel;
pub use replay::{Answer, Difference, Report, Skipped, record, replay, replay_one};
pub(crate) use replay::{Run, equal};

/// The recordings that come with this crate: name and contents.
pub const RECORDINGS: [(&str, &str); 3] = [
    ("epoll-curated.json", include_str!("../../vectors/epoll-curated.json")),
    ("epoll-random.json", include_str!("../../vectors/epoll-random.json")),
    ("epoll-found.json", include_str!("../../vectors/epoll-found.json")),
];
