//! Readiness is consumed or reset while the next edge arrives: the third handshake (NP-EDGE-3).
//!
//! The kernel's side of an edge is a relaxed atomic here, so that nothing but the fences of the
//! code under test orders it: `data` stands for whatever the system call would have found.

use super::bench::{Bench, Tally, Waited, unheard};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller::seam::Atomic;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// This family.
pub const ALL: &[Scenario] = &[
    reset_late_notify::SCENARIO,
    consume_late_notify::SCENARIO,
    finish_late_notify::SCENARIO,
    error_found_while_ready::SCENARIO,
    reset_after_abandoned_wait::SCENARIO,
];

/// The reader's half: it dropped or consumed readiness, makes its system call, and when that
/// finds nothing it waits and tries again.
fn read_or_wait<E: Engine>(
    bench: &Bench<E>,
    token: netpoller_spec::token::Token,
    data: &E::AtomicU32,
) {
    if data.load(Ordering::Relaxed) == 1 {
        return;
    }
    let waited = bench.wait(token, Mode::Read);
    assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
    let found = data.load(Ordering::Relaxed);
    assert_that(found == 1, || "the edge came without what it announces".into());
}

scenario! {
    /// Readiness of an earlier edge is pending. The reader resets it and makes its system call;
    /// meanwhile the next edge finds the slot ready and writes nothing. Then the system call must
    /// find what the edge announced: if both looked at old values, the edge is lost.
    family: TwoEdges;
    rules: "NP-EDGE-3 NP-WAIT-4";
    from: "protocol argument; store buffering between reset and notify-that-finds-Ready";
    fn reset_late_notify<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        bench.edge(token, Bits::IN);
        let data = Arc::new(E::AtomicU32::new(0));
        let (reader, poller, kernel) = (bench.clone(), bench.clone(), Arc::clone(&data));
        Plan::new()
            .thread("reader", move || {
                let prepared = reader.poller.incarnation(token).prepare(Mode::Read);
                assert_that(prepared.is_ok(), || format!("prepare: {prepared:?}"));
                read_or_wait(&reader, token, &data);
            })
            .thread("poller", move || {
                kernel.store(1, Ordering::Relaxed);
                poller.edge(token, Bits::IN);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The same where the reader consumes the pending readiness by waiting.
    family: TwoEdges;
    rules: "NP-EDGE-3 NP-SLOT-5";
    from: "protocol argument; store buffering between consume and notify-that-finds-Ready";
    fn consume_late_notify<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        bench.edge(token, Bits::IN);
        let data = Arc::new(E::AtomicU32::new(0));
        let (reader, poller, kernel) = (bench.clone(), bench.clone(), Arc::clone(&data));
        Plan::new()
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
                read_or_wait(&reader, token, &data);
            })
            .thread("poller", move || {
                kernel.store(1, Ordering::Relaxed);
                poller.edge(token, Bits::IN);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The same where the reader was parked, was woken, and consumes when it looks again.
    family: TwoEdges;
    rules: "NP-EDGE-3 NP-SLOT-5";
    from: "protocol argument; store buffering between finish and notify-that-finds-Ready";
    fn finish_late_notify<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let waker = unheard();
        let mut wait = Wait::default();
        let parked = bench.poll(token, Mode::Read, &mut wait, &waker);
        assert_that(parked == Waited::Pending, || format!("the setup got {parked:?}"));
        bench.edge(token, Bits::IN);
        let data = Arc::new(E::AtomicU32::new(0));
        let (reader, poller, kernel) = (bench.clone(), bench.clone(), Arc::clone(&data));
        Plan::new()
            .thread("reader", move || {
                let waited = reader.go_on(token, Mode::Read, &mut wait);
                assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
                read_or_wait(&reader, token, &data);
            })
            .thread("poller", move || {
                kernel.store(1, Ordering::Relaxed);
                poller.edge(token, Bits::IN);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Readiness is pending and an event arrives that is nothing but an error: the poller
    /// publishes the error, finds the slot ready and writes nothing. A reader that consumed the
    /// readiness must see the error when it looks at the info word, or be woken.
    family: EventError;
    rules: "NP-EDGE-2 NP-EDGE-3 NP-INFO-5";
    from: "protocol argument; the sticky bits of the info word in the third handshake";
    fn error_found_while_ready<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        bench.edge(token, Bits::IN);
        let (reader, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                if reader.poller.incarnation(token).prepare(Mode::Read).is_ok() {
                    let waited = reader.wait(token, Mode::Read);
                    let fine = matches!(waited, Waited::Ready | Waited::NotPollable);
                    assert_that(fine, || format!("the reader got {waited:?}"));
                }
            })
            .thread("poller", move || poller.edge(token, Bits::ERR))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A wait was given up without a retract (its future was leaked). The next owner of the
    /// direction resets, which must take the abandoned waker out and wake it, while two late
    /// edges arrive; then it waits.
    family: TwoEdges;
    rules: "NP-SLOT-8 NP-SLOT-2 NP-SLOT-3";
    from: "a blind reset strands a waker in the cell: found by exploring a prototype";
    fn reset_after_abandoned_wait<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (tally, waker) = Tally::new();
        let mut abandoned = Wait::default();
        let parked = bench.poll(token, Mode::Read, &mut abandoned, &waker);
        assert_that(parked == Waited::Pending, || format!("the setup got {parked:?}"));
        let data = Arc::new(E::AtomicU32::new(0));
        let (reader, first, second) = (bench.clone(), bench.clone(), bench.clone());
        let kernel = Arc::clone(&data);
        Plan::new()
            .thread("reader", move || {
                let prepared = reader.poller.incarnation(token).prepare(Mode::Read);
                assert_that(prepared.is_ok(), || format!("prepare: {prepared:?}"));
                read_or_wait(&reader, token, &data);
            })
            .thread("poller-1", move || {
                kernel.store(1, Ordering::Relaxed);
                first.edge(token, Bits::IN);
            })
            .thread("poller-2", move || second.edge(token, Bits::OUT))
            .finally(move || {
                let wakes = tally.wakes();
                assert_that(wakes == 1, || format!("the abandoned task was woken {wakes} times"));
                bench.quiescent();
                drop((source, abandoned));
            })
    }
}
