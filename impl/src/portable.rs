//! The same on poll(2): for Unix systems without epoll, and beside it on Linux.
//!
//! poll(2) keeps no set, so the set is kept here, and a wait is *armed*: it is reported once, and then
//! not any more until somebody waits again. What holds of a [`Poller`](crate::Poller) holds of this one.
//!
//! ```
//! use netpoller::portable;
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let poller = portable::Poller::new()?;
//! let driver = poller.drive()?;
//! let (a, b) = poller.stream_pair()?;
//! let echo = std::thread::spawn(move || -> std::io::Result<()> {
//!     let mut byte = [0];
//!     (&b).read_exact(&mut byte)?;
//!     (&b).write_all(&byte)
//! });
//! (&a).write_all(b"x")?;
//! let mut byte = [0];
//! (&a).read_exact(&mut byte)?;
//! assert_eq!(&byte, b"x");
//! echo.join().expect("the echo thread panicked")?;
//! # drop(driver);
//! # Ok(())
//! # }
//! ```
//!
//! # What is different
//!
//! * A poll costs time for each descriptor: the array of all waits is made anew, and the kernel goes through
//!   it. epoll pays for what is ready only.
//! * A wait that begins while a thread sleeps in [`Poller::poll`](crate::poller::Poller::poll) breaks it: that
//!   poll returns with [`broken`](crate::ready::Ready::broken), though nobody has called `wake`.
//! * Of several threads in a poll one sleeps on the descriptors; the others wait for their turn.
//! * The end of a source sleeps until no thread asks the kernel about it any more, which a break sees to.
//! * A number that foreign code closed is reported as ready, and the operation fails; and it counts as
//!   registered until its source ends. epoll forgets such a number.
//! * `/dev/null` and its kin, which have no readiness for epoll, are always ready here.

use crate::{driver, net, poller, ready, register, source};

pub use crate::seam::Portable;

/// A poller on poll(2). See [`poller::Poller`] for its methods.
pub type Poller = poller::Poller<Portable>;
/// The buffer of a poll on poll(2). See [`ready::Ready`] for its methods.
pub type Ready = ready::Ready<Portable>;
/// A registered descriptor. See [`source::Source`] for its methods.
pub type Source = source::Source<Portable>;
/// The right to wait in one direction of a [`Source`]. See [`source::Waiter`] for its methods.
pub type Waiter<'a> = source::Waiter<'a, Portable>;
/// An instant that can be waited for. See [`timer::Timer`](crate::timer::Timer) for its methods.
pub type Timer = crate::timer::Timer<Portable>;
/// A thread that polls. See [`driver::Driver`].
pub type Driver = driver::Driver<Portable>;
/// A TCP connection. See [`net::TcpStream`] for its methods.
pub type TcpStream = net::TcpStream<Portable>;
/// A TCP socket that listens. See [`net::TcpListener`] for its methods.
pub type TcpListener = net::TcpListener<Portable>;
/// A connection between two Unix sockets. See [`net::UnixStream`] for its methods.
pub type UnixStream = net::UnixStream<Portable>;
/// A Unix socket that listens. See [`net::UnixListener`] for its methods.
pub type UnixListener = net::UnixListener<Portable>;
/// A socket of UDP. See [`net::UdpSocket`] for its methods.
pub type UdpSocket = net::UdpSocket<Portable>;
/// A Unix datagram socket. See [`net::UnixDatagram`] for its methods.
pub type UnixDatagram = net::UnixDatagram<Portable>;
/// The number of a [`Source`], lent. See [`source::FdGuard`] for its methods.
pub type FdGuard<'a> = source::FdGuard<'a, Portable>;
/// Why a descriptor could not be registered. See [`register::RegisterError`] for its methods.
pub type RegisterError = register::RegisterError<Portable>;
