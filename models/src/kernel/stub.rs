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
//!
//! In a second form ([`StubKernel::in_which_one_sleeps`]) a wait does block, until an event is rung by hand
//! or a token comes; that form orders, and is for scenarios that are not about fences (`bell`).

use super::bell::Bell;
use super::seam::unsupported;
use super::{SimBatch, Timed};
use core::sync::atomic::Ordering;
use netpoller::seam::{
    Address, Arc, Atomic, Event, HowToShut, Instant, Kernel, Kind, Primitives, RegisterFault,
    SetChange, Timeout,
};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::io::{self, IoSlice, IoSliceMut};

/// The kernel of nothing but a break, and a clock.
#[derive(Debug)]
pub struct StubKernel<P: Primitives> {
    clock: Arc<P::AtomicU64>,
    sleeps: bool,
}

impl<P: Primitives> StubKernel<P> {
    /// Such a kernel.
    #[must_use]
    pub fn new() -> StubKernel<P> {
        StubKernel { clock: Arc::new(P::AtomicU64::new(0)), sleeps: false }
    }

    /// Such a kernel, in which one thread can sleep until something is rung.
    #[must_use]
    pub fn in_which_one_sleeps() -> StubKernel<P> {
        StubKernel { sleeps: true, ..StubKernel::new() }
    }

    /// Makes an event: a wait reports it, once. Only where one can sleep.
    ///
    /// # Panics
    ///
    /// Where nobody can.
    pub fn ring(&self, queue: &StubQueue<P>, event: Event) {
        match queue {
            StubQueue::Bell(bell) => bell.ring(event),
            StubQueue::Token(_) => panic!("edges are delivered by hand in this kernel"),
        }
    }

    /// Lets the time pass until `instant`. For one thread at a time.
    pub fn advance_to(&self, instant: Instant) {
        // Relaxed, like the look at it: the clock orders nothing.
        self.clock.store(instant.as_nanos(), Ordering::Relaxed);
    }
}

impl<P: Primitives> Timed for StubKernel<P> {
    fn time(&self) -> Instant {
        Instant::from_nanos(self.clock.load(Ordering::Relaxed))
    }
}

impl<P: Primitives> Default for StubKernel<P> {
    fn default() -> StubKernel<P> {
        StubKernel::new()
    }
}

impl<P: Primitives> Clone for StubKernel<P> {
    fn clone(&self) -> StubKernel<P> {
        StubKernel { clock: Arc::clone(&self.clock), sleeps: self.sleeps }
    }
}

/// A descriptor of nothing.
#[derive(Debug)]
pub struct StubFd;

/// Its event queue.
#[derive(Debug)]
#[expect(private_interfaces, reason = "what is in it is the kernel's own affair")]
pub enum StubQueue<P: Primitives> {
    /// One token, and nobody sleeps.
    Token(P::AtomicU32),
    /// One token, and what was rung; one thread may sleep.
    Bell(Bell<P>),
}

impl<P: Primitives> StubQueue<P> {
    /// Whether the break token is there. Not a step of the program.
    #[must_use]
    pub fn peek_break_token(&self) -> bool {
        match self {
            StubQueue::Token(token) => token.peek() != 0,
            StubQueue::Bell(bell) => bell.peek_break_token(),
        }
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
        Ok(if self.sleeps {
            StubQueue::Bell(Bell::new())
        } else {
            StubQueue::Token(P::AtomicU32::new(0))
        })
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

    fn wait(&self, queue: &StubQueue<P>, batch: &mut SimBatch, timeout: Timeout) -> io::Result<()> {
        batch.clear();
        let report = match queue {
            StubQueue::Token(_) => Some(Event { token: Token::BREAK, bits: Bits::IN }),
            StubQueue::Bell(bell) => bell.wait(timeout != Timeout::Zero),
        };
        report.into_iter().for_each(|event| batch.push(event));
        Ok(())
    }

    fn post(&self, queue: &StubQueue<P>) -> io::Result<()> {
        match queue {
            // Relaxed, like the drain: see above.
            StubQueue::Token(token) => drop(token.swap(1, Ordering::Relaxed)),
            StubQueue::Bell(bell) => bell.post(),
        }
        Ok(())
    }

    fn drain(&self, queue: &StubQueue<P>) -> io::Result<()> {
        match queue {
            StubQueue::Token(token) => drop(token.swap(0, Ordering::Relaxed)),
            StubQueue::Bell(bell) => bell.drain(),
        }
        Ok(())
    }
}
