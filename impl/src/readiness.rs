//! Waiting for a descriptor without a read or a write of ours, and system calls of the caller's own.
//!
//! A report of the kernel is an edge: data that was there before, or was left over by a short read, is not
//! reported again. So *readable* is not what the slot says but what the kernel answers: it is asked with
//! poll(2), as the system call of an operation like any other, after the preparation and before the wait
//! (NP-WAIT-4). That costs one call, and makes the answer exact at that moment; somebody else may have
//! taken the data by the time it is used.
//!
//! No state of its own.

use crate::operation::uninterrupted;
use crate::seam::{Kernel, System};
use crate::source::{Fd, FdGuard, Source};
use netpoller_spec::Mode;
use std::io;

/// The system call of a wait.
fn asked<S: System>(mode: Mode) -> impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<()> {
    move |kernel, fd| {
        if kernel.is_ready(fd, mode)? { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }
}

impl<S: System> Source<S> {
    /// Waits until a read would find something, the end of the stream and an error included, blocking
    /// the thread; on a socket that listens, until there is a connection. Takes a turn among the readers
    /// while it waits, and ends at the read deadline.
    ///
    /// The kernel is asked, so data that is there already, for example what a short read has left
    /// over, is found. What is *not* guaranteed: that it is still there when it is read, if others read
    /// as well. A descriptor in blocking mode is always readable.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (a, b) = poller.stream_pair()?;
    /// a.try_write(b"two")?;
    /// b.readable()?;
    /// let mut byte = [0];
    /// b.try_read(&mut byte)?;
    /// b.readable()?; // the rest: no new report, and yet it does not sleep
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`, `NotPollable`.
    pub fn readable(&self) -> io::Result<()> {
        self.operate_blocking(Mode::Read, asked::<S>(Mode::Read))
    }

    /// Waits until a read would find something.
    ///
    /// Cancel safety: nothing is consumed in any case; a later wait finds what is there.
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable).
    pub async fn async_readable(&self) -> io::Result<()> {
        self.operate(Mode::Read, asked::<S>(Mode::Read)).await
    }

    /// Waits until a write would find room, or an error, blocking the thread. Takes a turn among the
    /// writers while it waits, and ends at the write deadline.
    ///
    /// How much room, is the kernel's to say: a large write may still be a short one.
    ///
    /// # Errors
    ///
    /// [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`.
    pub fn writable(&self) -> io::Result<()> {
        self.operate_blocking(Mode::Write, asked::<S>(Mode::Write))
    }

    /// Waits until a write would find room.
    ///
    /// Cancel safety: nothing is consumed in any case.
    ///
    /// # Errors
    ///
    /// As for [`writable`](Self::writable).
    pub async fn async_writable(&self) -> io::Result<()> {
        self.operate(Mode::Write, asked::<S>(Mode::Write)).await
    }

    /// A system call of the caller's own, once, without waiting: repeated on EINTR only.
    ///
    /// No readiness is lost by it, whatever it returns: a wait asks the kernel.
    ///
    /// ```
    /// use std::io::Read;
    /// use std::os::fd::AsFd;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (a, b) = poller.stream_pair()?;
    /// a.try_write(b"x")?;
    /// // The number, borrowed: whatever takes `AsFd` works on it.
    /// let read = b.try_io(|fd| {
    ///     let mut twin = std::fs::File::from(fd.as_fd().try_clone_to_owned()?);
    ///     twin.read(&mut [0; 8])
    /// })?;
    /// assert_eq!(read, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the call; [`Reason::Closed`](crate::Reason::Closed).
    pub fn try_io<T>(
        &self,
        mut call: impl FnMut(&FdGuard<'_, S>) -> io::Result<T>,
    ) -> io::Result<T> {
        let fd = self.fd()?;
        uninterrupted(|| call(&fd))
    }

    /// A system call of the caller's own as an operation in one direction, blocking the thread: it has its turn, and
    /// while it returns kind `WouldBlock` it is repeated, after a report. Ends at the deadline of
    /// the direction.
    ///
    /// The call must not block, and must say `WouldBlock` only where the kernel has found nothing: what
    /// it has left there is not reported again.
    ///
    /// # Errors
    ///
    /// Those of the call; [`Reason`](crate::Reason) `Closed`, `DeadlineExceeded`, `NotPollable`.
    pub fn io<T>(
        &self,
        mode: Mode,
        mut call: impl FnMut(&FdGuard<'_, S>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.operate_blocking(mode, |_, _| call(&self.fd()?))
    }

    /// A system call of the caller's own as an operation in one direction; see [`io`](Self::io).
    ///
    /// ```
    /// use netpoller::Mode;
    /// use std::io::Read;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (a, b) = poller.stream_pair()?;
    /// let _future = b.async_io(Mode::Read, |fd| {
    ///     use std::os::fd::AsFd;
    ///     std::fs::File::from(fd.as_fd().try_clone_to_owned()?).read(&mut [0; 8])
    /// });
    /// # drop(a);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Cancel safety: when the future is dropped the last call has returned `WouldBlock`, or there was none.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io).
    pub async fn async_io<T>(
        &self,
        mode: Mode,
        mut call: impl FnMut(&FdGuard<'_, S>) -> io::Result<T>,
    ) -> io::Result<T> {
        self.operate(mode, |_, _| call(&self.fd()?)).await
    }
}
