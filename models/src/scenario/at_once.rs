//! A deadline against readiness, against a close, against a close and a reopening, and against all
//! of them at once.

use super::bench::{Bare, Bench, Left, Waited, left};
use super::deadline::{at, set, waits_in_vain};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::seam::Mutex as _;
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::sync::{Arc, Mutex};

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    ready_deadline_close_in_turn::SCENARIO,
    ready_and_deadline_at_once::SCENARIO,
    deadline_and_close_at_once::SCENARIO,
    ready_deadline_close_at_once::SCENARIO,
    deadline_fires_across_reopen::SCENARIO,
    deadline_across_reopen_old_waiter::SCENARIO,
    deadline_across_reopen_old_edge::SCENARIO,
];

/// Waits once for reading; it ends with one of `fine`.
fn waits<E: Engine>(bench: &Bench<E>, token: Token, fine: &[Waited]) {
    let waited = bench.wait(token, Mode::Read);
    assert_that(fine.contains(&waited), || format!("the reader got {waited:?}"));
}

scenario! {
    /// Readiness, the deadline and a close, one after the other from one thread, while a reader
    /// waits three times: no wait may outlast the close, and none is ended by more than one of them.
    family: AtOnce;
    rules: "NP-WAIT-2 NP-WAIT-3 NP-WAIT-6 NP-WAIT-7 NP-TIME-3";
    from: "ready, timeout and close at once, without a third party";
    fn ready_deadline_close_in_turn<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let (waiter, world) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let all = [Waited::Ready, Waited::TimedOut, Waited::Closed];
                waits(&waiter, token, &all);
                // One edge: what comes later is no readiness.
                let edges = usize::from(waiter.wait(token, Mode::Read) == Waited::Ready);
                E::note("second readiness", edges as u64);
                waits(&waiter, token, &all[1..]);
            })
            .thread("world", move || {
                world.edge(token, Bits::IN);
                world.tick(5);
                world.close(token);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// An edge and an expiring deadline for one reader: it ends with one of the two, and the edge
    /// is consumed by it or still there.
    family: AtOnce;
    rules: "NP-WAIT-3 NP-WAIT-7 NP-TIME-5 NP-SLOT-4";
    from: "Go: expiry does not consume readiness (section 2.4 of its catalogue)";
    fn ready_and_deadline_at_once<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let (waiter, clock, poller) = (bench.clone(), bench.clone(), bench.clone());
        let got = Arc::new(Mutex::new(None));
        let mine = Arc::clone(&got);
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::TimedOut);
                assert_that(fine, || format!("the reader got {waited:?}"));
                *mine.lock().expect("no holder panics") = Some(waited);
            })
            .thread("clock", move || clock.tick(5))
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                let got = *got.lock().expect("no holder panics");
                let kept = (got == Some(Waited::Ready)) != bench.pending(0, Mode::Read);
                assert_that(kept, || format!("one edge; the reader got {got:?}"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A deadline expires while the descriptor is closed: both cancel the one parked reader, both
    /// write the info word, and the reader is woken.
    family: AtOnce;
    rules: "NP-WAIT-3 NP-INFO-3 NP-SLOT-4 NP-TIME-5";
    from: "Go #45211 (B1), with a timer beside it";
    fn deadline_and_close_at_once<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let (waiter, clock, closer) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || waits(&waiter, token, &[Waited::TimedOut, Waited::Closed]))
            .thread("clock", move || clock.tick(5))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                let check = bench.verdict(token, Mode::Read);
                let closed = check == Err(netpoller_spec::Reason::Closed);
                assert_that(closed, || format!("NP-INFO-3: it was closed, and says {check:?}"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// An edge, an expiring deadline and a close, all at once, for one parked reader: it ends with
    /// one of the three, and nothing is left behind.
    family: AtOnce;
    rules: "NP-WAIT-3 NP-WAIT-7 NP-INFO-3 NP-SLOT-4";
    from: "ready, timeout and close at once";
    fn ready_deadline_close_at_once<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = Arc::new(bench.open());
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let waiter = bench.clone();
        let (clock, poller, closer) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::TimedOut | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("clock", move || clock.tick(5))
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A timer of an incarnation fires while the descriptor is closed and its place is used again
    /// with a later deadline: the entry must not let the new one expire, and has to cover it.
    family: DeadlineReopen;
    rules: "NP-TIME-5 NP-TIME-6 NP-TIME-10 NP-GEN-5";
    from: "Go bumps rseq and wseq in every open and unblock (section 2.4, R3)";
    fn deadline_fires_across_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        source.set_deadline(at(5)).expect("open");
        let (owner, clock) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                drop(source);
                let next = owner.open();
                set(&owner, &next, Mode::Read, at(8));
                waits_in_vain(&next, &owner, Mode::Read);
            })
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(8);
            })
            .finally(move || bench.quiescent())
    }
}

/// A descriptor that takes the place of `old` with a later deadline, and what looks at it at the
/// end: the old timer must not have let it expire.
struct Successor<E: Engine>(Left<E, Option<Source<Bare<E>>>>);

impl<E: Engine> Successor<E> {
    fn new() -> (Self, Self) {
        let place = left::<E, _>(None);
        (Successor(Arc::clone(&place)), Successor(place))
    }

    /// Closes `old`, and opens in its place with this deadline.
    fn takes_the_place_of(self, old: Source<Bare<E>>, bench: &Bench<E>, deadline: u64) {
        bench.shut(old);
        let next = bench.open();
        set(bench, &next, Mode::Read, at(deadline));
        *self.0.lock() = Some(next);
    }

    fn end_in_order(self, bench: &Bench<E>) {
        let next = self.0.lock().take().expect("it was opened");
        let check = bench.verdict(next.token(), Mode::Read);
        assert_that(check.is_ok(), || format!("NP-TIME-5: the new incarnation is {check:?}"));
        bench.quiescent();
        drop(next);
    }
}

scenario! {
    /// The same while a task still waits on the old incarnation: it ends with its own deadline or
    /// with the close, and the new one does not expire.
    family: DeadlineReopen;
    rules: "NP-TIME-5 NP-TIME-6 NP-TIME-10 NP-GEN-2";
    from: "Go bumps rseq and wseq in every open and unblock (section 2.4, R3)";
    fn deadline_across_reopen_old_waiter<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_deadline(at(5)).expect("open");
        let (owner, clock, waiter) = (bench.clone(), bench.clone(), bench.clone());
        let (next, successor) = Successor::new();
        Plan::new()
            .thread("owner", move || next.takes_the_place_of(source, &owner, 8))
            .thread("clock", move || clock.tick(5))
            .thread("reader", move || waits(&waiter, token, &[Waited::TimedOut, Waited::Closed]))
            .finally(move || successor.end_in_order(&bench))
    }
}

scenario! {
    /// The same, and an edge that was harvested for the old incarnation is delivered late.
    family: DeadlineReopen;
    rules: "NP-TIME-5 NP-TIME-6 NP-TIME-10 NP-GEN-1 NP-GEN-2";
    from: "Go section 2.4, R3, with its stale event (#59545, B2)";
    fn deadline_across_reopen_old_edge<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_deadline(at(5)).expect("open");
        let (owner, clock) = (bench.clone(), bench.clone());
        let (waiter, poller) = (bench.clone(), bench.clone());
        let (next, successor) = Successor::new();
        Plan::new()
            .thread("owner", move || next.takes_the_place_of(source, &owner, 8))
            .thread("clock", move || clock.tick(5))
            .thread("reader", move || {
                let all = [Waited::Ready, Waited::TimedOut, Waited::Closed];
                waits(&waiter, token, &all);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || successor.end_in_order(&bench))
    }
}
