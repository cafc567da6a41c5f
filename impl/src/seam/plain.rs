//! Words that are no part of the protocol: what diagnostics count and note.
//!
//! They are the same in every system, plain atomics of the standard library: a model that went through
//! the orders in which they are written would go through executions that differ in nothing. So nothing
//! may be decided by what is read from them.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// A number that grows. Wraps at 2^64. Publishes nothing: every access is relaxed.
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

/// The number of a descriptor, noted where others find it; or none.
#[derive(Debug, Default)]
pub struct Note(AtomicU32);

impl Note {
    /// Notes it. A number that is negative is none.
    #[inline]
    pub fn set(&self, number: Option<i32>) {
        let number = number.and_then(|number| u32::try_from(number).ok());
        // Release, and acquire in `get`: whoever finds the number finds what happened before it was
        // noted, that the entry was freed by whoever had it before.
        self.0.store(number.map_or(0, |number| number + 1), Ordering::Release);
    }

    /// What was noted last.
    #[must_use]
    pub fn get(&self) -> Option<i32> {
        self.0.load(Ordering::Acquire).checked_sub(1).map(u32::cast_signed)
    }
}
