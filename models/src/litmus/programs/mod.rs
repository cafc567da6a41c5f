//! The litmus programs, and what they have in common.
//!
//! Each sets up one event queue. `x` and `y` are the objects it is about; `stop` is an eventfd that
//! is registered level-triggered, so that one write of it ends the waits of all threads.

mod changes;
mod waiters;

use super::{Calls, Program};
use crate::kernel::{Control, Freedom, Report, mask};
use netpoller::seam::Timeout;

/// The label of what ends a program.
const STOP: u64 = 0;
const X: u64 = 1;
const Y: u64 = 2;
/// The label of what stands in the way.
const CROWD: u64 = 3;

const EDGE: u32 = mask::IN | mask::ET;
const LEVEL: u32 = mask::IN;

/// Room for all events of a program, whatever stands in the way.
const ALL: usize = 256;

macro_rules! programs {
    ($($area:ident {$($name:ident: $threads:literal, $about:literal $(, $freedom:expr)?;)*})*) => {
        /// All programs.
        #[must_use]
        pub fn catalogue<C: Calls>() -> Vec<Program<C>> {
            vec![$($(Program {
                name: stringify!($name),
                about: $about,
                threads: $threads,
                freedom: programs!(@ $($freedom)?),
                round: $area::$name::<C>,
            }),*),*]
        }
    };
    (@) => { Freedom::NONE };
    (@ $freedom:expr) => { $freedom };
}

programs! {
    waiters {
        last_to_sleep: 3, "A sleeps, then B; one edge. The last one to lie down is woken.";
        one_edge: 3, "Two waiters and one edge: one of them gets it.";
        one_shot: 3, "Two waiters and a level-triggered ONESHOT: one of them gets it.";
        level_unread: 3, "Two waiters, a level-triggered item, nobody reads: both get it.";
        level_read: 3, "Two waiters, a level-triggered item, who gets it reads: the other may be late.";
        second_edge: 3, "A second edge while the first is handled goes to the other waiter.";
        two_edges_one_place: 3, "Two edges, two waiters with room for one event each.";
        two_edges_room_for_all: 3, "Two edges, two waiters with room for both.";
        steal: 3, "An edge between a waiter and a wait that does not block.";
        level_two_polls: 2, "Two waits that do not block, and a level-triggered item that is ready all the time.",
            Freedom { empty_while_scanned: true, ..Freedom::NONE };
        broken: 3, "A level-triggered break, a thread that blocks, and one that looks, drains and passes it on.";
        interrupted: 3, "A signal and an edge for one waiter: the event is never lost.",
            Freedom { interruptions: 1, ..Freedom::NONE };
    }
    changes {
        two_steps: 2, "A write and a close of a pipe: the state is visible before its wake.";
        write_not_returned: 2, "Whether the writer's call has returned when its edge is reported.";
        add_not_returned: 2, "Whether ADD of a ready descriptor has returned when it is reported.";
        drained_before: 2, "Data that is read before the waiter that was woken for it runs.";
        not_a_snapshot: 2, "A harvest that shows a later change and not an earlier one of the same thread.";
        modify_a_sleeper: 2, "MOD to a mask that matches, while a thread waits: it is woken, with the new label.";
        modify_an_edge: 3, "MOD of the label against an edge.";
        delete_a_harvest: 2, "DEL of a queued item against a harvest, and whether DEL had returned.";
        close_a_harvest: 2, "Close of a queued item against a harvest, and whether close had returned.";
    }
}

/// Registers under a label.
fn add<C: Calls>(calls: &C, queue: i32, number: i32, mask: u32, label: u64) {
    calls.control(queue, number, Control::Add(mask, label)).expect("ADD of a new descriptor");
}

/// A new eventfd that is registered under a label.
fn eventfd_in<C: Calls>(calls: &C, queue: i32, count: u32, mask: u32, label: u64) -> i32 {
    let number = calls.eventfd(count);
    add(calls, queue, number, mask, label);
    number
}

/// An event queue, the eventfd `x` in it, and `stop`.
fn with_x_and_stop<C: Calls>(calls: &C, mask: u32) -> (i32, i32, i32) {
    let queue = calls.queue();
    let x = eventfd_in(calls, queue, 0, mask, X);
    (queue, x, eventfd_in(calls, queue, 0, LEVEL, STOP))
}

/// Adds one to an eventfd.
fn raise<C: Calls>(calls: &C, eventfd: i32) {
    calls.write(eventfd, &1_u64.to_ne_bytes()).expect("an eventfd takes a one");
}

/// Takes what is in an eventfd; whether there was anything.
fn take<C: Calls>(calls: &C, eventfd: i32) -> bool {
    calls.read(eventfd).is_ok()
}

/// Waits for as long as it takes.
fn wait<C: Calls>(calls: &C, queue: i32, most: usize) -> Vec<Report> {
    calls.wait(queue, most, Timeout::Never).expect("a wait that no signal ends")
}

/// Looks without waiting.
fn look<C: Calls>(calls: &C, queue: i32) -> Vec<Report> {
    calls.wait(queue, ALL, Timeout::Zero).expect("a wait that does not block")
}

/// Collects what is reported until `stop` is.
fn until_stop<C: Calls>(calls: &C, queue: i32) -> Vec<Report> {
    let mut all = Vec::new();
    while !all.iter().any(|report: &Report| report.data == STOP) {
        all.extend(wait(calls, queue, ALL));
    }
    all
}

fn is(label: u64) -> impl Fn(&Report) -> bool {
    move |report| report.data == label
}

/// The events, without `stop` and what stands in the way: `x IN, y IN|HUP`.
fn told(reports: &[Report]) -> String {
    let mut words = Vec::new();
    for report in reports {
        let name = match report.data {
            X => "x",
            Y => "y",
            STOP | CROWD => continue,
            other => panic!("an event with the label {other}, which nothing has"),
        };
        let bits = [(mask::IN, "IN"), (mask::OUT, "OUT"), (mask::ERR, "ERR"), (mask::HUP, "HUP")];
        let known = bits.iter().filter(|(bit, _)| report.bits & bit != 0);
        let mut bits: Vec<String> = known.map(|(_, name)| (*name).to_owned()).collect();
        let rest = report.bits & !(mask::IN | mask::OUT | mask::ERR | mask::HUP);
        if rest != 0 {
            bits.push(format!("{rest:#x}"));
        }
        words.push(format!("{name} {}", bits.join("|")));
    }
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}
