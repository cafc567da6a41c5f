//! Real traffic, and books that must balance.
//!
//! ```text
//! cargo run --release --example demo -- [PAIRS] [KIBIBYTES]
//! ```
//!
//! One thread polls. Half of the pairs are pipes used in the blocking style, a thread at each
//! end; half are Unix stream sockets used in the async style, all their tasks on one thread;
//! each of these echoes. Meanwhile four threads break the poller over and over. At the end what
//! was written must have been read, byte for byte, and every descriptor must be closed again.

use netpoller::{Poller, Ready, Source};
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

#[derive(Default)]
struct Books {
    written: AtomicU64,
    read: AtomicU64,
    /// The sum of all bytes written less the sum of all bytes read, modulo 2^64.
    balance: AtomicU64,
    polls: AtomicU64,
    woken: AtomicU64,
    breaks_asked: AtomicU64,
    breaks_taken: AtomicU64,
}

impl Books {
    fn wrote(&self, bytes: &[u8]) {
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.balance.fetch_add(sum(bytes), Ordering::Relaxed);
    }

    fn read(&self, bytes: &[u8]) {
        self.read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.balance.fetch_sub(sum(bytes), Ordering::Relaxed);
    }
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().map(|byte| u64::from(*byte)).sum()
}

/// A different pattern for each pair and place.
fn pattern(seed: usize, chunk: usize) -> [u8; 1024] {
    std::array::from_fn(|place| (seed * 31 + chunk * 7 + place) as u8)
}

fn blocking_writer(
    mut writer: &Source,
    seed: usize,
    chunks: usize,
    books: &Books,
) -> io::Result<()> {
    for chunk in 0..chunks {
        let bytes = pattern(seed, chunk);
        writer.write_all(&bytes)?;
        books.wrote(&bytes);
    }
    Ok(())
}

fn blocking_reader(mut reader: &Source, books: &Books) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(()), // the writer is gone
            read => books.read(&buffer[..read]),
        }
    }
}

async fn async_asker(socket: Source, seed: usize, chunks: usize, books: &Books) -> io::Result<()> {
    for chunk in 0..chunks {
        let bytes = pattern(seed, chunk);
        let mut sent = 0;
        while sent < bytes.len() {
            sent += socket.async_write(&bytes[sent..]).await?;
        }
        books.wrote(&bytes);
        let mut answer = [0; 1024];
        let mut got = 0;
        while got < answer.len() {
            got += socket.async_read(&mut answer[got..]).await?;
        }
        assert_eq!(answer, bytes, "the echo differs");
        books.read(&answer);
    }
    Ok(())
}

async fn async_echo(socket: Source) -> io::Result<()> {
    let mut buffer = [0; 512];
    loop {
        let read = socket.async_read(&mut buffer).await?;
        let mut sent = 0;
        while sent < read {
            sent += socket.async_write(&buffer[sent..read]).await?;
        }
        if read == 0 {
            return Ok(()); // the asker is gone
        }
    }
}

/// A task of the async thread: which task, whether it is to be polled, and whom to get up.
struct Task {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

type Work<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + 'a>>;

/// Polls the tasks that were woken until all are done.
fn run_all(work: Vec<Work<'_>>) -> io::Result<()> {
    let task = || Task { woken: AtomicBool::new(true), thread: thread::current() };
    let mut tasks: Vec<_> = work.into_iter().map(|work| (Arc::new(task()), work)).collect();
    while !tasks.is_empty() {
        let mut idle = true;
        let mut failed = None;
        tasks.retain_mut(|(task, work)| {
            if !task.woken.swap(false, Ordering::Acquire) {
                return true;
            }
            idle = false;
            let waker = Waker::from(Arc::clone(task));
            match work.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(error)) => {
                    failed = Some(error);
                    false
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if idle {
            thread::park();
        }
    }
    Ok(())
}

fn drive(poller: &Poller, over: &AtomicBool, books: &Books) -> io::Result<()> {
    let mut ready = Ready::new();
    while !over.load(Ordering::Acquire) {
        let wakers = poller.poll(&mut ready, None)?;
        books.polls.fetch_add(1, Ordering::Relaxed);
        books.woken.fetch_add(wakers as u64, Ordering::Relaxed);
        books.breaks_taken.fetch_add(u64::from(ready.broken()), Ordering::Relaxed);
        ready.wake_all();
    }
    Ok(())
}

fn traffic(pairs: usize, chunks: usize, books: &Books) -> io::Result<()> {
    let poller = Poller::new()?;
    let (over, quiet) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let driver = scope.spawn(|| drive(&poller, &over, books));
        let breakers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| -> io::Result<()> {
                    while !quiet.load(Ordering::Relaxed) {
                        poller.wake()?;
                        books.breaks_asked.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                    }
                    Ok(())
                })
            })
            .collect();
        let mut traffic = Vec::new();
        for seed in 0..pairs / 2 {
            let (reader, writer) = poller.pipe()?;
            traffic.push(scope.spawn(move || blocking_writer(&writer, seed, chunks, books)));
            traffic.push(scope.spawn(move || blocking_reader(&reader, books)));
        }
        let mut sockets = Vec::new();
        for seed in pairs / 2..pairs {
            sockets.push((poller.stream_pair()?, seed));
        }
        traffic.push(scope.spawn(move || {
            let mut work: Vec<Work<'_>> = Vec::new();
            for ((a, b), seed) in sockets {
                work.push(Box::pin(async_asker(a, seed, chunks, books)));
                work.push(Box::pin(async_echo(b)));
            }
            run_all(work)
        }));
        let mut first_error = Ok(());
        for thread in traffic {
            first_error = first_error.and(thread.join().expect("a thread of the traffic panicked"));
        }
        quiet.store(true, Ordering::Relaxed);
        for breaker in breakers {
            first_error = first_error.and(breaker.join().expect("a breaker panicked"));
        }
        over.store(true, Ordering::Release);
        poller.wake()?; // what was stored before is seen by whoever this gets out (NP-BREAK-4)
        books.breaks_asked.fetch_add(1, Ordering::Relaxed);
        first_error.and(driver.join().expect("the driver panicked"))
    })
}

fn open_descriptors() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

fn number(place: usize, default: usize) -> io::Result<usize> {
    let Some(text) = std::env::args().nth(place) else { return Ok(default) };
    text.parse().map_err(|error| {
        let usage = "usage: demo [PAIRS] [KIBIBYTES]";
        io::Error::new(io::ErrorKind::InvalidInput, format!("{text:?}: {error}; {usage}"))
    })
}

fn main() -> io::Result<ExitCode> {
    let (pairs, kibibytes) = (number(1, 16)?, number(2, 256)?);
    let before = open_descriptors()?;
    let books = Books::default();
    traffic(pairs, kibibytes, &books)?;
    let after = open_descriptors()?;

    let [written, read, balance, polls, woken, asked, taken] = [
        &books.written,
        &books.read,
        &books.balance,
        &books.polls,
        &books.woken,
        &books.breaks_asked,
        &books.breaks_taken,
    ]
    .map(|count| count.load(Ordering::Relaxed));
    let expected = (pairs * kibibytes * 1024) as u64;
    println!("pairs         {:>12}  pipes, blocking: {}", pairs, pairs / 2);
    println!("              {:>12}  sockets, async: {}", "", pairs - pairs / 2);
    println!("bytes         {written:>12}  written");
    println!("              {read:>12}  read");
    println!("polls         {polls:>12}  that woke {woken} tasks");
    println!("breaks        {asked:>12}  asked for");
    println!("              {taken:>12}  taken; the others met one that was on its way");
    println!("descriptors   {before:>12}  before, {after} after");
    let balanced = written == expected
        && read == expected
        && balance == 0
        && (1..=asked).contains(&taken)
        && before == after;
    println!("{}", if balanced { "the books balance" } else { "THE BOOKS DO NOT BALANCE" });
    Ok(if balanced { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
