//! What can be done with sockets only.
//!
//! One system call per function; how a socket is made non-blocking and close-on-exec is in `make`.
//!
//! Out of scope: options other than those below. A socket is made without `SO_REUSEADDR`, since
//! that is a decision of whoever binds.

use super::address::{self, Raw};
use super::{Descriptor, Returned, fd, make};
use crate::seam::{Address, HowToShut, Kind, SocketOption};
use core::mem::size_of;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

fn number(kind: Kind) -> libc::c_int {
    match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Datagram => libc::SOCK_DGRAM,
    }
}

pub(super) fn pair(kind: Kind) -> io::Result<(Descriptor, Descriptor)> {
    let ends = make::pair(libc::AF_UNIX, number(kind))?;
    // SAFETY: the call succeeded, so these are new numbers and nobody else has them.
    let [one, other] = ends.map(|end| unsafe { fd::own(end) });
    Ok((Descriptor::socket(one), Descriptor::socket(other)))
}

pub(super) fn socket(address: &Address, kind: Kind) -> io::Result<Descriptor> {
    let new = make::socket(address::family(address), number(kind))?;
    // SAFETY: the call succeeded, so this is a new number and nobody else has it.
    Ok(Descriptor::socket(unsafe { fd::own(new) }))
}

pub(super) fn bind(socket: &Descriptor, address: &Address) -> io::Result<()> {
    let raw = address::encode(address)?;
    // SAFETY: pointer and length describe the bytes of `raw`, which bind only reads.
    unsafe { libc::bind(socket.raw(), raw.as_ptr(), raw.length()) }.or_errno().map(drop)
}

pub(super) fn listen(socket: &Descriptor, backlog: u32) -> io::Result<()> {
    // The kernel lowers it to its own limit, which is far below.
    let backlog = libc::c_int::try_from(backlog).unwrap_or(libc::c_int::MAX);
    // SAFETY: listen takes integers and touches no memory of ours.
    unsafe { libc::listen(socket.raw(), backlog) }.or_errno().map(drop)
}

pub(super) fn connect(socket: &Descriptor, address: &Address) -> io::Result<()> {
    let raw = address::encode(address)?;
    // SAFETY: pointer and length describe the bytes of `raw`, which connect only reads.
    unsafe { libc::connect(socket.raw(), raw.as_ptr(), raw.length()) }.or_errno().map(drop)
}

pub(super) fn accept(listener: &Descriptor) -> io::Result<(Descriptor, Address)> {
    let mut raw = Raw::empty();
    let mut length = Raw::capacity();
    // SAFETY: `raw` has room for `length` bytes.
    let new = unsafe { make::accept(listener.raw(), raw.as_mut_ptr(), &mut length) }?;
    // SAFETY: the call succeeded, so this is a new number and nobody else has it.
    let new = Descriptor::socket(unsafe { fd::own(new) });
    raw.set_length(length);
    Ok((new, address::decode(&raw)?))
}

pub(super) fn shutdown(socket: &Descriptor, how: HowToShut) -> io::Result<()> {
    let how = match how {
        HowToShut::Read => libc::SHUT_RD,
        HowToShut::Write => libc::SHUT_WR,
        HowToShut::Both => libc::SHUT_RDWR,
    };
    // SAFETY: shutdown takes integers and touches no memory of ours.
    unsafe { libc::shutdown(socket.raw(), how) }.or_errno().map(drop)
}

/// Sends without SIGPIPE; the socket need not be of a kind that knows the signal.
pub(super) fn send(socket: &Descriptor, bytes: &[u8]) -> io::Result<usize> {
    let (start, length) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: pointer and length are those of one borrow, which send only reads.
    let count = unsafe { libc::send(socket.raw(), start, length, libc::MSG_NOSIGNAL) };
    count.or_errno().map(isize::cast_unsigned)
}

/// The same for several pieces. More than the kernel takes at once are a short write.
pub(super) fn send_vectored(socket: &Descriptor, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    const IOV_MAX: usize = 1024;
    // SAFETY: msghdr is plain data for which zeroes mean: no address, no control data.
    let mut message: libc::msghdr = unsafe { core::mem::zeroed() };
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len().min(IOV_MAX) as _;
    // SAFETY: an `IoSlice` has the layout of an iovec, `msg_iovlen` of them lie at `msg_iov`,
    // and sendmsg only reads them and what they describe.
    let count = unsafe { libc::sendmsg(socket.raw(), &raw const message, libc::MSG_NOSIGNAL) };
    count.or_errno().map(isize::cast_unsigned)
}

/// Reads and leaves there what was read.
pub(super) fn peek(socket: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: pointer and length are those of one exclusive borrow.
    let count = unsafe { libc::recv(socket.raw(), start, length, libc::MSG_PEEK) };
    count.or_errno().map(isize::cast_unsigned)
}

pub(super) fn take_error(socket: &Descriptor) -> io::Result<Option<io::Error>> {
    let pending = option(socket.raw(), libc::SOL_SOCKET, libc::SO_ERROR)?;
    Ok((pending != 0).then(|| io::Error::from_raw_os_error(pending)))
}

/// Whether a socket is behind the number. One that is not open is none.
pub(super) fn is_socket(fd: &OwnedFd) -> bool {
    option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TYPE).is_ok()
}

/// Whether TCP itself is behind the number, and not a protocol that looks like it (MPTCP, SMC).
#[cfg(target_os = "linux")]
pub(super) fn is_plain_tcp(socket: &Descriptor) -> bool {
    option(socket.raw(), libc::SOL_SOCKET, libc::SO_PROTOCOL)
        .is_ok_and(|protocol| protocol == libc::IPPROTO_TCP)
}

pub(super) fn set_reuse_address(socket: &Descriptor, on: bool) -> io::Result<()> {
    set_option(socket.raw(), libc::SOL_SOCKET, libc::SO_REUSEADDR, on)
}

pub(super) fn nodelay(socket: &Descriptor) -> io::Result<bool> {
    option(socket.raw(), libc::IPPROTO_TCP, libc::TCP_NODELAY).map(|value| value != 0)
}

pub(super) fn set_nodelay(socket: &Descriptor, on: bool) -> io::Result<()> {
    set_option(socket.raw(), libc::IPPROTO_TCP, libc::TCP_NODELAY, on)
}

/// Where the kernel has an option.
fn place_of(option: SocketOption) -> (libc::c_int, libc::c_int) {
    match option {
        SocketOption::ReusePort => (libc::SOL_SOCKET, libc::SO_REUSEPORT),
        SocketOption::Broadcast => (libc::SOL_SOCKET, libc::SO_BROADCAST),
        SocketOption::ReceiveBuffer => (libc::SOL_SOCKET, libc::SO_RCVBUF),
        SocketOption::SendBuffer => (libc::SOL_SOCKET, libc::SO_SNDBUF),
        SocketOption::TimeToLive => (libc::IPPROTO_IP, libc::IP_TTL),
        SocketOption::MulticastTimeToLive => (libc::IPPROTO_IP, libc::IP_MULTICAST_TTL),
        SocketOption::MulticastLoopV4 => (libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP),
        SocketOption::MulticastLoopV6 => (libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP),
        SocketOption::OnlyV6 => (libc::IPPROTO_IPV6, libc::IPV6_V6ONLY),
    }
}

pub(super) fn number_of(socket: &Descriptor, wanted: SocketOption) -> io::Result<u32> {
    let (level, name) = place_of(wanted);
    option(socket.raw(), level, name).map(i32::cast_unsigned)
}

pub(super) fn set_number(socket: &Descriptor, option: SocketOption, value: u32) -> io::Result<()> {
    let (level, name) = place_of(option);
    // A number beyond the type is beyond every limit of the kernel too.
    let value = libc::c_int::try_from(value).unwrap_or(libc::c_int::MAX);
    set(socket.raw(), level, name, &value)
}

fn option(number: RawFd, level: libc::c_int, name: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = size_of::<libc::c_int>() as libc::socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: `value` has `length` bytes, and both are borrowed by nobody else.
    unsafe { libc::getsockopt(number, level, name, place, &mut length) }.or_errno()?;
    Ok(value)
}

pub(super) fn set_option(
    number: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    on: bool,
) -> io::Result<()> {
    set(number, level, name, &libc::c_int::from(on))
}

/// Sets an option whose value is plain data of the type `T`.
pub(super) fn set<T: Copy>(
    number: RawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: &T,
) -> io::Result<()> {
    let length = size_of::<T>() as libc::socklen_t;
    let place = core::ptr::from_ref(value).cast();
    // SAFETY: `value` has `length` bytes, and setsockopt only reads them.
    unsafe { libc::setsockopt(number, level, name, place, length) }.or_errno().map(drop)
}

pub(super) fn local_address(socket: &Descriptor) -> io::Result<Address> {
    local_address_of(socket.raw())
}

/// That of whatever has the number at the moment.
pub(super) fn local_address_of(number: RawFd) -> io::Result<Address> {
    let mut raw = Raw::empty();
    let mut length = Raw::capacity();
    // SAFETY: `raw` has room for `length` bytes.
    unsafe { libc::getsockname(number, raw.as_mut_ptr(), &mut length) }.or_errno()?;
    raw.set_length(length);
    address::decode(&raw)
}

pub(super) fn peer_address(socket: &Descriptor) -> io::Result<Address> {
    peer_address_of(socket.raw())
}

/// That of the peer of whatever has the number at the moment.
pub(super) fn peer_address_of(number: RawFd) -> io::Result<Address> {
    let mut raw = Raw::empty();
    let mut length = Raw::capacity();
    // SAFETY: `raw` has room for `length` bytes.
    unsafe { libc::getpeername(number, raw.as_mut_ptr(), &mut length) }.or_errno()?;
    raw.set_length(length);
    address::decode(&raw)
}
