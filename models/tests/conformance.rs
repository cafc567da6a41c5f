//! The free mode of the simulated kernel allows what Linux was recorded to do, and no lies about it.

use netpoller_models::conformance::{FREEDOM, Lie, Verdict, judge, tell};
use netpoller_models::kernel::Freedom;
use netpoller_models::vectors::{Op, Program, RECORDINGS, parse};

/// The recorded programs whose objects are simulated.
fn programs(place: usize) -> Vec<Program> {
    let (file, text) = RECORDINGS[place];
    let mut programs = parse(file, text).unwrap_or_else(|error| panic!("{error}")).programs;
    programs.retain(|p| !p.steps.iter().any(|step| matches!(step.op, Op::Unknown(_))));
    programs
}

#[test]
fn all_recorded_traces_are_members() {
    for (place, count) in [(0, 41), (1, 300)] {
        let programs = programs(place);
        assert_eq!(programs.len(), count, "{}", RECORDINGS[place].0);
        let mut most = 0;
        for program in programs {
            match judge(&program, FREEDOM) {
                Verdict::Member { states } => most = most.max(states),
                outside @ Verdict::Outside { .. } => panic!("{}: {outside:?}", program.name),
            }
        }
        println!("{}: {count} members; up to {most} states at once", RECORDINGS[place].0);
        assert!(most > 3, "{}: the freedom makes no difference", RECORDINGS[place].0);
    }
}

#[test]
fn every_kind_of_lie_is_found_out() {
    let programs: Vec<Program> = (0..RECORDINGS.len()).flat_map(programs).collect();
    let mut table = Vec::new();
    println!("| lie | told | found out | true after all, not counted |\n|---|---|---|---|");
    for lie in Lie::ALL {
        let (mut told, mut found_out, mut true_after_all) = (0, 0, 0);
        for program in &programs {
            let told_here = tell(lie, program, 1);
            true_after_all += told_here.true_after_all;
            for liar in told_here.lies {
                told += 1;
                if judge(&liar, FREEDOM).is_member() {
                    println!("{lie:?} passed as true in {}", liar.name);
                } else {
                    found_out += 1;
                }
            }
        }
        println!("| {lie:?} | {told} | {found_out} | {true_after_all} |");
        table.push((lie, told, found_out, true_after_all));
    }
    for (lie, told, found_out, _) in &table {
        assert!(*told > 0, "no occasion for {lie:?}");
        assert_eq!(found_out, told, "{lie:?}: lies passed as true");
    }
}

/// The other way round: what the freedoms are for does pass, and without them it does not.
#[test]
fn a_change_that_a_freedom_explains_is_a_member() {
    let programs = programs(1);
    let strict = |program: &Program| judge(program, Freedom::NONE).is_member();
    let mut reversed = 0;
    for program in &programs {
        assert!(strict(program), "{}", program.name);
        let mut turned = program.clone();
        let Some(step) = turned.steps.iter_mut().find(|step| step.events.len() > 1) else {
            continue;
        };
        step.events.reverse();
        // Another order: a member, unless what was left over is told apart by a full batch.
        reversed += usize::from(judge(&turned, FREEDOM).is_member() && !strict(&turned));
    }
    assert!(reversed > 60, "only {reversed} batches could come in another order");
}
