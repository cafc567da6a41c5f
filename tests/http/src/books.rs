//! What has happened, counted. What comes in has to come out.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A counter.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One more; which one it is.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counters. They are read when the runtime has ended.
#[derive(Debug, Default)]
pub struct Books {
    /// Connections that were accepted.
    pub accepted: Count,
    /// Connections that came to their end as HTTP has it.
    pub ended: Count,
    /// Connections that a deadline has ended.
    pub expired: Count,
    /// Connections that were broken off or spoke something else.
    pub failed: Count,
    /// Connections whose task was cancelled.
    pub cancelled: Count,
    /// Requests that came in.
    pub requests: Count,
    /// Answers whose body was given out to its end.
    pub answered: Count,
    /// Answers that were dropped before.
    pub dropped: Count,
}

impl Books {
    /// How many connections were cancelled.
    pub fn cancelled(&self) -> u64 {
        self.cancelled.get()
    }

    /// What does not balance.
    pub fn imbalances(&self) -> Vec<String> {
        let connections =
            [&self.ended, &self.expired, &self.failed, &self.cancelled].map(Count::get);
        let requests = [&self.answered, &self.dropped].map(Count::get);
        let sides = [
            ("connections", self.accepted.get(), connections.iter().sum::<u64>()),
            ("requests", self.requests.get(), requests.iter().sum()),
        ];
        let unequal = sides.into_iter().filter(|(_, came, went)| came != went);
        unequal.map(|(what, came, went)| format!("{what}: {came} came, {went} went")).collect()
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "connections: {} accepted, {} ended, {} expired, {} failed, {} cancelled",
            self.accepted.get(),
            self.ended.get(),
            self.expired.get(),
            self.failed.get(),
            self.cancelled.get()
        )?;
        write!(
            f,
            "requests: {} came, {} answered, {} dropped",
            self.requests.get(),
            self.answered.get(),
            self.dropped.get()
        )
    }
}
