//! mio.

use super::Queue;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// `mio::Poll`.
#[derive(Debug)]
pub(crate) struct Mio {
    poll: Poll,
    events: Events,
    /// While it lives its last event is not lost.
    waker: Option<Arc<Waker>>,
}

const WAKER: Token = Token(usize::MAX);

impl Queue for Mio {
    type Socket = OwnedFd;
    type Waker = Arc<Waker>;

    fn new() -> io::Result<Self> {
        Ok(Mio { poll: Poll::new()?, events: Events::with_capacity(128), waker: None })
    }

    fn add(&mut self, fd: OwnedFd, token: usize) -> io::Result<OwnedFd> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut SourceFd(&fd.as_raw_fd()), Token(token), both)?;
        Ok(fd)
    }

    fn remove(&mut self, socket: OwnedFd) -> io::Result<()> {
        self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd()))
    }

    fn wait(&mut self, tokens: &mut Vec<usize>, timeout: Option<Duration>) -> io::Result<()> {
        tokens.clear();
        self.poll.poll(&mut self.events, timeout)?;
        let readable = |event: &&mio::event::Event| event.token() != WAKER && event.is_readable();
        tokens.extend(self.events.iter().filter(readable).map(|event| event.token().0));
        Ok(())
    }

    fn waker(&mut self) -> io::Result<Arc<Waker>> {
        let waker = Arc::new(Waker::new(self.poll.registry(), WAKER)?);
        self.waker = Some(Arc::clone(&waker));
        Ok(waker)
    }

    fn wake(waker: &Arc<Waker>) -> io::Result<()> {
        waker.wake()
    }

    fn read(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(socket, buffer)?)
    }

    fn write(socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(socket, bytes)?)
    }
}
