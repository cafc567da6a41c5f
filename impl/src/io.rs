//! Reading and writing on a [`Source`], in the async and in the blocking style.
//!
//! Both are the same loop: *prepare, try the system call, wait on EAGAIN, try again*. The
//! order is what makes edge-triggered events safe (NP-WAIT-4): an edge that came before the
//! preparation is covered by the call that follows, one that came after it is kept by the slot.
//! EINTR is retried.
//!
//! The async methods have names of their own, because `std::io::Read` is implemented on
//! `&Source`: an inherent `read` would win over the trait's.

use crate::error::Reason;
use crate::poller::Poller;
use crate::seam::{HowToShut, Kernel, Kind, System};
use crate::source::{Source, Waiter};
use netpoller_spec::Mode;
use std::io;

impl<S: System> Source<S> {
    /// Reads what is there, waiting until there is something. `Ok(0)`: the end of the stream,
    /// or an empty buffer, for which nothing is waited for.
    ///
    /// Cancel safety: when the future is dropped nothing has been read.
    ///
    /// # Errors
    ///
    /// Those of read(2); [`Reason`] `Closed`, `NotPollable`, and `Busy` while
    /// another task reads.
    pub async fn async_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waiter = self.waiter(Mode::Read)?;
        if buffer.is_empty() {
            return self.nothing(Mode::Read);
        }
        waiter.prepare()?;
        loop {
            match self.try_read(buffer) {
                Err(error) if blocked(&error) => waiter.ready().await?,
                done => return done,
            }
        }
    }

    /// Writes what there is room for, waiting until there is some. `Ok(0)` for no bytes.
    ///
    /// Cancel safety: when the future is dropped nothing has been written.
    ///
    /// # Errors
    ///
    /// Those of write(2); [`Reason`] `Closed`, and `Busy` while another task
    /// writes.
    pub async fn async_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiter = self.waiter(Mode::Write)?;
        if bytes.is_empty() {
            return self.nothing(Mode::Write);
        }
        waiter.prepare()?;
        loop {
            match self.try_write(bytes) {
                Err(error) if blocked(&error) => waiter.ready().await?,
                done => return done,
            }
        }
    }

    /// An operation on no bytes: nothing to wait for, but not on a closed descriptor.
    fn nothing(&self, mode: Mode) -> io::Result<usize> {
        match self.incarnation().check(mode) {
            Err(netpoller_spec::Reason::Closed) => Err(Reason::Closed.into()),
            Ok(()) | Err(_) => Ok(0),
        }
    }

    /// Reads without waiting: one system call, repeated on EINTR.
    ///
    /// # Errors
    ///
    /// Those of read(2); kind `WouldBlock` when there is nothing.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| self.kernel().read(self.fd(), buffer))
    }

    /// Writes without waiting: one system call, repeated on EINTR.
    ///
    /// # Errors
    ///
    /// Those of write(2); kind `WouldBlock` when there is no room.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.kernel().write(self.fd(), bytes))
    }

    /// Shuts one direction of a connection, or both. The peer sees the end of the stream; own
    /// waiters are woken by the kernel's report and find it too.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: HowToShut) -> io::Result<()> {
        self.kernel().shutdown(self.fd(), how)
    }
}

/// The blocking style. Somebody else has to drive the poller; see [`Waiter::wait`].
impl<S: System> io::Read for &Source<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waiter = self.waiter(Mode::Read)?;
        if buffer.is_empty() {
            return self.nothing(Mode::Read);
        }
        blocking(&mut waiter, || self.try_read(buffer))
    }
}

/// The blocking style. Somebody else has to drive the poller; see [`Waiter::wait`].
impl<S: System> io::Write for &Source<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiter = self.waiter(Mode::Write)?;
        if bytes.is_empty() {
            return self.nothing(Mode::Write);
        }
        blocking(&mut waiter, || self.try_write(bytes))
    }

    /// Nothing is buffered here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn blocking<S: System>(
    waiter: &mut Waiter<'_, S>,
    mut call: impl FnMut() -> io::Result<usize>,
) -> io::Result<usize> {
    waiter.prepare()?;
    loop {
        match call() {
            Err(error) if blocked(&error) => waiter.wait()?,
            done => return done,
        }
    }
}

fn blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

fn uninterrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
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
