//! The count of waiters, looked at by a scheduler while tasks are taken out of their slots and woken.
//!
//! A task is parked before the threads begin, and its waker says that it may run. So whoever finds that
//! nobody waits has to find, too, that the task may run. The count is one of the engine's words here
//! ([`Model::counted`]); and what the waker says is read relaxed, so that the only thing that can
//! publish it is the count.

use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::StubKernel;
use crate::oracle::{self, assert_that};
use crate::world::Model;
use netpoller::desc::Wait;
use netpoller::poller::{Poller, Shape};
use netpoller::seam::{Atomic, Event, Instant, Kernel, System};
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Generation;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    waiters_while_an_edge_arrives::SCENARIO,
    waiters_while_a_descriptor_is_closed::SCENARIO,
    waiters_while_a_deadline_expires::SCENARIO,
    waiters_while_two_edges_arrive::SCENARIO,
];

type Counted<E> = Model<E, StubKernel<E>, true>;

/// The waker of a task that is done when it may run.
#[derive(Debug)]
struct MayRun<E: Engine>(E::AtomicU32);

impl<E: Engine> MayRun<E> {
    fn it_may(&self) -> bool {
        // Relaxed: the count publishes it, or nobody does.
        self.0.load(Ordering::Relaxed) != 0
    }
}

impl<E: Engine> Wake for MayRun<E> {
    fn wake(self: Arc<Self>) {
        self.0.store(1, Ordering::Relaxed);
    }
}

fn poller<E: Engine>() -> Poller<Counted<E>> {
    let shape = Shape { first_segment: 2, first_generation: Generation::FIRST, turns: false };
    Poller::on(Model::counted(StubKernel::new()), shape).expect("the stub has an event queue")
}

/// A descriptor whose reader is parked.
fn parked<E: Engine>(poller: &Poller<Counted<E>>) -> (Arc<Source<Counted<E>>>, Arc<MayRun<E>>) {
    let (fd, _other) = poller.system().kernel().pipe().expect("the stub makes descriptors");
    let source = poller.register(fd).expect("the stub registers everything");
    let task = Arc::new(MayRun::<E>(E::AtomicU32::new(0)));
    let waker = Waker::from(Arc::clone(&task));
    let mut wait = Wait::default();
    let polled = source.incarnation().poll_wait(Mode::Read, &mut wait, &waker, || Ok(()));
    assert!(polled.is_pending(), "nothing has happened yet: {polled:?}");
    (Arc::new(source), task)
}

/// What a scheduler does that asks whether to go on polling.
fn look<E: Engine>(poller: &Poller<Counted<E>>, tasks: &[&MayRun<E>]) {
    let waiters = poller.waiters();
    E::note("waiters", waiters as u64);
    if waiters == 0 {
        let asleep = tasks.iter().filter(|task| !task.it_may()).count();
        assert_that(asleep == 0, || {
            format!("nobody waits, and {asleep} tasks have not been woken (NP-WAKE-3)")
        });
    }
}

/// Nobody waits any more.
fn over<E: Engine>(poller: &Poller<Counted<E>>) {
    let left = poller.peek_in_flight();
    assert_that(left == 0, || format!("{left} tasks are on their way for ever (NP-WAKE-3)"));
    oracle::quiescent(poller, poller.queue().peek_break_token());
}

scenario! {
    /// A scheduler counts the waiters while an edge takes the only one out of its slot and wakes it.
    family: ParkUnpark;
    rules: "NP-WAKE-3";
    from: "Go #61454 (B9), #33624, #60782 (B8)";
    fn waiters_while_an_edge_arrives<E>() -> Plan {
        let poller = poller::<E>();
        let (source, task) = parked(&poller);
        let event = Event { token: source.token(), bits: Bits::IN };
        let [delivering, scheduler] = [(); 2].map(|()| poller.clone());
        Plan::new()
            .thread("poller", move || delivering.deliver(&[event]))
            .thread("scheduler", move || look(&scheduler, &[&task]))
            .finally(move || {
                over(&poller);
                drop(source);
            })
    }
}

scenario! {
    /// The same while the descriptor of the waiter is closed.
    family: ParkClose;
    rules: "NP-WAKE-3 NP-WAIT-3";
    from: "Go #61454 (B9): a close adjusts the count, too";
    fn waiters_while_a_descriptor_is_closed<E>() -> Plan {
        let poller = poller::<E>();
        let (source, task) = parked(&poller);
        let scheduler = poller.clone();
        Plan::new()
            .thread("closer", move || {
                let closed = E::sealed(|| source.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the closer got {closed:?}"));
            })
            .thread("scheduler", move || look(&scheduler, &[&task]))
            .finally(move || over(&poller))
    }
}

scenario! {
    /// The same while the deadline of the waiter is set into the past.
    family: DeadlineInPast;
    rules: "NP-WAKE-3 NP-TIME-2";
    from: "Go #61454 (B9): a deadline adjusts the count, too";
    fn waiters_while_a_deadline_expires<E>() -> Plan {
        let poller = poller::<E>();
        poller.system().kernel().advance_to(Instant::from_nanos(5));
        let (source, task) = parked(&poller);
        let (scheduler, setter) = (poller.clone(), Arc::clone(&source));
        Plan::new()
            .thread("setter", move || {
                setter.set_read_deadline(Some(Instant::from_nanos(1))).expect("open");
            })
            .thread("scheduler", move || look(&scheduler, &[&task]))
            .finally(move || {
                over(&poller);
                drop(source);
            })
    }
}

scenario! {
    /// Two tasks are taken out by two pollers while a scheduler counts: the one that is woken first
    /// does not take the other one along.
    family: ParkUnpark;
    rules: "NP-WAKE-3";
    from: "Go #60782 (B8), with two that adjust the count";
    fn waiters_while_two_edges_arrive<E>() -> Plan {
        let poller = poller::<E>();
        let [(one, first), (two, second)] = [(); 2].map(|()| parked(&poller));
        let events = [&one, &two].map(|source| Event { token: source.token(), bits: Bits::IN });
        let [poller_1, poller_2, scheduler] = [(); 3].map(|()| poller.clone());
        Plan::new()
            .thread("poller-1", move || poller_1.deliver(&events[..1]))
            .thread("poller-2", move || poller_2.deliver(&events[1..]))
            .thread("scheduler", move || look(&scheduler, &[&first, &second]))
            .finally(move || {
                over(&poller);
                drop((one, two));
            })
    }
}
