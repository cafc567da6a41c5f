//! The kernel of this machine against the recordings, and random programs side by side: what it
//! answers is written down and replayed on the simulated kernel. The programs do what the
//! recordings lack: event queues in event queues, several queues, many masks, system calls on
//! objects that do not know them.
//!
//! A program needs the table of numbers for itself, so these tests are in a binary of their own
//! and take turns.

#![cfg(all(feature = "real-kernel", target_os = "linux"))]

use netpoller::seam::Os;
use netpoller_models::kernel::{Config, SimKernel};
use netpoller_models::vectors::{RECORDINGS, RealKernel, compare, parse, random, replay};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the test whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_kernel_of_this_machine_agrees_with_the_recordings() {
    let _turn = turn();
    let all = [(RECORDINGS[0], 41, 195), (RECORDINGS[1], 300, 2977), (RECORDINGS[2], 9, 14)];
    for ((file, text), equal, waits) in all {
        let recording = parse(file, text).unwrap_or_else(|error| panic!("{error}"));
        let report = replay(&recording, RealKernel::new);
        assert!(report.different.is_empty(), "{report}");
        assert_eq!((report.equal, report.waits), (equal, waits), "{report}");
    }
}

#[test]
fn random_programs_give_the_same_on_the_real_kernel_and_the_simulated_one() {
    let _turn = turn();
    let mut done = BTreeMap::new();
    let mut events = 0;
    for seed in 1..=2000 {
        let edges_during_harvest = seed % 2 == 0;
        let config = Config { edges_during_harvest, ..Config::linux() };
        let name = format!("seed {seed}");
        let simulated = || SimKernel::<Os>::new(config);
        let program = compare(&name, random::program(seed), RealKernel::new, simulated);
        for step in program.unwrap_or_else(|found| panic!("{found}")).steps {
            events += step.events.len();
            let what = format!("{:?}", step.op);
            let what = what.split(' ').next().unwrap_or_default().to_owned();
            let worked = step.returned.parse::<u64>().is_ok() || step.returned == "ok";
            *done.entry(what).or_insert(0) += usize::from(worked);
        }
    }
    println!("{events} events; operations that succeeded: {done:?}");
    assert!(events > 15_000, "the programs have too little in them: {events} events");
    for (what, least) in [("Connect", 1000), ("Accept", 400), ("SendTo", 1000), ("Dup", 1000)] {
        assert!(done[what] > least, "too few of {what}: {done:?}");
    }
}

#[test]
fn a_difference_is_shrunk_to_a_vector_that_can_be_replayed() {
    let _turn = turn();
    // A kernel whose pipes are smaller is not the one that was recorded.
    let wrong = Config { pipe_slots: 4, ..Config::linux() };
    let found = (1..200).find_map(|seed| {
        let simulated = || SimKernel::<Os>::new(wrong);
        compare("small pipes", random::program(seed), RealKernel::new, simulated).err()
    });
    let found = found.expect("200 programs did not fill a pipe");
    assert!(found.program.steps.len() <= 5, "not shrunk: {found}");
    let text = found.to_string();
    let json = text.lines().last().unwrap();
    let file = format!("{{\"kernel\": \"k\", \"note\": \"n\", \"programs\": [{json}]}}");
    let recording = parse("found.json", &file).unwrap_or_else(|error| panic!("{error}: {text}"));
    let right = replay(&recording, || SimKernel::<Os>::new(Config::linux()));
    assert_eq!(right.equal, 1, "{right}");
    let wrong = replay(&recording, || SimKernel::<Os>::new(wrong));
    assert_eq!(wrong.different.len(), 1, "{wrong}");
}
