//! Sealed calls: what was observed within keeps no states apart once they have returned, and loses nothing that can
//! follow.

use netpoller::seam::{Atomic as _, Mutex as _, Ordering::SeqCst, Primitives};
use netpoller_models::engine::{Engine, Explore, Limits, Outcome, Plan, Search};
use netpoller_models::scenario::bench::Tally;
use std::sync::Arc;

type Word = <Explore as Primitives>::AtomicU64;
type Lock = <Explore as Primitives>::Mutex<u64>;

fn run(search: Search, program: impl Fn() -> Plan + Send + Sync + 'static) -> Outcome {
    Explore::run(program, &Limits { search, ..Limits::default() })
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
    fn program() -> Plan {
        let (word, lock) = (Arc::new(Word::new(0)), Arc::new(Lock::new(0, |_| None)));
        let (seen, left, found) = (Arc::clone(&word), Arc::clone(&lock), lock);
        Plan::new()
            .thread("a", move || {
                Explore::sealed(|| {
                    let value = seen.load(SeqCst);
                    *left.lock() = value;
                });
                let _one_step_more = seen.load(SeqCst);
            })
            .thread("b", move || word.store(1, SeqCst))
            .thread("c", move || {
                let value = *found.lock();
                Explore::note("found", value);
            })
    }
    let merged = run(Search::States, program);
    let plain = run(Search::Schedules, program);
    merged.assert_exhaustive();
    plain.assert_exhaustive();
    assert_eq!(merged.behaviours, plain.behaviours, "{merged}\n{plain}");
}

#[test]
fn a_sealed_call_that_returns_less_than_gets_out_is_found_out() {
    fn program() -> Plan {
        let (word, other) = (Arc::new(Word::new(0)), Arc::new(Word::new(0)));
        let (seen, written) = (Arc::clone(&word), Arc::clone(&other));
        Plan::new()
            .thread("a", move || {
                let mut decides = 0;
                Explore::sealed(|| decides = seen.load(SeqCst));
                let _one_step_more = written.load(SeqCst);
                if decides == 0 {
                    written.store(1, SeqCst);
                }
            })
            .thread("b", move || {
                word.store(1, SeqCst);
                word.store(2, SeqCst);
                let _seen = other.load(SeqCst);
            })
    }
    // For certain by the search that keeps every state and every way on.
    let outcome = run(Search::Schedules, program);
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("not a function of what it observed"), "{failure}");
}

/// How often somebody was woken is in no state. Whoever changes that is known by all that it has done, as if
/// nothing were sealed.
#[test]
fn a_call_that_changes_what_is_in_no_state_is_kept_in_full() {
    fn program(sealed: bool) -> Plan {
        let (word, (_tally, waker)) = (Arc::new(Word::new(0)), Tally::new());
        let mut plan = Plan::new();
        for name in ["a", "b"] {
            let (word, waker) = (Arc::clone(&word), waker.clone());
            let wakes = move || {
                if word.swap(1, SeqCst) == 0 {
                    waker.wake_by_ref();
                }
            };
            plan = plan.thread(name, move || if sealed { Explore::sealed(wakes) } else { wakes() });
        }
        plan
    }
    let [with, without] = [true, false].map(|sealed| run(Search::States, move || program(sealed)));
    with.assert_exhaustive();
    assert_eq!(without.behaviours.len(), 2, "either may be first: {without}");
    assert_eq!(with.behaviours.len(), 2, "whoever was first has woken somebody: {with}");
}
