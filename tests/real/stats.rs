//! What a poller counts, held against what was done: each figure is exact where nothing races.

use netpoller::{Mode, Poller, Ready, Stats};
use netpoller_tests::undisturbed;
use std::io::Write;
use std::task::{Context, Waker};
use std::time::Duration;

/// What was added between two looks; gauges are those of the second one.
fn since(before: Stats, poller: &Poller) -> Stats {
    let mut now = poller.stats();
    for (now, before) in [
        (&mut now.waits, before.waits),
        (&mut now.blocking_waits, before.blocking_waits),
        (&mut now.events, before.events),
        (&mut now.wakers, before.wakers),
        (&mut now.breaks_taken, before.breaks_taken),
        (&mut now.timers_fired, before.timers_fired),
        (&mut now.timers_superseded, before.timers_superseded),
    ] {
        *now -= before;
    }
    now
}

/// Parks a task that nobody runs.
macro_rules! park {
    ($waiter:ident on $source:expr) => {
        let mut $waiter = $source.waiter(Mode::Read).expect("nobody else waits");
        while $waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
    };
}

#[test]
fn a_byte_is_one_wait_one_event_and_one_waker() {
    let _undisturbed = undisturbed();
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    let (a, b) = poller.stream_pair().expect("a pair");
    poller.poll(&mut ready, Some(Duration::ZERO)).expect("what is true of both already");
    park!(waiter on a);
    let before = poller.stats();
    assert_eq!((before.registered, before.parked), (2, 1), "{before:?}");
    (&b).write_all(b"x").expect("room");
    assert_eq!(poller.poll(&mut ready, None).expect("the byte"), 1);
    let now = since(before, &poller);
    assert_eq!((now.waits, now.blocking_waits, now.events, now.wakers), (1, 1, 1, 1), "{now:?}");
    assert_eq!(now.parked, 0, "the poll has taken the task out: {now:?}");
    poller.poll(&mut ready, Some(Duration::ZERO)).expect("nothing");
    let now = since(before, &poller);
    assert_eq!((now.waits, now.blocking_waits, now.events, now.wakers), (2, 1, 1, 1), "{now:?}");
    drop(waiter);
    drop((a, b));
    assert_eq!(poller.stats().registered, 0);
}

#[test]
fn breaks_are_asked_for_written_suppressed_and_taken() {
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    for _ in 0..3 {
        for _ in 0..4 {
            poller.wake().expect("a token");
        }
        poller.poll(&mut ready, None).expect("the break");
        assert!(ready.broken(), "the poll took the break");
    }
    let stats = poller.stats();
    let breaks = (stats.breaks_asked, stats.breaks_written, stats.breaks_suppressed);
    assert_eq!((breaks, stats.breaks_taken), ((12, 3, 9), 3), "{stats:?}");
}

/// A deadline and a later one, both entered while they were still to come: twice as far away each time
/// that the thread was stopped for too long.
fn two_entries(poller: &Poller, source: &netpoller::Source) -> netpoller::Instant {
    let mut distance = Duration::from_millis(1);
    loop {
        source.set_read_deadline(None).expect("open");
        let later = poller.now().saturating_add(2 * distance);
        source.set_read_deadline(Some(later)).expect("open");
        source.set_read_deadline(Some(poller.now().saturating_add(distance))).expect("open");
        if poller.stats().timers == 2 {
            return later;
        }
        distance *= 2;
        while poller.now() <= later {}
        poller.poll(&mut Ready::new(), Some(Duration::ZERO)).expect("what has come of it");
    }
}

#[test]
fn a_deadline_fires_and_the_entry_that_it_has_superseded_is_told_apart() {
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    let (a, _b) = poller.stream_pair().expect("a pair");
    park!(waiter on a);
    let later = two_entries(&poller, &a);
    let before = poller.stats();
    while poller.now() <= later {}
    poller.poll(&mut ready, Some(Duration::ZERO)).expect("the deadline");
    let now = since(before, &poller);
    assert_eq!((now.timers_fired, now.timers_superseded, now.timers), (1, 1, 0), "{now:?}");
    drop(waiter);
}

#[test]
fn an_event_of_nobody_is_counted_as_foreign_and_one_for_a_closed_descriptor_as_stale() {
    let _undisturbed = undisturbed();
    let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
    let (a, b) = poller.stream_pair().expect("a pair");
    let gone = b.token();
    drop(b);
    let eventfds = [(); 2].map(|()| netpoller_tests::sys::eventfd(1).expect("an eventfd"));
    for (eventfd, data) in eventfds.iter().zip([gone.bits(), u64::MAX >> 1]) {
        netpoller_tests::sys::epoll_add(poller.queue(), eventfd, data).expect("room");
    }
    poller.poll(&mut ready, Some(Duration::ZERO)).expect_err("an event of nobody");
    let stats = poller.stats();
    assert_eq!((stats.foreign_events, stats.stale_events), (1, 1), "{stats:?}");
    assert!(stats.events >= 3, "theirs, and the end of the stream of {a:?}: {stats:?}");
}
