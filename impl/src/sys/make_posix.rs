//! How descriptors are made with the calls that every Unix has: the flags are set afterwards, so a
//! fork in another thread at the wrong moment inherits one.

use super::{Returned, fd};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

pub(super) fn pipe() -> io::Result<[RawFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two numbers that pipe writes.
    unsafe { libc::pipe(ends.as_mut_ptr()) }.or_errno()?;
    both(ends, false)
}

pub(super) fn pair(domain: libc::c_int, kind: libc::c_int) -> io::Result<[RawFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two numbers that socketpair writes.
    unsafe { libc::socketpair(domain, kind, 0, ends.as_mut_ptr()) }.or_errno()?;
    both(ends, true)
}

pub(super) fn socket(domain: libc::c_int, kind: libc::c_int) -> io::Result<RawFd> {
    // SAFETY: socket takes integers and touches no memory of ours.
    let new = unsafe { libc::socket(domain, kind, 0) }.or_errno()?;
    // SAFETY: socket succeeded, so this is a new number and nobody else has it.
    set_up(unsafe { fd::own(new) }, true)
}

/// # Safety
///
/// There must be room for `length` bytes at `address`.
pub(super) unsafe fn accept(
    listener: RawFd,
    address: *mut libc::sockaddr,
    length: &mut libc::socklen_t,
) -> io::Result<RawFd> {
    // SAFETY: the caller vouches for the room.
    let new = unsafe { libc::accept(listener, address, length) }.or_errno()?;
    // SAFETY: accept succeeded, so this is a new number and nobody else has it.
    set_up(unsafe { fd::own(new) }, true)
}

fn both(ends: [RawFd; 2], sockets: bool) -> io::Result<[RawFd; 2]> {
    // SAFETY: the call succeeded, so these are new numbers and nobody else has them.
    let [one, other] = ends.map(|end| unsafe { fd::own(end) });
    Ok([set_up(one, sockets)?, set_up(other, sockets)?])
}

/// Sets the flags; what cannot have them is closed.
fn set_up(fd: OwnedFd, _socket: bool) -> io::Result<RawFd> {
    let number = fd.as_raw_fd();
    // SAFETY: F_SETFD takes an integer and touches no memory of ours.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }.or_errno()?;
    let mut on: libc::c_int = 1;
    // SAFETY: FIONBIO reads one integer, which outlives the call.
    unsafe { libc::ioctl(number, libc::FIONBIO, &raw mut on) }.or_errno()?;
    // Not every release knows the flag of send(2).
    #[cfg(target_vendor = "apple")]
    if _socket {
        super::socket::set_option(number, libc::SOL_SOCKET, libc::SO_NOSIGPIPE, true)?;
    }
    Ok(fd.into_raw_fd())
}
