//! A kernel that has nothing but a break, and that orders nothing.
//!
//! A simulated kernel is made of locks, and locks order: a store before one system call is seen
//! after the next one that takes the same lock. Real system calls promise no such thing. So the
//! handshakes of the break, which must hold by the poller's own fences, are also checked on this
//! kernel: the token is one relaxed word, read and written by read-modify-writes only, so that
//! each call sees the newest token, as in a real kernel, and learns nothing else from it.
//!
//! A wait does not block, since waking is ordering. It always reports the break: the report of an
//! event queue may be old news, for example when another poller was quicker to drain the token.
//! Descriptors can be made and registered, and that is all: their edges are delivered by hand.

use super::SimBatch;
use super::seam::unsupported;
use core::marker::PhantomData;
use core::sync::atomic::Ordering;
use netpoller::seam::{
    Address, Atomic, Event, HowToShut, Kernel, Kind, Primitives, RegisterFault, SetChange, Timeout,
};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::io::{self, IoSlice, IoSliceMut};

/// The kernel of nothing but a break.
#[derive(Debug)]
pub struct StubKernel<P: Primitives>(PhantomData<P>);

impl<P: Primitives> StubKernel<P> {
    /// Such a kernel.
    #[must_use]
    pub fn new() -> StubKernel<P> {
        StubKernel(PhantomData)
    }
}

impl<P: Primitives> Default for StubKernel<P> {
    fn default() -> StubKernel<P> {
        StubKernel::new()
    }
}

impl<P: Primitives> Clone for StubKernel<P> {
    fn clone(&self) -> StubKernel<P> {
        StubKernel::new()
    }
}

/// A descriptor of nothing.
#[derive(Debug)]
pub struct StubFd;

/// Its event queue: one token.
#[derive(Debug)]
pub struct StubQueue<P: Primitives> {
    token: P::AtomicU32,
}

impl<P: Primitives> StubQueue<P> {
    /// Whether the break token is there. Not a step of the program.
    #[must_use]
    pub fn peek_break_token(&self) -> bool {
        self.token.peek() != 0
    }
}

impl<P: Primitives> Kernel for StubKernel<P> {
    type Fd = StubFd;
    type Queue = StubQueue<P>;
    type Batch = SimBatch;

    fn pipe(&self) -> io::Result<(StubFd, StubFd)> {
        Ok((StubFd, StubFd))
    }

    fn socket_pair(&self, _kind: Kind) -> io::Result<(StubFd, StubFd)> {
        Err(unsupported("socketpair"))
    }

    fn socket(&self, _address: &Address, _kind: Kind) -> io::Result<StubFd> {
        Err(unsupported("socket"))
    }

    fn bind(&self, _fd: &StubFd, _address: &Address) -> io::Result<()> {
        Err(unsupported("bind"))
    }

    fn listen(&self, _fd: &StubFd, _backlog: u32) -> io::Result<()> {
        Err(unsupported("listen"))
    }

    fn connect(&self, _fd: &StubFd, _address: &Address) -> io::Result<()> {
        Err(unsupported("connect"))
    }

    fn accept(&self, _fd: &StubFd) -> io::Result<(StubFd, Address)> {
        Err(unsupported("accept"))
    }

    fn take_error(&self, _fd: &StubFd) -> io::Result<Option<io::Error>> {
        Err(unsupported("getsockopt"))
    }

    fn local_address(&self, _fd: &StubFd) -> io::Result<Address> {
        Err(unsupported("getsockname"))
    }

    fn peer_address(&self, _fd: &StubFd) -> io::Result<Address> {
        Err(unsupported("getpeername"))
    }

    fn shutdown(&self, _fd: &StubFd, _how: HowToShut) -> io::Result<()> {
        Err(unsupported("shutdown"))
    }

    fn read(&self, _fd: &StubFd, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(unsupported("read"))
    }

    fn write(&self, _fd: &StubFd, _bytes: &[u8]) -> io::Result<usize> {
        Err(unsupported("write"))
    }

    fn read_vectored(&self, _fd: &StubFd, _buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Err(unsupported("readv"))
    }

    fn write_vectored(&self, _fd: &StubFd, _pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Err(unsupported("writev"))
    }

    fn peek(&self, _fd: &StubFd, _buffer: &mut [u8]) -> io::Result<usize> {
        Err(unsupported("recv"))
    }

    fn set_reuse_address(&self, _fd: &StubFd, _on: bool) -> io::Result<()> {
        Err(unsupported("setsockopt"))
    }

    fn nodelay(&self, _fd: &StubFd) -> io::Result<bool> {
        Err(unsupported("getsockopt"))
    }

    fn set_nodelay(&self, _fd: &StubFd, _on: bool) -> io::Result<()> {
        Err(unsupported("setsockopt"))
    }

    fn nonblocking(&self, _fd: &StubFd) -> io::Result<bool> {
        Ok(true)
    }

    fn set_nonblocking(&self, _fd: &StubFd, _on: bool) -> io::Result<()> {
        Err(unsupported("ioctl"))
    }

    fn dup(&self, _fd: &StubFd) -> io::Result<StubFd> {
        Ok(StubFd)
    }

    fn close(&self, _fd: &StubFd) -> io::Result<()> {
        Ok(())
    }

    fn queue(&self) -> io::Result<StubQueue<P>> {
        Ok(StubQueue { token: P::AtomicU32::new(0) })
    }

    fn add(
        &self,
        _queue: &StubQueue<P>,
        _fd: &StubFd,
        _token: Token,
    ) -> Result<SetChange, RegisterFault> {
        Ok(SetChange::InForce)
    }

    fn remove(&self, _queue: &StubQueue<P>, _fd: &StubFd) -> io::Result<SetChange> {
        Ok(SetChange::InForce)
    }

    fn arm(
        &self,
        _queue: &StubQueue<P>,
        _fd: &StubFd,
        _token: Token,
        _mode: Mode,
    ) -> io::Result<SetChange> {
        Ok(SetChange::InForce)
    }

    fn wait(
        &self,
        _queue: &StubQueue<P>,
        batch: &mut SimBatch,
        _timeout: Timeout,
    ) -> io::Result<()> {
        batch.clear();
        batch.push(Event { token: Token::BREAK, bits: Bits::IN });
        Ok(())
    }

    fn post(&self, queue: &StubQueue<P>) -> io::Result<()> {
        // Relaxed, like the drain: see above.
        queue.token.swap(1, Ordering::Relaxed);
        Ok(())
    }

    fn drain(&self, queue: &StubQueue<P>) -> io::Result<()> {
        queue.token.swap(0, Ordering::Relaxed);
        Ok(())
    }
}
