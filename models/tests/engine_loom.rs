//! The two engines on loom.

mod engine_programs;

use engine_programs as programs;
use netpoller::seam::Primitives as _;
use netpoller_models::engine::{
    Bound, Completeness, Engine, FailureKind, Limits, LoomSc, LoomWeak, Plan,
};

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn every_program_is_exhausted_with_a_certificate() {
    for (name, program) in programs::all::<LoomSc>() {
        let outcome = LoomSc::run(program, &limits());
        let certificate = outcome.assert_exhaustive();
        println!("{name}: {outcome}");
        assert_eq!(certificate.executions(), outcome.executions, "{name}");
        assert_eq!(certificate.behaviours(), outcome.behaviours.len(), "{name}");
    }
}

#[test]
fn weak_memory_shows_what_sequential_consistency_does_not() {
    for (name, program) in programs::all::<LoomWeak>() {
        let outcome = LoomWeak::run(program, &limits());
        println!("{name}: {outcome}");
        match name {
            // The slot is written with sequentially consistent accesses, which are less to loom.
            "store buffering" => {
                let failure = outcome.expect_failure();
                assert!(failure.message.contains("both missed"), "{name}: {failure}");
            }
            _ => outcome.assert_passed(),
        }
    }
}

#[test]
fn a_flag_that_does_not_publish_is_found_under_weak_memory_only() {
    let weak = LoomWeak::run(programs::message_passing_relaxed::<LoomWeak>, &limits());
    let failure = weak.expect_failure();
    assert!(failure.message.contains("before the data"), "{failure}");
    LoomSc::run(programs::message_passing_relaxed::<LoomSc>, &limits()).assert_exhaustive();
}

#[test]
fn fences_forbid_that_both_miss_the_other() {
    LoomWeak::run(programs::store_buffering_fenced::<LoomWeak>, &limits()).assert_ended();
    LoomSc::run(programs::store_buffering::<LoomSc>, &limits()).assert_exhaustive();
}

fn finds_bugs<E: Engine>() {
    let outcome = E::run(programs::lost_wakeup::<E>, &limits());
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
    assert_eq!(
        failure.story.threads(),
        ["sleeper: waits in park for an unpark", "waker: has ended"],
        "{failure}"
    );
    let outcome = E::run(programs::opposite_locks::<E>, &limits());
    assert_eq!(outcome.expect_failure().kind, FailureKind::Deadlock, "{outcome}");
    let outcome = E::run(programs::slot_without_recheck::<E>, &limits());
    assert_eq!(outcome.expect_failure().kind, FailureKind::Deadlock, "{outcome}");
    // A run after one that failed is not disturbed by it.
    E::run(programs::hand_over::<E>, &limits()).assert_ended();
}

#[test]
fn bugs_are_found_under_sequential_consistency() {
    finds_bugs::<LoomSc>();
}

#[test]
fn bugs_are_found_as_written() {
    finds_bugs::<LoomWeak>();
}

#[test]
fn every_choice_is_made() {
    let program = || {
        let first = LoomSc::choose(3) as u64;
        Plan::new().thread("only", move || {
            LoomSc::note("first", first);
            LoomSc::note("second", LoomSc::choose(4) as u64);
        })
    };
    let outcome = LoomSc::run(program, &limits());
    outcome.assert_exhaustive();
    assert_eq!(outcome.behaviours.len(), 12, "{outcome}");
}

#[test]
fn a_run_that_was_cut_has_no_certificate() {
    let all = LoomSc::run(programs::three_swaps::<LoomSc>, &limits()).executions;
    let bounded = |limits: &Limits| {
        let outcome = LoomSc::run(programs::three_swaps::<LoomSc>, limits);
        outcome.assert_passed();
        (outcome.executions, outcome.completeness)
    };
    let ten = bounded(&Limits { executions: Some(10), ..limits() });
    assert_eq!(ten, (10, Completeness::Bounded(Bound::Executions)));
    let no_time = Some(std::time::Duration::ZERO);
    let (executions, completeness) = bounded(&Limits { time: no_time, ..limits() });
    assert_eq!(completeness, Completeness::Bounded(Bound::Time));
    assert!(executions < all, "{executions} executions in no time");
    // loom says of this one that it is through.
    let (executions, completeness) = bounded(&Limits { preemptions: Some(1), ..limits() });
    assert_eq!(completeness, Completeness::Bounded(Bound::Preemptions));
    assert!(executions < all, "{executions} executions with one preemption, {all} without a bound");
    // A limit that is not reached does no harm.
    let generous =
        LoomSc::run(programs::three_swaps::<LoomSc>, &Limits { executions: Some(all), ..limits() });
    assert_eq!(generous.executions, all);
}

#[test]
fn too_many_branches_are_a_failure_of_the_engine() {
    let outcome = LoomSc::run(programs::two_wakes::<LoomSc>, &Limits { steps: 10, ..limits() });
    assert_eq!(outcome.expect_failure().kind, FailureKind::Engine, "{outcome}");
}
