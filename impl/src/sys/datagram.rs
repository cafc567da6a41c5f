//! Messages: received and sent, by name and without, and the groups that they are sent to.
//!
//! One system call per function. Whoever sends without an address calls `send` of [`socket`].

use super::address::{self, Raw};
use super::{Descriptor, Returned, socket};
use crate::seam::{Address, Group, Taking};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

/// recv(2) and not read(2), which takes no message out if the buffer is empty.
pub(super) fn receive(socket: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    // SAFETY: pointer and length are those of one exclusive borrow.
    let count = unsafe { libc::recv(socket.raw(), start, length, 0) };
    count.or_errno().map(isize::cast_unsigned)
}

pub(super) fn receive_from(
    socket: &Descriptor,
    buffer: &mut [u8],
    taking: Taking,
) -> io::Result<(usize, Address)> {
    let flags = match taking {
        Taking::Out => 0,
        Taking::ALook => libc::MSG_PEEK,
    };
    let mut raw = Raw::empty();
    let mut named = Raw::capacity();
    let (start, length) = (buffer.as_mut_ptr().cast(), buffer.len());
    let from = raw.as_mut_ptr();
    // SAFETY: pointer and length are those of one exclusive borrow; `raw` has room for `named` bytes.
    let count = unsafe { libc::recvfrom(socket.raw(), start, length, flags, from, &mut named) };
    let count = count.or_errno()?.cast_unsigned();
    raw.set_length(named);
    Ok((count, address::decode(&raw)?))
}

pub(super) fn send_to(socket: &Descriptor, bytes: &[u8], to: &Address) -> io::Result<usize> {
    let raw = address::encode(to)?;
    let (number, start, length) = (socket.raw(), bytes.as_ptr().cast(), bytes.len());
    let (to, named) = (raw.as_ptr(), raw.length());
    // SAFETY: pointer and length are those of one borrow, `to` and `named` describe the bytes of
    // `raw`; sendto only reads both.
    let count = unsafe { libc::sendto(number, start, length, libc::MSG_NOSIGNAL, to, named) };
    count.or_errno().map(isize::cast_unsigned)
}

pub(super) fn set_member(socket: &Descriptor, group: &Group, member: bool) -> io::Result<()> {
    match group {
        Group::V4(group, interface) => {
            let request =
                libc::ip_mreq { imr_multiaddr: raw_v4(group), imr_interface: raw_v4(interface) };
            let name = if member { libc::IP_ADD_MEMBERSHIP } else { libc::IP_DROP_MEMBERSHIP };
            socket::set(socket.raw(), libc::IPPROTO_IP, name, &request)
        }
        Group::V6(group, interface) => {
            let interface = *interface as _;
            let request =
                libc::ipv6_mreq { ipv6mr_multiaddr: raw_v6(group), ipv6mr_interface: interface };
            let name = if member { JOIN_V6 } else { LEAVE_V6 };
            socket::set(socket.raw(), libc::IPPROTO_IPV6, name, &request)
        }
    }
}

#[cfg(target_os = "linux")]
const JOIN_V6: libc::c_int = libc::IPV6_ADD_MEMBERSHIP;
#[cfg(target_os = "linux")]
const LEAVE_V6: libc::c_int = libc::IPV6_DROP_MEMBERSHIP;
#[cfg(not(target_os = "linux"))]
const JOIN_V6: libc::c_int = libc::IPV6_JOIN_GROUP;
#[cfg(not(target_os = "linux"))]
const LEAVE_V6: libc::c_int = libc::IPV6_LEAVE_GROUP;

fn raw_v4(address: &Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) }
}

fn raw_v6(address: &Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr { s6_addr: address.octets() }
}
