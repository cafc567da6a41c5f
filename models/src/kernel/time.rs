//! What happens when the virtual time has come: timers that expire, and SYNs that are sent again.
//!
//! There is one list, under one lock, in the order of the times. [`SimKernel::advance_to`] stops
//! at each and lets it happen.

use super::SimKernel;
use super::description::{End, Object, Wakes, Watch, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use super::tcp::Tcp;
use netpoller::seam::{Address, Arc, Mutex, Primitives};

/// Something that happens at a time.
pub(super) enum Alarm<P: Primitives> {
    /// A timer expires.
    Timer(Arc<P::Mutex<Timer>>),
    /// A connection is asked for again.
    Syn(Arc<P::Mutex<Tcp<P>>>, Address),
}

impl<P: Primitives> core::fmt::Debug for Alarm<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Alarm::Timer(_) => f.write_str("a timer"),
            Alarm::Syn(_, address) => write!(f, "a SYN for {address:?}"),
        }
    }
}

#[derive(Debug)]
struct Entry<P: Primitives> {
    /// Nanoseconds.
    at: u64,
    /// The serial number of the description that it is for.
    owner: u64,
    alarm: Alarm<P>,
}

/// All that will happen.
#[derive(Debug)]
pub(super) struct Alarms<P: Primitives> {
    entries: Vec<Entry<P>>,
}

impl<P: Primitives> Alarms<P> {
    pub(super) fn create() -> P::Mutex<Alarms<P>> {
        Mutex::new(Alarms { entries: Vec::new() }, |alarms| {
            let entries: Vec<_> = alarms
                .entries
                .iter()
                .map(|entry| {
                    let address = match &entry.alarm {
                        Alarm::Timer(_) => None,
                        Alarm::Syn(_, address) => Some(address),
                    };
                    (entry.at, entry.owner, address)
                })
                .collect();
            Some(digest(&entries))
        })
    }

    pub(super) fn set(&mut self, at: u64, owner: u64, alarm: Alarm<P>) {
        let place = self.entries.partition_point(|entry| entry.at <= at);
        self.entries.insert(place, Entry { at, owner, alarm });
    }

    /// Nothing more is to happen for this one.
    pub(super) fn clear(&mut self, owner: u64) {
        self.entries.retain(|entry| entry.owner != owner);
    }

    /// The next one that happens no later than `until`.
    pub(super) fn next(&mut self, until: u64) -> Option<(u64, Alarm<P>)> {
        let due = self.entries.first().is_some_and(|entry| entry.at <= until);
        due.then(|| self.entries.remove(0)).map(|entry| (entry.at, entry.alarm))
    }
}

impl<P: Primitives> SimKernel<P> {
    pub(super) fn happen(&self, alarm: Alarm<P>) {
        match alarm {
            Alarm::Timer(timer) => {
                let wakes = timer.lock().expire();
                wakes.deliver();
            }
            Alarm::Syn(client, address) => self.ask_to_connect(&client, &address),
        }
    }
}

/// A timerfd that is set for once. It is readable when it has expired, and says how often.
#[derive(Debug)]
pub(super) struct Timer {
    expired: u64,
    watchers: Vec<Watch>,
}

impl Timer {
    pub(super) fn create<P: Primitives>() -> P::Mutex<Timer> {
        Mutex::new(Timer { expired: 0, watchers: Vec::new() }, |timer| {
            Some(digest(&(timer.expired, &timer.watchers)))
        })
    }

    /// It was set anew: what expired before does not count.
    pub(super) fn set(&mut self) {
        self.expired = 0;
    }

    fn expire(&mut self) -> Wakes {
        self.expired += 1;
        Wakes::of(&self.watchers, key::TIMER_IN)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let room = buffer.first_chunk_mut().ok_or(Errno::EINVAL)?;
        match std::mem::take(&mut self.expired) {
            0 => Err(Errno::EAGAIN),
            count => {
                *room = count.to_ne_bytes();
                Ok(room.len())
            }
        }
    }
}

impl Object for Timer {
    fn bits(&mut self, _end: End) -> u32 {
        if self.expired > 0 { mask::IN } else { 0 }
    }

    fn watchers(&mut self, _end: End) -> &mut Vec<Watch> {
        &mut self.watchers
    }

    fn release(&mut self, _end: End) -> Wakes {
        Wakes::none()
    }

    fn buffered(&self, _end: End) -> usize {
        usize::try_from(self.expired).unwrap_or(usize::MAX)
    }
}
