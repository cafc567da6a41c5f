//! Messages: what sockets of UDP and Unix datagram sockets have in common.
//!
//! A message is sent whole and received whole, and its length may be 0. So nothing here is short-cut
//! that is one for streams: **no bytes are not the end**, an empty buffer takes a message out, and no
//! bytes are sent as a message. (Go: a read of 0 bytes is `io.EOF` for streams only.)
//!
//! The steps are those of every operation (`operation`): one system call, and a wait on EAGAIN.
//!
//! Out of scope: names, and what becomes of a message on its way.

use crate::seam::{Address, Kernel, System, Taking};
use crate::source::{Fd, Source};
use netpoller_spec::Mode;
use std::io;

/// The system call of a receive with the address of the sender.
fn from<S: System>(
    buffer: &mut [u8],
    taking: Taking,
) -> impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<(usize, Address)> {
    move |kernel, fd| kernel.receive_from(fd, buffer, taking)
}

pub(super) fn receive_from<S: System>(
    source: &Source<S>,
    buffer: &mut [u8],
    taking: Taking,
) -> io::Result<(usize, Address)> {
    source.operate_blocking(Mode::Read, from::<S>(buffer, taking))
}

pub(super) async fn async_receive_from<S: System>(
    source: &Source<S>,
    buffer: &mut [u8],
    taking: Taking,
) -> io::Result<(usize, Address)> {
    source.operate(Mode::Read, from::<S>(buffer, taking)).await
}

/// What both types have.
macro_rules! has_messages {
    ($name:ident, $address:ty, $decode:path) => {
        impl<S: System> $name<S> {
            /// Sends a message to the peer that the socket is [connected](Self::connect) with, blocking the thread
            /// until there is room. It is sent whole, or not at all; one of no bytes is a message too.
            ///
            /// # Errors
            ///
            /// Those of send(2): what the peer's side has reported about an *earlier* message, kind
            /// `ConnectionRefused`, is told once, by the next call in either direction; kind `NotConnected`, or
            /// that of `EDESTADDRREQ`, without a peer; that of `EMSGSIZE` for what is too long.
            /// [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`.
            pub fn send(&self, message: &[u8]) -> io::Result<usize> {
                self.source.operate_blocking(Mode::Write, |kernel, fd| kernel.write(fd, message))
            }

            /// The same without blocking the thread.
            ///
            /// Cancel safety: when the future is dropped nothing has been sent.
            ///
            /// # Errors
            ///
            /// As for [`send`](Self::send).
            pub async fn async_send(&self, message: &[u8]) -> io::Result<usize> {
                self.source.operate(Mode::Write, |kernel, fd| kernel.write(fd, message)).await
            }

            /// The same without waiting, neither for room nor for a turn.
            ///
            /// # Errors
            ///
            /// As for [`send`](Self::send); kind `WouldBlock` when there is no room.
            pub fn try_send(&self, message: &[u8]) -> io::Result<usize> {
                self.source.using(|kernel, fd| uninterrupted(|| kernel.write(fd, message)))
            }

            /// Receives one message, blocking the thread until there is one. `Ok(0)` is a message of
            /// no bytes: there is no end.
            ///
            /// **What does not fit into the buffer is lost**, and the count does not tell (`MSG_TRUNC`): a buffer that
            /// came back full may be all of a message or a piece of one. An empty buffer takes a
            /// message out and throws it away.
            ///
            /// # Errors
            ///
            /// Those of recv(2), among them what [`send`](Self::send) may be told, once.
            /// [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`, `NotPollable`.
            pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.source.operate_blocking(Mode::Read, |kernel, fd| kernel.receive(fd, buffer))
            }

            /// The same without blocking the thread.
            ///
            /// Cancel safety: when the future is dropped no message has been taken.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv).
            pub async fn async_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.source.operate(Mode::Read, |kernel, fd| kernel.receive(fd, buffer)).await
            }

            /// The same without waiting, neither for a message nor for a turn.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv); kind `WouldBlock` when there is none.
            pub fn try_recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.source.using(|kernel, fd| uninterrupted(|| kernel.receive(fd, buffer)))
            }

            /// Receives one message, as [`recv`](Self::recv) does, and says who has sent it.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv).
            pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, $address)> {
                let (count, from) = datagram::receive_from(&self.source, buffer, Taking::Out)?;
                Ok((count, $decode(from)?))
            }

            /// The same without blocking the thread.
            ///
            /// Cancel safety: when the future is dropped no message has been taken.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv).
            pub async fn async_recv_from(
                &self,
                buffer: &mut [u8],
            ) -> io::Result<(usize, $address)> {
                let received = datagram::async_receive_from(&self.source, buffer, Taking::Out);
                let (count, from) = received.await?;
                Ok((count, $decode(from)?))
            }

            /// The same without waiting, neither for a message nor for a turn.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv); kind `WouldBlock` when there is none.
            pub fn try_recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, $address)> {
                let (count, from) = self.source.using(|kernel, fd| {
                    uninterrupted(|| kernel.receive_from(fd, buffer, Taking::Out))
                })?;
                Ok((count, $decode(from)?))
            }

            /// Waits as [`recv`](Self::recv) does, and leaves the message there.
            ///
            /// # Errors
            ///
            /// As for [`recv`](Self::recv); an error that is told is not there any more.
            pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.source.operate_blocking(Mode::Read, |kernel, fd| kernel.peek(fd, buffer))
            }

            /// The same without blocking the thread.
            ///
            /// Cancel safety: nothing is taken out in any case.
            ///
            /// # Errors
            ///
            /// As for [`peek`](Self::peek).
            pub async fn async_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.source.operate(Mode::Read, |kernel, fd| kernel.peek(fd, buffer)).await
            }

            /// Waits as [`recv_from`](Self::recv_from) does, and leaves the message there.
            ///
            /// # Errors
            ///
            /// As for [`peek`](Self::peek).
            pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, $address)> {
                let (count, from) = datagram::receive_from(&self.source, buffer, Taking::ALook)?;
                Ok((count, $decode(from)?))
            }

            /// The same without blocking the thread.
            ///
            /// Cancel safety: nothing is taken out in any case.
            ///
            /// # Errors
            ///
            /// As for [`peek`](Self::peek).
            pub async fn async_peek_from(
                &self,
                buffer: &mut [u8],
            ) -> io::Result<(usize, $address)> {
                let seen = datagram::async_receive_from(&self.source, buffer, Taking::ALook);
                let (count, from) = seen.await?;
                Ok((count, $decode(from)?))
            }

            /// The own address.
            ///
            /// # Errors
            ///
            /// Those of getsockname(2); [`Reason::Closed`](crate::Reason::Closed).
            pub fn local_addr(&self) -> io::Result<$address> {
                $decode(self.source.using(|kernel, fd| kernel.local_address(fd))?)
            }

            /// The address of the peer that it is connected with.
            ///
            /// # Errors
            ///
            /// Those of getpeername(2): kind `NotConnected` if it is not connected;
            /// [`Reason::Closed`](crate::Reason::Closed).
            pub fn peer_addr(&self) -> io::Result<$address> {
                $decode(self.source.using(|kernel, fd| kernel.peer_address(fd))?)
            }
        }
    };
}

pub(super) use has_messages;
