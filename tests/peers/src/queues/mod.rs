//! The benchmarks for whoever has an event queue and no tasks: the bare system calls, mio, polling, and the
//! poller of this project without its runtime.
//!
//! One loop waits for events and does what there is to do for each. All are registered once and
//! edge-triggered, and the loop knows how long a message is, so it reads once where a runtime
//! has to read until there is nothing.

mod bare;
mod mio;
mod netpoller;
mod polling;

pub(crate) use self::bare::Bare;
pub(crate) use self::mio::Mio;
pub(crate) use self::netpoller::Raw;
pub(crate) use self::polling::Polling;

use crate::cases::Bench;
use crate::hot::{self, Cold};
use crate::meter::{Meter, Sample, Times, Work};
use crate::tasks::{MESSAGE, ON_THEIR_WAY, RING};
use crate::tell_port;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// An event queue.
pub(crate) trait Queue: Sized {
    /// A registered descriptor. Dropping it closes it.
    type Socket;
    /// What another thread gets a wait to return with.
    type Waker: Send + 'static;

    fn new() -> io::Result<Self>;

    /// Takes over a descriptor that does not block. Events are for whoever reads.
    fn add(&mut self, fd: OwnedFd, token: usize) -> io::Result<Self::Socket>;

    /// Takes it out and closes it.
    fn remove(&mut self, socket: Self::Socket) -> io::Result<()>;

    /// Waits, for this long at most; puts the tokens of those that may be read from into `tokens`.
    fn wait(&mut self, tokens: &mut Vec<usize>, timeout: Option<Duration>) -> io::Result<()>;

    fn waker(&mut self) -> io::Result<Self::Waker>;

    fn wake(waker: &Self::Waker) -> io::Result<()>;

    fn read(socket: &Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    fn write(socket: &Self::Socket, bytes: &[u8]) -> io::Result<usize>;

    /// A pair of sockets: made, registered, closed.
    fn churn(&mut self) -> io::Result<()> {
        let (one, two) = socket_pair()?;
        let (one, two) = (self.add(one, 0)?, self.add(two, 1)?);
        self.remove(one)?;
        self.remove(two)
    }

    /// A read with a deadline: where the queue knows none for each descriptor it is the timeout of the wait.
    fn wait_to_read(
        &mut self,
        _socket: &Self::Socket,
        tokens: &mut Vec<usize>,
        limit: Duration,
    ) -> io::Result<()> {
        self.wait(tokens, Some(limit))
    }

    /// What there is about deadlines, where it has any.
    fn deadlines(_bench: Bench, _work: Work) -> Option<Sample> {
        None
    }

    /// A break while another one is on its way, again and again.
    fn suppressed(&mut self, meter: &Meter) -> io::Result<()> {
        let waker = self.waker()?;
        while meter.op() {
            Self::wake(&waker)?;
        }
        Ok(())
    }

    /// Several threads that register and deregister with one queue.
    fn churn_by_threads(_work: Work) -> Option<Sample> {
        None
    }
}

/// Runs a benchmark. `None`: it is not for this one.
pub(crate) fn run<Q: Queue>(bench: Bench, work: Work) -> Option<Sample> {
    let mut queue = Q::new().expect("a queue");
    Some(match bench {
        Bench::Pingpong => ping_pong(&mut queue, work, None),
        Bench::PingpongDeadline => ping_pong(&mut queue, work, Some(Duration::from_secs(3600))),
        Bench::Break => breaks(&mut queue, work),
        Bench::BreakSuppressed => {
            let meter = Meter::new(&work);
            queue.suppressed(&meter).expect("a waker");
            meter.sample()
        }
        Bench::Idle => ring(&mut queue, work),
        Bench::Accept => accept(&mut queue, work),
        Bench::Churn if work.param > 1 => return Q::churn_by_threads(work),
        Bench::Churn => churn(&mut queue, work),
        Bench::Deadline | Bench::DeadlinePast => return Q::deadlines(bench, work),
        Bench::Precision => precision(&mut queue, work),
        Bench::Fairness => fairness(&mut queue, work),
        Bench::Tcp => tcp::<Q>(work),
    })
}

/// Two that do not block, by one system call.
fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn pair<Q: Queue>(queue: &mut Q, tokens: [usize; 2]) -> (Q::Socket, Q::Socket) {
    let (one, two) = socket_pair().expect("a pair");
    let one = queue.add(one, tokens[0]).expect("registered");
    let two = queue.add(two, tokens[1]).expect("registered");
    (one, two)
}

/// Reads a whole message. An event may have nothing behind it: the first ones say that there is room to write.
fn read_if_any<Q: Queue>(socket: &Q::Socket, message: &mut [u8]) -> bool {
    match Q::read(socket, message) {
        Ok(read) => {
            assert_eq!(read, message.len(), "a message in pieces, or none: the peer has gone")
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
        Err(error) => panic!("a read failed: {error}"),
    }
    true
}

/// Waits until this one may be read from, and reads.
fn read_next<Q: Queue>(
    queue: &mut Q,
    (socket, token): (&Q::Socket, usize),
    tokens: &mut Vec<usize>,
    limit: Option<Duration>,
) -> u8 {
    let mut byte = [0];
    loop {
        match limit {
            None => queue.wait(tokens, None).expect("an event"),
            Some(limit) => queue.wait_to_read(socket, tokens, limit).expect("an event"),
        }
        if tokens.contains(&token) && read_if_any::<Q>(socket, &mut byte) {
            return byte[0];
        }
    }
}

fn ping_pong<Q: Queue>(queue: &mut Q, work: Work, limit: Option<Duration>) -> Sample {
    let (near, far) = pair(queue, [0, 1]);
    let meter = Meter::new(&work);
    let (mut tokens, mut sent) = (Vec::new(), 0_u8);
    loop {
        Q::write(&near, &[sent]).expect("room for a byte");
        let byte = read_next(queue, (&far, 1), &mut tokens, limit);
        Q::write(&far, &[byte]).expect("room for a byte");
        let back = read_next(queue, (&near, 0), &mut tokens, limit);
        assert_eq!(back, sent, "another byte came back");
        sent = sent.wrapping_add(1);
        if !meter.op() {
            return meter.sample();
        }
    }
}

/// A thread gets another one out of the wait.
fn breaks<Q: Queue>(queue: &mut Q, work: Work) -> Sample {
    let waker = queue.waker().expect("a waker");
    let mut times = Times::new(&work);
    let waits = Arc::new(AtomicBool::new(false));
    let woken = Arc::new(Mutex::new(Instant::now()));
    let (theirs, when, rounds) = (Arc::clone(&waits), Arc::clone(&woken), times.all());
    let breaker = std::thread::spawn(move || {
        for _ in 0..rounds {
            // Acquire and Release: one round after the other.
            while !theirs.swap(false, Ordering::Acquire) {
                std::hint::spin_loop();
            }
            hot::gap();
            *when.lock().expect("no panic") = Instant::now();
            Q::wake(&waker).expect("a break");
        }
    });
    let mut tokens = Vec::new();
    loop {
        waits.store(true, Ordering::Release);
        queue.wait(&mut tokens, None).expect("the break");
        let took = woken.lock().expect("no panic").elapsed();
        if !times.took(took) {
            break;
        }
    }
    breaker.join().expect("no panic");
    times.sample()
}

fn ring<Q: Queue>(queue: &mut Q, work: Work) -> Sample {
    let mut silent = Vec::new();
    for token in RING..RING + work.param as usize {
        let socket = UnixDatagram::unbound().expect("a descriptor");
        socket.set_nonblocking(true).expect("a socket");
        silent.push(queue.add(socket.into(), token).expect("registered"));
    }
    let other = RING + silent.len();
    let pairs: Vec<_> = (0..RING).map(|token| pair(queue, [token, other + token])).collect();
    for (_, writer) in &pairs[..ON_THEIR_WAY] {
        Q::write(writer, b"x").expect("room for a byte");
    }
    let meter = Meter::new(&work);
    let (mut tokens, mut byte) = (Vec::new(), [0]);
    loop {
        queue.wait(&mut tokens, None).expect("events");
        for &token in tokens.iter().filter(|&&token| token < RING) {
            if !read_if_any::<Q>(&pairs[token].0, &mut byte) {
                continue;
            }
            Q::write(&pairs[(token + 1) % RING].1, &byte).expect("room for a byte");
            if !meter.op() {
                return meter.sample();
            }
        }
    }
}

fn accept<Q: Queue>(queue: &mut Q, work: Work) -> Sample {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("it is bound").port();
    let duplicate = listener.try_clone().expect("a descriptor");
    let _registered = queue.add(duplicate.into(), 0).expect("registered");
    tell_port(port);
    let meter = Meter::new(&work);
    let (mut tokens, mut sockets) = (Vec::new(), vec![None]);
    let mut free = Vec::new();
    loop {
        queue.wait(&mut tokens, None).expect("events");
        let mut accepting = false;
        for &token in &tokens {
            if token == 0 {
                accepting = true;
                continue;
            }
            let Some(socket) = &sockets[token] else { continue };
            let mut byte = [0];
            if !read_if_any::<Q>(socket, &mut byte) {
                continue;
            }
            Q::write(socket, &byte).expect("room for a byte");
            queue.remove(sockets[token].take().expect("it was there")).expect("registered");
            free.push(token);
            if !meter.op() {
                return meter.sample();
            }
        }
        while accepting {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true).expect("a socket");
                    let token = free.pop().unwrap_or(sockets.len());
                    sockets.resize_with(sockets.len().max(token + 1), || None);
                    sockets[token] = Some(queue.add(stream.into(), token).expect("registered"));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => accepting = false,
                Err(error) => panic!("an accept failed: {error}"),
            }
        }
    }
}

fn churn<Q: Queue>(queue: &mut Q, work: Work) -> Sample {
    let meter = Meter::new(&work);
    while meter.op() {
        queue.churn().expect("a pair");
    }
    meter.sample()
}

fn precision<Q: Queue>(queue: &mut Q, work: Work) -> Sample {
    let (near, _far) = pair(queue, [0, 1]);
    let mut tokens = Vec::new();
    while !{
        queue.wait(&mut tokens, Some(Duration::from_millis(1))).expect("the timeout");
        tokens.is_empty()
    } {}
    let mut times = Times::new(&work);
    let due = Duration::from_micros(work.param);
    loop {
        let begin = Instant::now();
        queue.wait_to_read(&near, &mut tokens, due).expect("the timeout");
        if !times.late(begin, due) {
            return times.sample();
        }
    }
}

fn fairness<Q: Queue>(queue: &mut Q, work: Work) -> Sample {
    const COLD: usize = 2 * hot::PAIRS;
    let mut sockets = Vec::new();
    for token in (0..COLD).step_by(2) {
        let (near, far) = pair(queue, [token, token + 1]);
        Q::write(&near, b"x").expect("room for a byte");
        sockets.extend([near, far]);
    }
    let (here, there) = UnixStream::pair().expect("a pair");
    here.set_nonblocking(true).expect("a socket");
    let cold = queue.add(here.into(), COLD).expect("registered");
    let mut times = Times::new(&work);
    let sender = Cold::start(there, times.all());
    let (mut tokens, mut byte, mut message) = (Vec::new(), [0], [0; 8]);
    let mut more = true;
    while more {
        queue.wait(&mut tokens, None).expect("events");
        for &token in &tokens {
            let Some(socket) = sockets.get(token) else {
                // Several messages, if this loop was late: one edge stands for all of them.
                while more && read_if_any::<Q>(&cold, &mut message) {
                    more = times.took(sender.since(message));
                }
                continue;
            };
            if read_if_any::<Q>(socket, &mut byte) {
                assert_eq!(Q::write(socket, &byte).expect("room for a byte"), 1);
            }
        }
    }
    sender.join();
    times.sample()
}

/// A loop of its own for each core, with its share of the connections.
fn tcp<Q: Queue>(work: Work) -> Sample {
    let meter = Meter::new(&work).in_swarms_of(work.param);
    std::thread::scope(|scope| {
        for _ in 0..work.cores {
            scope.spawn(|| echo::<Q>(&meter, work.param as usize / work.cores));
        }
    });
    meter.sample()
}

fn echo<Q: Queue>(meter: &Meter, connections: usize) {
    let mut queue = Q::new().expect("a queue");
    let mut sockets = Vec::new();
    for (near, far) in hot::tcp_pairs(connections).expect("connections") {
        for socket in [near, far] {
            sockets.push(queue.add(socket.into(), sockets.len()).expect("registered"));
        }
    }
    for near in sockets.iter().step_by(2) {
        Q::write(near, &[0; MESSAGE]).expect("room for it");
    }
    let (mut tokens, mut message) = (Vec::new(), [0; MESSAGE]);
    loop {
        queue.wait(&mut tokens, None).expect("events");
        for &token in &tokens {
            if !read_if_any::<Q>(&sockets[token], &mut message) {
                continue;
            }
            let back = token % 2 == 0;
            if back {
                if !meter.op() {
                    return;
                }
                // The next one is another one.
                message = [message[0].wrapping_add(1); MESSAGE];
            }
            Q::write(&sockets[token], &message).expect("room for it");
        }
    }
}
