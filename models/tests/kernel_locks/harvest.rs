//! What goes on during a harvest: edges that come in between two of its steps, in what order
//! they follow, and how many locks the calls take. A step of "another thread" is put at an exact
//! place, before a certain lock, so each of these has one outcome.

use super::watched::{Watched, before_lock, locks};
use netpoller::seam::{Kernel, Kind, Timeout};
use netpoller_models::kernel::{Config, Control, SimKernel, mask};
use netpoller_spec::token::{Generation, Token};

type Sim = SimKernel<Watched>;

const NOTHING: [u64; 0] = [];
const ET: u32 = mask::IN | mask::ET;

/// A kernel, an event queue, and eventfds that are registered in it under 0, 1, ... and have
/// been harvested, so that the queue is empty.
fn eventfds(masks: &[u32]) -> (Sim, i32, Vec<i32>) {
    let kernel = Sim::new(Config::linux());
    let queue = kernel.raw().epoll_create().unwrap();
    let mut fds = Vec::new();
    for (label, mask) in masks.iter().enumerate() {
        let fd = kernel.raw().eventfd(0).unwrap();
        kernel.raw().epoll_ctl(queue, fd, Control::Add(*mask, label as u64)).unwrap();
        fds.push(fd);
    }
    assert_eq!(harvest(&kernel, queue, 9), NOTHING, "nothing is true of an eventfd at 0");
    (kernel, queue, fds)
}

fn edge(kernel: &Sim, fd: i32) {
    kernel.raw().write(fd, &1_u64.to_ne_bytes()).unwrap();
}

fn harvest(kernel: &Sim, queue: i32, most: usize) -> Vec<u64> {
    let reports = kernel.raw().epoll_wait(queue, most, Timeout::Zero).unwrap();
    reports.iter().map(|report| report.data).collect()
}

/// Harvests; while it is under way, after it has asked `asked` objects, `step` happens.
fn harvest_with(
    (kernel, queue): (&Sim, i32),
    most: usize,
    asked: usize,
    step: impl FnOnce(&Sim) + 'static,
) -> Vec<u64> {
    let other = kernel.clone();
    // The table, the harvest as a whole, the list; then one lock per object.
    before_lock(3 + asked, move || step(&other));
    harvest(kernel, queue, most)
}

#[test]
fn an_edge_after_an_item_was_asked_is_reported_by_the_next_harvest() {
    let (kernel, queue, fds) = eventfds(&[ET, ET]);
    edge(&kernel, fds[0]);
    edge(&kernel, fds[1]);
    let first = fds[0];
    let now = harvest_with((&kernel, queue), 9, 1, move |kernel| edge(kernel, first));
    assert_eq!(now, [0, 1]);
    assert_eq!(harvest(&kernel, queue, 9), [0], "the last edge was lost");
    assert_eq!(harvest(&kernel, queue, 9), NOTHING);
}

#[test]
fn an_edge_before_an_item_is_asked_is_reported_now_and_once_more() {
    let (kernel, queue, fds) = eventfds(&[ET, ET]);
    edge(&kernel, fds[0]);
    edge(&kernel, fds[1]);
    let second = fds[1];
    let now = harvest_with((&kernel, queue), 9, 1, move |kernel| edge(kernel, second));
    assert_eq!(now, [0, 1]);
    assert_eq!(harvest(&kernel, queue, 9), [1], "a report without news, as on Linux");
}

#[test]
fn leftovers_come_first_then_edges_of_the_meantime_then_what_is_level_triggered() {
    let (kernel, queue, fds) = eventfds(&[mask::IN, ET, ET, ET]);
    for fd in &fds[..3] {
        edge(&kernel, *fd);
    }
    let (third, last) = (fds[2], fds[3]);
    let now = harvest_with((&kernel, queue), 2, 1, move |kernel| {
        edge(kernel, last);
        edge(kernel, third);
    });
    assert_eq!(now, [0, 1]);
    assert_eq!(harvest(&kernel, queue, 9), [2, 3, 0], "leftover 2, meantime 3, level 0");
}

#[test]
fn an_edge_of_the_meantime_on_a_spent_oneshot_is_dropped() {
    let (kernel, queue, fds) = eventfds(&[ET | mask::ONESHOT, ET]);
    edge(&kernel, fds[0]);
    edge(&kernel, fds[1]);
    let first = fds[0];
    let now = harvest_with((&kernel, queue), 9, 1, move |kernel| edge(kernel, first));
    assert_eq!(now, [0, 1]);
    assert_eq!(harvest(&kernel, queue, 9), NOTHING);
}

#[test]
fn an_item_whose_state_is_gone_when_asked_is_dropped_and_uses_no_place() {
    let (kernel, queue, fds) = eventfds(&[ET, ET, ET]);
    for fd in &fds {
        edge(&kernel, *fd);
    }
    let second = fds[1];
    let now = harvest_with((&kernel, queue), 2, 1, move |kernel| {
        kernel.raw().read(second, &mut [0; 8]).unwrap();
    });
    assert_eq!(now, [0, 2]);
}

#[test]
fn the_state_is_visible_before_its_wake() {
    let (kernel, queue, fds) = eventfds(&[ET]);
    edge(&kernel, fds[0]);
    assert_eq!(harvest(&kernel, queue, 9), [0]);
    // The writer: table, object; and before it wakes, a reader takes what it wrote.
    let (reader, fd) = (kernel.clone(), fds[0]);
    before_lock(2, move || {
        let mut value = [0; 8];
        reader.raw().read(fd, &mut value).unwrap();
        assert_eq!(u64::from_ne_bytes(value), 2, "the state changed before the wake");
        assert_eq!(harvest(&reader, queue, 9), NOTHING);
    });
    edge(&kernel, fds[0]);
    assert_eq!(harvest(&kernel, queue, 9), NOTHING, "a stale edge shows nothing");
}

#[test]
fn each_call_takes_as_few_locks_as_it_can() {
    for (edges_during_harvest, more) in [(false, 0), (true, 1)] {
        let kernel = Sim::new(Config { edges_during_harvest, ..Config::small() });
        let queue = kernel.queue().unwrap();
        let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
        let wait = || {
            let mut batch = netpoller::seam::Batch::with_capacity(8);
            kernel.wait(&queue, &mut batch, Timeout::Zero).unwrap();
        };
        let add = || {
            kernel.add(&queue, &a, Token::entry(0, Generation::FIRST)).unwrap();
        };
        assert_eq!(locks(|| assert!(kernel.read(&a, &mut [0]).is_err())), 1, "read");
        assert_eq!(locks(|| assert!(kernel.write(&b, b"x").is_ok())), 1, "write, unwatched");
        assert_eq!(locks(add), 2 + more, "add: the queue and the object");
        assert_eq!(locks(wait), 2 + 2 * more, "wait with one item: the queue and the object");
        assert_eq!(locks(wait), 1 + more, "wait with nothing");
        assert_eq!(locks(|| assert!(kernel.write(&b, b"y").is_ok())), 2, "write: and its wake");
        assert_eq!(locks(|| kernel.post(&queue).unwrap()), 2, "post");
        assert_eq!(locks(|| kernel.drain(&queue).unwrap()), 2, "drain");
        assert_eq!(locks(|| drop(kernel.remove(&queue, &a))), 2 + more, "remove");
        assert_eq!(locks(|| drop(a)), 2, "close, unwatched: the table and the object");
    }
}
