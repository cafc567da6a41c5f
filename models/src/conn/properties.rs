//! The eleven properties.

use super::pair::{Histogram, Pair, count_all, done_or_timed_out, echo, timed_out};
use netpoller::seam::{Instant, System};
use netpoller::{Mode, Reason};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// A deadline that has passed: the clocks are past it before a property begins.
const PAST: Option<Instant> = Some(Instant::from_nanos(1));
/// What deadlines of the near future are made of.
const SOON: Duration = Duration::from_millis(1);
/// Threads that compete, and rounds of each.
const THREADS: u8 = 10;
const ROUNDS: usize = 10;

/// Different bytes at different places, with a period that is no power of two.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251) as u8).collect()
}

/// A message goes there and comes back, with no deadline.
#[track_caller]
fn round_trip<S: System>(pair: &Pair<S>) {
    pair.here.set_both(None).expect("open");
    let (sent, mut answer) = (pattern(777), [0; 777]);
    pair.here.write_all(&sent).expect("the message");
    pair.here.read_exact(&mut answer).expect("the answer");
    assert!(answer[..] == sent, "another message came back");
}

/// Go: `BasicIO`. What is written at one end is read at the other one, each byte once and in its
/// order, and then the end.
pub(super) fn basic_io<S: System>(pair: &Pair<S>) {
    let sent = pattern(1 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            pair.guard(|| {
                for chunk in sent.chunks(1000) {
                    pair.here.write_all(chunk).expect("the other end reads");
                }
                pair.here.close().expect("the first close");
            });
        });
        pair.guard(|| {
            let (mut got, mut buffer) = (Vec::new(), [0; 1024]);
            loop {
                match pair.there.read(&mut buffer).expect("bytes or the end") {
                    0 => break,
                    count => got.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(got.len(), sent.len(), "bytes were lost or came twice");
            assert!(got == sent, "bytes changed their order");
            pair.there.close().expect("the first close");
        });
    });
}

/// Go: `PingPong`. Two ends that answer each other count together.
pub(super) fn ping_pong<S: System>(pair: &Pair<S>) {
    let (here, there) = (&pair.here, &pair.there);
    thread::scope(|scope| {
        scope.spawn(|| {
            pair.guard(|| {
                let mut number = [0; 8];
                for expected in (0..200_u64).step_by(2) {
                    there.read_exact(&mut number).expect("a number");
                    assert_eq!(u64::from_le_bytes(number), expected, "it came out of turn");
                    there.write_all(&(expected + 1).to_le_bytes()).expect("room");
                }
            });
        });
        pair.guard(|| {
            let mut number = [0; 8];
            for sent in (0..200_u64).step_by(2) {
                here.write_all(&sent.to_le_bytes()).expect("room");
                here.read_exact(&mut number).expect("the next number");
                assert_eq!(u64::from_le_bytes(number), sent + 1, "it came out of turn");
            }
        });
    });
}

/// Go: `RacyRead`. Readers that compete, with deadlines that pass meanwhile: a read that fails has
/// taken nothing, so no byte is lost and none comes twice.
pub(super) fn racy_read<S: System>(pair: &Pair<S>) {
    let over = AtomicBool::new(false);
    let bytes = pattern(1000);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            pair.guard(|| {
                let mut sent = Histogram::new();
                while !over.load(Ordering::Acquire) {
                    let count = pair.there.write(&bytes).expect("the other end reads");
                    sent.add(&bytes[..count]);
                }
                pair.there.close().expect("the first close");
                sent
            })
        });
        let read = |_| {
            scope.spawn(|| {
                pair.guard(|| {
                    let (mut got, mut buffer) = (Histogram::new(), [0; 1024]);
                    for _ in 0..ROUNDS {
                        match done_or_timed_out("a read", pair.here.read(&mut buffer)) {
                            Some(count) => got.add(&buffer[..count]),
                            None => {
                                let soon = Some(pair.after(SOON));
                                pair.here.set(Mode::Read, soon).expect("open");
                            }
                        }
                    }
                    got
                })
            })
        };
        pair.guard(|| {
            pair.here.set(Mode::Read, Some(pair.after(SOON))).expect("open");
            let readers: Vec<_> = (0..THREADS).map(read).collect();
            let mut got = Histogram::new();
            for reader in readers {
                got.merge(&reader.join().expect("a reader panicked"));
            }
            over.store(true, Ordering::Release);
            pair.here.set(Mode::Read, None).expect("open");
            got.merge(&count_all(&pair.here));
            assert_eq!(got, writer.join().expect("the writer panicked"), "read against written");
        });
    });
}

/// Go: `RacyWrite`. Writers that compete, with deadlines that pass meanwhile: a write that fails has
/// sent nothing, one that succeeds as much as it says.
pub(super) fn racy_write<S: System>(pair: &Pair<S>) {
    thread::scope(|scope| {
        let reader = scope.spawn(|| pair.guard(|| count_all(&pair.there)));
        let write = |own: u8| {
            scope.spawn(move || {
                pair.guard(|| {
                    let (mut sent, bytes) = (Histogram::new(), [own; 1024]);
                    for _ in 0..ROUNDS {
                        match done_or_timed_out("a write", pair.here.write(&bytes)) {
                            Some(count) => sent.add(&bytes[..count]),
                            None => {
                                let soon = Some(pair.after(SOON));
                                pair.here.set(Mode::Write, soon).expect("open");
                            }
                        }
                    }
                    sent
                })
            })
        };
        pair.guard(|| {
            pair.here.set(Mode::Write, Some(pair.after(SOON))).expect("open");
            let writers: Vec<_> = (0..THREADS).map(write).collect();
            let mut sent = Histogram::new();
            for writer in writers {
                sent.merge(&writer.join().expect("a writer panicked"));
            }
            pair.here.close().expect("the first close");
            assert_eq!(reader.join().expect("the reader panicked"), sent, "read against written");
        });
    });
}

/// Go: `ReadTimeout`. A read deadline does not end a write.
pub(super) fn read_timeout<S: System>(pair: &Pair<S>) {
    thread::scope(|scope| {
        let reader = scope.spawn(|| pair.guard(|| count_all(&pair.there)));
        pair.guard(|| {
            pair.here.set(Mode::Read, PAST).expect("open");
            timed_out("a late read", pair.here.read(&mut [0; 64]));
            // More than fits, so that it waits for room as well.
            let bytes = pattern(1 << 18);
            pair.here.write_all(&bytes).expect("a write has no deadline");
            pair.here.close().expect("the first close");
            let mut sent = Histogram::new();
            sent.add(&bytes);
            assert_eq!(reader.join().expect("the reader panicked"), sent, "read against written");
        });
    });
}

/// Go: `WriteTimeout`. A write deadline does not end a read.
pub(super) fn write_timeout<S: System>(pair: &Pair<S>) {
    thread::scope(|scope| {
        pair.guard(|| {
            pair.here.set(Mode::Write, PAST).expect("open");
            timed_out("a late write", pair.here.write(b"late"));
            let reader = scope.spawn(|| {
                pair.guard(|| {
                    let mut buffer = [0; 64];
                    pair.here.read_exact(&mut buffer).map(|()| buffer)
                })
            });
            pair.here.until_parked(Mode::Read, &reader);
            pair.there.write_all(&pattern(64)).expect("room");
            let read = reader.join().expect("the reader panicked");
            let buffer = read.expect("a read has no deadline");
            assert!(buffer[..] == pattern(64), "other bytes came");
        });
    });
}

/// Go: `PastTimeout`. After a deadline in the past has been set every operation fails at once and
/// transfers nothing; without it all goes on.
pub(super) fn past_timeout<S: System>(pair: &Pair<S>) {
    thread::scope(|scope| {
        scope.spawn(|| pair.guard(|| echo(&pair.there)));
        pair.guard(|| {
            round_trip(pair);
            pair.here.set_both(PAST).expect("open");
            for _ in 0..3 {
                timed_out("a late write", pair.here.write(b"late"));
                timed_out("a late read", pair.here.read(&mut [0; 64]));
            }
            // The answer is the next message's: nothing of the late ones was sent.
            round_trip(pair);
            pair.here.close().expect("the first close");
        });
    });
}

/// Go: `PresentTimeout`. A deadline in the past ends the operations that wait when it is set.
pub(super) fn present_timeout<S: System>(pair: &Pair<S>) {
    thread::scope(|scope| {
        pair.guard(|| {
            let reader = scope.spawn(|| pair.guard(|| pair.here.read(&mut [0; 64])));
            let writer = scope.spawn(|| pair.guard(|| write_until_it_fails(pair)));
            pair.here.until_parked(Mode::Read, &reader);
            pair.here.until_parked(Mode::Write, &writer);
            pair.here.set(Mode::Read, PAST).expect("open");
            pair.here.set(Mode::Write, PAST).expect("open");
            timed_out("the read", reader.join().expect("the reader panicked"));
            timed_out("the write", Err::<(), _>(writer.join().expect("the writer panicked")));
        });
    });
}

/// Fills what there is room for, and waits for more.
fn write_until_it_fails<S: System>(pair: &Pair<S>) -> std::io::Error {
    loop {
        if let Err(error) = pair.here.write(&[b'w'; 1024]) {
            return error;
        }
    }
}

/// Go: `FutureTimeout`. A deadline of the future ends the operations that wait when it has come, and
/// not before; when it is cleared all goes on.
pub(super) fn future_timeout<S: System>(pair: &Pair<S>) {
    let deadline = pair.after(20 * SOON);
    pair.here.set_both(Some(deadline)).expect("open");
    thread::scope(|scope| {
        pair.guard(|| {
            let reader = scope.spawn(|| pair.guard(|| (pair.here.read(&mut [0; 64]), pair.now())));
            let writer = scope.spawn(|| pair.guard(|| (write_until_it_fails(pair), pair.now())));
            let (read, at) = reader.join().expect("the reader panicked");
            timed_out("the read", read);
            assert!(at >= deadline, "the read ended at {at:?}, before {deadline:?}");
            let (error, at) = writer.join().expect("the writer panicked");
            timed_out("the write", Err::<(), _>(error));
            assert!(at >= deadline, "the write ended at {at:?}, before {deadline:?}");
        });
    });
    thread::scope(|scope| {
        scope.spawn(|| pair.guard(|| echo(&pair.there)));
        pair.guard(|| {
            pair.here.set_both(None).expect("open");
            // What was written before the deadline comes back first, up to a byte of another kind.
            let (end, mut byte) = (b"!", [0]);
            let sender = scope.spawn(|| pair.guard(|| pair.here.write_all(end)));
            while byte != *end {
                pair.here.read_exact(&mut byte).expect("the echo");
                assert!(byte == *b"w" || byte == *end, "{byte:?} was not written");
            }
            sender.join().expect("the sender panicked").expect("room");
            round_trip(pair);
            pair.here.close().expect("the first close");
        });
    });
}

/// Go: `CloseTimeout`. A close ends the operations that wait.
pub(super) fn close_timeout<S: System>(pair: &Pair<S>) {
    thread::scope(|scope| {
        pair.guard(|| {
            pair.here.set_both(None).expect("open");
            let reader = scope.spawn(|| pair.guard(|| pair.here.read(&mut [0; 64])));
            let writer = scope.spawn(|| pair.guard(|| write_until_it_fails(pair)));
            pair.here.until_parked(Mode::Read, &reader);
            pair.here.until_parked(Mode::Write, &writer);
            pair.here.close().expect("the first close");
            let read = reader.join().expect("the reader panicked").expect_err("nothing was sent");
            let write = writer.join().expect("the writer panicked");
            for (what, error) in [("the read", read), ("the write", write)] {
                assert_eq!(Reason::of(&error), Some(Reason::Closed), "{what}: {error}");
            }
        });
    });
}

/// Go: `ConcurrentMethods`. All methods may be called at the same time, from many threads.
pub(super) fn concurrent_methods<S: System>(pair: &Pair<S>) {
    let here = &pair.here;
    let soon = || Some(pair.after(10 * SOON));
    // A deadline that nobody clears: no read or write waits for ever.
    here.set_both(soon()).expect("open");
    let reads = || {
        done_or_timed_out("a read", here.read(&mut [0; 1024]));
    };
    let writes = || {
        done_or_timed_out("a write", here.write(&[b'x'; 1024]));
    };
    let sets_both = || here.set_both(soon()).expect("open");
    let sets_read = || here.set(Mode::Read, soon()).expect("open");
    let sets_write = || here.set(Mode::Write, soon()).expect("open");
    let looks = || {
        let deadline = here.source(Mode::Read).deadline(Mode::Read).expect("open");
        assert!(deadline.is_some(), "the deadline of others was lost");
    };
    let lends = || {
        let _number = here.source(Mode::Write).fd().expect("open");
    };
    let methods: [&(dyn Fn() + Sync); 7] =
        [&reads, &writes, &sets_both, &sets_read, &sets_write, &looks, &lends];
    thread::scope(|scope| {
        scope.spawn(|| pair.guard(|| echo(&pair.there)));
        pair.guard(|| {
            let threads: Vec<_> = methods
                .iter()
                .map(|method| {
                    scope.spawn(move || pair.guard(|| (0..10 * ROUNDS).for_each(|_| method())))
                })
                .collect();
            for thread in threads {
                thread.join().expect("a method panicked");
            }
            here.close().expect("the first close");
        });
    });
}
