//! TCP.

use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{Incoming, ListenOptions, Target, accept, connect, is_a_source, is_a_stream};
use crate::driver::Real;
use crate::poller::Poller;
use crate::seam::{Address, Instant, Kernel, SocketAddr, System};
use crate::source::Source;
use core::time::Duration;
use netpoller_spec::Mode;
use std::io;

/// A TCP connection.
pub struct TcpStream<S: System> {
    source: Source<S>,
}

/// A TCP socket that listens.
///
/// When its [`close`](Source::close) returns, its port is free.
pub struct TcpListener<S: System> {
    source: Source<S>,
}

is_a_source!(TcpStream, "TcpStream");
is_a_source!(TcpListener, "TcpListener");
is_a_stream! {
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = netpoller::TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    /// let client = netpoller::TcpStream::connect(listener.local_addr()?)?;
    /// let (server, _from) = listener.accept()?;
    /// let (mut requests, mut answers) = server.into_split();
    /// let echo = std::thread::spawn(move || std::io::copy(&mut requests, &mut answers));
    /// (&client).write_all(b"hello")?;
    /// client.shutdown(netpoller::HowToShut::Write)?;
    /// let mut text = String::new();
    /// (&client).read_to_string(&mut text)?; // up to the end, which is that of `answers`
    /// assert_eq!((text.as_str(), echo.join().unwrap()?), ("hello", 5));
    /// # Ok(())
    /// # }
    /// ```
    TcpStream
}

pub(super) fn inet(address: Address) -> io::Result<SocketAddr> {
    match address {
        Address::Inet(address) => Ok(address),
        other => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("an internet socket with the address {other:?}"),
        )),
    }
}

impl<S: Real> TcpStream<S> {
    /// Connects, blocking the thread, on the [current](Poller::current) poller.
    ///
    /// # Errors
    ///
    /// As for [`connect_on`](Self::connect_on); those of [`Poller::current`].
    pub fn connect(to: impl Into<Target>) -> io::Result<Self> {
        TcpStream::connect_on(&Poller::current()?, to)
    }

    /// Connects, on the [current](Poller::current) poller.
    ///
    /// Cancel safety: as for [`async_connect_on`](Self::async_connect_on).
    ///
    /// # Errors
    ///
    /// As for [`connect_on`](Self::connect_on); those of [`Poller::current`].
    pub async fn async_connect(to: impl Into<Target>) -> io::Result<Self> {
        TcpStream::async_connect_on(&Poller::current()?, to).await
    }

    /// Connects until `deadline`, blocking the thread, on the [current](Poller::current) poller,
    /// whose clock the deadline is of.
    ///
    /// # Errors
    ///
    /// As for [`connect_by_on`](Self::connect_by_on); those of [`Poller::current`].
    pub fn connect_by(to: impl Into<Target>, deadline: Option<Instant>) -> io::Result<Self> {
        TcpStream::connect_by_on(&Poller::current()?, to, deadline)
    }

    /// Connects until `deadline`, on the [current](Poller::current) poller, whose clock the deadline
    /// is of.
    ///
    /// Cancel safety: as for [`async_connect_on`](Self::async_connect_on).
    ///
    /// # Errors
    ///
    /// As for [`connect_by_on`](Self::connect_by_on); those of [`Poller::current`].
    pub async fn async_connect_by(
        to: impl Into<Target>,
        deadline: Option<Instant>,
    ) -> io::Result<Self> {
        TcpStream::async_connect_by_on(&Poller::current()?, to, deadline).await
    }
}

impl<S: Real> TcpStream<S> {
    /// Connects within `time`, blocking the thread, on the [current](Poller::current) poller.
    ///
    /// # Errors
    ///
    /// As for [`connect_by_on`](Self::connect_by_on); those of [`Poller::current`].
    pub fn connect_timeout(to: impl Into<Target>, time: Duration) -> io::Result<Self> {
        let poller = Poller::current()?;
        let deadline = poller.now().saturating_add(time);
        TcpStream::connect_by_on(&poller, to, Some(deadline))
    }

    /// Connects within `time`, from the first poll on, on the [current](Poller::current) poller.
    ///
    /// Cancel safety: as for [`async_connect_on`](Self::async_connect_on).
    ///
    /// # Errors
    ///
    /// As for [`connect_by_on`](Self::connect_by_on); those of [`Poller::current`].
    pub async fn async_connect_timeout(to: impl Into<Target>, time: Duration) -> io::Result<Self> {
        let poller = Poller::current()?;
        let deadline = poller.now().saturating_add(time);
        TcpStream::async_connect_by_on(&poller, to, Some(deadline)).await
    }
}

impl<S: System> TcpStream<S> {
    /// Connects, blocking the thread, which polls the poller if nobody else does.
    ///
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = netpoller::TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    /// let there = listener.local_addr()?;
    /// let server = std::thread::spawn(move || -> std::io::Result<()> {
    ///     let (stream, _from) = listener.accept()?;
    ///     (&stream).write_all(b"hello")
    /// });
    /// let stream = netpoller::TcpStream::connect(there)?;
    /// let mut text = String::new();
    /// (&stream).read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # server.join().expect("the server panicked")
    /// # }
    /// ```
    ///
    /// `to` is an address, several of them, or `host:port` ([`Target`]). Several, or those of a name, are tried in
    /// their order, and the first that connects is it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let listener = netpoller::TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    /// let port = listener.local_addr()?.port();
    /// let poller = netpoller::Poller::new()?;
    /// let stream = netpoller::TcpStream::connect_on(&poller, ("localhost", port))?;
    /// assert_eq!(stream.peer_addr()?.port(), port);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the last address: of socket(2) and connect(2), of which kind `ConnectionRefused` is the most
    /// common, and of [`register`](Poller::register). Those of the resolver; kind `InvalidInput` where there
    /// is no address.
    pub fn connect_on(poller: &Poller<S>, to: impl Into<Target>) -> io::Result<Self> {
        TcpStream::connect_by_on(poller, to, None)
    }

    /// Connects. A name is looked up by a thread of its own, since the resolver of the system blocks.
    ///
    /// Cancel safety: dropping the future closes the socket, and the attempt is over. A lookup
    /// goes on until the resolver has answered, and its result is thrown away.
    ///
    /// # Errors
    ///
    /// As for [`connect_on`](Self::connect_on).
    pub async fn async_connect_on(poller: &Poller<S>, to: impl Into<Target>) -> io::Result<Self> {
        TcpStream::async_connect_by_on(poller, to, None).await
    }

    /// Connects until `deadline` at the latest, blocking the thread; `None`: however long it takes.
    /// The deadline is an instant of [`Poller::now`]. It is that of the attempt: the stream that is
    /// returned has none. The thread polls the poller if nobody else does.
    ///
    /// The deadline covers all addresses and the lookup of a name, which another thread makes then. Each
    /// address has its share of the time, what is left divided by how many are left, or two seconds if
    /// that is more and as many are left: one that does not answer does not take all of it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let listener = netpoller::TcpListener::bind_on(&poller, "127.0.0.1:0".parse().unwrap())?;
    /// let deadline = poller.now().saturating_add(Duration::from_secs(5));
    /// let stream =
    ///     netpoller::TcpStream::connect_by_on(&poller, listener.local_addr()?, Some(deadline))?;
    /// assert_eq!(stream.deadline(netpoller::Mode::Write)?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`connect_on`](Self::connect_on). Kind `TimedOut`
    /// ([`Reason::DeadlineExceeded`](crate::Reason::DeadlineExceeded)) from the deadline on, never
    /// earlier; the socket is closed then. When the deadline has passed already no attempt is made.
    /// The system gives up by itself after a while, with the same kind and no reason.
    pub fn connect_by_on(
        poller: &Poller<S>,
        to: impl Into<Target>,
        deadline: Option<Instant>,
    ) -> io::Result<Self> {
        let source = connect::connect_to(poller, to.into(), deadline)?;
        Ok(TcpStream { source })
    }

    /// The same without blocking the thread.
    ///
    /// Cancel safety: dropping the future closes the socket, and the attempt is over.
    ///
    /// # Errors
    ///
    /// As for [`connect_by_on`](Self::connect_by_on).
    pub async fn async_connect_by_on(
        poller: &Poller<S>,
        to: impl Into<Target>,
        deadline: Option<Instant>,
    ) -> io::Result<Self> {
        let source = connect::async_connect_to(poller, to.into(), deadline).await?;
        Ok(TcpStream { source })
    }

    /// The own address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(self.source.using(|kernel, fd| kernel.local_address(fd))?)
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): kind `NotConnected` once the connection is over;
    /// [`Reason::Closed`](crate::Reason::Closed).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        inet(self.source.using(|kernel, fd| kernel.peer_address(fd))?)
    }

    /// Whether small pieces are sent at once.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.source.using(|kernel, fd| kernel.nodelay(fd))
    }

    /// Sends small pieces at once, or collects them. They are collected unless this is called.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.source.using(|kernel, fd| kernel.set_nodelay(fd, on))
    }
}

impl<S: Real> TcpListener<S> {
    /// Listens at `address`, on the [current](Poller::current) poller.
    ///
    /// # Errors
    ///
    /// As for [`bind_on`](Self::bind_on); those of [`Poller::current`].
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        TcpListener::bind_on(&Poller::current()?, address)
    }
}

impl<S: System> TcpListener<S> {
    /// Listens at `address`; port 0 stands for a free one. Connections of an earlier listener
    /// that are still ending do not stand in the way (`SO_REUSEADDR`). [`ListenOptions`] has more to choose.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2), listen(2), and of [`register`](Poller::register).
    pub fn bind_on(poller: &Poller<S>, address: SocketAddr) -> io::Result<Self> {
        ListenOptions::new().tcp_on(poller, address)
    }

    /// Takes the next connection, blocking the thread until there is one, or until the
    /// [read deadline](Source::set_read_deadline) of the listener. The stream is registered with the
    /// poller of the listener.
    ///
    /// # Errors
    ///
    /// Those of accept(2), but not that of a connection that is gone again. When the table of
    /// descriptors is full the connection stays, for a later call.
    /// [`Reason::Closed`](crate::Reason::Closed).
    pub fn accept(&self) -> io::Result<(TcpStream<S>, SocketAddr)> {
        let (source, from) = accept::accept(&self.source)?;
        Ok((TcpStream { source }, inet(from)?))
    }

    /// Takes the next connection.
    ///
    /// Cancel safety: when the future is dropped no connection is lost.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub async fn async_accept(&self) -> io::Result<(TcpStream<S>, SocketAddr)> {
        let (source, from) = accept::async_accept(&self.source).await?;
        Ok((TcpStream { source }, inet(from)?))
    }

    /// All connections, one after the other, until the listener is closed.
    ///
    /// ```
    /// use std::io::Write;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let listener = netpoller::TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    /// let there = listener.local_addr()?;
    /// std::thread::scope(|scope| {
    ///     let server = scope.spawn(|| -> std::io::Result<usize> {
    ///         let mut served = 0;
    ///         for accepted in listener.incoming() {
    ///             let (stream, _from) = accepted?;
    ///             (&stream).write_all(b"hello")?;
    ///             served += 1;
    ///         }
    ///         Ok(served) // it was closed
    ///     });
    ///     let mut text = [0; 5];
    ///     std::io::Read::read_exact(&mut &netpoller::TcpStream::connect(there)?, &mut text)?;
    ///     listener.close()?;
    ///     assert_eq!(server.join().expect("the server panicked")?, 1);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming::of(self)
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        inet(self.source.using(|kernel, fd| kernel.local_address(fd))?)
    }
}
