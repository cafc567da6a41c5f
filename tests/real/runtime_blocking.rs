//! Tasks that block, and threads that do, beside the workers of a runtime and on the same poller.

use netpoller::runtime::{Builder, Runtime, now, spawn_blocking, yield_now};
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Poll;
use std::time::Duration;

const NO_GRACE: Duration = Duration::ZERO;

fn workers(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().expect("threads and an event queue")
}

/// Stops the thread until the other sides are here.
fn meet(barrier: &Barrier) {
    barrier.wait();
}

#[test]
fn blocking_tasks_do_not_stop_the_workers() {
    let runtime = workers(1);
    let barrier = Arc::new(Barrier::new(9));
    let calls: Vec<_> = (0..8)
        .map(|n| {
            let barrier = Arc::clone(&barrier);
            runtime.spawn_blocking(move || {
                meet(&barrier); // all eight are in here at once, and a task is needed to let them out
                n
            })
        })
        .collect();
    let theirs = Arc::clone(&barrier);
    let opener = runtime.spawn(async move {
        yield_now().await;
        spawn_blocking(move || meet(&theirs)).await.expect("no panic");
    });
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.join().expect("no panic"), n);
    }
    opener.join().expect("no panic");
    assert!(runtime.spawn_blocking(|| panic!("on purpose")).join().is_err());
}

#[test]
fn blocking_tasks_beyond_the_limit_wait_and_those_that_wait_can_be_cancelled() {
    let runtime = Builder::new().workers(1).blocking_threads(1).build().expect("a thread");
    let barrier = Arc::new(Barrier::new(2));
    let theirs = Arc::clone(&barrier);
    let first = runtime.spawn_blocking(move || {
        meet(&theirs);
        meet(&theirs);
    });
    meet(&barrier);
    let ran = Arc::new(AtomicBool::new(false));
    let theirs = Arc::clone(&ran);
    let second = runtime.spawn_blocking(move || theirs.store(true, Ordering::Relaxed));
    let third = runtime.spawn_blocking(|| 3);
    second.abort();
    first.abort(); // has begun: goes on
    meet(&barrier);
    first.join().expect("a call that has begun is not disturbed");
    assert!(second.join().expect_err("it was cancelled").is_cancelled());
    assert!(!ran.load(Ordering::Relaxed), "a call was made that had been cancelled");
    assert_eq!(third.join().expect("no panic"), 3);
    let none = Builder::new().blocking_threads(0).build().map(|_| ()).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_shutdown_drives_the_poller_for_the_blocking_tasks_it_waits_for() {
    let runtime = workers(1);
    let (a, b) = runtime.poller().stream_pair().expect("a pair");
    let (c, d) = runtime.poller().stream_pair().expect("a pair");
    let (send, receive) = mpsc::channel();
    let late = runtime.spawn_blocking(move || {
        send.send(()).expect("the test waits");
        // Woken by a deadline, which only a worker that polls lets expire.
        a.set_read_deadline(Some(now().saturating_add(Duration::from_millis(2)))).expect("open");
        (&a).read(&mut [0]).expect_err("nobody writes").kind()
    });
    receive.recv().expect("the call has begun");
    let (send, receive) = mpsc::channel();
    let echo = runtime
        .spawn_thread("echo", move || {
            send.send(()).expect("the test waits");
            let mut byte = [0];
            (&c).read_exact(&mut byte).expect("a byte comes");
            byte
        })
        .expect("a thread");
    receive.recv().expect("the thread has begun");
    let writer = std::thread::spawn(move || (&d).write_all(b"x").map(|()| d));
    let report = runtime.shutdown(NO_GRACE);
    assert_eq!((report.completed, report.cancelled), (2, 0));
    assert_eq!(late.join().expect("it had begun"), ErrorKind::TimedOut);
    assert_eq!(&echo.join().expect("it had begun"), b"x");
    drop(writer.join().expect("no panic").expect("the reader is there"));
    drop(b);
}

#[test]
fn blocking_threads_and_tasks_share_descriptors() {
    for count in [1, 2] {
        let runtime = workers(count);
        let pairs = (0..10).map(|_| runtime.poller().stream_pair().expect("a pair"));
        let (ours, theirs): (Vec<_>, Vec<_>) = pairs.unzip();
        let threads: Vec<_> = theirs
            .into_iter()
            .map(|source| {
                let echo = move || -> std::io::Result<()> {
                    let mut byte = [0];
                    while (&source).read(&mut byte)? == 1 {
                        (&source).write_all(&byte)?;
                    }
                    Ok(())
                };
                runtime.spawn_thread("echo", echo).expect("a thread")
            })
            .collect();
        let tasks: Vec<_> = ours
            .into_iter()
            .map(|source| {
                runtime.spawn(async move {
                    for round in 0..100_u8 {
                        let mut byte = [0];
                        source.async_write(&[round]).await.expect("the thread is there");
                        source.async_read(&mut byte).await.expect("the thread is there");
                        assert_eq!(byte, [round]);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().expect("no panic"));
        for thread in threads {
            thread.join().expect("no panic").expect("the peer closes in order");
        }
    }
}

#[test]
fn after_the_end_blocking_waits_poll_for_themselves() {
    // NP-TURN-1: a handle that is kept does not say that somebody drives.
    let poller = netpoller::Poller::new().expect("a poller");
    let runtime = Builder::new().workers(2).poller(&poller).build().expect("threads");
    let handle = runtime.handle().clone();
    let (a, b) = poller.stream_pair().expect("a pair");
    let (send, receive) = mpsc::channel();
    let before = runtime.spawn_blocking({
        let (c, d) = poller.stream_pair().expect("a pair");
        move || {
            send.send(d).expect("the test waits");
            (&c).read(&mut [0]).expect("a byte comes")
        }
    });
    let d = receive.recv().expect("the call has begun");
    assert_eq!(d.try_write(b"x").expect("room for a byte"), 1);
    assert_eq!(before.join().expect("no panic"), 1);
    runtime.shutdown(NO_GRACE);
    let reader = std::thread::spawn(move || (&a).read(&mut [0]));
    assert_eq!(b.try_write(b"x").expect("room for a byte"), 1);
    assert_eq!(reader.join().expect("no panic").expect("a byte comes"), 1);
    let mut timer = poller.timer().expect("an entry");
    timer.set(Some(now().saturating_add(Duration::from_micros(100)))).expect("alive");
    timer.wait().expect("this thread polls");
    assert_eq!(handle.live_tasks(), 0);
}

#[test]
fn block_on_is_not_put_to_sleep_by_a_blocking_read_that_takes_its_token() {
    // The future is woken while the same poll of it blocks in a read, on the same parker.
    let runtime = workers(1);
    let (a, b) = runtime.poller().stream_pair().expect("a pair");
    let mut polls = 0;
    runtime.block_on(poll_fn(move |cx| {
        polls += 1;
        if polls == 2 {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let b = &b;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                waker.wake();
                (&mut &*b).write_all(b"x").expect("the reader is there");
            });
            (&a).read_exact(&mut [0]).expect("a byte comes");
        });
        Poll::Pending
    }));
}
