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

/// A number that grows in many threads at once, each of which writes a cache line of its own.
///
/// The first threads of the process own a line each (`Place`) and count there by a load and a store,
/// which is exact because nobody else writes it; those that come when all lines are owned share the last
/// one and pay for a read-modify-write.
#[derive(Debug, Default)]
pub struct Spread([Line; Place::SHARED + 1]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(Counter);

impl Spread {
    /// Adds one.
    #[inline]
    pub fn add_one(&self) {
        // While the thread is taken down it owns nothing any more.
        let place = PLACE.try_with(|place| place.0).unwrap_or(Place::SHARED);
        let Line(counter) = &self.0[place];
        if place == Place::SHARED {
            counter.add(1);
        } else {
            let Counter(word) = counter;
            word.store(word.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Reads it.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.iter().fold(0, |sum, Line(counter)| sum.wrapping_add(counter.get()))
    }
}

/// Which line of every [`Spread`] a thread writes.
struct Place(usize);

thread_local! {
    static PLACE: Place = Place::take();
}

/// A bit for each line that nobody owns.
static FREE: AtomicU32 = AtomicU32::new((1 << Place::SHARED) - 1);

impl Place {
    /// The line of those who own none.
    const SHARED: usize = 15;

    fn take() -> Place {
        // Acquire: pairs with the release in `drop`; the owner before has written for the last time.
        let taken = FREE.fetch_update(Ordering::Acquire, Ordering::Relaxed, |free| {
            (free != 0).then(|| free & (free - 1))
        });
        Place(taken.map_or(Place::SHARED, |free| free.trailing_zeros() as usize))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0 != Place::SHARED {
            FREE.fetch_or(1 << self.0, Ordering::Release);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn what_more_threads_count_than_there_are_lines_is_all_there() {
        let spread = Spread::default();
        for _ in 0..2 {
            thread::scope(|scope| {
                for _ in 0..3 * Place::SHARED {
                    scope.spawn(|| (0..1000).for_each(|_| spread.add_one()));
                }
            });
        }
        assert_eq!(spread.get(), 2 * 3 * Place::SHARED as u64 * 1000);
    }

    #[test]
    fn a_number_is_found_as_it_was_noted_and_none_as_none() {
        let note = Note::default();
        assert_eq!(note.get(), None);
        for number in [Some(0), Some(7), Some(i32::MAX), Some(-1), None] {
            note.set(number);
            assert_eq!(note.get(), number.filter(|number| *number >= 0));
        }
    }
}
