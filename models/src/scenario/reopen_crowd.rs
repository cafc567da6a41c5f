//! An incarnation that is over against the one that uses its place now, with more threads and fewer
//! steps than in [`reopen`](super::reopen): the successor is looked at when all threads have ended.

use super::bench::{Bare, Bench, Left, Waited, left};
use super::reopen::fresh_and_working;
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::seam::Mutex as _;
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::sync::Arc;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    stale_edge_reopen::SCENARIO,
    stale_edge_close_reset_reopen::SCENARIO,
    stale_error_waiter_reopen::SCENARIO,
    stale_error_and_edge_reopen::SCENARIO,
];

/// Where the owner leaves the descriptor that has taken the place of the old one.
type Next<E> = Left<E, Option<Source<Bare<E>>>>;

/// Closes `old` and opens another descriptor in its place.
fn reopen<E: Engine>(old: Source<Bare<E>>, bench: &Bench<E>, next: &Next<E>) {
    bench.shut(old);
    let opened = bench.open();
    *next.lock() = Some(opened);
}

/// No event of the old incarnation has reached the new one, which is in order.
fn untouched<E: Engine>(bench: &Bench<E>, next: &Next<E>) {
    let next = next.lock().take().expect("it was opened");
    for mode in Mode::BOTH {
        let check = bench.verdict(next.token(), mode);
        assert_that(check.is_ok(), || format!("NP-GEN-5: {mode:?} of the new one is {check:?}"));
        let pending = bench.pending(0, mode);
        assert_that(!pending, || format!("NP-GEN-1: {mode:?} of the new one was told of an edge"));
    }
    bench.quiescent();
    drop(next);
}

scenario! {
    /// An edge was harvested, its descriptor is closed and another one takes the place, parks, and has
    /// an edge of its own: the late one reaches nobody, the new one its waiter.
    family: StaleEvent;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5";
    from: "Go #59545 (B2)";
    fn stale_edge_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (owner, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                fresh_and_working(&owner, next.token());
            })
            .thread("poller", move || poller.edge(token, Bits::IN.or(Bits::OUT)))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// An edge, a close and the reset before a system call, all of the old incarnation and all late,
    /// while the place changes hands. None of them writes to the new one.
    family: StaleEvent;
    rules: "NP-GEN-1 NP-GEN-2 NP-INFO-2 NP-SLOT-8 NP-WAIT-4";
    from: "protocol, explored without exhausting: everything stale at once";
    fn stale_edge_close_reset_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let [owner, poller, closer, reader] = [(); 4].map(|()| bench.clone());
        let next: Next<E> = left::<E, _>(None);
        let place = Arc::clone(&next);
        Plan::new()
            .thread("owner", move || reopen(source, &owner, &place))
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("closer", move || closer.close(token))
            .thread("reader", move || {
                let prepared = reader.poller.incarnation(token).prepare(Mode::Read);
                E::note("prepare", u64::from(prepared.is_ok()));
            })
            .finally(move || untouched(&bench, &next))
    }
}

scenario! {
    /// An event that is nothing but an error is delivered late, while a task still waits on the old
    /// incarnation: the task ends, and the new incarnation can be polled.
    family: EventError;
    rules: "NP-INFO-4 NP-INFO-5 NP-GEN-1 NP-GEN-5 NP-WAIT-3";
    from: "Go #30624 (B24) across a reopening; Go's open clears everr (R4)";
    fn stale_error_waiter_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (owner, poller, reader) = (bench.clone(), bench.clone(), bench.clone());
        let next: Next<E> = left::<E, _>(None);
        let place = Arc::clone(&next);
        Plan::new()
            .thread("owner", move || reopen(source, &owner, &place))
            .thread("poller", move || poller.edge(token, Bits::ERR))
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::NotPollable | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .finally(move || untouched(&bench, &next))
    }
}

scenario! {
    /// The same, and a second poller has harvested data: the two of them write the error and take it
    /// back, of an incarnation that may be over.
    family: EventError;
    rules: "NP-INFO-4 NP-INFO-5 NP-GEN-1 NP-GEN-5 NP-WAIT-3";
    from: "Go keeps the newest event's verdict, not the worst, of whichever incarnation (R4)";
    fn stale_error_and_edge_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let [owner, first, second, reader] = [(); 4].map(|()| bench.clone());
        let next: Next<E> = left::<E, _>(None);
        let place = Arc::clone(&next);
        Plan::new()
            .thread("owner", move || reopen(source, &owner, &place))
            .thread("poller-1", move || first.edge(token, Bits::ERR))
            .thread("poller-2", move || second.edge(token, Bits::IN))
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::NotPollable | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .finally(move || untouched(&bench, &next))
    }
}
