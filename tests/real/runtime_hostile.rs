//! What foreign code can do to the event queue of a runtime, and what becomes of its tasks then.

use netpoller::runtime::{Builder, Runtime, sleep};
use netpoller::seam::Kernel;
use netpoller::seam::os::{Descriptor, Epoll};
use netpoller::{Poller, Reason};
use netpoller_tests::{in_child, sys, undisturbed};
use std::future::pending;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::mpsc;
use std::time::Duration;

fn on(poller: &Poller, workers: usize) -> Runtime {
    Builder::new().workers(workers).poller(poller).build().expect("threads")
}

#[test]
fn a_runtime_without_an_event_queue_cancels_its_tasks_and_ends_all_waits() {
    in_child("a_runtime_without_an_event_queue_cancels_its_tasks_and_ends_all_waits", || {
        for workers in [1, 2] {
            let poller = Poller::new().expect("a poller");
            let runtime = on(&poller, workers);
            let (a, b) = poller.stream_pair().expect("a pair");
            let stuck = runtime.spawn(pending::<()>());
            let sleeper = runtime.spawn(sleep(Duration::from_secs(3600)));
            let (send, receive) = mpsc::channel();
            let blocked = runtime.spawn_blocking(move || {
                send.send(()).expect("the test waits");
                let read = (&a).read(&mut [0]);
                std::mem::forget(a); // its number is not registered any more
                read
            });
            receive.recv().expect("the call has begun");
            sys::close_behind_the_back(poller.queue().as_fd().as_raw_fd()).expect("it was open");
            poller.wake().expect("the break still reaches the worker that waits");
            assert!(stuck.join().expect_err("nobody could wake it").is_cancelled());
            assert!(sleeper.join().expect_err("nor this one").is_cancelled());
            let read = blocked.join().expect("it had begun").expect_err("nothing was written");
            assert_eq!(Reason::of(&read), Some(Reason::Closed), "{read}");
            assert!(runtime.spawn(async {}).join().expect_err("it has ended").is_cancelled());
            let report = runtime.shutdown(Duration::ZERO);
            assert_eq!((report.completed, report.cancelled), (1, 2));
            // What is left owns a number that is not open any more: it must not be dropped.
            std::mem::forget((poller, b));
        }
    });
}

#[test]
fn foreign_events_do_not_stop_the_workers() {
    let _undisturbed = undisturbed();
    let stranger = sys::eventfd(1).expect("an eventfd");
    for workers in [1, 2] {
        let poller = Poller::new().expect("a poller");
        let runtime = on(&poller, workers);
        let foreign = stranger.try_clone().expect("another number for it");
        // Level-triggered, with an index far above all that were handed out: each poll reports it.
        sys::epoll_add(poller.queue(), &foreign, 0x00ff_ffff_0000_0001).expect("registered");
        let (a, b) = poller.stream_pair().expect("a pair");
        let echo = runtime.spawn(async move {
            let mut byte = [0];
            for _ in 0..50 {
                b.async_read(&mut byte).await.expect("the peer is there");
                b.async_write(&byte).await.expect("the peer is there");
            }
        });
        runtime.block_on(async {
            for round in 0..50 {
                a.async_write(&[round]).await.expect("the peer is there");
                let mut byte = [0];
                a.async_read(&mut byte).await.expect("the peer is there");
                assert_eq!(byte, [round]);
            }
            sleep(Duration::from_micros(100)).await;
        });
        echo.join().expect("no panic");
        Epoll.remove(poller.queue(), &Descriptor::from(foreign)).expect("registered");
    }
}
