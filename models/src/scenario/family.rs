//! The race families: what can happen at the same time in a poller.
//!
//! A family is a race, not a file: its scenarios may lie in several. Each has
//!
//! - its *smallest* scenario, of two threads: the two sides of the race and nobody else. A third
//!   thread that polls brings readiness sooner or later, and with it hides a wakeup that was lost;
//! - variants of three and of four threads, in which what two of them agreed upon is disturbed;
//! - variants without a kernel, where nothing but the code under test orders anything, and with
//!   the simulated one, where the real system calls and their edges are in between.
//!
//! Where a variant makes no sense the table [`WITHOUT`] says why, and a test
//! (`models/tests/families.rs`) compares: a variant that is missing without a reason fails it, and so
//! does a reason that is not needed any more.
//!
//! Families that one change tends to break together are in one *group*: a mutant may claim to be
//! caught by one group of them alone, or by one family (`only_family`, [`mutants`](crate::mutants)).
//!
//! Of the race for the first use, `Poller::global` is left out: it is one call of the standard
//! library's `OnceLock`, of which no engine sees the inside. What is raced for behind it is in
//! [`FirstUse`](Family::FirstUse): the first segment of the slab.

use core::fmt;

macro_rules! families {
    ($($group:literal: { $($(#[doc = $doc:literal])+ $name:ident = $title:literal,)+ })+) => {
        /// What races with what.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Family {
            $($($(#[doc = $doc])+ $name,)+)+
        }

        /// The groups of families, each with those that belong to it.
        pub const GROUPS: &[(&str, &[Family])] = &[$(($group, &[$(Family::$name),+])),+];

        impl Family {
            /// All of them, in the order in which they are listed.
            pub const ALL: &[Family] = &[$($(Family::$name),+),+];

            /// Its name in lists and in `scenarios.toml`.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self {
                    $($(Family::$name => $title,)+)+
                }
            }

            /// The group that it belongs to.
            #[must_use]
            pub fn group(self) -> &'static str {
                match self {
                    $($(Family::$name)|+ => $group,)+
                }
            }
        }
    };
}

families! {
    "park": {
        /// A task parks while the edge that ends its wait arrives.
        ParkUnpark = "park/unpark",
        /// A task parks while its descriptor is closed.
        ParkClose = "park/close",
        /// An event that is nothing but an error, for this incarnation or the last.
        EventError = "event error/reopen",
        /// One descriptor is waited for in both directions.
        BothDirections = "reader and writer at once",
    }
    "retract": {
        /// A wait is given up while what it waits for arrives.
        Retract = "retract/ready",
        /// A wait goes on with another waker.
        Repoll = "re-poll with another waker",
    }
    "consume": {
        /// The next edge arrives while the readiness of the last one is consumed or reset.
        TwoEdges = "two edges/one consumer",
    }
    "reopen": {
        /// Events, waiters and closes of an incarnation that is over.
        StaleEvent = "stale event/close/open/wait",
        /// The first registrations of a poller.
        FirstUse = "first use",
        /// Descriptors come and go in one place.
        Churn = "open/close churn in one slot",
    }
    "deadline": {
        /// A task parks while its deadline is set into the past.
        DeadlineInPast = "park/deadline in the past",
        /// A deadline is moved, forward or back, while its timer fires.
        DeadlineMoved = "timer fires/deadline moved",
        /// A timer fires while the descriptor is closed and its place is used again.
        DeadlineReopen = "timer fires/close/reopen",
        /// One timer serves both directions, and their deadlines part.
        DeadlineParted = "read and write deadline part",
        /// Readiness, a deadline and a close for one waiter.
        AtOnce = "ready/timeout/close at once",
        /// A deadline is set while a poller goes to sleep.
        GoingIdle = "timer added/going idle",
    }
    "breaks": {
        /// Breaks against the poller that takes one.
        Break = "break/break/drain",
        /// A break against a poll that may not block.
        BreakPassing = "break/non-blocking poll",
    }
    "idle": {
        /// Work is made runnable while a worker goes to sleep.
        WorkAndIdle = "task readied/worker going idle",
        /// One of several idle workers polls, and leaves the kernel to another one.
        OnePolls = "two idle workers elect a poller/break",
        /// The workers are shut down while some of them go to sleep.
        ShutDown = "shutdown/worker going idle",
    }
    "fd_lock": {
        /// Users of a number, turns of a direction, and the close that destroys once.
        FdLock = "fd lock: close/queued/destroy",
    }
    "connect": {
        /// A connection comes while its deadline does, or its future goes.
        Connect = "connect/deadline",
    }
    "harvest": {
        /// A signal ends a wait in the kernel.
        Signal = "EINTR in a timed wait",
        /// A harvest has no room for all that is ready.
        SmallBatch = "small batch/more ready",
    }
    "ends": {
        /// Data and the end of the stream, in one report or in two.
        DataAndEnd = "data and FIN, one report or two",
    }
    "reads": {
        /// News arrive around a short read, after which the next one waits first.
        ShortRead = "short read/next edge",
    }
    "turns": {
        /// Nobody drives: blocking waits poll, one at a time, and hand the turn on.
        Turn = "turn/hand on",
        /// Somebody begins to drive, or the last one ends to, while others wait.
        Attach = "attach/detach/park",
    }
}

impl Family {
    /// Whether it is called so, or its group is.
    #[must_use]
    pub fn is_of(self, name: &str) -> bool {
        name == self.title() || name == self.group()
    }
}

/// All names that [`Family::is_of`] knows: those of the groups, and those of the families.
pub fn names() -> impl Iterator<Item = &'static str> {
    let groups = GROUPS.iter().map(|(group, _)| *group);
    groups.chain(Family::ALL.iter().map(|family| family.title()))
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// A variant that a family is expected to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// A scenario of so many threads.
    Threads(usize),
    /// A scenario on the kernel that does nothing.
    Bare,
    /// A scenario on the simulated kernel.
    Simulated,
}

impl Variant {
    /// All that are expected of every family.
    pub const ALL: [Variant; 5] = [
        Variant::Threads(2),
        Variant::Threads(3),
        Variant::Threads(4),
        Variant::Bare,
        Variant::Simulated,
    ];
}

/// Variants that a family does not have, and why not.
pub const WITHOUT: &[(Family, Variant, &str)] = &[
    (Family::Connect, Variant::Bare, "a connection is made by a kernel"),
    (Family::GoingIdle, Variant::Bare, "whoever goes to sleep does so in a kernel"),
    (Family::Signal, Variant::Bare, "a signal ends a wait in a kernel"),
    (Family::ShortRead, Variant::Bare, "what a read has left behind is in a kernel"),
    (Family::Turn, Variant::Bare, "whoever has the turn sleeps in a kernel"),
    (Family::SmallBatch, Variant::Bare, "what is left behind is left in a kernel"),
];
