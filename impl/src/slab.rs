//! Where descriptors live: type-stable, never moved, never given back while the poller lives.
//!
//! An event that was harvested long ago names an index; looking there must always find a
//! [`Desc`], whatever became of the incarnation the event was meant for. So entries are never
//! freed, only used again in the next generation (NP-GEN-1), the one that was freed last first
//! (its lines are in the cache). An entry that has used up its generations is retired (NP-GEN-3).
//!
//! Memory comes in segments, each twice as large as the one before, so that looking up an index
//! takes no lock and entries never move. A segment is published once (`OnceLock`), under the lock
//! of `free`; the list of free indices is that lock's contents. An index travels from the list to
//! its owner, and back, through that lock, which is what makes the owner's first look at the
//! entry's generation exact.

use crate::desc::Desc;
use crate::seam::{Counter, Mutex, OnceLock, System, condensed};
use netpoller_spec::token::{Generation, Token};
use std::io;

/// Segments double, so this many are more than there are indices.
const SEGMENTS: usize = 32;

#[derive(Debug)]
pub(crate) struct Slab<S: System> {
    /// How many entries the first segment has: a power of two.
    first: u32,
    /// The generation of an entry that was never used.
    generation: Generation,
    segments: [OnceLock<Box<[Desc<S>]>>; SEGMENTS],
    free: S::Mutex<Free>,
    /// How many entries were retired. For diagnostics.
    retired: Counter,
}

#[derive(Debug)]
struct Free {
    /// Indices that were in use and are free: the last one is the next to go.
    stack: Vec<u32>,
    /// All indices from here on were never used.
    unused: u32,
    /// How many entries the published segments have.
    capacity: u32,
}

impl Free {
    /// All there is to know, for an explorer: small numbers, in order.
    fn digest(&self) -> Option<u64> {
        let numbers = [self.unused, self.capacity].into_iter().chain(self.stack.iter().copied());
        Some(condensed(numbers.map(u64::from)))
    }
}

impl<S: System> Slab<S> {
    /// A slab whose first segment has `first` entries, rounded up to a power of two.
    pub(crate) fn new(first: u32, generation: Generation) -> Self {
        Slab {
            first: first.max(1).next_power_of_two(),
            generation,
            segments: [const { OnceLock::new() }; SEGMENTS],
            free: S::Mutex::new(Free { stack: Vec::new(), unused: 0, capacity: 0 }, Free::digest),
            retired: Counter::default(),
        }
    }

    /// An index nobody uses.
    pub(crate) fn allocate(&self) -> io::Result<u32> {
        let mut free = self.free.lock();
        if let Some(index) = free.stack.pop() {
            return Ok(index);
        }
        let index = free.unused;
        if index == Token::BREAK_INDEX {
            let full = "all indices of the poller are in use or retired";
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, full));
        }
        if index == free.capacity {
            let (segment, _) = self.locate(index);
            let size = u64::from(self.first) << segment;
            let entries = (0..size).map(|_| Desc::new(self.generation)).collect();
            let published = self.segments[segment].set(entries);
            assert!(published.is_ok(), "a segment of the slab was published twice");
            // The last segment may reach past the reserved index; nothing there is handed out.
            let end = u64::from(index) + size;
            free.capacity = u32::try_from(end).unwrap_or(Token::BREAK_INDEX);
            // So that giving an index back never allocates.
            let capacity = free.capacity as usize;
            free.stack.reserve(capacity);
        }
        free.unused += 1;
        Ok(index)
    }

    /// Gives back an index whose entry is in its next generation already.
    pub(crate) fn release(&self, index: u32) {
        self.free.lock().stack.push(index);
    }

    /// An index has had its last generation, and is not given back.
    pub(crate) fn retire(&self) {
        self.retired.add(1);
    }

    /// How many entries somebody owns. For diagnostics.
    pub(crate) fn in_use(&self) -> u32 {
        let (out, back) = self.free.peek(|free| (free.unused, free.stack.len()));
        // Read one after the other, so that the difference may be short of the truth, and not of 0.
        let gone = back as u64 + self.retired.get();
        u32::try_from(u64::from(out).saturating_sub(gone)).unwrap_or(u32::MAX)
    }

    /// The entry, or `None` for an index that was never handed out.
    pub(crate) fn get(&self, index: u32) -> Option<&Desc<S>> {
        if index == Token::BREAK_INDEX {
            return None;
        }
        let (segment, offset) = self.locate(index);
        self.segments[segment].get()?.get(offset)
    }

    /// All entries of the published segments, with their indices. For diagnostics and oracles.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &Desc<S>)> {
        (0..).zip(self.segments.iter().map_while(OnceLock::get).flat_map(|segment| segment.iter()))
    }

    /// Which segment, and where in it. With `first` = 4: 0-3, 4-11, 12-27, ...
    fn locate(&self, index: u32) -> (usize, usize) {
        let shifted = u64::from(index) + u64::from(self.first);
        let top = shifted.ilog2(); // `first` is a power of two, so segments begin at powers of two
        ((top - self.first.ilog2()) as usize, (shifted ^ (1 << top)) as usize)
    }
}
