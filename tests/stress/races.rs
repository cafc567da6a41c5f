//! The races of the protocol, with real threads on the real kernel, and books that must balance.
//!
//! What `netpoller-models` shows on all interleavings of a few steps is run here on some
//! interleavings of many: with the processor's own memory model, with the kernel's own order of
//! events. Every step of the state machine is counted ([`Counted`]); in the end as many tasks
//! were released as have parked, and nothing is left in any slot.
//!
//! A wakeup that is lost shows as a test that does not end.

use crate::backend::{Counted, driven};
use netpoller::Mode;
use netpoller::Reason;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::source::Source;
use netpoller_tests::driven::assert_nothing_left;
use std::io::{ErrorKind, Read, Write};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

const ROUNDS: u64 = 2000;

/// Reads a byte, parking where there is none.
fn read(mut source: &Source<Counted>) -> Result<usize, Reason> {
    source.read(&mut [0]).map_err(|error| Reason::of(&error).expect("an error of the poller"))
}

#[test]
fn a_wait_that_races_with_an_edge_and_a_close_ends_with_one_of_them() {
    // NP-WAIT-3, NP-WAIT-6, NP-WAIT-7
    driven(1, |poller| {
        for round in 0..ROUNDS {
            let (a, b) = poller.stream_pair().expect("a pair");
            let start = Barrier::new(3);
            let outcome = thread::scope(|scope| {
                let waiting = scope.spawn(|| {
                    start.wait();
                    read(&a)
                });
                scope.spawn(|| {
                    start.wait();
                    match b.try_write(b"x") {
                        Ok(written) => assert_eq!(written, 1, "round {round}: room for a byte"),
                        Err(error) => assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}"),
                    }
                });
                start.wait();
                a.close().expect("the first close");
                waiting.join().expect("the waiting thread panicked")
            });
            match outcome {
                Ok(bytes) => assert_eq!(bytes, 1, "round {round}: woken for nothing"),
                Err(reason) => assert_eq!(reason, Reason::Closed, "round {round}"),
            }
            assert_eq!(read(&a), Err(Reason::Closed), "round {round}: closing is for good");
        }
        let ledger = poller.system().ledger();
        assert_eq!(ledger.get(|l| &l.closed), 2 * ROUNDS, "each end was closed once");
    });
}

#[test]
fn closing_ends_the_waits_of_both_directions() {
    // NP-WAIT-3
    driven(2, |poller| {
        for _ in 0..ROUNDS {
            let (a, _b) = poller.stream_pair().expect("a pair");
            while a.try_write(&[0; 4096]).is_ok() {}
            let start = Barrier::new(3);
            thread::scope(|scope| {
                let reading = scope.spawn(|| {
                    start.wait();
                    (&a).read_exact(&mut [0])
                });
                let writing = scope.spawn(|| {
                    start.wait();
                    (&a).write_all(b"x")
                });
                start.wait();
                a.close().expect("the first close");
                for (what, thread) in [("read", reading), ("write", writing)] {
                    let error = thread.join().expect("no panic").expect_err("nothing to do");
                    assert_eq!(Reason::of(&error), Some(Reason::Closed), "{what}: {error}");
                }
            });
        }
    });
}

#[test]
fn a_wait_that_is_given_up_leaves_the_edge_to_the_next_one() {
    // NP-SLOT-7
    driven(1, |poller| {
        let (a, b) = poller.stream_pair().expect("a pair");
        let turn = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..4 * ROUNDS {
                    while turn.load(Ordering::Acquire) <= round {
                        thread::yield_now();
                    }
                    b.try_write(&[round as u8]).expect("room for a byte");
                }
            });
            for round in 0..4 * ROUNDS {
                let mut byte = [0];
                let mut waiter = a.waiter(Mode::Read).expect("the only waiter");
                waiter.prepare().expect("open");
                a.try_read(&mut byte).expect_err("nothing was written");
                drop(waiter);
                turn.store(round + 1, Ordering::Release);
                // From here on no system call looks: only the edge can tell.
                while a.try_read_after_giving_up((round % 8) as usize, &mut byte) == 0 {}
                assert_eq!(byte, [round as u8], "a byte was lost, doubled or overtaken");
            }
        });
    });
}

trait GiveUp {
    fn try_read_after_giving_up(&self, times: usize, byte: &mut [u8; 1]) -> usize;
}

impl GiveUp for Source<Counted> {
    /// Parks and gives up some times, then waits for good; reads once an edge was consumed.
    fn try_read_after_giving_up(&self, times: usize, byte: &mut [u8; 1]) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let consumed = (0..times).any(|_| {
            let mut waiter = self.waiter(Mode::Read).expect("the only waiter");
            let polled = waiter.poll_wait(&mut cx);
            thread::yield_now(); // time for an edge to meet a wait that is about to be given up
            matches!(polled, Poll::Ready(Ok(())))
        });
        if !consumed {
            let mut waiter = self.waiter(Mode::Read).expect("nobody else waits");
            waiter.wait().expect("nobody closes");
        }
        self.try_read(byte).unwrap_or(0)
    }
}

#[test]
fn descriptors_that_come_and_go_never_see_each_others_data() {
    // NP-GEN-1, NP-GEN-2: the slab of one segment is used again and again, with edges under way.
    const THREADS: u8 = 3;
    driven(2, |poller| {
        thread::scope(|scope| {
            for tag in 0..THREADS {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let (a, b) = poller.stream_pair().expect("a pair");
                        b.try_write(&[tag; 3]).expect("room for three bytes");
                        if round % 3 == 0 {
                            continue; // both ends go while their edges are under way
                        }
                        let mut bytes = [u8::MAX; 3];
                        (&a).read_exact(&mut bytes).expect("three bytes");
                        assert_eq!(bytes, [tag; 3], "the bytes of another descriptor");
                        drop(b);
                        let end = (&a).read_exact(&mut [0]).expect_err("the end");
                        assert_eq!(end.kind(), std::io::ErrorKind::UnexpectedEof, "{end}");
                    }
                });
            }
        });
        let ledger = poller.system().ledger();
        assert_eq!(ledger.get(|l| &l.freed), 2 * u64::from(THREADS) * ROUNDS);
    });
}

#[test]
fn no_break_is_lost_however_many_threads_break_and_poll() {
    // NP-BREAK-1, NP-BREAK-2, NP-BREAK-4
    const BREAKERS: usize = 3;
    let poller = Poller::on(Counted::default(), Shape::default()).expect("a poller");
    let asked: [AtomicU64; BREAKERS] = Default::default();
    let answered: [AtomicU64; BREAKERS] = Default::default();
    let breaking = AtomicU64::new(BREAKERS as u64);
    thread::scope(|scope| {
        let poll = || {
            let mut ready = Ready::new();
            while breaking.load(Ordering::Acquire) > 0 {
                poller.poll(&mut ready, None).expect("a break");
                // Relaxed: that the work of a breaker is seen is what the break promises.
                for (asked, answered) in asked.iter().zip(&answered) {
                    let work = asked.load(Ordering::Relaxed);
                    answered.fetch_max(work, Ordering::Release);
                }
            }
            poller.wake().expect("the other poller ends too");
        };
        scope.spawn(poll);
        scope.spawn(poll);
        for (asked, answered) in asked.iter().zip(&answered) {
            let (poller, breaking) = (&poller, &breaking);
            scope.spawn(move || {
                for round in 1..=10 * ROUNDS {
                    asked.store(round, Ordering::Relaxed);
                    poller.wake().expect("a token");
                    while answered.load(Ordering::Acquire) < round {
                        thread::yield_now();
                    }
                }
                breaking.fetch_sub(1, Ordering::AcqRel);
                poller.wake().expect("a token");
            });
        }
    });
    assert_nothing_left(&poller);
}

#[test]
fn a_poll_that_may_not_block_does_not_eat_the_break_of_one_that_does() {
    // NP-BREAK-3
    let poller = Poller::on(Counted::default(), Shape::default()).expect("a poller");
    let over = AtomicBool::new(false);
    let returned = AtomicU64::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut ready = Ready::new();
            while !over.load(Ordering::Acquire) {
                let none = poller.poll(&mut ready, Some(std::time::Duration::ZERO));
                assert_eq!(none.expect("nothing"), 0);
                assert!(!ready.broken(), "a poll that did not block took the break");
                thread::yield_now();
            }
        });
        scope.spawn(|| {
            let mut ready = Ready::new();
            for _ in 0..ROUNDS {
                poller.poll(&mut ready, None).expect("a break");
                returned.fetch_add(1, Ordering::Release);
            }
        });
        for round in 0..ROUNDS {
            poller.wake().expect("a token");
            while returned.load(Ordering::Acquire) <= round {
                thread::yield_now();
            }
        }
        over.store(true, Ordering::Release);
    });
    assert_nothing_left(&poller);
}
