//! The simulated kernel: objects, descriptors and event queues with the semantics of Linux, as
//! an ordinary program over the primitives of an engine.
//!
//! A model checker cannot look into a real kernel. This one runs inside of the model: each of
//! its locks is a lock of the engine, so the engine decides how system calls of different
//! threads interleave *inside*. It follows a transition system that was written down from
//! recordings of Linux, and is held against those recordings and against the kernel of the host
//! by [`vectors`](crate::vectors).
//!
//! | module | what it is |
//! |---|---|
//! | `table` | numbers and what they name |
//! | `description` | open file descriptions; state change first, wake second |
//! | `event`, `pipe`, `unix`, `datagram`, `tcp` | the objects |
//! | `names`, `backlog`, `connect` | addresses, connections that wait, and how sockets come together |
//! | `time` | what happens when the virtual time has come: timers, SYNs that are sent again |
//! | `faults` | what goes wrong, by a plan |
//! | `epoll` | the event queue: mask computed at the harvest, edges are wakes, last waiter first |
//! | `harvest` | what a wait takes from it |
//! | `sleep` | the threads that sleep in a wait |
//! | `freedom` | what a kernel may do beyond what Linux was seen to do |
//! | `raw` | system calls by number, for recorded programs |
//! | `seam` | the same for the poller under test |
//! | `level` | the same, asked in the manner of poll(2) |
//! | `stub` | a kernel that has nothing but a break, and orders nothing |
//!
//! # Locks
//!
//! One per object (a connection is one object, whatever its two ends), one or two per event queue,
//! one each for the table of numbers, the table of names, the alarms, and the counts of a plan of
//! faults. Order: event queue (outer before inner), then object; names, then a socket that takes
//! one; a listener, then its client. The table's is never held with another, nor are those of the
//! alarms and the counts. Reading and writing through the seam takes the lock of the object alone,
//! and one of each event queue that is woken; datagrams between sockets that are no pair take
//! those of both, one after the other.
//!
//! # Time
//!
//! is virtual and stands still, but for two things: [`SimKernel::advance_to`], and a wait with a
//! timeout that finds nothing, which advances it alarm by alarm as long as there is still nothing,
//! then to its deadline, and returns. A wait without a timeout does not move it.
//!
//! # Deterministic
//!
//! One thread sees exactly what Linux shows it, on TCP what it shows when it has come to rest:
//! data, ends and resets arrive at once. With several threads the engine's choices are the only
//! ones: no extra edges and no signals but those of a plan of [`Faults`], batches as large as asked
//! for. A [`Freedom`] in the [`Config`] takes that back, bit by bit. What is
//! believed about the concurrency of Linux, and how that is checked, is in the README beside this
//! file.
//!
//! # Out of scope
//!
//! UDP, urgent data, connections that time out, timers that repeat, `EPOLLEXCLUSIVE`, descriptors
//! in flight, and the end of a description while another thread is inside a call on it.

mod backlog;
mod bell;
mod config;
mod connect;
mod datagram;
mod description;
mod digest;
mod epoll;
mod errno;
mod event;
mod faults;
mod freedom;
mod harvest;
mod level;
mod names;
mod pipe;
mod raw;
mod seam;
mod sleep;
mod stub;
mod table;
mod tcp;
mod time;
mod unix;

pub use config::{Accounting, Config};
pub use description::mask;
pub use epoll::{Key, Report};
pub use errno::Errno;
pub use faults::Faults;
pub use freedom::Freedom;
pub use level::{LevelKernel, LevelQueue, SimSignal};
pub use raw::{Control, Raw};
pub use seam::{SimBatch, SimFd, SimQueue};
pub use stub::{StubFd, StubKernel, StubQueue};

use core::sync::atomic::Ordering;
use faults::Counts;
use names::Names;
use netpoller::seam::os::{Epoll, PosixPoll};
use netpoller::seam::{Arc, Atomic, Instant, Kernel, Mutex, Os, Primitives, System};
use table::Table;
use time::Alarms;

/// A simulated kernel and the process that runs on it. A clone is another handle to the same.
pub struct SimKernel<P: Primitives> {
    core: Arc<Core<P>>,
}

/// A kernel that knows what time it is.
pub trait Timed: Kernel {
    /// The time. Never goes back.
    fn time(&self) -> Instant;
}

impl<P: Primitives> Timed for SimKernel<P> {
    fn time(&self) -> Instant {
        self.now()
    }
}

/// The real kernel's time is that of the machine.
impl Timed for Epoll {
    fn time(&self) -> Instant {
        Os.now()
    }
}

impl Timed for PosixPoll {
    fn time(&self) -> Instant {
        Os.now()
    }
}

/// What all handles share.
#[derive(Debug)]
struct Core<P: Primitives> {
    config: Config,
    table: P::Mutex<Table<P>>,
    names: P::Mutex<Names<P>>,
    alarms: P::Mutex<Alarms<P>>,
    /// Only where there is a plan of faults.
    counts: Option<P::Mutex<Counts>>,
    /// Nanoseconds.
    clock: P::AtomicU64,
}

impl<P: Primitives> Clone for SimKernel<P> {
    fn clone(&self) -> SimKernel<P> {
        SimKernel { core: self.core.clone() }
    }
}

impl<P: Primitives> core::fmt::Debug for SimKernel<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.core.fmt(f)
    }
}

impl<P: Primitives> SimKernel<P> {
    /// A kernel on which nothing is open. Its time is 0.
    #[must_use]
    pub fn new(config: Config) -> SimKernel<P> {
        let clock = P::AtomicU64::new(0);
        let (table, names) = (Table::<P>::create(&config), Names::<P>::create());
        let alarms = Alarms::<P>::create();
        let counts = Counts::create::<P>(&config.faults);
        SimKernel { core: Arc::new(Core { config, table, names, alarms, counts, clock }) }
    }

    /// What it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// The system calls by number.
    #[must_use]
    pub fn raw(&self) -> Raw<'_, P> {
        Raw(self)
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        // The clock orders nothing: what a program under test concludes from it, it has to
        // order by itself.
        Instant::from_nanos(self.core.clock.load(Ordering::Relaxed))
    }

    /// Lets the virtual time pass until `instant`. It never goes back.
    pub fn advance_to(&self, instant: Instant) {
        while self.advance_to_next_before(instant) {}
    }

    /// Lets the virtual time pass until the next alarm, which happens, or else until `instant`.
    /// Says whether there was one.
    fn advance_to_next_before(&self, instant: Instant) -> bool {
        let next = self.core.alarms.lock().next(instant.as_nanos());
        match next {
            Some((at, alarm)) => {
                self.set_clock(at);
                self.happen(alarm);
                true
            }
            None => {
                self.set_clock(instant.as_nanos());
                false
            }
        }
    }

    fn set_clock(&self, later: u64) {
        let clock = &self.core.clock;
        let mut now = clock.load(Ordering::Relaxed);
        while now < later {
            // Relaxed: as in `now`.
            match clock.compare_exchange(now, later, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => now = other,
            }
        }
    }

    /// The numbers that are open. Not a step of the program.
    #[must_use]
    pub fn peek_open_numbers(&self) -> Vec<i32> {
        self.core.table.peek(Table::<P>::numbers)
    }

    /// How many numbers were given out, and how many were closed. Not a step of the program.
    #[must_use]
    pub fn peek_opened_and_closed(&self) -> (u64, u64) {
        self.core.table.peek(Table::<P>::counts)
    }
}
