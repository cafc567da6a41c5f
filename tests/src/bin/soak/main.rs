//! A soak: everything at once that a server meets, for as long as one likes; after each round all books have
//! to balance.
//!
//! Usage: `soak SECONDS [--injected]`. With `--injected` somebody interrupts system calls and lets them
//! fail (`ci/soak.sh` has strace do that), so interrupted waits are expected.
//!
//! # A round
//!
//! For some seconds those of `ours` use the poller and those of `hostile` abuse it; in every third
//! round the table of descriptors is full most of the time. Then all are told to end, and when they have:
//!
//! * every connection, and everything else that was begun, has ended in one way;
//! * as many descriptors are open as before, as many tasks live, sources are registered and tasks are
//!   parked as the listeners make;
//! * as many hold on to the runtime as after the first round, so no waker of a task is left anywhere; at the
//!   end of everything nobody does;
//! * entries in the queue of timers are no more than NP-TIME-11 allows.
//!
//! # Memory
//!
//! It is measured between rounds, when nobody is there: in the middle of the run and at its end. In between
//! thousands of connections come and go, so whatever each of them leaves behind is seen, if it is a byte or
//! two. What may grow: a queue or a segment of the slab that doubles once more, because more happened to be
//! there at once than ever before ([`HELD`]); and pages that the allocator keeps, for each thread that was ever
//! there at once ([`RESIDENT`]).

#![forbid(unsafe_code)]

mod books;
mod hostile;
mod ours;

use books::{Actor, Books, End};
use netpoller::runtime::{Builder, Handle, Runtime};
use netpoller_tests::sys::{CountingAllocator, held_bytes, limit_descriptors};
use ours::{Server, World};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

/// How long a round takes, before it is told to end.
const ROUND: Duration = Duration::from_millis(2500);
/// By how much what is allocated may grow between the middle and the end.
const HELD: i64 = 64 * 1024;
/// By how much what is resident may grow.
const RESIDENT: i64 = 4 * 1024 * 1024;
/// How long a round may take to end after it was told to: then it is stuck.
const STUCK: Duration = Duration::from_secs(300);

fn open_numbers() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list of numbers").count()
}

/// How much of this process is in memory, in bytes.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<i64>().expect("a number") * 1024
}

/// What there is when nobody is there.
struct Quiet {
    numbers: usize,
    listeners: usize,
    /// Handles, threads, and tasks of which somebody has a waker; known when the threads have begun.
    holders: Option<usize>,
}

impl Quiet {
    /// What is too much, or too little.
    fn imbalances(&self, handle: &Handle, books: &Books) -> Vec<String> {
        let stats = handle.poller().stats();
        let listeners = self.listeners as u64;
        let mut wrong = books.imbalances();
        let mut equal = |what: &str, found: u64, expected: u64| {
            if found != expected {
                wrong.push(format!("{what}: {found}, and not {expected}"));
            }
        };
        equal("tasks that live", handle.live_tasks() as u64, listeners);
        equal("sources that are registered", stats.registered, listeners);
        equal("tasks that are parked", stats.parked, listeners);
        equal("tasks that wait", handle.poller().waiters() as u64, listeners);
        if let Some(holders) = self.holders {
            equal("holders of the runtime", handle.holders() as u64, holders as u64);
        }
        equal("breaks taken", stats.breaks_taken, stats.breaks_written);
        equal("numbers that are open", open_numbers() as u64, self.numbers as u64);
        // NP-TIME-11. One may be left for each entry of the slab, and serves whoever has the entry next.
        let entries = handle.poller().peek().0.len() as u64;
        if stats.timers > 2 * entries {
            wrong.push(format!("{} timers, of {entries} entries", stats.timers));
        }
        wrong
    }

    /// Waits until everything balances; says what does not if that takes too long.
    fn wait(&self, handle: &Handle, books: &Books) -> Result<(), Vec<String>> {
        let begin = Instant::now();
        loop {
            let wrong = self.imbalances(handle, books);
            if wrong.is_empty() {
                return Ok(());
            }
            if begin.elapsed() > STUCK {
                let waits = handle.poller().parked();
                return Err(wrong.into_iter().chain([format!("{waits:?}")]).collect());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Everybody, for one round.
fn round(handle: &Handle, world: &Arc<World>, number: u64) {
    world.over.store(false, Ordering::Release);
    let seed = 0x5eed_0000 * number;
    thread::scope(|scope| {
        for peer in hostile::PEERS {
            scope.spawn(move || hostile::act(world, peer, seed));
        }
        ours::round(handle, world, seed, || {
            let full = number % 3 == 2;
            let end = Instant::now() + ROUND;
            while full && Instant::now() < end {
                // Full for everybody who comes, for a moment; then there is room again.
                let open = i32::try_from(open_numbers()).expect("few");
                limit_descriptors(open).expect("the limit may be lowered");
                thread::sleep(Duration::from_millis(5));
                limit_descriptors(MOST).expect("and raised again");
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(end.saturating_duration_since(Instant::now()));
            world.over.store(true, Ordering::Release);
        });
    });
}

/// More than are ever open.
const MOST: i32 = 1000;

/// What was in memory at a moment, and how many connections had come by.
struct Memory {
    held: i64,
    resident: i64,
    connections: u64,
}

impl Memory {
    fn now(books: &Books) -> Self {
        let connections = books.begun(Actor::Served);
        Memory { held: held_bytes(), resident: resident(), connections }
    }

    /// What has grown too much since then.
    fn growth(&self, end: &Memory) -> Vec<String> {
        let connections = end.connections - self.connections;
        let (held, resident) = (end.held - self.held, end.resident - self.resident);
        println!(
            "memory from the middle to the end, over {connections} connections: {held} bytes allocated \
             more (at most {HELD}), {resident} resident (at most {RESIDENT})"
        );
        let mut wrong = Vec::new();
        if held > HELD {
            wrong.push(format!("{held} bytes more are allocated than in the middle"));
        }
        if resident > RESIDENT {
            wrong.push(format!("{resident} bytes more are resident than in the middle"));
        }
        wrong
    }
}

/// Rounds, until the time is over.
fn soak(runtime: &Runtime, world: &Arc<World>, mut quiet: Quiet, time: Duration) -> Vec<String> {
    let (begin, mut middle) = (Instant::now(), None);
    let mut number = 0;
    loop {
        number += 1;
        round(runtime, world, number);
        if let Err(wrong) = quiet.wait(runtime, &world.books) {
            return wrong;
        }
        quiet.holders = quiet.holders.or(Some(runtime.holders()));
        let memory = Memory::now(&world.books);
        println!(
            "round {number} after {:.0} s: {} connections, {} bytes allocated, {} kB resident",
            begin.elapsed().as_secs_f64(),
            memory.connections,
            memory.held,
            memory.resident / 1024
        );
        let enough = number >= 6; // each kind of round twice
        match &middle {
            None if number >= 3 && begin.elapsed() >= time / 2 => middle = Some(memory),
            Some(middle) if enough && begin.elapsed() >= time => return middle.growth(&memory),
            _ => {}
        }
    }
}

fn run(time: Duration, injected: bool) -> std::io::Result<Vec<String>> {
    limit_descriptors(MOST)?;
    let before = open_numbers();
    let runtime = Builder::new().workers(2).build()?;
    let handle = runtime.handle().clone();
    let books = Arc::new(Books::default());
    let (server, world) = Server::start(&runtime, &books)?;
    let world = Arc::new(world);
    let quiet = Quiet { numbers: open_numbers(), listeners: server.listeners(), holders: None };
    let mut wrong = soak(&runtime, &world, quiet, time);
    let stats = runtime.poller().stats();
    println!("{stats:#?}");
    print!("{books}");
    if injected && stats.interrupted == 0 {
        wrong.push("no wait was interrupted, although that was to be injected".into());
    }
    wrong.extend(books.missing());
    if books.ended(Actor::Client, End::Refused) == 0 {
        wrong.push("the table of descriptors was never full for a client".into());
    }

    server.close()?;
    drop(world);
    let poller = runtime.poller().clone();
    let report = runtime.shutdown(STUCK);
    let stats = poller.stats();
    drop(poller);
    let mut equal = |what: &str, found: u64, expected: u64| {
        if found != expected {
            wrong.push(format!("after the end, {what}: {found}, and not {expected}"));
        }
    };
    let aborted = books.ended(Actor::Sleeper, End::Well);
    equal("tasks that were cancelled", report.cancelled, aborted);
    equal("sources that are registered", stats.registered, 0);
    equal("tasks that are parked", stats.parked, 0);
    equal("holders of the runtime", handle.holders() as u64, 1);
    drop(handle);
    equal("numbers that are open", open_numbers() as u64, before as u64);
    Ok(wrong)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|text| text.parse().ok());
    let Some(seconds) = seconds else {
        eprintln!("usage: soak SECONDS [--injected]");
        return ExitCode::from(2);
    };
    let injected = arguments.next().as_deref() == Some("--injected");
    let wrong = match run(Duration::from_secs(seconds), injected) {
        Ok(wrong) => wrong,
        Err(error) => vec![format!("the soak could not be begun: {error}")],
    };
    for imbalance in &wrong {
        println!("IMBALANCE: {imbalance}");
    }
    if wrong.is_empty() {
        println!("everything balances");
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}
