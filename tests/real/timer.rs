//! Timers without a descriptor, on the real kernel: what is behind `sleep` of a runtime, and useful
//! without one.

use netpoller::{Poller, Ready, Timer};
use netpoller_spec::slot::State;
use netpoller_tests::tasks::Wakes;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Polls until nobody sleeps any more who was to be woken, so often as that takes.
fn poll_until(poller: &Poller, woken: impl Fn() -> bool) {
    let mut ready = Ready::new();
    while !woken() {
        poller.poll(&mut ready, None).expect("the queue is usable");
        ready.wake_all();
    }
}

/// Sees that the entries of a poller that has no users hold nothing but timers that were superseded.
fn assert_nothing_left(poller: &Poller) {
    for (index, entry) in poller.peek().0 {
        assert_eq!(entry.wakers, [false; 2], "a waker was left in entry {index}: {entry:?}");
        for slot in entry.slots {
            assert_eq!(slot.state(), State::Nil, "entry {index} is not in use: {entry:?}");
        }
    }
}

#[test]
fn a_timer_is_never_early() {
    // NP-TIME-5
    let poller = Poller::new().expect("a poller");
    let _driver = poller.drive().expect("a thread");
    let mut timer = poller.timer().expect("an entry");
    for round in 0..300_u32 {
        let at = poller.now().saturating_add(Duration::from_micros(u64::from(round % 50)));
        timer.set(Some(at)).expect("the poller lives");
        timer.wait().expect("the poller lives");
        let now = poller.now();
        assert!(now >= at, "round {round}: due at {at:?}, and it is {now:?}");
    }
}

#[test]
fn a_timer_set_in_the_past_expires_in_the_call_and_stays_so_until_it_is_set_again() {
    // NP-TIME-2, NP-TIME-3
    let poller = Poller::new().expect("a poller");
    let mut timer = poller.timer().expect("an entry");
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    assert!(timer.poll_expired(&mut cx).is_pending(), "it is not set");
    timer.set(Some(poller.now())).expect("the poller lives");
    assert_eq!(wakes.count(), 1, "nobody polls, and the task was not woken");
    for _ in 0..2 {
        assert!(matches!(timer.poll_expired(&mut cx), Poll::Ready(Ok(()))), "it has expired");
    }
    timer.set(Some(poller.now().saturating_add(HOUR))).expect("the poller lives");
    assert!(timer.poll_expired(&mut cx).is_pending(), "it was set again");
    timer.set(None).expect("the poller lives");
    assert!(timer.poll_expired(&mut cx).is_pending(), "it was taken away");
    assert_eq!(timer.get().expect("the poller lives"), None);
    drop(timer);
    assert_eq!(wakes.count(), 1, "nothing else has come");
    assert_nothing_left(&poller);
}

#[test]
fn an_earlier_timer_breaks_the_poller_that_would_sleep_past_it() {
    // NP-TIME-12. Were the sleeper not broken, it would sleep for an hour.
    let poller = Poller::new().expect("a poller");
    let late = poller.timer().expect("an entry");
    late.set(Some(poller.now().saturating_add(HOUR))).expect("the poller lives");
    let _driver = poller.drive().expect("a thread");
    let mut soon = poller.timer().expect("an entry");
    for _ in 0..200 {
        // The driver sleeps, or is about to: in whatever order, it has to see this one.
        soon.set(Some(poller.now().saturating_add(Duration::from_micros(100)))).expect("alive");
        soon.wait().expect("the poller lives");
    }
}

#[test]
fn timers_expire_in_the_order_of_their_instants_and_take_no_descriptor() {
    let poller = Poller::new().expect("a poller");
    let base = poller.now();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    // More than a process has descriptors by default.
    let mut timers: Vec<Timer> = (0..3000)
        .map(|number| {
            let timer = poller.timer().expect("an entry");
            timer.set(Some(base.saturating_add(Duration::from_micros(number)))).expect("alive");
            timer
        })
        .collect();
    let mut waiting = 0;
    for timer in &mut timers {
        waiting += usize::from(timer.poll_expired(&mut cx).is_pending());
    }
    poll_until(&poller, || wakes.count() == waiting);
    let now = poller.now();
    for (number, timer) in timers.iter_mut().enumerate() {
        assert!(timer.poll_expired(&mut cx).is_ready(), "timer {number} was due before {now:?}");
    }
    drop(timers);
    assert_nothing_left(&poller);
}

#[test]
fn a_timer_that_is_dropped_while_it_fires_wakes_nobody_of_its_successor() {
    // NP-GEN-2, NP-TIME-6, NP-TIME-10
    let poller = Poller::new().expect("a poller");
    let _driver = poller.drive().expect("a thread");
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    for round in 0..2000_u32 {
        let mut first = poller.timer().expect("an entry");
        let at = poller.now().saturating_add(Duration::from_micros(u64::from(round % 30)));
        first.set(Some(at)).expect("the poller lives");
        let _ready_or_not = first.poll_expired(&mut cx);
        drop(first);
        // The entry that was freed last is used first: this one has the place of the first.
        let mut second = poller.timer().expect("an entry");
        assert!(second.poll_expired(&mut cx).is_pending(), "round {round}: it was never set");
        let at = poller.now().saturating_add(HOUR);
        second.set(Some(at)).expect("the poller lives");
        thread::yield_now();
        assert!(second.poll_expired(&mut cx).is_pending(), "round {round}: it is not due");
    }
    let entries = poller.peek().0.len();
    assert_eq!(entries, 64, "the entries of 4000 timers, one at a time, were not used again");
    assert_nothing_left(&poller);
}
