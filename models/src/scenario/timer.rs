//! Timers that have no descriptor: set while a poller sleeps, moved and dropped while they fire.
//!
//! On the bench the time is a thread of the plan, the *clock*, as in [`deadline`](super::deadline); on the
//! simulated kernel it passes by the sleep of the poller alone.

use super::bench::{Bare, Bench};
use super::deadline::at;
use super::traffic::{Simulated, Wired, drive, over, stop, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::seam::{Instant, Parker};
use netpoller::timer::Timer;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    timer_moved_while_it_fires::SCENARIO,
    timer_dropped_while_it_fires::SCENARIO,
    timer_set_while_a_poller_sleeps::SCENARIO,
];

/// Sets a timer; a poller that sleeps too long is woken by that and looks: here it looks at once.
fn set<E: Engine>(bench: &Bench<E>, timer: &Timer<Bare<E>>, deadline: Option<Instant>) {
    timer.set(deadline).expect("the poller lives");
    bench.poller.expire_due();
}

scenario! {
    /// The owner moves its timer forward while it fires, and waits. Nobody else is there to wake it.
    family: DeadlineMoved;
    rules: "NP-TIME-3 NP-TIME-5 NP-TIME-6 NP-TIME-7";
    from: "a sleep that is started again, as a keep-alive is";
    fn timer_moved_while_it_fires<E>() -> Plan {
        let bench = Bench::<E>::new();
        let mut timer = bench.poller.timer().expect("an empty slab has room");
        set(&bench, &timer, at(5));
        let (owner, clock) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                set(&owner, &timer, at(9));
                timer.wait().expect("the poller lives");
                let now = owner.poller.now();
                assert_that(Some(now) >= at(9), || format!("due at 9, and it is {now:?}"));
            })
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(9);
            })
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// A timer is given up while it fires, and its place is used again at once: the entry that is in
    /// the hands of the poller must not end the wait of the next timer.
    family: DeadlineReopen;
    rules: "NP-TIME-6 NP-TIME-10 NP-GEN-2";
    from: "a timeout around a read that is ready in time, and the next one";
    fn timer_dropped_while_it_fires<E>() -> Plan {
        let bench = Bench::<E>::new();
        let mut first = bench.poller.timer().expect("an empty slab has room");
        set(&bench, &first, at(5));
        let (owner, clock) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("owner", move || {
                let parker = E::parker();
                let waited = first.poll_expired(&mut Context::from_waker(parker.waker()));
                E::note("first", u64::from(waited.is_ready()));
                drop(first);
                let mut second = owner.poller.timer().expect("its place is free again");
                let waited = second.poll_expired(&mut Context::from_waker(parker.waker()));
                assert_that(matches!(waited, Poll::Pending), || "it was never set".to_owned());
                set(&owner, &second, at(9));
                second.wait().expect("the poller lives");
                let now = owner.poller.now();
                assert_that(Some(now) >= at(9), || format!("due at 9, and it is {now:?}"));
            })
            .thread("clock", move || {
                clock.tick(5);
                clock.tick(9);
            })
            .finally(move || bench.quiescent())
    }
}

scenario! {
    /// A poller sleeps until a timer that comes later, or is about to, while an earlier one is set. Nothing
    /// but its own sleep lets the time pass.
    family: GoingIdle;
    rules: "NP-TIME-12 NP-TIME-7";
    from: "Go #38860, #42237 (B11, B12), by a timer without a descriptor";
    fn timer_set_while_a_poller_sleeps<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let late: Timer<Simulated<E>> = poller.timer().expect("an empty slab has room");
        late.set(at(1000)).expect("the poller lives");
        let (driver, owner, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("owner", move || {
                let mut soon = owner.timer().expect("the slab has room");
                soon.set(at(5)).expect("the poller lives");
                soon.wait().expect("the poller lives");
                drop((soon, late));
                stop::<E>(&owner, &done);
            })
            .finally(move || over(&poller))
    }
}
