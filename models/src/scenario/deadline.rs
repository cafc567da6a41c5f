//! Deadlines that move and expire while someone waits.
//!
//! Time is the bench's: a thread of the plan, the *clock*, lets it pass and the timers fire that are
//! due, through the code that a poll uses. Whoever waits has to end because of a deadline, so a
//! deadline that is missed is a deadlock; one that is early is caught by the oracle.

use super::bench::{Bare, Bench, Waited};
use super::traffic::{Wired, drive, over, stop, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::Reason;
use netpoller::desc::Wait;
use netpoller::ready::Ready;
use netpoller::seam::{Instant, Parker};
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

/// This family.
pub const ALL: &[Scenario] = &[
    park_deadline_in_past::SCENARIO,
    park_deadline_expires::SCENARIO,
    deadline_moved_forward::SCENARIO,
    deadline_moved_back::SCENARIO,
    deadline_cleared_and_set::SCENARIO,
    deadline_fires_across_reopen::SCENARIO,
    deadline_parted::SCENARIO,
    ready_deadline_close_at_once::SCENARIO,
    deadline_reset_before_the_task_runs::SCENARIO,
    two_setters_one_deadline::SCENARIO,
    expiry_against_retract::SCENARIO,
    deadline_wakes_the_sleeping_poller::SCENARIO,
    earlier_deadline_wakes_the_sleeping_poller::SCENARIO,
    second_deadline_wakes_the_sleeping_poller::SCENARIO,
];

fn at(nanos: u64) -> Option<Instant> {
    Some(Instant::from_nanos(nanos))
}

/// Sets a deadline, or clears it. A poller that sleeps too long is woken by that and looks: here it
/// looks at once, so that an entry that was pushed for an instant which has come meanwhile is seen.
fn set<E: Engine>(
    bench: &Bench<E>,
    source: &Source<Bare<E>>,
    mode: Mode,
    deadline: Option<Instant>,
) {
    let set = match mode {
        Mode::Read => source.set_read_deadline(deadline),
        Mode::Write => source.set_write_deadline(deadline),
    };
    set.expect("open");
    bench.poller.expire_due();
}

/// Waits, and sees that it ends because of the deadline.
fn waits_in_vain<E: Engine>(source: &Source<Bare<E>>, bench: &Bench<E>, mode: Mode) {
    let waited = bench.wait(source.token(), mode);
    assert_that(waited == Waited::TimedOut, || format!("the wait in {mode:?} got {waited:?}"));
}

scenario! {
    /// A reader parks while its deadline is set into the past. Nobody else is there to wake it:
    /// without the fence of whoever lets it expire, or of the reader, it sleeps for ever.
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

scenario! {
    /// The entry is taken out; the deadline is cleared; the handler does nothing; another deadline
    /// is set. A descriptor that still believed to be armed would push no entry for it.
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
    /// A timer of an incarnation fires while the descriptor is closed and its place is used again
    /// with a later deadline: the entry must not let the new one expire, and has to cover it.
    rules: "NP-TIME-5 NP-TIME-6 NP-TIME-10 NP-GEN-5";
    from: "Go bumps rseq and wseq in every open and unblock (section 2.4, R3)";
    fn deadline_fires_across_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        source.set_deadline(at(5)).expect("open");
        let (owner, clock) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                drop(source);
                let next = owner.open();
                set(&owner, &next, Mode::Read, at(8));
                waits_in_vain(&next, &owner, Mode::Read);
            })
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(8);
            })
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// One deadline for both directions; while its timer fires the writer's is moved. Each waiter
    /// ends, the writer not before the new instant.
    rules: "NP-TIME-4 NP-TIME-5 NP-TIME-6 NP-TIME-7";
    from: "Go's combined timer and its cases (section 2.3)";
    fn deadline_parted<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_deadline(at(5)).expect("open");
        let (writer, clock, setter) = (bench.clone(), bench.clone(), bench.clone());
        let (one, two, three) = (Arc::clone(&source), Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("writer", move || waits_in_vain(&one, &writer, Mode::Write))
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(8);
            })
            .thread("setter", move || set(&setter, &two, Mode::Write, at(8)))
            .finally(move || {
                let check = bench.poller.incarnation(three.token()).check(Mode::Read);
                assert_that(check.is_err(), || "the reader's deadline was forgotten".into());
                bench.quiescent();
                drop((source, three));
            })
    }
}

scenario! {
    /// An edge, an expiring deadline and a close, all at once, for one parked reader: it ends with
    /// one of the three, and nothing is left behind.
    rules: "NP-WAIT-3 NP-WAIT-7 NP-INFO-3 NP-SLOT-4";
    from: "ready, timeout and close at once";
    fn ready_deadline_close_at_once<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let waiter = bench.clone();
        let (clock, poller, closer) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::TimedOut | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("clock", move || clock.tick(5))
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The deadline ends the wait, and is cleared before the reader runs: what woke it is over, so
    /// it waits on, until the edge comes.
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

/// Reads in vain: the deadline ends it.
pub(super) fn late<E: Engine>(mut source: &Source<super::traffic::Simulated<E>>) {
    let got = source.read(&mut [0]).map_err(|error| Reason::of(&error));
    let fine = got == Err(Some(Reason::DeadlineExceeded));
    assert_that(fine, || format!("the reader got {got:?}"));
}

scenario! {
    /// A poller sleeps without end, or is about to, while a deadline is set: it has to be woken, and
    /// to sleep until then only. Nothing else wakes it.
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go #38860, #42237, #38070 (B7, B11, B12)";
    fn deadline_wakes_the_sleeping_poller<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let soon = stopper.now().saturating_add(Duration::from_nanos(5));
                reader.set_read_deadline(Some(soon)).expect("open");
                late(&reader);
                drop(reader);
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                over(&poller);
                drop(writer);
            })
    }
}

scenario! {
    /// A poller sleeps until a late deadline that is never reached, since nothing lets the time pass
    /// but its own sleep; an earlier one is set meanwhile by two tasks.
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go's wakeNetPoller compares with pollUntil (section 4.2)";
    fn earlier_deadline_wakes_the_sleeping_poller<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        let reader = Arc::new(reader);
        let other = Arc::clone(&reader);
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                reader.set_read_deadline(at(9)).expect("open");
                late(&reader);
                drop(reader);
                stop::<E>(&stopper, &done);
            })
            .thread("setter", move || {
                other.set_read_deadline(at(6)).expect("open");
            })
            .finally(move || {
                over(&poller);
                drop(writer);
            })
    }
}

scenario! {
    /// A deadline has come, and the poller sleeps without end again when the next one is set: until
    /// when it slept before is no reason not to wake it.
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go #51654: the hint of the earliest timer is never reset (B27)";
    fn second_deadline_wakes_the_sleeping_poller<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        reader.set_read_deadline(at(5)).expect("open");
        let slept = poller.poll(&mut Ready::with_batch(1), Some(Duration::from_nanos(5)));
        slept.expect("the simulated kernel polls");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                reader.set_read_deadline(at(9)).expect("open");
                late(&reader);
                drop(reader);
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                over(&poller);
                drop(writer);
            })
    }
}
