//! Who owns a poller, and what is left when an owner goes: handles, sources, drivers, a forked child.

use netpoller::seam::Kernel;
use netpoller::seam::os::{Descriptor, Epoll};
use netpoller::{Mode, Poller, Ready, Reason};
use netpoller_tests::tasks::Wakes;
use netpoller_tests::{in_child, sys, undisturbed};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// A child that registers with its parent's event queue edits the parent's set.
#[test]
fn registering_in_a_forked_child_is_an_error_and_gives_the_descriptor_back() {
    in_child("registering_in_a_forked_child_is_an_error_and_gives_the_descriptor_back", || {
        let poller = Poller::new().expect("a poller");
        let ended = sys::in_fork(|| {
            let (reader, _writer) = Epoll.pipe().expect("a pipe");
            let number = reader.as_raw_fd();
            let (error, fd) = poller.register(reader).expect_err("forked").into_parts();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            assert_eq!(Reason::of(&error), Some(Reason::Forked), "{error}");
            assert_eq!(fd.as_raw_fd(), number, "the descriptor comes back, open");
            // Nor is it taken for one without readiness, which would be read in blocking mode.
            let adopted = poller.adopt(fd).expect_err("forked").into_parts().0;
            assert_eq!(Reason::of(&adopted), Some(Reason::Forked), "{adopted}");
            let driven = poller.drive().expect_err("forked");
            assert_eq!(Reason::of(&driven), Some(Reason::Forked), "{driven}");
            // A poller of its own is fine.
            let own = Poller::new().expect("a poller of the child");
            let (a, b) = own.stream_pair().expect("a pair of the child");
            let _driver = own.drive().expect("a thread of the child");
            (&a).write_all(b"x").expect("room");
            (&b).read_exact(&mut [0]).expect("the byte");
        });
        assert!(ended.expect("forked"), "the child failed: see above");
        assert_eq!(poller.stats().registered, 0);
    });
}

#[test]
fn a_source_that_a_forked_child_drops_stays_registered_in_the_parent() {
    in_child("a_source_that_a_forked_child_drops_stays_registered_in_the_parent", || {
        let (poller, mut ready) = (Poller::new().expect("a poller"), Ready::new());
        let (a, b) = poller.stream_pair().expect("a pair");
        let mut pair = Some((a, b));
        poller.poll(&mut ready, Some(Duration::ZERO)).expect("what is true of both already");
        let ended = sys::in_fork(|| drop(pair.take()));
        assert!(ended.expect("forked"), "the child failed: see above");
        let (a, b) = pair.expect("the child has dropped a copy");
        let mut waiter = a.waiter(Mode::Read).expect("nobody else waits");
        while waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
        (&b).write_all(b"x").expect("room");
        let woken = poller.poll(&mut ready, Some(Duration::ZERO)).expect("the byte");
        assert_eq!(woken, 1, "the parent's registration is gone: {a:?}");
        drop(waiter);
    });
}

#[test]
fn a_poller_lives_as_long_as_a_source_and_its_queue_is_closed_with_the_last() {
    in_child("a_poller_lives_as_long_as_a_source_and_its_queue_is_closed_with_the_last", || {
        let poller = Poller::new().expect("a poller");
        let queue = poller.queue().as_fd().as_raw_fd();
        let (a, b) = poller.stream_pair().expect("a pair");
        drop(poller);
        assert!(sys::is_open(queue), "two sources are left");
        let driver = a.poller().drive().expect("a thread");
        (&b).write_all(b"x").expect("room");
        (&a).read_exact(&mut [0]).expect("the poller of a source that is left still polls");
        drop((driver, a));
        assert!(sys::is_open(queue), "one source is left");
        drop(b);
        assert!(!sys::is_open(queue), "nobody is left, and the event queue is open");
    });
}

#[test]
fn a_future_outlives_the_last_driver_and_is_ended_by_the_next_one_or_by_a_close() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    let driver = poller.drive().expect("a thread");
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let mut cx = Context::from_waker(&waker);
    let mut byte = [0];
    {
        let mut read = pin!(a.async_read(&mut byte));
        assert!(read.as_mut().poll(&mut cx).is_pending(), "nothing was written");
        drop(driver); // wakes whoever is parked, who looks again who is there
        assert!(read.as_mut().poll(&mut cx).is_pending(), "nothing was written");
        let before = wakes.count();
        (&b).write_all(b"x").expect("room");
        let stats = poller.stats();
        assert_eq!(stats.parked, 1, "nobody polls, and the wait was ended: {stats:?}");
        assert_eq!(wakes.count(), before, "nobody polls, and the future was woken");
        let _next = poller.drive().expect("a thread");
        while wakes.count() == before {
            thread::yield_now();
        }
        let ended = read.as_mut().poll(&mut cx);
        assert!(matches!(ended, Poll::Ready(Ok(1))), "the next driver wakes it: {ended:?}");
    }
    thread::scope(|scope| {
        let reader = scope.spawn(|| (&a).read(&mut [0]));
        while poller.stats().parked == 0 {
            thread::yield_now();
        }
        a.close().expect("the first close"); // without anybody who polls
        let closed = reader.join().expect("the reader panicked").expect_err("closed");
        assert_eq!(Reason::of(&closed), Some(Reason::Closed), "{closed}");
    });
}

/// What a descriptor is made of is not lost when the poller refuses it.
#[test]
fn a_descriptor_that_comes_back_is_usable_elsewhere() {
    in_child("a_descriptor_that_comes_back_is_usable_elsewhere", || {
        let poller = Poller::new().expect("a poller");
        let ended = sys::in_fork(|| {
            let (reader, writer) = Epoll.pipe().expect("a pipe");
            let reader: Descriptor = poller.register(reader).expect_err("forked").into_parts().1;
            Epoll.write(&writer, b"x").expect("room");
            assert_eq!(Epoll.read(&reader, &mut [0]).expect("the byte"), 1);
        });
        assert!(ended.expect("forked"), "the child failed: see above");
    });
}
