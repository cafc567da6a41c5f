//! Poll functions on the real kernel: who is woken, by what, and what a poll that is not repeated leaves
//! in the way of others, which is nothing.
//!
//! Nobody drives the poller but the test itself, so what is counted happens when the test lets it happen.

use netpoller::{Mode, Poller, Ready, Reason, Source};
use netpoller_tests::tasks::{Wakes, block_on};
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Somebody who polls, and how often he was woken.
struct Task {
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl Task {
    fn new() -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        Task { wakes, waker }
    }

    fn read(&self, source: &Source) -> Poll<std::io::Result<usize>> {
        source.poll_read(&mut Context::from_waker(&self.waker), &mut [0])
    }

    fn woken(&self) -> usize {
        self.wakes.count()
    }

    fn poll<F: Future>(&self, future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }
}

/// A poller, and two ends of a connection.
fn bench() -> (Poller, Source, Source) {
    let poller = Poller::new().expect("a poller");
    let (a, b) = poller.stream_pair().expect("a pair");
    (poller, a, b)
}

/// Takes what the kernel has to report, and wakes.
fn harvest(poller: &Poller) {
    let mut ready = Ready::new();
    poller.poll(&mut ready, Some(Duration::ZERO)).expect("the queue is usable");
    ready.wake_all();
}

/// A source that has nothing to read, and of which all edges were taken.
fn parked_reader(task: &Task, poller: &Poller, source: &Source) {
    harvest(poller);
    assert!(task.read(source).is_pending(), "nothing was sent");
}

fn got_a_byte(polled: Poll<std::io::Result<usize>>, who: &str) {
    assert!(matches!(polled, Poll::Ready(Ok(1))), "{who} got {polled:?} in place of a byte");
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    // NP-WAIT-5
    let (poller, a, b) = bench();
    let (first, second) = (Task::new(), Task::new());
    parked_reader(&first, &poller, &a);
    parked_reader(&second, &poller, &a);
    assert_eq!(first.woken(), 1, "the task whose place was taken has to look again, once");
    b.try_write(b"x").expect("room");
    harvest(&poller);
    assert_eq!((first.woken(), second.woken()), (1, 1), "the byte is news for the second only");
    got_a_byte(second.read(&a), "the task that was woken");
}

#[test]
fn a_poll_that_is_repeated_makes_no_system_call_and_wakes_nobody() {
    let (poller, a, b) = bench();
    let task = Task::new();
    parked_reader(&task, &poller, &a);
    b.try_write(b"x").expect("room");
    // The byte is there, but no report of it: a system call would find it.
    assert!(task.read(&a).is_pending(), "a system call was made without a report");
    assert_eq!(task.woken(), 0, "a task that polls again was woken by that");
    harvest(&poller);
    assert_eq!(task.woken(), 1, "the report woke nobody");
    got_a_byte(task.read(&a), "the task that was woken");
}

#[test]
fn a_poll_that_is_not_repeated_stands_in_no_operations_way() {
    // NP-FD-12
    let (poller, a, b) = bench();
    let (gone, task) = (Task::new(), Task::new());
    parked_reader(&gone, &poller, &a);
    let mut byte = [0];
    let mut reading = pin!(a.async_read(&mut byte));
    assert!(task.poll(reading.as_mut()).is_pending(), "nothing was sent");
    b.try_write(b"x").expect("room");
    harvest(&poller);
    assert_eq!(task.woken(), 1, "NP-FD-12 broken: the operation waits for a poll that never comes");
    got_a_byte(task.poll(reading), "the operation");
}

#[test]
fn a_poll_that_is_not_repeated_stands_in_no_threads_way() {
    // NP-FD-12
    let (poller, a, b) = bench();
    parked_reader(&Task::new(), &poller, &a);
    b.try_write(b"x").expect("room");
    let mut byte = [0];
    (&a).read_exact(&mut byte).expect("the byte");
    assert_eq!(&byte, b"x");
}

#[test]
fn a_poll_that_is_not_repeated_stands_in_no_waiters_way() {
    // NP-FD-12, NP-WAIT-1
    let (poller, a, b) = bench();
    let (gone, task) = (Task::new(), Task::new());
    parked_reader(&gone, &poller, &a);
    let mut waiter = a.waiter(Mode::Read).expect("a poll holds no right");
    let mut cx = Context::from_waker(&task.waker);
    let polled = waiter.poll_wait(&mut cx);
    assert!(polled.is_pending(), "the waiter found the slot occupied: {polled:?}");
    assert_eq!(gone.woken(), 1, "a poll that was put out has to hear of it");
    b.try_write(b"x").expect("room");
    harvest(&poller);
    assert!(waiter.poll_wait(&mut cx).is_ready(), "the byte was not reported");
}

#[test]
fn a_poll_that_waits_for_the_right_is_told_when_it_is_free() {
    // NP-FD-11
    let (poller, a, b) = bench();
    let (operation, poll) = (Task::new(), Task::new());
    harvest(&poller);
    let mut byte = [0];
    let mut reading = Box::pin(a.async_read(&mut byte));
    assert!(operation.poll(reading.as_mut()).is_pending(), "nothing was sent");
    for _ in 0..3 {
        assert!(poll.read(&a).is_pending(), "a poll has overtaken an operation");
    }
    b.try_write(b"xy").expect("room");
    harvest(&poller);
    assert_eq!((operation.woken(), poll.woken()), (1, 0), "the operation has its turn");
    got_a_byte(operation.poll(reading.as_mut()), "the operation");
    assert_eq!(
        poll.woken(),
        1,
        "NP-FD-11 broken: the poll was not told, once, that the right is free"
    );
    got_a_byte(poll.read(&a), "the poll");
}

#[test]
fn a_poll_that_waits_for_the_right_is_told_when_the_holder_is_dropped() {
    // NP-FD-7, NP-FD-11
    let (poller, a, _b) = bench();
    let polls = [Task::new(), Task::new()];
    harvest(&poller);
    let waiter = a.waiter(Mode::Read).expect("nobody waits");
    for poll in &polls {
        assert!(poll.read(&a).is_pending(), "nothing was sent");
    }
    drop(waiter);
    for poll in &polls {
        assert_eq!(poll.woken(), 1, "NP-FD-11 broken: a poll was not told");
    }
}

#[test]
fn the_right_goes_to_callers_in_the_queue_before_polls() {
    // NP-FD-6, NP-FD-11
    let (poller, a, b) = bench();
    let (poll, queued) = (Task::new(), Task::new());
    harvest(&poller);
    let waiter = a.waiter(Mode::Read).expect("nobody waits");
    assert!(poll.read(&a).is_pending(), "the right is taken");
    let mut byte = [0];
    let mut reading = Box::pin(a.async_read(&mut byte));
    assert!(queued.poll(reading.as_mut()).is_pending(), "the right is taken");
    drop(waiter);
    assert_eq!((queued.woken(), poll.woken()), (1, 0), "who has the right now?");
    b.try_write(b"xy").expect("room");
    got_a_byte(queued.poll(reading.as_mut()), "the caller in the queue");
    assert_eq!(poll.woken(), 1, "NP-FD-11 broken: nobody is queued, and the poll was not told");
    got_a_byte(poll.read(&a), "the poll");
}

#[test]
fn a_caller_that_leaves_the_queue_leaves_the_polls_in_it() {
    // NP-FD-7, NP-FD-11
    let (poller, a, _b) = bench();
    let (poll, queued) = (Task::new(), Task::new());
    harvest(&poller);
    let waiter = a.waiter(Mode::Read).expect("nobody waits");
    assert!(poll.read(&a).is_pending(), "the right is taken");
    let mut byte = [0];
    let mut reading = Box::pin(a.async_read(&mut byte));
    assert!(queued.poll(reading.as_mut()).is_pending(), "the right is taken");
    drop(reading);
    drop(waiter);
    assert_eq!(poll.woken(), 1, "NP-FD-11 broken: the poll was forgotten with the caller");
}

#[test]
fn a_close_wakes_a_poll_wherever_it_waits() {
    // NP-WAIT-3, NP-FD-8
    let (poller, a, _b) = bench();
    let (in_the_slot, for_the_right) = (Task::new(), Task::new());
    parked_reader(&in_the_slot, &poller, &a);
    while a.try_write(&[0; 65_536]).is_ok() {}
    let waiter = a.waiter(Mode::Write).expect("nobody waits");
    let mut cx = Context::from_waker(&for_the_right.waker);
    assert!(a.poll_write(&mut cx, b"x").is_pending(), "the right is taken");
    a.close().expect("the first close");
    drop(waiter);
    assert_eq!((in_the_slot.woken(), for_the_right.woken()), (1, 1), "woken by the close");
    let closed = |polled| match polled {
        Poll::Ready(Err(error)) => assert_eq!(Reason::of(&error), Some(Reason::Closed), "{error}"),
        other => panic!("a poll of a closed source gave {other:?}"),
    };
    closed(in_the_slot.read(&a));
    closed(a.poll_write(&mut cx, b"x"));
    closed(a.poll_read(&mut cx, &mut []));
}

#[test]
fn a_deadline_ends_a_poll_that_waits() {
    // NP-TIME-5
    let (poller, a, b) = bench();
    let task = Task::new();
    parked_reader(&task, &poller, &a);
    b.try_write(b"x").expect("room");
    a.set_read_deadline(Some(poller.now())).expect("open");
    assert_eq!(task.woken(), 1, "the deadline woke nobody");
    match task.read(&a) {
        Poll::Ready(Err(error)) => {
            assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{error}");
        }
        other => panic!("a poll after the deadline gave {other:?}"),
    }
    a.set_read_deadline(None).expect("open");
    got_a_byte(task.read(&a), "a poll without a deadline");
}

#[test]
fn the_end_of_the_stream_is_found_as_often_as_it_is_looked_for() {
    let (poller, a, b) = bench();
    let task = Task::new();
    parked_reader(&task, &poller, &a);
    drop(b);
    harvest(&poller);
    assert_eq!(task.woken(), 1, "the end woke nobody");
    for _ in 0..3 {
        assert!(matches!(task.read(&a), Poll::Ready(Ok(0))), "the end of the stream");
    }
}

#[test]
fn readiness_that_leads_to_nothing_is_no_error() {
    // NP-EDGE-5
    let (poller, a, b) = bench();
    let task = Task::new();
    parked_reader(&task, &poller, &a);
    b.try_write(b"x").expect("room");
    harvest(&poller);
    assert_eq!(a.try_read(&mut [0]).expect("the byte"), 1, "somebody takes it away");
    assert!(task.read(&a).is_pending(), "WouldBlock has leaked out, or a byte was made up");
    b.try_write(b"y").expect("room");
    harvest(&poller);
    assert_eq!(task.woken(), 2, "the second byte woke nobody");
    got_a_byte(task.read(&a), "the task");
}

#[test]
fn reading_and_writing_do_not_disturb_each_other() {
    let (poller, a, b) = bench();
    let (reader, writer) = (Task::new(), Task::new());
    parked_reader(&reader, &poller, &a);
    let mut cx = Context::from_waker(&writer.waker);
    let mut sent = 0;
    while let Poll::Ready(count) = a.poll_write(&mut cx, &[7; 65_536]) {
        sent += count.expect("room");
    }
    assert_eq!((reader.woken(), writer.woken()), (0, 0), "nothing has happened");
    let mut received = vec![0; sent];
    let mut got = 0;
    while got < sent {
        got += b.try_read(&mut received[got..]).expect("all of it was sent");
    }
    harvest(&poller);
    assert_eq!((reader.woken(), writer.woken()), (0, 1), "there is room, and nothing to read");
    assert!(matches!(a.poll_write(&mut cx, b"x"), Poll::Ready(Ok(1))), "there is room");
}

#[test]
fn pieces_go_and_come_by_one_call_each() {
    let (_poller, a, b) = bench();
    let task = Task::new();
    let mut cx = Context::from_waker(&task.waker);
    let pieces = [IoSlice::new(b"one"), IoSlice::new(b""), IoSlice::new(b"two")];
    assert!(matches!(a.poll_write_vectored(&mut cx, &pieces), Poll::Ready(Ok(6))));
    let (mut first, mut second) = ([0; 2], [0; 4]);
    let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    assert!(matches!(b.poll_read_vectored(&mut cx, &mut buffers), Poll::Ready(Ok(6))));
    assert_eq!((&first, &second), (b"on", b"etwo"));
    assert!(matches!(b.poll_read_vectored(&mut cx, &mut []), Poll::Ready(Ok(0))));
    assert!(matches!(a.poll_write_vectored(&mut cx, &[]), Poll::Ready(Ok(0))));
}

#[test]
fn a_descriptor_in_blocking_mode_is_read_at_once() {
    let poller = Poller::new().expect("a poller");
    let file = std::fs::File::open("/proc/self/exe").expect("this program");
    let source = poller.adopt(std::os::fd::OwnedFd::from(file).into()).expect("adopted");
    got_a_byte(Task::new().read(&source), "a file");
}

#[test]
fn two_tasks_that_insist_wake_each_other_and_both_get_their_bytes() {
    // NP-FD-11, NP-SLOT-8: threads that sleep until they are woken, on one direction.
    const BYTES: usize = 2000;
    let poller = Poller::new().expect("a poller");
    let driver = poller.drive().expect("a thread");
    let (a, b) = poller.stream_pair().expect("a pair");
    let read = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut got = 0;
                    loop {
                        let one = std::future::poll_fn(|cx| a.poll_read(cx, &mut [0]));
                        match block_on(one, || ()).expect("open") {
                            0 => return got,
                            count => got += count,
                        }
                    }
                })
            })
            .collect();
        for _ in 0..BYTES {
            let one = std::future::poll_fn(|cx| b.poll_write(cx, b"x"));
            assert_eq!(block_on(one, || ()).expect("open"), 1);
        }
        b.shutdown(netpoller::HowToShut::Write).expect("connected");
        readers.into_iter().map(|reader| reader.join().expect("no panic")).sum::<usize>()
    });
    assert_eq!(read, BYTES, "bytes that were sent and bytes that arrived");
    drop(driver);
    assert_eq!(poller.stats().parked, 0, "a wait was left behind: {:?}", poller.parked());
}

#[test]
fn the_kinds_that_mean_try_again_never_leak() {
    let (poller, a, b) = bench();
    let task = Task::new();
    harvest(&poller);
    let mut cx = Context::from_waker(&task.waker);
    for round in 0..200 {
        for source in [&a, &b] {
            for polled in
                [source.poll_read(&mut cx, &mut [0; 7]), source.poll_write(&mut cx, &[1; 9000])]
            {
                if let Poll::Ready(Err(error)) = polled {
                    let kind = error.kind();
                    let again = [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&kind);
                    assert!(!again, "round {round}: {error}");
                }
            }
        }
        if round % 3 == 0 {
            harvest(&poller);
        }
    }
}
