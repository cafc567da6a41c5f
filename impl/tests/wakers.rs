//! What the poller does with wakers, which are foreign code: nothing under its locks, and none is
//! lost, whatever the others do. And a wake may turn out to be for nothing.
//!
//! The system of these tests is the operating system with a lock that watches one waker: while
//! any lock of the poller is held, the number of its clones must not change and it must not be
//! woken. So a clone, a drop and a wake under a lock are seen where they happen.

use netpoller::desc::wake;
use netpoller::observe::Step;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Event, Instant, Mutex as SeamMutex, Ordering, Os, Primitives, System};
use netpoller::source::{Source, Waiter};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering as StdOrdering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

thread_local! {
    /// How many locks this thread holds.
    static HELD: Cell<u32> = const { Cell::new(0) };
    /// The waker that is watched.
    static WATCHED: RefCell<Weak<Tag>> = const { RefCell::new(Weak::new()) };
}

/// A waker that counts, and panics if it is told to.
#[derive(Debug, Default)]
struct Tag {
    woken: AtomicUsize,
    panics: bool,
}

impl Tag {
    fn woken(&self) -> usize {
        self.woken.load(StdOrdering::Relaxed)
    }
}

impl Wake for Tag {
    fn wake(self: Arc<Self>) {
        assert_eq!(HELD.get(), 0, "NP-WAKE-1 broken: woken under a lock");
        self.woken.fetch_add(1, StdOrdering::Relaxed);
        assert!(!self.panics, "this waker panics, as it was told to");
    }
}

/// The operating system with locks that watch.
#[derive(Clone, Debug)]
struct Watching;

#[derive(Debug)]
struct Lock<T: Send + Debug>(<Os as Primitives>::Mutex<T>);

struct Guard<'a, T: Send + Debug + 'a> {
    inner: <<Os as Primitives>::Mutex<T> as SeamMutex<T>>::Guard<'a>,
    clones: usize,
}

fn clones() -> usize {
    WATCHED.with_borrow(Weak::strong_count)
}

impl<T: Send + Debug> SeamMutex<T> for Lock<T> {
    type Guard<'a>
        = Guard<'a, T>
    where
        Self: 'a;

    fn new(value: T, digest: fn(&T) -> Option<u64>) -> Self {
        Lock(SeamMutex::new(value, digest))
    }

    fn lock(&self) -> Guard<'_, T> {
        let inner = self.0.lock();
        HELD.set(HELD.get() + 1);
        Guard { inner, clones: clones() }
    }

    fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.0.peek(look)
    }
}

impl<T: Send + Debug> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: Send + Debug> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: Send + Debug> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
        if std::thread::panicking() {
            return; // a second panic would end the process before the first is told
        }
        assert_eq!(
            self.clones,
            clones(),
            "NP-WAKE-1 broken: a waker was cloned or dropped under a lock"
        );
    }
}

impl Primitives for Watching {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + Debug> = Lock<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(alternatives: usize) -> usize {
        Os::choose(alternatives)
    }
}

impl System for Watching {
    type Kernel = <Os as System>::Kernel;

    fn kernel(&self) -> &Self::Kernel {
        Os.kernel()
    }

    fn now(&self) -> Instant {
        Os.now()
    }

    fn observe(&self, _: &Step) {}
}

fn poller() -> Poller<Watching> {
    Poller::on(Watching, Shape::default()).expect("a poller")
}

fn park(waiter: &mut Waiter<'_, Watching>, tag: &Arc<Tag>) {
    let waker = Waker::from(Arc::clone(tag));
    let polled = waiter.poll_wait(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "nothing has happened, and the wait ended with {polled:?}");
}

fn deliver(source: &Source<Watching>, bits: Bits) {
    source.poller().deliver(&[Event { token: source.token(), bits }]);
}

#[test]
fn no_waker_is_cloned_woken_or_dropped_under_a_lock() {
    // NP-WAKE-1: each way in and out of the cell.
    let poller = poller();
    let (reader, _writer) = poller.pipe().expect("a pipe");
    let tag = Arc::new(Tag::default());
    WATCHED.set(Arc::downgrade(&tag));

    let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
    park(&mut waiter, &tag);
    park(&mut waiter, &tag); // replaced by itself
    deliver(&reader, Bits::IN);
    assert_eq!(tag.woken(), 1, "the edge did not wake");
    let other = Arc::new(Tag::default());
    waiter.prepare().expect("nothing is wrong with the pipe");
    park(&mut waiter, &tag);
    park(&mut waiter, &other); // replaced by another: dropped
    park(&mut waiter, &tag);
    drop(waiter); // retracted
    assert_eq!(Arc::strong_count(&tag), 1, "a dropped wait left its waker behind");

    let mut waiter = reader.waiter(Mode::Read).expect("given back");
    park(&mut waiter, &tag);
    waiter.prepare().expect("nothing is wrong with the pipe"); // evicted
    assert_eq!(tag.woken(), 2, "the reset did not wake");
    park(&mut waiter, &tag);
    reader.close().expect("the first close");
    assert_eq!(tag.woken(), 3, "the close did not wake");
    drop(waiter);
    assert_eq!(Arc::strong_count(&tag), 1, "the poller keeps a waker that nobody waits for");
}

#[test]
fn a_deadline_that_expires_wakes_under_no_lock() {
    // NP-WAKE-1: a waker may set the next deadline, which needs the control lock.
    let poller = poller();
    let (reader, _writer) = poller.pipe().expect("a pipe");
    let tag = Arc::new(Tag::default());
    WATCHED.set(Arc::downgrade(&tag));
    let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
    park(&mut waiter, &tag);
    reader.set_read_deadline(Some(poller.now())).expect("open");
    assert_eq!(tag.woken(), 1, "the deadline of this instant did not wake");
    drop(waiter);
    assert_eq!(Arc::strong_count(&tag), 1, "the poller keeps a waker that nobody waits for");
}

/// Parks a reader on each of three pipes that have a byte, the first with a waker that panics.
fn three(run: impl FnOnce(&Poller<Watching>, &mut Ready<Watching>)) -> [usize; 3] {
    let poller = poller();
    let tags = [true, false, false].map(|panics| Arc::new(Tag { panics, ..Tag::default() }));
    let pipes = [(); 3].map(|()| poller.pipe().expect("a pipe"));
    let mut waiters = Vec::new();
    for ((reader, writer), tag) in pipes.iter().zip(&tags) {
        let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
        park(&mut waiter, tag);
        writer.try_write(b"x").expect("room for a byte");
        waiters.push(waiter);
    }
    let mut ready = Ready::new();
    assert_eq!(poller.poll(&mut ready, Some(Duration::ZERO)).expect("a poll"), 3, "wakers");
    run(&poller, &mut ready);
    drop(ready);
    tags.map(|tag| tag.woken())
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_from_being_woken() {
    // NP-WAKE-2
    let woken = three(|_, ready| {
        let panicked = catch_unwind(AssertUnwindSafe(|| ready.wake_all()));
        assert!(panicked.is_err(), "the panic of a waker was swallowed");
    });
    assert_eq!(woken, [1, 1, 1]);
}

#[test]
fn a_result_of_a_poll_that_is_dropped_wakes() {
    // NP-WAKE-2
    assert_eq!(three(|_, _| ()), [1, 1, 1]);
}

#[test]
fn what_a_caller_does_not_drain_is_woken() {
    // NP-WAKE-2: the last in the order of the events is the first to be drained.
    let woken = three(|_, ready| drop(ready.drain().next().expect("three wakers")));
    assert_eq!(woken.iter().sum::<usize>(), 2, "{woken:?}");
}

#[test]
fn a_reader_whose_waker_panics_does_not_keep_the_writer_asleep_at_a_close() {
    // NP-WAKE-2
    let poller = poller();
    let (source, _peer) = poller.stream_pair().expect("a pair of sockets");
    let [reader, writer] = [true, false].map(|panics| Arc::new(Tag { panics, ..Tag::default() }));
    let mut waiters = Mode::BOTH.map(|mode| source.waiter(mode).expect("the only waiter"));
    park(&mut waiters[0], &reader);
    park(&mut waiters[1], &writer);
    let wakers = source.incarnation().close().expect("the first close");
    let panicked = catch_unwind(AssertUnwindSafe(|| wake(wakers)));
    assert!(panicked.is_err(), "the panic of a waker was swallowed");
    assert_eq!([reader.woken(), writer.woken()], [1, 1], "reader, writer");
}

#[test]
fn a_wait_that_ended_for_nothing_is_waited_again() {
    // NP-EDGE-5: an edge without data ends the wait, the read says EAGAIN, the task parks again.
    let poller = poller();
    let (reader, writer) = poller.pipe().expect("a pipe");
    let tag = Arc::new(Tag::default());
    let waker = Waker::from(Arc::clone(&tag));
    let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
    waiter.prepare().expect("nothing is wrong with the pipe");
    let mut read = || {
        loop {
            match reader.try_read(&mut [0]) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
            match waiter.poll_wait(&mut Context::from_waker(&waker)) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    };
    assert!(read().is_pending(), "the pipe is empty");
    for round in 1..=3 {
        deliver(&reader, Bits::IN);
        assert_eq!(tag.woken(), round, "round {round}: the edge did not wake");
        assert!(read().is_pending(), "round {round}: took an edge for data");
    }
    writer.try_write(b"x").expect("room for a byte");
    poller.poll(&mut Ready::new(), Some(Duration::ZERO)).expect("a poll"); // wakes when dropped
    assert_eq!(tag.woken(), 4, "the byte did not wake");
    assert!(matches!(read(), Poll::Ready(Ok(1))), "the byte was not read");
}
