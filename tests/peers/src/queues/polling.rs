//! polling, edge-triggered as all others are.

use super::Queue;
use crate::sys;
use polling::{Event, Events, Poller};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// `polling::Poller`.
#[derive(Debug)]
pub(crate) struct Polling {
    poller: Arc<Poller>,
    events: Events,
}

impl Queue for Polling {
    type Socket = OwnedFd;
    type Waker = Arc<Poller>;

    fn new() -> io::Result<Self> {
        let events = Events::with_capacity(NonZeroUsize::new(128).expect("it is not zero"));
        Ok(Polling { poller: Arc::new(Poller::new()?), events })
    }

    fn add(&mut self, fd: OwnedFd, token: usize) -> io::Result<OwnedFd> {
        sys::add_to_polling(&self.poller, &fd, Event::all(token))?;
        Ok(fd)
    }

    fn remove(&mut self, socket: OwnedFd) -> io::Result<()> {
        self.poller.delete(&socket)
    }

    fn wait(&mut self, tokens: &mut Vec<usize>, timeout: Option<Duration>) -> io::Result<()> {
        tokens.clear();
        self.events.clear();
        self.poller.wait(&mut self.events, timeout)?;
        tokens.extend(self.events.iter().filter(|event| event.readable).map(|event| event.key));
        Ok(())
    }

    fn waker(&mut self) -> io::Result<Arc<Poller>> {
        Ok(Arc::clone(&self.poller))
    }

    fn wake(waker: &Arc<Poller>) -> io::Result<()> {
        waker.notify()
    }

    fn read(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(socket, buffer)?)
    }

    fn write(socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(socket, bytes)?)
    }
}
