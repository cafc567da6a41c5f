//! Open file descriptions, what they have in common, and the wakes that go from them to the
//! event queues.
//!
//! A number of the table names a [`Description`]; `dup` gives it another number. A description
//! is one end of an object: of a pipe, of a pair of sockets, of an eventfd. **Each object has
//! one lock of its own**, and a value of type `SimFd` reaches the object without the table: a
//! kernel behind one lock would order any two system calls, and hide whatever the program under
//! test forgets to order.
//!
//! # Two steps
//!
//! A system call that changes an object first changes its state, under the object's lock, and
//! takes down who watches it ([`Wakes`]); it wakes them after the lock is released
//! ([`Wakes::deliver`]). In between other threads run, and may harvest the new state before its
//! wake: a report without news.
//!
//! A wake never holds the object's lock while it takes a lock of an event queue; a harvest locks
//! the queue first and then the objects, one after the other.
//!
//! # Out of scope
//!
//! References held by system calls that are under way: a description ends when its last number
//! is closed, even if another thread is inside a call on it. Through the seam that must not
//! happen: whoever closes a number knows that nobody uses it, and a call that begins after the
//! close panics.

use super::datagram::{self, Datagram};
use super::epoll::{Epoll, Key};
use super::errno::{Errno, Result};
use super::event::Eventfd;
use super::pipe::Pipe;
use super::tcp::Tcp;
use super::time::Timer;
use super::unix::Pair;
use core::sync::atomic::AtomicBool;
use netpoller::seam::{Address, Arc, HowToShut, Mutex, Primitives};
use std::hash::{Hash, Hasher};
use std::sync::Weak;

/// The conditions and options of epoll, as Linux numbers them.
pub mod mask {
    /// There is something to read.
    pub const IN: u32 = 0x1;
    /// There is urgent data.
    pub const PRI: u32 = 0x2;
    /// There is room to write.
    pub const OUT: u32 = 0x4;
    /// An error condition; reported whether asked for or not.
    pub const ERR: u32 = 0x8;
    /// Hang-up; reported whether asked for or not.
    pub const HUP: u32 = 0x10;
    /// Normal data can be read.
    pub const RDNORM: u32 = 0x40;
    /// Priority data can be read.
    pub const RDBAND: u32 = 0x80;
    /// Normal data can be written.
    pub const WRNORM: u32 = 0x100;
    /// Priority data can be written.
    pub const WRBAND: u32 = 0x200;
    /// The peer will write no more.
    pub const RDHUP: u32 = 0x2000;
    /// Reported by one thread only. Not simulated.
    pub const EXCLUSIVE: u32 = 1 << 28;
    /// Silent after one report until modified.
    pub const ONESHOT: u32 = 1 << 30;
    /// Reported once per edge.
    pub const ET: u32 = 1 << 31;
}

/// What a wake says has changed. Zero says: anything.
pub(super) mod key {
    use super::mask;
    pub(in super::super) const ANYTHING: u32 = 0;
    pub(in super::super) const PIPE_IN: u32 = mask::IN | mask::RDNORM;
    pub(in super::super) const PIPE_OUT: u32 = mask::OUT | mask::WRNORM;
    pub(in super::super) const SOCKET_IN: u32 = mask::IN | mask::PRI | mask::RDNORM | mask::RDBAND;
    pub(in super::super) const SOCKET_OUT: u32 = mask::OUT | mask::WRNORM | mask::WRBAND;
    pub(in super::super) const EVENTFD_IN: u32 = mask::IN;
    pub(in super::super) const EVENTFD_OUT: u32 = mask::OUT;
    pub(in super::super) const TIMER_IN: u32 = mask::IN;
    pub(in super::super) const EPOLL_IN: u32 = mask::IN;
}

/// Which end of an object: of a pipe, the first is the one to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    First,
    Second,
}

impl End {
    pub(super) const fn index(self) -> usize {
        self as usize
    }

    pub(super) const fn other(self) -> End {
        match self {
            End::First => End::Second,
            End::Second => End::First,
        }
    }
}

/// What every object can be asked.
pub(super) trait Object {
    /// The conditions that hold now at one end: a function of the state. Being asked changes it
    /// where whoever finds no room is told of it later.
    fn bits(&mut self, end: End) -> u32;

    /// Who watches that end, oldest registration first.
    fn watchers(&mut self, end: End) -> &mut Vec<Watch>;

    /// The description of that end is gone, and nobody watches it any more.
    fn release(&mut self, end: End) -> Wakes;

    /// How many bytes could be read at that end.
    fn buffered(&self, end: End) -> usize;

    /// Whether that end has a name that is given back with it.
    fn is_named(&self, _end: End) -> bool {
        false
    }
}

/// An event queue, as the objects see it. They do not know its type, which names theirs.
pub(super) trait Watcher: Send + Sync {
    /// Something happened to a registered description; `key` says what.
    fn edge(&self, item: Key, key: u32);

    /// The description of a registration is gone.
    fn forget(&self, item: Key);

    /// How many queues it is nested in, counted up to `most`.
    fn depth_above(&self, most: usize) -> usize;
}

/// A registration, as the object sees it.
#[derive(Clone)]
pub(super) struct Watch {
    pub(super) epoll: Weak<dyn Watcher>,
    /// The serial number of the event queue, which is its name.
    pub(super) queue: u64,
    pub(super) item: Key,
}

impl core::fmt::Debug for Watch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?} in queue {}", self.item, self.queue)
    }
}

impl Hash for Watch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.queue, self.item).hash(state);
    }
}

/// The second step of a change: who is to be told, and what; and what else it brings about.
#[must_use = "without its wakes a change of state is never reported"]
#[derive(Default)]
pub(super) struct Wakes {
    edges: Vec<(Watch, u32)>,
    changes: Vec<Box<dyn FnOnce() + Send>>,
}

impl Wakes {
    pub(super) const fn none() -> Wakes {
        Wakes { edges: Vec::new(), changes: Vec::new() }
    }

    pub(super) fn of(watchers: &[Watch], key: u32) -> Wakes {
        Wakes::none().and(watchers, key)
    }

    /// Also these, newest registration first.
    pub(super) fn and(mut self, watchers: &[Watch], key: u32) -> Wakes {
        self.edges.extend(watchers.iter().rev().map(|watch| (watch.clone(), key)));
        self
    }

    /// Also those, after these.
    pub(super) fn also(mut self, others: Wakes) -> Wakes {
        self.edges.extend(others.edges);
        self.changes.extend(others.changes);
        self
    }

    /// Also these changes of other objects, after all edges.
    pub(super) fn then<F: FnOnce() + Send + 'static>(
        mut self,
        changes: impl Iterator<Item = F>,
    ) -> Wakes {
        self.changes.extend(changes.map(|change| Box::new(change) as Box<dyn FnOnce() + Send>));
        self
    }

    /// Wakes them, one after the other. No lock of the kernel may be held.
    pub(super) fn deliver(self) {
        for (watch, key) in self.edges {
            if let Some(epoll) = watch.epoll.upgrade() {
                epoll.edge(watch.item, key);
            }
        }
        for change in self.changes {
            change();
        }
    }
}

/// Both steps: changes the state under the lock, and delivers the wakes after it.
pub(super) fn change<S, R>(object: &impl Mutex<S>, state: impl FnOnce(&mut S) -> (R, Wakes)) -> R {
    let (result, wakes) = state(&mut object.lock());
    wakes.deliver();
    result
}

/// An open file description.
#[derive(Debug)]
pub(super) struct Description<P: Primitives> {
    /// Its name: descriptions are numbered as they are made.
    pub(super) serial: u64,
    pub(super) file: File<P>,
    /// Whether its calls are meant to return `EAGAIN` instead of blocking. Here they always do:
    /// a call that blocks is not simulated. No step of the program: it is settled before a
    /// description is shared.
    pub(super) nonblocking: AtomicBool,
}

/// What a description is of.
#[derive(Debug)]
pub(super) enum File<P: Primitives> {
    Eventfd(P::Mutex<Eventfd>),
    Pipe(Arc<P::Mutex<Pipe>>, End),
    Socket(Arc<P::Mutex<Pair<P>>>, End),
    Datagram(Arc<P::Mutex<Datagram<P>>>),
    Tcp(Arc<P::Mutex<Tcp<P>>>, End),
    Timer(Arc<P::Mutex<Timer>>),
    Epoll(Arc<Epoll<P>>),
    /// An empty regular file, which has no readiness.
    Regular,
}

impl<P: Primitives> Description<P> {
    pub(super) fn new(serial: u64, file: File<P>) -> Description<P> {
        // A regular file is opened by others, who know nothing of pollers.
        let nonblocking = AtomicBool::new(!matches!(file, File::Regular));
        Description { serial, file, nonblocking }
    }

    /// Locks the object; `None` for what is not one in this sense.
    fn with<R>(&self, look: impl FnOnce(&mut dyn Object, End) -> R) -> Option<R> {
        match &self.file {
            File::Eventfd(object) => Some(look(&mut *object.lock(), End::First)),
            File::Pipe(object, end) => Some(look(&mut *object.lock(), *end)),
            File::Socket(object, end) => Some(look(&mut *object.lock(), *end)),
            File::Datagram(object) => Some(look(&mut *object.lock(), End::First)),
            File::Tcp(object, end) => Some(look(&mut *object.lock(), *end)),
            File::Timer(object) => Some(look(&mut *object.lock(), End::First)),
            File::Epoll(_) | File::Regular => None,
        }
    }

    /// The conditions that hold now.
    pub(super) fn poll(&self) -> u32 {
        match &self.file {
            File::Epoll(epoll) => epoll.probe(),
            File::Datagram(socket) => datagram::bits::<P>(socket),
            _ => self.with(|object, end| object.bits(end)).unwrap_or(mask::IN | mask::OUT),
        }
    }

    /// Enters a registration and says what holds, in one step.
    pub(super) fn watch(&self, watch: Watch) -> u32 {
        match &self.file {
            File::Epoll(epoll) => {
                epoll.watch(watch);
                epoll.probe()
            }
            File::Datagram(socket) => {
                socket.lock().watchers(End::First).push(watch);
                datagram::bits::<P>(socket)
            }
            _ => self
                .with(|object, end| {
                    object.watchers(end).push(watch);
                    object.bits(end)
                })
                .unwrap_or(0),
        }
    }

    /// Takes a registration out.
    pub(super) fn unwatch(&self, queue: u64, item: Key) {
        let others = |watch: &Watch| (watch.queue, watch.item) != (queue, item);
        match &self.file {
            File::Epoll(epoll) => epoll.unwatch(others),
            _ => {
                self.with(|object, end| object.watchers(end).retain(others));
            }
        }
    }

    /// The last number is closed: ends the registrations, then lets go of the object, whose
    /// wakes concern the peer. Says whether there is a name to give back.
    pub(super) fn release(&self) -> bool {
        if let File::Epoll(epoll) = &self.file {
            epoll.release();
            return false;
        }
        // Mostly nobody watches any more, and then one lock is enough.
        let mine = |watch: &Watch| watch.item.description == self.serial;
        let first = self.with(|object, end| {
            let mut watchers = object.watchers(end).clone();
            // A FIFO has other descriptions of the same end.
            watchers.retain(mine);
            let named = object.is_named(end);
            if watchers.is_empty() {
                (named, watchers, object.release(end))
            } else {
                (named, watchers, Wakes::none())
            }
        });
        let Some((named, watchers, mut wakes)) = first else { return false };
        if !watchers.is_empty() {
            for watch in watchers {
                if let Some(epoll) = watch.epoll.upgrade() {
                    epoll.forget(watch.item);
                }
            }
            if let Some(rest) = self.with(|object, end| {
                object.watchers(end).retain(|watch| !mine(watch));
                object.release(end)
            }) {
                wakes = rest;
            }
        }
        if let File::Datagram(socket) = &self.file {
            datagram::release::<P>(socket);
        }
        wakes.deliver();
        named
    }

    pub(super) fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        match &self.file {
            File::Eventfd(object) => change(object, |eventfd: &mut Eventfd| eventfd.read(buffer)),
            File::Pipe(pipe, End::First) => {
                change(pipe.as_ref(), |pipe: &mut Pipe| pipe.read(buffer))
            }
            File::Pipe(_, End::Second) => Err(Errno::EBADF),
            // A read of no bytes reaches no socket.
            File::Socket(..) | File::Datagram(_) | File::Tcp(..) if buffer.is_empty() => Ok(0),
            File::Socket(..) | File::Datagram(_) | File::Tcp(..) => self.receive(buffer),
            File::Timer(timer) => timer.lock().read(buffer),
            File::Epoll(_) => Err(Errno::EINVAL),
            File::Regular => Ok(0),
        }
    }

    /// Receives from a socket. Of messages this takes one, also without room for it.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        match &self.file {
            File::Socket(pair, end) => {
                change(pair.as_ref(), |pair: &mut Pair<P>| pair.receive(*end, buffer))
            }
            File::Datagram(socket) => Ok(datagram::receive::<P>(socket, buffer)?.0),
            File::Tcp(tcp, end) => {
                change(tcp.as_ref(), |tcp: &mut Tcp<P>| tcp.receive(*end, buffer))
            }
            _ => Err(Errno::ENOTSOCK),
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<usize> {
        match &self.file {
            File::Eventfd(object) => change(object, |eventfd: &mut Eventfd| eventfd.write(bytes)),
            File::Pipe(pipe, End::Second) => {
                change(pipe.as_ref(), |pipe: &mut Pipe| pipe.write(bytes))
            }
            File::Pipe(_, End::First) => Err(Errno::EBADF),
            File::Socket(pair, end) => {
                change(pair.as_ref(), |pair: &mut Pair<P>| pair.send(*end, bytes))
            }
            File::Datagram(socket) => datagram::send::<P>(socket, None, bytes),
            File::Tcp(tcp, end) => change(tcp.as_ref(), |tcp: &mut Tcp<P>| tcp.send(*end, bytes)),
            File::Timer(_) => Err(Errno::EINVAL),
            File::Epoll(_) => Err(Errno::EINVAL),
            File::Regular => Ok(bytes.len()),
        }
    }

    /// Whether this is a regular file.
    pub(super) fn is_regular(&self) -> bool {
        matches!(self.file, File::Regular)
    }

    /// Whether this is a socket of TCP.
    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.file, File::Tcp(..))
    }

    /// Sends bytes of which the last one is urgent.
    pub(super) fn send_urgent(&self, bytes: &[u8]) -> Result<usize> {
        match &self.file {
            File::Tcp(tcp, end) => {
                change(tcp.as_ref(), |tcp: &mut Tcp<P>| tcp.send_urgent(*end, bytes))
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Whether this is a socket.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self.file, File::Socket(..) | File::Datagram(_) | File::Tcp(..))
    }

    /// Reads from a socket and leaves there what was read.
    pub(super) fn peek_bytes(&self, buffer: &mut [u8]) -> Result<usize> {
        match &self.file {
            File::Socket(pair, end) => pair.lock().peek(*end, buffer),
            File::Tcp(tcp, end) => tcp.lock().peek(*end, buffer),
            File::Datagram(socket) => Ok(datagram::peek::<P>(socket, buffer)?.0),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// Receives from a socket, or looks, and says where it comes from.
    pub(super) fn receive_from(&self, buffer: &mut [u8], look: bool) -> Result<(usize, Address)> {
        let (count, from) = match &self.file {
            File::Datagram(socket) => {
                let received = if look { datagram::peek::<P> } else { datagram::receive::<P> };
                let (count, sender) = received(socket, buffer)?;
                let from = sender.lock().address().cloned();
                (count, from)
            }
            // Both ends of a pair were made without a name, and of streams it is not told.
            _ if look => (self.peek_bytes(buffer)?, None),
            _ => (self.receive(buffer)?, None),
        };
        Ok((count, from.unwrap_or(Address::Unnamed)))
    }

    pub(super) fn shutdown(&self, how: HowToShut) -> Result<()> {
        match &self.file {
            File::Socket(pair, end) => {
                change(pair.as_ref(), |pair: &mut Pair<P>| pair.shutdown(*end, how))
            }
            File::Datagram(socket) => {
                change(socket.as_ref(), |socket: &mut Datagram<P>| (Ok(()), socket.shutdown(how)))
            }
            File::Tcp(tcp, end) => change(tcp.as_ref(), |tcp: &mut Tcp<P>| tcp.shutdown(*end, how)),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// The setting of a TCP socket that sends small segments at once; `set`: changes it first.
    pub(super) fn nodelay(&self, set: Option<bool>) -> Result<bool> {
        match &self.file {
            File::Tcp(tcp, end) => {
                let mut tcp = tcp.lock();
                let setting = tcp.nodelay(*end);
                *setting = set.unwrap_or(*setting);
                Ok(*setting)
            }
            _ if self.is_socket() => Err(Errno::EOPNOTSUPP),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    pub(super) fn take_error(&self) -> Result<Option<Errno>> {
        match &self.file {
            File::Socket(pair, end) => Ok(pair.lock().take_error(*end)),
            File::Tcp(tcp, end) => Ok(tcp.lock().take_error(*end)),
            File::Datagram(socket) => Ok(socket.lock().take_error()),
            _ => Err(Errno::ENOTSOCK),
        }
    }

    pub(super) fn local_address(&self) -> Result<Address> {
        match &self.file {
            File::Socket(pair, end) => Ok(pair.lock().address(*end).cloned()),
            File::Tcp(tcp, end) => {
                let any = || Address::Inet((core::net::Ipv4Addr::UNSPECIFIED, 0).into());
                Ok(Some(tcp.lock().address(*end).cloned().unwrap_or_else(any)))
            }
            File::Datagram(socket) => Ok(socket.lock().address().cloned()),
            _ => Err(Errno::ENOTSOCK),
        }
        .map(|address| address.unwrap_or(Address::Unnamed))
    }

    pub(super) fn peer_address(&self) -> Result<Address> {
        match &self.file {
            File::Socket(pair, end) => pair.lock().peer(*end),
            File::Tcp(tcp, end) => tcp.lock().peer(*end),
            File::Datagram(socket) => {
                let peer = socket.lock().peer().ok_or(Errno::ENOTCONN)?;
                let address = peer.lock().address().cloned();
                Ok(address.unwrap_or(Address::Unnamed))
            }
            _ => Err(Errno::ENOTSOCK),
        }
    }

    /// The event queue that this is.
    pub(super) fn epoll(&self) -> Result<&Arc<Epoll<P>>> {
        match &self.file {
            File::Epoll(epoll) => Ok(epoll),
            _ => Err(Errno::EINVAL),
        }
    }

    /// How many bytes could be read; for an eventfd, its counter. Not a step of the program.
    pub(super) fn peek_buffered(&self) -> usize {
        match &self.file {
            File::Eventfd(object) => object.peek(|object| object.buffered(End::First)),
            File::Pipe(object, end) => object.peek(|object| object.buffered(*end)),
            File::Socket(object, end) => object.peek(|object| object.buffered(*end)),
            File::Datagram(object) => object.peek(|object| object.buffered(End::First)),
            File::Tcp(object, end) => object.peek(|object| object.buffered(*end)),
            File::Timer(object) => object.peek(|object| object.buffered(End::First)),
            File::Epoll(_) | File::Regular => 0,
        }
    }
}
