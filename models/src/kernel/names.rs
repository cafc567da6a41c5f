//! Names: which address belongs to which socket, and which path to which FIFO.
//!
//! There is one table, under one lock, which is held while a socket takes a name and is not held
//! while a connection is made: whoever looks a name up learns which object had it at that time,
//! and the object says what it is by then.
//!
//! A port is free again when its socket is closed. A path stays, as the file that it is, and
//! whoever connects to it is refused. Port 0 stands for the next free one of the ephemeral ports,
//! a Unix socket that is bound to no path gets the next free abstract name: what was just given
//! back is not given to somebody else at once.
//!
//! # Out of scope
//!
//! Ports in TIME_WAIT, `SO_REUSEADDR`, addresses that are not of the loopback, unlink(2).

use super::datagram::Datagram;
use super::digest::digest;
use super::errno::{Errno, Result};
use super::pipe::Pipe;
use super::tcp::Tcp;
use super::unix::Pair;
use netpoller::seam::{Address, Arc, Mutex, Primitives};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a name belongs to.
pub(super) enum Bound<P: Primitives> {
    Unix(Arc<P::Mutex<Pair<P>>>),
    Datagram(Arc<P::Mutex<Datagram<P>>>),
    Tcp(Arc<P::Mutex<Tcp<P>>>),
    Fifo(Arc<P::Mutex<Pipe>>),
    /// The path of a socket that is closed.
    Gone,
}

impl<P: Primitives> core::fmt::Debug for Bound<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Bound::Unix(_) => "a Unix socket",
            Bound::Datagram(_) => "a Unix datagram socket",
            Bound::Tcp(_) => "a TCP socket",
            Bound::Fifo(_) => "a FIFO",
            Bound::Gone => "nothing any more",
        })
    }
}

impl<P: Primitives> Clone for Bound<P> {
    fn clone(&self) -> Bound<P> {
        match self {
            Bound::Unix(pair) => Bound::Unix(pair.clone()),
            Bound::Datagram(socket) => Bound::Datagram(socket.clone()),
            Bound::Tcp(connection) => Bound::Tcp(connection.clone()),
            Bound::Fifo(pipe) => Bound::Fifo(pipe.clone()),
            Bound::Gone => Bound::Gone,
        }
    }
}

#[derive(Debug)]
struct Entry<P: Primitives> {
    address: Address,
    /// The serial number of the description that took the name.
    owner: u64,
    bound: Bound<P>,
}

/// The table.
#[derive(Debug)]
pub(super) struct Names<P: Primitives> {
    entries: Vec<Entry<P>>,
    next_port: u16,
    next_name: u32,
}

/// The owner of a file, which outlives whoever made it.
pub(super) const NOBODY: u64 = u64::MAX;

const FIRST_EPHEMERAL: u16 = 32_768;
const LAST_EPHEMERAL: u16 = 60_999;

impl<P: Primitives> Names<P> {
    pub(super) fn create() -> P::Mutex<Names<P>> {
        let names = Names { entries: Vec::new(), next_port: FIRST_EPHEMERAL, next_name: 0 };
        Mutex::new(names, |names| {
            let entries: Vec<_> = names
                .entries
                .iter()
                .map(|entry| (&entry.address, entry.owner, matches!(entry.bound, Bound::Gone)))
                .collect();
            Some(digest(&(entries, names.next_port, names.next_name)))
        })
    }

    /// Enters a name, and says which one it came to be.
    pub(super) fn take(
        &mut self,
        address: &Address,
        owner: u64,
        bound: Bound<P>,
    ) -> Result<Address> {
        let address = match address {
            Address::Inet(wanted) => Address::Inet(self.inet(*wanted)?),
            Address::Unix(_) => address.clone(),
            Address::Unnamed => self.abstract_name()?,
        };
        if self.entries.iter().any(|entry| clash(&entry.address, &address)) {
            return Err(Errno::EADDRINUSE);
        }
        self.entries.push(Entry { address: address.clone(), owner, bound });
        Ok(address)
    }

    fn inet(&mut self, wanted: SocketAddr) -> Result<SocketAddr> {
        if !(wanted.ip().is_loopback() || wanted.ip().is_unspecified()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if wanted.port() != 0 {
            return Ok(wanted);
        }
        let free = |address: &SocketAddr| {
            let address = Address::Inet(*address);
            !self.entries.iter().any(|entry| clash(&entry.address, &address))
        };
        let ports = (self.next_port..=LAST_EPHEMERAL).chain(FIRST_EPHEMERAL..self.next_port);
        let mut addresses = ports.map(|port| SocketAddr::new(wanted.ip(), port));
        let found = addresses.find(free).ok_or(Errno::EADDRINUSE)?;
        let last = found.port() >= LAST_EPHEMERAL;
        self.next_port = if last { FIRST_EPHEMERAL } else { found.port() + 1 };
        Ok(found)
    }

    fn abstract_name(&mut self) -> Result<Address> {
        const NAMES: u32 = 0x10_0000;
        let name = |number: u32| Address::Unix(PathBuf::from(format!("\0{number:05x}")));
        let free = |number: &u32| {
            let name = name(*number);
            !self.entries.iter().any(|entry| entry.address == name)
        };
        let found = (self.next_name..NAMES).chain(0..self.next_name).find(free);
        let found = found.ok_or(Errno::ENOSPC)?;
        self.next_name = (found + 1) % NAMES;
        Ok(name(found))
    }

    /// What an address belongs to.
    pub(super) fn find(&self, address: &Address) -> Option<Bound<P>> {
        let found = self.entries.iter().find(|entry| clash(&entry.address, address));
        found.map(|entry| entry.bound.clone())
    }

    /// A description that may have taken names is gone.
    pub(super) fn give_back(&mut self, owner: u64) {
        for entry in &mut self.entries {
            if entry.owner == owner {
                entry.bound = Bound::Gone;
            }
        }
        self.entries.retain(|entry| match (&entry.address, &entry.bound) {
            (Address::Unix(path), Bound::Gone) => !is_abstract(path),
            (_, Bound::Gone) => false,
            _ => true,
        });
    }
}

/// Whether two names cannot both be taken, and a search for one finds the other.
fn clash(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Inet(one), Address::Inet(other)) => {
            let same_family = one.is_ipv4() == other.is_ipv4();
            let any = one.ip().is_unspecified() || other.ip().is_unspecified();
            same_family && one.port() == other.port() && (any || one.ip() == other.ip())
        }
        _ => one == other,
    }
}

/// Names that begin with a NUL byte are no files.
pub(super) fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().first() == Some(&0)
}
