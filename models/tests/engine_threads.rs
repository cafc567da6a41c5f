//! Threads of the operating system as an engine.

mod engine_programs;

use engine_programs as programs;
use netpoller::seam::Primitives as _;
use netpoller_models::engine::{Completeness, Engine, FailureKind, Limits, Plan, Threads};

#[test]
fn the_programs_pass_on_real_threads() {
    let limits = Limits { rounds: 200, ..Limits::default() };
    for (name, program) in programs::all::<Threads>() {
        // Which is the one whose outcome depends on the machine's memory.
        if name == "store buffering" {
            continue;
        }
        let outcome = Threads::run(program, &limits);
        outcome.assert_passed();
        let expected = Completeness::Sampled { rounds: 200, seed: 0 };
        assert_eq!(outcome.completeness, expected, "{name}");
    }
}

#[test]
fn notes_tell_behaviours_apart() {
    let program =
        || Plan::new().thread("only", || Threads::note("chosen", Threads::choose(3) as u64));
    let outcome = Threads::run(program, &Limits { rounds: 200, ..Limits::default() });
    assert_eq!(outcome.behaviours.len(), 3, "{outcome}");
}

#[test]
fn a_panic_of_a_thread_or_of_the_final_check_fails_the_run() {
    let limits = Limits::default();
    let thread = || Plan::new().thread("a", || ()).thread("b", || panic!("b is not well"));
    let outcome = Threads::run(thread, &limits);
    let failure = outcome.expect_failure();
    assert_eq!(failure.kind, FailureKind::Panic);
    assert!(failure.message.contains("b is not well"), "{failure}");
    assert_eq!(outcome.executions, 1, "the run went on after a failure");
    let finally = || Plan::new().thread("a", || ()).finally(|| panic!("nothing is right"));
    let outcome = Threads::run(finally, &limits);
    assert!(outcome.expect_failure().message.contains("nothing is right"));
}
