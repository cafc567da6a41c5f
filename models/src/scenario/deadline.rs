//! Deadlines that move and expire while someone waits.
//!
//! Time is the bench's: a thread of the plan, the *clock*, lets it pass and the timers fire that are
//! due, through the code that a poll uses. Whoever waits has to end because of a deadline, so a
//! deadline that is missed is a deadlock; one that is early is caught by the oracle.

use super::bench::{Bare, Bench, Waited};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller::seam::{Instant, Parker};
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::sync::Arc;

/// This family.
pub const ALL: &[Scenario] = &[
    park_deadline_in_past::SCENARIO,
    park_deadline_expires::SCENARIO,
    deadline_moved_forward::SCENARIO,
    deadline_moved_back::SCENARIO,
    deadline_moved_forward_by_its_reader::SCENARIO,
    deadline_moved_back_by_its_reader::SCENARIO,
    deadline_moved_both_ways::SCENARIO,
    deadline_cleared_and_set::SCENARIO,
    deadline_reset_before_the_task_runs::SCENARIO,
    two_setters_one_deadline::SCENARIO,
    expiry_against_retract::SCENARIO,
];

pub(super) fn at(nanos: u64) -> Option<Instant> {
    Some(Instant::from_nanos(nanos))
}

/// Sets a deadline, or clears it. A poller that sleeps too long is woken by that and looks: here it
/// looks at once, so that an entry that was pushed for an instant which has come meanwhile is seen.
pub(super) fn set<E: Engine>(
    bench: &Bench<E>,
    source: &Source<Bare<E>>,
    mode: Mode,
    deadline: Option<Instant>,
) {
    E::sealed(|| {
        let set = match mode {
            Mode::Read => source.set_read_deadline(deadline),
            Mode::Write => source.set_write_deadline(deadline),
        };
        set.expect("open");
        bench.poller.expire_due();
    });
}

/// Waits, and sees that it ends because of the deadline.
pub(super) fn waits_in_vain<E: Engine>(source: &Source<Bare<E>>, bench: &Bench<E>, mode: Mode) {
    let waited = bench.wait(source.token(), mode);
    assert_that(waited == Waited::TimedOut, || format!("the wait in {mode:?} got {waited:?}"));
}

scenario! {
    /// A reader parks while its deadline is set into the past. Nobody else is there to wake it:
    /// without the fence of whoever lets it expire, or of the reader, it sleeps for ever.
    family: DeadlineInPast;
    rules: "NP-TIME-2 NP-WAIT-3 NP-SLOT-4";
    from: "Go #45211 (B1), by SetDeadline in place of Close";
    fn park_deadline_in_past<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.advance(10);
        let source = Arc::new(bench.open());
        let (waiter, one, two) = (bench.clone(), Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &waiter, Mode::Read))
            .thread("setter", move || two.set_read_deadline(at(5)).expect("open"))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A reader parks while the timer of its deadline fires.
    family: DeadlineMoved;
    rules: "NP-TIME-5 NP-TIME-7 NP-WAIT-3";
    from: "the smallest timeout there is";
    fn park_deadline_expires<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_read_deadline(at(5)).expect("open");
        let (waiter, clock, one) = (bench.clone(), bench.clone(), Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &waiter, Mode::Read))
            .thread("clock", move || clock.tick(5))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The deadline is moved forward while its timer fires: the entry that is due finds another
    /// deadline, and whoever handles it has to see to the new one.
    family: DeadlineMoved;
    rules: "NP-TIME-6 NP-TIME-7 NP-TIME-8 NP-WAIT-6";
    from: "Go needs rseq for this; here the entry has no authority";
    fn deadline_moved_forward<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_read_deadline(at(5)).expect("open");
        let (waiter, clock, setter) = (bench.clone(), bench.clone(), bench.clone());
        let (one, two) = (Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &waiter, Mode::Read))
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(9);
            })
            .thread("setter", move || set(&setter, &two, Mode::Read, at(9)))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The deadline is moved back while time passes: the new entry is earlier than the one that
    /// was there, or its instant has come already.
    family: DeadlineMoved;
    rules: "NP-TIME-2 NP-TIME-7";
    from: "the other way round";
    fn deadline_moved_back<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_read_deadline(at(9)).expect("open");
        let (waiter, clock, setter) = (bench.clone(), bench.clone(), bench.clone());
        let (one, two) = (Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &waiter, Mode::Read))
            .thread("clock", move || clock.tick(5))
            .thread("setter", move || set(&setter, &two, Mode::Read, at(5)))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

/// A reader moves its own deadline, which was `from`, and waits for it in vain; time passes up to
/// each of `instants`.
fn moved_by_its_reader<E: Engine>(from: u64, to: u64, instants: &'static [u64]) -> Plan {
    let bench = Bench::<E>::new();
    let source = Arc::new(bench.open());
    source.set_read_deadline(at(from)).expect("open");
    let (waiter, clock, one) = (bench.clone(), bench.clone(), Arc::clone(&source));
    Plan::new()
        .thread("reader", move || {
            set(&waiter, &one, Mode::Read, at(to));
            waits_in_vain(&one, &waiter, Mode::Read);
        })
        .thread("clock", move || instants.iter().for_each(|instant| clock.tick(*instant)))
        .finally(move || {
            bench.quiescent();
            drop(source);
        })
}

scenario! {
    /// The reader itself moves its deadline forward, as before each read with a timeout, while the
    /// timer of the old one fires, and waits. Nobody else is there to wake it.
    family: DeadlineMoved;
    rules: "NP-TIME-3 NP-TIME-6 NP-TIME-7 NP-TIME-8";
    from: "the same without a setter: a read with a timeout, and the one before it";
    fn deadline_moved_forward_by_its_reader<E>() -> Plan {
        moved_by_its_reader::<E>(5, 9, &[5, 9])
    }
}

scenario! {
    /// The reader itself moves its deadline back and waits, while time passes: the entry that covers
    /// the new instant is pushed before it or after.
    family: DeadlineMoved;
    rules: "NP-TIME-2 NP-TIME-7 NP-TIME-11";
    from: "the other way round";
    fn deadline_moved_back_by_its_reader<E>() -> Plan {
        moved_by_its_reader::<E>(9, 5, &[5])
    }
}

scenario! {
    /// One task moves the deadline forward and another one back, while its timer fires. Whichever
    /// of them is last counts, and the reader waits for that one.
    family: DeadlineMoved;
    rules: "NP-TIME-6 NP-TIME-7 NP-TIME-8 NP-WAIT-6";
    from: "Go net.TestConcurrentSetDeadline, #35367 (B33)";
    fn deadline_moved_both_ways<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_read_deadline(at(7)).expect("open");
        let (waiter, clock) = (bench.clone(), bench.clone());
        let (forward, back) = (bench.clone(), bench.clone());
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &waiter, Mode::Read))
            .thread("clock", move || [7, 9].into_iter().for_each(|instant| clock.tick(instant)))
            .thread("setter-1", move || set(&forward, &two, Mode::Read, at(9)))
            .thread("setter-2", move || set(&back, &three, Mode::Read, at(5)))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The entry is taken out; the deadline is cleared; the handler does nothing; another deadline
    /// is set. A descriptor that still believed to be armed would push no entry for it.
    family: DeadlineMoved;
    rules: "NP-TIME-6 NP-TIME-7";
    from: "the counterexample to timers without bookkeeping";
    fn deadline_cleared_and_set<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_read_deadline(at(2)).expect("open");
        let (waiter, clock) = (bench.clone(), bench.clone());
        let (one, two) = (Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("setter and reader", move || {
                two.set_read_deadline(None).expect("open");
                set(&waiter, &two, Mode::Read, at(3));
                waits_in_vain(&one, &waiter, Mode::Read);
            })
            .thread("clock", move || {
                clock.tick(2);
                clock.tick(3);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The deadline ends the wait, and is cleared before the reader runs: what woke it is over, so
    /// it waits on, until the edge comes.
    family: DeadlineInPast;
    rules: "NP-WAIT-6 NP-TIME-3";
    from: "Go #6103 (B5)";
    fn deadline_reset_before_the_task_runs<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        let token = source.token();
        bench.advance(10);
        let (waiter, setter, one) = (bench.clone(), bench.clone(), Arc::clone(&source));
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::TimedOut);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("setter", move || {
                one.set_read_deadline(at(5)).expect("open");
                one.set_read_deadline(None).expect("open");
                setter.edge(token, Bits::IN);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Two tasks set the deadline of one direction while time passes: whichever is last counts, and
    /// an entry covers it.
    family: DeadlineMoved;
    rules: "NP-TIME-7 NP-TIME-8";
    from: "Go net.TestConcurrentSetDeadline, #35367 (B33)";
    fn two_setters_one_deadline<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        let (waiter, clock, setter) = (bench.clone(), bench.clone(), bench.clone());
        let (one, two) = (Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("setter and reader", move || {
                set(&waiter, &one, Mode::Read, at(7));
                waits_in_vain(&one, &waiter, Mode::Read);
            })
            .thread("setter", move || set(&setter, &two, Mode::Read, at(5)))
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(7);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A future is dropped while its deadline expires: its waker is left in no cell, and the next
    /// reader fails at once.
    family: Retract;
    rules: "NP-SLOT-7 NP-TIME-3";
    from: "retract against timeout";
    fn expiry_against_retract<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let (waiter, clock) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let (mut wait, parker) = (Wait::default(), E::parker());
                let _pending = waiter.poll(token, Mode::Read, &mut wait, parker.waker());
                waiter.retract(token, Mode::Read, &mut wait);
                let waited = waiter.wait(token, Mode::Read);
                assert_that(waited == Waited::TimedOut, || format!("the next got {waited:?}"));
            })
            .thread("clock", move || clock.tick(5))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}
