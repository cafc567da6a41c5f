//! Sealed calls: what was observed within keeps no states apart once they have returned, and loses nothing that can
//! follow.

mod forgetful_programs;

use forgetful_programs as programs;
use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives as _};
use netpoller_models::engine::{Engine, Explore, Limits, Outcome, Plan, Search};
use netpoller_models::scenario::bench::Tally;
use std::sync::Arc;

type Word = programs::Word;

fn run(search: Search, program: impl Fn() -> Plan + Send + Sync + 'static) -> Outcome {
    Explore::run(program, &Limits { search, ..Limits::default() })
}

fn seals(call: &mut dyn FnMut()) {
    Explore::sealed(call);
}

/// Two threads count up a word, twice each, and do not care how long it took.
fn counting(sealed: bool) -> Plan {
    let word = Arc::new(Word::new(0));
    let mut plan = Plan::new();
    for name in ["a", "b"] {
        let word = Arc::clone(&word);
        let count = move || {
            let mut there = word.load(SeqCst);
            while let Err(now) = word.compare_exchange(there, there + 1, SeqCst, SeqCst) {
                there = now;
            }
        };
        plan = plan.thread(name, move || {
            for _ in 0..2 {
                if sealed { Explore::sealed(&count) } else { count() }
            }
        });
    }
    plan
}

#[test]
fn what_was_observed_in_a_sealed_call_keeps_no_states_apart() {
    let [with, without] = [true, false].map(|sealed| run(Search::States, move || counting(sealed)));
    let plain = run(Search::Schedules, || counting(true));
    for outcome in [&with, &without, &plain] {
        outcome.assert_exhaustive();
    }
    assert_eq!(with.behaviours, plain.behaviours, "{with}\n{plain}");
    assert_eq!(with.behaviours.len(), 1, "nobody returned anything: {with}");
    assert!(with.states < without.states, "nothing was sealed: {with}\n{without}");
    let whole = run(Search::AllStates, || counting(true));
    assert_eq!(whole.states, plain.states, "{whole}\n{plain}");
}

/// The result is what the thread goes by.
#[test]
fn the_result_of_a_sealed_call_is_remembered() {
    fn program() -> Plan {
        let word = Arc::new(Word::new(0));
        let (other, looks) = (Arc::clone(&word), Arc::clone(&word));
        Plan::new()
            .thread("a", move || {
                let seen = Explore::sealed(|| word.load(SeqCst));
                word.store(seen + 2, SeqCst);
            })
            .thread("b", move || other.store(1, SeqCst))
            // Somebody is left when the others have done all that makes two states one.
            .thread("c", move || Explore::note("last", looks.load(SeqCst)))
    }
    let merged = run(Search::States, program);
    let plain = run(Search::Schedules, program);
    merged.assert_exhaustive();
    plain.assert_exhaustive();
    assert_eq!(merged.behaviours, plain.behaviours, "{merged}\n{plain}");
    assert!(merged.behaviours.len() > 2, "{merged}");
}

/// What a thread left in a lock without a digest is known by its history, and that of the call is gone.
#[test]
fn what_a_sealed_call_left_in_a_lock_stays_there() {
    let merged = run(Search::States, || programs::leaves_it_in_a_lock(seals));
    let plain = run(Search::Schedules, || programs::leaves_it_in_a_lock(seals));
    merged.assert_exhaustive();
    plain.assert_exhaustive();
    assert_eq!(merged.behaviours, plain.behaviours, "{merged}\n{plain}");
}

#[test]
fn a_sealed_call_that_returns_less_than_gets_out_is_found_out() {
    // For certain by the search that keeps every state and every way on.
    let outcome = run(Search::Schedules, || programs::goes_by_it(seals));
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("not a function of what it observed"), "{failure}");
}

/// How often somebody was woken is in no state. Whoever changes that is known by all that it has done, as if
/// nothing were sealed.
#[test]
fn a_call_that_changes_what_is_in_no_state_is_kept_in_full() {
    fn program(hides: programs::Hides) -> Plan {
        let (word, (_tally, waker)) = (Arc::new(Word::new(0)), Tally::new());
        let mut plan = Plan::new();
        for name in ["a", "b"] {
            let (word, waker) = (Arc::clone(&word), waker.clone());
            plan = plan.thread(name, move || {
                hides(&mut || {
                    if word.swap(1, SeqCst) == 0 {
                        waker.wake_by_ref();
                    }
                });
            });
        }
        plan
    }
    let forgets: programs::Hides = |call| {
        call();
        Explore::forget(0);
    };
    // Only who has woken somebody keeps it, so either may be first on every engine.
    for hides in [seals, forgets] {
        let outcome = run(Search::States, move || program(hides));
        outcome.assert_exhaustive();
        assert_eq!(outcome.behaviours.len(), 2, "whoever was first has woken somebody: {outcome}");
    }
}

/// Oracles ask whether a thread has performed an operation since it announced a call, so two states that differ in
/// that are two.
#[test]
fn whether_a_sealed_call_has_performed_anything_is_remembered() {
    fn program() -> Plan {
        let word = Arc::new(Word::new(0));
        let other = Arc::clone(&word);
        Plan::new()
            .thread("a", move || {
                Explore::sealed(|| {
                    if Explore::choose(2) == 1 {
                        let _anything = word.load(SeqCst);
                    }
                });
                word.store(1, SeqCst);
            })
            .thread("b", move || other.store(2, SeqCst))
    }
    // The audit of the plain search knows the two as two, and their fingerprints have to.
    let plain = run(Search::Schedules, program);
    plain.assert_exhaustive();
    let whole = run(Search::AllStates, program);
    assert_eq!(whole.states, plain.states, "{whole}\n{plain}");
}
