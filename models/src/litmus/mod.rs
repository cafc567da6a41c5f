//! Litmus programs: what two or three threads can see of the concurrency of a kernel.
//!
//! A recorded program ([`vectors`](crate::vectors)) has one thread, waits for nothing, and so has
//! one right answer. It says nothing of the order of state change and wake, of who is woken, of
//! what a harvest sees that runs at the same time. A *litmus program* has a few system calls on
//! two or three threads and a handful of outcomes. It is one function, generic over the [`Calls`]:
//!
//! - on Linux it runs many times, on real threads, and the outcomes are counted;
//! - on the simulated kernel [`Explore`](crate::engine::Explore) goes through every interleaving
//!   and so lists the outcomes that the model allows ([`allowed`]).
//!
//! **Each outcome that was seen has to be allowed.** What is allowed and was never seen is no
//! fault, but is in the table too: it is where the model is more careful than this kernel.
//!
//! A program ends by itself, whatever happens: a thread that waits without a limit is owed an
//! event. No thread is ordered by time. Where one has to be known to sleep before the next step,
//! that is looked up from outside ([`Calls::await_sleep`]).

#[cfg(feature = "shuttle")]
mod model;
mod programs;
mod recorded;
mod table;

#[cfg(feature = "shuttle")]
pub use model::{Allowed, allowed, allowed_by, allowed_within};
pub use programs::catalogue;
pub use recorded::{RECORDED, Recorded, Seen};
pub use table::Row;

use crate::kernel::{Control, Errno, Freedom, Report};
use netpoller::seam::{Atomic, Timeout};

/// The calls that litmus programs make. Each fails as the system call of its name does.
#[allow(clippy::missing_errors_doc)]
pub trait Calls: Clone + Send + Sync + 'static {
    /// A word that threads share.
    type Word: Atomic<u64> + 'static;

    /// How many descriptors with old news stand between two others where a program wants a
    /// harvest to take its time. Makes an outcome likelier, and no difference to what can be.
    const CROWD: usize;

    /// A new event queue. To be called while a round is set up, like the next two.
    fn queue(&self) -> i32;
    /// A new eventfd with this count.
    fn eventfd(&self, count: u32) -> i32;
    /// A new pipe: the number to read from, the number to write to.
    fn pipe(&self) -> (i32, i32);
    /// Changes the set of an event queue.
    fn control(&self, queue: i32, number: i32, control: Control) -> Result<(), Errno>;
    /// epoll_wait(2); a timeout other than none and for ever is not used.
    fn wait(&self, queue: i32, most: usize, timeout: Timeout) -> Result<Vec<Report>, Errno>;
    /// Reads up to eight bytes.
    fn read(&self, number: i32) -> Result<usize, Errno>;
    /// write(2).
    fn write(&self, number: i32, bytes: &[u8]) -> Result<usize, Errno>;
    /// close(2).
    fn close(&self, number: i32) -> Result<(), Errno>;
    /// Sends a signal with a handler to a thread of the program, counted from 0. Where signals
    /// are a freedom of the kernel, that has come up or has not, and this does nothing.
    fn interrupt(&self, thread: usize);
    /// Comes back when that thread sleeps in [`wait`](Calls::wait) and nobody has woken it. If
    /// that never happens it does not come back.
    fn await_sleep(&self, thread: usize);
}

/// What a thread does, and what it saw; empty if that is no part of the outcome.
pub type Body = Box<dyn FnOnce() -> String + Send>;

/// One round of a program: fresh objects, and its threads.
#[derive(Default)]
pub struct Round(Vec<(&'static str, Body)>);

impl Round {
    /// A round without threads.
    #[must_use]
    pub fn new() -> Round {
        Round::default()
    }

    /// Adds a thread.
    #[must_use]
    pub fn thread(
        mut self,
        name: &'static str,
        body: impl FnOnce() -> String + Send + 'static,
    ) -> Round {
        self.0.push((name, Box::new(body)));
        self
    }

    /// The threads.
    #[must_use]
    pub fn into_threads(self) -> Vec<(&'static str, Body)> {
        self.0
    }
}

impl core::fmt::Debug for Round {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// The outcome of a round: what each thread saw that has something to tell.
#[must_use]
pub fn outcome(parts: &[(&'static str, String)]) -> String {
    let told = parts.iter().filter(|(_, part)| !part.is_empty());
    told.map(|(name, part)| format!("{name}: {part}")).collect::<Vec<_>>().join("; ")
}

/// A litmus program.
#[derive(Clone, Copy, Debug)]
pub struct Program<C: Calls> {
    /// Its name.
    pub name: &'static str,
    /// What it asks.
    pub about: &'static str,
    /// How many threads it has.
    pub threads: usize,
    /// What the simulated kernel has to be granted to allow what Linux shows: mostly nothing,
    /// since the interleavings contain it.
    pub freedom: Freedom,
    /// Sets up a round.
    pub round: fn(&C) -> Round,
}
