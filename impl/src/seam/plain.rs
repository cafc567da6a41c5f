//! Words that are no part of the protocol: what diagnostics count and note.
//!
//! They are the same in every system, plain atomics of the standard library: a model that went through
//! the orders in which they are written would go through executions that differ in nothing. So nothing
//! may be decided by what is read from them, and nothing is published by writing to them: every
//! access is relaxed.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A number that grows. Wraps at 2^64.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Adds to it, if there is something to add: a batch of which nothing is to be counted writes
    /// nothing.
    #[inline]
    pub fn add_if_any(&self, more: u64) {
        if more != 0 {
            self.add(more);
        }
    }

    /// Reads it.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that is noted where others find it.
#[derive(Debug, Default)]
pub struct Note(AtomicU32);

impl Note {
    /// Notes it.
    #[inline]
    pub fn set(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What was noted.
    #[must_use]
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
