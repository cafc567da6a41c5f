//! Waiters, events and closes of an incarnation that is over, against the one that uses its
//! place now.

use super::bench::{Bench, Tally, Waited, unheard};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Named, Token};

/// This family.
pub const ALL: &[Scenario] = &[
    stale_event_reopen::SCENARIO,
    stale_event_waiter_reopen::SCENARIO,
    stale_everything_reopen::SCENARIO,
    stale_everything_reopen_drop::SCENARIO,
    late_close_across_reopen::SCENARIO,
    stale_reset_across_reopen::SCENARIO,
    last_generation_retires::SCENARIO,
];

/// The new incarnation must be untouched by the old one, and must work: a wait parks, the
/// descriptor is in order, and an edge of its own reaches it.
pub(super) fn fresh_and_working<E: Engine>(bench: &Bench<E>, token: Token) {
    let (tally, waker) = Tally::new();
    let mut wait = Wait::default();
    let parked = bench.poll(token, Mode::Read, &mut wait, &waker);
    assert_that(parked == Waited::Pending, || {
        format!("the new incarnation was not fresh: its first wait got {parked:?}")
    });
    bench.edge(token, Bits::IN);
    let done = bench.poll(token, Mode::Read, &mut wait, &waker);
    assert_that(done == Waited::Ready, || {
        format!("the edge of the new incarnation was lost: its wait got {done:?}")
    });
    assert_that(tally.wakes() == 1, || format!("the new waiter: {} wakes", tally.wakes()));
}

/// Which entry of the slab a token names.
pub(super) fn index(token: Token) -> u32 {
    match token.named() {
        Named::Entry(index, _) => index,
        Named::Break | Named::Foreign => panic!("{token:?} names no entry"),
    }
}

scenario! {
    /// An event was harvested, its descriptor is closed and another one takes the place, and only
    /// then is the event delivered. It says "error" and must reach nobody.
    family: EventError;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5";
    from: "Go #59545 (B2), #19289 (B3)";
    fn stale_event_reopen<E>() -> Plan {
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
            .thread("poller", move || poller.edge(token, Bits::ERR))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// The same while a task still waits on the old incarnation: it has to end, with readiness
    /// or with "closed", and must not take part in the new one.
    family: StaleEvent;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5 NP-WAIT-3";
    from: "protocol, explored without exhausting: a stale waiter and a stale notifier";
    fn stale_event_waiter_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (owner, reader) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                fresh_and_working(&owner, next.token());
            })
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                assert_that(waited == Waited::Closed, || format!("the reader got {waited:?}"));
            })
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// A stale waiter, a stale notifier, close, reopen and an edge of the new incarnation.
    family: StaleEvent;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5 NP-WAIT-3 NP-WAIT-7";
    from: "protocol, explored without exhausting: finish by swap writes generation 1 over 2";
    fn stale_everything_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (owner, reader, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                fresh_and_working(&owner, next.token());
            })
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// The same with a future that is polled once and dropped.
    family: StaleEvent;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5 NP-SLOT-6 NP-SLOT-7";
    from: "protocol, explored without exhausting: the same with a drop";
    fn stale_everything_reopen_drop<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (owner, task, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                fresh_and_working(&owner, next.token());
            })
            .thread("task", move || {
                let waker = unheard();
                let mut wait = Wait::default();
                task.poll(token, Mode::Read, &mut wait, &waker);
                task.retract(token, Mode::Read, &mut wait);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// Somebody closes the old incarnation, late: the place may be in new hands already, and
    /// the new incarnation must not be cancelled. A waiter of the old one is there, too.
    family: StaleEvent;
    rules: "NP-GEN-2 NP-INFO-2 NP-SLOT-4";
    from: "protocol, explored without exhausting: an unblocker across reopen";
    fn late_close_across_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (owner, reader, closer) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                fresh_and_working(&owner, next.token());
            })
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                assert_that(waited == Waited::Closed, || format!("the reader got {waited:?}"));
            })
            .thread("closer", move || closer.close(token))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// A reader of the old incarnation prepares its system call, late. The reset must not take
    /// readiness or a waiter away from the new incarnation.
    family: StaleEvent;
    rules: "NP-GEN-2 NP-SLOT-8 NP-WAIT-4";
    from: "protocol, explored: a blind reset on a stale handle";
    fn stale_reset_across_reopen<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        bench.edge(token, Bits::IN);
        let (owner, reader) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                fresh_and_working(&owner, next.token());
            })
            .thread("reader", move || {
                let prepared = reader.poller.incarnation(token).prepare(Mode::Read);
                E::note("prepare", u64::from(prepared.is_ok()));
            })
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// An entry has reached its last generation. Closing it retires the entry: the next
    /// descriptor gets another one, and late actors of the last generation find it closed.
    family: StaleEvent;
    rules: "NP-GEN-3 NP-GEN-1";
    from: "generation wrap, not modelled in the prototypes; Go's tags wrap";
    fn last_generation_retires<E>() -> Plan {
        let bench = Bench::<E>::starting_at(Generation::LAST);
        let source = bench.open();
        let token = source.token();
        let (owner, reader, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                owner.shut(source);
                let next = owner.open();
                let apart = index(next.token()) != index(token);
                assert_that(apart, || "an entry was used after its last generation".into());
                fresh_and_working(&owner, next.token());
            })
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || bench.quiescent())
    }
}
