//! Socket addresses: from the seam's [`Address`] to the bytes that the kernel takes, and back.
//!
//! The C structures are treated as what they are, bytes at known places: [`Raw`] is a buffer
//! that is aligned and large enough for each of them, and the places are compared with libc's
//! declarations below, at compile time. So nothing in this file is unsafe.
//!
//! A Unix path that begins with a NUL byte is a name in the abstract namespace of Linux; it may
//! contain more of them. In any other path a NUL byte is an error, and a path that does not fit
//! is one too: it is never cut short, which would name another file.
//!
//! BSD and its kin have a family of one byte, and the length in a byte before it; their Unix sockets
//! have no abstract namespace.

use crate::seam::Address;
use core::mem::{offset_of, size_of};
use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// An address in the form of the kernel.
#[repr(C, align(8))]
pub(super) struct Raw {
    bytes: [u8; Raw::CAPACITY],
    length: usize,
}

/// Whether the length of an address stands in front of it.
const HAS_LENGTH: bool = size_of::<libc::sa_family_t>() == 1;
const FAMILY: usize = if HAS_LENGTH { 1 } else { 0 };
/// Whether a name may begin with a NUL byte.
const ABSTRACT: bool = cfg!(target_os = "linux");
const PORT: usize = 2;
const V4_ADDRESS: usize = 4;
const V4_LENGTH: usize = 16;
const V6_FLOW: usize = 4;
const V6_ADDRESS: usize = 8;
const V6_SCOPE: usize = 24;
const V6_LENGTH: usize = 28;
const UNIX_PATH: usize = 2;
const UNIX_LENGTH: usize = size_of::<libc::sockaddr_un>();

const _: () = {
    assert!(offset_of!(libc::sockaddr, sa_family) == FAMILY);
    assert!(size_of::<libc::sa_family_t>() + FAMILY == 2);
    assert!(offset_of!(libc::sockaddr_in, sin_port) == PORT);
    assert!(offset_of!(libc::sockaddr_in, sin_addr) == V4_ADDRESS);
    assert!(size_of::<libc::sockaddr_in>() == V4_LENGTH);
    assert!(offset_of!(libc::sockaddr_in6, sin6_port) == PORT);
    assert!(offset_of!(libc::sockaddr_in6, sin6_flowinfo) == V6_FLOW);
    assert!(offset_of!(libc::sockaddr_in6, sin6_addr) == V6_ADDRESS);
    assert!(offset_of!(libc::sockaddr_in6, sin6_scope_id) == V6_SCOPE);
    assert!(size_of::<libc::sockaddr_in6>() == V6_LENGTH);
    assert!(offset_of!(libc::sockaddr_un, sun_path) == UNIX_PATH);
    assert!(UNIX_LENGTH <= Raw::CAPACITY);
    assert!(size_of::<libc::sockaddr_storage>() == Raw::CAPACITY);
    assert!(align_of::<libc::sockaddr_storage>() <= align_of::<Raw>());
};

impl Raw {
    const CAPACITY: usize = 128;

    /// Room for an address that the kernel writes.
    pub(super) const fn empty() -> Raw {
        Raw { bytes: [0; Raw::CAPACITY], length: 0 }
    }

    pub(super) fn as_ptr(&self) -> *const libc::sockaddr {
        self.bytes.as_ptr().cast()
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut libc::sockaddr {
        self.bytes.as_mut_ptr().cast()
    }

    /// How many bytes the address has.
    pub(super) fn length(&self) -> libc::socklen_t {
        self.length as libc::socklen_t
    }

    /// How many bytes the kernel may write.
    pub(super) const fn capacity() -> libc::socklen_t {
        Raw::CAPACITY as libc::socklen_t
    }

    /// The kernel wrote an address of this length.
    pub(super) fn set_length(&mut self, length: libc::socklen_t) {
        self.length = (length as usize).min(Raw::CAPACITY);
    }

    fn put(&mut self, place: usize, bytes: &[u8]) {
        self.bytes[place..place + bytes.len()].copy_from_slice(bytes);
    }

    fn take<const N: usize>(&self, place: usize) -> [u8; N] {
        core::array::from_fn(|i| self.bytes[place + i])
    }
}

/// The family of sockets that can have this address.
pub(super) fn family(address: &Address) -> libc::c_int {
    match address {
        Address::Inet(SocketAddr::V4(_)) => libc::AF_INET,
        Address::Inet(SocketAddr::V6(_)) => libc::AF_INET6,
        Address::Unix(_) | Address::Unnamed => libc::AF_UNIX,
    }
}

/// The bytes for the kernel. [`Address::Unnamed`] is the family alone: bind(2) takes it as the
/// wish for a name of the kernel's choice, connect(2) refuses it.
pub(super) fn encode(address: &Address) -> io::Result<Raw> {
    let mut raw = Raw::empty();
    raw.put(FAMILY, &(family(address) as libc::sa_family_t).to_ne_bytes());
    raw.length = match address {
        Address::Inet(SocketAddr::V4(v4)) => {
            raw.put(PORT, &v4.port().to_be_bytes());
            raw.put(V4_ADDRESS, &v4.ip().octets());
            V4_LENGTH
        }
        Address::Inet(SocketAddr::V6(v6)) => {
            raw.put(PORT, &v6.port().to_be_bytes());
            raw.put(V6_FLOW, &v6.flowinfo().to_ne_bytes());
            raw.put(V6_ADDRESS, &v6.ip().octets());
            raw.put(V6_SCOPE, &v6.scope_id().to_ne_bytes());
            V6_LENGTH
        }
        Address::Unix(path) => {
            let (name, terminator) = unix_name(path)?;
            raw.put(UNIX_PATH, name);
            UNIX_PATH + name.len() + terminator
        }
        Address::Unnamed => UNIX_PATH,
    };
    if HAS_LENGTH {
        raw.bytes[0] = raw.length as u8; // no address is longer than `CAPACITY`
    }
    Ok(raw)
}

/// The bytes of a name, and how many NUL bytes end it.
fn unix_name(path: &Path) -> io::Result<(&[u8], usize)> {
    let name = path.as_os_str().as_bytes();
    let room = UNIX_LENGTH - UNIX_PATH;
    let terminator = match name {
        [] => return Err(refused(path, "is empty".into())),
        [0, ..] if ABSTRACT => 0,
        _ if name.contains(&0) => return Err(refused(path, "contains a NUL byte".into())),
        _ => 1,
    };
    if name.len() + terminator > room {
        let most = room - terminator;
        return Err(refused(path, format!("has {} bytes, at most {most} fit", name.len())));
    }
    Ok((name, terminator))
}

fn refused(path: &Path, why: String) -> io::Error {
    let text = format!("the path {path:?} of a Unix socket {why}");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}

/// What the kernel has written.
pub(super) fn decode(raw: &Raw) -> io::Result<Address> {
    if raw.length == 0 {
        // What recvfrom(2) says of a message whose sender has no name.
        return Ok(Address::Unnamed);
    }
    let family = libc::c_int::from(libc::sa_family_t::from_ne_bytes(raw.take(FAMILY)));
    match (family, raw.length) {
        (libc::AF_INET, V4_LENGTH..) => {
            let ip = Ipv4Addr::from(raw.take::<4>(V4_ADDRESS));
            let port = u16::from_be_bytes(raw.take(PORT));
            Ok(Address::Inet(SocketAddrV4::new(ip, port).into()))
        }
        (libc::AF_INET6, V6_LENGTH..) => {
            let ip = Ipv6Addr::from(raw.take::<16>(V6_ADDRESS));
            let port = u16::from_be_bytes(raw.take(PORT));
            let flow = u32::from_ne_bytes(raw.take(V6_FLOW));
            let scope = u32::from_ne_bytes(raw.take(V6_SCOPE));
            Ok(Address::Inet(SocketAddrV6::new(ip, port, flow, scope).into()))
        }
        (libc::AF_UNIX, 0..=UNIX_PATH) => Ok(Address::Unnamed),
        (libc::AF_UNIX, _) if !ABSTRACT && raw.bytes[UNIX_PATH] == 0 => Ok(Address::Unnamed),
        (libc::AF_UNIX, length) => {
            let name = &raw.bytes[UNIX_PATH..length];
            // A name in the abstract namespace is all of the bytes; a path ends at its NUL byte.
            let end = match name {
                [0, ..] => name.len(),
                _ => name.iter().position(|&byte| byte == 0).unwrap_or(name.len()),
            };
            Ok(Address::Unix(PathBuf::from(OsStr::from_bytes(&name[..end]))))
        }
        (family, length) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("a socket address of family {family} with {length} bytes"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(address: Address) {
        let raw = encode(&address).unwrap_or_else(|e| panic!("{address:?} was refused: {e}"));
        let back = decode(&raw).unwrap_or_else(|e| panic!("{address:?} cannot be read: {e}"));
        assert_eq!(back, address);
    }

    fn unix(bytes: &[u8]) -> Address {
        Address::Unix(PathBuf::from(OsStr::from_bytes(bytes)))
    }

    #[test]
    fn every_family_survives_the_kernel_form() {
        there_and_back(Address::Inet("192.0.2.7:65534".parse().unwrap()));
        there_and_back(Address::Inet("[2001:db8::1:2]:1".parse().unwrap()));
        let scoped = SocketAddrV6::new("fe80::3".parse().unwrap(), 5, 0x0a_0b0c, 0x0102_0304);
        there_and_back(Address::Inet(scoped.into()));
        there_and_back(unix(b"/run/some socket"));
        #[cfg(target_os = "linux")]
        there_and_back(unix(b"\0abstract\0name"));
        there_and_back(Address::Unnamed);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_longest_unix_path_fits_and_one_more_byte_is_refused() {
        there_and_back(unix(&[b'x'; 107]));
        there_and_back(unix(&[0; 108]));
        for long in [unix(&[b'x'; 108]), unix(&[0; 109])] {
            let error = encode(&long).err().expect("a path that does not fit was accepted");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("at most"), "unclear: {error}");
        }
    }

    #[test]
    fn a_unix_path_that_would_name_another_file_is_refused() {
        for path in [&b""[..], b"/run/a\0b"] {
            let error = encode(&unix(path)).err().expect("accepted");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        }
    }

    #[test]
    fn an_address_of_an_unknown_family_is_an_error_that_names_it() {
        let mut raw = Raw::empty();
        raw.put(FAMILY, &(16 as libc::sa_family_t).to_ne_bytes());
        raw.set_length(12);
        let error = decode(&raw).expect_err("read as an address");
        assert!(error.to_string().contains("family 16"), "unclear: {error}");
    }
}
