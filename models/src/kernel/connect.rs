//! How sockets come together: names, listeners, connections.
//!
//! A socket is made closed. It takes a name, listens, or connects; whoever connects finds the
//! object that has the name, and asks it.
//!
//! | call | first | then |
//! |---|---|---|
//! | bind | the table of names, and in it the socket | |
//! | listen | the socket | |
//! | connect, Unix | the table of names | the client begins; the listener, and in it the client |
//! | connect, TCP | the table of names | the client sends a SYN; the listener, and in it the client |
//! | accept | the table of numbers, a place | the listener; the table again |
//!
//! Two sockets are locked at once only here, the listener first, and only if the other one has
//! begun to connect: such a socket cannot begin to listen, so nobody can hold it and ask for the
//! first one.
//!
//! # TCP and Unix
//!
//! A Unix socket is connected when connect(2) returns, without an edge, and a full backlog is
//! EAGAIN. On TCP connect(2) says EINPROGRESS, the outcome is an edge, and a SYN that finds the
//! backlog full is sent again every second of the virtual time. Nobody answers at an address
//! that is not of the loopback.

use super::SimKernel;
use super::datagram::{self, Datagram};
use super::description::{Description, End, File, change};
use super::errno::{Errno, Result};
use super::names::{Bound, Names, is_abstract};
use super::table::Opened;
use super::tcp::{Admission, Tcp};
use super::time::Alarm;
use super::unix::Pair;
use netpoller::seam::{Address, Arc, Kind, Mutex, Primitives};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A second in nanoseconds: when a SYN is sent again.
const RETRANSMISSION: u64 = 1_000_000_000;

impl<P: Primitives> SimKernel<P> {
    pub(super) fn open_socket(&self, address: &Address, kind: Kind) -> Result<Opened<P>> {
        self.may_have_number()?;
        let config = &self.core.config;
        let mut table = self.core.table.lock();
        match (address, kind) {
            (Address::Inet(_), Kind::Stream) => table
                .open(|serial| File::Tcp(Arc::new(Tcp::<P>::create(config, serial)), End::First)),
            (Address::Inet(_), Kind::Datagram) => Err(Errno::EPROTONOSUPPORT),
            (_, Kind::Stream) => table.open(|serial| {
                File::Socket(Arc::new(Pair::<P>::alone(config, serial)), End::First)
            }),
            (_, Kind::Datagram) => {
                table.open(|serial| File::Datagram(Arc::new(Datagram::<P>::create(config, serial))))
            }
        }
    }

    pub(super) fn bind_to(&self, description: &Description<P>, address: &Address) -> Result<()> {
        let owner = description.serial;
        let inet = matches!(address, Address::Inet(_));
        let mut names = self.core.names.lock();
        match &description.file {
            File::Tcp(tcp, _) if inet => {
                let mut socket = tcp.lock();
                if socket.address(End::First).is_some() {
                    return Err(Errno::EINVAL);
                }
                socket.set_address(names.take(address, owner, Bound::Tcp(tcp.clone()))?);
            }
            File::Socket(pair, End::First) if !inet => {
                let mut socket = pair.lock();
                if socket.address(End::First).is_some() {
                    return bound_already(&names, address);
                }
                socket.set_address(names.take(address, owner, Bound::Unix(pair.clone()))?);
            }
            File::Datagram(socket) if !inet => {
                let mut datagram = socket.lock();
                if datagram.address().is_some() {
                    return bound_already(&names, address);
                }
                let bound = Bound::Datagram(socket.clone());
                datagram.set_address(names.take(address, owner, bound)?);
            }
            File::Tcp(..) | File::Socket(..) | File::Datagram(_) => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENOTSOCK),
        }
        Ok(())
    }

    pub(super) fn listen_on(&self, description: &Description<P>, backlog: u32) -> Result<()> {
        match &description.file {
            File::Tcp(tcp, end) => {
                self.name_client(description.serial, tcp, Ipv4Addr::UNSPECIFIED.into())?;
                tcp.lock().listen(*end, backlog)
            }
            File::Socket(pair, end) => pair.lock().listen(*end, backlog),
            File::Datagram(_) => Err(Errno::EOPNOTSUPP),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    pub(super) fn connect_to(&self, description: &Description<P>, address: &Address) -> Result<()> {
        let inet = matches!(address, Address::Inet(_));
        match &description.file {
            File::Tcp(tcp, end) if inet => {
                let address = &to_loopback(address);
                change(tcp.as_ref(), |tcp: &mut Tcp<P>| tcp.begin(*end)).or_else(|error| {
                    if error == Errno::EINPROGRESS {
                        self.name_client(description.serial, tcp, loopback(address))?;
                        self.ask_to_connect(tcp, address);
                    }
                    Err(error)
                })
            }
            File::Socket(pair, end) if !inet => self.connect_unix(pair, *end, address),
            File::Datagram(socket) if !inet => match self.find_unix(address)? {
                Bound::Datagram(to) => datagram::connect::<P>(socket, &to),
                other => Err(refusal(&other, address)),
            },
            File::Tcp(..) | File::Socket(..) | File::Datagram(_) => Err(Errno::EINVAL),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// Sends to a socket by its name.
    pub(super) fn send_by_name(
        &self,
        description: &Description<P>,
        address: &Address,
        bytes: &[u8],
    ) -> Result<usize> {
        let socket = match &description.file {
            File::Datagram(socket) => socket,
            File::Socket(pair, end) if pair.lock().peer(*end).is_err() => {
                return Err(Errno::EOPNOTSUPP);
            }
            File::Socket(..) | File::Tcp(..) => return Err(Errno::EISCONN),
            _ => return Err(Errno::ENOTSOCK),
        };
        let to = self.find_unix(address).and_then(|bound| match bound {
            Bound::Datagram(to) => Ok(to),
            other => Err(refusal(&other, address)),
        });
        datagram::send::<P>(socket, Some(to), bytes)
    }

    pub(super) fn accept_from(&self, description: &Description<P>) -> Result<Opened<P>> {
        self.may_have_number()?;
        let place = self.core.table.lock().reserve()?;
        let accepted: Result<File<P>> = match &description.file {
            File::Tcp(tcp, end) => {
                tcp.lock().accept(*end).map(|accepted| File::Tcp(accepted, End::Second))
            }
            File::Socket(pair, end) => {
                pair.lock().accept(*end).map(|accepted| File::Socket(accepted, End::Second))
            }
            File::Datagram(_) => Err(Errno::EOPNOTSUPP),
            _ => Err(Errno::ENOTSOCK),
        };
        let accepted = accepted.and_then(|file| {
            if !self.is_aborted() {
                return Ok(file);
            }
            match file {
                File::Tcp(lost, _) => {
                    change(lost.as_ref(), |tcp: &mut Tcp<P>| ((), tcp.orphan()));
                }
                File::Socket(lost, _) => {
                    change(lost.as_ref(), |pair: &mut Pair<P>| ((), pair.orphan()));
                }
                _ => {}
            }
            Err(Errno::ECONNABORTED)
        });
        self.core.table.lock().fill(place, accepted)
    }

    fn find_unix(&self, address: &Address) -> Result<Bound<P>> {
        let missing = match address {
            Address::Unix(path) if is_abstract(path) => Errno::ECONNREFUSED,
            Address::Unix(_) => Errno::ENOENT,
            Address::Inet(_) | Address::Unnamed => return Err(Errno::EINVAL),
        };
        self.core.names.lock().find(address).ok_or(missing)
    }

    fn connect_unix(
        &self,
        client: &Arc<P::Mutex<Pair<P>>>,
        end: End,
        address: &Address,
    ) -> Result<()> {
        let listener = match self.find_unix(address)? {
            Bound::Unix(listener) => listener,
            other => return Err(refusal(&other, address)),
        };
        // What is wrong with the listener is said before what is wrong with the client.
        let begun = client.lock().begin(end);
        let mut listening = listener.lock();
        let wakes = match (listening.admits(), &begun) {
            (Ok(()), Ok(client_serial)) => {
                client.lock().establish(listening.address(End::First).cloned());
                listening.admit(*client_serial, client.clone())
            }
            (Ok(()), Err(error)) => return Err(*error),
            (Err(error), Err(_)) => return Err(error),
            (Err(error), Ok(_)) => {
                drop(listening);
                client.lock().give_up();
                return Err(error);
            }
        };
        drop(listening);
        wakes.deliver();
        Ok(())
    }

    /// A TCP socket that has no name yet gets one.
    fn name_client(&self, owner: u64, client: &Arc<P::Mutex<Tcp<P>>>, ip: IpAddr) -> Result<()> {
        let mut names = self.core.names.lock();
        let mut socket = client.lock();
        if socket.address(End::First).is_none() {
            let any_port = Address::Inet(SocketAddr::new(ip, 0));
            socket.set_address(names.take(&any_port, owner, Bound::Tcp(client.clone()))?);
        }
        Ok(())
    }

    /// A SYN arrives at an address. Its client has begun to connect, and may not want it any more.
    pub(super) fn ask_to_connect(&self, client: &Arc<P::Mutex<Tcp<P>>>, address: &Address) {
        let Address::Inet(place) = address else { return };
        if !place.ip().is_loopback() {
            return;
        }
        let found = self.core.names.lock().find(address);
        let Some(Bound::Tcp(listener)) = found else {
            return change(client.as_ref(), |client: &mut Tcp<P>| ((), client.refuse()));
        };
        let mut listening = listener.lock();
        match listening.admits() {
            Admission::Refused => {
                drop(listening);
                change(client.as_ref(), |client: &mut Tcp<P>| ((), client.refuse()));
            }
            Admission::Full => {
                drop(listening);
                let serial = client.lock().serial();
                let at = self.now().as_nanos().saturating_add(RETRANSMISSION);
                let alarm = Alarm::Syn(client.clone(), address.clone());
                self.core.alarms.lock().set(at, serial, alarm);
            }
            Admission::Room => {
                let mut connecting = client.lock();
                if !connecting.is_connecting() {
                    return;
                }
                let connected = connecting.establish(Some(address.clone()));
                let serial = connecting.serial();
                drop(connecting);
                let arrived = listening.admit(serial, client.clone());
                drop(listening);
                connected.deliver();
                arrived.deliver();
            }
        }
    }
}

/// The answer to a Unix socket that has a name and is to have another one.
fn bound_already<P: Primitives>(names: &Names<P>, address: &Address) -> Result<()> {
    match address {
        // Any name will do, and it has one.
        Address::Unnamed => Ok(()),
        // The path is made first, and what is there already found then.
        _ if names.find(address).is_some() => Err(Errno::EADDRINUSE),
        _ => Err(Errno::EINVAL),
    }
}

/// What is not a socket of the right kind, or not there any more.
fn refusal<P: Primitives>(found: &Bound<P>, address: &Address) -> Errno {
    match (found, address) {
        // Streams and datagrams have different abstract names.
        (_, Address::Unix(path)) if is_abstract(path) => Errno::ECONNREFUSED,
        (Bound::Unix(_) | Bound::Datagram(_) | Bound::Tcp(_), _) => Errno::EPROTOTYPE,
        (Bound::Fifo(_) | Bound::Gone, _) => Errno::ECONNREFUSED,
    }
}

/// Connecting to no address in particular connects to this machine.
fn to_loopback(address: &Address) -> Address {
    match address {
        Address::Inet(place) if place.ip().is_unspecified() => {
            Address::Inet(SocketAddr::new(loopback(address), place.port()))
        }
        other => other.clone(),
    }
}

/// The address of this machine in the family of another one.
fn loopback(like: &Address) -> IpAddr {
    match like {
        Address::Inet(SocketAddr::V6(_)) => Ipv6Addr::LOCALHOST.into(),
        _ => Ipv4Addr::LOCALHOST.into(),
    }
}
