//! The break, and polls that have nothing to do.

use super::hand::{AT_ONCE, Watch, done, pending, pipe, poll, put, reading};
use super::host::Host;
use netpoller::Mode;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use std::time::Duration;

/// A poll that may block, to be ended at once by what is there already. Not for ever, so that a
/// break that was lost fails the test instead of hanging it; how long is of no importance.
const LONG: Option<Duration> = Some(Duration::from_secs(5));

/// A poll that is ended by a break; the number of wakers.
#[track_caller]
fn broken<S: Host>(poller: &Poller<S>) -> usize {
    let mut ready = Ready::new();
    let woken = poller.poll(&mut ready, LONG).expect("usable");
    assert!(ready.broken(), "the poll was not ended by a break");
    woken
}

/// A poll that finds no break.
#[track_caller]
fn unbroken<S: Host>(poller: &Poller<S>) {
    let mut ready = Ready::new();
    // A time that is not zero makes it a poll that takes breaks.
    poller.poll(&mut ready, Some(Duration::from_nanos(1))).expect("usable");
    assert!(!ready.broken(), "a break was told twice");
}

pub(super) fn a_poll_of_nothing_returns_at_once<S: Host>(poller: &Poller<S>) {
    let mut ready = Ready::new();
    for _ in 0..2 {
        assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 0);
        assert!(!ready.broken() && ready.is_empty());
        assert_eq!((ready.len(), ready.stale()), (0, 0));
    }
}

pub(super) fn a_blocking_poll_with_something_to_report_returns<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    put(&writer, b'x');
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, None).expect("usable"), 1);
    assert!(!ready.broken());
    ready.wake_all();
    assert_eq!(done("the read", task.poll()), b"x");
}

pub(super) fn a_break_ends_the_poll_that_comes_after_it<S: Host>(poller: &Poller<S>) {
    for _ in 0..3 {
        poller.wake().expect("a break");
        assert_eq!(broken(poller), 0, "a break wakes no task");
        unbroken(poller);
    }
}

pub(super) fn breaks_before_a_poll_are_one<S: Host>(poller: &Poller<S>) {
    for _ in 0..3 {
        poller.wake().expect("a break");
    }
    broken(poller);
    unbroken(poller);
    assert_eq!(poll(poller), 0);
    poller.wake().expect("a break");
    broken(poller);
}

pub(super) fn a_poll_that_may_not_block_leaves_the_break<S: Host>(poller: &Poller<S>) {
    poller.wake().expect("a break");
    let mut ready = Ready::new();
    for _ in 0..3 {
        assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 0);
        assert!(!ready.broken(), "a poll in passing has stolen the break");
    }
    broken(poller);
    unbroken(poller);
}

pub(super) fn a_break_beside_events_takes_none_away<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    for break_first in [false, true] {
        pending("a read of an empty pipe", task.poll());
        if break_first {
            poller.wake().expect("a break");
        }
        put(&writer, b'x');
        if !break_first {
            poller.wake().expect("a break");
        }
        assert_eq!(broken(poller), 1, "one batch holds both");
        assert_eq!(done("the read", task.poll()), b"x");
        task = reading(&reader);
        unbroken(poller);
    }
}

pub(super) fn a_break_finds_room_beside_a_full_batch<S: Host>(poller: &Poller<S>) {
    let pipes = [(); 3].map(|()| pipe(poller));
    let watch = Watch::new();
    let _waiters = pipes.each_ref().map(|(reader, _)| watch.park(reader, Mode::Read));
    for (_, writer) in &pipes {
        put(writer, b'x');
    }
    poller.wake().expect("a break");
    let mut ready = Ready::with_batch(1);
    let (mut breaks, mut woken) = (0, 0);
    for _ in 0..4 {
        woken += poller.poll(&mut ready, LONG).expect("usable");
        breaks += usize::from(ready.broken());
    }
    drop(ready);
    assert_eq!((breaks, woken, watch.wakes()), (1, 3, 3), "in four polls of one event each");
    unbroken(poller);
}

pub(super) fn a_break_from_a_task_ends_the_next_poll<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let mut task = reading(&reader);
    pending("a read of an empty pipe", task.poll());
    poller.wake().expect("a break");
    put(&writer, b'x');
    assert_eq!(broken(poller), 1);
    assert_eq!(done("the read", task.poll()), b"x");
    poller.clone().wake().expect("a break, while nothing is left of the first");
    broken(poller);
    unbroken(poller);
}
