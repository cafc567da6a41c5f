//! The bare system calls, without libc: the floor.

use super::{Queue, socket_pair};
use crate::meter::{Meter, Sample, Work};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

/// epoll(7).
pub(crate) struct Bare {
    queue: OwnedFd,
    events: Vec<epoll::Event>,
    waker: Option<Arc<OwnedFd>>,
}

const WAKER: u64 = u64::MAX;

fn timespec(time: Duration) -> Timespec {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timespec { tv_sec: seconds, tv_nsec: time.subsec_nanos().into() }
}

impl Queue for Bare {
    type Socket = OwnedFd;
    type Waker = Arc<OwnedFd>;

    fn new() -> io::Result<Self> {
        let queue = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Bare { queue, events: Vec::with_capacity(128), waker: None })
    }

    fn add(&mut self, fd: OwnedFd, token: usize) -> io::Result<OwnedFd> {
        let flags = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        epoll::add(&self.queue, &fd, epoll::EventData::new_u64(token as u64), flags)?;
        Ok(fd)
    }

    fn remove(&mut self, socket: OwnedFd) -> io::Result<()> {
        Ok(epoll::delete(&self.queue, &socket)?)
    }

    fn wait(&mut self, tokens: &mut Vec<usize>, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        tokens.clear();
        let timeout = timeout.map(timespec);
        epoll::wait(&self.queue, spare_capacity(&mut self.events), timeout.as_ref())?;
        for event in &self.events {
            let (data, flags) = (event.data, event.flags);
            if data.u64() == WAKER {
                let waker = self.waker.as_ref().expect("its events are those of the waker");
                rustix::io::read(waker, &mut [0; 8])?;
            } else if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP) {
                tokens.push(data.u64() as usize);
            }
        }
        Ok(())
    }

    fn waker(&mut self) -> io::Result<Arc<OwnedFd>> {
        let waker = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let data = epoll::EventData::new_u64(WAKER);
        epoll::add(&self.queue, &waker, data, epoll::EventFlags::IN)?;
        self.waker = Some(Arc::clone(&waker));
        Ok(waker)
    }

    fn wake(waker: &Arc<OwnedFd>) -> io::Result<()> {
        rustix::io::write(waker, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    fn read(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(socket, buffer)?)
    }

    fn write(socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(socket, bytes)?)
    }

    fn churn_by_threads(work: Work) -> Option<Sample> {
        let queue = Bare::new().expect("a queue");
        let meter = Meter::new(&work);
        std::thread::scope(|scope| {
            for _ in 0..work.param {
                scope.spawn(|| {
                    while meter.op() {
                        let (one, two) = socket_pair().expect("a pair");
                        for socket in [&one, &two] {
                            let flags = epoll::EventFlags::IN
                                | epoll::EventFlags::OUT
                                | epoll::EventFlags::ET;
                            let data = epoll::EventData::new_u64(0);
                            epoll::add(&queue.queue, socket, data, flags).expect("registered");
                        }
                        for socket in [&one, &two] {
                            epoll::delete(&queue.queue, socket).expect("registered");
                        }
                    }
                });
            }
        });
        Some(meter.sample())
    }
}
