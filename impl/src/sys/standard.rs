//! Sockets of the standard library, which become ours, and back. Safe code only.

use super::Descriptor;
use crate::driver::Real;
use crate::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use crate::poller::Poller;
use crate::seam::{Kernel, System};
use std::io;
use std::os::fd::OwnedFd;

macro_rules! standard {
    ($($name:ident = $theirs:ty;)*) => {$(
        impl<S: Real + System<Kernel: Kernel<Fd = Descriptor>>> $name<S> {
            /// Takes over a socket of the standard library, on the [current](Poller::current) poller.
            ///
            /// # Errors
            ///
            /// As for [`from_std_on`](Self::from_std_on); those of [`Poller::current`].
            pub fn from_std(socket: $theirs) -> io::Result<Self> {
                $name::from_std_on(&Poller::current()?, socket)
            }
        }

        impl<S: System<Kernel: Kernel<Fd = Descriptor>>> $name<S> {
            /// Takes over a socket of the standard library: makes it non-blocking, for all
            /// duplicates of it, and registers it.
            ///
            /// # Errors
            ///
            /// As for [`adopt`](Poller::adopt); the socket is closed then.
            pub fn from_std_on(poller: &Poller<S>, socket: $theirs) -> io::Result<Self> {
                Ok($name::of(poller.adopt(OwnedFd::from(socket).into())?))
            }

            /// Takes the socket out of the poller and gives it to the standard library. It stays
            /// non-blocking: `set_nonblocking(false)` makes its calls wait.
            ///
            /// # Errors
            ///
            /// As for [`into_fd`](crate::source::Source::into_fd).
            pub fn into_std(self) -> io::Result<$theirs> {
                Ok(OwnedFd::from(self.into_source().into_fd()?).into())
            }
        }
    )*};
}

standard! {
    TcpStream = std::net::TcpStream;
    TcpListener = std::net::TcpListener;
    UdpSocket = std::net::UdpSocket;
    UnixStream = std::os::unix::net::UnixStream;
    UnixListener = std::os::unix::net::UnixListener;
    UnixDatagram = std::os::unix::net::UnixDatagram;
}
