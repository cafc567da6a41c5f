//! What a sample measures, and in which form it hands that on.
//!
//! A [`Meter`] counts operations, of any number of threads, and reads the clock once in a batch, so that
//! the reading costs nobody anything. The first ones warm up and are not measured. [`Times`] keeps every single
//! time, where the operation is long enough to be timed alone.

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What one process has measured. The Go program prints the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// How many operations were measured.
    pub(crate) ops: u64,
    /// Nanoseconds for one: of all batches, or of all operations where each was timed.
    pub(crate) p50: f64,
    /// The same; one batch or operation in a hundred is slower.
    pub(crate) p99: f64,
    /// The slowest one.
    pub(crate) max: f64,
    /// Nanoseconds of processor time for one, of all threads; 0 where each operation was timed.
    #[serde(default)]
    pub(crate) processor: f64,
    /// Waits that ended before their time.
    #[serde(default)]
    pub(crate) early: u64,
    /// By how much the memory of the process has grown while it was measured.
    #[serde(default)]
    pub(crate) grown_kib: i64,
    /// The memory of the process that was in use when the measuring began.
    #[serde(default)]
    pub(crate) resident_kib: i64,
}

impl Sample {
    fn of(ops: u64, mut times: Vec<f64>) -> Sample {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part).round() as usize];
        Sample { ops, p50: at(0.5), p99: at(0.99), max: at(1.0), ..Sample::default() }
    }
}

/// How much work a sample does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    /// Operations that are measured.
    pub(crate) ops: u64,
    /// Operations before them.
    pub(crate) warm: u64,
    /// What the benchmark is about: idle descriptors, threads, microseconds.
    pub(crate) param: u64,
    /// Cores, and so the workers of those that have workers.
    pub(crate) cores: usize,
}

/// So many that a batch is shorter than what a scheduler gives to somebody else: then half of them are
/// left alone, even on a machine that is not.
const BATCHES: u64 = 300;

/// Counts operations and times them in batches.
#[derive(Debug)]
pub(crate) struct Meter {
    warm: u64,
    ops: u64,
    batch: u64,
    seen: AtomicU64,
    marks: Mutex<Vec<(u64, Instant)>>,
    /// Memory, and processor time, when the measuring began.
    began: Mutex<(i64, u64)>,
    /// Processor time when it was over.
    ended: AtomicU64,
}

impl Meter {
    /// [`BATCHES`] of them, of at least one operation.
    pub(crate) fn new(work: &Work) -> Meter {
        let batch = (work.ops / BATCHES).max(1);
        Meter {
            warm: work.warm.max(1),
            ops: work.ops,
            batch,
            seen: AtomicU64::new(0),
            marks: Mutex::new(Vec::with_capacity(2 * BATCHES as usize)),
            began: Mutex::new((0, 0)),
            ended: AtomicU64::new(0),
        }
    }

    /// Longer batches, for operations that end in swarms: a swarm and the pause behind it belong together.
    pub(crate) fn in_swarms_of(self, many: u64) -> Meter {
        Meter { batch: self.batch.max(2 * many).min(self.ops), ..self }
    }

    /// How many operations there are to do, with those before the measuring.
    pub(crate) fn all(&self) -> u64 {
        self.warm + self.ops
    }

    /// One operation was done. Returns whether to go on.
    pub(crate) fn op(&self) -> bool {
        // Relaxed: it only counts; the marks have a lock.
        let seen = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        if seen >= self.warm && seen <= self.all() && (seen - self.warm).is_multiple_of(self.batch)
        {
            if seen == self.warm {
                *self.began.lock().expect("no panic") = (resident_kib(), processor_nanos());
            }
            self.marks.lock().expect("no panic").push((seen, Instant::now()));
        }
        if seen == self.all() {
            self.ended.store(processor_nanos(), Ordering::Relaxed);
        }
        seen < self.all()
    }

    /// What came of it.
    pub(crate) fn sample(&self) -> Sample {
        let mut marks = self.marks.lock().expect("no panic").clone();
        // Threads may have come to the lock in another order than to the count.
        marks.sort_unstable();
        let seen = self.seen.load(Ordering::Relaxed);
        assert!(seen >= self.all(), "{seen} operations were done, and not {}", self.all());
        let times = marks.windows(2).map(|pair| {
            let nanos = pair[1].1.saturating_duration_since(pair[0].1).as_nanos() as f64;
            nanos / (pair[1].0 - pair[0].0) as f64
        });
        let sample = Sample::of(self.ops, times.collect());
        let (resident, begin) = *self.began.lock().expect("no panic");
        let took = self.ended.load(Ordering::Relaxed) - begin;
        let processor = took as f64 / self.ops as f64;
        let grown_kib = resident_kib() - resident;
        Sample { processor, grown_kib, resident_kib: resident, ..sample }
    }
}

/// Times of single operations.
#[derive(Debug)]
pub(crate) struct Times {
    warm: u64,
    ops: u64,
    early: u64,
    times: Vec<f64>,
}

impl Times {
    pub(crate) fn new(work: &Work) -> Times {
        let (warm, ops) = (work.warm, work.ops);
        Times { warm, ops, early: 0, times: Vec::with_capacity(ops as usize) }
    }

    /// How many there are to come.
    pub(crate) fn all(&self) -> u64 {
        self.warm + self.ops
    }

    /// One that took this long. Returns whether to go on.
    pub(crate) fn took(&mut self, time: Duration) -> bool {
        match self.warm {
            0 => self.times.push(time.as_nanos() as f64),
            _ => self.warm -= 1,
        }
        (self.times.len() as u64) < self.ops
    }

    /// One that was to take `due`, and began when `begin` says: how late it is.
    pub(crate) fn late(&mut self, begin: Instant, due: Duration) -> bool {
        let took = begin.elapsed();
        self.early += u64::from(took < due);
        self.took(took.saturating_sub(due))
    }

    pub(crate) fn sample(self) -> Sample {
        let (ops, early) = (self.ops, self.early);
        assert_eq!(self.times.len() as u64, ops, "not all operations were timed");
        Sample { early, ..Sample::of(ops, self.times) }
    }
}

/// What this process has taken of the processor, in nanoseconds.
fn processor_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// The memory of this process that is in use, in KiB; 0 where /proc does not say.
fn resident_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
