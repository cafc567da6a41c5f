//! The first registrations of a poller, and descriptors that come and go in one place.
//!
//! The first segment of the slab has one entry, as everywhere in the scenarios: the second
//! descriptor needs the second segment, and whoever closes makes room for whoever opens next.

use super::bench::{Bench, Tally, Waited, left};
use super::traffic::{Wired, over, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller::ready::Ready;
use netpoller::seam::{Kernel, Mutex as _, System};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    first_use_two::SCENARIO,
    first_use_three::SCENARIO,
    first_use_four::SCENARIO,
    first_use_five::SCENARIO,
    first_use_under_a_poll::SCENARIO,
    churn_two_owners::SCENARIO,
    churn_under_stale_edges::SCENARIO,
    churn_under_stale_edges_and_a_close::SCENARIO,
    churn_with_numbers::SCENARIO,
];

/// As many tasks as there are names make the first registrations of a poller, all at once, and see
/// that an edge of their own reaches them.
fn first_use<E: Engine>(names: &[&'static str]) -> Plan {
    let bench = Bench::<E>::new();
    let sources = left::<E, Vec<_>>(Vec::new());
    let mut plan = Plan::new();
    for &name in names {
        let (owner, place) = (bench.clone(), Arc::clone(&sources));
        plan = plan.thread(name, move || {
            let source = owner.open();
            owner.edge(source.token(), Bits::IN);
            let waited = owner.wait(source.token(), Mode::Read);
            assert_that(waited == Waited::Ready, || format!("its own edge was lost: {waited:?}"));
            place.lock().push(source);
        });
    }
    plan.finally(move || {
        let sources = core::mem::take(&mut *sources.lock());
        let places: BTreeSet<u64> = sources.iter().map(|source| source.token().bits()).collect();
        assert_that(places.len() == sources.len(), || format!("one place twice: {sources:?}"));
        bench.quiescent();
    })
}

scenario! {
    /// Two tasks make the first registrations of a poller. One of them makes the first segment, one the
    /// second, and each has a place of its own, which an edge finds.
    family: FirstUse;
    rules: "NP-GEN-5 NP-SLOT-3";
    from: "Go #19289 and netpollGenericInit's lock; the first use of a lazy thing";
    fn first_use_two<E>() -> Plan {
        first_use::<E>(&["owner-1", "owner-2"])
    }
}

scenario! {
    /// Three tasks make the first registrations of a poller: two of them meet in the second segment.
    family: FirstUse;
    rules: "NP-GEN-5 NP-SLOT-3";
    from: "the first use of a lazy thing";
    fn first_use_three<E>() -> Plan {
        first_use::<E>(&["owner-1", "owner-2", "owner-3"])
    }
}

scenario! {
    /// Four tasks make the first registrations of a poller, which take three segments.
    family: FirstUse;
    rules: "NP-GEN-5 NP-SLOT-3";
    from: "the first use of a lazy thing";
    fn first_use_four<E>() -> Plan {
        first_use::<E>(&["owner-1", "owner-2", "owner-3", "owner-4"])
    }
}

scenario! {
    /// The same with five.
    family: FirstUse;
    rules: "NP-GEN-5 NP-SLOT-3";
    from: "the first use of a lazy thing";
    fn first_use_five<E>() -> Plan {
        first_use::<E>(&["owner-1", "owner-2", "owner-3", "owner-4", "owner-5"])
    }
}

scenario! {
    /// The first registration comes while the first poll is under way: it may harvest a token whose
    /// entry was made a moment ago, and has to find it.
    family: FirstUse;
    rules: "NP-EDGE-1 NP-GEN-1";
    from: "an event of a registration that has not returned yet (litmus `add_not_returned`)";
    fn first_use_under_a_poll<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let kernel = poller.system().kernel();
        let (reader, writer) = kernel.pipe().expect("a fresh kernel has room for a pipe");
        let written = kernel.write(&writer, &[7]);
        assert_that(matches!(written, Ok(1)), || format!("the setup got {written:?}"));
        let (passer, one, two) = (poller.clone(), poller.clone(), poller.clone());
        Plan::new()
            .thread("passer", move || {
                E::sealed(|| {
                    let polled = passer.poll(&mut Ready::with_batch(2), Some(Duration::ZERO));
                    assert_that(polled.is_ok(), || format!("the poll got {polled:?}"));
                });
            })
            .thread("owner-1", move || E::sealed(|| drop(one.register(reader).expect("room"))))
            .thread("owner-2", move || E::sealed(|| drop(two.register(writer).expect("room"))))
            .finally(move || over(&poller))
    }
}

/// Opens, parks, and closes under the wait, `times` in a row. Each incarnation is fresh, and its
/// end wakes the task.
fn churn<E: Engine>(bench: &Bench<E>, times: usize) {
    for _ in 0..times {
        let source = bench.open();
        let (tally, waker) = Tally::new();
        let mut wait = Wait::default();
        let parked = bench.poll(source.token(), Mode::Read, &mut wait, &waker);
        assert_that(parked == Waited::Pending, || format!("a fresh one is not: {parked:?}"));
        drop(source);
        let wakes = tally.wakes();
        assert_that(wakes == 1, || format!("the end of a descriptor woke its task {wakes} times"));
    }
}

/// What the events of the first descriptor were named, which is closed.
fn of_the_first<E: Engine>(bench: &Bench<E>) -> Token {
    bench.open().token()
}

scenario! {
    /// Two tasks open, park and close, twice each, in one place or in two. Each of them has a fresh
    /// incarnation every time, and nobody's end wakes the other one's task.
    family: Churn;
    rules: "NP-GEN-2 NP-GEN-5 NP-SLOT-4";
    from: "Go net.TestDialerFallback and its like: descriptors come and go (#59545, B2)";
    fn churn_two_owners<E>() -> Plan {
        let bench = Bench::<E>::new();
        let (one, two) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner-1", move || churn(&one, 2))
            .thread("owner-2", move || churn(&two, 2))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// The same under the late edges of a descriptor that had the place before: none of them is taken
    /// for the news of an owner.
    family: Churn;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5";
    from: "Go #59545 (B2)";
    fn churn_under_stale_edges<E>() -> Plan {
        let bench = Bench::<E>::new();
        let token = of_the_first(&bench);
        let (one, two, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("owner-1", move || churn(&one, 1))
            .thread("owner-2", move || churn(&two, 1))
            .thread("poller", move || {
                poller.edge(token, Bits::IN);
                poller.edge(token, Bits::ERR);
            })
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// The same, and somebody closes the first descriptor once more.
    family: Churn;
    rules: "NP-GEN-1 NP-GEN-2 NP-GEN-5 NP-INFO-2";
    from: "Go #59545 (B2), with an unblocker that comes late";
    fn churn_under_stale_edges_and_a_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let token = of_the_first(&bench);
        let [one, two, poller, closer] = [(); 4].map(|()| bench.clone());
        Plan::new()
            .thread("owner-1", move || churn(&one, 1))
            .thread("owner-2", move || churn(&two, 1))
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("closer", move || closer.close(token))
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// Two tasks open and close in the kernel, one of them twice, and the numbers are given out again at
    /// once: whoever gets one registers it anew, and the end of one registration is not that of another.
    family: Churn;
    rules: "NP-FD-9 NP-FD-10 NP-GEN-5";
    from: "Go #7970 (B22), with nobody but owners";
    fn churn_with_numbers<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (end, other) =
            poller.system().kernel().pipe().expect("a fresh kernel has room for a pipe");
        let [end, other] = [end, other].map(Arc::new);
        let owner = |end: &Arc<_>, times: usize| {
            let (poller, end) = (poller.clone(), Arc::clone(end));
            move || {
                for _ in 0..times {
                    let number = poller.system().kernel().dup(&end).expect("there is a number");
                    let source = poller.register(number).expect("there is room for another one");
                    let check = source.incarnation().check(Mode::Read);
                    assert_that(check.is_ok(), || format!("a fresh one is {check:?}"));
                }
            }
        };
        let (first, second) = (owner(&end, 2), owner(&other, 1));
        Plan::new().thread("owner-1", first).thread("owner-2", second).finally(move || {
            let left = poller.queue().peek_registered();
            assert_that(left.is_empty(), || format!("registrations were left behind: {left:?}"));
            drop((end, other));
            over(&poller);
        })
    }
}
