//! Bytes through the simulated kernel with more of everything: both directions, several operations,
//! a close in between, and futures that move or go.

use super::deadline_wired::full;
use super::fd_lock::Task;
use super::traffic::{Simulates, Wired, closes, drive, over, read_one, stop, wired, write_one};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::Reason;
use std::io::Write;
use std::sync::Arc;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    pipe_two_bytes::SCENARIO,
    stream_split::SCENARIO,
    stream_close_reader_and_writer::SCENARIO,
    stream_close_with_traffic::SCENARIO,
    future_dropped_at_its_byte::SCENARIO,
    future_moves_to_another_task::SCENARIO,
];

scenario! {
    /// Two bytes go through a pipe, one at a time on both sides. The second edge comes while the first
    /// is harvested, delivered, consumed, or after all of it.
    family: TwoEdges;
    rules: "NP-EDGE-1 NP-EDGE-3 NP-WAIT-4 NP-SLOT-5";
    from: "two edges, one consumer, with a kernel";
    fn pipe_two_bytes<E>() -> Plan {
        two_bytes(wired::<E>())
    }
}

/// Two bytes through a pipe, on any simulated kernel.
pub(super) fn two_bytes<E: Engine, K: Simulates>(wired: Wired<E, K>) -> Plan {
    let Wired { poller, done } = wired;
    let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
    let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
    Plan::new()
        .thread("driver", move || drive::<E>(&driver, &seen))
        .thread("reader", move || {
            let got = [read_one::<E>(&reader), read_one::<E>(&reader)];
            assert_that(got == [Ok(Some(1)), Ok(Some(2))], || format!("the reader got {got:?}"));
            stop::<E>(&stopper, &done);
            closes::<E>(reader);
        })
        .thread("writer", move || {
            [1, 2].into_iter().for_each(|byte| write_one::<E>(&writer, byte));
            closes::<E>(writer);
        })
        .finally(move || over(&poller))
}

scenario! {
    /// One task reads from a stream while another one writes to it; the peer answers what it has read.
    /// Both directions of one descriptor are under way, and none takes the other's edge.
    family: BothDirections;
    rules: "NP-EVT-1 NP-EDGE-2 NP-WAIT-4 NP-FD-6";
    from: "a connection split in two halves, with a kernel";
    fn stream_split<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let near = Arc::new(near);
        // Whoever gave it up last would close it, and no engine sees that race.
        let (writer, last) = (Arc::clone(&near), Arc::clone(&near));
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let got = read_one::<E>(&near);
                assert_that(got == Ok(Some(2)), || format!("the reader got {got:?}"));
                stop::<E>(&stopper, &done);
            })
            .thread("writer", move || write_one::<E>(&writer, 1))
            .thread("peer", move || {
                let got = read_one::<E>(&far);
                assert_that(got == Ok(Some(1)), || format!("the peer got {got:?}"));
                write_one::<E>(&far, 2);
                closes::<E>(far);
            })
            .finally(move || {
                drop(last);
                over(&poller);
            })
    }
}

scenario! {
    /// A reader and a writer of one stream are in their system calls, about to park or parked when
    /// the stream is closed. Nobody polls: the close ends both, and returns when both are out.
    family: ParkClose;
    rules: "NP-WAIT-2 NP-WAIT-3 NP-FD-3 NP-FD-4";
    from: "Go #45211 (B1), #10527 (B21), in both directions through the I/O layer";
    fn stream_close_reader_and_writer<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        full(&near);
        let near = Arc::new(near);
        let [writer, closer, last] = [(); 3].map(|()| Arc::clone(&near));
        Plan::new()
            .thread("reader", move || {
                let got = read_one::<E>(&near);
                let closed = got == Err(Some(Reason::Closed));
                assert_that(closed, || format!("the reader got {got:?}"));
            })
            .thread("writer", move || {
                let got = E::sealed(|| (&*writer).write(&[2]).map_err(|error| Reason::of(&error)));
                let closed = got == Err(Some(Reason::Closed));
                assert_that(closed, || format!("the writer got {got:?}"));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
            })
            .finally(move || {
                drop((last, far));
                over(&poller);
            })
    }
}

scenario! {
    /// A byte and a close for a reader in its system call or parked, while a poller delivers edges. The
    /// poller's readiness must not be what the close relies on, nor hide that it came too late.
    family: ParkClose;
    rules: "NP-WAIT-2 NP-WAIT-3 NP-WAIT-7 NP-FD-4";
    from: "Go #45211 (B1) and what masked it: a poller that always brings readiness";
    fn stream_close_with_traffic<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let near = Arc::new(near);
        let (closer, last) = (Arc::clone(&near), Arc::clone(&near));
        let far = Arc::new(far);
        let peer = Arc::clone(&far);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let got = read_one::<E>(&near);
                let fine = matches!(got, Ok(Some(7)) | Err(Some(Reason::Closed)));
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

scenario! {
    /// A future that reads is polled once and dropped while its byte comes. Either it has read it, or
    /// the byte, and the edge that announces it, are there for the next read.
    family: Retract;
    rules: "NP-SLOT-6 NP-SLOT-7 NP-FD-7";
    from: "cancellation by drop, through the I/O layer";
    fn future_dropped_at_its_byte<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        let reader = Arc::new(reader);
        let (own, last) = (Arc::clone(&reader), Arc::clone(&reader));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("task", move || {
                let mut task = Task::new(async move {
                    let mut byte = [0];
                    own.async_read(&mut byte).await.map(drop)
                });
                let polled = task.poll_once();
                drop(task);
                if polled.is_pending() {
                    let got = read_one::<E>(&reader);
                    assert_that(got == Ok(Some(7)), || format!("the next read got {got:?}"));
                } else {
                    assert_that(polled.is_ready(), || format!("the future got {polled:?}"));
                }
                stop::<E>(&stopper, &done);
            })
            .thread("writer", move || {
                write_one::<E>(&writer, 7);
                closes::<E>(writer);
            })
            .finally(move || {
                drop(last);
                over(&poller);
            })
    }
}

scenario! {
    /// A future that reads is polled by one task and then by another one, while its byte comes: the
    /// second one's waker is the one that counts, and the future keeps its turn.
    family: Repoll;
    rules: "NP-WAIT-5 NP-SLOT-2 NP-FD-5";
    from: "the contract of Future::poll, through the I/O layer";
    fn future_moves_to_another_task<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        let reader = Arc::new(reader);
        let last = Arc::clone(&reader);
        let task = Task::new(async move {
            let mut byte = [0];
            reader.async_read(&mut byte).await.map(drop)
        });
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("task", move || {
                let mut task = task;
                if task.poll_once().is_pending() {
                    let got = task.finish::<E>();
                    assert_that(got == Ok(()), || format!("the future got {got:?}"));
                }
                stop::<E>(&stopper, &done);
            })
            .thread("writer", move || {
                write_one::<E>(&writer, 7);
                closes::<E>(writer);
            })
            .finally(move || {
                drop(last);
                over(&poller);
            })
    }
}
