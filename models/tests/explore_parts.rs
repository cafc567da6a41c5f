//! One exploration in parts: together they are the whole, and none of them passes for it.

mod engine_programs;

use engine_programs as programs;
use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
use netpoller_models::engine::{
    Apart, Bound, Completeness, Engine, Explore, Explored, FailureKind, Limits, Outcome, Plan,
    Prefixes, Search,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

fn limits() -> Limits {
    Limits::default()
}

/// All parts of an exploration that is divided by at least so many prefixes.
fn parts(program: fn() -> Plan, at_least: usize, of: usize) -> Vec<Outcome> {
    let part =
        |part| Explore::run_prefixes(program, &limits(), Prefixes::part(at_least, part, of), 1);
    (1..=of).map(part).collect()
}

#[test]
fn parts_together_are_the_whole() {
    let mut divided = 0;
    for (name, program) in programs::all::<Explore>() {
        let whole = Explore::run(program, &limits());
        whole.assert_exhaustive();
        for of in [2, 3, 5] {
            for at_least in [of, 8 * of] {
                let parts = parts(program, at_least, of);
                let is_part = |part: &&Outcome| matches!(part.completeness, Completeness::Part(_));
                divided += parts.iter().filter(is_part).count();
                let together = Outcome::together(parts).expect("parts of one exploration");
                let certificate = together.assert_exhaustive();
                assert_eq!(certificate.executions(), together.executions);
                assert_eq!(
                    together.behaviours, whole.behaviours,
                    "{name}: a behaviour was lost or made up by {of} parts of {at_least} prefixes"
                );
            }
        }
    }
    assert!(divided > 100, "too few programs were large enough to be divided: {divided} parts");
}

#[test]
fn walkers_that_share_what_they_learn_are_the_whole() {
    for (name, program) in programs::all::<Explore>() {
        let whole = Explore::run(program, &limits());
        for (at_least, at_once) in [(1, 2), (8, 2), (24, 3)] {
            let shared =
                Explore::run_prefixes(program, &limits(), Prefixes::all(at_least), at_once);
            shared.assert_exhaustive();
            assert_eq!(
                shared.behaviours, whole.behaviours,
                "{name}: a behaviour was lost or made up by {at_once} threads, {at_least} prefixes"
            );
        }
    }
}

/// Every state is in one of the parts, where nothing is left out.
#[test]
fn parts_of_a_search_that_leaves_nothing_out_have_all_states() {
    let all = Limits { search: Search::AllStates, ..limits() };
    for (name, program) in programs::all::<Explore>() {
        let whole = Explore::run(program, &all);
        let divided = Explore::run_prefixes(program, &all, Prefixes::all(8), 1);
        divided.assert_exhaustive();
        assert_eq!(divided.states, whole.states, "{name}: states were lost or made up");
        assert_eq!(divided.behaviours, whole.behaviours, "{name}");
    }
}

#[test]
fn a_part_is_no_certificate_of_the_whole() {
    let parts = parts(programs::three_swaps::<Explore>, 8, 2);
    for part in &parts {
        let Completeness::Part(share) = &part.completeness else { panic!("a part: {part}") };
        assert!(!share.is_whole() && share.prefixes() >= 8, "{part}: {share:?}");
        let alone = Outcome::together([part.clone()]).expect("a part of itself");
        assert_eq!(alone.completeness, part.completeness, "a part was taken for the whole");
        let twice = Outcome::together([part.clone(), part.clone()]).expect("the same part twice");
        assert_eq!(twice.completeness, part.completeness, "two times a part is not the whole");
    }
    Outcome::together(parts).expect("parts of one exploration").assert_exhaustive();
}

#[test]
fn parts_of_different_frontiers_are_not_put_together() {
    let [two, other] = [8, 30].map(|at_least| parts(programs::two_wakes::<Explore>, at_least, 2));
    let mixed = [two[0].clone(), other[1].clone()];
    assert_eq!(Outcome::together(mixed).err(), Some(Apart::Frontiers));
    assert_eq!(Outcome::together([]).err(), Some(Apart::Nothing));
    let mut sampled = two[0].clone();
    sampled.completeness = Completeness::Sampled { rounds: 1, seed: 1 };
    assert_eq!(Outcome::together([sampled]).err(), Some(Apart::NoPart));
}

#[test]
fn the_frontier_follows_from_the_program_and_the_number_that_is_wanted() {
    let frontier = |at_least, at_once| {
        let prefixes = Prefixes::all(at_least).at_most(1);
        let outcome =
            Explore::run_prefixes(programs::two_wakes::<Explore>, &limits(), prefixes, at_once);
        match outcome.completeness {
            Completeness::Part(share) => (share.frontier(), share.prefixes()),
            other => panic!("a part: {other:?}"),
        }
    };
    let first = frontier(8, 1);
    assert!(first.1 >= 8, "{first:?}");
    for at_once in [1, 2, 3] {
        assert_eq!(frontier(8, at_once), first);
    }
    assert_ne!(frontier(30, 1), first);
}

/// Cut by a limit of prefixes, and gone on with by what was told of those: neither loses anything.
#[test]
fn an_exploration_that_was_cut_goes_on_where_it_was() {
    for at_once in [1, 2] {
        let program = programs::two_wakes::<Explore>;
        let whole = Explore::run(program, &limits());
        let told = Arc::new(Mutex::new(Vec::<Explored>::new()));
        let mut legs = Vec::new();
        loop {
            let known = told.lock().expect("nobody panics with it").clone();
            let done = known.iter().flat_map(|one| {
                one.share.done().iter().map(|prefix| (one.share.frontier(), *prefix))
            });
            let prefixes = done
                .fold(Prefixes::all(8), |all, (frontier, prefix)| all.without(frontier, prefix));
            let listener = Arc::clone(&told);
            let prefixes = prefixes.at_most(3).telling(move |explored| {
                listener.lock().expect("nobody panics with it").push(explored.clone());
            });
            let leg = Explore::run_prefixes(program, &limits(), prefixes, at_once);
            let Completeness::Part(share) = &leg.completeness else { panic!("a part: {leg}") };
            let nothing = share.done().is_empty();
            legs.push(leg);
            if nothing {
                break;
            }
        }
        let told = told.lock().expect("nobody panics with it");
        let last = legs.last().expect("a leg");
        assert!(last.executions < whole.executions, "the last one only opens the space: {last}");
        // What a journal has, and the last run has seen.
        let mut behaviours: BTreeSet<_> =
            told.iter().flat_map(|explored| explored.behaviours.iter().copied()).collect();
        behaviours.extend(&last.behaviours);
        assert_eq!(behaviours, whole.behaviours, "a behaviour was lost by the interruptions");
        let prefixes: Vec<_> = told.iter().flat_map(|explored| explored.share.done()).collect();
        let once: BTreeSet<_> = prefixes.iter().collect();
        assert_eq!(prefixes.len(), once.len(), "a prefix was explored twice: {prefixes:?}");
        let number = legs.len();
        assert!(number > 3, "cut at least twice: {number} runs");
        let together = Outcome::together(legs).expect("parts of one exploration");
        together.assert_exhaustive();
    }
}

#[test]
fn a_failure_is_in_one_of_the_parts_and_is_the_outcome_of_all() {
    let failing: [(fn() -> Plan, FailureKind); 3] = [
        (programs::lost_wakeup::<Explore>, FailureKind::Deadlock),
        (programs::opposite_locks::<Explore>, FailureKind::Deadlock),
        (programs::slot_without_recheck::<Explore>, FailureKind::Deadlock),
    ];
    for (program, kind) in failing {
        for of in [2, 3, 5] {
            let together = Outcome::together(parts(program, 8 * of, of)).expect("parts of one");
            assert_eq!(together.expect_failure().kind, kind, "{together}");
            assert_eq!(together.completeness, Completeness::Bounded(Bound::Failure));
            let shared = Explore::run_prefixes(program, &limits(), Prefixes::all(8), of);
            assert_eq!(shared.expect_failure().kind, kind, "{shared}");
            assert_eq!(shared.completeness, Completeness::Bounded(Bound::Failure));
        }
    }
}

#[test]
fn a_part_that_a_limit_has_cut_says_so() {
    let few = Limits { executions: Some(2), ..limits() };
    let program = programs::three_swaps::<Explore>;
    let cut = Explore::run_prefixes(program, &few, Prefixes::all(8), 2);
    assert_eq!(cut.completeness, Completeness::Bounded(Bound::Executions), "{cut}");
    let mut parts = parts(program, 8, 2);
    parts[1].completeness = cut.completeness;
    let together = Outcome::together(parts).expect("parts of one exploration");
    assert_eq!(together.completeness, Completeness::Bounded(Bound::Executions), "{together}");
}

/// A program that does something else each time is found out where the prefixes are walked again.
#[test]
fn a_program_that_is_no_function_of_what_it_observes_is_reported_by_a_part() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    fn program() -> Plan {
        let run = RUNS.fetch_add(1, Ordering::SeqCst);
        let word = Arc::new(<Explore as Primitives>::AtomicU64::new(0));
        let names = ["a", "b", "c"];
        names.into_iter().fold(Plan::new(), |plan, name| {
            let word = word.clone();
            plan.thread(name, move || {
                word.store(1, SeqCst);
                word.store(run as u64, SeqCst);
                word.store(2, SeqCst);
            })
        })
    }
    let outcome = Explore::run_prefixes(program, &limits(), Prefixes::all(100), 2);
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("not a function of what it observed"), "{failure}");
}
