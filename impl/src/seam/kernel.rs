//! What the poller and its I/O types ask of a kernel.
//!
//! Of the implementers some are edge-triggered and hold the set themselves: Linux with epoll
//! ([`Os`](super::Os)), and the simulated kernel of `netpoller-models`. Others are level-triggered:
//! poll(2) ([`Portable`](super::Portable)), and the same simulated kernel asked in that way. Such a
//! backend is told by [`arm`](Kernel::arm) that somebody is about to wait in one direction, reports
//! once, and has to be armed again; and it answers [`SetChange::NeedsBreak`] where a thread that blocks
//! in it would not notice the change (SPEC.md, sections 10 and 16).
//!
//! Objects are created non-blocking and close-on-exec. Every call maps to one system call
//! (creation may take a few) and is passed through: no retry on EINTR, no policy.

use super::option::{Group, SocketOption, Taking};
use core::fmt::Debug;
use core::time::Duration;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::PathBuf;

/// A kernel: descriptors, what can be done with them, and the event queue that reports on them.
pub trait Kernel: Debug + Send + Sync + 'static {
    /// An open descriptor. The value owns the number: it is closed by [`close`](Kernel::close),
    /// or when the value is dropped, whichever comes first.
    type Fd: Debug + Send + Sync;
    /// An event queue together with its break.
    type Queue: Debug + Send + Sync;
    /// A buffer of harvested events, used again and again.
    type Batch: Batch;

    /// A pipe: the end to read from, the end to write to.
    ///
    /// # Errors
    ///
    /// Those of pipe(2), for example an exhausted table of descriptors.
    fn pipe(&self) -> io::Result<(Self::Fd, Self::Fd)>;

    /// Two connected Unix sockets.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    fn socket_pair(&self, kind: Kind) -> io::Result<(Self::Fd, Self::Fd)>;

    /// A socket of the family of `address`, not bound and not connected.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    fn socket(&self, address: &Address, kind: Kind) -> io::Result<Self::Fd>;

    /// Gives the socket a local address.
    ///
    /// # Errors
    ///
    /// Those of bind(2).
    fn bind(&self, fd: &Self::Fd, address: &Address) -> io::Result<()>;

    /// Makes the socket accept connections.
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    fn listen(&self, fd: &Self::Fd, backlog: u32) -> io::Result<()>;

    /// Begins to connect. A connection that is under way is reported as an error with
    /// `EINPROGRESS`; it is over when the descriptor becomes writable.
    ///
    /// # Errors
    ///
    /// Those of connect(2).
    fn connect(&self, fd: &Self::Fd, address: &Address) -> io::Result<()>;

    /// Takes the next connection, and says where it comes from.
    ///
    /// # Errors
    ///
    /// Those of accept(2).
    fn accept(&self, fd: &Self::Fd) -> io::Result<(Self::Fd, Address)>;

    /// Takes the pending error of a socket, `SO_ERROR`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2); the error that was pending is in `Ok`.
    fn take_error(&self, fd: &Self::Fd) -> io::Result<Option<io::Error>>;

    /// The local address of a socket.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    fn local_address(&self, fd: &Self::Fd) -> io::Result<Address>;

    /// The address of the peer; an error while there is none.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2).
    fn peer_address(&self, fd: &Self::Fd) -> io::Result<Address>;

    /// Shuts one direction of a connection, or both.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    fn shutdown(&self, fd: &Self::Fd, how: HowToShut) -> io::Result<()>;

    /// Reads; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of read(2); [`io::ErrorKind::WouldBlock`] when there is nothing.
    fn read(&self, fd: &Self::Fd, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for. Never raises SIGPIPE on a socket.
    ///
    /// # Errors
    ///
    /// Those of write(2); [`io::ErrorKind::WouldBlock`] when there is no room.
    fn write(&self, fd: &Self::Fd, bytes: &[u8]) -> io::Result<usize>;

    /// Reads into several buffers, one after the other.
    ///
    /// # Errors
    ///
    /// Those of readv(2).
    fn read_vectored(&self, fd: &Self::Fd, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Writes several pieces, one after the other. Never raises SIGPIPE on a socket.
    ///
    /// # Errors
    ///
    /// Those of writev(2).
    fn write_vectored(&self, fd: &Self::Fd, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Reads from a socket and leaves there what was read.
    ///
    /// # Errors
    ///
    /// Those of recv(2) with `MSG_PEEK`.
    fn peek(&self, fd: &Self::Fd, buffer: &mut [u8]) -> io::Result<usize>;

    /// Receives from a socket. Of a datagram socket it takes one message, whatever the size of the
    /// buffer: what does not fit is lost, and 0 may be a message of no bytes.
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    fn receive(&self, _fd: &Self::Fd, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(not_here("recv"))
    }

    /// The same, and where it comes from; or a look that leaves it there.
    ///
    /// # Errors
    ///
    /// Those of recvfrom(2).
    fn receive_from(
        &self,
        _fd: &Self::Fd,
        _buffer: &mut [u8],
        _taking: Taking,
    ) -> io::Result<(usize, Address)> {
        Err(not_here("recvfrom"))
    }

    /// Sends a message to an address. Never raises SIGPIPE.
    ///
    /// # Errors
    ///
    /// Those of sendto(2).
    fn send_to(&self, _fd: &Self::Fd, _bytes: &[u8], _to: &Address) -> io::Result<usize> {
        Err(not_here("sendto"))
    }

    /// Whether a call in this direction would find something now, an error or an end included.
    ///
    /// # Errors
    ///
    /// Those of poll(2); `EBADF` for a number that is not open.
    fn is_ready(&self, _fd: &Self::Fd, _mode: Mode) -> io::Result<bool> {
        Err(not_here("poll"))
    }

    /// The setting of an option of a socket.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    fn option(&self, _fd: &Self::Fd, _option: SocketOption) -> io::Result<u32> {
        Err(not_here("getsockopt"))
    }

    /// Sets an option of a socket.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    fn set_option(&self, _fd: &Self::Fd, _option: SocketOption, _value: u32) -> io::Result<()> {
        Err(not_here("setsockopt"))
    }

    /// Joins a multicast group, or leaves it.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    fn set_member(&self, _fd: &Self::Fd, _group: &Group, _member: bool) -> io::Result<()> {
        Err(not_here("setsockopt"))
    }

    /// Whether a socket may be bound to an address on which connections of an earlier one are
    /// still ending, `SO_REUSEADDR`. To be said before [`bind`](Kernel::bind).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    fn set_reuse_address(&self, fd: &Self::Fd, on: bool) -> io::Result<()>;

    /// Whether this is a socket of TCP itself, `SO_PROTOCOL`, so that a short read has emptied it unless a
    /// report says otherwise (SPEC.md, section 19, K-8). No, where nobody knows.
    fn is_plain_tcp(&self, _fd: &Self::Fd) -> bool {
        false
    }

    /// Whether a TCP socket sends small pieces at once, `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    fn nodelay(&self, fd: &Self::Fd) -> io::Result<bool>;

    /// Makes a TCP socket send small pieces at once, or collect them.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    fn set_nodelay(&self, fd: &Self::Fd, on: bool) -> io::Result<()>;

    /// Whether calls on the open file description return `EAGAIN` instead of blocking.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2), `F_GETFL`.
    fn nonblocking(&self, fd: &Self::Fd) -> io::Result<bool>;

    /// Makes calls on the open file description return `EAGAIN` instead of blocking, or block.
    /// Concerns all numbers of that description, those of other processes among them.
    ///
    /// # Errors
    ///
    /// Those of ioctl(2), `FIONBIO`.
    fn set_nonblocking(&self, fd: &Self::Fd, on: bool) -> io::Result<()>;

    /// Another number for the same open file description.
    ///
    /// # Errors
    ///
    /// Those of dup(2).
    fn dup(&self, fd: &Self::Fd) -> io::Result<Self::Fd>;

    /// Gives the number back. It is gone afterwards, whatever the result: EINTR is not retried.
    ///
    /// By reference, so that the last user of a descriptor that many share can do it. The caller
    /// has to know that nobody uses `fd` meanwhile or afterwards: a call on a number that was
    /// closed fails with `EBADF`, or panics where a model looks on.
    ///
    /// # Errors
    ///
    /// Those of close(2). `EBADF` for the second close of a value, which does nothing.
    fn close(&self, fd: &Self::Fd) -> io::Result<()>;

    /// Which process this is. An event queue is shared with a child that was forked.
    fn process(&self) -> u32 {
        0
    }

    /// The number of a descriptor, for diagnostics; `None` where they have none.
    fn number(&self, _fd: &Self::Fd) -> Option<i32> {
        None
    }

    /// The addresses of the socket that has this number at the moment, its own and its peer's, for
    /// diagnostics; `None` for what has none, or where nobody knows.
    fn addresses(&self, _number: i32) -> [Option<Address>; 2] {
        [None, None]
    }

    /// An event queue with its break, which is registered under [`Token::BREAK`] and is reported
    /// for as long as a token is there.
    ///
    /// # Errors
    ///
    /// Those of epoll_create(2) and eventfd(2), or of pipe(2).
    fn queue(&self) -> io::Result<Self::Queue>;

    /// Registers a descriptor for both directions. What is true of it already is reported: by an
    /// edge-triggered backend to the next wait, by a level-triggered one to whoever arms.
    ///
    /// # Errors
    ///
    /// [`RegisterFault`] tells a descriptor that cannot be polled from other failures.
    fn add(
        &self,
        queue: &Self::Queue,
        fd: &Self::Fd,
        token: Token,
    ) -> Result<SetChange, RegisterFault>;

    /// Ends a registration. Events harvested before may still be under way. A backend whose kernel
    /// holds on to a number while it is asked about it returns when nobody does.
    ///
    /// # Errors
    ///
    /// Those of epoll_ctl(2).
    fn remove(&self, queue: &Self::Queue, fd: &Self::Fd) -> io::Result<SetChange>;

    /// Somebody is about to wait for `mode`. An edge-triggered backend has nothing to do; a
    /// level-triggered one reports that direction once and then falls silent until it is armed
    /// again. Called after the error check and before the task parks.
    ///
    /// # Errors
    ///
    /// Those of the backend.
    fn arm(
        &self,
        queue: &Self::Queue,
        fd: &Self::Fd,
        token: Token,
        mode: Mode,
    ) -> io::Result<SetChange>;

    /// Waits for events and puts them into `batch`, which is emptied first. Returns early only
    /// with an error.
    ///
    /// # Errors
    ///
    /// Those of epoll_wait(2) or poll(2), [`io::ErrorKind::Interrupted`] among them.
    fn wait(
        &self,
        queue: &Self::Queue,
        batch: &mut Self::Batch,
        timeout: Timeout,
    ) -> io::Result<()>;

    /// Puts a break token into the queue. Tokens may merge; putting one where the counter is
    /// full succeeds.
    ///
    /// # Errors
    ///
    /// Those of write(2).
    fn post(&self, queue: &Self::Queue) -> io::Result<()>;

    /// Takes all break tokens out of the queue. Finding none is not an error: another poller was
    /// quicker.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    fn drain(&self, queue: &Self::Queue) -> io::Result<()>;
}

/// The error of a call that a kernel does not have: not every one has all kinds of sockets.
fn not_here(call: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("this kernel has no {call}"))
}

/// A buffer of harvested events.
pub trait Batch: Debug + Send {
    /// A buffer for this many events, at least 1.
    fn with_capacity(events: usize) -> Self;
    /// How many were harvested.
    fn len(&self) -> usize;
    /// Whether none was.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The event at a place below [`len`](Batch::len).
    fn get(&self, place: usize) -> Event;
}

/// One harvested event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the registration was named.
    pub token: Token,
    /// What is true of the descriptor.
    pub bits: Bits,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Not at all.
    Zero,
    /// This long at least; more than zero.
    After(Duration),
    /// Until there is an event.
    Never,
}

/// Whether a thread that blocks in the kernel takes note of a change of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetChange {
    /// The kernel holds the set: the change is in force.
    InForce,
    /// A blocked thread waits on the old set and has to be broken out of its wait.
    NeedsBreak,
}

/// Why a descriptor could not be registered.
#[derive(Debug)]
pub enum RegisterFault {
    /// Its kind has no readiness: a regular file, a directory (EPERM from epoll).
    NotPollable(io::Error),
    /// Anything else: the number is not open, it is registered already, memory or the limit on
    /// registrations is exhausted.
    Failed(io::Error),
}

/// Kinds of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A stream of bytes.
    Stream,
    /// Messages, each sent and received whole.
    Datagram,
}

/// Which direction of a connection to shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HowToShut {
    /// No more reading.
    Read,
    /// No more writing: the peer reads the end of the stream.
    Write,
    /// Neither.
    Both,
}

/// An address of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IPv4 or IPv6 address and port.
    Inet(core::net::SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
    /// A Unix socket without a name.
    Unnamed,
}

/// How far a connection has come, by what a call says about it: [`Kernel::connect`], or the
/// error that was pending ([`Kernel::take_error`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connecting {
    /// It is under way: `EINPROGRESS`, `EALREADY`, or `EINTR`, which does not stop it.
    UnderWay,
    /// It is there already: `EISCONN`.
    Done,
    /// It has failed.
    Failed,
}

impl Connecting {
    /// What `error` says.
    #[must_use]
    pub fn of(error: &io::Error) -> Connecting {
        match error.raw_os_error() {
            Some(libc::EINPROGRESS | libc::EALREADY | libc::EINTR) => Connecting::UnderWay,
            Some(libc::EISCONN) => Connecting::Done,
            _ => Connecting::Failed,
        }
    }
}

/// What the error of [`Kernel::accept`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepting {
    /// That one connection, which is gone: the next one may be fine.
    Gone,
    /// The process or the machine, which has no number or no memory left: the connection is still there.
    Exhausted,
    /// The listener.
    Failed,
}

impl Accepting {
    /// What `error` says.
    #[must_use]
    pub fn of(error: &io::Error) -> Accepting {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
                Accepting::Exhausted
            }
            // Linux hands on what the network has said of the connection; EPERM is a firewall's word.
            Some(
                libc::ECONNABORTED
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EPERM,
            ) => Accepting::Gone,
            #[cfg(target_os = "linux")]
            Some(libc::ENONET) => Accepting::Gone,
            _ => Accepting::Failed,
        }
    }
}
