//! Reading and writing on a [`Source`], in the async and in the blocking style.
//!
//! Both are the same loop: *prepare, try the system call, wait on EAGAIN, try again*. The
//! order is what makes edge-triggered events safe (NP-WAIT-4): an edge that came before the
//! preparation is covered by the call that follows, one that came after it is kept by the slot.
//! EINTR is retried. A read may wait first, where the one before it has left nothing (`short_read`).
//!
//! The async methods have names of their own, because `std::io::Read` is implemented on
//! `&Source`: an inherent `read` would win over the trait's.

use crate::error::Reason;
use crate::operation::{Operation, uninterrupted};
use crate::poller::Poller;
use crate::seam::{HowToShut, Kernel, Kind, System};
use crate::short_read::room;
use crate::source::{Fd, Source};
use core::future::poll_fn;
use core::task::Poll;
use netpoller_spec::Mode;
use std::io::{self, IoSlice, IoSliceMut};

impl<S: System> Source<S> {
    /// Reads what is there, waiting until there is something. `Ok(0)`: the end of the stream,
    /// or an empty buffer, for which nothing is waited for.
    ///
    /// Cancel safety: when the future is dropped nothing has been read, and its place in the
    /// queue of readers is given up.
    ///
    /// # Errors
    ///
    /// Those of read(2); [`Reason`] `Closed`, `NotPollable`.
    pub fn async_read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> {
        self.read_plainly(buffer.len(), |kernel, fd| kernel.read(fd, buffer))
    }

    /// Reads into several buffers, one after the other, as [`async_read`](Self::async_read) does
    /// into one.
    ///
    /// Cancel safety: when the future is dropped nothing has been read.
    ///
    /// # Errors
    ///
    /// Those of readv(2); [`Reason`] `Closed`, `NotPollable`.
    pub fn async_read_vectored(
        &self,
        buffers: &mut [IoSliceMut<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        self.read_plainly(room(buffers), |kernel, fd| kernel.read_vectored(fd, buffers))
    }

    /// Writes what there is room for, waiting until there is some. `Ok(0)` for no bytes.
    ///
    /// Cancel safety: when the future is dropped nothing has been written, and its place in the
    /// queue of writers is given up.
    ///
    /// # Errors
    ///
    /// Those of write(2); [`Reason`] `Closed`.
    pub fn async_write(&self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> {
        self.write_plainly(bytes.is_empty(), |kernel, fd| kernel.write(fd, bytes))
    }

    /// Writes several pieces, one after the other, as [`async_write`](Self::async_write) does
    /// one.
    ///
    /// Cancel safety: when the future is dropped nothing has been written.
    ///
    /// # Errors
    ///
    /// Those of writev(2); [`Reason`] `Closed`.
    pub fn async_write_vectored(
        &self,
        pieces: &[IoSlice<'_>],
    ) -> impl Future<Output = io::Result<usize>> {
        let empty = pieces.iter().all(|piece| piece.is_empty());
        self.write_plainly(empty, |kernel, fd| kernel.write_vectored(fd, pieces))
    }

    /// A write in the async style; `empty`: of no bytes.
    fn write_plainly(
        &self,
        empty: bool,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<usize>,
    ) -> impl Future<Output = io::Result<usize>> {
        let mut operation = Operation::new(self, Mode::Write);
        poll_fn(move |cx| match empty {
            true => Poll::Ready(self.nothing()),
            false => operation.poll(cx.waker(), &mut call),
        })
    }

    /// One operation in the async style.
    // Not an `async fn`, as those that call it for each read and write are none: of each of those a future keeps its
    // arguments twice, and what is parked by the thousand should be small.
    pub(crate) fn operate<T>(
        &self,
        mode: Mode,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> impl Future<Output = io::Result<T>> {
        let mut operation = Operation::new(self, mode);
        poll_fn(move |cx| operation.poll(cx.waker(), &mut call))
    }

    /// One operation in the blocking style.
    pub(crate) fn operate_blocking<T>(
        &self,
        mode: Mode,
        call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<T>,
    ) -> io::Result<T> {
        Operation::new(self, mode).block(call)
    }

    /// An operation on no bytes: nothing to wait for, but not on a closed descriptor.
    pub(crate) fn nothing(&self) -> io::Result<usize> {
        match self.entry().map(|incarnation| incarnation.check(Mode::Write)) {
            Some(Err(netpoller_spec::Reason::Closed)) => Err(Reason::Closed.into()),
            _ => self.using(|_, _| Ok(0)),
        }
    }

    /// Reads without waiting, neither for data nor for a turn: one system call, repeated on EINTR.
    ///
    /// # Errors
    ///
    /// Those of read(2); kind `WouldBlock` when there is nothing; [`Reason::Closed`].
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.using(|kernel, fd| uninterrupted(|| kernel.read(fd, buffer)))
    }

    /// Writes without waiting, neither for room nor for a turn: one system call, repeated on EINTR.
    ///
    /// # Errors
    ///
    /// Those of write(2); kind `WouldBlock` when there is no room; [`Reason::Closed`].
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.using(|kernel, fd| uninterrupted(|| kernel.write(fd, bytes)))
    }

    /// Shuts one direction of a connection, or both. The peer sees the end of the stream; own
    /// waiters are woken by the kernel's report and find it too.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2); [`Reason::Closed`].
    pub fn shutdown(&self, how: HowToShut) -> io::Result<()> {
        self.using(|kernel, fd| kernel.shutdown(fd, how))
    }
}

/// The blocking style. The thread polls the poller if nobody else does; see
/// [`Waiter::wait`](crate::source::Waiter::wait).
impl<S: System> io::Read for &Source<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return self.nothing();
        }
        self.read_plainly_blocking(buffer.len(), |kernel, fd| kernel.read(fd, buffer))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return self.nothing();
        }
        self.read_plainly_blocking(room(buffers), |kernel, fd| kernel.read_vectored(fd, buffers))
    }
}

/// The blocking style. The thread polls the poller if nobody else does; see
/// [`Waiter::wait`](crate::source::Waiter::wait).
impl<S: System> io::Write for &Source<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return self.nothing();
        }
        self.operate_blocking(Mode::Write, |kernel, fd| kernel.write(fd, bytes))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if pieces.iter().all(|piece| piece.is_empty()) {
            return self.nothing();
        }
        self.operate_blocking(Mode::Write, |kernel, fd| kernel.write_vectored(fd, pieces))
    }

    /// Nothing is buffered here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: System> Poller<S> {
    /// A pipe, registered: the end to read from and the end to write to.
    ///
    /// # Errors
    ///
    /// Those of pipe(2) and of [`register`](Poller::register).
    pub fn pipe(&self) -> io::Result<(Source<S>, Source<S>)> {
        let (reader, writer) = self.shared.system.kernel().pipe()?;
        self.register_both(reader, writer)
    }

    /// Two connected Unix stream sockets, registered.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2) and of [`register`](Poller::register).
    pub fn stream_pair(&self) -> io::Result<(Source<S>, Source<S>)> {
        let (a, b) = self.shared.system.kernel().socket_pair(Kind::Stream)?;
        self.register_both(a, b)
    }

    fn register_both(
        &self,
        a: <S::Kernel as Kernel>::Fd,
        b: <S::Kernel as Kernel>::Fd,
    ) -> io::Result<(Source<S>, Source<S>)> {
        let a = self.register(a).map_err(io::Error::from)?;
        let b = self.register(b).map_err(io::Error::from)?;
        Ok((a, b))
    }
}
