//! Threads that forget: a loop whose rounds do not depend on each other is explored once per state,
//! and a thread that has not forgotten all it says is found out.

mod forgetful_programs;

use forgetful_programs as programs;
use netpoller::seam::{Atomic as _, Mutex as _, Ordering::SeqCst};
use netpoller_models::engine::{Engine, Explore, Limits, Outcome, Plan, Search};
use std::sync::Arc;

type Word = programs::Word;

fn run(search: Search, program: fn() -> Plan) -> Outcome {
    Explore::run(program, &Limits { search, ..Limits::default() })
}

/// Makes a call, and forgets all.
fn forgets(call: &mut dyn FnMut()) {
    call();
    Explore::forget(0);
}

/// Two threads go three times round a loop in which they look at a word that the other one changes.
/// `forgets`: after each round, which round it is is all they know.
fn rounds(forgets: bool) -> Plan {
    let word = Arc::new(Word::new(0));
    let mut plan = Plan::new();
    for (name, step) in [("a", 1), ("b", 10)] {
        let word = Arc::clone(&word);
        plan = plan.thread(name, move || {
            for round in 0..3 {
                let seen = word.load(SeqCst);
                word.store(seen + step, SeqCst);
                if forgets {
                    Explore::forget(round);
                }
            }
            Explore::note("last", word.load(SeqCst));
        });
    }
    plan
}

#[test]
fn what_a_thread_has_forgotten_keeps_no_states_apart_and_loses_no_end() {
    let with = run(Search::States, || rounds(true));
    let without = run(Search::States, || rounds(false));
    let plain = run(Search::Schedules, || rounds(true));
    for outcome in [&with, &without, &plain] {
        outcome.assert_exhaustive();
    }
    assert_eq!(with.behaviours, plain.behaviours, "{with}\n{plain}");
    assert!(with.states < without.states, "nothing was forgotten: {with}\n{without}");
    let whole = run(Search::AllStates, || rounds(true));
    assert_eq!(whole.states, plain.states, "{whole}\n{plain}");
}

/// What is in a lock that has no digest is known by the history of who left it there. When that is
/// forgotten the contents still are what they are.
#[test]
fn what_a_thread_left_in_a_lock_is_not_forgotten_with_it() {
    let merged = run(Search::States, || programs::leaves_it_in_a_lock(forgets));
    let plain = run(Search::Schedules, || programs::leaves_it_in_a_lock(forgets));
    merged.assert_exhaustive();
    plain.assert_exhaustive();
    assert_eq!(merged.behaviours, plain.behaviours, "{merged}\n{plain}");
}

#[test]
fn a_thread_that_says_it_has_forgotten_what_decides_is_found_out() {
    // For certain by the search that keeps every state and every way on.
    let outcome = run(Search::Schedules, || programs::goes_by_it(forgets));
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("not a function of what it observed"), "{failure}");
}

#[test]
fn a_loop_that_need_not_end_is_reported() {
    fn program() -> Plan {
        let word = Arc::new(Word::new(0));
        let other = Arc::clone(&word);
        Plan::new()
            .thread("waits", move || {
                while word.load(SeqCst) == 0 {
                    Explore::forget(0);
                }
            })
            .thread("ends it", move || other.store(1, SeqCst))
    }
    let outcome = run(Search::States, program);
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("a state came again"), "{failure}");
}

#[test]
fn nobody_forgets_that_he_holds_a_lock() {
    fn program() -> Plan {
        let lock = Arc::new(programs::Lock::new(0, |value| Some(*value)));
        let other = Arc::clone(&lock);
        Plan::new()
            .thread("a", move || {
                let guard = lock.lock();
                Explore::forget(0);
                drop(guard);
            })
            .thread("b", move || drop(other.lock()))
    }
    let outcome = run(Search::States, program);
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("holding a lock"), "{failure}");
}
