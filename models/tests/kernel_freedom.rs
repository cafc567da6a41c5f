//! The free mode of the simulated kernel: each freedom can come up, cannot come up where it is not
//! granted, and none of them loses the last edge.
//!
//! The programs here are litmus programs of their own; explore goes through all choices.

use netpoller::seam::{Os, Timeout};
use netpoller_models::engine::Explore;
use netpoller_models::kernel::{Config, Control, Freedom, Report, SimKernel, mask};
use netpoller_models::litmus::{self, Calls, Program, Round};
use netpoller_models::vectors::{RECORDINGS, parse, replay};
use std::collections::BTreeSet;
use std::time::Duration;

type Sim = SimKernel<Explore>;

const EDGE: u32 = mask::IN | mask::ET;
const NONE: Freedom = Freedom::NONE;

/// All outcomes of a program with this freedom.
fn outcomes(freedom: Freedom, round: fn(&Sim) -> Round) -> BTreeSet<String> {
    let threads = 0; // counted by nobody here
    let program = Program { name: "here", about: "", threads, freedom, round };
    let allowed = litmus::allowed(&program);
    allowed.run.assert_exhaustive();
    allowed.outcomes
}

fn set<const N: usize>(outcomes: [&str; N]) -> BTreeSet<String> {
    outcomes.map(str::to_owned).into()
}

/// A queue, and eventfds that are registered in it, edge-triggered, under 1, 2, ...; they have
/// these counts, and nobody has harvested yet.
fn eventfds(kernel: &Sim, counts: &[u32]) -> (i32, Vec<i32>) {
    let queue = kernel.queue();
    let add = |(place, count): (usize, &u32)| {
        let number = kernel.eventfd(*count);
        let control = Control::Add(EDGE, place as u64 + 1);
        kernel.control(queue, number, control).expect("ADD of a new descriptor");
        number
    };
    (queue, counts.iter().enumerate().map(add).collect())
}

fn look(kernel: &Sim, queue: i32) -> Vec<Report> {
    kernel.wait(queue, 9, Timeout::Zero).expect("a wait that does not block")
}

fn raise(kernel: &Sim, number: i32) {
    kernel.write(number, &1_u64.to_ne_bytes()).expect("an eventfd takes a one");
}

/// The labels of the events, `-` for none.
fn labels(reports: &[Report]) -> String {
    let labels: Vec<String> = reports.iter().map(|report| report.data.to_string()).collect();
    if labels.is_empty() { "-".to_owned() } else { labels.join("+") }
}

/// A round of one thread.
fn alone(kernel: &Sim, body: impl FnOnce(&Sim) -> String + Send + 'static) -> Round {
    let kernel = kernel.clone();
    Round::new().thread("one", move || body(&kernel))
}

#[test]
fn an_extra_edge_reports_once_more_what_holds() {
    fn program(kernel: &Sim) -> Round {
        let (queue, _) = eventfds(kernel, &[1]);
        alone(kernel, move |kernel| [(); 3].map(|()| labels(&look(kernel, queue))).join(" "))
    }
    assert_eq!(outcomes(NONE, program), set(["one: 1 - -"]));
    let one = Freedom { extra_edges: 1, ..NONE };
    assert_eq!(outcomes(one, program), set(["one: 1 - -", "one: 1 - 1", "one: 1 1 -"]));
    let two = Freedom { extra_edges: 2, ..NONE };
    assert!(outcomes(two, program).contains("one: 1 1 1"));
}

#[test]
fn an_extra_edge_invents_nothing() {
    fn program(kernel: &Sim) -> Round {
        let (queue, fds) = eventfds(kernel, &[1, 0]);
        alone(kernel, move |kernel| {
            kernel.read(fds[0]).expect("it was made with a one");
            [(); 3].map(|()| labels(&look(kernel, queue))).join(" ")
        })
    }
    let free = Freedom { extra_edges: 2, any_order: true, any_batch: true, ..NONE };
    assert_eq!(outcomes(free, program), set(["one: - - -"]), "nothing holds, nothing is reported");
}

#[test]
fn an_extra_edge_spares_a_spent_oneshot() {
    fn program(kernel: &Sim) -> Round {
        let (queue, x) = (kernel.queue(), kernel.eventfd(1));
        let control = Control::Add(mask::IN | mask::ONESHOT, 1);
        kernel.control(queue, x, control).expect("ADD of a new descriptor");
        alone(kernel, move |kernel| [(); 2].map(|()| labels(&look(kernel, queue))).join(" "))
    }
    assert_eq!(outcomes(Freedom { extra_edges: 2, ..NONE }, program), set(["one: 1 -"]));
}

#[test]
fn an_extra_edge_comes_with_the_edge_of_another_item() {
    fn program(kernel: &Sim) -> Round {
        let (queue, fds) = eventfds(kernel, &[1, 0]);
        assert_eq!(labels(&look(kernel, queue)), "1");
        let (waiter, writer) = (kernel.clone(), kernel.clone());
        Round::new()
            .thread("waiter", move || {
                labels(&waiter.wait(queue, 9, Timeout::Never).expect("no signals"))
            })
            .thread("writer", move || {
                raise(&writer, fds[1]);
                String::new()
            })
    }
    assert_eq!(outcomes(NONE, program), set(["waiter: 2"]));
    let free = Freedom { extra_edges: 1, ..NONE };
    // Alone and after the edge: found by the waiter itself. Before it: the edge that wakes a
    // sleeper brings it along.
    let all = set(["waiter: 2", "waiter: 1", "waiter: 2+1", "waiter: 1+2"]);
    assert_eq!(outcomes(free, program), all);
}

#[test]
fn a_batch_comes_in_any_order() {
    fn program(kernel: &Sim) -> Round {
        let (queue, _) = eventfds(kernel, &[1, 1]);
        alone(kernel, move |kernel| labels(&look(kernel, queue)))
    }
    assert_eq!(outcomes(NONE, program), set(["one: 1+2"]));
    let free = Freedom { any_order: true, ..NONE };
    assert_eq!(outcomes(free, program), set(["one: 1+2", "one: 2+1"]));
}

#[test]
fn a_batch_is_as_small_as_one_and_the_rest_stays() {
    fn program(kernel: &Sim) -> Round {
        let (queue, _) = eventfds(kernel, &[1, 1, 1]);
        alone(kernel, move |kernel| [(); 4].map(|()| labels(&look(kernel, queue))).join(" "))
    }
    assert_eq!(outcomes(NONE, program), set(["one: 1+2+3 - - -"]));
    let all = set(["one: 1+2+3 - - -", "one: 1+2 3 - -", "one: 1 2+3 - -", "one: 1 2 3 -"]);
    assert_eq!(outcomes(Freedom { any_batch: true, ..NONE }, program), all);
}

/// Two threads sleep, the second one after the first, and there is one edge. Who gets it ends the
/// wait of the other.
fn two_sleepers(kernel: &Sim) -> Round {
    let program = litmus::catalogue().into_iter().find(|p| p.name == "last_to_sleep");
    (program.expect("a program of the catalogue").round)(kernel)
}

#[test]
fn any_waiter_is_woken_not_only_the_last_one() {
    assert_eq!(outcomes(NONE, two_sleepers), set(["A: nothing; B: x IN"]));
    let free = Freedom { any_waiter: true, ..NONE };
    assert_eq!(outcomes(free, two_sleepers), set(["A: nothing; B: x IN", "A: x IN; B: nothing"]));
}

#[test]
fn one_waiter_more_is_woken_than_needed() {
    // The last one is woken, and with it the other, which may be quicker.
    let free = Freedom { extra_wakes: 1, ..NONE };
    assert_eq!(outcomes(free, two_sleepers), set(["A: nothing; B: x IN", "A: x IN; B: nothing"]));
}

#[test]
fn a_wait_that_would_block_is_interrupted_and_one_that_would_not_is_not() {
    fn program(kernel: &Sim) -> Round {
        let (queue, fds) = eventfds(kernel, &[1]);
        alone(kernel, move |kernel| {
            let wait = |timeout| match kernel.wait(queue, 9, timeout) {
                Ok(reports) => labels(&reports),
                Err(error) => error.name(),
            };
            let ready = [wait(Timeout::Never), wait(Timeout::Zero)].join(" ");
            let timed = wait(Timeout::After(Duration::from_nanos(5)));
            raise(kernel, fds[0]);
            format!("{ready} {timed} {}", wait(Timeout::Never))
        })
    }
    assert_eq!(outcomes(NONE, program), set(["one: 1 - - 1"]));
    let free = Freedom { interruptions: 1, ..NONE };
    assert_eq!(outcomes(free, program), set(["one: 1 - - 1", "one: 1 - EINTR 1"]));
}

#[test]
fn an_event_wins_against_a_signal_and_neither_ends_two_waits() {
    fn program(kernel: &Sim) -> Round {
        let (queue, fds) = eventfds(kernel, &[0]);
        let (waiter, writer) = (kernel.clone(), kernel.clone());
        Round::new()
            .thread("waiter", move || {
                let mut saw = Vec::new();
                loop {
                    match waiter.wait(queue, 9, Timeout::Never) {
                        Err(error) => saw.push(error.name()),
                        Ok(reports) => {
                            saw.push(labels(&reports));
                            return saw.join(" ");
                        }
                    }
                }
            })
            .thread("writer", move || {
                raise(&writer, fds[0]);
                String::new()
            })
    }
    assert_eq!(outcomes(NONE, program), set(["waiter: 1"]));
    let free = Freedom { interruptions: 2, ..NONE };
    let all = set(["waiter: 1", "waiter: EINTR 1", "waiter: EINTR EINTR 1"]);
    assert_eq!(outcomes(free, program), all);
}

#[test]
fn a_wait_that_must_not_block_comes_back_empty_from_the_harvest_of_another() {
    fn program(kernel: &Sim) -> Round {
        let program = litmus::catalogue().into_iter().find(|p| p.name == "level_two_polls");
        (program.expect("a program of the catalogue").round)(kernel)
    }
    assert_eq!(outcomes(NONE, program), set(["A: x IN; B: x IN"]));
    let all = set(["A: x IN; B: x IN", "A: nothing; B: x IN", "A: x IN; B: nothing"]);
    assert_eq!(outcomes(Freedom { empty_while_scanned: true, ..NONE }, program), all);
}

/// What needs no freedom: a harvest that has begun reports what was registered then.
#[test]
fn an_event_arrives_after_the_registration_was_ended() {
    let late = |name: &str| {
        let program = litmus::catalogue().into_iter().find(|program| program.name == name);
        let allowed = litmus::allowed_by(&program.expect("a program of the catalogue"), NONE);
        allowed.outcomes.contains("harvester: x IN, it has ended")
    };
    assert!(late("delete_a_harvest") && late("close_a_harvest"));
}

/// The freedoms one by one, and all of them; without interruptions, which the programs do not
/// expect.
const GRANTS: [Freedom; 6] = [
    Freedom { extra_edges: 1, ..NONE },
    Freedom { any_order: true, ..NONE },
    Freedom { any_batch: true, ..NONE },
    Freedom { any_waiter: true, ..NONE },
    Freedom { extra_wakes: 1, ..NONE },
    Freedom { interruptions: 0, ..Freedom::all(1) },
];

/// All freedoms at once take minutes on these.
const LARGE: [&str; 2] = ["two_edges_room_for_all", "level_read"];

#[test]
fn freedom_adds_outcomes_takes_none_away_and_loses_no_edge() {
    for program in litmus::catalogue::<Sim>() {
        let strict = litmus::allowed_by(&program, NONE);
        let grants = if LARGE.contains(&program.name) { &GRANTS[..5] } else { &GRANTS };
        for freedom in grants {
            // Exhaustive, so no thread waits for ever: what it was owed was reported.
            let free = litmus::allowed_by(&program, *freedom);
            println!("{}: {} outcomes, {}", program.name, free.outcomes.len(), free.run);
            free.run.assert_exhaustive();
            let more = free.outcomes.is_superset(&strict.outcomes);
            assert!(more, "{}, {freedom:?}: {:?}", program.name, free.outcomes);
        }
    }
}

#[test]
fn without_choices_a_free_kernel_does_what_linux_was_recorded_to_do() {
    // The primitives of the operating system choose the first way always. The order of a batch
    // has no such way: the items are offered by number.
    let freedom = Freedom { any_order: false, ..Freedom::all(9) };
    for (file, text) in RECORDINGS {
        let recording = parse(file, text).unwrap_or_else(|error| panic!("{error}"));
        let config = Config { freedom, ..Config::linux() };
        let report = replay(&recording, || SimKernel::<Os>::new(config));
        assert!(report.equal > 0 && report.different.is_empty(), "{report}");
    }
}
