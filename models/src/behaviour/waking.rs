//! The list of wakers that a poll returns.

use super::hand::{AT_ONCE, Watch, done, pending, pipe, put, stream};
use super::host::Host;
use netpoller::Mode;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::source::{Source, Waiter};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// Who was woken, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<usize>>>);

impl Log {
    fn entries(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A waker that writes its name down, and panics if it is to.
    fn waker(&self, name: usize, panics: bool) -> Waker {
        Waker::from(Arc::new(Named { log: self.clone(), name, panics }))
    }
}

struct Named {
    log: Log,
    name: usize,
    panics: bool,
}

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.name);
        if self.panics {
            resume_unwind(Box::new(self.name)); // a panic that is not printed
        }
    }
}

#[track_caller]
fn park<'a, S: Host>(source: &'a Source<S>, mode: Mode, waker: &Waker) -> Waiter<'a, S> {
    let mut waiter = Watch::new().park(source, mode);
    let polled = waiter.poll_wait(&mut Context::from_waker(waker));
    pending("a wait that is parked", polled);
    waiter
}

pub(super) fn wakers_run_in_the_order_of_the_events<S: Host>(poller: &Poller<S>) {
    let (log, pipes) = (Log::default(), [(); 4].map(|()| pipe(poller)));
    let mut names = 0..;
    let _waiters = pipes.each_ref().map(|(reader, _)| {
        park(reader, Mode::Read, &log.waker(names.next().expect("endless"), false))
    });
    let order = [2, 0, 3, 1];
    for place in order {
        put(&pipes[place].1, b'x');
    }
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 4, "one batch holds all");
    assert_eq!((ready.len(), ready.is_empty()), (4, false));
    assert!(log.entries().is_empty(), "woken by the poll itself");
    ready.wake_all();
    assert_eq!(log.entries(), order, "the order in which they became ready");
    assert!(ready.is_empty(), "a waker is left");
}

pub(super) fn one_event_wakes_the_reader_before_the_writer<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let log = Log::default();
    let _write = park(&here, Mode::Write, &log.waker(1, false));
    let _read = park(&here, Mode::Read, &log.waker(0, false));
    drop(there);
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 2);
    ready.wake_all();
    assert_eq!(log.entries(), [0, 1]);
}

pub(super) fn a_waker_that_panics_takes_no_other_along<S: Host>(poller: &Poller<S>) {
    let (log, pipes) = (Log::default(), [(); 4].map(|()| pipe(poller)));
    let mut names = 0..;
    let _waiters = pipes.each_ref().map(|(reader, _)| {
        let name = names.next().expect("endless");
        park(reader, Mode::Read, &log.waker(name, name == 1 || name == 2))
    });
    for (_, writer) in &pipes {
        put(writer, b'x');
    }
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 4);
    let panicked = catch_unwind(AssertUnwindSafe(|| ready.wake_all())).expect_err("a panic");
    assert_eq!(panicked.downcast_ref(), Some(&1_usize), "the first panic is passed on");
    assert_eq!(log.entries(), [0, 1, 2, 3], "a panic took other wakers along");
    assert!(ready.is_empty());
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("still usable"), 0);
}

pub(super) fn a_waker_that_panics_does_not_stop_a_close<S: Host>(poller: &Poller<S>) {
    let (here, _there) = stream(poller);
    let log = Log::default();
    let _read = park(&here, Mode::Read, &log.waker(0, true));
    let _write = park(&here, Mode::Write, &log.waker(1, false));
    let closed = catch_unwind(AssertUnwindSafe(|| here.close()));
    closed.expect_err("the panic is passed on");
    assert_eq!(log.entries(), [0, 1], "the writer sleeps on");
    here.close().expect_err("it is closed in spite of the panic");
}

pub(super) fn wakers_that_nobody_took_are_woken_when_dropped<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let log = Log::default();
    let _read = park(&here, Mode::Read, &log.waker(0, true));
    let _write = park(&here, Mode::Write, &log.waker(1, false));
    drop(there);
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 2);
    assert!(log.entries().is_empty(), "woken by the poll itself");
    drop(ready); // and does not panic, though a waker does
    assert_eq!(log.entries(), [0, 1]);
}

pub(super) fn wakers_that_nobody_took_are_woken_by_the_next_poll<S: Host>(poller: &Poller<S>) {
    let (reader, writer) = pipe(poller);
    let watch = Watch::new();
    let mut waiter = watch.park(&reader, Mode::Read);
    put(&writer, b'x');
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 1);
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 0, "it is counted once");
    assert_eq!(watch.wakes(), 1, "the next poll threw the waker away");
    done("the wait", watch.poll(&mut waiter));
}

pub(super) fn wakers_can_be_taken_out<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let log = Log::default();
    let _read = park(&here, Mode::Read, &log.waker(0, false));
    let _write = park(&here, Mode::Write, &log.waker(1, false));
    drop(there);
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 2);
    let taken = ready.drain().next().expect("there are two");
    assert_eq!((ready.len(), log.entries()), (1, vec![]), "taken is not woken");
    drop(ready);
    let rest = log.entries();
    assert_eq!(rest.len(), 1, "what was left was not woken, or what was taken was");
    taken.wake();
    let mut all = log.entries();
    all.sort_unstable();
    assert_eq!(all, [0, 1]);
}

/// A waker that uses the poller.
struct Uses<S: Host> {
    poller: Poller<S>,
    source: Arc<Source<S>>,
    log: Log,
}

impl<S: Host> Wake for Uses<S> {
    fn wake(self: Arc<Self>) {
        let (reader, writer) = self.poller.pipe().expect("a pipe");
        put(&writer, b'x');
        assert_eq!(reader.try_read(&mut [0]).expect("a byte"), 1);
        // The descriptor that it was woken for.
        let mut waiter = Watch::new().park(&self.source, Mode::Write);
        waiter.prepare().expect("open");
        self.log.0.lock().unwrap_or_else(PoisonError::into_inner).push(7);
    }
}

pub(super) fn a_waker_may_use_the_poller<S: Host>(poller: &Poller<S>) {
    let (here, there) = stream(poller);
    let (source, log) = (Arc::new(here), Log::default());
    let uses = Uses { poller: poller.clone(), source: Arc::clone(&source), log: log.clone() };
    let mut waiter = park(&source, Mode::Read, &Waker::from(Arc::new(uses)));
    put(&there, b'x');
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), 1);
    ready.wake_all();
    assert_eq!(log.entries(), [7], "the waker did not come to its end");
    done("the wait", Watch::new().poll(&mut waiter));
}
