//! Deadlines of both directions: set together, expiring together, and those that part. One entry
//! in the queue of timers covers both.

use super::bench::{Bench, Waited};
use super::deadline::{at, set, waits_in_vain};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller_spec::Mode;
use std::sync::Arc;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    deadline_in_past_reader_and_writer::SCENARIO,
    deadlines_in_past_two_setters::SCENARIO,
    deadlines_in_past_two_setters_and_a_close::SCENARIO,
    deadline_parted_by_its_writer::SCENARIO,
    deadline_parted::SCENARIO,
    deadline_parted_both_wait::SCENARIO,
];

scenario! {
    /// A reader and a writer park while the deadline of both directions is set into the past: one
    /// change has to end both waits, whichever of them it finds.
    family: DeadlineInPast;
    rules: "NP-TIME-2 NP-TIME-4 NP-WAIT-3";
    from: "Go net.TestReadTimeoutUnblocksRead, in both directions";
    fn deadline_in_past_reader_and_writer<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.advance(10);
        let source = Arc::new(bench.open());
        let (reader, writer) = (bench.clone(), bench.clone());
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &reader, Mode::Read))
            .thread("writer", move || waits_in_vain(&two, &writer, Mode::Write))
            .thread("setter", move || E::sealed(|| three.set_deadline(at(5)).expect("open")))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The same with a setter for each direction: they share the ledger and the info word, and
    /// neither may undo what the other has published.
    family: DeadlineInPast;
    rules: "NP-TIME-2 NP-TIME-4 NP-INFO-2 NP-WAIT-3";
    from: "the same, from two tasks: a lost update of the info word is a reader that sleeps on";
    fn deadlines_in_past_two_setters<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.advance(10);
        let source = Arc::new(bench.open());
        let (reader, writer) = (bench.clone(), bench.clone());
        let [one, two, three, four] = [(); 4].map(|()| Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &reader, Mode::Read))
            .thread("writer", move || waits_in_vain(&two, &writer, Mode::Write))
            .thread("setter-1", move || E::sealed(|| three.set_read_deadline(at(5)).expect("open")))
            .thread("setter-2", move || E::sealed(|| four.set_write_deadline(at(5)).expect("open")))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The same, and a close: five threads. Whichever comes first, both waiters are released, and nobody who sets a
    /// deadline after the close takes the end of a wait back.
    family: DeadlineInPast;
    rules: "NP-TIME-2 NP-TIME-4 NP-INFO-2 NP-WAIT-2 NP-WAIT-3";
    from: "the same, and a close: the info word has three writers";
    fn deadlines_in_past_two_setters_and_a_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        bench.advance(10);
        let source = Arc::new(bench.open());
        let token = source.token();
        let waiter = |mode| {
            let bench = bench.clone();
            move || {
                let waited = bench.wait(token, mode);
                let ended = matches!(waited, Waited::TimedOut | Waited::Closed);
                assert_that(ended, || format!("the wait for {mode:?} got {waited:?}"));
            }
        };
        let (one, two, world) = (Arc::clone(&source), Arc::clone(&source), bench.clone());
        // After the close a deadline cannot be set, which is nobody's fault.
        Plan::new()
            .thread("reader", waiter(Mode::Read))
            .thread("writer", waiter(Mode::Write))
            .thread("setter-1", move || drop(one.set_read_deadline(at(5))))
            .thread("setter-2", move || drop(two.set_write_deadline(at(5))))
            .thread("closer", move || world.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The writer moves its half of a common deadline while the timer of both fires, and waits: the
    /// reader's half expires, and an entry has to be left for the writer's.
    family: DeadlineParted;
    rules: "NP-TIME-4 NP-TIME-6 NP-TIME-7";
    from: "Go's combined timer and its cases (section 2.3), without a third party";
    fn deadline_parted_by_its_writer<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_deadline(at(5)).expect("open");
        let (writer, clock, one) = (bench.clone(), bench.clone(), Arc::clone(&source));
        Plan::new()
            .thread("writer", move || {
                set(&writer, &one, Mode::Write, at(8));
                waits_in_vain(&one, &writer, Mode::Write);
            })
            .thread("clock", move || [5, 8].into_iter().for_each(|instant| clock.tick(instant)))
            .finally(move || {
                let check = bench.verdict(source.token(), Mode::Read);
                assert_that(check.is_err(), || "the reader's deadline was forgotten".into());
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// One deadline for both directions; while its timer fires the writer's is moved. Each waiter
    /// ends, the writer not before the new instant.
    family: DeadlineParted;
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
                let check = bench.verdict(three.token(), Mode::Read);
                assert_that(check.is_err(), || "the reader's deadline was forgotten".into());
                bench.quiescent();
                drop((source, three));
            })
    }
}

scenario! {
    /// The same where the reader waits as well: it ends with the first instant, the writer with the
    /// second one or, before its deadline was moved, with the first.
    family: DeadlineParted;
    rules: "NP-TIME-3 NP-TIME-4 NP-TIME-6 NP-TIME-7";
    from: "Go's combined timer and its cases (section 2.3), with both directions parked";
    fn deadline_parted_both_wait<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        source.set_deadline(at(5)).expect("open");
        let (reader, writer) = (bench.clone(), bench.clone());
        let (clock, setter) = (bench.clone(), bench.clone());
        let [one, two, three] = [(); 3].map(|()| Arc::clone(&source));
        Plan::new()
            .thread("reader", move || waits_in_vain(&one, &reader, Mode::Read))
            .thread("writer", move || waits_in_vain(&two, &writer, Mode::Write))
            .thread("clock", move || [5, 8].into_iter().for_each(|instant| clock.tick(instant)))
            .thread("setter", move || set(&setter, &three, Mode::Write, at(8)))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}
