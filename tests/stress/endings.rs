//! Waits that end for two reasons at once, 20,000 times each, with real threads on the real kernel:
//! readiness against a deadline, a connection against the deadline of its attempt, a close against a
//! parked reader and writer, and late reports against an entry that is used again and again. Every step is counted, and the books balance.
//!
//! A wakeup that is lost shows as a test that does not end. Nothing is asked of how long anything
//! takes: where two threads should meet, one of them spins a number of times that comes from a
//! sequence, so that over the rounds each order is seen.

use crate::backend::{Counted, driven};
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::Poller;
use netpoller::seam::{Event, Instant, Kernel, SocketAddr, System};
use netpoller::source::Source;
use netpoller::{Mode, Reason};
use netpoller_spec::events::Bits;
use netpoller_spec::token::Named;
use netpoller_tests::in_child;
use std::hint::spin_loop;
use std::io::{ErrorKind, Read, Write};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const ROUNDS: u64 = 20_000;

/// How often to spin in this round: between 0 and some microseconds' worth, in no order.
fn spin(round: u64) {
    for _ in 0..round.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54 {
        spin_loop();
    }
}

/// How far away the deadline of this round is: nothing at all in one round of four and an hour in
/// another, so that both ends are seen on every machine; in the others up to `most` nanoseconds.
fn patience(round: u64, most: u64) -> Duration {
    match round % 4 {
        0 => Duration::ZERO,
        1 => Duration::from_secs(3600),
        _ => Duration::from_nanos(round.wrapping_mul(7919) % most),
    }
}

#[test]
fn readiness_against_a_deadline_ends_with_one_of_them() {
    // NP-TIME-5, NP-TIME-7, NP-WAIT-7, NP-SLOT-4
    let (mut in_time, mut late) = (0, 0);
    driven(1, |poller| {
        let (a, b) = poller.stream_pair().expect("a pair");
        let start = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    start.wait();
                    spin(round);
                    assert_eq!(b.try_write(b"x").expect("open"), 1, "round {round}");
                }
            });
            let mut reader = &a;
            for round in 0..ROUNDS {
                start.wait();
                let deadline = poller.now().saturating_add(patience(round, 40_000));
                a.set_read_deadline(Some(deadline)).expect("open");
                match reader.read(&mut [0]) {
                    Ok(bytes) => {
                        assert_eq!(bytes, 1, "round {round}: the end of the stream");
                        in_time += 1;
                    }
                    Err(error) => {
                        assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{error}");
                        assert!(poller.now() >= deadline, "round {round}: early");
                        late += 1;
                        // The byte was not lost with the wait.
                        a.set_read_deadline(None).expect("open");
                        assert_eq!(reader.read(&mut [0]).expect("the byte"), 1, "round {round}");
                    }
                }
            }
        });
    });
    println!("{in_time} in time, {late} late");
    assert_eq!(in_time + late, ROUNDS);
    // A quarter of the rounds has no time, another has more than enough.
    let quarter = ROUNDS / 4;
    assert!(in_time >= quarter && late >= quarter, "{in_time} in time, {late} late");
}

/// How many numbers of this process are open.
fn open_numbers() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list of numbers").count()
}

/// Connects, and is done with the connection: the peer has sent a byte that nobody reads, so that
/// closing resets it, and no port waits for late segments.
fn connect_and_reset(
    poller: &Poller<Counted>,
    there: SocketAddr,
    deadline: Instant,
) -> std::io::Result<()> {
    let stream = TcpStream::connect_by_on(poller, there, Some(deadline))?;
    assert_eq!(stream.deadline(Mode::Write).expect("open"), None, "NP-CONN-3");
    assert_eq!(stream.peer_addr().expect("NP-CONN-1: a peer"), there);
    assert_eq!(stream.peek(&mut [0]).expect("a byte comes"), 1, "the end without a byte");
    stream.close()
}

#[test]
fn a_connection_against_its_deadline_ends_with_one_of_them() {
    // NP-CONN-1, NP-CONN-3, NP-TIME-5, NP-TIME-7
    // In a process of its own, where nobody else opens numbers.
    in_child(
        "endings::a_connection_against_its_deadline_ends_with_one_of_them",
        connect_against_deadlines,
    );
}

fn connect_against_deadlines() {
    let (mut connected, mut late) = (0, 0);
    let before = open_numbers();
    driven(1, |poller| {
        let listener = TcpListener::bind_on(poller, "127.0.0.1:0".parse().expect("an address"))
            .expect("bound");
        let there = listener.local_addr().expect("bound");
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                loop {
                    match listener.accept() {
                        // It may have missed its deadline after the handshake, and be gone.
                        Ok((stream, _from)) => drop(stream.try_write(b"x")),
                        Err(closed) => break closed,
                    }
                }
            });
            for round in 0..ROUNDS {
                let deadline = poller.now().saturating_add(patience(round, 60_000));
                match connect_and_reset(poller, there, deadline) {
                    Ok(()) => connected += 1,
                    Err(error) => {
                        let reason = Reason::of(&error);
                        assert_eq!(reason, Some(Reason::DeadlineExceeded), "{round}: {error}");
                        assert!(poller.now() >= deadline, "round {round}: early");
                        late += 1;
                    }
                }
            }
            listener.close().expect("the first close");
            let closed = server.join().expect("the server panicked");
            assert_eq!(Reason::of(&closed), Some(Reason::Closed), "{closed}");
        });
        let expired = poller.system().ledger().get(|l| &l.expired);
        println!("{expired} while the attempt was under way");
    });
    println!("{connected} connected, {late} late");
    assert_eq!(connected + late, ROUNDS);
    let quarter = ROUNDS / 4;
    assert!(connected >= quarter && late >= quarter, "{connected} connected, {late} late");
    assert_eq!(open_numbers(), before, "numbers were left open");
}

#[test]
fn a_close_against_a_parked_reader_and_writer_ends_both() {
    // NP-WAIT-3, NP-FD-3, NP-FD-4
    driven(1, |poller| {
        let start = Barrier::new(3);
        let pair = std::sync::Mutex::new(None);
        let next = || -> std::sync::Arc<Source<Counted>> {
            pair.lock().expect("no holder panics").clone().expect("a pair for this round")
        };
        let closed = |result: std::io::Result<()>, what, round| {
            let error = result.expect_err("nothing to do");
            assert_eq!(Reason::of(&error), Some(Reason::Closed), "{what}, round {round}");
        };
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    start.wait();
                    let source = next();
                    start.wait();
                    closed((&*source).read_exact(&mut [0]), "the reader", round);
                }
            });
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    start.wait();
                    let source = next();
                    start.wait();
                    closed((&*source).write_all(b"x"), "the writer", round);
                }
            });
            for round in 0..ROUNDS {
                let (a, _b) = poller.stream_pair().expect("a pair");
                while a.try_write(&[0; 65_536]).is_ok() {}
                let a = std::sync::Arc::new(a);
                *pair.lock().expect("no holder panics") = Some(std::sync::Arc::clone(&a));
                start.wait();
                start.wait();
                spin(round);
                a.close().expect("the first close");
            }
        });
        drop(pair);
        let ledger = poller.system().ledger();
        assert_eq!(ledger.get(|l| &l.closed), 2 * ROUNDS, "each end was closed once");
    });
}

/// A report of the first incarnation, late by this many reuses of its entry.
fn late_by(reuses: u32) {
    let poller = Poller::on(Counted::default(), Default::default()).expect("a poller");
    let (fd, writer) = poller.system().kernel().pipe().expect("a pipe");
    let mut source = poller.register(fd).expect("registered");
    let Named::Entry(index, first) = source.token().named() else { panic!("no entry") };
    let stale = [
        Event { token: source.token(), bits: Bits::ERR },
        Event { token: source.token(), bits: Bits::IN.or(Bits::OUT).or(Bits::HUP) },
    ];
    for reuse in 1..=reuses {
        source = poller.register(source.into_fd().expect("registered")).expect("registered");
        let Named::Entry(again, generation) = source.token().named() else { panic!("no entry") };
        assert_eq!((again, generation.get()), (index, first.get() + reuse), "not used again");
        // Where a narrower number would have come round, and everywhere near the end.
        if reuse.is_power_of_two() || reuse > reuses - 16 {
            poller.deliver(&stale);
            let (entries, _flag) = poller.peek();
            let entry = entries[index as usize].1;
            assert!(!entry.info.event_error(), "reuse {reuse}: a stale error: {entry:?}");
            let mut waiter = source.waiter(Mode::Read).expect("the only waiter");
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(waiter.poll_wait(&mut cx).is_pending(), "reuse {reuse}: a stale readiness");
            poller.deliver(&stale);
            assert!(waiter.poll_wait(&mut cx).is_pending(), "reuse {reuse}: woken by a stale one");
        }
    }
    // And the error of the current one is told: Go loses it after 65,535 reuses.
    poller.deliver(&[Event { token: source.token(), bits: Bits::ERR }]);
    let error = (&source).read(&mut [0]).expect_err("not pollable");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    drop(writer);
}

#[test]
fn go_59545_a_report_that_is_late_by_65536_reuses_reaches_nobody() {
    // NP-GEN-1, NP-GEN-2, NP-INFO-5
    late_by(1 << 16);
}

#[test]
fn go_59545_a_report_that_is_late_by_1048576_reuses_reaches_nobody() {
    // NP-GEN-1, NP-GEN-2, NP-INFO-5
    late_by(1 << 20);
}
