//! Who polls when nobody drives: programs whose threads block and that have no driver, those whose
//! driver comes and goes, and the thread of the global poller.

use netpoller::{Poller, Ready, Reason, Source};
use netpoller_tests::tasks::block_on;
use netpoller_tests::{in_child, undisturbed};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn read_byte(mut source: &Source) -> u8 {
    let mut byte = [0];
    source.read_exact(&mut byte).expect("a byte comes");
    byte[0]
}

fn write_byte(mut source: &Source, byte: u8) {
    source.write_all(&[byte]).expect("there is room");
}

/// Comes back when a thread that waits polls: it is in the kernel, or about to be.
fn until_a_waiter_polls(poller: &Poller) {
    while !poller.peek_turn_is_in_kernel() {
        thread::yield_now();
    }
}

/// Sends a byte there and back, `rounds` times. Returns how many came back.
fn ping(source: &Source, rounds: usize) -> usize {
    (0..rounds)
        .filter(|round| {
            write_byte(source, *round as u8);
            read_byte(source) == *round as u8
        })
        .count()
}

fn pong(source: &Source, rounds: usize) {
    for _ in 0..rounds {
        write_byte(source, read_byte(source));
    }
}

/// NP-TURN-1, NP-TURN-2.
#[test]
fn blocking_reads_need_no_driver() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    let echo = thread::spawn(move || pong(&b, 1000));
    assert_eq!(ping(&a, 1000), 1000, "rounds that came back");
    echo.join().expect("the echo");
    assert!(poller.peek_turns_are_idle(), "somebody sits on the bench and waits for nothing");
}

/// NP-TURN-2, NP-TURN-3.
#[test]
fn eight_threads_in_pairs_finish_all_their_rounds_without_a_driver() {
    const ROUNDS: usize = 2000;
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let rounds = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            let (a, b) = poller.stream_pair().expect("a pair");
            scope.spawn(move || pong(&b, ROUNDS));
            let rounds = &rounds;
            scope.spawn(move || rounds.fetch_add(ping(&a, ROUNDS), Ordering::Relaxed));
        }
    });
    assert_eq!(rounds.into_inner(), 4 * ROUNDS, "rounds that came back");
    assert!(poller.peek_turns_are_idle(), "somebody sits on the bench and waits for nothing");
}

/// NP-TURN-1, NP-TIME-12: of two that wait, the one without a deadline polls.
#[test]
fn a_deadline_comes_without_a_driver() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    let (timed, _unused) = poller.stream_pair().expect("a pair");
    let reader = thread::spawn(move || read_byte(&b));
    until_a_waiter_polls(&poller);
    let soon = poller.now().saturating_add(Duration::from_millis(2));
    timed.set_read_deadline(Some(soon)).expect("open");
    let late = (&timed).read(&mut [0]).expect_err("nothing was written");
    assert_eq!(Reason::of(&late), Some(Reason::DeadlineExceeded), "{late}");
    assert!(poller.now() >= soon, "NP-TIME-5: the read ended before its deadline");
    write_byte(&a, 7);
    assert_eq!(reader.join().expect("the reader"), 7);
}

/// NP-TURN-4.
#[test]
fn a_close_gets_the_reader_out_that_polls() {
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, _b) = poller.stream_pair().expect("a pair");
    thread::scope(|scope| {
        let reader = scope.spawn(|| (&a).read(&mut [0]));
        until_a_waiter_polls(&poller);
        a.close().expect("it was open");
        let read = reader.join().expect("the reader").expect_err("nothing was written");
        assert_eq!(Reason::of(&read), Some(Reason::Closed), "{read}");
    });
}

/// NP-TURN-5, NP-TURN-6, NP-TURN-8.
#[test]
fn a_driver_that_comes_and_goes_loses_no_round() {
    const ROUNDS: usize = 2000;
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let over = AtomicBool::new(false);
    let turnovers = thread::scope(|scope| {
        let pairs: Vec<_> = (0..2)
            .map(|_| {
                let (a, b) = poller.stream_pair().expect("a pair");
                scope.spawn(move || pong(&b, ROUNDS));
                scope.spawn(move || ping(&a, ROUNDS))
            })
            .collect();
        let drivers = scope.spawn(|| {
            let mut turnovers = 0;
            while !over.load(Ordering::Acquire) {
                drop(poller.drive().expect("a thread"));
                turnovers += 1;
            }
            turnovers
        });
        for pair in pairs {
            assert_eq!(pair.join().expect("a pair"), ROUNDS, "rounds that came back");
        }
        over.store(true, Ordering::Release);
        drivers.join().expect("the drivers")
    });
    assert!(turnovers > 0, "no driver came");
    assert!(poller.peek_turns_are_idle(), "somebody sits on the bench and waits for nothing");
}

/// NP-TURN-7, NP-TURN-5.
#[test]
fn a_loop_that_is_not_attached_gets_its_breaks_beside_blocking_reads() {
    const BREAKS: usize = 500;
    let _undisturbed = undisturbed();
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    let (work, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| read_byte(&b));
        scope.spawn(|| {
            let mut ready = Ready::new();
            while done.load(Ordering::Relaxed) < BREAKS {
                poller.poll(&mut ready, None).expect("the queue is usable");
                ready.wake_all();
                done.store(work.load(Ordering::Acquire), Ordering::Release);
            }
        });
        for number in 1..=BREAKS {
            work.store(number, Ordering::Release);
            poller.wake().expect("a token");
            // Hangs here if the loop sleeps over it.
            while done.load(Ordering::Acquire) < number {
                thread::yield_now();
            }
        }
        write_byte(&a, 7);
        assert_eq!(reader.join().expect("the reader"), 7);
    });
}

/// How many threads this process has, those included that have been started and have not run yet.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("the list of threads").count()
}

/// NP-TURN-9.
#[test]
fn the_global_poller_starts_a_thread_for_the_first_future_and_not_before() {
    in_child("the_global_poller_starts_a_thread_for_the_first_future_and_not_before", || {
        let before = threads();
        let poller = Poller::global().expect("a poller");
        assert_eq!(threads(), before, "threads, after global() alone");

        let (a, b) = poller.stream_pair().expect("a pair");
        let (go, gone) = mpsc::channel::<()>();
        let reader = thread::spawn(move || {
            let byte = read_byte(&b);
            gone.recv().expect("the test lets it go");
            (b, byte)
        });
        until_a_waiter_polls(poller);
        write_byte(&a, 1);
        while poller.peek_turn_is_in_kernel() {
            thread::yield_now();
        }
        assert_eq!(threads(), before + 1, "threads, the reader being one, after a blocking read");

        let (c, d) = poller.stream_pair().expect("a pair");
        let mut byte = [0];
        for number in 2..5 {
            let got = block_on(c.async_read(&mut byte), || write_byte(&d, number));
            assert_eq!((got.expect("a byte comes"), byte[0]), (1, number));
            assert_eq!(threads(), before + 2, "threads, the reader being one, after an async read");
        }

        // The thread retires while somebody drives, and takes over again.
        let attached = poller.attach();
        assert!(!poller.peek_turn_is_in_kernel(), "NP-TURN-5: the thread is in the kernel");
        let mut ready = Ready::new();
        let got = block_on(c.async_read(&mut byte), || {
            write_byte(&d, 5);
            poller.poll(&mut ready, None).expect("the queue is usable");
            ready.wake_all();
        });
        assert_eq!((got.expect("a byte comes"), byte[0]), (1, 5));
        let mut attached = Some(attached);
        let got = block_on(c.async_read(&mut byte), || {
            attached = None;
            write_byte(&d, 6);
        });
        assert_eq!((got.expect("a byte comes"), byte[0]), (1, 6));
        assert_eq!(threads(), before + 2, "threads, the reader being one, after all of that");
        go.send(()).expect("the reader waits for it");
        assert_eq!(reader.join().expect("the reader").1, 1);
    });
}
