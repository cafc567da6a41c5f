//! The runtime on one thread: futures that cannot leave it, and wakes that come from others.

use netpoller::Source;
use netpoller::runtime::{
    Handle, LocalRuntime, Runtime, now, sleep, spawn_local, timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn local() -> LocalRuntime {
    LocalRuntime::new().expect("an event queue")
}

#[test]
fn tasks_that_are_not_send_share_what_is_not_send() {
    let local = local();
    let sum = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (1..=100)
        .map(|n| {
            let sum = Rc::clone(&sum);
            local.spawn_local(async move {
                yield_now().await;
                sum.set(sum.get() + n);
                Rc::clone(&sum) // a result that is not Send
            })
        })
        .collect();
    local.block_on(async {
        for task in tasks {
            drop(task.await.expect("neither panic nor cancel"));
        }
        let nested = spawn_local(async { spawn_local(async { 7 }).await.expect("no panic") });
        assert_eq!(nested.await.expect("no panic"), 7);
    });
    assert_eq!(sum.get(), 5050);
    assert_eq!(Rc::strong_count(&sum), 1, "a result that was fetched is held");
}

#[test]
fn tasks_go_on_in_the_next_block_on_and_are_dropped_with_the_runtime() {
    let local = local();
    let held = Rc::new(());
    let theirs = Rc::clone(&held);
    let steps = Rc::new(Cell::new(0));
    let counted = Rc::clone(&steps);
    let task = local.spawn_local(async move {
        let _held = theirs;
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    });
    local.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
    let before = steps.get();
    assert!(before > 0, "the task did not run beside the future");
    local.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
    });
    assert!(steps.get() > before, "the task did not go on");
    assert_eq!(Rc::strong_count(&held), 2);
    drop(local);
    assert_eq!(Rc::strong_count(&held), 1, "the future was not dropped");
    assert!(task.is_finished());
}

#[test]
fn abort_panic_and_spawning_in_a_destructor() {
    struct Spawns;
    impl Drop for Spawns {
        fn drop(&mut self) {
            drop(spawn_local(pending::<()>()));
        }
    }
    let local = local();
    local.block_on(async {
        let panics = spawn_local(async { panic!("on purpose") });
        assert!(panics.await.expect_err("it has panicked").is_panic());
        let stuck = spawn_local(pending::<()>());
        stuck.abort();
        assert!(stuck.await.expect_err("it was aborted").is_cancelled());
    });
    drop(local.spawn_local(async {
        let _guard = Spawns;
        pending::<()>().await;
    }));
    local.block_on(yield_now());
    drop(local);
}

#[test]
fn readiness_sleeps_and_timeouts() {
    let local = local();
    let (a, b) = local.poller().stream_pair().expect("a pair");
    local.block_on(async {
        let echo = spawn_local(async move {
            let mut byte = [0];
            while b.async_read(&mut byte).await.expect("no error") == 1 {
                b.async_write(&byte).await.expect("the peer is there");
            }
        });
        for round in 0..200_u8 {
            a.async_write(&[round]).await.expect("the peer is there");
            let mut byte = [0];
            a.async_read(&mut byte).await.expect("the peer is there");
            assert_eq!(byte, [round]);
        }
        let mut byte = [0];
        let late = timeout(Duration::from_micros(100), a.async_read(&mut byte)).await;
        assert!(late.is_err(), "nobody writes");
        drop(a);
        echo.await.expect("no panic");
        for micros in 0..100 {
            let until = now().saturating_add(Duration::from_micros(micros));
            sleep(Duration::from_micros(micros)).await;
            assert!(now() >= until, "a sleep was early");
        }
    });
}

#[test]
fn the_thread_in_the_kernel_is_woken_by_every_wake_from_another_one() {
    const ROUNDS: u32 = 20_000;
    let local = local();
    // One wakes the future of block_on, the next one a task, in turns.
    let (to_other, from_here) = mpsc::channel::<Waker>();
    let other = thread::spawn(move || {
        let mut woken = 0;
        for waker in from_here {
            waker.wake();
            woken += 1;
        }
        woken
    });
    let woken_elsewhere = |send: mpsc::Sender<Waker>| {
        let mut sent = false;
        poll_fn(move |cx| {
            if std::mem::replace(&mut sent, true) {
                return Poll::Ready(());
            }
            send.send(cx.waker().clone()).expect("the other thread is there");
            Poll::Pending
        })
    };
    local.block_on(async {
        for round in 0..ROUNDS {
            let wait = woken_elsewhere(to_other.clone());
            if round % 2 == 0 {
                wait.await;
            } else {
                spawn_local(wait).await.expect("no panic");
            }
        }
    });
    drop(to_other);
    assert_eq!(other.join().expect("no panic"), ROUNDS);
}

#[test]
fn readiness_is_noticed_while_a_task_yields_without_end() {
    let local = local();
    let (a, b) = local.poller().stream_pair().expect("a pair");
    let turns = Rc::new(Cell::new(0_u64));
    let counted = Rc::clone(&turns);
    drop(local.spawn_local(async move {
        loop {
            counted.set(counted.get() + 1);
            yield_now().await;
        }
    }));
    local.block_on(async {
        let writer = spawn_local(async move {
            for _ in 0..10 {
                sleep(Duration::from_micros(50)).await;
                b.async_write(b"x").await.expect("the reader is there");
            }
        });
        let mut byte = [0];
        for _ in 0..10 {
            a.async_read(&mut byte).await.expect("a byte comes");
        }
        writer.await.expect("no panic");
    });
    assert!(turns.get() > 0);
}

#[test]
fn a_thread_that_blocks_is_served_by_the_thread_that_drives() {
    let local = local();
    let (a, b) = local.poller().stream_pair().expect("a pair");
    let echo = thread::spawn(move || {
        let mut source: &Source = &b;
        let mut byte = [0];
        while source.read(&mut byte).expect("no error") == 1 {
            source.write_all(&byte).expect("the peer is there");
        }
    });
    local.block_on(async {
        for round in 0..100 {
            a.async_write(&[round]).await.expect("the thread is there");
            let mut byte = [0];
            a.async_read(&mut byte).await.expect("the thread is there");
            assert_eq!(byte, [round]);
        }
    });
    drop(a);
    // Its end of the stream is reported to whoever polls.
    let (send, receive) = mpsc::channel::<Waker>();
    let joiner = thread::spawn(move || {
        let waker = receive.recv().expect("the future waits");
        echo.join().expect("no panic");
        waker.wake();
    });
    let sent = RefCell::new(Some(send));
    local.block_on(poll_fn(|cx| match sent.take() {
        Some(send) => {
            send.send(cx.waker().clone()).expect("the joiner waits");
            Poll::Pending
        }
        None => Poll::Ready(()),
    }));
    joiner.join().expect("no panic");
}

#[test]
fn a_task_of_a_local_runtime_awaits_one_of_a_runtime_with_workers() {
    let (workers, local) = (Runtime::new().expect("threads"), local());
    assert!(local.block_on(async { Handle::try_current().is_err() }), "it has no workers");
    for n in 0..1000 {
        let far = workers.spawn(async move { n + 1 });
        let near = local.spawn_local(async move { far.await.expect("no panic") + 1 });
        assert_eq!(local.block_on(near).expect("no panic"), n + 2);
    }
    let nested =
        local.spawn_local(async { LocalRuntime::new().expect("a queue").block_on(async {}) });
    assert!(local.block_on(nested).expect_err("it must not block").is_panic());
    drop(local.spawn_local(sleep(HOUR)));
}
