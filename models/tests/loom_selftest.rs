//! What is known to be wrong with, or missing from, loom 0.7.3, pinned: when an upgrade changes
//! one of these, the way the engines use loom has to be thought over again.
//!
//! Nothing here goes through the engines: it is loom as everybody uses it.

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// What was seen, in any execution, and how many there were.
type Seen<T> = Arc<std::sync::Mutex<(usize, BTreeSet<T>)>>;

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.max_branches = 10_000;
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.preemption_bound = None;
    builder.checkpoint_file = None;
    builder.checkpoint_interval = usize::MAX;
    builder.location = false;
    builder.log = false;
    builder
}

/// Runs a model whose last thread to end says what was seen.
fn explore<T: Ord + Clone + Send + 'static>(
    builder: &Builder,
    model: impl Fn(Box<dyn Fn(T) + Send + Sync>) + Send + Sync + 'static,
) -> (usize, BTreeSet<T>) {
    let seen: Seen<T> = Arc::default();
    let inside = seen.clone();
    builder.check(move || {
        inside.lock().expect("no panic").0 += 1;
        let report = inside.clone();
        model(Box::new(move |what| {
            report.lock().expect("no panic").1.insert(what);
        }));
    });
    let seen = seen.lock().expect("no panic");
    (seen.0, seen.1.clone())
}

/// Both threads write their own word and read the other's; what they saw.
fn store_buffering(
    write: impl Fn(&AtomicUsize) + Copy + Send + Sync + 'static,
    between: impl Fn() + Copy + Send + Sync + 'static,
    read: impl Fn(&AtomicUsize) -> usize + Copy + Send + Sync + 'static,
) -> BTreeSet<(usize, usize)> {
    let (_, seen) = explore(&builder(), move |report| {
        let words = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let other = words.clone();
        let thread = thread::spawn(move || {
            write(&other.1);
            between();
            read(&other.0)
        });
        write(&words.0);
        between();
        let here = read(&words.1);
        report((here, thread.join().expect("no panic")));
    });
    seen
}

#[test]
fn sequentially_consistent_accesses_are_only_acquire_and_release() {
    let seen = store_buffering(|word| word.store(1, SeqCst), || (), |word| word.load(SeqCst));
    assert!(
        seen.contains(&(0, 0)),
        "SeqCst accesses have become sequentially consistent: {seen:?}"
    );
}

#[test]
fn sequentially_consistent_fences_are_right() {
    let fenced =
        store_buffering(|word| word.store(1, Relaxed), || fence(SeqCst), |word| word.load(Relaxed));
    assert_eq!(fenced, BTreeSet::from([(0, 1), (1, 0), (1, 1)]));
    let bare = store_buffering(|word| word.store(1, Relaxed), || (), |word| word.load(Relaxed));
    assert_eq!(bare.len(), 4, "{bare:?}");
}

#[test]
fn read_modify_writes_on_both_sides_are_right() {
    let seen = store_buffering(
        |word| {
            word.swap(1, AcqRel);
        },
        || (),
        |word| word.fetch_or(0, AcqRel),
    );
    assert_eq!(seen, BTreeSet::from([(0, 1), (1, 0), (1, 1)]));
}

/// The load of the main thread comes before or after the compare-exchange; loom runs one order.
#[test]
fn a_load_before_a_compare_exchange_hides_interleavings() {
    let (executions, seen) = explore(&builder(), |report| {
        let word = Arc::new(AtomicUsize::new(0));
        let other = word.clone();
        thread::spawn(move || {
            let before = other.load(SeqCst);
            let _ = other.compare_exchange(before, before | 1, SeqCst, SeqCst);
        });
        report(word.load(SeqCst));
    });
    assert_eq!((executions, seen), (1, BTreeSet::from([0])), "1 can be seen, too");
    // The load as a read-modify-write brings it back.
    let (_, seen) = explore(&builder(), |report| {
        let word = Arc::new(AtomicUsize::new(0));
        let other = word.clone();
        thread::spawn(move || {
            let before = other.fetch_or(0, SeqCst);
            let _ = other.compare_exchange(before, before | 1, SeqCst, SeqCst);
        });
        report(word.fetch_or(0, SeqCst));
    });
    assert_eq!(seen, BTreeSet::from([0, 1]));
}

#[test]
fn a_store_slips_into_the_middle_of_a_swap() {
    let (_, seen) = explore(&builder(), |report| {
        let word = Arc::new(AtomicBool::new(false));
        let other = word.clone();
        let storing = thread::spawn(move || other.store(true, SeqCst));
        let there = word.swap(false, SeqCst);
        storing.join().expect("no panic");
        report((there, word.load(SeqCst)));
    });
    assert!(seen.contains(&(false, false)), "the store came neither before nor after: {seen:?}");
}

#[test]
fn limits_are_only_looked_at_every_so_often() {
    let run = |permutations, interval| {
        let mut builder = builder();
        builder.max_permutations = permutations;
        builder.checkpoint_interval = interval;
        let (executions, _) = explore::<()>(&builder, |_| {
            let word = Arc::new(AtomicUsize::new(0));
            for _ in 0..2 {
                let word = word.clone();
                thread::spawn(move || {
                    word.fetch_add(1, SeqCst);
                    word.fetch_add(1, SeqCst);
                });
            }
            word.fetch_add(1, SeqCst);
        });
        executions
    };
    let all = run(None, 20_000);
    assert!(all > 20, "{all}");
    assert_eq!(run(Some(5), 20_000), all, "the limit counts between checkpoints now");
    assert_eq!(run(Some(5), 1), 4, "the limit stops before the execution with its number");
}

/// The values are read when a builder is made. Set in a child process, whose environment is its
/// own.
#[test]
fn the_environment_bounds_a_builder_unless_it_is_overwritten() {
    const CHILD: &str = "LOOM_SELFTEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let builder = Builder::new();
        assert_eq!(builder.preemption_bound, Some(1));
        assert_eq!(builder.max_permutations, Some(7));
        assert_eq!(builder.max_duration, Some(std::time::Duration::from_secs(3)));
        assert_eq!(builder.max_branches, 77);
        assert_eq!(builder.checkpoint_interval, 9);
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().expect("this test has a path"))
        .args(["--exact", "the_environment_bounds_a_builder_unless_it_is_overwritten"])
        .env(CHILD, "1")
        .env("LOOM_MAX_PREEMPTIONS", "1")
        .env("LOOM_MAX_PERMUTATIONS", "7")
        .env("LOOM_MAX_DURATION", "3")
        .env("LOOM_MAX_BRANCHES", "77")
        .env("LOOM_CHECKPOINT_INTERVAL", "9")
        .output()
        .expect("this test can be started again");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}

/// What a model panics with.
fn panic_of(model: impl Fn() + Send + Sync + 'static) -> Option<String> {
    let caught = panic::catch_unwind(AssertUnwindSafe(|| builder().check(model)));
    let payload = caught.err()?;
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
}

/// Whether it gets the lock or not, the thread wakes the main thread, which holds it meanwhile.
#[test]
fn a_try_lock_is_reported_as_a_deadlock() {
    let said = panic_of(|| {
        let lock = Arc::new(Mutex::new(()));
        let (other, main) = (lock.clone(), thread::current());
        thread::spawn(move || {
            drop(other.try_lock());
            main.unpark();
        });
        let _held = lock.lock();
        thread::park();
    });
    let said = said.expect("try_lock has become usable");
    assert!(said.contains("deadlock"), "{said}");
}

/// A token that is left for a thread while it waits for a lock.
#[test]
fn an_unpark_of_a_thread_that_is_blocked_in_a_lock_panics() {
    let said = panic_of(|| {
        let lock = Arc::new(Mutex::new(()));
        let (other, main) = (lock.clone(), thread::current());
        let holder = thread::spawn(move || {
            let _held = other.lock();
            main.unpark();
            thread::park();
        });
        thread::spawn(move || holder.thread().unpark());
        drop(lock.lock());
    });
    let said = said.expect("unpark has become harmless to locks");
    assert!(said.contains("expected to be able to acquire lock"), "{said}");
}

#[test]
fn a_wait_with_a_timeout_never_times_out() {
    let said = panic_of(|| {
        let lock = Mutex::new(());
        let condition = Condvar::new();
        let held = lock.lock().expect("no panic");
        let _ = condition.wait_timeout(held, std::time::Duration::from_millis(1));
    });
    assert!(said.expect("there is time in loom now").contains("deadlock"));
}

#[test]
fn a_condition_variable_never_wakes_spuriously() {
    let (_, seen) = explore(&builder(), |report| {
        let shared = Arc::new((Mutex::new(false), Condvar::new()));
        let other = shared.clone();
        thread::spawn(move || {
            *other.0.lock().expect("no panic") = true;
            other.1.notify_one();
        });
        let mut there = shared.0.lock().expect("no panic");
        if !*there {
            there = shared.1.wait(there).expect("no panic");
        }
        report(*there);
    });
    assert_eq!(seen, BTreeSet::from([true]), "a wake without a notification was seen");
}

#[test]
fn a_join_multiplies_executions() {
    let run = |join: bool| {
        let (executions, _) = explore::<()>(&builder(), move |_| {
            let word = Arc::new(AtomicUsize::new(0));
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let word = word.clone();
                    thread::spawn(move || {
                        word.fetch_add(1, SeqCst);
                    })
                })
                .collect();
            word.fetch_add(1, SeqCst);
            if join {
                threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
            }
        });
        executions
    };
    let (without, with) = (run(false), run(true));
    assert!(with > 3 * without, "{without} executions without join, {with} with");
}

#[test]
fn acquire_and_release_publish_and_relaxed_does_not() {
    let run = |write, read| {
        let (_, seen) = explore(&builder(), move |report| {
            let words = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let other = words.clone();
            thread::spawn(move || {
                other.0.store(1, Relaxed);
                other.1.store(1, write);
            });
            if words.1.load(read) == 1 {
                report(words.0.load(Relaxed));
            }
        });
        seen
    };
    assert_eq!(run(Release, Acquire), BTreeSet::from([1]));
    assert_eq!(run(Relaxed, Relaxed), BTreeSet::from([0, 1]));
}

/// Runs a model of threads that each notify the same condition variable so often; `then` comes after
/// each notification, with the thread and how many all have made. In which orders they did.
fn notifications(
    threads: usize,
    each: usize,
    then: impl Fn(usize, usize) + Copy + Send + Sync + 'static,
) -> BTreeSet<Vec<usize>> {
    let (_, seen) = explore(&builder(), move |report| {
        let made = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (condition, report) = (Arc::new(Condvar::new()), Arc::new(report));
        let life = move |me: usize| {
            for _ in 0..each {
                condition.notify_all();
                let count = {
                    let mut made = made.lock().expect("no panic");
                    made.push(me);
                    made.len()
                };
                then(me, count);
                if count == threads * each {
                    report(made.lock().expect("no panic").clone());
                }
            }
        };
        for me in 1..threads {
            let life = life.clone();
            thread::spawn(move || life(me));
        }
        life(0);
    });
    seen
}

/// What the engine makes its scheduling points of: nobody waits for it, and all orders are tried.
#[test]
fn notifications_of_a_condition_variable_come_in_all_orders() {
    assert_eq!(notifications(2, 3, |_, _| ()).len(), 20, "6 out of 3 and 3");
    assert_eq!(notifications(3, 2, |_, _| ()).len(), 90, "6 out of 2, 2 and 2");
}

/// What the engine cuts an execution with: nothing is branched from after the call, and everything
/// is that came before.
#[test]
fn after_a_skipped_branch_nothing_is_branched_from_and_before_it_everything_is() {
    let seen = notifications(2, 2, |me, count| {
        if (me, count) == (0, 1) {
            loom::skip_branch();
        }
    });
    let (after, others): (Vec<_>, Vec<_>) = seen.iter().partition(|order| order[0] == 0);
    assert_eq!(after, [&vec![0, 0, 1, 1]], "one order, and it is the one without a switch");
    assert_eq!(others.len(), 3, "all that begin with the other thread: {others:?}");
}
