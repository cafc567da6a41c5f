//! Work and shutdowns against workers that go to sleep: the handshakes of going idle (NP-IDLE-2).
//!
//! The scenarios on the kernel that does nothing are where the fences are judged: work is a relaxed
//! word there, and nothing but the idle protocol orders it. In the others workers sleep in the
//! simulated kernel, or in one of which little more is left than the sleep, and a call that is lost is a
//! deadlock.

use super::bench::Bench;
use super::crew::{BareCrew, WiredCrew};
use super::traffic::{Wired, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller_spec::election::Polling;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    work_while_the_worker_parks::SCENARIO,
    work_while_the_worker_goes_to_the_kernel::SCENARIO,
    work_while_another_job_is_found::SCENARIO,
    work_from_two_while_the_worker_sleeps::SCENARIO,
    two_jobs_two_workers::SCENARIO,
    three_jobs_three_workers::SCENARIO,
    shut_down_while_the_worker_parks::SCENARIO,
    shut_down_while_the_worker_goes_to_the_kernel::SCENARIO,
    shut_down_while_two_workers_go_idle::SCENARIO,
    shut_down_while_three_workers_go_idle::SCENARIO,
];

scenario! {
    /// A worker that was searching goes to sleep on its parker while work is made runnable by somebody who
    /// may have seen it search: it sees the work when it looks once more, or is called.
    family: WorkAndIdle;
    rules: "NP-IDLE-1 NP-IDLE-2 NP-IDLE-4";
    from: "Go #38860 (B12); the delicate dance of its findRunnable";
    fn work_while_the_worker_parks<E>() -> Plan {
        let bench = Bench::<E>::new();
        let crew = BareCrew::<E>::beside_a_poller(&bench.poller, 2, 1);
        let (worker, outside) = (crew.clone(), crew.clone());
        Plan::new()
            .thread("worker", move || {
                let mut searcher = worker.idle.worker(1);
                // If the one in the kernel was called already, one searches, and that is enough.
                searcher.search();
                worker.serve_one_as(searcher, |_| {});
            })
            .thread("outside", move || outside.publish_all(0..1))
            .finally(move || crew.all_done())
    }
}

scenario! {
    /// The same with a worker that goes to sleep in the kernel, as the only one there is.
    family: WorkAndIdle;
    rules: "NP-IDLE-1 NP-IDLE-2 NP-IDLE-4 NP-IDLE-8";
    from: "Go's wakeNetPoller, and #42237 (B11)";
    fn work_while_the_worker_goes_to_the_kernel<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let crew = WiredCrew::<E>::new(&poller, 1, 1);
        let (worker, outside) = (crew.clone(), crew.clone());
        Plan::new()
            .thread("worker", move || worker.serve(0, |_| {}))
            .thread("outside", move || outside.publish_all(0..1))
            .finally(move || crew.over())
    }
}

scenario! {
    /// A worker that searches finds a job and searches no more, while another job is made runnable by
    /// somebody who has seen it search: the worker sees that job, or the one that polls is called.
    family: WorkAndIdle;
    rules: "NP-IDLE-2 NP-IDLE-7";
    from: "Go #43997, #45867 (B34): needspinning";
    fn work_while_another_job_is_found<E>() -> Plan {
        let bench = Bench::<E>::new();
        let crew = BareCrew::<E>::beside_a_poller(&bench.poller, 2, 1);
        let saw = Arc::new(AtomicBool::new(false));
        let (finder, outside, seen) = (crew.clone(), crew.clone(), Arc::clone(&saw));
        Plan::new()
            .thread("worker", move || {
                let mut worker = finder.idle.worker(1);
                // If the one in the kernel was called already, one searches, and that is enough.
                worker.search();
                let look = || {
                    let work = finder.has_work();
                    seen.store(work, Ordering::Relaxed);
                    work
                };
                worker.found(look).expect("the stub takes tokens");
            })
            .thread("outside", move || outside.publish_all(0..1))
            .finally(move || {
                let called = crew.idle.peek().polling() == Polling::Called;
                let seen = saw.load(Ordering::Relaxed);
                assert_that(called, || {
                    let but = if seen { ", although the worker saw it" } else { "" };
                    format!("a job waits beside a busy worker, and nobody was called for it{but}")
                });
            })
    }
}

scenario! {
    /// Two tasks make work runnable while a worker goes to sleep: it is called once, and finds both.
    family: WorkAndIdle;
    rules: "NP-IDLE-2 NP-IDLE-4 NP-IDLE-6";
    from: "two callers and one sleeper";
    fn work_from_two_while_the_worker_sleeps<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 1, 2);
        let (worker, one, two) = (crew.clone(), crew.clone(), crew.clone());
        Plan::new()
            .thread("worker", move || worker.serve(0, |_| {}))
            .thread("outside-1", move || one.publish_all(0..1))
            .thread("outside-2", move || two.publish_all(1..2))
            .finally(move || crew.over())
    }
}

scenario! {
    /// Two jobs that never end for two workers: whoever takes one must not keep the other waiting beside
    /// a worker that sleeps.
    family: WorkAndIdle;
    rules: "NP-IDLE-4 NP-IDLE-6 NP-IDLE-7";
    from: "Go #45867 (B34): an idle P beside a runnable goroutine";
    fn two_jobs_two_workers<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 2, 2);
        let (one, two, outside) = (crew.clone(), crew.clone(), crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve_one(0, |_| {}))
            .thread("worker-1", move || two.serve_one(1, |_| {}))
            .thread("outside", move || outside.publish_all(0..2))
            .finally(move || crew.all_done())
    }
}

scenario! {
    /// The same with three of each, one of which was there before anybody slept: two workers sleep, one
    /// of them in the kernel, and whoever comes for the first job may be any of the three.
    family: WorkAndIdle;
    rules: "NP-IDLE-4 NP-IDLE-5 NP-IDLE-6 NP-IDLE-7";
    from: "Go #43997, #45867 (B34), with a third worker";
    fn three_jobs_three_workers<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 3, 3);
        crew.publish(2);
        let [one, two, three, outside] = [(); 4].map(|()| crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve_one(0, |_| {}))
            .thread("worker-1", move || two.serve_one(1, |_| {}))
            .thread("worker-2", move || three.serve_one(2, |_| {}))
            .thread("outside", move || outside.publish_all(0..2))
            .finally(move || crew.all_done())
    }
}

scenario! {
    /// The workers are shut down while one goes to sleep on its parker.
    family: ShutDown;
    rules: "NP-IDLE-9";
    from: "a shutdown that comes between the decision to sleep and the sleep";
    fn shut_down_while_the_worker_parks<E>() -> Plan {
        let bench = Bench::<E>::new();
        let crew = BareCrew::<E>::beside_a_poller(&bench.poller, 2, 0);
        let (worker, outside) = (crew.clone(), crew.clone());
        Plan::new()
            .thread("worker", move || worker.serve(1, |_| {}))
            .thread("outside", move || outside.shut_down())
            .finally(move || {
                let word = crew.idle.peek();
                // The one in the kernel was called, and is in no plan.
                let called = word.parked() == 0 && word.polling() == Polling::Called;
                assert_that(called, || format!("after a shutdown the idle word says {word:?}"));
            })
    }
}

scenario! {
    /// The same with a worker that goes to sleep in the kernel.
    family: ShutDown;
    rules: "NP-IDLE-8 NP-IDLE-9";
    from: "a shutdown that comes between the election and the poll";
    fn shut_down_while_the_worker_goes_to_the_kernel<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let crew = WiredCrew::<E>::new(&poller, 1, 0);
        let (worker, outside) = (crew.clone(), crew.clone());
        Plan::new()
            .thread("worker", move || worker.serve(0, |_| {}))
            .thread("outside", move || outside.shut_down())
            .finally(move || crew.over())
    }
}

scenario! {
    /// One of two workers polls, the other one parks, and both are shut down.
    family: ShutDown;
    rules: "NP-IDLE-3 NP-IDLE-9";
    from: "a shutdown that forgets one of two places to sleep in";
    fn shut_down_while_two_workers_go_idle<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 2, 0);
        let (one, two, outside) = (crew.clone(), crew.clone(), crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve(0, |_| {}))
            .thread("worker-1", move || two.serve(1, |_| {}))
            .thread("outside", move || outside.shut_down())
            .finally(move || crew.over())
    }
}

scenario! {
    /// Three workers go idle and are shut down: one is in the kernel, the others are parked, or all are on
    /// the way.
    family: ShutDown;
    rules: "NP-IDLE-3 NP-IDLE-5 NP-IDLE-9";
    from: "a shutdown that forgets one of three sleepers";
    fn shut_down_while_three_workers_go_idle<E>() -> Plan {
        let bench = Bench::<E>::in_which_one_sleeps();
        let crew = BareCrew::<E>::new(&bench.poller, 3, 0);
        let [one, two, three, outside] = [(); 4].map(|()| crew.clone());
        Plan::new()
            .thread("worker-0", move || one.serve(0, |_| {}))
            .thread("worker-1", move || two.serve(1, |_| {}))
            .thread("worker-2", move || three.serve(2, |_| {}))
            .thread("outside", move || outside.shut_down())
            .finally(move || crew.over())
    }
}
