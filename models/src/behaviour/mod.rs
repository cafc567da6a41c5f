//! Behaviours of a descriptor: what whoever uses one sees, each as one function that runs on the
//! real kernel and on the simulated one.
//!
//! A behaviour is a function over a [`Poller`] of any [`Host`]. It is a program of one thread: it
//! polls without blocking, and runs its tasks by hand with wakers that count. So the order of its
//! steps is its own, every kernel has to show the same, and a kernel that is simulated wrongly
//! fails here as well as a poller that is.
//!
//! The list is in [`behaviours!`](crate::behaviours): what must hold, which rules of SPEC.md it
//! rests on, and which test of Go it follows. It is the source of the [`catalogue`] and of one
//! test per behaviour and kernel: `models/tests/behaviour.rs`, on the simulated kernel with the
//! sizes of Linux and with the smallest ones, and `tests/real/behaviour.rs`, on Linux with epoll; those that
//! do not say `on epoll` run there with poll(2) as well.
//!
//! | module | behaviours of |
//! |---|---|
//! | `edges` | data and room, before and after registration, reset and wait |
//! | `wait` | the right to wait, futures that are dropped |
//! | `close` | the own end |
//! | `fd_lock` | turns of one direction |
//! | `kinds` | several buffers, a look ahead, descriptors made elsewhere |
//! | `net` | connections: connect, accept, both ends |
//! | `datagrams` | messages between Unix sockets |
//! | `readiness` | waits without a read, calls of the program's own |
//! | `halves` | the two directions of a stream as two values |
//! | `peer` | the end of the other side, shut directions, errors |
//! | `entry` | registration, duplicates, entries that are used again, late reports |
//! | `breaks` | the break, and polls that have nothing to do |
//! | `deadlines` | set, moved, cleared and passed |
//! | `waking` | the list of wakers |
//!
//! Which tests of Go are followed by which behaviour, and what follows the others, is in `GO-TESTS.md`.
//!
//! Out of scope: what threads do to each other (scenarios, on all interleavings), and errors that
//! only Linux has (`tests/real`).

mod breaks;
mod close;
mod datagrams;
mod deadlines;
mod edges;
mod entry;
mod fd_lock;
mod halves;
mod hand;
mod host;
mod kinds;
mod list;
mod net;
mod peer;
mod readiness;
mod wait;
mod waking;

pub use host::Host;

use crate::oracle;
use netpoller::poller::{Poller, Shape};

/// One behaviour, on a kind of system.
#[derive(Clone, Copy, Debug)]
pub struct Behaviour<S: Host> {
    /// Its name, which is that of its tests.
    pub name: &'static str,
    /// What must hold.
    pub about: &'static str,
    /// The rules of SPEC.md that it rests on; none where the kernel alone decides.
    pub rules: &'static [&'static str],
    /// The tests of Go that it follows.
    pub go: &'static [&'static str],
    /// Whether only an edge-triggered kernel shows it.
    pub on_epoll: bool,
    run: fn(&Poller<S>),
}

impl<S: Host> Behaviour<S> {
    /// Runs it with a poller of its own, and sees that nothing is left over afterwards.
    ///
    /// # Panics
    ///
    /// When something does not hold.
    pub fn check(&self, system: S) {
        let poller = Poller::on(system, Shape::default()).expect("a poller");
        (self.run)(&poller);
        oracle::quiescent(&poller, false);
    }
}

macro_rules! catalogue {
    ($($area:ident: {$(
        $name:ident: $about:literal [$($rule:literal),*] [$($go:literal),*] $(on $epoll:ident)?;
    )*})*) => {
        /// All behaviours.
        #[must_use]
        pub fn catalogue<S: Host>() -> Vec<Behaviour<S>> {
            vec![$($(Behaviour {
                name: stringify!($name),
                about: $about,
                rules: &[$($rule),*],
                go: &[$($go),*],
                on_epoll: !concat!($(stringify!($epoll))?).is_empty(),
                run: $area::$name,
            },)*)*]
        }
    };
}

crate::behaviours!(catalogue);

/// The behaviour of this name.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn named<S: Host>(name: &str) -> Behaviour<S> {
    let mut all = catalogue().into_iter();
    let found = all.find(|behaviour| behaviour.name == name);
    found.unwrap_or_else(|| panic!("no behaviour is called {name}"))
}
