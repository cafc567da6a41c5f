//! The count of waiters, asked at the very moments at which it could be wrong: by the waker that is
//! being called, and by an observer of every step of the state machine.

mod common;

use netpoller::observe::Step;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Event, Instant, Os, System};
use netpoller::source::{Source, Waiter};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::slot::State;
use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering as StdOrdering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

thread_local! {
    /// Whom the observer asks, and what the least count was that it has seen when a task had just been
    /// taken out of its slot.
    static ASKED: RefCell<Option<(Poller<Asking>, usize)>> = const { RefCell::new(None) };
}

/// The operating system with an observer that asks for the count at every step.
#[derive(Clone, Debug)]
struct Asking;

common::primitives_of_the_os!(Asking);

impl System for Asking {
    type Kernel = <Os as System>::Kernel;

    fn kernel(&self) -> &Self::Kernel {
        Os.kernel()
    }

    fn now(&self) -> Instant {
        Os.now()
    }

    fn observe(&self, step: &Step) {
        let Step::Slot { before, after, .. } = step else { return };
        if before.state() != State::Parked || after.state() == State::Parked {
            return;
        }
        ASKED.with_borrow_mut(|asked| {
            if let Some((poller, least)) = asked {
                *least = (*least).min(poller.waiters());
            }
        });
    }
}

/// A waker that asks for the count when it is called.
#[derive(Debug)]
struct Asks {
    poller: Mutex<Option<Poller<Asking>>>,
    found: AtomicUsize,
}

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        let poller = self.poller.lock().expect("nobody panics here").take();
        let found = poller.expect("a waker is called once").waiters();
        self.found.store(found, StdOrdering::Relaxed);
    }
}

/// A parked reader whose waker asks.
fn parked<'a>(source: &'a Source<Asking>) -> (Waiter<'a, Asking>, Arc<Asks>) {
    let poller = Mutex::new(Some(source.poller().clone()));
    let asks = Arc::new(Asks { poller, found: AtomicUsize::new(0) });
    let waker = Waker::from(Arc::clone(&asks));
    let mut waiter = source.waiter(Mode::Read).expect("the only waiter");
    let polled = waiter.poll_wait(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "nothing has happened, and the wait ended with {polled:?}");
    (waiter, asks)
}

/// Ends the wait of a parked reader by `end`; NP-WAKE-3 at each moment of it.
fn counts(end: impl FnOnce(&Poller<Asking>, &Source<Asking>)) {
    let poller = Poller::on(Asking, Shape::default()).expect("a poller");
    let (reader, writer) = poller.pipe().expect("a pipe");
    let (waiter, asks) = parked(&reader);
    assert_eq!(poller.waiters(), 1, "one task is parked");
    writer.try_write(b"x").expect("room for a byte");
    ASKED.set(Some((poller.clone(), usize::MAX)));
    end(&poller, &reader);
    let (_, least) = ASKED.take().expect("set above");
    assert!(least >= 1, "NP-WAKE-3 broken: nobody counted when the task was out of its slot");
    assert_ne!(least, usize::MAX, "the task was never taken out of its slot");
    let found = asks.found.load(StdOrdering::Relaxed);
    assert!(found >= 1, "NP-WAKE-3 broken: nobody counted when the waker was called");
    assert_eq!(poller.waiters(), 0, "NP-WAKE-3 broken: a task was woken and still counts");
    drop(waiter);
}

#[test]
fn a_task_counts_until_its_waker_has_been_called() {
    counts(|poller, _| {
        let mut ready = Ready::new();
        poller.poll(&mut ready, Some(Duration::ZERO)).expect("the byte");
        assert_eq!(poller.waiters(), 1, "in the buffer of the poll, and not woken");
        ready.wake_all();
    });
}

#[test]
fn a_task_in_a_buffer_that_is_dropped_or_polled_with_again_counts_no_more() {
    counts(|poller, _| drop(poller.poll(&mut Ready::new(), Some(Duration::ZERO))));
    counts(|poller, _| {
        let mut ready = Ready::new();
        poller.poll(&mut ready, Some(Duration::ZERO)).expect("the byte");
        let other = Poller::on(Asking, Shape::default()).expect("another poller");
        other.poll(&mut ready, Some(Duration::ZERO)).expect("nothing");
        assert_eq!((poller.waiters(), other.waiters()), (0, 0), "woken before the poll");
    });
}

#[test]
fn a_task_that_is_drained_counts_until_the_drain_is_over() {
    counts(|poller, _| {
        let mut ready = Ready::new();
        poller.poll(&mut ready, Some(Duration::ZERO)).expect("the byte");
        let mut drain = ready.drain();
        let waker = drain.next().expect("the reader's");
        assert_eq!(poller.waiters(), 1, "handed out, and maybe in no queue yet");
        waker.wake();
        drop(drain);
    });
}

#[test]
fn a_task_that_a_close_a_deadline_or_an_event_by_hand_wakes_counts_until_then() {
    counts(|_, reader| reader.close().expect("nobody uses it"));
    counts(|poller, reader| reader.set_read_deadline(Some(poller.now())).expect("open"));
    counts(|poller, reader| {
        poller.deliver(&[Event { token: reader.token(), bits: Bits::IN }]);
    });
}

#[test]
fn a_task_whose_timer_fires_counts_until_it_is_woken() {
    counts(|poller, reader| {
        let mut distance = Duration::from_millis(1);
        // An instant that has come when it is set leaves no timer.
        while poller.peek_timers().is_empty() && poller.stats().parked == 1 {
            distance *= 2;
            let soon = poller.now().saturating_add(distance);
            reader.set_read_deadline(Some(soon)).expect("open");
            while poller.now() < soon {}
        }
        poller.expire_due();
    });
}

#[test]
fn a_task_that_gives_up_counts_no_more() {
    let poller = Poller::on(Asking, Shape::default()).expect("a poller");
    let (reader, _writer) = poller.pipe().expect("a pipe");
    let (waiter, _asks) = parked(&reader);
    assert_eq!(poller.waiters(), 1);
    drop(waiter);
    assert_eq!(poller.waiters(), 0, "the wait was given up");
}
