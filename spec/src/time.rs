//! Deadlines: when one expires, and when the queue of timers has to be touched for it.
//!
//! Each direction of a descriptor has a *deadline*, an absolute instant in nanoseconds, or none.
//! A descriptor has one *entry* at most in the queue of timers that counts, for the earliest of its
//! live deadlines; `armed` says when that is. What else lies in the queue for this descriptor is
//! superseded.
//!
//! **Timers carry no authority.** An entry that comes due says "look at this descriptor", and no
//! more: [`fire`] decides by the deadlines that are set *then* (NP-TIME-6). So setting, moving and
//! clearing a deadline need not find an entry in the queue, nor wait for one that is about to be
//! handled, and moving a deadline forward, as every read with a timeout does, touches no queue
//! (NP-TIME-8). Go keeps a sequence number per direction, a combined timer and a table of cases,
//! because its timers act on what they were armed with.
//!
//! The [`Ledger`] and the expired flags of the info word are changed under the descriptor's
//! *control lock*. Whether an expired flag is set is an argument here: the info word is where it
//! lives. A deadline is *live* when it is set, has not expired, and is not the last instant.

use crate::Mode;

/// No deadline.
pub const NONE: u64 = 0;
/// The last instant there is: a deadline that never comes.
pub const NEVER: u64 = u64::MAX;

/// The deadlines of one descriptor and the entry that covers them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// Absolute nanoseconds per direction; [`NONE`] and [`NEVER`] are special.
    pub deadlines: [u64; 2],
    /// When the entry of this descriptor that counts comes due; [`NONE`]: there is none.
    pub armed: u64,
}

impl Ledger {
    /// The earliest live deadline, or [`NONE`].
    #[inline]
    #[must_use]
    pub const fn earliest(&self, expired: [bool; 2]) -> u64 {
        let [read, write] = [self.live(Mode::Read, expired), self.live(Mode::Write, expired)];
        if read == NONE || (write != NONE && write < read) { write } else { read }
    }

    /// The deadline of `mode` if it is live, or [`NONE`].
    #[inline]
    #[must_use]
    pub const fn live(&self, mode: Mode, expired: [bool; 2]) -> u64 {
        let deadline = self.deadlines[mode as usize];
        // NP-TIME-9: the last instant is never entered into the queue.
        if expired[mode as usize] || deadline == NEVER { NONE } else { deadline }
    }

    /// Whether the entry covers all live deadlines (NP-TIME-7).
    #[inline]
    #[must_use]
    pub const fn covered(&self, expired: [bool; 2]) -> bool {
        let earliest = self.earliest(expired);
        earliest == NONE || (self.armed != NONE && self.armed <= earliest)
    }
}

/// The instant `delay` nanoseconds after `now`, or the last one there is (NP-TIME-1).
#[inline]
#[must_use]
pub const fn after(now: u64, delay: u64) -> u64 {
    now.saturating_add(delay)
}

/// What a call that sets a deadline, or a timer that fires, has to do. All of it before the
/// control lock is released, but for the waking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The ledger to leave.
    pub ledger: Ledger,
    /// Per direction: what to publish in the info word; `None`: leave it as it is. Where it is
    /// `true` the slot is then to be cancelled.
    pub expired: [Option<bool>; 2],
    /// When the new entry comes due, if one has to be pushed.
    pub push: Option<u64>,
    /// Whether an entry that is in the queue counts no more because of this.
    pub supersedes: bool,
}

/// A deadline is set (`deadline` in nanoseconds), or cleared ([`NONE`]), in the directions
/// `concerned`. `now` was read once, before the control lock was taken.
#[inline]
#[must_use]
pub const fn set(
    ledger: Ledger,
    mut expired: [bool; 2],
    concerned: [bool; 2],
    deadline: u64,
    now: u64,
) -> Change {
    let past = deadline != NONE && deadline <= now; // NP-TIME-2
    let (mut left, mut publish) = (ledger, [None; 2]);
    let mut place = 0;
    while place < 2 {
        if concerned[place] {
            left.deadlines[place] = deadline;
            expired[place] = past; // NP-TIME-3: the new deadline decides
            publish[place] = Some(past);
        }
        place += 1;
    }
    cover(left, expired, publish)
}

/// An entry that came due at `when` is handled. `None`: it was superseded and means nothing.
/// `now` is a reading of the clock that is not older than the one that let it come due.
#[inline]
#[must_use]
pub const fn fire(ledger: Ledger, mut expired: [bool; 2], when: u64, now: u64) -> Option<Change> {
    if when != ledger.armed {
        return None; // NP-TIME-6
    }
    let (mut left, mut publish) = (ledger, [None; 2]);
    left.armed = NONE;
    let mut place = 0;
    while place < 2 {
        let live = left.live(Mode::BOTH[place], expired);
        // NP-TIME-5: by the deadline of now, and not before it.
        if live != NONE && live <= now {
            expired[place] = true;
            publish[place] = Some(true);
        }
        place += 1;
    }
    Some(cover(left, expired, publish))
}

/// The incarnation ends: no deadlines, and the entry stays where it is (NP-TIME-10).
#[inline]
#[must_use]
pub const fn free(ledger: Ledger) -> Ledger {
    Ledger { deadlines: [NONE; 2], armed: ledger.armed }
}

/// Sees that the earliest live deadline has an entry that is not later (NP-TIME-7), and pushes
/// one only if there is none (NP-TIME-8).
const fn cover(mut ledger: Ledger, expired: [bool; 2], publish: [Option<bool>; 2]) -> Change {
    let covered = ledger.covered(expired);
    let push = if covered { None } else { Some(ledger.earliest(expired)) };
    let supersedes = !covered && ledger.armed != NONE;
    if let Some(when) = push {
        ledger.armed = when;
    }
    Change { ledger, expired: publish, push, supersedes }
}

/// Until when a thread may sleep in the kernel: what its caller allows, or the first entry of the
/// queue, whichever is earlier. [`NEVER`]: without end.
#[inline]
#[must_use]
pub const fn sleep_until(allowed: u64, first_entry: u64) -> u64 {
    if first_entry != NONE && first_entry < allowed { first_entry } else { allowed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    const ALIVE: [bool; 2] = [false; 2];

    fn ledger(read: u64, write: u64, armed: u64) -> Ledger {
        Ledger { deadlines: [read, write], armed }
    }

    #[test]
    fn a_deadline_that_has_come_expires_in_the_call_that_sets_it() {
        // NP-TIME-2
        for deadline in [1, 9, 10] {
            let change = set(Ledger::default(), ALIVE, [true, false], deadline, 10);
            assert_eq!((change.expired, change.push), ([Some(true), None], None));
        }
        let change = set(Ledger::default(), ALIVE, [true, false], 11, 10);
        assert_eq!((change.expired, change.push), ([Some(false), None], Some(11)));
    }

    #[test]
    fn moving_forward_and_clearing_touch_no_queue() {
        // NP-TIME-8
        let armed = ledger(20, NONE, 20);
        for deadline in [20, 21, 1_000, NEVER, NONE] {
            let change = set(armed, ALIVE, [true, false], deadline, 10);
            assert_eq!((change.push, change.ledger.armed), (None, 20), "to {deadline}");
        }
    }

    #[test]
    fn moving_back_pushes_and_supersedes() {
        // NP-TIME-7
        let change = set(ledger(20, NONE, 20), ALIVE, [true, false], 15, 10);
        assert_eq!((change.push, change.supersedes, change.ledger.armed), (Some(15), true, 15));
    }

    #[test]
    fn one_entry_serves_both_directions_also_when_they_part() {
        // NP-TIME-6, NP-TIME-7
        let both = set(Ledger::default(), ALIVE, [true, true], 20, 10);
        assert_eq!((both.push, both.ledger.armed), (Some(20), 20));
        let parted = set(both.ledger, ALIVE, [true, false], 30, 10);
        assert_eq!(parted.push, None);
        let fired = fire(parted.ledger, ALIVE, 20, 20).expect("it counts");
        assert_eq!(fired.expired, [None, Some(true)], "the writer's alone");
        assert_eq!((fired.push, fired.supersedes), (Some(30), false), "and one for the reader");
    }

    #[test]
    fn an_entry_that_was_superseded_means_nothing() {
        // NP-TIME-6
        assert_eq!(fire(ledger(15, NONE, 15), ALIVE, 20, 20), None);
    }

    #[test]
    fn the_last_instant_never_comes_and_needs_no_entry() {
        // NP-TIME-1, NP-TIME-9
        assert_eq!(after(10, u64::MAX), NEVER);
        let change = set(Ledger::default(), ALIVE, [true, true], NEVER, 10);
        assert_eq!((change.push, change.expired), (None, [Some(false); 2]));
        let fired = fire(ledger(NEVER, 20, 20), ALIVE, 20, u64::MAX).expect("it counts");
        assert_eq!(fired.expired, [None, Some(true)]);
    }

    #[test]
    fn the_entry_survives_the_incarnation() {
        // NP-TIME-10
        assert_eq!(free(ledger(20, 30, 20)), ledger(NONE, NONE, 20));
    }

    /// A descriptor, its queue and a clock, driven at random: an entry that is due is handled
    /// before or after any other call.
    #[derive(Default)]
    struct Driven {
        ledger: Ledger,
        expired: [bool; 2],
        queue: std::vec::Vec<u64>,
        now: u64,
    }

    impl Driven {
        fn apply(&mut self, change: Change) {
            self.ledger = change.ledger;
            self.queue.extend(change.push);
            for place in 0..2 {
                if let Some(expired) = change.expired[place] {
                    let deadline = self.ledger.deadlines[place];
                    assert!(!expired || deadline <= self.now, "NP-TIME-5: early");
                    self.expired[place] = expired;
                }
            }
        }

        fn handle_due(&mut self) {
            while let Some(place) = self.queue.iter().position(|when| *when <= self.now) {
                let when = self.queue.swap_remove(place);
                if let Some(change) = fire(self.ledger, self.expired, when, self.now) {
                    self.apply(change);
                }
            }
        }
    }

    quickcheck! {
        // NP-TIME-4, NP-TIME-5, NP-TIME-7
        fn no_deadline_is_missed_and_none_is_early(calls: std::vec::Vec<(u8, u8, bool)>) -> bool {
            let mut driven = Driven { now: 1, ..Driven::default() };
            for (kind, amount, both) in calls {
                let amount = u64::from(amount % 16);
                let deadline = [NONE, NEVER, after(driven.now, amount), amount.max(1)]
                    [usize::from(kind / 4 % 4)];
                match kind % 4 {
                    0 => driven.now += amount,
                    1 => driven.handle_due(),
                    place => {
                        let concerned = [both || place == 2, both || place == 3];
                        let (ledger, now) = (driven.ledger, driven.now);
                        driven.apply(set(ledger, driven.expired, concerned, deadline, now));
                    }
                }
                let Driven { ledger, expired, queue, .. } = &driven;
                if !ledger.covered(*expired) {
                    return false;
                }
                if ledger.armed != NONE && !queue.contains(&ledger.armed) {
                    return false;
                }
            }
            driven.handle_due();
            [Mode::Read, Mode::Write].into_iter().all(|mode| {
                let live = driven.ledger.live(mode, driven.expired);
                live == NONE || live > driven.now
            })
        }
    }
}
