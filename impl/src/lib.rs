//! A network poller with the semantics of Go's runtime netpoller, model-checked from the very
//! lines that ship.
//!
//! A [`Poller`] owns an event queue of the kernel. A descriptor that is
//! [registered](Poller::register) becomes a [`Source`]: read and write it in the async style
//! (`async_read`, `async_write`), by poll functions (`poll_read`, `poll_write`) or in the blocking style
//! (`std::io::{Read, Write}` on `&Source`), or wait for readiness yourself with a [`Waiter`]. Threads
//! that block take turns in polling the poller. For futures somebody drives it: a thread of yours that is
//! [attached](Poller::attach) and calls [`Poller::poll`], or a [`Driver`]; the
//! [global](Poller::global) poller sees to that by itself.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let poller = netpoller::Poller::new()?;
//! let (a, b) = poller.stream_pair()?;
//!
//! let echo = std::thread::spawn(move || -> std::io::Result<()> {
//!     let mut byte = [0];
//!     (&b).read_exact(&mut byte)?; // blocks this thread until the byte is there
//!     (&b).write_all(&byte)
//! });
//! (&a).write_all(b"x")?;
//! let mut byte = [0];
//! (&a).read_exact(&mut byte)?;
//! assert_eq!(&byte, b"x");
//! echo.join().expect("the echo thread panicked")?;
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `runtime` there is a small runtime, whose idle workers sleep in the poller:
//! the module `runtime`.
//!
//! # What holds
//!
//! * **No lost wakeup.** A task that waits is woken by readiness, by a close of its descriptor,
//!   whatever the order of park, edge and close.
//! * **No stale event.** An event that was harvested for a descriptor that has been closed since
//!   never touches the descriptor that uses its place now.
//! * **No lost break.** [`Poller::wake`] gets at least one blocked thread out of `poll`, however
//!   many breaks and polls race.
//! * **No early and no lost deadline.** A wait ends when the deadline of its direction has come, not
//!   before, however deadlines move meanwhile; moving one forward costs no system call.
//! * Nothing is allocated in a wait, a wake, a poll or a break once a thread has warmed up.
//!
//! # What does not
//!
//! * Readiness is a hint: a wait may end although the system call then says EAGAIN.
//! * Which of several polling threads returns because of a break is not defined.
//! * Fairness between descriptors is the kernel's order of reports, nothing more.
//! * In a forked child the poller must not be used: it shares the event queue with its parent.
//!   Registering there is an error ([`Reason::Forked`]), the rest is not checked.
//!
//! # When something hangs
//!
//! [`Poller::parked`] lists who waits, for what and for how long still; `{:#?}` of a [`Source`] says who
//! waits in it and why; [`Poller::stats`] says what the poller has done so far. [`Poller::waiters`] is for
//! schedulers.
//!
//! # Features
//!
//! * `tracing`, off by default: events for a subscriber of the crate of that name, target `netpoller`.
//!   Registered, closed (DEBUG); parked, woken, deadline expired, break written, break suppressed, poll
//!   returned (TRACE). Each is told outside of all locks of the poller.
//! * `futures-io`, off by default: `AsyncRead` and `AsyncWrite` of the crate of that name for [`TcpStream`],
//!   [`UnixStream`] and [`Source`] (pipes), and for references to them.
//! * `runtime`, off by default: tasks on workers that sleep in the poller, and three small dependencies.
//!
//! # To read first
//!
//! [`guide::io_models`] derives what a netpoller is from the five models of I/O, with a program that
//! shows each of them. [`guide::migrating`] says what the calls of mio, polling, tokio and Go become here,
//! [`guide::compared`] where those are the better choice, [`guide::non_goals`] what is left out, and
//! [`guide::glossary`] has the words.
//!
//! # Platform
//!
//! Linux 2.6.27 or later (epoll, eventfd), 64-bit atomics. Other Unix systems whose poll(2) has the bits of
//! Linux (FreeBSD, macOS and their kin) take [`portable`], which Linux has as well.

#![deny(unsafe_code)]

#[cfg(not(unix))]
compile_error!("netpoller needs a Unix: epoll or poll(2)");
#[cfg(not(target_has_atomic = "64"))]
compile_error!("netpoller needs 64-bit atomics");

mod adopt;
#[doc(hidden)]
pub mod deadline;
#[doc(hidden)]
pub mod desc;
mod driver;
#[doc(hidden)]
pub mod error;
mod fd_lock;
#[cfg(feature = "futures-io")]
mod futures_io;
pub mod guide;
mod hooks;
#[doc(hidden)]
pub mod idle;
mod in_flight;
mod io;
#[doc(hidden)]
pub mod level;
pub mod net;
#[doc(hidden)]
pub mod observe;
mod operation;
mod patience;
mod poll_style;
pub mod poller;
pub mod portable;
mod readiness;
pub mod ready;
pub mod register;
#[cfg(feature = "runtime")]
pub mod runtime;
#[doc(hidden)]
pub mod seam;
mod short_read;
mod show;
mod slab;
mod slot;
pub mod source;
mod stats;
mod sys;
pub mod timer;
mod timers;
pub mod turns;

pub use driver::{Driver, Real};
pub use error::Reason;
pub use net::{
    Incoming, ListenOptions, OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, Target,
    WriteHalf,
};
pub use netpoller_spec::Mode;
pub use seam::{Address, HowToShut, Instant, Os, Portable};
pub use show::{Parked, ParkedWait};
pub use stats::Stats;

/// A poller on the real kernel. See [`poller::Poller`] for its methods.
pub type Poller = poller::Poller<Os>;
/// Somebody drives a poller while this lives. See [`Poller::attach`](poller::Poller::attach).
pub type Attached = turns::Attached<Os>;
/// The buffer of a poll on the real kernel. See [`ready::Ready`] for its methods.
pub type Ready = ready::Ready<Os>;
/// A registered descriptor of the real kernel. See [`source::Source`] for its methods.
pub type Source = source::Source<Os>;
/// The right to wait in one direction of a [`Source`]. See [`source::Waiter`] for its methods.
pub type Waiter<'a> = source::Waiter<'a, Os>;
/// An instant that can be waited for, without a descriptor. See [`timer::Timer`] for its methods.
pub type Timer = timer::Timer<Os>;
/// A TCP connection. See [`net::TcpStream`] for its methods, and [`source::Source`] for those that
/// it has as a source.
pub type TcpStream = net::TcpStream<Os>;
/// A TCP socket that listens. See [`net::TcpListener`] for its methods.
pub type TcpListener = net::TcpListener<Os>;
/// A connection between two Unix sockets. See [`net::UnixStream`] for its methods.
pub type UnixStream = net::UnixStream<Os>;
/// A Unix socket that listens. See [`net::UnixListener`] for its methods.
pub type UnixListener = net::UnixListener<Os>;
/// A socket of UDP. See [`net::UdpSocket`] for its methods.
pub type UdpSocket = net::UdpSocket<Os>;
/// A Unix datagram socket. See [`net::UnixDatagram`] for its methods.
pub type UnixDatagram = net::UnixDatagram<Os>;
/// The number of a [`Source`], lent. See [`source::FdGuard`] for its methods.
pub type FdGuard<'a> = source::FdGuard<'a, Os>;
/// Why a descriptor could not be registered. See [`register::RegisterError`] for its methods.
pub type RegisterError = register::RegisterError<Os>;

// A slab entry with its pollDesc: two cache lines.
const _: () = assert!(core::mem::size_of::<desc::Desc<Os>>() <= 128);
// With it and the queues that nobody has needed yet, an idle descriptor has 192 bytes at most.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const _: () = assert!(core::mem::size_of::<Source>() <= 64);
