//! An eventfd: a counter that is added to by writing and emptied by reading.
//!
//! Every successful write is an edge for whoever waits to read, a write of zero included, and
//! every successful read is one for whoever waits to write.

use super::description::{End, Object, Wakes, Watch, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{Mutex, Primitives};

/// The state of an eventfd.
#[derive(Debug)]
pub(super) struct Eventfd {
    count: u64,
    watchers: Vec<Watch>,
}

impl Eventfd {
    /// The greatest count that a write may leave.
    const MOST: u64 = u64::MAX - 1;

    pub(super) fn create<P: Primitives>(count: u64) -> P::Mutex<Eventfd> {
        Mutex::new(Eventfd { count, watchers: Vec::new() }, |eventfd| {
            Some(digest(&(eventfd.count, &eventfd.watchers)))
        })
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> (Result<usize>, Wakes) {
        let Some(room) = buffer.first_chunk_mut() else {
            return (Err(Errno::EINVAL), Wakes::none());
        };
        if self.count == 0 {
            return (Err(Errno::EAGAIN), Wakes::none());
        }
        *room = self.count.to_ne_bytes();
        self.count = 0;
        (Ok(room.len()), Wakes::of(&self.watchers, key::EVENTFD_OUT))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> (Result<usize>, Wakes) {
        // Exactly eight bytes; a read may have room for more.
        let Ok(value) = bytes.try_into().map(u64::from_ne_bytes) else {
            return (Err(Errno::EINVAL), Wakes::none());
        };
        if value == u64::MAX {
            return (Err(Errno::EINVAL), Wakes::none());
        }
        match self.count.checked_add(value) {
            Some(count) if count <= Self::MOST => {
                self.count = count;
                (Ok(size_of::<u64>()), Wakes::of(&self.watchers, key::EVENTFD_IN))
            }
            _ => (Err(Errno::EAGAIN), Wakes::none()),
        }
    }
}

impl Object for Eventfd {
    fn bits(&mut self, _end: End) -> u32 {
        let readable = if self.count > 0 { mask::IN } else { 0 };
        let writable = if self.count < Self::MOST { mask::OUT } else { 0 };
        readable | writable
    }

    fn watchers(&mut self, _end: End) -> &mut Vec<Watch> {
        &mut self.watchers
    }

    fn release(&mut self, _end: End) -> Wakes {
        Wakes::none()
    }

    fn buffered(&self, _end: End) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }
}
