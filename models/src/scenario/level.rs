//! Races on a level-triggered kernel: the simulated one, asked in the manner of poll(2), under the set
//! of `netpoller::level`.
//!
//! Some are races of other files once more: what they ask for must not depend on how a kernel reports.
//! Others are there only because the set is the poller's own: arming against a thread that sleeps on
//! the set as it was, a report against the arming of the other direction, the end of a registration
//! against a thread that asks about it, one who leads against those who follow.
//!
//! A change that a sleeper does not notice is a deadlock. A number that is closed while a thread asks
//! about it is found out by the kernel.

use super::bench::Tally;
use super::deadline_wired::deadline_over_a_pipe;
use super::streams::two_bytes;
use super::traffic::{
    Wired, closes, drive, one_byte, over, read_one, stop, token, wired_to, write_one,
};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::{Config, LevelKernel};
use crate::oracle::{self, assert_that};
use crate::world::Model;
use netpoller::Reason;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Atomic, Kernel, Parker, System};
use netpoller::source::Source;
use netpoller_spec::Mode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    level_older_than_the_wait::SCENARIO,
    level_pipe_byte::SCENARIO,
    level_pipe_room::SCENARIO,
    level_both_directions::SCENARIO,
    level_two_bytes::SCENARIO,
    level_close_of_what_is_asked_about::SCENARIO,
    level_close_and_a_parked_reader::SCENARIO,
    level_break_break_drain::SCENARIO,
    level_breaks_for_two::SCENARIO,
    level_passing_poll::SCENARIO,
    level_deadline::SCENARIO,
    level_late_drain::SCENARIO,
    level_one_of_two_pollers_ends::SCENARIO,
    level_batch_of_one::SCENARIO,
];

/// The system of these scenarios.
type Level<E> = Model<E, LevelKernel<E>>;

fn level<E: Engine>() -> Wired<E, LevelKernel<E>> {
    wired_to::<E, LevelKernel<E>>(Config::small())
}

/// Waits for readiness, without a system call before.
fn waits<E: Engine>(source: &Source<Level<E>>, mode: Mode) {
    E::sealed(|| {
        let mut waiter = source.waiter(mode).expect("the only waiter");
        let waited = waiter.wait();
        assert_that(waited.is_ok(), || format!("the wait in {mode:?} ended with {waited:?}"));
    });
}

/// Breaks, whatever the flag says: whoever was broken before may have ended with it.
fn posts<E: Engine>(poller: &Poller<Level<E>>) {
    let kernel = poller.system().kernel();
    kernel.post(poller.queue()).expect("the simulated kernel takes tokens");
}

/// Polls once; whether it was broken.
fn polls<E: Engine>(poller: &Poller<Level<E>>, timeout: Option<Duration>) -> bool {
    E::sealed(|| {
        let mut ready = Ready::with_batch(2);
        poller.poll(&mut ready, timeout).expect("the simulated kernel polls");
        ready.wake_all();
        ready.broken()
    })
}

scenario! {
    /// A byte is there. A poller sleeps on a set in which nothing is armed, or is about to, when the
    /// reader arms: no edge follows, so the sleeper has to be told.
    family: ParkUnpark;
    rules: "NP-BREAK-5 NP-LEVEL-1 NP-SLOT-3";
    from: "arming against a sleeper; Go's netpollarm is followed by netpollBreak on AIX";
    fn level_older_than_the_wait<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        write_one::<E>(&writer, 7);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                waits::<E>(&reader, Mode::Read);
                stop::<E>(&stopper, &done);
                // Not before: its end would break the driver too.
                closes::<E>(reader);
            })
            .finally(move || {
                drop(writer);
                over(&poller);
            })
    }
}

scenario! {
    /// A byte goes through a pipe while the reader parks and a third thread polls.
    family: ParkUnpark;
    rules: "NP-BREAK-5 NP-LEVEL-1 NP-WAIT-4 NP-SLOT-3";
    from: "pipe_byte, level-triggered";
    fn level_pipe_byte<E>() -> Plan {
        one_byte(level::<E>())
    }
}

scenario! {
    /// A pipe is full and its writer parks; the reader takes a byte out, and the writer goes on.
    family: ParkUnpark;
    rules: "NP-BREAK-5 NP-LEVEL-1 NP-EVT-1 NP-WAIT-4";
    from: "pipe_room, level-triggered";
    fn level_pipe_room<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        while writer.try_write(&[1]).is_ok() {}
        let reader = Arc::new(reader);
        let taker = Arc::clone(&reader);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("writer", move || {
                write_one::<E>(&writer, 2);
                stop::<E>(&stopper, &done);
            })
            .thread("taker", move || {
                let taken = taker.try_read(&mut [0]);
                assert_that(matches!(taken, Ok(1)), || format!("the taker got {taken:?}"));
            })
            .finally(move || {
                drop(reader); // not before: a pipe without a reader cannot be written to
                over(&poller);
            })
    }
}

scenario! {
    /// One task waits in both directions of a stream; data comes, and then room. The report of the
    /// one must leave the other armed.
    family: BothDirections;
    rules: "NP-LEVEL-3 NP-EVT-1 NP-SLOT-3";
    from: "poll(2) reports a number, not a direction";
    fn level_both_directions<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        while near.try_write(&[1]).is_ok() {}
        let far = Arc::new(far);
        let (peer, driver, stopper, seen) =
            (Arc::clone(&far), poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("task", move || {
                let parker = E::parker();
                let [mut read, mut write] =
                    Mode::BOTH.map(|mode| near.waiter(mode).expect("the only waiter"));
                let mut open = [true; 2];
                while open != [false; 2] {
                    for (place, waiter) in [&mut read, &mut write].into_iter().enumerate() {
                        if open[place] {
                            let polled = waiter.poll_wait(&mut Context::from_waker(parker.waker()));
                            let fine = matches!(polled, Poll::Pending | Poll::Ready(Ok(())));
                            assert_that(fine, || format!("wait {place} got {polled:?}"));
                            open[place] = polled.is_pending();
                        }
                    }
                    if open != [false; 2] {
                        parker.park();
                    }
                }
                drop((read, write));
                stop::<E>(&stopper, &done);
                closes::<E>(near);
            })
            .thread("peer", move || {
                let written = peer.try_write(&[7]);
                assert_that(matches!(written, Ok(1)), || format!("the peer got {written:?}"));
                while peer.try_read(&mut [0]).is_ok() {}
            })
            .finally(move || {
                drop(far);
                over(&poller);
            })
    }
}

scenario! {
    /// Two bytes, one after the other, each waited for: between a report and the next arming the
    /// condition may hold all the time, and nobody is told of it twice.
    family: TwoEdges;
    rules: "NP-LEVEL-1 NP-LEVEL-3 NP-WAIT-4 NP-SLOT-5";
    from: "pipe_two_bytes, level-triggered";
    fn level_two_bytes<E>() -> Plan {
        two_bytes(level::<E>())
    }
}

scenario! {
    /// A poller sleeps on a number, or is about to, while its source is closed: it has to be out
    /// before the number is.
    family: ParkClose;
    rules: "NP-LEVEL-5 NP-LEVEL-4 NP-FD-10";
    from: "Go #10527, where the kernel holds on to what it is asked about";
    fn level_close_of_what_is_asked_about<E>() -> Plan {
        let Wired { poller, .. } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        {
            let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
            let polled = waiter.poll_wait(&mut Context::from_waker(std::task::Waker::noop()));
            assert_that(polled.is_pending(), || format!("the setup got {polled:?}"));
        }
        let (sleeper, stopper) = (poller.clone(), poller.clone());
        Plan::new()
            .thread("poller", move || {
                polls::<E>(&sleeper, None);
            })
            .thread("closer", move || {
                let closed = E::sealed(|| reader.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
                stopper.wake().expect("the simulated kernel takes tokens");
            })
            .finally(move || {
                drop(writer);
                oracle::quiescent(&poller, token(&poller));
            })
    }
}

scenario! {
    /// A reader waits in a descriptor, a poller sleeps on it, and a third thread closes it.
    family: ParkClose;
    rules: "NP-LEVEL-5 NP-WAIT-2 NP-WAIT-3 NP-FD-3";
    from: "Go #45211 (B1), level-triggered; Go #7410 (B18): what is closed is not armed";
    fn level_close_and_a_parked_reader<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let reader = Arc::new(reader);
        // Whoever gave it up last would close it, and no engine sees that race.
        let (closer, last) = (Arc::clone(&reader), Arc::clone(&reader));
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let got = read_one::<E>(&reader);
                let closed = got == Err(Some(Reason::Closed));
                assert_that(closed, || format!("the reader got {got:?}"));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                drop((last, writer));
                over(&poller);
            })
    }
}

scenario! {
    /// Two breakers publish work and break; one poller sleeps until it has seen both.
    family: Break;
    rules: "NP-BREAK-1 NP-BREAK-2 NP-BREAK-4";
    from: "break_break_drain, with a pipe for a break";
    fn level_break_break_drain<E>() -> Plan {
        let Wired { poller, .. } = level::<E>();
        let works = [(); 2].map(|()| Arc::new(E::AtomicU32::new(0)));
        let breaker = |work: &Arc<E::AtomicU32>| {
            let (poller, work) = (poller.clone(), Arc::clone(work));
            move || {
                work.store(1, Ordering::Relaxed);
                poller.wake().expect("the simulated kernel takes tokens");
            }
        };
        let (one, two) = (breaker(&works[0]), breaker(&works[1]));
        let sleeper = poller.clone();
        Plan::new()
            .thread("poller", move || {
                while works.iter().any(|work| work.load(Ordering::Relaxed) == 0) {
                    polls::<E>(&sleeper, None);
                }
            })
            .thread("breaker-1", one)
            .thread("breaker-2", two)
            .finally(move || over(&poller))
    }
}

scenario! {
    /// Two pollers sleep, one on the set and one until it is its turn. Each break gets one of them
    /// out: whoever is out breaks once more, and the one that followed must be there for it.
    family: Break;
    rules: "NP-LEVEL-6 NP-BREAK-2 NP-BREAK-4";
    from: "break_two_blocking_pollers, with one leader";
    fn level_breaks_for_two<E>() -> Plan {
        let Wired { poller, .. } = level::<E>();
        let [first, second, breaker] = [(); 3].map(|()| poller.clone());
        let out = |poller: Poller<Level<E>>| {
            move || {
                let broken = polls::<E>(&poller, None);
                assert_that(broken, || "came out without a break".into());
                poller.wake().expect("the simulated kernel takes tokens");
            }
        };
        Plan::new()
            .thread("poller-1", out(first))
            .thread("poller-2", out(second))
            .thread("breaker", move || breaker.wake().expect("the simulated kernel takes tokens"))
            .finally(move || over(&poller))
    }
}

scenario! {
    /// A poll that may not block reports what another thread sleeps on. The sleeper finds that somebody
    /// was quicker, and goes on to sleep on the rest: nothing is reported twice, and no break is taken.
    family: BreakPassing;
    rules: "NP-LEVEL-1 NP-LEVEL-3 NP-BREAK-3";
    from: "two threads ask about one number";
    fn level_passing_poll<E>() -> Plan {
        let Wired { poller, .. } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (tally, waker) = Tally::new();
        let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
        let polled = waiter.poll_wait(&mut Context::from_waker(&waker));
        assert_that(polled.is_pending(), || format!("the setup got {polled:?}"));
        // It stays parked: whoever reports the byte wakes it.
        std::mem::forget(waiter);
        drop(waker);
        let [sleeper, passer] = [(); 2].map(|()| poller.clone());
        Plan::new()
            .thread("sleeper", move || {
                let broken = polls::<E>(&sleeper, None);
                E::note("broken", u64::from(broken));
            })
            .thread("passer", move || {
                write_one::<E>(&writer, 7);
                let broken = polls::<E>(&passer, Some(Duration::ZERO));
                assert_that(!broken, || "a poll that may not block took a break".into());
                passer.wake().expect("the simulated kernel takes tokens");
            })
            .finally(move || {
                let wakes = tally.wakes();
                assert_that(wakes == 1, || format!("one report has woken {wakes} times"));
                drop((reader, tally));
                over(&poller);
            })
    }
}

scenario! {
    /// A poller sleeps without end, or is about to, while a reader sets a deadline, arms and parks:
    /// the deadline is what ends its wait.
    family: GoingIdle;
    rules: "NP-TIME-12 NP-TIME-7 NP-BREAK-5";
    from: "deadline_wakes_the_sleeping_poller, level-triggered";
    fn level_deadline<E>() -> Plan {
        deadline_over_a_pipe(level::<E>())
    }
}

scenario! {
    /// The rest of a poll that ends: it has harvested a break, and drains while a reader arms. What it
    /// drains may be the token that was posted for the poller that stays, and the flag says all the
    /// time that a break is on its way.
    family: Break;
    rules: "NP-BREAK-5 NP-LEVEL-4";
    from: "a driver that is dropped while another one stays, without its beginning";
    fn level_late_drain<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        write_one::<E>(&writer, 7);
        poller.wake().expect("the simulated kernel takes tokens");
        let [ends, stays, stopper] = [(); 3].map(|()| poller.clone());
        let [seen, seen_too] = [(); 2].map(|()| Arc::clone(&done));
        let reader = Arc::new(reader);
        let last = Arc::clone(&reader);
        Plan::new()
            .thread("ends", move || {
                let drained = ends.system().kernel().drain(ends.queue());
                assert_that(drained.is_ok(), || format!("the drain got {drained:?}"));
                // The token may have been the last one: then it is passed on. What was armed is not
                // its business.
                if seen_too.load(Ordering::Acquire) == 1 {
                    posts::<E>(&ends);
                }
            })
            .thread("stays", move || drive::<E>(&stays, &seen))
            .thread("reader", move || {
                waits::<E>(&reader, Mode::Read);
                done.store(1, Ordering::Release);
                posts::<E>(&stopper);
            })
            .finally(move || {
                drop((last, writer));
                over(&poller);
            })
    }
}

scenario! {
    /// A break is on its way, and of two pollers the one that takes it may be the one that ends with it.
    /// A reader arms meanwhile: the poller that stays has to learn of it, whoever drains what.
    family: Break;
    rules: "NP-BREAK-5 NP-LEVEL-4 NP-LEVEL-6";
    from: "a driver that is dropped while another one stays";
    fn level_one_of_two_pollers_ends<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        write_one::<E>(&writer, 7);
        poller.wake().expect("the simulated kernel takes tokens");
        let [ends, stays, stopper] = [(); 3].map(|()| poller.clone());
        let [seen, seen_too] = [(); 2].map(|()| Arc::clone(&done));
        Plan::new()
            .thread("ends", move || {
                polls::<E>(&ends, None);
                // The token may have been the last one: then it is passed on. What was armed is not
                // its business.
                if seen_too.load(Ordering::Acquire) == 1 {
                    posts::<E>(&ends);
                }
            })
            .thread("stays", move || {
                drive::<E>(&stays, &seen);
                posts::<E>(&stays);
            })
            .thread("reader", move || {
                waits::<E>(&reader, Mode::Read);
                done.store(1, Ordering::Release);
                posts::<E>(&stopper);
                closes::<E>(reader);
            })
            .finally(move || {
                drop(writer);
                over(&poller);
            })
    }
}

scenario! {
    /// Two descriptors are ready and the batch has room for one report. The one that is left over is
    /// armed still, and comes next.
    family: SmallBatch;
    rules: "NP-LEVEL-1 NP-LEVEL-3 NP-SLOT-3";
    from: "batch_of_one_all_there, level-triggered";
    fn level_batch_of_one<E>() -> Plan {
        let Wired { poller, done } = level::<E>();
        let pipes = [(); 2].map(|()| poller.pipe().expect("a fresh kernel has room for two pipes"));
        pipes.iter().for_each(|(_, writer)| write_one::<E>(writer, 7));
        let [(one, keep), (two, keep_too)] = pipes;
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || {
                let mut ready = Ready::with_batch(1);
                while seen.load(Ordering::Acquire) == 0 {
                    driver.poll(&mut ready, None).expect("the simulated kernel polls");
                    ready.wake_all();
                }
            })
            .thread("task", move || {
                let parker = E::parker();
                let mut waiters =
                    [&one, &two].map(|source| source.waiter(Mode::Read).expect("the only waiter"));
                let mut open = [true; 2];
                loop {
                    for (waiter, open) in waiters.iter_mut().zip(&mut open) {
                        if *open {
                            let polled = waiter.poll_wait(&mut Context::from_waker(parker.waker()));
                            *open = polled.is_pending();
                        }
                    }
                    if open == [false; 2] {
                        break;
                    }
                    parker.park();
                }
                drop(waiters);
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                drop((keep, keep_too));
                over(&poller);
            })
    }
}
