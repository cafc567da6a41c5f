//! What makes a read stop short, and what says that bytes have arrived.

use super::{checked, owned};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A pipe in packet mode (`O_DIRECT`): each read takes what one write has given.
///
/// # Errors
///
/// Those of pipe2(2).
pub fn packet_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut numbers = [0; 2];
    let flags = libc::O_DIRECT | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `numbers` has room for the two that pipe2 writes.
    checked(unsafe { libc::pipe2(numbers.as_mut_ptr(), flags) })?;
    Ok((owned(numbers[0])?, owned(numbers[1])?))
}

fn set(socket: impl AsFd, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let (number, level) = (socket.as_fd().as_raw_fd(), libc::SOL_SOCKET);
    let (start, size) = ((&raw const value).cast(), size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: pointer and size are those of `value`, which outlives the call and is only read.
    checked(unsafe { libc::setsockopt(number, level, name, start, size) }).map(drop)
}

/// From now on whoever receives is told who has sent (`SO_PASSCRED`).
///
/// # Errors
///
/// Those of setsockopt(2).
pub fn pass_credentials(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::SO_PASSCRED, 1)
}

/// From now on fewer bytes are not reported (`SO_RCVLOWAT`).
///
/// # Errors
///
/// Those of setsockopt(2).
pub fn report_no_less_than(socket: impl AsFd, bytes: libc::c_int) -> io::Result<()> {
    set(socket, libc::SO_RCVLOWAT, bytes)
}

/// A socket of MPTCP, not connected.
///
/// # Errors
///
/// Those of socket(2): the kernel may have none.
pub fn mptcp_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes integers and touches no memory of ours.
    owned(unsafe { libc::socket(libc::AF_INET, kind, libc::IPPROTO_MPTCP) })
}

/// How much of what was sent on a TCP socket its peer has not acknowledged, the end of the stream included.
///
/// # Errors
///
/// Those of ioctl(2).
pub fn unacknowledged(socket: impl AsFd) -> io::Result<libc::c_int> {
    let mut left: libc::c_int = 0;
    // SAFETY: TIOCOUTQ writes one integer, for which there is room.
    checked(unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::TIOCOUTQ, &raw mut left) })?;
    Ok(left)
}
