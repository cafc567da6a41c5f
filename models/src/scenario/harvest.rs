//! Harvests that bring less than there is, or nothing.

use super::deadline::at;
use super::deadline_wired::{deadline_over_a_pipe, drive_and_pass_on, late};
use super::traffic::{Simulated, Wired, closes, over, read_one, stop, wired, wired_on, write_one};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::{Config, Freedom};
use crate::oracle::assert_that;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::Atomic;
use netpoller_spec::Mode;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    signal_in_a_wait::SCENARIO,
    signal_in_one_of_two_waits::SCENARIO,
    signal_while_a_deadline_moves::SCENARIO,
    batch_of_one_all_there::SCENARIO,
    batch_of_one_with_more_ready::SCENARIO,
    batches_of_one_two_pollers::SCENARIO,
];

/// One wait of each queue may be ended by a signal.
fn interrupted<E: Engine>() -> Wired<E> {
    let freedom = Freedom { interruptions: 1, ..Freedom::NONE };
    wired_on::<E>(Config { freedom, ..Config::small() })
}

scenario! {
    /// A signal ends one of the waits in the kernel, with a timeout or without, while a deadline is
    /// set and comes: the poll goes on with what is left of its time, and nobody waits for ever.
    family: Signal;
    rules: "NP-EDGE-4 NP-TIME-5 NP-TIME-7";
    from: "Go #20400, #36644, #38836 (B31)";
    fn signal_in_a_wait<E>() -> Plan {
        deadline_over_a_pipe(interrupted::<E>())
    }
}

scenario! {
    /// Two pollers sleep, and a signal ends one of the waits, while a deadline comes that one of them
    /// has to see to: whichever was interrupted, neither sleeps past it.
    family: Signal;
    rules: "NP-EDGE-4 NP-TIME-5 NP-TIME-7 NP-TIME-12";
    from: "Go #20400, #36644, #38836 (B31), with two threads in the kernel";
    fn signal_in_one_of_two_waits<E>() -> Plan {
        let Wired { poller, done } = interrupted::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        reader.set_read_deadline(at(5)).expect("open");
        let [first, second, stopper] = [(); 3].map(|()| poller.clone());
        let [seen, seen_too] = [(); 2].map(|()| Arc::clone(&done));
        Plan::new()
            .thread("driver-1", move || drive_and_pass_on::<E>(&first, &seen))
            .thread("driver-2", move || drive_and_pass_on::<E>(&second, &seen_too))
            .thread("reader", move || {
                late::<E>(&reader);
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
    /// The same while the deadline is moved back by somebody else: the break that tells the pollers and
    /// the signal may hit one thread or two.
    family: Signal;
    rules: "NP-EDGE-4 NP-TIME-5 NP-TIME-7 NP-TIME-12";
    from: "Go #20400, #36644, #38836 (B31), and #38860 (B7) beside them";
    fn signal_while_a_deadline_moves<E>() -> Plan {
        let Wired { poller, done } = interrupted::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        reader.set_read_deadline(at(9)).expect("open");
        let reader = Arc::new(reader);
        let (setter, last) = (Arc::clone(&reader), Arc::clone(&reader));
        let [first, second, stopper] = [(); 3].map(|()| poller.clone());
        let [seen, seen_too] = [(); 2].map(|()| Arc::clone(&done));
        Plan::new()
            .thread("driver-1", move || drive_and_pass_on::<E>(&first, &seen))
            .thread("driver-2", move || drive_and_pass_on::<E>(&second, &seen_too))
            .thread("reader", move || {
                late::<E>(&reader);
                stop::<E>(&stopper, &done);
            })
            .thread("setter", move || E::sealed(|| setter.set_read_deadline(at(6)).expect("open")))
            .finally(move || {
                drop((last, writer));
                over(&poller);
            })
    }
}

/// Polls until the traffic is over, one event at a time.
fn drive_by_one<E: Engine>(poller: &Poller<Simulated<E>>, done: &E::AtomicU32) {
    let mut ready = Ready::with_batch(1);
    // Acquire: pairs with the release in `stop`; that it is seen follows from the break.
    while done.load(Ordering::Acquire) == 0 {
        E::sealed(|| {
            poller.poll(&mut ready, None).expect("the simulated kernel polls");
            ready.wake_all();
        });
        E::forget(0);
    }
}

scenario! {
    /// Two pipes have data before anybody polls, and each poll takes one event. A task waits for both
    /// in turn, without a system call: what the first poll has left behind comes with a later one.
    family: SmallBatch;
    rules: "NP-EDGE-1 NP-SLOT-3";
    from: "polling with a small batch, without anybody who writes meanwhile";
    fn batch_of_one_all_there<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let pipes = [(); 2].map(|()| poller.pipe().expect("a fresh kernel has room for two pipes"));
        for (_, writer) in &pipes {
            let written = writer.try_write(&[7]);
            assert_that(matches!(written, Ok(1)), || format!("the setup got {written:?}"));
        }
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        let [(one, to_one), (two, to_two)] = pipes;
        Plan::new()
            .thread("driver", move || drive_by_one::<E>(&driver, &seen))
            .thread("task", move || {
                for source in [&one, &two] {
                    let mut waiter = source.waiter(Mode::Read).expect("the only waiter");
                    let waited = waiter.wait();
                    assert_that(waited.is_ok(), || format!("the task got {waited:?}"));
                }
                stop::<E>(&stopper, &done);
                closes::<E>((one, two));
            })
            .finally(move || {
                drop((to_one, to_two));
                over(&poller);
            })
    }
}

scenario! {
    /// Two pipes have data, and each poll takes one event: what is left behind comes with the next
    /// one, whichever of the two the reader waits for first.
    family: SmallBatch;
    rules: "NP-EDGE-1 NP-SLOT-3";
    from: "polling with a small batch; golang #65064 has batches that are always full";
    fn batch_of_one_with_more_ready<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (one, to_one) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (two, to_two) = poller.pipe().expect("and for a second one");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive_by_one::<E>(&driver, &seen))
            .thread("reader", move || {
                let got = [read_one::<E>(&one), read_one::<E>(&two)];
                assert_that(got == [Ok(Some(1)), Ok(Some(2))], || format!("the reader got {got:?}"));
                stop::<E>(&stopper, &done);
                closes::<E>((one, two));
            })
            .thread("writer", move || {
                write_one::<E>(&to_two, 2);
                write_one::<E>(&to_one, 1);
                closes::<E>((to_two, to_one));
            })
            .finally(move || over(&poller))
    }
}

scenario! {
    /// The same with two pollers, each of which takes one event: one may handle the second pipe while
    /// the other one has not delivered the first.
    family: SmallBatch;
    rules: "NP-EDGE-1 NP-SLOT-3 NP-BREAK-2";
    from: "polling with a small batch, by several threads";
    fn batches_of_one_two_pollers<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (one, to_one) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (two, to_two) = poller.pipe().expect("and for a second one");
        let [first, second, stopper] = [(); 3].map(|()| poller.clone());
        let [seen, seen_too] = [(); 2].map(|()| Arc::clone(&done));
        let pass_on = |poller: &Poller<Simulated<E>>, done: &E::AtomicU32| {
            drive_by_one::<E>(poller, done);
            poller.wake().expect("the simulated kernel takes tokens");
        };
        Plan::new()
            .thread("driver-1", move || pass_on(&first, &seen))
            .thread("driver-2", move || pass_on(&second, &seen_too))
            .thread("reader", move || {
                let got = [read_one::<E>(&one), read_one::<E>(&two)];
                assert_that(got == [Ok(Some(1)), Ok(Some(2))], || format!("the reader got {got:?}"));
                stop::<E>(&stopper, &done);
                closes::<E>((one, two));
            })
            .thread("writer", move || {
                write_one::<E>(&to_two, 2);
                write_one::<E>(&to_one, 1);
                closes::<E>((to_two, to_one));
            })
            .finally(move || over(&poller))
    }
}
