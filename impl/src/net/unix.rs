//! Unix stream sockets.

use super::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{Incoming, ListenOptions, accept, connect, is_a_source, is_a_stream};
use crate::driver::Real;
use crate::poller::Poller;
use crate::seam::{Address, Kernel, System};
use crate::source::Source;
use netpoller_spec::Mode;
use std::io;
use std::path::Path;

/// A connection between two Unix sockets.
pub struct UnixStream<S: System> {
    source: Source<S>,
}

/// A Unix socket that listens.
///
/// Its file is not removed when it is closed.
pub struct UnixListener<S: System> {
    source: Source<S>,
}

is_a_source!(UnixStream, "UnixStream");
is_a_source!(UnixListener, "UnixListener");
is_a_stream! {
    /// ```
    /// use std::io::{Read, Write};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (a, b) = netpoller::UnixStream::pair_on(&poller)?;
    /// let (read, mut write) = a.into_split();
    /// write.write_all(b"the last word")?;
    /// drop(write); // the end, for b
    /// let mut text = String::new();
    /// (&b).read_to_string(&mut text)?;
    /// assert_eq!(text, "the last word");
    /// # drop(read);
    /// # Ok(())
    /// # }
    /// ```
    UnixStream
}

impl<S: Real> UnixStream<S> {
    /// Connects, on the [current](Poller::current) poller.
    ///
    /// # Errors
    ///
    /// As for [`connect_on`](Self::connect_on); those of [`Poller::current`].
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        UnixStream::connect_on(&Poller::current()?, path)
    }
}

impl<S: System> UnixStream<S> {
    /// Connects to the listener at `path`. A path that begins with a NUL byte is a name in the
    /// abstract namespace. This does not wait: the kernel says at once how it is.
    ///
    /// # Errors
    ///
    /// Those of socket(2) and connect(2): kind `WouldBlock` where the listener has as many
    /// connections waiting as it takes. Kind `InvalidInput` for a path that does not fit.
    pub fn connect_on(poller: &Poller<S>, path: impl AsRef<Path>) -> io::Result<Self> {
        let source = connect::connect(poller, &Address::Unix(path.as_ref().into()), None)?;
        Ok(UnixStream { source })
    }

    /// Two sockets that are connected with each other.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2) and of [`register`](Poller::register).
    pub fn pair_on(poller: &Poller<S>) -> io::Result<(Self, Self)> {
        let (one, other) = poller.stream_pair()?;
        Ok((UnixStream { source: one }, UnixStream { source: other }))
    }

    /// The own address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn local_addr(&self) -> io::Result<Address> {
        self.source.using(|kernel, fd| kernel.local_address(fd))
    }

    /// The address of the peer, which mostly has none ([`Address::Unnamed`]).
    ///
    /// # Errors
    ///
    /// Those of getpeername(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn peer_addr(&self) -> io::Result<Address> {
        self.source.using(|kernel, fd| kernel.peer_address(fd))
    }
}

impl<S: Real> UnixListener<S> {
    /// Listens at `path`, on the [current](Poller::current) poller.
    ///
    /// # Errors
    ///
    /// As for [`bind_on`](Self::bind_on); those of [`Poller::current`].
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        UnixListener::bind_on(&Poller::current()?, path)
    }
}

impl<S: System> UnixListener<S> {
    /// Listens at `path`, where no file may be. A path that begins with a NUL byte is a name in the
    /// abstract namespace.
    ///
    /// # Errors
    ///
    /// Those of socket(2), bind(2), listen(2), and of [`register`](Poller::register). Kind
    /// `InvalidInput` for a path that does not fit.
    pub fn bind_on(poller: &Poller<S>, path: impl AsRef<Path>) -> io::Result<Self> {
        ListenOptions::new().unix_on(poller, path)
    }

    /// Takes the next connection, blocking the thread until there is one. The stream is registered
    /// with the poller of the listener.
    ///
    /// # Errors
    ///
    /// Those of accept(2); when the table of descriptors is full the connection stays, for a later
    /// call. [`Reason::Closed`](crate::Reason::Closed).
    pub fn accept(&self) -> io::Result<(UnixStream<S>, Address)> {
        let (source, from) = accept::accept(&self.source)?;
        Ok((UnixStream { source }, from))
    }

    /// Takes the next connection.
    ///
    /// Cancel safety: when the future is dropped no connection is lost.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub async fn async_accept(&self) -> io::Result<(UnixStream<S>, Address)> {
        let (source, from) = accept::async_accept(&self.source).await?;
        Ok((UnixStream { source }, from))
    }

    /// All connections, one after the other, until the listener is closed.
    #[must_use]
    pub fn incoming(&self) -> Incoming<'_, Self> {
        Incoming::of(self)
    }

    /// The address at which it listens.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2); [`Reason::Closed`](crate::Reason::Closed).
    pub fn local_addr(&self) -> io::Result<Address> {
        self.source.using(|kernel, fd| kernel.local_address(fd))
    }
}
