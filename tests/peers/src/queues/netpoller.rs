//! The poller of this project, without its runtime: a wait in each descriptor, whose waker says its token.

use super::Queue;
use crate::cases::Bench;
use crate::meter::{Meter, Sample, Work};
use netpoller::{Attached, Mode, Poller, Ready, Source, Waiter};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// [`Poller`].
#[derive(Debug)]
pub(crate) struct Raw {
    poller: Poller,
    ready: Ready,
    woken: Arc<Mutex<Vec<usize>>>,
    sockets: Vec<Option<&'static Socket>>,
    _attached: Attached,
}

/// A source and the right to wait in it, which borrows it: so both are there for as long as the process.
#[derive(Debug)]
pub(crate) struct Socket {
    source: &'static Source,
    reader: RefCell<Waiter<'static>>,
    waits: Cell<bool>,
    waker: Waker,
    token: usize,
}

/// Says which one was woken.
#[derive(Debug)]
struct Bell {
    token: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.lock().expect("no panic").push(self.token);
    }
}

impl Socket {
    /// Consumes what is there and waits for more; not while the deadline is over.
    fn rearm(&self) {
        let mut reader = self.reader.borrow_mut();
        let mut cx = Context::from_waker(&self.waker);
        self.waits.set(loop {
            match reader.poll_wait(&mut cx) {
                Poll::Pending => break true,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_over)) => break false,
            }
        });
    }
}

impl Queue for Raw {
    type Socket = &'static Socket;
    type Waker = Poller;

    fn new() -> io::Result<Self> {
        let poller = Poller::new()?;
        Ok(Raw {
            _attached: poller.attach(),
            poller,
            ready: Ready::new(),
            woken: Arc::default(),
            sockets: Vec::new(),
        })
    }

    fn add(&mut self, fd: OwnedFd, token: usize) -> io::Result<&'static Socket> {
        let source: &'static Source = Box::leak(Box::new(self.poller.register(fd.into())?));
        let waker = Waker::from(Arc::new(Bell { token, woken: Arc::clone(&self.woken) }));
        let reader = RefCell::new(source.waiter(Mode::Read)?);
        let socket: &'static Socket =
            Box::leak(Box::new(Socket { source, reader, waits: Cell::new(false), waker, token }));
        socket.rearm();
        self.sockets.resize(self.sockets.len().max(token + 1), None);
        self.sockets[token] = Some(socket);
        Ok(socket)
    }

    fn remove(&mut self, socket: &'static Socket) -> io::Result<()> {
        self.sockets[socket.token] = None;
        socket.source.close()
    }

    fn wait(&mut self, tokens: &mut Vec<usize>, timeout: Option<Duration>) -> io::Result<()> {
        tokens.clear();
        self.poller.poll(&mut self.ready, timeout)?;
        self.ready.wake_all();
        tokens.append(&mut self.woken.lock().expect("no panic"));
        for &token in tokens.iter() {
            if let Some(socket) = self.sockets[token] {
                socket.rearm();
            }
        }
        Ok(())
    }

    fn waker(&mut self) -> io::Result<Poller> {
        Ok(self.poller.clone())
    }

    fn wake(waker: &Poller) -> io::Result<()> {
        waker.wake()
    }

    fn read(socket: &&'static Socket, buffer: &mut [u8]) -> io::Result<usize> {
        socket.source.try_read(buffer)
    }

    fn write(socket: &&'static Socket, bytes: &[u8]) -> io::Result<usize> {
        socket.source.try_write(bytes)
    }

    fn wait_to_read(
        &mut self,
        socket: &&'static Socket,
        tokens: &mut Vec<usize>,
        limit: Duration,
    ) -> io::Result<()> {
        let deadline = self.poller.now().saturating_add(limit);
        socket.source.set_read_deadline(Some(deadline))?;
        // The one before may have ended the wait. The new one may have come already.
        if !socket.waits.get() {
            socket.rearm();
        }
        if socket.waits.get() { self.wait(tokens, None) } else { Ok(()) }
    }

    fn deadlines(bench: Bench, work: Work) -> Option<Sample> {
        if bench != Bench::Deadline {
            return None;
        }
        let mut queue = Raw::new().expect("a poller");
        let far = Duration::from_secs(3600);
        let sockets = (0..work.param).map(|token| {
            let socket = std::os::unix::net::UnixDatagram::unbound().expect("a descriptor");
            socket.set_nonblocking(true).expect("a socket");
            queue.add(socket.into(), token as usize).expect("registered")
        });
        let sockets: Vec<_> = sockets.collect();
        let meter = Meter::new(&work);
        let set = |socket: &Socket, far: Duration| {
            let deadline = socket.source.poller().now().saturating_add(far);
            socket.source.set_read_deadline(Some(deadline)).expect("open");
        };
        if let [socket] = &sockets[..] {
            loop {
                set(socket, far);
                socket.source.set_read_deadline(None).expect("open");
                if !meter.op() {
                    return Some(meter.sample());
                }
            }
        }
        for turn in 0.. {
            for (place, socket) in (0..).zip(&sockets) {
                let more = (turn * 10_007 + place) * 7919 % 1_000_003;
                set(socket, far + Duration::from_micros(more));
                if turn > 0 && !meter.op() {
                    return Some(meter.sample());
                }
            }
        }
        unreachable!("there is no end of turns")
    }

    fn churn(&mut self) -> io::Result<()> {
        self.poller.stream_pair().map(drop)
    }

    fn churn_by_threads(work: Work) -> Option<Sample> {
        let poller = Poller::new().expect("a poller");
        let meter = Meter::new(&work);
        std::thread::scope(|scope| {
            for _ in 0..work.param {
                scope.spawn(|| {
                    while meter.op() {
                        drop(poller.stream_pair().expect("a pair"));
                    }
                });
            }
        });
        Some(meter.sample())
    }

    fn suppressed(&mut self, meter: &Meter) -> io::Result<()> {
        while meter.op() {
            self.poller.wake()?;
        }
        Ok(())
    }
}
