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
//! way `close(2)` is called once: [`close`] takes the number out of the value by a swap, so that
//! whoever comes later, the destructor included, finds none. On Linux the number is free again
//! when the call returns, EINTR and EIO included, and another thread may own it already: calling
//! again would close a stranger's file.
//!
//! [`close`] works through a shared reference, so a `Descriptor` does not lend its number as
//! `AsFd`: such a borrow could outlive the number. Whoever borrows it counts as a user of a
//! source instead, and gets a `FdGuard`, during whose life nobody closes.

use super::{Returned, datagram, make, socket};
use crate::seam::{Kernel, System};
use crate::source::FdGuard;
use core::sync::atomic::{AtomicI32, Ordering};
use netpoller_spec::Mode;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};

/// A descriptor that is owned by this value, until it is closed.
pub struct Descriptor {
    /// The number, or [`Descriptor::CLOSED`].
    number: AtomicI32,
    socket: bool,
}

impl Descriptor {
    /// What is there instead of a number once it was closed. No call accepts it.
    const CLOSED: RawFd = -1;

    pub(super) fn socket(fd: OwnedFd) -> Descriptor {
        Descriptor { number: AtomicI32::new(fd.into_raw_fd()), socket: true }
    }

    fn other(fd: OwnedFd) -> Descriptor {
        Descriptor { number: AtomicI32::new(fd.into_raw_fd()), socket: false }
    }

    pub(super) fn raw(&self) -> RawFd {
        // Relaxed: written once after it was made, by `take`; whoever closes knows that nobody
        // uses the descriptor any more, and has learned that from all who did.
        self.number.load(Ordering::Relaxed)
    }

    /// Takes the number out: whoever finds it here owns it.
    fn take(&self) -> Option<RawFd> {
        // Relaxed: only the number travels, and a swap gives it to one caller.
        let number = self.number.swap(Descriptor::CLOSED, Ordering::Relaxed);
        (number != Descriptor::CLOSED).then_some(number)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(number) = self.take() {
            // SAFETY: `take` found the number, so it is open and nobody else owns it.
            drop(unsafe { own(number) });
        }
    }
}

/// The number, which promises nothing: neither that it is open nor that it stays so. -1 once it
/// was closed.
impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.raw()
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
        if socket::is_socket(&fd) { Descriptor::socket(fd) } else { Descriptor::other(fd) }
    }
}

impl From<Descriptor> for OwnedFd {
    /// # Panics
    ///
    /// When the descriptor was closed.
    fn from(descriptor: Descriptor) -> OwnedFd {
        let number = descriptor.take().expect("taking the number of a closed descriptor");
        // SAFETY: `take` found the number, so it is open and nobody else owns it.
        unsafe { own(number) }
    }
}

impl<S: System<Kernel: Kernel<Fd = Descriptor>>> AsFd for FdGuard<'_, S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: a guard counts as a user of its source, and a number is closed after the last
        // user has left, so this one stays open for as long as the guard is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.handed_out().raw()) }
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
    let ends = make::pipe()?;
    // SAFETY: the call succeeded, so these are new numbers and nobody else has them.
    let [reader, writer] = ends.map(|end| unsafe { own(end) });
    Ok((Descriptor::other(reader), Descriptor::other(writer)))
}

pub(super) fn dup(descriptor: &Descriptor) -> io::Result<Descriptor> {
    // 3: a duplicate never takes the number of a standard stream that the program has closed.
    // SAFETY: F_DUPFD_CLOEXEC takes an integer and touches no memory of ours.
    let number = unsafe { libc::fcntl(descriptor.raw(), libc::F_DUPFD_CLOEXEC, 3) }.or_errno()?;
    // SAFETY: fcntl succeeded, so this is a new number and nobody else has it.
    let fd = unsafe { own(number) };
    Ok(if descriptor.socket { Descriptor::socket(fd) } else { Descriptor::other(fd) })
}

/// On a socket recv(2), which is the same and has a shorter way to it: some 40 ns.
pub(super) fn read(descriptor: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    if descriptor.socket {
        datagram::receive(descriptor, buffer)
    } else {
        read_raw(descriptor.raw(), buffer)
    }
}

pub(super) fn write(descriptor: &Descriptor, bytes: &[u8]) -> io::Result<usize> {
    if descriptor.socket {
        socket::send(descriptor, bytes)
    } else {
        write_raw(descriptor.raw(), bytes)
    }
}

pub(super) fn read_vectored(
    descriptor: &Descriptor,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let (start, count) = (buffers.as_mut_ptr().cast::<libc::iovec>(), most_pieces(buffers.len()));
    // SAFETY: an `IoSliceMut` has the layout of an iovec, `count` of them lie at `start`, and
    // each describes one exclusive borrow.
    let count = unsafe { libc::readv(descriptor.raw(), start, count) };
    count.or_errno().map(isize::cast_unsigned)
}

pub(super) fn write_vectored(descriptor: &Descriptor, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    if descriptor.socket {
        return socket::send_vectored(descriptor, pieces);
    }
    let (start, count) = (pieces.as_ptr().cast::<libc::iovec>(), most_pieces(pieces.len()));
    // SAFETY: an `IoSlice` has the layout of an iovec, `count` of them lie at `start`, and
    // writev only reads.
    let count = unsafe { libc::writev(descriptor.raw(), start, count) };
    count.or_errno().map(isize::cast_unsigned)
}

/// How many of so many pieces one call takes: more are an error of the kernel, fewer a short
/// read or write.
fn most_pieces(pieces: usize) -> libc::c_int {
    const IOV_MAX: usize = 1024;
    pieces.min(IOV_MAX) as libc::c_int
}

/// Asks the kernel what holds now, without waiting.
pub(super) fn is_ready(descriptor: &Descriptor, mode: Mode) -> io::Result<bool> {
    let events = match mode {
        Mode::Read => libc::POLLIN,
        Mode::Write => libc::POLLOUT,
    };
    let mut asked = libc::pollfd { fd: descriptor.raw(), events, revents: 0 };
    // SAFETY: there is one entry at `asked`, which is borrowed by nobody else.
    unsafe { libc::poll(&raw mut asked, 1, 0) }.or_errno()?;
    // Of a number that is none poll says nothing, and of one that is not open this.
    if descriptor.raw() == Descriptor::CLOSED || asked.revents & libc::POLLNVAL != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(asked.revents != 0)
}

/// What kind of file is behind the number: one of the constants `S_IF`.
pub(super) fn kind(number: RawFd) -> io::Result<libc::mode_t> {
    let mut found = core::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `found` has room for what fstat writes.
    unsafe { libc::fstat(number, found.as_mut_ptr()) }.or_errno()?;
    // SAFETY: fstat succeeded, so it has filled all of it.
    let found = unsafe { found.assume_init() };
    Ok(found.st_mode & libc::S_IFMT)
}

pub(super) fn nonblocking(descriptor: &Descriptor) -> io::Result<bool> {
    // SAFETY: F_GETFL takes no argument and touches no memory of ours.
    let flags = unsafe { libc::fcntl(descriptor.raw(), libc::F_GETFL) }.or_errno()?;
    Ok(flags & libc::O_NONBLOCK != 0)
}

pub(super) fn set_nonblocking(descriptor: &Descriptor, on: bool) -> io::Result<()> {
    let mut on = libc::c_int::from(on);
    // SAFETY: FIONBIO reads one integer, which outlives the call.
    unsafe { libc::ioctl(descriptor.raw(), libc::FIONBIO, &raw mut on) }.or_errno().map(drop)
}

pub(super) fn close(descriptor: &Descriptor) -> io::Result<()> {
    let Some(number) = descriptor.take() else {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    };
    // SAFETY: `take` found the number, so it is open and nobody else owns it; the caller knows
    // that nobody uses it, and who comes later finds none.
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
