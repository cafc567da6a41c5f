//! The benchmarks for whoever has tasks: this runtime, tokio, async-io with an executor.
//!
//! They are written once, over the trait [`Runtime`], so that all do the same; what differs is in the three
//! files beside this one. A task that waits for another one does so by an [`Event`] of ours, which is the same for all.

mod async_io;
mod netpoller;
mod tokio;

pub(crate) use self::async_io::{AsyncIo, AsyncIoThreads};
pub(crate) use self::netpoller::{Local, Workers};
pub(crate) use self::tokio::{TokioCurrent, TokioMulti};

use crate::cases::Bench;
use crate::hot::{self, Cold};
use crate::meter::{Meter, Sample, Times, Work};
use crate::tell_port;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// A connected socket of a runtime.
pub(crate) trait Stream: Send + Sized + 'static {
    fn recv(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    fn send(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Reads, for this long at most: an error of kind `TimedOut`.
    fn recv_within(
        &mut self,
        buffer: &mut [u8],
        limit: Duration,
    ) -> impl Future<Output = io::Result<usize>> + Send;
}

/// Something that has a deadline.
pub(crate) trait Deadline: Send + 'static {
    /// A deadline this far from now, in place of the one before. It is not waited for.
    fn set(&mut self, far: Duration);

    /// The same, and takes it back.
    fn set_and_clear(&mut self, far: Duration);
}

/// A runtime that tasks are spawned on. What is made on it is made inside of [`run`](Runtime::run).
pub(crate) trait Runtime: 'static {
    type Pair: Stream;
    type Tcp: Stream;
    type Listener: Send + 'static;
    type Deadline: Deadline;

    /// Starts it, with this many workers if it has workers, and runs `main` as a task.
    fn run<T: Send + 'static>(workers: usize, main: impl Future<Output = T> + Send + 'static) -> T;

    /// Starts a task, which goes on by itself.
    fn spawn(task: impl Future<Output = ()> + Send + 'static);

    fn pair() -> io::Result<(Self::Pair, Self::Pair)>;

    /// A descriptor that nothing ever happens on, registered, and read from.
    fn silent() -> io::Result<impl Future<Output = ()> + Send + 'static>;

    /// Takes over a socket that does not block.
    fn adopt(stream: std::os::unix::net::UnixStream) -> io::Result<Self::Pair>;

    fn listener(listener: TcpListener) -> io::Result<Self::Listener>;

    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    fn connect(to: SocketAddr) -> impl Future<Output = io::Result<Self::Tcp>> + Send;

    /// Nothing waits for more to send (`TCP_NODELAY`).
    fn send_at_once(stream: &Self::Tcp) -> io::Result<()>;

    /// A descriptor with a deadline, or whatever has one here.
    fn deadline() -> io::Result<Self::Deadline>;

    /// A deadline in the past on a parked reader, where there is such a thing: how long until
    /// the reader has returned.
    fn past_deadline(_work: Work) -> Option<Sample> {
        None
    }
}

/// Runs a benchmark. `None`: it is not for this one.
pub(crate) fn run<R: Runtime>(bench: Bench, work: Work) -> Option<Sample> {
    Some(match bench {
        Bench::Pingpong => R::run(work.cores, ping_pong::<R>(work, false)),
        Bench::PingpongDeadline => R::run(work.cores, ping_pong::<R>(work, true)),
        Bench::Break => R::run(work.cores, breaks(work)),
        Bench::Idle => R::run(work.cores, ring::<R>(work)),
        Bench::Accept => R::run(work.cores, accept::<R>(work)),
        Bench::Churn => R::run(work.cores, churn::<R>(work)),
        Bench::Deadline => R::run(work.cores, deadlines::<R>(work)),
        Bench::Precision => R::run(work.cores, precision::<R>(work)),
        Bench::Fairness => R::run(work.cores, fairness::<R>(work)),
        Bench::Tcp => R::run(work.cores, tcp::<R>(work)),
        Bench::DeadlinePast => return R::past_deadline(work),
        Bench::BreakSuppressed => return None,
    })
}

/// Set once, and waited for by one task.
#[derive(Debug, Default)]
pub(crate) struct Event {
    waker: Mutex<Option<Waker>>,
    set: AtomicBool,
}

impl Event {
    pub(crate) fn set(&self) {
        // Release: pairs with the swap of the waiter.
        self.set.store(true, Ordering::Release);
        let waker = self.waker.lock().expect("no panic").take();
        // Outside of the lock, which the task wants next.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until it is set, and takes it back.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            // The lock orders this against `set`: whoever sets after it finds the waker.
            *self.waker.lock().expect("no panic") = Some(cx.waker().clone());
            match self.set.swap(false, Ordering::Acquire) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Whether somebody waits who has not been woken.
    fn awaited(&self) -> bool {
        self.waker.lock().expect("no panic").is_some()
    }
}

/// Waits for the end of several tasks.
#[derive(Debug)]
struct Latch {
    left: AtomicU64,
    done: Event,
}

impl Latch {
    fn new(tasks: u64) -> Arc<Latch> {
        Arc::new(Latch { left: AtomicU64::new(tasks), done: Event::default() })
    }

    fn arrive(&self) {
        // AcqRel: the last one has seen what all others did.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.set();
        }
    }
}

const FAR: Duration = Duration::from_secs(3600);

async fn one_byte(stream: &mut impl Stream, byte: &mut [u8; 1], limited: bool) -> usize {
    let read = if limited { stream.recv_within(byte, FAR).await } else { stream.recv(byte).await };
    read.expect("the peer is there")
}

async fn ping_pong<R: Runtime>(work: Work, limited: bool) -> Sample {
    let (mut near, mut far) = R::pair().expect("a pair");
    let (done, echoed) = (Latch::new(1), Arc::new(AtomicU64::new(0)));
    let (theirs, count) = (Arc::clone(&done), Arc::clone(&echoed));
    R::spawn(async move {
        let mut byte = [0];
        while one_byte(&mut far, &mut byte, limited).await == 1 {
            far.send(&byte).await.expect("the peer is there");
            count.fetch_add(1, Ordering::Relaxed);
        }
        theirs.arrive();
    });
    let meter = Meter::new(&work);
    let (mut sent, mut byte) = (0_u64, [0]);
    loop {
        near.send(&[sent as u8]).await.expect("the peer is there");
        assert_eq!(one_byte(&mut near, &mut byte, limited).await, 1, "the peer has gone");
        assert_eq!(byte[0], sent as u8, "another byte came back");
        sent += 1;
        if !meter.op() {
            break;
        }
    }
    drop(near);
    done.done.wait().await;
    assert_eq!(echoed.load(Ordering::Relaxed), sent, "bytes were lost");
    meter.sample()
}

/// A thread wakes a task that is parked.
async fn breaks(work: Work) -> Sample {
    let bell = Arc::new(Event::default());
    let rung = Arc::new(Mutex::new(Instant::now()));
    let mut times = Times::new(&work);
    let (theirs, when, rounds) = (Arc::clone(&bell), Arc::clone(&rung), times.all());
    let ringer = std::thread::spawn(move || {
        for _ in 0..rounds {
            while !theirs.awaited() {
                std::hint::spin_loop();
            }
            hot::gap();
            *when.lock().expect("no panic") = Instant::now();
            theirs.set();
        }
    });
    loop {
        bell.wait().await;
        let took = rung.lock().expect("no panic").elapsed();
        if !times.took(took) {
            break;
        }
    }
    ringer.join().expect("no panic");
    times.sample()
}

/// How many pairs pass bytes on to each other, and how many bytes are on their way.
pub(crate) const RING: usize = 100;
pub(crate) const ON_THEIR_WAY: usize = 10;

async fn ring<R: Runtime>(work: Work) -> Sample {
    for _ in 0..work.param {
        R::spawn(R::silent().expect("a descriptor"));
    }
    let (mut readers, mut writers) = (Vec::new(), Vec::new());
    for _ in 0..RING {
        let (reader, writer) = R::pair().expect("a pair");
        readers.push(reader);
        writers.push(writer);
    }
    for writer in &mut writers[..ON_THEIR_WAY] {
        writer.send(b"x").await.expect("room for a byte");
    }
    writers.rotate_left(1);
    let (meter, done) = (Arc::new(Meter::new(&work)), Latch::new(1));
    for (mut reader, mut writer) in readers.into_iter().zip(writers) {
        let (meter, done) = (Arc::clone(&meter), Arc::clone(&done));
        R::spawn(async move {
            let mut byte = [0];
            // When the counting is over the others are left alone, and dropped with the runtime.
            while reader.recv(&mut byte).await.expect("the peer is there") == 1 {
                writer.send(&byte).await.expect("room for a byte");
                if !meter.op() {
                    break;
                }
            }
            done.arrive();
            std::future::pending::<()>().await;
        });
    }
    done.done.wait().await;
    meter.sample()
}

/// A listener on the loopback device.
fn listener<R: Runtime>() -> (R::Listener, SocketAddr) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    (R::listener(listener).expect("a listener"), address)
}

async fn accept<R: Runtime>(work: Work) -> Sample {
    let (listener, address) = listener::<R>();
    tell_port(address.port());
    let meter = Arc::new(Meter::new(&work));
    let done = Latch::new(meter.all());
    for _ in 0..meter.all() {
        let mut stream = R::accept(&listener).await.expect("a connection");
        let (meter, done) = (Arc::clone(&meter), Arc::clone(&done));
        R::spawn(async move {
            let mut byte = [0];
            let read = stream.recv(&mut byte).await.expect("no error");
            assert_eq!(read, 1, "the client has gone");
            stream.send(&byte).await.expect("room for a byte");
            drop(stream);
            meter.op();
            done.arrive();
        });
    }
    done.done.wait().await;
    meter.sample()
}

async fn churn<R: Runtime>(work: Work) -> Sample {
    let meter = Arc::new(Meter::new(&work));
    let done = Latch::new(work.param);
    for _ in 0..work.param {
        let (meter, done) = (Arc::clone(&meter), Arc::clone(&done));
        R::spawn(async move {
            while meter.op() {
                drop(R::pair().expect("a pair"));
            }
            done.arrive();
        });
    }
    done.done.wait().await;
    meter.sample()
}

/// With a parameter of 1: a deadline is set and cleared. Of more: there are so many, all different, and
/// one after the other is moved.
async fn deadlines<R: Runtime>(work: Work) -> Sample {
    let mut all: Vec<_> = (0..work.param).map(|_| R::deadline().expect("a deadline")).collect();
    let meter = Meter::new(&work);
    if let [deadline] = &mut all[..] {
        loop {
            deadline.set_and_clear(FAR);
            if !meter.op() {
                return meter.sample();
            }
        }
    }
    for (far, deadline) in (0..).zip(&mut all) {
        deadline.set(FAR + Duration::from_micros(far * 7919 % 1_000_003));
    }
    for turn in 0.. {
        for (place, deadline) in (0..).zip(&mut all) {
            let far = (turn * 10_007 + place) * 7919 % 1_000_003;
            deadline.set(FAR + Duration::from_micros(far));
            if !meter.op() {
                return meter.sample();
            }
        }
    }
    unreachable!("there is no end of turns")
}

async fn precision<R: Runtime>(work: Work) -> Sample {
    let (mut near, _far) = R::pair().expect("a pair");
    let mut times = Times::new(&work);
    let due = Duration::from_micros(work.param);
    loop {
        let begin = Instant::now();
        let error = near.recv_within(&mut [0], due).await.expect_err("nobody writes");
        let more = times.late(begin, due);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
        if !more {
            return times.sample();
        }
    }
}

/// Pairs between which bytes bounce all the time, and one that is written to now and then.
async fn fairness<R: Runtime>(work: Work) -> Sample {
    for _ in 0..hot::PAIRS {
        let (near, far) = R::pair().expect("a pair");
        for (mut stream, first) in [(near, true), (far, false)] {
            R::spawn(async move {
                let mut byte = [0];
                if first {
                    stream.send(b"x").await.expect("room for a byte");
                }
                // In the end their sockets are closed one after the other.
                while matches!(stream.recv(&mut byte).await, Ok(1)) {
                    let _sent = stream.send(&byte).await;
                }
            });
        }
    }
    let (here, there) = std::os::unix::net::UnixStream::pair().expect("a pair");
    here.set_nonblocking(true).expect("a socket");
    let mut cold = R::adopt(here).expect("a descriptor");
    let mut times = Times::new(&work);
    let sender = Cold::start(there, times.all());
    loop {
        let mut message = [0; 8];
        let read = cold.recv(&mut message).await.expect("no error");
        assert_eq!(read, message.len(), "a message in pieces");
        if !times.took(sender.since(message)) {
            break;
        }
    }
    sender.join();
    times.sample()
}

/// How long the messages over TCP are, and what they are read into: as servers do it, there is room for more.
pub(crate) const MESSAGE: usize = 64;
pub(crate) const BUFFER: usize = 1024;

async fn tcp<R: Runtime>(work: Work) -> Sample {
    let meter = Arc::new(Meter::new(&work).in_swarms_of(work.param));
    let done = Latch::new(work.param);
    let (listener, address) = listener::<R>();
    for _ in 0..work.param {
        let mut near = R::connect(address).await.expect("a connection");
        let mut far = R::accept(&listener).await.expect("a connection");
        for stream in [&near, &far] {
            R::send_at_once(stream).expect("a socket");
        }
        R::spawn(async move {
            let mut message = [0; BUFFER];
            loop {
                let read = far.recv(&mut message).await.expect("the peer is there");
                if read == 0 {
                    break;
                }
                let sent = far.send(&message[..read]).await.expect("room for it");
                assert_eq!(sent, read, "a message in pieces");
            }
        });
        let (meter, done) = (Arc::clone(&meter), Arc::clone(&done));
        R::spawn(async move {
            let mut more = true;
            for round in 0_u64.. {
                let sent = near.send(&[round as u8; MESSAGE]).await.expect("room for it");
                let (mut message, mut read) = ([0; BUFFER], 0);
                while read < sent {
                    let more = near.recv(&mut message[read..]).await.expect("no error");
                    assert_ne!(more, 0, "the peer has gone");
                    read += more;
                }
                assert_eq!(message[..read], [round as u8; MESSAGE], "another message came back");
                more &= meter.op();
                if !more {
                    break;
                }
            }
            done.arrive();
        });
    }
    done.done.wait().await;
    meter.sample()
}
