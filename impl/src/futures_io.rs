//! The traits of the crate `futures-io`, by the poll functions of a [`Source`] (feature `futures-io`).
//!
//! # What the traits leave open, and what holds here
//!
//! * **Who may poll.** One task per direction. The traits are there for the values and for references to
//!   them, so that one task can read while another writes: `(&stream, &stream)` are the two halves.
//!   Two tasks in one direction: `poll_style` says what happens. Nobody is forgotten, and it is a waste.
//! * **Cancel.** Nothing has to be undone, and what is left behind stands in nobody's way: after a future
//!   that reads was dropped, a read in any style works as if it had never been.
//! * **`WouldBlock` and `Interrupted`** are never returned.
//! * **`poll_flush`** is done at once: nothing is buffered here.
//! * **`poll_close`** ends writing, so that the peer finds the end of the stream, and reading goes on: a socket is shut
//!   for writing, by shutdown(2). A connection that is over has nothing left to shut, which is no error.
//!   A descriptor that is no socket, such as the end of a pipe to write to, is closed as a whole, which
//!   does not wait for calls of other threads that are inside. It is never pending. Once more is no error.
//!   The descriptor of a socket stays open until it is dropped or [closed](Source::close).
//! * **Vectored** reads and writes are one system call each (readv(2), writev(2)). Where a descriptor has many pieces, the
//!   kernel takes 1024 at most; more are an error of kind `InvalidInput`.
//! * **Deadlines** of the source end a poll with kind `TimedOut` ([`Reason`](crate::Reason)
//!   `DeadlineExceeded`); a close ends it with `NotConnected` (`Closed`).
//!
//! Out of scope: `AsyncSeek` and `AsyncBufRead`.

use crate::net::{TcpStream, UnixStream};
use crate::seam::{HowToShut, System};
use crate::source::Source;
use ::futures_io::{AsyncRead, AsyncWrite};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice, IoSliceMut};

impl<S: System> Source<S> {
    /// Sees to it that the peer finds the end of the stream.
    fn end_writing(&self) -> io::Result<()> {
        match self.shutdown(HowToShut::Write) {
            // The connection is over, or the source was closed: the peer finds the end.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            // It is no socket: nothing else is wrong with an open number in the eyes of shutdown(2).
            Err(_no_socket) => self.begin_to_close().map(drop),
            Ok(()) => Ok(()),
        }
    }
}

macro_rules! by_poll_functions {
    ($($type:ty),*) => {$(
        /// See the poll functions of [`Source`].
        impl<S: System> AsyncRead for $type {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                let source: &Source<S> = &self;
                source.poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let source: &Source<S> = &self;
                source.poll_read_vectored(cx, buffers)
            }
        }

        /// See the poll functions of [`Source`].
        impl<S: System> AsyncWrite for $type {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                let source: &Source<S> = &self;
                source.poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                pieces: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let source: &Source<S> = &self;
                source.poll_write_vectored(cx, pieces)
            }

            /// Nothing is buffered here.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Ends writing: shuts a socket for writing, closes any other descriptor.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                let source: &Source<S> = &self;
                Poll::Ready(source.end_writing())
            }
        }
    )*};
}

by_poll_functions!(Source<S>, &Source<S>);
by_poll_functions!(TcpStream<S>, &TcpStream<S>);
by_poll_functions!(UnixStream<S>, &UnixStream<S>);
