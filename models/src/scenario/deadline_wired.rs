//! Deadlines and a poller that sleeps in the simulated kernel. The time passes by its sleep alone, so
//! a poller that sleeps past a deadline is a deadlock.

use super::deadline::at;
use super::traffic::{
    Simulated, Simulates, Wired, closes, drive, drive_until, over, read_one, stop, stop_one, wired,
};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::Timed;
use crate::oracle::assert_that;
use crate::world::Model;
use netpoller::Reason;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Instant, Kernel, System};
use netpoller::source::Source;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    deadline_wakes_the_sleeping_poller::SCENARIO,
    earlier_deadline_wakes_the_sleeping_poller::SCENARIO,
    second_deadline_wakes_the_sleeping_poller::SCENARIO,
    earlier_deadline_two_sleeping_pollers::SCENARIO,
    later_deadline_and_the_sleeping_poller::SCENARIO,
    stream_deadline_in_past::SCENARIO,
    stream_deadline_close_reopen::SCENARIO,
    stream_deadline_parted::SCENARIO,
    stream_ready_deadline_close::SCENARIO,
];

/// Reads in vain: the deadline ends it.
pub(super) fn late<E: Engine>(source: &Source<Model<E, impl Timed>>) {
    let got = read_one::<E>(source);
    let fine = got == Err(Some(Reason::DeadlineExceeded));
    assert_that(fine, || format!("the reader got {got:?}"));
}

scenario! {
    /// A poller sleeps without end, or is about to, while a deadline is set: it has to be woken, and
    /// to sleep until then only. Nothing else wakes it.
    family: GoingIdle;
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go #38860, #42237, #38070 (B7, B11, B12)";
    fn deadline_wakes_the_sleeping_poller<E>() -> Plan {
        deadline_over_a_pipe(wired::<E>())
    }
}

/// A reader whose deadline comes while somebody sleeps in the kernel, on any simulated kernel.
pub(super) fn deadline_over_a_pipe<E: Engine, K: Simulates>(wired: Wired<E, K>) -> Plan {
    let Wired { poller, done } = wired;
    let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
    let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
    Plan::new()
        .thread("driver", move || drive::<E>(&driver, &seen))
        .thread("reader", move || {
            let soon = stopper.now().saturating_add(Duration::from_nanos(5));
            reader.set_read_deadline(Some(soon)).expect("open");
            late::<E>(&reader);
            closes::<E>(reader);
            stop::<E>(&stopper, &done);
        })
        .finally(move || {
            over(&poller);
            drop(writer);
        })
}

scenario! {
    /// A poller sleeps until a late deadline that is never reached, since nothing lets the time pass
    /// but its own sleep; an earlier one is set meanwhile by two tasks.
    family: GoingIdle;
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go's wakeNetPoller compares with pollUntil (section 4.2)";
    fn earlier_deadline_wakes_the_sleeping_poller<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        let reader = Arc::new(reader);
        // Whoever gave it up last would close it, and no engine sees that race.
        let (other, last) = (Arc::clone(&reader), Arc::clone(&reader));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                E::sealed(|| reader.set_read_deadline(at(9)).expect("open"));
                late::<E>(&reader);
                stop::<E>(&stopper, &done);
            })
            .thread("setter", move || {
                E::sealed(|| other.set_read_deadline(at(6)).expect("open"));
            })
            .finally(move || {
                drop((last, writer));
                over(&poller);
            })
    }
}

scenario! {
    /// A deadline has come, and the poller sleeps without end again when the next one is set: until
    /// when it slept before is no reason not to wake it.
    family: GoingIdle;
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go #51654: the hint of the earliest timer is never reset (B27)";
    fn second_deadline_wakes_the_sleeping_poller<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        reader.set_read_deadline(at(5)).expect("open");
        let slept = poller.poll(&mut Ready::with_batch(1), Some(Duration::from_nanos(5)));
        slept.expect("the simulated kernel polls");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                E::sealed(|| reader.set_read_deadline(at(9)).expect("open"));
                late::<E>(&reader);
                closes::<E>(reader);
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                over(&poller);
                drop(writer);
            })
    }
}

/// Polls until the traffic is over, and gets the next one out who polls.
pub(super) fn drive_and_pass_on<E: Engine>(poller: &Poller<Simulated<E>>, done: &E::AtomicU32) {
    drive::<E>(poller, done);
    poller.wake().expect("the simulated kernel takes tokens");
}

scenario! {
    /// The same where two pollers sleep: whoever sets the earlier deadline breaks one of them, any
    /// one, and that one has to see to it.
    family: GoingIdle;
    rules: "NP-TIME-12 NP-TIME-7 NP-BREAK-2";
    from: "Go's wakeNetPoller breaks one poller; here several may block";
    fn earlier_deadline_two_sleeping_pollers<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let [first, second, stopper] = [(); 3].map(|()| poller.clone());
        let [seen, seen_too] = [(); 2].map(|()| Arc::clone(&done));
        let reader = Arc::new(reader);
        let (other, last) = (Arc::clone(&reader), Arc::clone(&reader));
        Plan::new()
            .thread("driver-1", move || drive_and_pass_on::<E>(&first, &seen))
            .thread("driver-2", move || drive_and_pass_on::<E>(&second, &seen_too))
            .thread("reader", move || {
                E::sealed(|| reader.set_read_deadline(at(9)).expect("open"));
                late::<E>(&reader);
                stop::<E>(&stopper, &done);
            })
            .thread("setter", move || E::sealed(|| other.set_read_deadline(at(6)).expect("open")))
            .finally(move || {
                drop((last, writer));
                over(&poller);
            })
    }
}

scenario! {
    /// A poller sleeps until a deadline that is moved forward meanwhile. It wakes for nothing, and
    /// has to see to the new one.
    family: DeadlineMoved;
    rules: "NP-TIME-6 NP-TIME-7 NP-TIME-8";
    from: "the entry in the queue is older than the deadline";
    fn later_deadline_and_the_sleeping_poller<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        reader.set_read_deadline(at(5)).expect("open");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                E::sealed(|| reader.set_read_deadline(at(9)).expect("open"));
                late::<E>(&reader);
                let now = stopper.now();
                assert_that(now >= Instant::from_nanos(9), || {
                    format!("NP-TIME-5: the read ended at {now:?}, before its deadline")
                });
                closes::<E>(reader);
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                drop(writer);
                over(&poller);
            })
    }
}

scenario! {
    /// A reader is in its system call, about to park or parked when its deadline is set into the
    /// past. Nobody polls: the setter alone has to end the read.
    family: DeadlineInPast;
    rules: "NP-TIME-2 NP-WAIT-3";
    from: "Go net.TestReadTimeoutUnblocksRead, through the I/O layer";
    fn stream_deadline_in_past<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        poller.system().kernel().advance_to(Instant::from_nanos(10));
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let near = Arc::new(near);
        let (setter, last) = (Arc::clone(&near), Arc::clone(&near));
        Plan::new()
            .thread("reader", move || late::<E>(&near))
            .thread("setter", move || E::sealed(|| setter.set_read_deadline(at(5)).expect("open")))
            .finally(move || {
                drop((last, far));
                over(&poller);
            })
    }
}

scenario! {
    /// A poller sleeps until the deadline of a descriptor that is closed meanwhile; another one takes
    /// its number and its place, with a later deadline. Nobody else wakes the reader.
    family: DeadlineReopen;
    rules: "NP-TIME-6 NP-TIME-7 NP-TIME-10 NP-FD-10";
    from: "Go section 2.4, R3, with a kernel that reuses numbers";
    fn stream_deadline_close_reopen<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let kernel = poller.system().kernel();
        let (end, other) = kernel.pipe().expect("a fresh kernel has room for a pipe");
        let number = kernel.dup(&end).expect("there is a number");
        let old = poller.register(number).expect("there is room for a descriptor");
        old.set_read_deadline(at(5)).expect("open");
        let end = Arc::new(end);
        let last = Arc::clone(&end);
        let (driver, owner, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("owner", move || {
                closes::<E>(old);
                let number = owner.system().kernel().dup(&end).expect("the number is free again");
                let next = owner.register(number).expect("and the place");
                E::sealed(|| next.set_read_deadline(at(8)).expect("open"));
                late::<E>(&next);
                closes::<E>(next);
                stop::<E>(&owner, &done);
            })
            .finally(move || {
                drop((last, other));
                over(&poller);
            })
    }
}

/// Fills a stream, so that the next write waits.
pub(super) fn full<E: Engine>(source: &Source<Simulated<E>>) {
    while source.try_write(&[1]).is_ok() {}
}

scenario! {
    /// A reader and a writer of one stream wait for deadlines of their own, while a poller sleeps
    /// until the first of them, and then until the second one.
    family: DeadlineParted;
    rules: "NP-TIME-4 NP-TIME-7 NP-TIME-12";
    from: "Go's combined timer and its cases (section 2.3), with a poller that sleeps";
    fn stream_deadline_parted<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        full(&near);
        near.set_read_deadline(at(5)).expect("open");
        near.set_write_deadline(at(8)).expect("open");
        let near = Arc::new(near);
        let (reader, writer) = (Arc::clone(&near), Arc::clone(&near));
        let [driver, one, two] = [(); 3].map(|()| poller.clone());
        let [seen, read, written] = [(); 3].map(|()| Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive_until::<E>(&driver, &seen, 3))
            .thread("reader", move || {
                late::<E>(&reader);
                stop_one::<E>(&one, &read, 1);
            })
            .thread("writer", move || {
                let got = E::sealed(|| (&*writer).write(&[2]).map_err(|error| Reason::of(&error)));
                let fine = got == Err(Some(Reason::DeadlineExceeded));
                assert_that(fine, || format!("the writer got {got:?}"));
                stop_one::<E>(&two, &written, 2);
            })
            .finally(move || {
                drop((near, far));
                over(&poller);
            })
    }
}

scenario! {
    /// A byte, a deadline and a close, all at once, for a reader in its system call or parked: it ends
    /// with one of the three, and the close returns.
    family: AtOnce;
    rules: "NP-WAIT-3 NP-WAIT-7 NP-FD-3 NP-FD-4 NP-TIME-5";
    from: "ready, timeout and close at once, through the I/O layer";
    fn stream_ready_deadline_close<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        near.set_read_deadline(at(5)).expect("open");
        let near = Arc::new(near);
        let (closer, last, far) = (Arc::clone(&near), Arc::clone(&near), Arc::new(far));
        let peer = Arc::clone(&far);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let got = read_one::<E>(&near);
                let ended = [Some(Reason::DeadlineExceeded), Some(Reason::Closed)];
                let fine = got.map_or_else(|reason| ended.contains(&reason), |byte| byte == Some(7));
                assert_that(fine, || format!("the reader got {got:?}"));
                E::note("read", u64::from(got.is_ok()));
            })
            .thread("peer", move || {
                // The other end may be closed already.
                E::note("written", u64::from(peer.try_write(&[7]).is_ok()));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                drop((last, far));
                over(&poller);
            })
    }
}
