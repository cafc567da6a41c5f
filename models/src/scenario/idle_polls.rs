//! Who polls: one of the idle workers sleeps in the kernel, and leaves it to another one when it has
//! something to do (NP-IDLE-3, NP-IDLE-5, NP-IDLE-8).
//!
//! Here jobs are tasks that wait for a descriptor or a deadline: their wakers make the job runnable.

use super::bench::Bench;
use super::crew::{BareCrew, Crew, WiredCrew};
use super::traffic::{Wired, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::Timed;
use crate::oracle::assert_that;
use crate::world::Model;
use netpoller::desc::Wait;
use netpoller::ready::Ready;
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::sync::Arc;
use std::time::Duration;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    one_polls_the_other_parks::SCENARIO,
    the_kernel_is_handed_on::SCENARIO,
    the_kernel_is_watched_by_one_of_three::SCENARIO,
    deadline_set_by_a_worker_that_stays_busy::SCENARIO,
    glance_of_a_busy_worker::SCENARIO,
];

/// Leaves the waker of a job in the read slot of a source, as the task does that waits there. For the
/// setup of a plan.
fn waits<E: Engine, K: Timed>(
    crew: &Crew<Model<E, K>>,
    source: &Source<Model<E, K>>,
    job: usize,
) -> Wait {
    let mut wait = Wait::default();
    let turn = source.incarnation().poll_wait(Mode::Read, &mut wait, &crew.waker(job), || Ok(()));
    assert!(turn.is_pending(), "nothing is there to be read");
    wait
}

scenario! {
    /// Two workers go to sleep, and one job is there: one of them does it and shuts the other down,
    /// wherever that sleeps.
    family: OnePolls;
    rules: "NP-IDLE-3 NP-IDLE-8";
    from: "the swap of sched.lastpoll, by which Go elects the thread that blocks";
    fn one_polls_the_other_parks<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let crew = WiredCrew::<E>::new(&poller, 2, 1);
        crew.publish(0);
        let (one, two) = (crew.clone(), crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve(0, |_| {}))
            .thread("worker-1", move || two.serve(1, |_| {}))
            .finally(move || crew.over())
    }
}

scenario! {
    /// Two tasks wait for an event each. The worker that harvests the first one is busy with it for good:
    /// somebody else has to take the kernel over.
    family: OnePolls;
    rules: "NP-IDLE-5 NP-IDLE-8";
    from: "descriptors that go unnoticed beside a worker that sleeps";
    fn the_kernel_is_handed_on<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 2, 2);
        let sources = [bench.open(), bench.open()];
        let tokens = [sources[0].token(), sources[1].token()];
        let parked = [waits(&crew, &sources[0], 0), waits(&crew, &sources[1], 1)];
        let (one, two) = (crew.clone(), crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve_one(0, |_| {}))
            .thread("worker-1", move || two.serve_one(1, |_| {}))
            .thread("outside", move || {
                tokens.iter().for_each(|token| bench.ring(*token, Bits::IN));
            })
            .finally(move || {
                crew.all_done();
                drop((parked, sources));
            })
    }
}

scenario! {
    /// A task waits for an event, one job is there, and another one comes from outside, for three
    /// workers: the kernel stays watched whoever of them is called.
    family: OnePolls;
    rules: "NP-IDLE-5 NP-IDLE-8";
    from: "descriptors that go unnoticed beside two workers that sleep";
    fn the_kernel_is_watched_by_one_of_three<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 3, 3);
        let source = bench.open();
        crew.publish(1);
        let (token, parked) = (source.token(), waits(&crew, &source, 0));
        let [one, two, three, outside] = [(); 4].map(|()| crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve_one(0, |_| {}))
            .thread("worker-1", move || two.serve_one(1, |_| {}))
            .thread("worker-2", move || three.serve_one(2, |_| {}))
            .thread("outside", move || {
                bench.ring(token, Bits::IN);
                outside.publish_all(2..3);
            })
            .finally(move || {
                crew.all_done();
                drop((parked, source));
            })
    }
}

scenario! {
    /// A worker is busy for good with a job that has set a deadline, for which a task waits; the other
    /// worker goes to sleep meanwhile.
    family: OnePolls;
    rules: "NP-IDLE-5 NP-TIME-12";
    from: "Go #38860, #42237 (B11, B12), d80ab3e85a76 (B13): a timer beside a worker that goes idle";
    fn deadline_set_by_a_worker_that_stays_busy<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let crew = WiredCrew::<E>::new(&poller, 2, 2);
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let parked = waits(&crew, &reader, 1);
        crew.publish(0);
        let reader = Arc::new(reader);
        let worker = |number| {
            let (crew, reader) = (crew.clone(), Arc::clone(&reader));
            move || {
                crew.serve_one(number, |job| {
                    if job == 0 {
                        let soon = reader.poller().now().saturating_add(Duration::from_nanos(5));
                        reader.set_read_deadline(Some(soon)).expect("open");
                    }
                });
            }
        };
        let (one, two) = (worker(0), worker(1));
        Plan::new()
            .thread("worker-0", one)
            .thread("worker-1", two)
            .finally(move || {
                crew.all_done();
                drop((parked, reader, writer));
            })
    }
}

scenario! {
    /// A busy worker looks at the kernel in passing while the other one goes to sleep there and a job
    /// comes from outside: it does not take the break that calls the sleeper.
    family: OnePolls;
    rules: "NP-IDLE-4 NP-BREAK-3";
    from: "Go #42515, #66760 (B10, B26), and the polls of busy workers";
    fn glance_of_a_busy_worker<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let crew = WiredCrew::<E>::new(&poller, 2, 1);
        let (busy, idle, outside) = (crew.clone(), crew.clone(), crew.clone());
        Plan::new()
            .thread("busy", move || {
                let mut ready = Ready::with_batch(1);
                let worker = busy.idle.worker(0);
                let found = worker.glance(&mut ready).expect("the simulated kernel polls");
                assert_that(found == 0, || format!("a glance found {found} wakers"));
            })
            .thread("idle", move || idle.serve(1, |_| {}))
            .thread("outside", move || outside.publish_all(0..1))
            .finally(move || crew.over())
    }
}
