//! hyper's `rt::Read` and `rt::Write` for whatever has the traits of `futures-io`.
//!
//! hyper hands out memory that is not initialised. Writing into it directly takes `unsafe`, which this
//! program does without: bytes are read into a buffer of the connection and copied.

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A stream for hyper.
pub struct ForHyper<T> {
    stream: T,
    buffer: Box<[u8]>,
}

impl<T> ForHyper<T> {
    /// How much is read at once.
    const ONCE: usize = 16 * 1024;

    /// Takes over a stream.
    pub fn new(stream: T) -> Self {
        ForHyper { stream, buffer: vec![0; Self::ONCE].into_boxed_slice() }
    }
}

impl<T: AsyncRead + Unpin> Read for ForHyper<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let ForHyper { stream, buffer } = &mut *self;
        let most = room.remaining().min(buffer.len());
        let count = ready!(Pin::new(stream).poll_read(cx, &mut buffer[..most]))?;
        room.put_slice(&buffer[..count]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for ForHyper<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }
}
