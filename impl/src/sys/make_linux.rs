//! How descriptors are made where one call makes them non-blocking and close-on-exec (Linux): there
//! is no moment at which a fork in another thread could inherit one.

use super::Returned;
use std::io;
use std::os::fd::RawFd;

const FLAGS: libc::c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

pub(super) fn pipe() -> io::Result<[RawFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two numbers that pipe2 writes.
    unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) }.or_errno()?;
    Ok(ends)
}

pub(super) fn pair(domain: libc::c_int, kind: libc::c_int) -> io::Result<[RawFd; 2]> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two numbers that socketpair writes.
    unsafe { libc::socketpair(domain, kind | FLAGS, 0, ends.as_mut_ptr()) }.or_errno()?;
    Ok(ends)
}

pub(super) fn socket(domain: libc::c_int, kind: libc::c_int) -> io::Result<RawFd> {
    // SAFETY: socket takes integers and touches no memory of ours.
    unsafe { libc::socket(domain, kind | FLAGS, 0) }.or_errno()
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
    unsafe { libc::accept4(listener, address, length, FLAGS) }.or_errno()
}
