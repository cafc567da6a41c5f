//! Nothing is allocated in a wait, a wake, a poll, a break, a read or a write, once warmed up.
//!
//! This binary brings an allocator that counts for each thread. It holds one test per thread
//! structure; what libtest itself allocates, it allocates on threads of its own.

use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::source::Source;
use netpoller::{Os, Portable, Real};
use netpoller_spec::Mode;
use netpoller_tests::sys::{CountingAllocator, allocations};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator;

const WARM_UP: u32 = 3;
const ROUNDS: u32 = 1000;

/// Runs `round` some times, and then often; panics when a round after the first few allocates.
fn assert_allocates_nothing(what: &str, mut round: impl FnMut()) {
    for _ in 0..WARM_UP {
        round();
    }
    let before = allocations();
    for _ in 0..ROUNDS {
        round();
    }
    let count = allocations() - before;
    assert_eq!(count, 0, "{what}: {count} allocations in {ROUNDS} rounds");
}

#[test]
fn the_counter_counts() {
    let before = allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(allocations() - before, 1, "the allocator of this binary is not the counting one");
}

fn waits_wakes_polls_and_breaks_on_one_thread_allocate_nothing<S: Real>() {
    let poller = Poller::<S>::new().expect("a poller");
    let mut ready = Ready::new();
    let (a, b) = poller.stream_pair().expect("a pair");
    let mut cx = Context::from_waker(Waker::noop());
    let mut byte = [0];
    let mut woken = 0;

    assert_allocates_nothing("park, edge, poll, wake, consume", || {
        let mut waiter = a.waiter(Mode::Read).expect("the only waiter");
        waiter.prepare().expect("open");
        a.try_read(&mut byte).expect_err("nothing was written");
        while waiter.poll_wait(&mut cx).is_ready() {}
        assert!(waiter.poll_wait(&mut cx).is_pending(), "polled again with the same waker");
        b.try_write(b"x").expect("room for a byte");
        woken += poller.poll(&mut ready, None).expect("the byte");
        ready.wake_all();
        assert!(waiter.poll_wait(&mut cx).is_ready(), "the byte was reported");
        a.try_read(&mut byte).expect("the byte");
    });
    assert_eq!(woken, (WARM_UP + ROUNDS) as usize, "not every round has parked and woken");

    assert_allocates_nothing("park and give up", || {
        let mut waiter = a.waiter(Mode::Read).expect("the only waiter");
        while waiter.poll_wait(&mut cx).is_ready() {}
    });

    assert_allocates_nothing("break", || {
        poller.wake().expect("a token");
        poller.wake().expect("suppressed");
        poller.poll(&mut ready, None).expect("the break");
        assert!(ready.broken());
    });

    let hour = Duration::from_secs(3600);
    assert_allocates_nothing("set, move forward, move back, clear", || {
        let now = poller.now();
        a.set_read_deadline(Some(now.saturating_add(hour))).expect("open");
        a.set_read_deadline(Some(now.saturating_add(2 * hour))).expect("open");
        a.set_write_deadline(Some(now.saturating_add(hour / 2))).expect("open");
        a.set_deadline(None).expect("open");
    });

    // The deadline is set while the task is parked, so that the one who lets it expire wakes the
    // task: the poll, or, where this thread was stopped meanwhile, the call that sets it. A round in
    // which the poll had nothing to do makes the next deadline twice as distant.
    let mut distance = Duration::from_micros(20);
    let mut by_poll = 0;
    assert_allocates_nothing("a deadline that ends a wait", || {
        let mut waiter = a.waiter(Mode::Read).expect("the only waiter");
        while waiter.poll_wait(&mut cx).is_ready() {}
        let soon = poller.now().saturating_add(distance);
        a.set_read_deadline(Some(soon)).expect("open");
        let mut woken = 0;
        loop {
            let now = poller.now();
            woken += poller.poll(&mut ready, Some(distance)).expect("the deadline");
            if now >= soon {
                break;
            }
        }
        ready.wake_all();
        assert!(woken <= 1, "one waiter was woken {woken} times");
        by_poll += woken;
        if woken == 0 {
            distance *= 2;
        }
        // The error itself is not part of the wait: whoever is told of it may allocate.
        assert_eq!(a.deadline(Mode::Read).expect("open"), Some(soon));
        drop(waiter);
        a.set_read_deadline(None).expect("open");
    });
    assert!(by_poll > ROUNDS as usize / 2, "only {by_poll} waits were ended by a poll");

    assert_allocates_nothing("poll without an event", || {
        assert_eq!(poller.poll(&mut ready, Some(Duration::ZERO)).expect("nothing"), 0);
        assert_eq!(poller.poll(&mut ready, Some(Duration::from_nanos(1))).expect("nothing"), 0);
    });
}

fn registering_again_allocates_nothing_but_the_descriptor_of_the_slab<S: Real>() {
    // The entries of the slab are used again and giving them back has its place reserved.
    let poller = Poller::<S>::new().expect("a poller");
    assert_allocates_nothing("pipe, register, close, drop", || {
        let (reader, writer) = poller.pipe().expect("a pipe");
        reader.close().expect("the first close");
        drop((reader, writer));
    });
}

fn blocking_threads_and_the_thread_that_polls_for_them_allocate_nothing<S: Real>() {
    let poller = Poller::<S>::new().expect("a poller");
    let over = Arc::new(AtomicBool::new(false));
    let polling = thread::spawn({
        let (poller, over) = (poller.clone(), Arc::clone(&over));
        move || {
            let mut ready = Ready::new();
            let mut before = 0;
            let mut polls = 0_u32;
            while !over.load(Ordering::Acquire) {
                poller.poll(&mut ready, None).expect("an event");
                ready.wake_all();
                polls += 1;
                if polls == WARM_UP {
                    before = allocations();
                }
            }
            assert!(polls > WARM_UP, "only {polls} polls: nothing has been measured");
            allocations() - before
        }
    });
    // Or the callers would poll in between, each for the first time at some time.
    let _attached = poller.attach();
    let (a, b) = poller.stream_pair().expect("a pair");
    let over_and_back = |mut source: &Source<S>, first: bool| {
        let mut byte = [0];
        if first {
            source.write_all(&byte).expect("the peer is there");
        }
        source.read_exact(&mut byte).expect("the peer is there");
        if !first {
            source.write_all(&byte).expect("the peer is there");
        }
    };
    thread::scope(|scope| {
        scope.spawn(|| assert_allocates_nothing("the echo", || over_and_back(&b, false)));
        assert_allocates_nothing("the caller", || over_and_back(&a, true));
    });
    over.store(true, Ordering::Release);
    poller.wake().expect("a break");
    let count = polling.join().expect("the polling thread panicked");
    assert_eq!(count, 0, "the polling thread has allocated {count} times");
}

macro_rules! on_every_queue {
    ($($test:ident)*) => {
        mod on_epoll {
            $(#[test]
            fn $test() {
                super::$test::<super::Os>();
            })*
        }
        mod on_poll {
            $(#[test]
            fn $test() {
                super::$test::<super::Portable>();
            })*
        }
    };
}

on_every_queue! {
    waits_wakes_polls_and_breaks_on_one_thread_allocate_nothing
    registering_again_allocates_nothing_but_the_descriptor_of_the_slab
    blocking_threads_and_the_thread_that_polls_for_them_allocate_nothing
}
