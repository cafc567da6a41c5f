//! Data and the end of a stream, in one report or in two, and errors that a kernel reports.
//!
//! A reader reads until the end. Whatever a report says, it finds out by its system calls, and the
//! last change has to be followed by an edge that reaches it.

use super::deadline_wired::full;
use super::traffic::{
    Simulated, Wired, closes, drive, drive_until, over, read_one, stop, stop_one, wired, write_one,
};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::HowToShut;
use netpoller::source::Source;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    data_and_end_in_one_report::SCENARIO,
    data_and_end_in_two_reports::SCENARIO,
    data_and_end::SCENARIO,
    data_and_end_both_ways::SCENARIO,
    error_of_a_pipe::SCENARIO,
];

/// Reads a byte and then the end.
fn reads_to_the_end<E: Engine>(source: &Source<Simulated<E>>) {
    let got = [read_one::<E>(source), read_one::<E>(source)];
    assert_that(got == [Ok(Some(7)), Ok(None)], || format!("the reader got {got:?}"));
}

/// Reads the end.
fn ended<E: Engine>(source: &Source<Simulated<E>>) {
    let got = read_one::<E>(source);
    assert_that(got == Ok(None), || format!("the reader got {got:?}"));
}

fn end<E: Engine>(source: &Source<Simulated<E>>) {
    E::sealed(|| {
        let shut = source.shutdown(HowToShut::Write);
        assert_that(shut.is_ok(), || format!("the shutdown got {shut:?}"));
    });
}

fn look<E: Engine>(poller: &Poller<Simulated<E>>) {
    E::sealed(|| {
        let mut ready = Ready::with_batch(2);
        poller.poll(&mut ready, Some(Duration::ZERO)).expect("the simulated kernel polls");
        ready.wake_all();
    });
}

/// A peer writes a byte and ends the stream; `between`: it polls in between, too, and not only
/// afterwards.
fn one_report_or_two<E: Engine>(between: bool) -> Plan {
    let Wired { poller, .. } = wired::<E>();
    let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
    let passer = poller.clone();
    let far = Arc::new(far);
    let peer = Arc::clone(&far);
    Plan::new()
        .thread("reader", move || reads_to_the_end::<E>(&near))
        .thread("peer", move || {
            write_one::<E>(&peer, 7);
            if between {
                look(&passer);
            }
            end(&peer);
            look(&passer);
        })
        .finally(move || {
            drop(far);
            over(&poller);
        })
}

scenario! {
    /// A byte and the end of a stream are reported together: one edge, of which the reader takes the
    /// byte. It must find the end by itself, for no second edge comes.
    family: DataAndEnd;
    rules: "NP-EDGE-1 NP-EVT-2 NP-WAIT-4 NP-SLOT-5";
    from: "protocol argument of the short read: a FIN that was coalesced";
    fn data_and_end_in_one_report<E>() -> Plan {
        one_report_or_two::<E>(false)
    }
}

scenario! {
    /// The same, and the poller looks in between: the byte and the end are reported each for itself,
    /// unless the reader has taken the byte by then.
    family: DataAndEnd;
    rules: "NP-EDGE-1 NP-EVT-2 NP-WAIT-4 NP-SLOT-5";
    from: "protocol argument of the short read: a FIN in a report of its own";
    fn data_and_end_in_two_reports<E>() -> Plan {
        one_report_or_two::<E>(true)
    }
}

scenario! {
    /// The same with a poller thread of its own: one report or two, as it happens.
    family: DataAndEnd;
    rules: "NP-EDGE-1 NP-EVT-2 NP-WAIT-4 NP-SLOT-5";
    from: "Go net.TestConnReadEOF and its like";
    fn data_and_end<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let far = Arc::new(far);
        let peer = Arc::clone(&far);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                reads_to_the_end::<E>(&near);
                stop::<E>(&stopper, &done);
                closes::<E>(near);
            })
            .thread("peer", move || {
                write_one::<E>(&peer, 7);
                end(&peer);
            })
            .finally(move || {
                drop(far);
                over(&poller);
            })
    }
}

scenario! {
    /// Both ends of a stream read to the end, while somebody sends a byte one way and ends both: the
    /// last of it is a hang-up, which concerns both ends in both directions.
    family: DataAndEnd;
    rules: "NP-EDGE-1 NP-EVT-2 NP-WAIT-4 NP-SLOT-5";
    from: "a connection that both sides end at once";
    fn data_and_end_both_ways<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let (near, far) = (Arc::new(near), Arc::new(far));
        // Whoever gave it up last would close it, and no engine sees that race.
        let (here, there) = (Arc::clone(&near), Arc::clone(&far));
        let last = (Arc::clone(&near), Arc::clone(&far));
        let [driver, one, two] = [(); 3].map(|()| poller.clone());
        let [seen, first, second] = [(); 3].map(|()| Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive_until::<E>(&driver, &seen, 3))
            .thread("reader-1", move || {
                reads_to_the_end::<E>(&near);
                stop_one::<E>(&one, &first, 1);
            })
            .thread("reader-2", move || {
                ended::<E>(&far);
                stop_one::<E>(&two, &second, 2);
            })
            .thread("peers", move || {
                write_one::<E>(&there, 7);
                end(&there);
                end(&here);
            })
            .finally(move || {
                drop(last);
                over(&poller);
            })
    }
}

scenario! {
    /// The reader of a full pipe goes away while a writer writes, parks or is parked: the kernel reports
    /// an error, alone, which on the side of the writer ends the wait and is found by its call.
    family: EventError;
    rules: "NP-EVT-3 NP-INFO-4 NP-INFO-5 NP-WAIT-4";
    from: "Go #30624 (B24): an error alone is \"not pollable\" for a reader, and news for a writer";
    fn error_of_a_pipe<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        full(&writer);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("writer", move || {
                let got = E::sealed(|| (&writer).write(&[2]).map_err(|error| error.kind()));
                let gone = got == Err(io::ErrorKind::BrokenPipe);
                assert_that(gone, || format!("the writer got {got:?}"));
                stop::<E>(&stopper, &done);
                closes::<E>(writer);
            })
            .thread("reader", move || closes::<E>(reader))
            .finally(move || over(&poller))
    }
}
