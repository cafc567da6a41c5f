//! The right to wait in a direction, and futures that are dropped or polled again.

use super::hand::{Task, Watch, done, pending, pipe, poll, put, reading, refused, stream, take};
use super::host::Host;
use netpoller::poller::Poller;
use netpoller::{Mode, Reason};
use std::task::Poll;

pub(super) fn a_second_waiter_is_refused_while_the_first_lives<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let first = here.waiter(Mode::Read).expect("nobody else waits");
    refused("a second waiter", Poll::Ready(here.waiter(Mode::Read).map(drop)), Reason::Busy);
    here.waiter(Mode::Write).expect("the other direction has a right of its own");
    drop(first);
    here.waiter(Mode::Read).expect("the right was given back");
    put(&there, b'x');
    assert_eq!(done("the read", reading(&here).poll()), b"x");
}

pub(super) fn a_waiter_dropped_after_its_edge_leaves_the_readiness<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let watch = Watch::new();
    let waiter = watch.park(&reader, Mode::Read);
    put(&writer, b'x');
    assert_eq!((poll(poller), watch.wakes()), (1, 1));
    drop(waiter);
    let mut next = reader.waiter(Mode::Read).expect("the right was given back");
    done("the next wait: the edge is not reported again", watch.poll(&mut next));
    assert_eq!(take(&reader), b"x");
}

pub(super) fn a_parked_waiter_that_is_dropped_leaves_no_waker<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let watch = Watch::new();
    let waiter = watch.park(&reader, Mode::Read);
    assert!(watch.is_held(), "a parked waiter left no waker");
    drop(waiter);
    assert!(!watch.is_held(), "the waker of a dropped waiter is held");
    put(&writer, b'x');
    assert_eq!((poll(poller), watch.wakes()), (0, 0), "a dropped waiter was woken");
    let mut next = reader.waiter(Mode::Read).expect("the right was given back");
    done("the next wait: the edge came in between", watch.poll(&mut next));
}

pub(super) fn a_read_that_is_dropped_has_read_nothing<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    for woken in [false, true] {
        let mut dropped = reading(&reader);
        pending("the read", dropped.poll());
        put(&writer, b'x');
        if woken {
            assert_eq!((poll(poller), dropped.wakes()), (1, 1));
        }
        drop(dropped);
        assert_eq!(done("the next read", reading(&reader).poll()), b"x", "woken: {woken}");
        assert_eq!(poll(poller), 0, "a dropped read was woken");
    }
}

pub(super) fn the_newest_waker_is_woken_alone<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let (first, second) = (Watch::new(), Watch::new());
    let mut waiter = first.park(&reader, Mode::Read);
    pending("the wait, in another task", second.poll(&mut waiter));
    assert!(!first.is_held(), "the waker that was replaced is held");
    put(&writer, b'x');
    assert_eq!(poll(poller), 1);
    assert_eq!((first.wakes(), second.wakes()), (0, 1), "the last waker wins");
    done("the wait", first.poll(&mut waiter));
}

pub(super) fn a_task_polled_for_nothing_stays_parked<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    for _ in 0..3 {
        pending("the read", task.poll());
        assert_eq!((poll(poller), task.wakes()), (0, 0), "woken without an edge");
    }
    put(&writer, b'x');
    assert_eq!((poll(poller), task.wakes()), (1, 1), "one edge is one wake");
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn a_forgotten_waiter_is_woken_by_the_end<S: Host>(poller: &Poller<S>) {
    let (reader, _writer) = pipe(poller);
    let watch = Watch::new();
    std::mem::forget(watch.park(&reader, Mode::Read));
    refused("a waiter beside it", Poll::Ready(reader.waiter(Mode::Read).map(drop)), Reason::Busy);
    drop(reader);
    assert_eq!(watch.wakes(), 1, "the end of the descriptor did not wake a forgotten waiter");
    assert!(!watch.is_held(), "its waker is held by an entry that is free");
}

pub(super) fn a_wait_that_moves_to_another_task_goes_on<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut waiter = reader.waiter(Mode::Read).expect("nobody else waits");
    let mut first = Task::new(waiter.ready());
    pending("the wait", first.poll());
    // The future is given up and the waiter is not: the wait stays on, under the old waker.
    drop(first);
    let mut second = Task::new(waiter.ready());
    pending("the wait, in a new future", second.poll());
    put(&writer, b'x');
    assert_eq!((poll(poller), second.wakes()), (1, 1));
    done("the wait", second.poll());
}
