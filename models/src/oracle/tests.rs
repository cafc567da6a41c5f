//! What the list of rows that nobody takes says of them.

use super::{UNREACHABLE, coverage, missing};
use crate::engine::{Engine, Plan, Threads};
use crate::scenario::bench::{Bench, Tally, Waited};
use netpoller::desc::Wait;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::slot::State;
use netpoller_spec::token::{Generation, Named};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn rows_that_nobody_takes_are_rows() {
    let rows: Vec<_> = coverage().into_iter().map(|(name, _)| name).collect();
    for (row, _why) in UNREACHABLE {
        assert!(rows.contains(row), "{row} is no row of the tables");
    }
}

/// The reason of all of `stale-free-*`: whatever the slot holds, the poller panics before it gets
/// there.
#[test]
fn freeing_twice_panics_before_it_looks_at_a_slot() {
    for state in [State::Nil, State::Ready, State::Parked] {
        let bench = Bench::<Threads>::new();
        let old = bench.open().token();
        // Its source is gone, and the next incarnation holds this.
        let source = bench.open();
        let (_tally, waker) = Tally::new();
        let mut wait = Wait::default();
        match state {
            State::Nil => {}
            State::Ready => bench.edge(source.token(), Bits::IN),
            State::Parked => {
                let waited = bench.poll(source.token(), Mode::Read, &mut wait, &waker);
                assert_eq!(waited, Waited::Pending);
            }
        }
        let (entries, _flag) = bench.poller.peek();
        assert_eq!(entries[0].1.slots[0].state(), state);
        let Named::Entry(0, Generation::FIRST) = old.named() else { panic!("{old:?}") };
        let next = Generation::FIRST.next().expect("not the last one");
        let incarnation = bench.poller.incarnation(old);
        let freed = catch_unwind(AssertUnwindSafe(|| incarnation.free(next)));
        let payload = freed.expect_err("it was freed twice, and nobody noticed");
        let message = payload.downcast_ref::<String>().expect("a message");
        assert!(message.starts_with("NP-GEN-5 broken"), "{message}");
        assert_eq!(bench.poller.peek().0, entries, "and yet it changed something");
        bench.retract(source.token(), Mode::Read, &mut wait);
    }
}

#[test]
fn a_row_that_was_not_taken_is_missing_unless_it_cannot_be() {
    let all = || coverage().into_iter().map(|(name, _)| name);
    assert_eq!(missing(all().map(|name| (name, 1))), Vec::<&str>::new());
    let reachable: Vec<_> =
        all().filter(|name| UNREACHABLE.iter().all(|(row, _)| row != name)).collect();
    assert_eq!(missing(all().map(|name| (name, 0))), reachable);
}

#[test]
fn a_plan_of_threads_counts_nothing() {
    // Real threads have no one place in which to count: a run of them must not fail for that.
    let plan = || Plan::new().thread("only", || core::mem::forget(Tally::new()));
    Threads::run(plan, &crate::engine::Limits { rounds: 2, ..Default::default() }).assert_passed();
}
