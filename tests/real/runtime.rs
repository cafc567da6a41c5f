//! The runtime: what spawning, waiting, cancelling, panicking and shutting down mean.

#[path = "../../impl/examples/runtime_echo.rs"]
mod runtime_echo;

use netpoller::TcpListener;
use netpoller::runtime::{
    Builder, Handle, Runtime, interval, now, sleep, sleep_until, spawn, timeout, yield_now,
};
use netpoller_tests::tasks::Wakes;
use std::future::{Future, pending, poll_fn};
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const NO_GRACE: Duration = Duration::ZERO;

fn workers(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().expect("threads and an event queue")
}

/// Counts how often it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Stops the thread until both sides are here: the task on a worker, and the test.
fn meet(barrier: &Barrier) {
    barrier.wait();
}

#[test]
fn descriptors_that_a_task_makes_belong_to_the_poller_of_its_runtime() {
    let runtime = workers(1);
    let registered = || runtime.poller().stats().registered;
    let before = registered();
    let bind = || TcpListener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let by_a_task = runtime.spawn(async move { bind() });
    let by_a_task = runtime.block_on(by_a_task).expect("neither panic nor cancel");
    let by_a_guest = runtime.block_on(async { bind() });
    let by_a_thread = runtime.spawn_blocking(bind).join().expect("neither panic nor cancel");
    assert_eq!(registered() - before, 3, "some descriptors went to another poller");
    let outside = bind();
    assert_eq!(registered() - before, 3, "a descriptor of no task went to the runtime's poller");
    drop((by_a_task, by_a_guest, by_a_thread, outside));
    assert_eq!(registered(), before);
}

#[test]
fn a_task_runs_and_its_handle_has_the_result() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let handles: Vec<_> = (0..100).map(|n| runtime.spawn(async move { n * n })).collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(runtime.block_on(handle).expect("neither panic nor cancel"), n * n);
        }
        let report = runtime.shutdown(NO_GRACE);
        assert_eq!((report.completed, report.cancelled), (100, 0));
    }
}

#[test]
fn block_on_runs_on_the_calling_thread_and_tasks_on_workers() {
    let runtime = Builder::new().workers(1).thread_name("crew").build().expect("a thread");
    let here = std::thread::current().id();
    runtime.block_on(async move {
        assert_eq!(std::thread::current().id(), here);
        yield_now().await;
        assert_eq!(std::thread::current().id(), here);
        let name = spawn(async { std::thread::current().name().map(str::to_owned) }).await;
        assert_eq!(name.expect("no panic").as_deref(), Some("crew-0"));
    });
}

#[test]
fn a_task_whose_handle_is_dropped_goes_on() {
    let runtime = workers(1);
    let (send, receive) = mpsc::channel();
    drop(runtime.spawn(async move {
        yield_now().await;
        send.send(42).expect("the test waits");
    }));
    assert_eq!(receive.recv(), Ok(42));
}

#[test]
fn a_panic_ends_its_task_alone_and_is_in_the_error() {
    let runtime = workers(1);
    for _ in 0..10 {
        let error =
            runtime.spawn(async { panic!("on purpose: {}", std::hint::black_box(7)) }).join();
        let error = error.expect_err("the task has panicked");
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.to_string(), "the task panicked: on purpose: 7");
        let payload = error.into_panic();
        assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some("on purpose: 7"));
    }
    // Its worker is still there.
    assert_eq!(runtime.spawn(async { 1 }).join().expect("no panic"), 1);
    let report = runtime.shutdown(NO_GRACE);
    assert_eq!((report.completed, report.cancelled), (11, 0), "a panic is an end by itself");
}

/// Ends with this, or never; and has a destructor that panics.
struct Panics(Option<u32>);

impl Drop for Panics {
    fn drop(&mut self) {
        panic!("on purpose, in a destructor");
    }
}

impl Future for Panics {
    type Output = u32;
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
        self.0.map_or(Poll::Pending, Poll::Ready)
    }
}

#[test]
fn a_panic_in_a_destructor_ends_nothing_else() {
    let runtime = workers(1);
    // Of a future that has ended, of one that is aborted, of a result that nobody fetches.
    let ended = runtime.spawn(Panics(Some(5)));
    assert_eq!(ended.join().expect("what was decided stands"), 5);
    let aborted = runtime.spawn(Panics(None));
    aborted.abort();
    assert!(aborted.join().expect_err("aborted").is_cancelled());
    drop(runtime.spawn(async { [Panics(None)] }));
    assert_eq!(runtime.spawn(async { 1 }).join().expect("the worker lives"), 1);
    let handle = runtime.handle().clone();
    runtime.shutdown(HOUR);
    // One that is never polled.
    assert!(handle.spawn(Panics(None)).join().expect_err("nobody runs it").is_cancelled());
}

#[test]
fn an_aborted_task_is_dropped_and_its_handle_says_cancelled() {
    for count in [1, 2] {
        let runtime = workers(count);
        let drops = Arc::new(AtomicUsize::new(0));
        let guard = Dropped(Arc::clone(&drops));
        let task = runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        task.abort();
        task.abort();
        let error = task.join().expect_err("it was aborted");
        assert!(error.is_cancelled() && !error.is_panic());
        assert_eq!(error.to_string(), "the task was cancelled");
        assert!(error.try_into_panic().is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 1, "the future was not dropped before that");
        // One that has ended keeps its result.
        let done = runtime.spawn(async { 3 });
        while !done.is_finished() {
            std::thread::yield_now();
        }
        done.abort();
        assert_eq!(done.join().expect("it had ended"), 3);
        let report = runtime.shutdown(NO_GRACE);
        assert_eq!((report.completed, report.cancelled), (1, 1));
    }
}

#[test]
fn a_task_that_is_aborted_while_it_runs_is_not_polled_again() {
    let runtime = workers(1);
    let barrier = Arc::new(Barrier::new(2));
    let (theirs, polls) = (Arc::clone(&barrier), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&polls);
    let task = runtime.spawn(poll_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        meet(&theirs); // it runs
        meet(&theirs); // it was aborted
        Poll::<()>::Pending
    }));
    meet(&barrier);
    task.abort();
    meet(&barrier);
    assert!(task.join().expect_err("it was aborted").is_cancelled());
    assert_eq!(polls.load(Ordering::Relaxed), 1);
}

#[test]
fn a_shutdown_gives_tasks_their_time_and_cancels_the_others() {
    for count in [1, 2, 4] {
        let runtime = workers(count);
        let drops = Arc::new(AtomicUsize::new(0));
        let quick: Vec<_> = (0..50)
            .map(|n| {
                let guard = Dropped(Arc::clone(&drops));
                runtime.spawn(async move {
                    let _guard = guard;
                    for _ in 0..n {
                        yield_now().await;
                    }
                    // A task may have others done while the grace lasts.
                    spawn(async move { n }).await.expect("there is time")
                })
            })
            .collect();
        let stuck: Vec<_> = (0..50)
            .map(|_| {
                let guard = Dropped(Arc::clone(&drops));
                runtime.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                })
            })
            .collect();
        let sleeper = runtime.spawn(async { sleep(HOUR).await });
        for (n, task) in quick.into_iter().enumerate() {
            assert_eq!(task.join().expect("it ends by itself"), n);
        }
        let report = runtime.shutdown(Duration::from_millis(1));
        assert_eq!((report.completed, report.cancelled), (100, 51));
        assert_eq!(drops.load(Ordering::Relaxed), 100, "every future was dropped before the end");
        for task in stuck.into_iter().chain([sleeper]) {
            assert!(task.is_finished(), "the runtime is gone, and a task is not");
            assert!(task.join().expect_err("it was cancelled").is_cancelled());
        }
    }
}

#[test]
fn a_shutdown_with_grace_waits_for_tasks_that_end() {
    let runtime = workers(2);
    let tasks: Vec<_> = (1..20)
        .map(|n| runtime.spawn(async move { sleep(Duration::from_micros(50 * n)).await }))
        .collect();
    // An hour would be long; that it ends at once is what a hang would show.
    let report = runtime.shutdown(HOUR);
    assert_eq!((report.completed, report.cancelled), (19, 0));
    assert!(tasks.into_iter().all(|task| task.join().is_ok()));
}

#[test]
fn what_is_spawned_after_the_end_is_cancelled_at_once() {
    let runtime = workers(1);
    let handle = runtime.handle().clone();
    drop(runtime);
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&drops));
    let task = handle.spawn(async move { drop(guard) });
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    assert!(task.join().expect_err("there is nobody to run it").is_cancelled());
    assert!(handle.spawn_blocking(|| ()).join().expect_err("nor this").is_cancelled());
    let thread = handle.spawn_thread("late", || ()).expect("nothing is started");
    assert!(thread.join().expect_err("nor this").is_cancelled());
    assert_eq!(handle.live_tasks(), 0);
}

#[test]
fn tasks_that_are_spawned_while_the_runtime_ends_end_with_it() {
    for round in 0..300 {
        let runtime = workers(1 + round % 2);
        let drops = Arc::new(AtomicUsize::new(0));
        let (go, spawned) = (Barrier::new(2), AtomicUsize::new(0));
        let handle = runtime.handle().clone();
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                meet(&go);
                loop {
                    let guard = Dropped(Arc::clone(&drops));
                    let task = handle.spawn(async move {
                        let _guard = guard;
                        pending::<()>().await;
                    });
                    spawned.fetch_add(1, Ordering::Relaxed);
                    if task.is_finished() && handle.live_tasks() == 0 {
                        return; // this one came too late
                    }
                }
            });
            meet(&go);
            runtime.shutdown(NO_GRACE)
        });
        let spawned = spawned.load(Ordering::Relaxed);
        assert_eq!(drops.load(Ordering::Relaxed), spawned, "futures dropped in round {round}");
        assert!(report.cancelled <= spawned as u64 && report.completed == 0, "{report:?}");
        assert_eq!((handle.live_tasks(), handle.holders()), (0, 1), "round {round}");
    }
}

#[test]
fn a_task_that_is_dropped_by_the_shutdown_may_spawn_in_its_destructor() {
    struct Spawns(Handle, Arc<AtomicUsize>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            drop(self.0.spawn(pending::<()>()));
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let runtime = workers(2);
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let guard = Spawns(runtime.handle().clone(), Arc::clone(&drops));
        drop(runtime.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        }));
    }
    let handle = runtime.handle().clone();
    let report = runtime.shutdown(NO_GRACE);
    assert_eq!((report.completed, report.cancelled), (0, 100));
    assert_eq!((drops.load(Ordering::Relaxed), handle.live_tasks()), (100, 0));
}

#[test]
fn a_runtime_that_its_own_task_drops_ends_all_the_same() {
    let runtime = workers(2);
    let drops = Arc::new(AtomicUsize::new(0));
    let guard = Dropped(Arc::clone(&drops));
    let other = runtime.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    let (send, receive) = mpsc::channel::<Runtime>();
    let owner = runtime.spawn(async move { drop(receive.recv().expect("the test sends it")) });
    send.send(runtime).expect("the task waits");
    // It returns from the poll in which the runtime was closed with a result.
    owner.join().expect("it was running");
    assert!(other.join().expect_err("it was cancelled").is_cancelled());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn a_waker_that_outlives_its_runtime_wakes_nobody_and_holds_no_future() {
    let runtime = workers(1);
    let kept: Arc<Mutex<Option<Waker>>> = Arc::default();
    let drops = Arc::new(AtomicUsize::new(0));
    let (theirs, guard) = (Arc::clone(&kept), Dropped(Arc::clone(&drops)));
    let (send, receive) = mpsc::channel();
    drop(runtime.spawn(async move {
        let _guard = guard;
        poll_fn(|cx| {
            *theirs.lock().expect("no panic") = Some(cx.waker().clone());
            send.send(()).expect("the test waits");
            Poll::<()>::Pending
        })
        .await;
    }));
    receive.recv().expect("the task was polled");
    drop(runtime);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    let waker = kept.lock().expect("no panic").take().expect("the task left its waker");
    waker.wake_by_ref();
    waker.wake();
}

#[test]
fn timeouts_and_intervals() {
    let runtime = workers(1);
    runtime.block_on(async {
        let elapsed = timeout(Duration::from_micros(200), pending::<()>()).await;
        let error = std::io::Error::from(elapsed.expect_err("it never ends"));
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Who is ready and late is ready.
        assert_eq!(timeout(Duration::ZERO, async { 5 }).await.expect("ready"), 5);
        sleep_until(now()).await;

        let period = Duration::from_micros(300);
        let mut clock = interval(period);
        let first = clock.tick().await;
        let mut last = first;
        for _ in 0..20 {
            let due = clock.tick().await;
            assert!(now() >= due, "a tick was early");
            let since = due.since(first).as_nanos();
            assert_eq!(since % period.as_nanos(), 0, "a tick is off the beat");
            assert!(due > last, "the same tick came twice");
            last = due;
        }
    });
}

#[test]
fn a_sleep_that_is_moved_ends_at_its_new_instant() {
    let runtime = workers(1);
    runtime.block_on(sleep(Duration::from_micros(1)));
    runtime.block_on(async {
        let mut sleeping = sleep(HOUR);
        let waker = Waker::from(Arc::new(Wakes::default()));
        assert!(Pin::new(&mut sleeping).poll(&mut Context::from_waker(&waker)).is_pending());
        let at = now().saturating_add(Duration::from_micros(100));
        sleeping.reset(at);
        (&mut sleeping).await;
        assert!(now() >= at);
        sleeping.reset(now().saturating_add(HOUR));
        assert!(Pin::new(&mut sleeping).poll(&mut Context::from_waker(&waker)).is_pending());
    });
}

#[test]
fn handles_are_found_on_the_threads_of_the_runtime_and_nowhere_else() {
    assert!(Handle::try_current().is_err());
    let runtime = workers(1);
    let found = || Handle::try_current().is_ok();
    assert!(runtime.block_on(async { found() }), "in block_on");
    assert!(runtime.spawn(async move { found() }).join().expect("no panic"), "in a task");
    assert!(runtime.spawn_blocking(found).join().expect("no panic"), "in a blocking task");
    assert!(Handle::try_current().is_err(), "block_on has left something behind");
    let outside = std::panic::catch_unwind(|| {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut sleep(HOUR)).poll(&mut cx)
    });
    assert!(outside.is_err(), "a sleep has no poller outside of a runtime");
}

#[test]
fn a_worker_must_not_block_on_a_future() {
    let runtime = workers(1);
    let handle = runtime.handle().clone();
    let nested = runtime.spawn(async move { handle.block_on(async {}) });
    assert!(nested.join().expect_err("it would wait for itself").is_panic());
}

#[test]
fn numbers_of_workers_that_cannot_be() {
    for count in [0, 49, usize::MAX] {
        let error = Builder::new().workers(count).build().map(|_| ()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{count} workers: {error}");
    }
    let runtime = workers(48);
    assert_eq!(runtime.workers(), 48);
    assert_eq!(runtime.spawn(async { 1 }).join().expect("no panic"), 1);
}

#[test]
fn a_task_from_outside_waits_for_61_others_at_most() {
    // One worker, whose own queue is never empty: two tasks that yield all the time.
    let runtime = workers(1);
    let (ran, over) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let (ran, over) = (Arc::clone(&ran), Arc::clone(&over));
            runtime.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    ran.fetch_add(1, Ordering::Relaxed);
                    yield_now().await;
                }
            })
        })
        .collect();
    while ran.load(Ordering::Relaxed) < 1000 {
        std::thread::yield_now();
    }
    for round in 0..100 {
        // The worker is stopped inside a task, so that what has run meanwhile is counted exactly.
        let gate = Arc::new(Barrier::new(2));
        let (theirs, counted) = (Arc::clone(&gate), Arc::clone(&ran));
        let stopper = runtime.spawn(async move {
            meet(&theirs);
            meet(&theirs);
            counted.load(Ordering::Relaxed)
        });
        meet(&gate);
        let counted = Arc::clone(&ran);
        let late = runtime.spawn(async move { counted.load(Ordering::Relaxed) });
        meet(&gate);
        let before = stopper.join().expect("no panic");
        let after = late.join().expect("no panic");
        let between = after - before;
        assert!(between <= 61, "round {round}: {between} others have run before it");
    }
    over.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|task| task.join().expect("no panic"));
}

#[test]
fn readiness_and_deadlines_are_noticed_while_the_only_worker_is_busy() {
    let runtime = workers(1);
    let over = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&over);
    let busy = runtime.spawn(async move {
        while !theirs.load(Ordering::Relaxed) {
            yield_now().await;
        }
    });
    let (a, b) = runtime.poller().stream_pair().expect("a pair");
    let reader = runtime.spawn(async move {
        let mut byte = [0];
        a.async_read(&mut byte).await.expect("a byte comes");
        sleep(Duration::from_micros(100)).await;
        byte
    });
    runtime.block_on(b.async_write(b"x")).expect("the reader is there");
    assert_eq!(&reader.join().expect("no panic"), b"x");
    assert!(!busy.is_finished(), "the worker was not busy all the time");
    over.store(true, Ordering::Relaxed);
    busy.join().expect("no panic");
}

#[test]
fn two_runtimes_can_follow_each_other_on_one_poller() {
    let poller = netpoller::Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    for round in 0..3 {
        let runtime = Builder::new().workers(2).poller(&poller).build().expect("threads");
        runtime.block_on(async {
            a.async_write(&[round]).await.expect("the peer is there");
            let mut byte = [0];
            b.async_read(&mut byte).await.expect("the peer is there");
            assert_eq!(byte, [round]);
        });
    }
}

#[test]
fn the_example_balances_its_books() {
    let twenty = 20 * "message \n".len() as u64 + 10 + 2 * 10; // bytes of the messages 0 to 19
    for count in [1, 2] {
        assert_eq!(runtime_echo::run(3, 20, Some(count)).expect("the books balance"), 4 * twenty);
    }
}
