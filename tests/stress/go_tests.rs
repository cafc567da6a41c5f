//! Stress tests of Go that concern deadlines and descriptors, with real threads on the real kernel.
//! `models/src/behaviour/GO-TESTS.md` says which tests of Go are followed where.
//!
//! A wait that is lost shows as a test that does not end.

use crate::backend::{Poller, Ready, driven};
use netpoller::seam::System;
use netpoller::source::Source;
use netpoller::{Mode, Reason};
use netpoller_models::oracle;
use std::io::{self, Read, Write};
use std::thread;
use std::time::Duration;

/// The bytes of a read or write, or none at its deadline, which is the one error that is allowed.
fn done_or_timed_out(result: io::Result<usize>) -> usize {
    result.unwrap_or_else(|error| {
        assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{error}");
        0
    })
}

fn set<S: System>(source: &Source<S>, delay: Duration) {
    let deadline = source.poller().now().saturating_add(delay);
    source.set_deadline(Some(deadline)).expect("open");
}

/// Follows Go's `net.TestReadWriteDeadlineRace` and `os.TestReadWriteDeadlineRace`: deadlines of 2 µs
/// pass while others read and write.
#[test]
fn deadlines_that_pass_while_others_read_and_write_end_them_or_do_not() {
    const ROUNDS: usize = 1000;
    driven(1, |poller| {
        let (here, there) = poller.stream_pair().expect("a pair");
        // No read or write below has to wait for ever, whichever comes first.
        set(&here, Duration::from_micros(2));
        let (read, written) = thread::scope(|scope| {
            scope.spawn(|| (0..ROUNDS).for_each(|_| set(&here, Duration::from_micros(2))));
            let reads = scope.spawn(|| {
                (0..ROUNDS).map(|_| done_or_timed_out((&here).read(&mut [0]))).sum::<usize>()
            });
            let writes = scope.spawn(|| {
                (0..ROUNDS).map(|_| done_or_timed_out((&here).write(b"x"))).sum::<usize>()
            });
            (reads.join().expect("no panic"), writes.join().expect("no panic"))
        });
        assert_eq!(read, 0, "nothing was sent");
        drop(here);
        let mut bytes = Vec::new();
        (&there).read_to_end(&mut bytes).expect("the end");
        assert_eq!(bytes.len(), written, "a write that failed has sent something, or the reverse");
    });
}

/// Follows Go's `net.TestConcurrentSetDeadline` (Go #35367): eight threads set the deadlines of ten
/// connections, and the entries of all descriptors share one queue.
#[test]
fn go_35367_eight_threads_set_the_deadlines_of_ten_connections() {
    const THREADS: u32 = 8;
    const ROUNDS: u32 = 100;
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let pairs: Vec<_> = (0..10).map(|_| poller.stream_pair().expect("a pair")).collect();
    thread::scope(|scope| {
        let readers: Vec<_> = pairs
            .iter()
            .map(|(here, _)| scope.spawn(move || (&*here).read(&mut [0]).map(drop)))
            .collect();
        let pairs = &pairs;
        let setters: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        for (here, _) in pairs {
                            let minutes = u64::from(1 + (thread + round) % THREADS);
                            set(here, Duration::from_secs(60 * minutes));
                        }
                    }
                })
            })
            .collect();
        for setter in setters {
            setter.join().expect("no panic");
        }
        for (here, _) in pairs {
            set(here, Duration::from_millis(1));
        }
        for (place, reader) in readers.into_iter().enumerate() {
            let error = reader.join().expect("no panic").expect_err("nothing was sent");
            let reason = Reason::of(&error);
            assert_eq!(reason, Some(Reason::DeadlineExceeded), "connection {place}: {error}");
        }
    });
    drop((pairs, driver));
    // Takes a break that came after the last poll of the driver.
    poller.wake().expect("a token");
    poller.poll(&mut Ready::new(), None).expect("the break");
    // Deadlines that were moved back have left entries behind, no more than are allowed.
    oracle::quiescent(&poller, false);
}

/// Follows Go's `net.TestVariousDeadlines`: from a nanosecond to a quarter of a second.
#[test]
fn a_deadline_of_any_length_ends_the_read_and_never_early() {
    let lengths = [1, 5, 25, 125, 1_000, 25_000, 1_000_000, 25_000_000, 250_000_000];
    driven(1, |poller| {
        for delay in lengths.map(Duration::from_nanos) {
            let (here, _there) = poller.stream_pair().expect("a pair");
            let deadline = poller.now().saturating_add(delay);
            here.set_read_deadline(Some(deadline)).expect("open");
            let error = (&here).read(&mut [0]).expect_err("nothing was sent");
            assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{delay:?}: {error}");
            assert!(poller.now() >= deadline, "{delay:?}: the read ended early");
        }
    });
}

/// Follows Go's `os.TestFdReadRace`: asking for the number does not wait for a read that waits.
#[test]
fn the_number_is_lent_while_a_read_waits() {
    driven(1, |poller| {
        let (reader, writer) = poller.pipe().expect("a pipe");
        thread::scope(|scope| {
            let reading = scope.spawn(|| (&reader).read(&mut [0]));
            while !reader.peek_lock().held(Mode::Read) {
                thread::yield_now();
            }
            drop(reader.fd().expect("open"));
            assert!(!reading.is_finished(), "the read did not wait");
            (&writer).write_all(b"x").expect("room");
            assert_eq!(reading.join().expect("no panic").expect("the byte"), 1);
        });
    });
}
