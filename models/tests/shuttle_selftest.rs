//! What the engines rely on in shuttle 0.9.9, and what is known to be missing there, pinned: when
//! an upgrade changes one of these, the engines on shuttle have to be thought over again.

use shuttle::scheduler::{DfsScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner, thread};
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

fn config() -> Config {
    let mut config = Config::new();
    config.failure_persistence = FailurePersistence::None;
    config.silence_warnings = true;
    config
}

/// Runs a model through all schedules; what it reported, and how many executions there were.
fn explore<T: Ord + Clone + Send + 'static>(
    model: impl Fn(&dyn Fn(T)) + Send + Sync + 'static,
) -> (usize, BTreeSet<T>) {
    let seen: Arc<std::sync::Mutex<BTreeSet<T>>> = Arc::default();
    let inside = seen.clone();
    let executions = Runner::new(DfsScheduler::new(None, false), config()).run(move || {
        model(&|what| {
            inside.lock().expect("no panic").insert(what);
        });
    });
    let seen = seen.lock().expect("no panic").clone();
    (executions, seen)
}

#[test]
fn every_ordering_is_sequentially_consistent() {
    let (_, seen) = explore(|report| {
        let words = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let other = words.clone();
        let thread = thread::spawn(move || {
            other.1.store(1, Ordering::Relaxed);
            other.0.load(Ordering::Relaxed)
        });
        words.0.store(1, Ordering::Relaxed);
        let here = words.1.load(Ordering::Relaxed);
        report((here, thread.join().expect("no panic")));
    });
    assert_eq!(
        seen,
        BTreeSet::from([(0, 1), (1, 0), (1, 1)]),
        "there is weak memory in shuttle now: Shuttle could use it"
    );
}

#[test]
fn park_returns_without_a_token() {
    let (_, seen) = explore(|report| {
        let flag = Arc::new(AtomicUsize::new(0));
        let other = flag.clone();
        let parked = thread::current();
        thread::spawn(move || {
            other.store(1, Ordering::SeqCst);
            parked.unpark();
        });
        thread::park();
        report(flag.load(Ordering::SeqCst));
    });
    assert_eq!(
        seen,
        BTreeSet::from([0, 1]),
        "park waits for its token now: Shuttle's parker could be one"
    );
}

#[test]
fn a_compare_exchange_weak_never_fails_for_no_reason() {
    let (_, seen) = explore(|report| {
        let word = AtomicUsize::new(0);
        let result = word.compare_exchange_weak(0, 1, Ordering::SeqCst, Ordering::SeqCst);
        report(result.is_ok());
    });
    assert_eq!(seen, BTreeSet::from([true]));
}

/// The plain scheduling point of explore.
#[test]
fn a_sleep_is_a_scheduling_point_and_takes_no_time() {
    let (executions, seen) = explore(|report| {
        let word = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let other = word.clone();
        let _handle = thread::spawn(move || {
            other.store(1, std::sync::atomic::Ordering::SeqCst);
        });
        thread::sleep(std::time::Duration::from_secs(1_000_000));
        report(word.load(std::sync::atomic::Ordering::SeqCst));
    });
    assert_eq!(seen, BTreeSet::from([0, 1]), "in {executions} executions");
}

/// A scheduler that lets the first task run and then gives up.
struct GivesUp {
    executions: usize,
    steps: usize,
}

impl Scheduler for GivesUp {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.steps = 0;
        self.executions += 1;
        (self.executions <= 3).then(|| Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        _current: Option<TaskId>,
        _yielding: bool,
    ) -> Option<TaskId> {
        self.steps += 1;
        runnable.first().filter(|_| self.steps < 3).map(|task| task.id())
    }

    fn next_u64(&mut self) -> u64 {
        0
    }
}

/// Explore gives failed executions up this way; what is on their stacks must not run.
#[test]
fn an_execution_that_is_given_up_neither_panics_nor_unwinds() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("what was on the stack of an execution that was given up has been dropped");
        }
    }
    let executions = Runner::new(GivesUp { executions: 0, steps: 0 }, config()).run(|| {
        let _loud = Loud;
        let lock = Mutex::new(0);
        for _ in 0..10 {
            *lock.lock().expect("no panic") += 1;
        }
        std::mem::forget(_loud);
    });
    assert_eq!(executions, 3);
}

#[test]
fn tasks_are_numbered_in_the_order_in_which_they_are_spawned() {
    struct Numbers(Arc<std::sync::Mutex<BTreeSet<usize>>>, bool);
    impl Scheduler for Numbers {
        fn new_execution(&mut self) -> Option<Schedule> {
            (!std::mem::replace(&mut self.1, true)).then(|| Schedule::new(0))
        }
        fn next_task(
            &mut self,
            runnable: &[&Task],
            current: Option<TaskId>,
            _yielding: bool,
        ) -> Option<TaskId> {
            let numbers = runnable.iter().map(|task| usize::from(task.id()));
            self.0.lock().expect("no panic").extend(numbers);
            let first = runnable.first().map(|task| task.id());
            assert!(current.is_none() || first.is_some());
            first
        }
        fn next_u64(&mut self) -> u64 {
            0
        }
    }
    let numbers: Arc<std::sync::Mutex<BTreeSet<usize>>> = Arc::default();
    Runner::new(Numbers(numbers.clone(), false), config()).run(|| {
        for _ in 0..3 {
            let _handle = thread::spawn(|| ());
        }
    });
    assert_eq!(*numbers.lock().expect("no panic"), BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn a_step_limit_fails_the_run_and_says_so() {
    let mut config = config();
    config.max_steps = MaxSteps::FailAfter(100);
    let caught = panic::catch_unwind(AssertUnwindSafe(|| {
        Runner::new(RandomScheduler::new_from_seed(1, 1), config).run(|| {
            loop {
                thread::yield_now();
            }
        });
    }));
    let payload = caught.expect_err("the limit was passed over");
    let said = payload.downcast_ref::<String>().expect("a text");
    assert!(said.contains("exceeded max_steps bound 100"), "{said}");
}
