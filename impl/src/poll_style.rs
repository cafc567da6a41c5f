//! Reading and writing by poll functions: for code that is written against traits of such functions,
//! and for futures by hand.
//!
//! # What a poll function cannot know
//!
//! An operation in the async style has a place of its own while it waits: its future. It keeps the right
//! of its direction, and gives it up when it is dropped. A poll function has nothing between two calls,
//! and nobody says when a caller has lost interest. So each poll is an operation of its own, whole
//! (`operation`): it takes the right, makes the system call, and when there is nothing it
//! leaves a wait in the slot of the direction and **gives the right up** (NP-FD-12). Nothing is kept beside
//! that waker, in the stream or elsewhere.
//!
//! | a poll finds | what it does |
//! |---|---|
//! | the right taken by an operation, a [`Waiter`](crate::source::Waiter) or another poll | leaves its waker, to be told when the right is free (NP-FD-11) |
//! | its own wait, still on | replaces the waker; no system call |
//! | the wait of another task | ends it and wakes that task; makes the system call |
//! | no wait | makes the system call; on EAGAIN parks; parks at once where a read would find nothing (`short_read`) |
//!
//! And an operation that finds the wait of a poll ends it and wakes that task, which finds the right
//! taken. So whoever was told `Pending` is woken by whatever ends his wait, and a wait that nobody is
//! interested in any more stands in nobody's way.
//!
//! Out of scope: the turns themselves (`fd_lock`), what the traits of other crates ask for besides
//! (`futures_io`).

use crate::operation::Operation;
use crate::seam::{Kernel, System};
use crate::short_read::room;
use crate::source::Source;
use core::task::{Context, Poll};
use netpoller_spec::Mode;
use std::io::{self, IoSlice, IoSliceMut};

/// Poll functions. `Pending`: the task of `cx` is woken when the function is worth calling again, or when
/// the descriptor is closed or the deadline of the direction has come. Each poll replaces the waker of
/// the one before.
///
/// One task per direction: a poll by another one puts its waker in the place of the first, whose task is
/// woken and may poll again. Nobody is forgotten, but two tasks that insist wake each other until one of
/// them succeeds, which costs processor time: several tasks that read one stream call
/// [`async_read`](Source::async_read), which has a queue. An operation in the async or in the blocking
/// style comes before a poll that waits.
///
/// Cancel safety: `Pending` means that nothing was read or written. Whoever does not poll again has
/// nothing to undo, and keeps nobody from anything; his task may be woken once for nothing.
impl<S: System> Source<S> {
    /// Reads what is there. `Ok(0)`: the end of the stream, or an empty buffer.
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # async fn example(stream: netpoller::TcpStream) -> std::io::Result<()> {
    /// let mut buffer = [0; 16];
    /// let count = poll_fn(|cx| stream.poll_read(cx, &mut buffer)).await?;
    /// # let _ = count;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of read(2), but never kind `WouldBlock` or `Interrupted`; [`Reason`](crate::Reason) `Closed`,
    /// `DeadlineExceeded`, `NotPollable`.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(self.nothing());
        }
        Operation::pass_to_read(self, cx.waker(), buffer.len(), |kernel, fd| {
            kernel.read(fd, buffer)
        })
    }

    /// Reads into several buffers, one after the other, by one system call.
    ///
    /// # Errors
    ///
    /// As for [`poll_read`](Self::poll_read).
    pub fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Poll::Ready(self.nothing());
        }
        Operation::pass_to_read(self, cx.waker(), room(buffers), |kernel, fd| {
            kernel.read_vectored(fd, buffers)
        })
    }

    /// Writes what there is room for. `Ok(0)` for no bytes.
    ///
    /// # Errors
    ///
    /// Those of write(2), but never kind `WouldBlock` or `Interrupted`; [`Reason`](crate::Reason)
    /// `Closed`, `DeadlineExceeded`.
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(self.nothing());
        }
        Operation::pass(self, Mode::Write, cx.waker(), |kernel, fd| kernel.write(fd, bytes))
    }

    /// Writes several pieces, one after the other, by one system call.
    ///
    /// # Errors
    ///
    /// As for [`poll_write`](Self::poll_write).
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if pieces.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(self.nothing());
        }
        Operation::pass(self, Mode::Write, cx.waker(), |kernel, fd| {
            kernel.write_vectored(fd, pieces)
        })
    }
}
