//! The exhaustive engine: it finds what there is to find, and nothing else.

mod engine_programs;

use engine_programs as programs;
use netpoller::seam::Primitives as _;
use netpoller_models::engine::{
    Bound, Completeness, Engine, Explore, FailureKind, Limits, Plan, Search,
};
use std::collections::BTreeSet;

fn limits() -> Limits {
    Limits::default()
}

fn every_schedule() -> Limits {
    Limits { search: Search::Schedules, ..Limits::default() }
}

#[test]
fn merging_states_loses_no_behaviour() {
    for (name, program) in programs::all::<Explore>() {
        let merged = Explore::run(program, &limits());
        let certificate = merged.assert_exhaustive();
        assert_eq!(certificate.executions(), merged.executions, "{name}");
        assert_eq!(certificate.behaviours(), merged.behaviours.len(), "{name}");
        let plain = Explore::run(program, &every_schedule());
        plain.assert_exhaustive();
        let whole = Limits { search: Search::AllStates, ..Limits::default() };
        let whole = Explore::run(program, &whole);
        whole.assert_exhaustive();
        println!("{name}\n  {merged}\n  {whole}\n  {plain}");
        assert_eq!(merged.behaviours, plain.behaviours, "{name}: a behaviour was lost or made up");
        assert_eq!(whole.behaviours, plain.behaviours, "{name}: a behaviour was lost or made up");
        assert_eq!(whole.states, plain.states, "{name}: states were lost or made up");
        // The first execution is made twice.
        let most = plain.executions + 1;
        assert!(merged.executions <= most, "{name}: merging made the search longer");
    }
}

#[test]
fn a_lost_wakeup_is_a_deadlock_that_says_who_waits() {
    let outcome = Explore::run(programs::lost_wakeup::<Explore>, &limits());
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
    assert_eq!(
        failure.story.threads(),
        ["sleeper: waits in park for an unpark", "waker: has ended"],
        "{failure}"
    );
    let steps: Vec<_> = failure
        .story
        .rows()
        .iter()
        .map(|row| (&*row.thread, &*row.operation, &*row.object))
        .collect();
    let looked = steps.iter().position(|step| *step == ("sleeper", "load", "flag"));
    let mailed = steps.iter().position(|step| *step == ("waker", "lock", "mailbox"));
    assert!(looked < mailed, "the story is not that of a lost wakeup:\n{failure}");
}

#[test]
fn opposite_locks_deadlock_and_the_story_names_the_holders() {
    let outcome = Explore::run(programs::opposite_locks::<Explore>, &limits());
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
    assert_eq!(
        failure.story.threads(),
        [
            "a: waits for the lock of right lock, held by b",
            "b: waits for the lock of left lock, held by a"
        ],
        "{failure}"
    );
}

#[test]
fn a_slot_without_the_second_look_at_the_error_is_caught() {
    let outcome = Explore::run(programs::slot_without_recheck::<Explore>, &limits());
    assert_eq!(outcome.expect_failure().kind, FailureKind::Deadlock, "{outcome}");
}

#[test]
fn a_failed_assertion_ends_the_run_with_its_message_and_story() {
    fn program() -> Plan {
        use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
        let word = std::sync::Arc::new(<Explore as Primitives>::AtomicU64::new(0));
        let other = word.clone();
        Plan::new().thread("writer", move || other.store(0x10_0000, SeqCst)).thread(
            "reader",
            move || {
                assert_eq!(word.load(SeqCst), 0, "somebody wrote");
            },
        )
    }
    let outcome = Explore::run(program, &limits());
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Panic, "{failure}");
    assert!(failure.message.contains("somebody wrote"), "{failure}");
    let story = failure.story.to_string();
    assert!(story.contains("store      engine_explore.1  <- 0x100000"), "{story}");
    assert_eq!(outcome.completeness, Completeness::Bounded(Bound::Failure));
}

#[test]
fn a_final_check_that_fails_fails_the_run() {
    let outcome = Explore::run(
        || Plan::new().thread("only", || ()).finally(|| panic!("nothing is right")),
        &limits(),
    );
    assert!(outcome.expect_failure().message.contains("nothing is right"), "{outcome}");
}

/// A thread that panics runs its destructors, and one of those wants the lock of another thread
/// that was stopped inside.
#[test]
fn destructors_of_a_failed_thread_get_the_locks_they_need() {
    use netpoller::seam::{Atomic as _, Mutex as _, Ordering::SeqCst, Primitives};
    type Lock = <Explore as Primitives>::Mutex<u64>;
    struct AtTheEnd(std::sync::Arc<Lock>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            *self.0.lock() += 1;
        }
    }
    let outcome = Explore::run(
        || {
            let lock = std::sync::Arc::new(Lock::new(0, |value| Some(*value)));
            let word = std::sync::Arc::new(<Explore as Primitives>::AtomicU64::new(0));
            let (l, w) = (lock.clone(), word.clone());
            Plan::new()
                .thread("holder", move || {
                    let mut held = l.lock();
                    w.store(1, SeqCst);
                    *held += 1;
                    w.store(2, SeqCst);
                })
                .thread("panics", move || {
                    let _at_the_end = AtTheEnd(lock);
                    assert_ne!(word.load(SeqCst), 1, "the holder is inside");
                })
        },
        &limits(),
    );
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Panic, "{failure}");
    assert!(failure.message.contains("the holder is inside"), "{failure}");
}

#[test]
fn an_endless_loop_is_reported_as_a_bound_and_not_as_exhausted() {
    fn spin() -> Plan {
        use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
        let word = std::sync::Arc::new(<Explore as Primitives>::AtomicU64::new(0));
        let other = word.clone();
        Plan::new()
            .thread("spins", move || while word.load(SeqCst) == 0 {})
            .thread("ends it", move || other.store(1, SeqCst))
    }
    let outcome = Explore::run(spin, &Limits { steps: 50, ..limits() });
    outcome.assert_passed();
    assert_eq!(outcome.completeness, Completeness::Bounded(Bound::Steps), "{outcome}");
}

#[test]
fn a_limit_that_is_reached_is_named() {
    let two = Limits { executions: Some(2), ..limits() };
    let outcome = Explore::run(programs::three_swaps::<Explore>, &two);
    assert_eq!(outcome.completeness, Completeness::Bounded(Bound::Executions), "{outcome}");
    let states = Limits { states: Some(5), ..limits() };
    let outcome = Explore::run(programs::three_swaps::<Explore>, &states);
    assert_eq!(outcome.completeness, Completeness::Bounded(Bound::States), "{outcome}");
    let generous = Limits { executions: Some(1_000_000), ..limits() };
    Explore::run(programs::three_swaps::<Explore>, &generous).assert_exhaustive();
}

#[test]
fn every_choice_is_made() {
    let outcome = Explore::run(
        || {
            let first = Explore::choose(3) as u64;
            Plan::new().thread("only", move || {
                Explore::note("first", first);
                Explore::note("second", Explore::choose(4) as u64);
            })
        },
        &limits(),
    );
    outcome.assert_exhaustive();
    assert_eq!(outcome.behaviours.len(), 12, "{outcome}");
}

#[test]
fn a_run_gives_the_same_numbers_every_time() {
    let numbers = |_: u32| {
        let outcome = Explore::run(programs::two_wakes::<Explore>, &limits());
        (outcome.executions, outcome.states, outcome.depth, outcome.behaviours_digest())
    };
    let seen: BTreeSet<_> = (0..3).map(numbers).collect();
    assert_eq!(seen.len(), 1, "the search depends on something that is not the program: {seen:?}");
}

/// Whatever an oracle holds belongs to the state, or the cut drops the executions that it would
/// have told apart.
#[test]
fn the_state_of_an_oracle_keeps_apart_what_the_program_does_not() {
    use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
    use std::sync::{Arc, Mutex};
    fn program(absorb: bool, orders: &Arc<Mutex<BTreeSet<Vec<&'static str>>>>) -> Plan {
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut plan = Plan::new();
        for name in ["a", "b", "c"] {
            let (order, word) = (order.clone(), <Explore as Primitives>::AtomicU64::new(0));
            plan = plan.thread(name, move || {
                word.store(1, SeqCst);
                let mut order = order.lock().expect("nobody panics with it");
                order.push(name);
                if absorb {
                    let digest =
                        order.iter().fold(0, |all, one| all * 256 + u64::from(one.as_bytes()[0]));
                    Explore::absorb("order", digest);
                }
                // One more step, so that the order is followed by something to merge at.
                drop(order);
                word.store(2, SeqCst);
            });
        }
        let orders = orders.clone();
        plan.finally(move || {
            let order = order.lock().expect("nobody panics with it").clone();
            orders.lock().expect("nobody panics with it").insert(order);
        })
    }
    let run = |absorb| {
        let orders = Arc::new(Mutex::new(BTreeSet::new()));
        let seen = orders.clone();
        let outcome = Explore::run(move || program(absorb, &seen), &limits());
        outcome.assert_exhaustive();
        let orders = orders.lock().expect("nobody panics with it").len();
        (orders, outcome.states)
    };
    let (without, with) = (run(false), run(true));
    assert_eq!(with.0, 6, "the oracle saw {} of 6 orders", with.0);
    assert!(without.1 < with.1, "{} states without the oracle's, {} with", without.1, with.1);
}

/// To see somebody sleep is a step that can be taken only while somebody does.
#[test]
fn a_thread_that_is_seen_asleep_is_parked_and_not_woken() {
    use netpoller::seam::{Atomic as _, Ordering::SeqCst, Parker as _, Primitives};
    use std::sync::{Arc, Mutex};
    fn program(sleeps: bool) -> Plan {
        let word = Arc::new(<Explore as Primitives>::AtomicU64::new(0));
        let seen = word.clone();
        let parker = Arc::new(Mutex::new(None));
        let mine = parker.clone();
        Plan::new()
            .thread("sleeper", move || {
                *mine.lock().expect("nobody panics with it") = Some(Explore::parker());
                word.store(1, SeqCst);
                if sleeps {
                    Explore::parker().park();
                    assert_eq!(word.load(SeqCst), 2, "woken before it was seen asleep");
                }
            })
            .thread("watcher", move || {
                Explore::await_sleep(0);
                assert_eq!(seen.load(SeqCst), 1, "seen asleep before it lay down");
                seen.store(2, SeqCst);
                let parker = parker.lock().expect("nobody panics with it").take();
                parker.expect("a sleeper has a parker").unpark();
            })
    }
    let outcome = Explore::run(|| program(true), &limits());
    outcome.assert_exhaustive();
    let outcome = Explore::run(|| program(false), &limits());
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
    let watcher = failure.story.threads().last().expect("two threads").clone();
    assert_eq!(watcher, "watcher: is about to await sleep of sleeper", "{failure}");
}

/// To have ended after a store that changed nothing is not to be about to store: found by random
/// programs, in a search that took the two states for one.
#[test]
fn a_thread_that_has_ended_is_not_about_to_do_once_more_what_it_did_last() {
    use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
    use std::sync::Arc;
    fn program() -> Plan {
        let word = Arc::new(<Explore as Primitives>::AtomicU64::new(0));
        let (a, b, c) = (word.clone(), word.clone(), word);
        Plan::new()
            .thread("a", move || {
                let _seen = a.load(SeqCst);
            })
            .thread("b", move || {
                let _seen = b.load(SeqCst);
            })
            .thread("c", move || c.store(0, SeqCst))
    }
    let merged = Explore::run(program, &limits());
    merged.assert_exhaustive();
    let plain = Explore::run(program, &every_schedule());
    plain.assert_exhaustive();
    assert_eq!(merged.behaviours, plain.behaviours, "{merged}\n{plain}");
}

/// What `explore` assumes of a program, broken in two ways: a static decides what a thread does, and an
/// address is a value.
#[test]
fn a_program_that_is_no_function_of_what_it_observes_is_reported() {
    use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    type Word = <Explore as Primitives>::AtomicU64;

    /// The last thing that the first thread does is another one in the first execution than later.
    fn by_a_static(ran: &AtomicBool) -> Plan {
        let first = !ran.swap(true, Ordering::SeqCst);
        let words: Arc<[Word]> = (0..3).map(|_| Word::new(0)).collect();
        let others = words.clone();
        Plan::new()
            .thread("a", move || {
                let _seen = words[0].load(SeqCst);
                words[if first { 1 } else { 2 }].store(1, SeqCst);
            })
            .thread("b", move || {
                let _seen = (others[0].load(SeqCst), others[0].load(SeqCst));
            })
    }
    fn by_an_address() -> Plan {
        let word = Arc::new(Word::new(0));
        let other = word.clone();
        Plan::new()
            .thread("a", move || {
                let object = Box::leak(Box::new(0_u64));
                word.store(core::ptr::from_mut(object).addr() as u64, SeqCst);
                let _seen = word.load(SeqCst);
            })
            .thread("b", move || {
                let _seen = (other.load(SeqCst), other.load(SeqCst));
            })
    }
    for limits in [limits(), every_schedule()] {
        let ran = AtomicBool::new(false);
        for outcome in
            [Explore::run(move || by_a_static(&ran), &limits), Explore::run(by_an_address, &limits)]
        {
            let failure = outcome.expect_failure();
            assert!(failure.message.contains("not a function of what it observed"), "{failure}");
        }
    }
}
