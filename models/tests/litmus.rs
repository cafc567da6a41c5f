//! The litmus programs on the simulated kernel: all that is allowed, and that it contains what
//! Linux was seen to do. `tests/real/litmus.rs` runs them on the kernel of this machine.

use netpoller_models::engine::{Explore, Limits, Search};
use netpoller_models::kernel::{Freedom, SimKernel};
use netpoller_models::litmus::{self, Allowed, Program, RECORDED, Recorded, Row};

fn programs() -> Vec<Program<SimKernel<Explore>>> {
    litmus::catalogue()
}

fn recorded() -> Recorded {
    Recorded::parse(RECORDED).unwrap_or_else(|error| panic!("models/vectors/litmus.json: {error}"))
}

fn allowed(program: &Program<SimKernel<Explore>>) -> Allowed {
    let allowed = litmus::allowed(program);
    allowed.run.assert_exhaustive();
    allowed
}

#[test]
fn every_outcome_that_was_recorded_on_linux_is_allowed() {
    let recorded = recorded();
    let mut rows = Vec::new();
    for program in programs() {
        let seen = recorded.programs.get(program.name);
        let seen = seen.unwrap_or_else(|| panic!("{} was not recorded", program.name));
        assert!(seen.rounds >= 100_000, "{}: only {} rounds", program.name, seen.rounds);
        assert_eq!(seen.outcomes.values().sum::<u64>(), seen.rounds, "{}", program.name);
        rows.push(Row::new(program.name, seen, allowed(&program).outcomes));
    }
    println!("Linux {}\n{}", recorded.kernel, Row::table(&rows));
    for row in &rows {
        assert!(row.outside().is_empty(), "Linux did what the simulated kernel cannot:\n{row}");
    }
    assert_eq!(recorded.programs.len(), rows.len(), "a program was recorded that does not exist");
}

/// A model that allows more has to be looked at as closely as one that allows less.
#[test]
fn what_is_allowed_is_pinned() {
    let mut counts = Vec::new();
    for program in programs() {
        let allowed = allowed(&program);
        println!("{}: {}", program.name, allowed.run);
        counts.push((program.name, allowed.outcomes.len()));
    }
    let pinned = [
        ("last_to_sleep", 1),
        ("one_edge", 2),
        ("one_shot", 2),
        ("level_unread", 1),
        ("level_read", 4),
        ("second_edge", 2),
        ("two_edges_one_place", 2),
        ("two_edges_room_for_all", 4),
        ("steal", 3),
        ("level_two_polls", 3),
        ("broken", 4),
        ("interrupted", 2),
        ("two_steps", 3),
        ("write_not_returned", 2),
        ("add_not_returned", 2),
        ("drained_before", 2),
        ("not_a_snapshot", 4),
        ("modify_a_sleeper", 1),
        ("modify_an_edge", 3),
        ("delete_a_harvest", 4),
        ("close_a_harvest", 4),
    ];
    assert_eq!(counts, pinned);
}

#[test]
fn only_what_linux_shows_and_interleavings_do_not_is_granted() {
    for program in programs() {
        let strict = litmus::allowed_by(&program, Freedom::NONE);
        strict.run.assert_exhaustive();
        let needs = strict.outcomes != allowed(&program).outcomes;
        assert_eq!(needs, program.freedom != Freedom::NONE, "{}: {strict:?}", program.name);
    }
}

/// Explore recognises states. It must not take two for the same that lead to different outcomes.
#[test]
fn merging_states_loses_no_outcome() {
    let limits =
        Limits { search: Search::Schedules, executions: Some(10_000), ..Limits::default() };
    let mut compared = 0;
    for program in programs() {
        let plain = litmus::allowed_within(&program, program.freedom, &limits);
        plain.run.assert_passed();
        let merged = allowed(&program);
        assert!(plain.outcomes.is_subset(&merged.outcomes), "{}: {plain:?}", program.name);
        if plain.run.executions < 10_000 {
            plain.run.assert_exhaustive();
            assert_eq!(plain.outcomes, merged.outcomes, "{}", program.name);
            compared += 1;
        }
    }
    println!("{compared} programs, schedule by schedule");
    assert!(compared >= 10, "only {compared} programs were compared to their end");
}
