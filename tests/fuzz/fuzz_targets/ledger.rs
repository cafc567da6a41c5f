//! Deadlines of all magnitudes are set, moved and cleared while time passes: whenever the queue of timers has
//! been looked at, a direction has expired if its deadline has come, and in no other case; and moving a deadline
//! forward leaves the queue alone.
//!
//! The model knows no queue: it compares instants.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use netpoller_spec::time::{self, Change, Ledger, NEVER, NONE};

/// What happens next.
#[derive(Arbitrary, Debug)]
enum Step {
    /// A deadline so long after now, in these directions.
    After([bool; 2], u64),
    /// One at an instant, which may be past.
    At([bool; 2], u64),
    /// None.
    Clear([bool; 2]),
    /// Time passes, and the queue is looked at.
    Pass(u64),
    /// The same, little time.
    PassALittle(u8),
    /// The incarnation ends, and the next one begins.
    Free,
}

struct Clock {
    now: u64,
    ledger: Ledger,
    expired: [bool; 2],
    queue: Vec<u64>,
}

impl Clock {
    fn carry_out(&mut self, change: Change) {
        self.ledger = change.ledger;
        for (flag, said) in self.expired.iter_mut().zip(change.expired) {
            *flag = said.unwrap_or(*flag);
        }
        if let Some(when) = change.push {
            assert!(when != NONE && when != NEVER, "NP-TIME-9: an entry for {when}");
            self.queue.push(when);
        }
        assert!(self.ledger.covered(self.expired), "NP-TIME-7: {:?} is not covered", self.ledger);
    }

    fn set(&mut self, concerned: [bool; 2], deadline: u64) {
        let before = (self.ledger, self.queue.len());
        let change = time::set(self.ledger, self.expired, concerned, deadline, self.now);
        self.carry_out(change);
        // By the other direction an earlier deadline may have lost its entry: then this is covered anew.
        let covered = before.0.armed != NONE && (deadline == NONE || deadline >= before.0.armed);
        if covered && before.0.covered(self.expired) {
            assert_eq!(self.queue.len(), before.1, "NP-TIME-8: {before:?}, moved to {deadline}");
        }
    }

    fn pass(&mut self, time: u64) {
        // The last instant is never reached.
        self.now = time::after(self.now, time).min(NEVER - 1);
        while let Some(place) = self.queue.iter().position(|when| *when <= self.now) {
            let when = self.queue.swap_remove(place);
            if let Some(change) = time::fire(self.ledger, self.expired, when, self.now) {
                self.carry_out(change);
            }
        }
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let mut clock =
        Clock { now: 1, ledger: Ledger::default(), expired: [false; 2], queue: Vec::new() };
    let mut deadlines = [NONE; 2];
    for step in steps {
        let (concerned, deadline) = match step {
            Step::After(concerned, delay) => (concerned, time::after(clock.now, delay)),
            Step::At(concerned, deadline) => (concerned, deadline),
            Step::Clear(concerned) => (concerned, NONE),
            Step::Pass(time) => {
                clock.pass(time);
                ([false; 2], NONE)
            }
            Step::PassALittle(time) => {
                clock.pass(time.into());
                ([false; 2], NONE)
            }
            Step::Free => {
                clock.ledger = time::free(clock.ledger);
                clock.expired = [false; 2];
                deadlines = [NONE; 2];
                ([false; 2], NONE)
            }
        };
        if concerned.contains(&true) {
            clock.set(concerned, deadline);
        }
        for place in [0, 1] {
            if concerned[place] {
                deadlines[place] = deadline;
            }
            let come = deadlines[place] != NONE && deadlines[place] <= clock.now;
            assert_eq!(
                clock.expired[place], come,
                "NP-TIME-2, NP-TIME-5: deadline {} at {}",
                deadlines[place], clock.now
            );
        }
    }
});
