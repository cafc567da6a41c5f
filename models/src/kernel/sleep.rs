//! The threads that sleep in a wait of an event queue.
//!
//! A thread sleeps on its parker, which has one token. A token that somebody else made available
//! meanwhile (the waker of a task, say) ends the sleep but not the wait: the thread lies down
//! again, and makes that token available again when it returns. A token that falls together with
//! the kernel's own wake cannot be told from it and is used up: a thread that waits here must not
//! be woken through its parker for other reasons at the same time.
//!
//! A signal ends a sleep in three steps: the thread lies down as always, gets up without having
//! parked, and harvests once more, so events win against the signal. If it was woken in between,
//! it takes that token too.
//!
//! [`Waiters`] lies under the lock of the queue; a [`Sleeper`] belongs to its thread.

use netpoller::seam::{Parker, Primitives};

/// Who sleeps in a queue, the last one to lie down on top, and who was woken and has not looked
/// yet.
#[derive(Debug)]
pub(super) struct Waiters<P: Primitives> {
    asleep: Vec<Waiter<P>>,
    woken: Vec<u32>,
}

/// A thread that sleeps. Its place is the lowest number that no other sleeper has, so that the
/// state of a queue does not depend on how many have slept before.
#[derive(Debug)]
struct Waiter<P: Primitives> {
    place: u32,
    parker: P::Parker,
}

impl<P: Primitives> Waiters<P> {
    pub(super) fn nobody() -> Waiters<P> {
        Waiters { asleep: Vec::new(), woken: Vec::new() }
    }

    /// How many sleep and were not woken.
    pub(super) fn count(&self) -> usize {
        self.asleep.len()
    }

    /// The places of those who sleep, and of those who were woken: what the future depends on.
    pub(super) fn places(&self) -> (Vec<u32>, &[u32]) {
        (self.asleep.iter().map(|waiter| waiter.place).collect(), &self.woken)
    }

    /// Takes one down from the list: the last one that lay down, or one that lies that deep below.
    pub(super) fn pop(&mut self, deep: usize) -> Option<P::Parker> {
        let top = self.asleep.len().checked_sub(1)?;
        let waiter = self.asleep.remove(top - deep);
        self.woken.push(waiter.place);
        self.woken.sort_unstable();
        Some(waiter.parker)
    }
}

/// A thread in a wait that may sleep.
#[derive(Debug)]
pub(super) struct Sleeper<P: Primitives> {
    parker: P::Parker,
    place: Option<u32>,
    /// Whether a token that was not the kernel's ended a sleep.
    foreign: bool,
    /// Whether a signal is pending, or comes while it sleeps.
    signal: bool,
    /// Whether it was woken while it was up already: the token is still to be taken.
    owed: bool,
}

impl<P: Primitives> Sleeper<P> {
    pub(super) fn new() -> Sleeper<P> {
        Sleeper { parker: P::parker(), place: None, foreign: false, signal: false, owed: false }
    }

    /// Whether a signal has come.
    pub(super) fn has_signal(&self) -> bool {
        self.signal
    }

    /// Whether it lies down or was woken, and has not got up.
    pub(super) fn lies(&self) -> bool {
        self.place.is_some()
    }

    /// Lies down; `signal` says whether a signal comes while it does.
    pub(super) fn lie_down(&mut self, waiters: &mut Waiters<P>, signal: bool) {
        let Waiters { asleep, woken } = waiters;
        let taken = |place| asleep.iter().any(|w| w.place == place) || woken.contains(&place);
        let place = (0..).find(|place| !taken(*place)).expect("a free place among all numbers");
        asleep.push(Waiter { place, parker: self.parker.clone() });
        (self.place, self.signal) = (Some(place), signal);
    }

    pub(super) fn get_up(&mut self, waiters: &mut Waiters<P>) {
        let Some(place) = self.place.take() else { return };
        let count = waiters.woken.len();
        waiters.woken.retain(|woken| *woken != place);
        let woken = waiters.woken.len() < count;
        if !woken {
            waiters.asleep.retain(|waiter| waiter.place != place);
        }
        // One whom a signal has roused did not park.
        self.owed = woken && self.signal;
        self.foreign |= !woken && !self.signal;
    }

    /// Sleeps if it lay down, until it is woken or a signal comes.
    pub(super) fn sleep(&self) {
        if self.lies() && !self.signal {
            self.parker.park();
        }
    }

    /// Takes the token that was meant for it; it is on its way.
    pub(super) fn take_what_is_owed(&mut self) {
        if std::mem::take(&mut self.owed) {
            self.parker.park();
        }
    }

    /// The wait is over: gives back what was not meant for it.
    pub(super) fn leave(self) {
        if self.foreign {
            self.parker.unpark();
        }
    }
}
