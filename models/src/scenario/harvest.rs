//! Harvests that bring less than there is, or nothing.

use super::deadline::late;
use super::traffic::{Wired, drive, over, read_one, stop, wired, wired_on, write_one};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::{Config, Freedom};
use crate::oracle::assert_that;
use netpoller::ready::Ready;
use netpoller::seam::Atomic;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// This family.
pub const ALL: &[Scenario] = &[signal_in_a_wait::SCENARIO, batch_of_one_with_more_ready::SCENARIO];

scenario! {
    /// A signal ends one of the waits in the kernel, with a timeout or without, while a deadline is
    /// set and comes: the poll goes on with what is left of its time, and nobody waits for ever.
    rules: "NP-EDGE-4 NP-TIME-5 NP-TIME-7";
    from: "Go #20400, #36644, #38836 (B31)";
    fn signal_in_a_wait<E>() -> Plan {
        let freedom = Freedom { interruptions: 1, ..Freedom::NONE };
        let Wired { poller, done } = wired_on::<E>(Config { freedom, ..Config::small() });
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let soon = stopper.now().saturating_add(Duration::from_nanos(5));
                reader.set_read_deadline(Some(soon)).expect("open");
                late(&reader);
                drop(reader);
                stop::<E>(&stopper, &done);
            })
            .finally(move || {
                over(&poller);
                drop(writer);
            })
    }
}

scenario! {
    /// Two pipes have data, and each poll takes one event: what is left behind comes with the next
    /// one, whichever of the two the reader waits for first.
    rules: "NP-EDGE-1 NP-SLOT-3";
    from: "polling with a small batch; golang #65064 has batches that are always full";
    fn batch_of_one_with_more_ready<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (one, to_one) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (two, to_two) = poller.pipe().expect("and for a second one");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || {
                let mut ready = Ready::with_batch(1);
                // Acquire: pairs with the release in `stop`; that it is seen follows from the break.
                while seen.load(Ordering::Acquire) == 0 {
                    driver.poll(&mut ready, None).expect("the simulated kernel polls");
                    ready.wake_all();
                }
            })
            .thread("reader", move || {
                let got = [read_one::<E>(&one), read_one::<E>(&two)];
                assert_that(got == [Ok(Some(1)), Ok(Some(2))], || format!("the reader got {got:?}"));
                stop::<E>(&stopper, &done);
            })
            .thread("writer", move || {
                write_one::<E>(&to_two, 2);
                write_one::<E>(&to_one, 1);
            })
            .finally(move || over(&poller))
    }
}
