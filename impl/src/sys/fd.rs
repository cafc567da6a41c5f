//! A descriptor that is owned, and what can be done with any kind of it.
//!
//! A [`Descriptor`] is a number together with one fact that never changes about it: whether a
//! socket is behind it. That fact is what lets [`write`](fn@write) stay one system call and still never
//! raise SIGPIPE on a socket: sockets are written with `send(MSG_NOSIGNAL)`, everything else with
//! `write`, which has no such flag. On a pipe without readers `write` raises SIGPIPE. Rust's
//! start-up code ignores that signal in every program with a Rust `main`; a program with another
//! `main` that uses pipes has to ignore it itself, or a broken pipe ends the process.
//!
//! Who closes: [`close`], which reports the error, or dropping the value, which cannot. Either
//! way `close(2)` is called once. On Linux the number is free again when the call returns,
//! EINTR and EIO included, and another thread may own it already: calling again would close a
//! stranger's file.

use super::{Returned, socket};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// A descriptor of Linux that is owned by this value.
pub struct Descriptor {
    fd: OwnedFd,
    socket: bool,
}

impl Descriptor {
    pub(super) fn socket(fd: OwnedFd) -> Descriptor {
        Descriptor { fd, socket: true }
    }

    fn other(fd: OwnedFd) -> Descriptor {
        Descriptor { fd, socket: false }
    }

    pub(super) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl core::fmt::Debug for Descriptor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {}", if self.socket { "socket" } else { "descriptor" }, self.raw())
    }
}

impl From<OwnedFd> for Descriptor {
    /// Adopts a descriptor that was made elsewhere. Asks the kernel once whether it is a socket.
    fn from(fd: OwnedFd) -> Descriptor {
        let socket = socket::is_socket(&fd);
        Descriptor { fd, socket }
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> OwnedFd {
        descriptor.fd
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Takes possession of a number that a system call has just returned.
///
/// # Safety
///
/// `number` must be open and owned by nobody else.
pub(super) unsafe fn own(number: RawFd) -> OwnedFd {
    // SAFETY: the caller vouches that the number is open and has no other owner.
    unsafe { OwnedFd::from_raw_fd(number) }
}

pub(super) fn pipe() -> io::Result<(Descriptor, Descriptor)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two numbers that pipe2 writes.
    unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) }.or_errno()?;
    // SAFETY: pipe2 succeeded, so this is a new number and nobody else has it.
    let reader = unsafe { own(ends[0]) };
    // SAFETY: as for the end to read from.
    let writer = unsafe { own(ends[1]) };
    Ok((Descriptor::other(reader), Descriptor::other(writer)))
}

pub(super) fn dup(descriptor: &Descriptor) -> io::Result<Descriptor> {
    // 3: a duplicate never takes the number of a standard stream that the program has closed.
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and touches no memory of ours.
    let number = unsafe { libc::fcntl(descriptor.raw(), libc::F_DUPFD_CLOEXEC, 3) }.or_errno()?;
    // SAFETY: fcntl succeeded, so this is a new number and nobody else has it.
    let fd = unsafe { own(number) };
    Ok(Descriptor { fd, socket: descriptor.socket })
}

pub(super) fn read(descriptor: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    read_raw(descriptor.raw(), buffer)
}

pub(super) fn write(descriptor: &Descriptor, bytes: &[u8]) -> io::Result<usize> {
    if descriptor.socket {
        socket::send(descriptor, bytes)
    } else {
        write_raw(descriptor.raw(), bytes)
    }
}

pub(super) fn close(descriptor: Descriptor) -> io::Result<()> {
    let number = descriptor.fd.into_raw_fd();
    // SAFETY: the number comes out of the value that owned it, so nobody closes it again.
    unsafe { libc::close(number) }.or_errno().map(drop)
}

pub(super) fn read_raw(number: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one exclusive borrow.
    let count = unsafe { libc::read(number, buffer.as_mut_ptr().cast(), buffer.len()) };
    count.or_errno().map(isize::cast_unsigned)
}

pub(super) fn write_raw(number: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one borrow, which write only reads.
    let count = unsafe { libc::write(number, bytes.as_ptr().cast(), bytes.len()) };
    count.or_errno().map(isize::cast_unsigned)
}
