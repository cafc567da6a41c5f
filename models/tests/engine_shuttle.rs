//! The sampling engine on shuttle: what it sees is part of what there is, and it finds bugs.

mod engine_programs;

use engine_programs as programs;
use netpoller_models::engine::{
    Completeness, Engine, Explore, FailureKind, Limits, Outcome, Sampling, Shuttle,
};

fn samplings() -> [Limits; 2] {
    let random = Limits { rounds: 3_000, seed: 7, ..Limits::default() };
    [random.clone(), Limits { sampling: Sampling::Pct { depth: 3 }, ..random }]
}

#[test]
fn everything_sampled_is_among_what_is_explored() {
    let programs = programs::all::<Shuttle>().into_iter().zip(programs::all::<Explore>());
    for ((name, sampled), (_, explored)) in programs {
        let all = Explore::run(explored, &Limits::default());
        for limits in samplings() {
            let some = Shuttle::run(sampled, &limits);
            some.assert_passed();
            println!("{name}: {some}");
            let strange = some.behaviours.difference(&all.behaviours).count();
            assert_eq!(strange, 0, "{name}: shuttle saw {strange} behaviours that explore did not");
            assert!(!some.behaviours.is_empty(), "{name}: nothing was recorded");
        }
    }
}

#[test]
fn random_schedules_of_small_programs_show_all_there_is() {
    let all = Explore::run(programs::two_wakes::<Explore>, &Limits::default());
    let some = Shuttle::run(programs::two_wakes::<Shuttle>, &samplings()[0]);
    assert_eq!(some.behaviours, all.behaviours, "{some}; {all}");
}

#[test]
fn bugs_are_found() {
    for limits in samplings() {
        let kind = |outcome: Outcome| outcome.expect_failure().kind;
        let lost = Shuttle::run(programs::lost_wakeup::<Shuttle>, &limits);
        assert_eq!(kind(lost), FailureKind::Deadlock);
        let locks = Shuttle::run(programs::opposite_locks::<Shuttle>, &limits);
        assert_eq!(kind(locks), FailureKind::Deadlock);
        let slot = Shuttle::run(programs::slot_without_recheck::<Shuttle>, &limits);
        assert_eq!(kind(slot), FailureKind::Deadlock);
    }
}

#[test]
fn a_deadlock_says_who_waits() {
    let outcome = Shuttle::run(programs::lost_wakeup::<Shuttle>, &samplings()[0]);
    let failure = outcome.expect_failure();
    assert_eq!(
        failure.story.threads(),
        ["sleeper: waits in park for an unpark", "waker: has ended"],
        "{failure}"
    );
}

#[test]
fn a_failed_assertion_has_a_message_and_a_story() {
    fn program() -> netpoller_models::engine::Plan {
        use netpoller::seam::{Atomic as _, Ordering::SeqCst, Primitives};
        let word = std::sync::Arc::new(<Shuttle as Primitives>::AtomicU64::new(0));
        let other = word.clone();
        netpoller_models::engine::Plan::new()
            .thread("writer", move || other.store(5, SeqCst))
            .thread("reader", move || assert_eq!(word.load(SeqCst), 0, "somebody wrote"))
    }
    let outcome = Shuttle::run(program, &samplings()[0]);
    let failure = outcome.expect_failure();
    assert!(failure.message.contains("somebody wrote"), "{failure}");
    assert!(failure.story.to_string().contains("store      engine_shuttle.1  <- 5"), "{failure}");
}

#[test]
fn a_seed_repeats_a_run() {
    let limits = Limits { rounds: 5, seed: 99, ..Limits::default() };
    let first = Shuttle::run(programs::two_wakes::<Shuttle>, &limits);
    let second = Shuttle::run(programs::two_wakes::<Shuttle>, &limits);
    assert_eq!(first.behaviours, second.behaviours);
    assert_eq!(first.completeness, Completeness::Sampled { rounds: 5, seed: 99 });
}
