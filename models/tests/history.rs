//! What an oracle that looks at the order of calls needs of a search that recognises states; and
//! what outlives an execution is found.

use core::sync::atomic::Ordering::SeqCst;
use netpoller::seam::{Atomic as _, Kernel as _, Parker as _, Primitives, System as _};
use netpoller_models::engine::{
    Engine, Explore, FailureKind, Limits, Outcome, Plan, Search, Shuttle,
};
use netpoller_models::scenario::bench::Bench;
use netpoller_models::scenario::traffic::{Wired, wired};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// What happened in which order: who, and whether it was the first or the last step of its call.
type History = Vec<(&'static str, &'static str)>;

/// Two threads on objects of their own, one call of two steps each, and somebody who notes the order
/// and hands it to `judge`. `tells`: the engine is told what was noted.
fn two_calls(tells: bool, judge: impl Fn(&History) + Send + Sync + Clone + 'static) -> Plan {
    let noted = Arc::new(Mutex::new(History::new()));
    let mut plan = Plan::new();
    for name in ["a", "b"] {
        let noted = Arc::clone(&noted);
        let word = <Explore as Primitives>::AtomicU64::new(0);
        let note = move |step| {
            let mut noted = noted.lock().expect("nobody panics with it");
            noted.push((name, step));
            if tells {
                let digest = |all: u64, (who, step): &(&str, &str)| {
                    let bits = u64::from(*who == "a") << 1 | u64::from(*step == "begins") | 4;
                    all << 3 | bits
                };
                Explore::absorb("order", noted.iter().fold(0, digest));
            }
        };
        plan = plan.thread(name, move || {
            word.store(1, SeqCst);
            note("begins");
            word.store(2, SeqCst);
            note("returns");
        });
    }
    plan.finally(move || judge(&noted.lock().expect("nobody panics with it")))
}

/// All histories that a search comes by, each judged by `judge`.
fn histories(tells: bool, search: Search) -> BTreeSet<History> {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let found = Arc::clone(&seen);
    let build = move || {
        let found = Arc::clone(&found);
        two_calls(tells, move |history| {
            found.lock().expect("nobody panics with it").insert(history.clone());
        })
    };
    Explore::run(build, &Limits { search, ..Limits::default() }).assert_exhaustive();
    let seen = seen.lock().expect("nobody panics with it");
    seen.clone()
}

fn run_against(bad: &History, tells: bool) -> Outcome {
    let bad = bad.clone();
    let build = move || {
        let bad = bad.clone();
        two_calls(tells, move |history| assert_ne!(*history, bad, "the bad history"))
    };
    Explore::run(build, &Limits::default())
}

#[test]
fn a_search_that_is_not_told_of_the_order_passes_over_histories() {
    let all = histories(false, Search::Schedules);
    assert_eq!(all.len(), 6, "two calls of two steps each have other histories: {all:?}");
    let cut = histories(false, Search::States);
    assert!(cut.len() < all.len(), "cutting lost no history, so nobody has to be told: {cut:?}");
    assert!(cut.is_subset(&all));
    assert_eq!(histories(true, Search::States), all, "told of the order it sees every history");
    println!("{} histories; not told of the order the search sees {}", all.len(), cut.len());
    // The same as a bug: one of the histories must not happen.
    for bad in all.difference(&cut) {
        run_against(bad, false).assert_exhaustive();
        let told = run_against(bad, true);
        assert!(told.expect_failure().message.contains("the bad history"), "{told}");
    }
}

/// Runs a plan on the engines that count what is left, and says what they say.
fn left_over<const N: usize>(outcomes: [Outcome; N]) -> Vec<String> {
    let said = |outcome: Outcome| {
        let failure = outcome.expect_failure();
        assert_eq!(failure.kind, FailureKind::Panic, "{failure}");
        assert!(failure.message.starts_with("leak: "), "{failure}");
        failure.message.clone()
    };
    outcomes.into_iter().map(said).collect()
}

fn waker_plan<E: Engine>(forgets: bool) -> Plan {
    Plan::new().thread("task", move || {
        let waker = E::parker().waker().clone();
        if forgets {
            core::mem::forget(waker);
        }
    })
}

#[test]
fn a_waker_that_is_never_dropped_is_found() {
    Explore::run(|| waker_plan::<Explore>(false), &Limits::default()).assert_exhaustive();
    Shuttle::run(|| waker_plan::<Shuttle>(false), &Limits::default()).assert_passed();
    let said = left_over([
        Explore::run(|| waker_plan::<Explore>(true), &Limits::default()),
        Shuttle::run(|| waker_plan::<Shuttle>(true), &Limits::default()),
    ]);
    assert!(said.iter().all(|said| said.contains("a waker of a parker")), "{said:?}");
}

fn number_plan<E: Engine>(forgets: bool) -> Plan {
    let Wired { poller, .. } = wired::<E>();
    Plan::new().thread("owner", move || {
        let (reader, writer) = poller.system().kernel().pipe().expect("room for a pipe");
        drop(writer);
        if forgets {
            core::mem::forget(reader);
        }
    })
}

#[test]
fn a_descriptor_that_is_never_closed_is_found() {
    Explore::run(|| number_plan::<Explore>(false), &Limits::default()).assert_exhaustive();
    Shuttle::run(|| number_plan::<Shuttle>(false), &Limits::default()).assert_passed();
    let said = left_over([
        Explore::run(|| number_plan::<Explore>(true), &Limits::default()),
        Shuttle::run(|| number_plan::<Shuttle>(true), &Limits::default()),
    ]);
    assert!(said.iter().all(|said| said.contains("an open file description")), "{said:?}");
}

fn source_plan<E: Engine>(forgets: bool) -> Plan {
    let bench = Bench::<E>::new();
    Plan::new().thread("owner", move || {
        let source = bench.open();
        if forgets {
            core::mem::forget(source);
        }
    })
}

#[test]
fn a_source_that_is_never_dropped_is_found() {
    Explore::run(|| source_plan::<Explore>(false), &Limits::default()).assert_exhaustive();
    Shuttle::run(|| source_plan::<Shuttle>(false), &Limits::default()).assert_passed();
    let said = left_over([
        Explore::run(|| source_plan::<Explore>(true), &Limits::default()),
        Shuttle::run(|| source_plan::<Shuttle>(true), &Limits::default()),
    ]);
    assert!(said.iter().all(|said| said.contains("the system of a poller")), "{said:?}");
}
