//! What the poller adds to the system calls that it cannot do without.
//!
//! Each benchmark stands beside the bare system calls of the same work, made through the same
//! functions, and the table at the end gives the ratios: absolute times are those of one machine, a
//! ratio says something elsewhere too.
//!
//! ```text
//! cargo bench --package netpoller-tests --features bench
//! ```

use criterion::Criterion;
use netpoller::seam::os::{Descriptor, Epoll, EventQueue, Harvest};
use netpoller::seam::{Batch, Kernel, Kind, Timeout};
use netpoller::{Mode, Poller, Ready};
use netpoller_spec::token::{Generation, Token};
use std::hint::black_box;
use std::path::Path;
use std::task::{Context, Waker};
use std::time::Duration;

/// The pairs: what is measured, the poller's share, the bare system calls.
const ROWS: &[(&str, &str)] = &[
    ("break", "a break, and the poll that takes it"),
    ("break suppressed", "a break while another is on its way; bare: one write"),
    ("churn", "a socket pair: made, registered, closed"),
    ("deadline", "a deadline moved forward; bare: one read that finds nothing"),
    ("deadline expires", "set, slept for, expired; bare: the same sleep"),
    ("slot", "the right to wait taken, parked, given up; bare: one read that finds nothing"),
    ("wait", "parked, woken by a byte, read; bare: write, wait, read"),
];

fn bare() -> (EventQueue, Harvest) {
    (Epoll.queue().expect("a queue"), Harvest::with_capacity(128))
}

fn pair() -> (Descriptor, Descriptor) {
    Epoll.socket_pair(Kind::Stream).expect("a pair")
}

fn breaks(criterion: &mut Criterion) {
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    criterion.bench_function(&id("break", "poller"), |b| {
        b.iter(|| {
            poller.wake().expect("a token");
            poller.poll(&mut ready, None).expect("the break")
        });
    });
    let (queue, mut batch) = bare();
    criterion.bench_function(&id("break", "bare"), |b| {
        b.iter(|| {
            Epoll.post(&queue).expect("a token");
            Epoll.wait(&queue, &mut batch, Timeout::Never).expect("the break");
            Epoll.drain(&queue).expect("the token");
        });
    });
    poller.wake().expect("a token that stays");
    criterion.bench_function(&id("break suppressed", "poller"), |b| {
        b.iter(|| poller.wake().expect("suppressed"));
    });
    criterion.bench_function(&id("break suppressed", "bare"), |b| {
        b.iter(|| Epoll.post(&queue).expect("a token"));
    });
}

fn churn(criterion: &mut Criterion) {
    let poller = Poller::new().expect("a poller");
    criterion.bench_function(&id("churn", "poller"), |b| {
        b.iter(|| black_box(poller.stream_pair().expect("a pair")));
    });
    let (queue, _batch) = bare();
    criterion.bench_function(&id("churn", "bare"), |b| {
        b.iter(|| {
            let (one, two) = pair();
            for (index, fd) in [(0, &one), (1, &two)] {
                let token = Token::entry(index, Generation::FIRST);
                Epoll.add(&queue, fd, token).expect("registered");
            }
            for fd in [one, two] {
                Epoll.remove(&queue, &fd).expect("registered");
                Epoll.close(&fd).expect("open");
            }
        });
    });
}

fn deadlines(criterion: &mut Criterion) {
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    let (a, _b) = poller.stream_pair().expect("a pair");
    let hour = Duration::from_secs(3600);
    criterion.bench_function(&id("deadline", "poller"), |b| {
        b.iter(|| a.set_read_deadline(Some(poller.now().saturating_add(hour))).expect("open"));
    });
    criterion.bench_function(&id("deadline", "bare"), |b| {
        b.iter(|| a.try_read(&mut [0]).expect_err("nothing was written"));
    });
    let soon = Duration::from_micros(50);
    let (source, _other) = poller.stream_pair().expect("a pair");
    let mut cx = Context::from_waker(Waker::noop());
    criterion.bench_function(&id("deadline expires", "poller"), |b| {
        b.iter(|| {
            // The last one is sticky: nothing waits while it is there.
            source.set_read_deadline(None).expect("open");
            let mut waiter = source.waiter(Mode::Read).expect("the only waiter");
            while waiter.poll_wait(&mut cx).is_ready() {}
            let deadline = poller.now().saturating_add(soon);
            source.set_read_deadline(Some(deadline)).expect("open");
            // One that had passed when it was set has left no timer to wait for.
            while poller.now() < deadline {
                poller.poll(&mut ready, Some(hour)).expect("the deadline");
            }
            ready.wake_all();
        });
    });
    let (queue, mut batch) = bare();
    criterion.bench_function(&id("deadline expires", "bare"), |b| {
        b.iter(|| Epoll.wait(&queue, &mut batch, Timeout::After(soon)).expect("the timeout"));
    });
}

fn slots(criterion: &mut Criterion) {
    let poller = Poller::new().expect("a poller");
    let (a, _b) = poller.stream_pair().expect("a pair");
    let mut cx = Context::from_waker(Waker::noop());
    criterion.bench_function(&id("slot", "poller"), |b| {
        b.iter(|| {
            let mut waiter = a.waiter(Mode::Read).expect("the only waiter");
            assert!(waiter.poll_wait(&mut cx).is_pending());
        });
    });
    criterion.bench_function(&id("slot", "bare"), |b| {
        b.iter(|| a.try_read(&mut [0]).expect_err("nothing was written"));
    });
}

fn waits(criterion: &mut Criterion) {
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    let (a, b) = poller.stream_pair().expect("a pair");
    let mut cx = Context::from_waker(Waker::noop());
    let mut waiter = a.waiter(Mode::Read).expect("the only waiter");
    while waiter.poll_wait(&mut cx).is_ready() {}
    criterion.bench_function(&id("wait", "poller"), |bencher| {
        bencher.iter(|| {
            b.try_write(b"x").expect("room for a byte");
            poller.poll(&mut ready, None).expect("the byte");
            ready.wake_all();
            assert!(waiter.poll_wait(&mut cx).is_ready());
            a.try_read(&mut [0]).expect("the byte");
            while waiter.poll_wait(&mut cx).is_ready() {}
        });
    });
    let ((one, two), (queue, mut batch)) = (pair(), bare());
    for (index, fd) in [(0, &one), (1, &two)] {
        Epoll.add(&queue, fd, Token::entry(index, Generation::FIRST)).expect("registered");
    }
    criterion.bench_function(&id("wait", "bare"), |bencher| {
        bencher.iter(|| {
            Epoll.write(&two, b"x").expect("room for a byte");
            Epoll.wait(&queue, &mut batch, Timeout::Never).expect("the byte");
            Epoll.read(&one, &mut [0]).expect("the byte");
        });
    });
}

fn id(row: &str, side: &str) -> String {
    format!("{row}_{side}")
}

/// The median of a benchmark in nanoseconds, as criterion has kept it.
fn median(folder: &Path, row: &str, side: &str) -> Option<f64> {
    let file = folder.join(format!("{row}_{side}")).join("new/estimates.json");
    let estimates: serde_json::Value =
        serde_json::from_reader(std::fs::File::open(file).ok()?).ok()?;
    estimates["median"]["point_estimate"].as_f64()
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    breaks(&mut criterion);
    churn(&mut criterion);
    deadlines(&mut criterion);
    slots(&mut criterion);
    waits(&mut criterion);
    criterion.final_summary();

    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "../target".into());
    let folder = Path::new(&target).join("criterion");
    println!("\n{:<18} {:>10} {:>10} {:>6}  what is measured", "", "poller ns", "bare ns", "ratio");
    for (row, what) in ROWS {
        match (median(&folder, row, "poller"), median(&folder, row, "bare")) {
            (Some(poller), Some(bare)) => {
                println!("{row:<18} {poller:>10.0} {bare:>10.0} {:>6.2}  {what}", poller / bare)
            }
            _ => println!("{row:<18} was not measured in this run"),
        }
    }
}
