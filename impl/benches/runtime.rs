//! What the runtime adds to the system calls that it cannot do without, and how late its sleeps are.
//!
//! Pairs are interleaved: a batch of the runtime, a batch of the bare calls, and again, so that what else the
//! machine does hits both. The rows of one worker are meant to be run on one core, those of two workers on two:
//!
//! ```text
//! taskset -c 0 cargo bench --package netpoller --features runtime --bench runtime
//! cargo bench --package netpoller --features runtime --bench runtime -- 1000 2
//! ```
//!
//! The arguments: how many rounds, 10,000 unless said otherwise; and how many workers, 1.

use netpoller::runtime::{Builder, Runtime, sleep};
use netpoller::seam::os::{Descriptor, Epoll};
use netpoller::seam::{Batch, Kernel, Kind, Timeout};
use netpoller::{Address, Source, TcpListener, TcpStream};
use netpoller_spec::token::{Generation, Token};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Round trips in a batch: so many that the begin of a batch does not count.
const BATCH: u32 = 100;
const NAP: Duration = Duration::from_micros(200);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().expect("threads and an event queue")
}

/// Nanoseconds, sorted.
struct Times(Vec<u64>);

impl Times {
    fn of(count: u32, mut one: impl FnMut() -> Duration) -> Times {
        Times((0..count).map(|_| one().as_nanos() as u64).collect())
    }

    /// Of two that take turns.
    fn pair(
        count: u32,
        mut one: impl FnMut() -> Duration,
        mut other: impl FnMut() -> Duration,
    ) -> [Times; 2] {
        let mut times = [Times(Vec::new()), Times(Vec::new())];
        for _ in 0..count {
            times[0].0.push(one().as_nanos() as u64);
            times[1].0.push(other().as_nanos() as u64);
        }
        times
    }

    fn at(&self, percent: usize) -> u64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }
}

fn row(what: &str, ours: &Times, bare: Option<&Times>) {
    let (p50, p99) = (ours.at(50), ours.at(99));
    match bare {
        Some(bare) => {
            let (bare50, bare99) = (bare.at(50), bare.at(99));
            let ratio = p50 as f64 / bare50 as f64;
            println!("| {what} | {p50} | {p99} | {bare50} | {bare99} | {ratio:.2} |");
        }
        None => println!("| {what} | {p50} | {p99} | | | |"),
    }
}

/// A message to and fro between two tasks, beside one thread that makes the same eight calls.
fn there_and_back<T>(
    rounds: u32,
    runtime: &Runtime,
    (a, b): (T, T),
    (c, d): (Descriptor, Descriptor),
    message: &'static [u8],
) -> [Times; 2]
where
    T: Deref<Target = Source> + Send + Sync + 'static,
{
    let a = Arc::new(a);
    let echo = runtime.spawn(async move {
        let mut buffer = [0; 64];
        loop {
            let count = b.async_read(&mut buffer).await.expect("no error");
            if count == 0 {
                return;
            }
            b.async_write(&buffer[..count]).await.expect("the peer is there");
        }
    });
    let ours = || {
        let a = Arc::clone(&a);
        let asker = runtime.spawn(async move {
            let begin = Instant::now();
            let mut buffer = [0; 64];
            for _ in 0..BATCH {
                a.async_write(message).await.expect("the peer is there");
                a.async_read(&mut buffer).await.expect("the peer is there");
            }
            begin.elapsed() / BATCH
        });
        asker.join().expect("no panic")
    };

    let queue = Epoll.queue().expect("a queue");
    let mut batch = Batch::with_capacity(128);
    for (index, fd) in [(0, &c), (1, &d)] {
        Epoll.add(&queue, fd, Token::entry(index, Generation::FIRST)).expect("registered");
    }
    Epoll.wait(&queue, &mut batch, Timeout::Zero).expect("room to write, reported once");
    let mut buffer = [0; 64];
    let bare = || {
        let begin = Instant::now();
        for _ in 0..BATCH {
            for (from, to) in [(&c, &d), (&d, &c)] {
                Epoll.write(from, message).expect("room for the message");
                Epoll.wait(&queue, &mut batch, Timeout::Never).expect("the message");
                Epoll.read(to, &mut buffer).expect("the message");
                Epoll.read(to, &mut buffer).expect_err("there is no other");
            }
        }
        begin.elapsed() / BATCH
    };
    let times = Times::pair(rounds / BATCH, ours, bare);
    drop(a);
    echo.join().expect("no panic");
    times
}

/// One byte over a stream pair.
fn ping_pong(rounds: u32, workers: usize) -> [Times; 2] {
    let runtime = runtime(workers);
    let (a, b) = runtime.poller().stream_pair().expect("a pair");
    let ours = (Box::new(a), Box::new(b));
    let bare = Epoll.socket_pair(Kind::Stream).expect("a pair");
    there_and_back(rounds, &runtime, ours, bare, b"x")
}

/// 64 bytes over TCP, through the loopback device.
fn echo(rounds: u32, workers: usize) -> [Times; 2] {
    let runtime = runtime(workers);
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = TcpListener::bind_on(runtime.poller(), here).expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let connect = TcpStream::async_connect_on(runtime.poller(), address);
    let near = runtime.block_on(connect).expect("somebody listens");
    let (far, _) = runtime.block_on(listener.async_accept()).expect("somebody has connected");
    near.set_nodelay(true).expect("a TCP socket");
    far.set_nodelay(true).expect("a TCP socket");

    let made = || -> io::Result<(Descriptor, Descriptor)> {
        let listening = Epoll.socket(&Address::Inet(here), Kind::Stream)?;
        Epoll.bind(&listening, &Address::Inet(here))?;
        Epoll.listen(&listening, 1)?;
        let address = Epoll.local_address(&listening)?;
        let near = Epoll.socket(&address, Kind::Stream)?;
        // Under way; over the loopback device it is there when the listener is asked.
        let _under_way = Epoll.connect(&near, &address);
        let (far, _) = Epoll.accept(&listening)?;
        Epoll.set_nodelay(&near, true)?;
        Epoll.set_nodelay(&far, true)?;
        Ok((near, far))
    };
    there_and_back(rounds, &runtime, (near, far), made().expect("a connection"), &[7; 64])
}

/// By how much a sleep of 200 microseconds is too long, beside the same wait of the kernel.
fn naps(rounds: u32, workers: usize) -> [Times; 2] {
    let runtime = runtime(workers);
    let ours = || {
        let nap = runtime.spawn(async {
            let begin = Instant::now();
            sleep(NAP).await;
            begin.elapsed() - NAP
        });
        nap.join().expect("no panic")
    };
    let (queue, mut batch) = (Epoll.queue().expect("a queue"), Batch::with_capacity(128));
    let bare = || {
        let begin = Instant::now();
        Epoll.wait(&queue, &mut batch, Timeout::After(NAP)).expect("the timeout");
        begin.elapsed() - NAP
    };
    Times::pair(rounds, ours, bare)
}

#[derive(Default)]
struct Bell(AtomicUsize, Mutex<Option<Waker>>);

impl Bell {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Release);
        if let Some(waker) = self.1.lock().expect("no panic").take() {
            waker.wake();
        }
    }

    async fn heard(&self, often: usize) {
        poll_fn(|cx| {
            *self.1.lock().expect("no panic") = Some(cx.waker().clone());
            if self.0.load(Ordering::Acquire) < often { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

/// Two tasks that wake each other in turns, without any descriptor: what a wake and a switch cost.
fn wakes(rounds: u32, workers: usize) -> Times {
    let runtime = runtime(workers);
    Times::of(rounds / BATCH, || {
        let bells = Arc::new([Bell::default(), Bell::default()]);
        let theirs = Arc::clone(&bells);
        let pong = runtime.spawn(async move {
            for round in 1..=BATCH as usize {
                theirs[0].heard(round).await;
                theirs[1].ring();
            }
        });
        let ping = runtime.spawn(async move {
            let begin = Instant::now();
            for round in 1..=BATCH as usize {
                bells[0].ring();
                bells[1].heard(round).await;
            }
            begin.elapsed() / BATCH
        });
        let time = ping.join().expect("no panic");
        pong.join().expect("no panic");
        time
    })
}

/// Tasks that are spawned by a task and end at once, a hundred at a time: for each.
fn spawns(rounds: u32, workers: usize) -> Times {
    let runtime = runtime(workers);
    Times::of(rounds / BATCH, || {
        let spawner = runtime.spawn(async {
            let begin = Instant::now();
            let tasks: Vec<_> = (0..BATCH).map(|_| netpoller::runtime::spawn(async {})).collect();
            for task in tasks {
                task.await.expect("no panic");
            }
            begin.elapsed() / BATCH
        });
        spawner.join().expect("no panic")
    })
}

/// A task from outside while a worker sleeps in the kernel, and back to a thread that sleeps.
fn from_outside(rounds: u32, workers: usize) -> Times {
    let runtime = runtime(workers);
    Times::of(rounds, || {
        while runtime.idle().polling() != netpoller_spec::election::Polling::Worker {
            std::thread::yield_now();
        }
        let begin = Instant::now();
        runtime.spawn(async {}).join().expect("no panic");
        begin.elapsed()
    })
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let rounds: u32 = numbers.next().unwrap_or(10_000).max(2 * BATCH);
    let workers = numbers.next().unwrap_or(1) as usize;
    println!("{rounds} rounds, {workers} workers; nanoseconds: p50 and p99, of batches of {BATCH}");
    println!("but for sleeps and tasks from outside, which are measured one by one\n");
    println!("| | runtime p50 | p99 | bare p50 | p99 | ratio |");
    println!("|---|---|---|---|---|---|");
    let [ours, bare] = ping_pong(rounds, workers);
    row("ping-pong over a stream pair; bare: the same 8 calls", &ours, Some(&bare));
    let [ours, bare] = echo(rounds, workers);
    row("64 bytes echoed over TCP; bare: the same 8 calls", &ours, Some(&bare));
    let [ours, bare] = naps(rounds, workers);
    row("a sleep of 200 us: how late; bare: epoll_pwait2", &ours, Some(&bare));
    row("two tasks wake each other, there and back", &wakes(rounds, workers), None);
    row("a task is spawned by a task and awaited", &spawns(rounds, workers), None);
    row("a task from outside, there and back", &from_outside(rounds, workers), None);
}
