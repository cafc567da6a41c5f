//! The thread that polls for programs without a loop: what it survives, and what happens to those
//! who rely on it when it cannot go on.

use netpoller::{Mode, Poller, Real, Reason, portable};
use netpoller_tests::{in_child, sys, undisturbed};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

/// Says that it was woken, and panics.
struct Panics(mpsc::Sender<()>);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.send(()).expect("the test waits for this");
        panic!("this waker panics, on purpose");
    }
}

#[test]
fn a_waker_that_panics_does_not_end_the_driver() {
    let _undisturbed = undisturbed();
    a_panic_is_survived(&Poller::new().expect("a poller"));
    a_panic_is_survived(&portable::Poller::new().expect("a poller"));
}

/// NP-WAKE-2.
fn a_panic_is_survived<S: Real>(poller: &netpoller::poller::Poller<S>) {
    let (a, b) = poller.stream_pair().expect("a pair");
    let (woken, met) = mpsc::channel();
    let waker = Waker::from(Arc::new(Panics(woken)));
    let mut waiter = a.waiter(Mode::Read).expect("nobody else waits");
    let polled = waiter.poll_wait(&mut Context::from_waker(&waker));
    assert!(matches!(polled, Poll::Pending), "nothing was written: {polled:?}");
    let driver = poller.drive().expect("a thread");
    (&b).write_all(b"x").expect("room");
    met.recv().expect("the driver wakes the waker that panics");
    // From here on only a driver that is still there can end a wait.
    let mut waiter = b.waiter(Mode::Read).expect("nobody else waits");
    let polled = waiter.poll_wait(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "nothing was written to b: {polled:?}");
    (&a).write_all(b"y").expect("room");
    waiter.wait().expect("the driver wakes the next waiter");
    drop(driver);
}

#[test]
fn a_driver_without_the_break_of_its_set_ends_all_waits() {
    in_child("a_driver_without_the_break_of_its_set_ends_all_waits", || {
        let poller = portable::Poller::new().expect("a poller");
        let (a, b) = poller.stream_pair().expect("a pair");
        let break_ = poller.queue().own_numbers()[0];
        sys::close_behind_the_back(break_).expect("it was open");
        let driver = poller.drive().expect("a thread");
        let read = (&a).read(&mut [0]).expect_err("nothing was written");
        assert_eq!(Reason::of(&read), Some(Reason::Closed), "{read}");
        // What is left owns a number that is not open any more: it must not be dropped.
        std::mem::forget((driver, poller, a, b));
    });
}

#[test]
fn a_driver_without_an_event_queue_ends_all_waits() {
    in_child("a_driver_without_an_event_queue_ends_all_waits", || {
        let poller = Poller::new().expect("a poller");
        let (a, b) = poller.stream_pair().expect("a pair");
        let driver = poller.drive().expect("a thread");
        let reader = std::thread::spawn(move || (&a).read(&mut [0]));
        let queue = poller.queue().as_fd().as_raw_fd();
        sys::close_behind_the_back(queue).expect("it was open");
        poller.wake().expect("the break still reaches the thread that waits");
        let read = reader.join().expect("the reader panicked").expect_err("nothing was written");
        assert_eq!(Reason::of(&read), Some(Reason::Closed), "{read}");
        // What is left owns a number that is not open any more: it must not be dropped.
        std::mem::forget((driver, poller, b));
    });
}
