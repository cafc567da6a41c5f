//! The two directions of a stream, as two values.
//!
//! A stream can be read and written by many at once through `&self` as it is. Halves are for programs that
//! give one direction away: to a task, a thread, or code that wants a reader and a writer.
//!
//! | | borrowed: [`ReadHalf`], [`WriteHalf`] | owned: [`OwnedReadHalf`], [`OwnedWriteHalf`] |
//! |---|---|---|
//! | made by | `split` | `into_split` |
//! | the end of the write half | nothing | shuts writing: the peer reads the end of the stream |
//! | the end of both | nothing | closes the stream |
//! | back to a stream | it was never gone | `reunite` |
//!
//! No state of its own: the owned halves share the stream, and whoever drops it last closes it.

use super::{TcpStream, UnixStream};
use crate::seam::{Arc, HowToShut, System};
use crate::source::Source;
use core::ops::Deref;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};

/// A stream of either kind.
pub trait Stream: Deref<Target = Source<Self::System>> {
    /// What it runs on.
    type System: System;
}

impl<S: System> Stream for TcpStream<S> {
    type System = S;
}

impl<S: System> Stream for UnixStream<S> {
    type System = S;
}

/// The direction of a stream that is read, borrowed.
pub struct ReadHalf<'a, T: Stream> {
    stream: &'a T,
}

/// The direction of a stream that is written, borrowed.
pub struct WriteHalf<'a, T: Stream> {
    stream: &'a T,
}

/// The direction of a stream that is read. Dropping it ends nothing for the other half.
pub struct OwnedReadHalf<T: Stream> {
    stream: Arc<T>,
}

/// The direction of a stream that is written. Dropping it shuts it: the peer reads the end of the
/// stream, after all that was written.
pub struct OwnedWriteHalf<T: Stream> {
    stream: Arc<T>,
    shuts: bool,
}

/// Halves of different streams. Gives both back.
pub struct ReuniteError<T: Stream>(pub OwnedReadHalf<T>, pub OwnedWriteHalf<T>);

pub(super) fn borrowed<T: Stream>(stream: &T) -> (ReadHalf<'_, T>, WriteHalf<'_, T>) {
    (ReadHalf { stream }, WriteHalf { stream })
}

pub(super) fn owned<T: Stream>(stream: T) -> (OwnedReadHalf<T>, OwnedWriteHalf<T>) {
    let stream = Arc::new(stream);
    (OwnedReadHalf { stream: Arc::clone(&stream) }, OwnedWriteHalf { stream, shuts: true })
}

impl<T: Stream> OwnedReadHalf<T> {
    /// Makes one stream of two halves again. Nothing is shut.
    ///
    /// # Errors
    ///
    /// When they are not halves of one stream; the error gives them back.
    ///
    /// # Panics
    ///
    /// Never: nobody else has the stream.
    pub fn reunite(self, mut write: OwnedWriteHalf<T>) -> Result<T, ReuniteError<T>> {
        if !Arc::ptr_eq(&self.stream, &write.stream) {
            return Err(ReuniteError(self, write));
        }
        write.shuts = false;
        drop(write);
        Ok(Arc::into_inner(self.stream).expect("two halves are all that have the stream"))
    }
}

impl<T: Stream> OwnedWriteHalf<T> {
    /// Drops the half and shuts nothing: the stream ends when the other half does.
    pub fn forget(mut self) {
        self.shuts = false;
    }
}

impl<T: Stream> Drop for OwnedWriteHalf<T> {
    fn drop(&mut self) {
        if self.shuts {
            // Closed, or not connected any more: then there is no end that the peer has not seen.
            let _gone = self.stream.shutdown(HowToShut::Write);
        }
    }
}

macro_rules! of_a_stream {
    ($($text:literal: $half:ty;)*) => {$(
        impl<T: Stream> $half {
            /// The stream as a whole: its addresses, deadlines and options, and its close.
            #[must_use]
            pub fn stream(&self) -> &T {
                &self.stream
            }
        }

        impl<T: Stream + core::fmt::Debug> core::fmt::Debug for $half {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.debug_tuple($text).field(self.stream()).finish()
            }
        }
    )*};
}

of_a_stream! {
    "ReadHalf": ReadHalf<'_, T>;
    "WriteHalf": WriteHalf<'_, T>;
    "OwnedReadHalf": OwnedReadHalf<T>;
    "OwnedWriteHalf": OwnedWriteHalf<T>;
}

macro_rules! reads {
    ($($half:ty;)*) => {$(
        impl<T: Stream> $half {
            /// Reads what is there, waiting until there is something. `Ok(0)`: the end of the stream,
            /// or an empty buffer.
            ///
            /// Cancel safety: when the future is dropped nothing has been read.
            ///
            /// # Errors
            ///
            /// As for [`Source::async_read`].
            pub async fn async_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream.async_read(buffer).await
            }

            /// Reads into several buffers, one after the other.
            ///
            /// Cancel safety: when the future is dropped nothing has been read.
            ///
            /// # Errors
            ///
            /// As for [`Source::async_read_vectored`].
            pub async fn async_read_vectored(
                &self,
                buffers: &mut [IoSliceMut<'_>],
            ) -> io::Result<usize> {
                self.stream.async_read_vectored(buffers).await
            }

            /// Waits until a read would find something.
            ///
            /// Cancel safety: nothing is consumed in any case.
            ///
            /// # Errors
            ///
            /// As for [`Source::readable`].
            pub async fn async_readable(&self) -> io::Result<()> {
                self.stream.async_readable().await
            }

            /// The same, blocking the thread.
            ///
            /// # Errors
            ///
            /// As for [`Source::readable`].
            pub fn readable(&self) -> io::Result<()> {
                self.stream.readable()
            }

            /// Reads without waiting.
            ///
            /// # Errors
            ///
            /// As for [`Source::try_read`].
            pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buffer)
            }
        }

        /// The blocking style.
        impl<T: Stream> Read for $half {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                (&**self.stream).read(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                (&**self.stream).read_vectored(buffers)
            }
        }
    )*};
}

reads! {
    ReadHalf<'_, T>;
    OwnedReadHalf<T>;
}

macro_rules! writes {
    ($($half:ty;)*) => {$(
        impl<T: Stream> $half {
            /// Writes what there is room for, waiting until there is some.
            ///
            /// Cancel safety: when the future is dropped nothing has been written.
            ///
            /// # Errors
            ///
            /// As for [`Source::async_write`].
            pub async fn async_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.stream.async_write(bytes).await
            }

            /// Writes several pieces, one after the other.
            ///
            /// Cancel safety: when the future is dropped nothing has been written.
            ///
            /// # Errors
            ///
            /// As for [`Source::async_write_vectored`].
            pub async fn async_write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream.async_write_vectored(pieces).await
            }

            /// Waits until a write would find room.
            ///
            /// Cancel safety: nothing is consumed in any case.
            ///
            /// # Errors
            ///
            /// As for [`Source::writable`].
            pub async fn async_writable(&self) -> io::Result<()> {
                self.stream.async_writable().await
            }

            /// The same, blocking the thread.
            ///
            /// # Errors
            ///
            /// As for [`Source::writable`].
            pub fn writable(&self) -> io::Result<()> {
                self.stream.writable()
            }

            /// Writes without waiting.
            ///
            /// # Errors
            ///
            /// As for [`Source::try_write`].
            pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.stream.try_write(bytes)
            }
        }

        /// The blocking style.
        impl<T: Stream> Write for $half {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                (&**self.stream).write(bytes)
            }

            fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                (&**self.stream).write_vectored(pieces)
            }

            /// Nothing is buffered here.
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
    )*};
}

writes! {
    WriteHalf<'_, T>;
    OwnedWriteHalf<T>;
}

impl<T: Stream> core::fmt::Debug for ReuniteError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ReuniteError")
    }
}

impl<T: Stream> core::fmt::Display for ReuniteError<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("halves of two different streams")
    }
}

impl<T: Stream> std::error::Error for ReuniteError<T> {}
