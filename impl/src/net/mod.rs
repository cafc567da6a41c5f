//! Sockets: streams, listeners and datagrams, of TCP, UDP and Unix.
//!
//! Each type is a [`Source`](crate::source::Source) with what its kind of socket can do besides, and
//! lends it (`Deref`): so every stream reads, writes, shuts and closes in both styles, and takes
//! turns, as a source does.
//!
//! | file | what it holds |
//! |---|---|
//! | `connect` | the way of a connection: connect(2) once, wait, look |
//! | `target` | where to: addresses in their order, and names |
//! | `accept` | the next connection of a listener |
//! | `incoming` | all of them, one after the other, without numbers too |
//! | `listen` | how a listener is made |
//! | `tcp`, `unix` | the types of streams and listeners |
//! | `split` | the two directions of a stream as two values |
//! | `datagram` | messages |
//! | `udp`, `unix_datagram` | their types |
//!
//! Names are resolved by the system, in `target`.

mod accept;
mod connect;
mod datagram;
mod incoming;
mod listen;
mod split;
mod target;
mod tcp;
mod udp;
mod unix;
mod unix_datagram;

pub use incoming::{Incoming, Listener};
pub use listen::ListenOptions;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, Stream, WriteHalf};
pub use target::Target;
pub use tcp::{TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};
pub use unix_datagram::UnixDatagram;

/// What a type that is a source has because of that.
macro_rules! is_a_source {
    ($name:ident, $text:literal) => {
        impl<S: System> core::ops::Deref for $name<S> {
            type Target = Source<S>;

            fn deref(&self) -> &Source<S> {
                &self.source
            }
        }

        impl<S: System> $name<S> {
            /// Of a source that is a socket of this kind.
            pub(crate) fn of(source: Source<S>) -> Self {
                $name { source }
            }

            /// The source that it is, for whoever wants to take the number back
            /// ([`Source::into_fd`]).
            #[must_use]
            pub fn into_source(self) -> Source<S> {
                self.source
            }
        }

        impl<S: System> core::fmt::Debug for $name<S> {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple($text).field(&self.source).finish()
            }
        }
    };
}

/// What a stream has besides.
macro_rules! is_a_stream {
    ($(#[$example:meta])* $name:ident) => {
        impl<S: System> $name<S> {
            /// Its two directions, borrowed.
            #[must_use]
            pub fn split(&self) -> (ReadHalf<'_, Self>, WriteHalf<'_, Self>) {
                split::borrowed(self)
            }

            /// Its two directions as values of their own. Dropping the half that writes shuts writing, so
            /// the peer reads the end of the stream; dropping both closes it.
            ///
            $(#[$example])*
            #[must_use]
            pub fn into_split(self) -> (OwnedReadHalf<Self>, OwnedWriteHalf<Self>) {
                split::owned(self)
            }

            /// Reads what is there and leaves it there, waiting until there is something.
            /// `Ok(0)`: the end of the stream, or an empty buffer.
            ///
            /// # Errors
            ///
            /// Those of recv(2); [`Reason`](crate::Reason) `Closed`.
            pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
                if buffer.is_empty() {
                    return self.source.nothing();
                }
                self.source.operate_blocking(Mode::Read, |kernel, fd| kernel.peek(fd, buffer))
            }

            /// The same without blocking the thread.
            ///
            /// Cancel safety: nothing is taken out in any case.
            ///
            /// # Errors
            ///
            /// Those of recv(2); [`Reason`](crate::Reason) `Closed`.
            pub async fn async_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
                if buffer.is_empty() {
                    return self.source.nothing();
                }
                self.source.operate(Mode::Read, |kernel, fd| kernel.peek(fd, buffer)).await
            }
        }

        /// The blocking style. The thread polls the poller if nobody else does.
        impl<S: System> io::Read for &$name<S> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (&self.source).read(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [io::IoSliceMut<'_>]) -> io::Result<usize> {
                (&self.source).read_vectored(buffers)
            }
        }

        /// The blocking style. The thread polls the poller if nobody else does.
        impl<S: System> io::Write for &$name<S> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                (&self.source).write(bytes)
            }

            fn write_vectored(&mut self, pieces: &[io::IoSlice<'_>]) -> io::Result<usize> {
                (&self.source).write_vectored(pieces)
            }

            /// Nothing is buffered here.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    };
}

use {is_a_source, is_a_stream};
