//! What the poller and its descriptors make of a kernel that fails: each fault of the plan, once,
//! and what whoever uses a descriptor sees of it.

use netpoller::observe::Step;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{
    Address, Batch, Instant, Kernel, Kind, Ordering, Os, Primitives, System, Timeout,
};
use netpoller::source::Source;
use netpoller_models::kernel::{Config, Errno, Faults, SimBatch, SimFd, SimKernel};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};
use std::fmt::Debug;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A system whose time is that of its kernel.
#[derive(Clone, Debug)]
struct Faulty(Arc<SimKernel<Os>>);

impl Primitives for Faulty {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + Debug> = <Os as Primitives>::Mutex<T>;
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

impl System for Faulty {
    type Kernel = SimKernel<Os>;

    fn kernel(&self) -> &SimKernel<Os> {
        &self.0
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn observe(&self, _: &Step) {}
}

fn kernel(faults: Faults) -> SimKernel<Os> {
    SimKernel::new(Config { faults, ..Config::linux() })
}

/// A kernel with a plan, and a poller on it.
fn planned(faults: Faults) -> (Arc<SimKernel<Os>>, Poller<Faulty>) {
    let kernel = Arc::new(kernel(faults));
    let poller = Poller::on(Faulty(kernel.clone()), Shape::default()).expect("a poller");
    (kernel, poller)
}

/// Polls once without blocking and wakes; the number of wakers.
fn poll(poller: &Poller<Faulty>) -> usize {
    let mut ready = Ready::new();
    let woken = poller.poll(&mut ready, Some(Duration::ZERO)).expect("the queue is usable");
    ready.wake_all();
    woken
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

const DELAY: Duration = Duration::from_millis(10);

#[test]
fn a_signal_neither_ends_a_poll_nor_shortens_its_timeout() {
    // NP-EDGE-4
    let faults = Faults { interrupt_wait: Some(1), ..Faults::NONE };
    let (kernel, poller) = planned(faults);
    let woken = poller.poll(&mut Ready::new(), Some(DELAY)).expect("a signal is no error");
    assert_eq!(woken, 0);
    let end = Instant::from_nanos(0).saturating_add(DELAY);
    assert_eq!(kernel.now(), end, "the poll lasted as long as it was asked to, and no longer");
}

#[test]
fn a_signal_does_not_end_a_poll_without_end() {
    // NP-EDGE-4
    let faults = Faults { interrupt_wait: Some(1), ..Faults::NONE };
    let (_kernel, poller) = planned(faults);
    std::thread::scope(|scope| {
        let polling = scope.spawn(|| poller.poll(&mut Ready::new(), None));
        // It was interrupted before it could sleep.
        while poller.queue().peek_waiters() == 0 {
            assert!(!polling.is_finished(), "the signal ended the poll");
            std::thread::yield_now();
        }
        poller.wake().expect("a break");
        assert_eq!(polling.join().unwrap().expect("a signal is no error"), 0);
    });
}

#[test]
fn a_signal_does_not_cost_an_event_that_is_there() {
    let kernel = kernel(Faults { interrupt_wait: Some(1), ..Faults::NONE });
    let queue = kernel.queue().unwrap();
    kernel.post(&queue).unwrap();
    let mut batch = SimBatch::with_capacity(4);
    kernel.wait(&queue, &mut batch, Timeout::Never).expect("results beat a signal");
    assert_eq!(batch.len(), 1);
    kernel.drain(&queue).unwrap();
    kernel.wait(&queue, &mut batch, Timeout::After(DELAY)).expect("it was the first wait only");
    assert_eq!(batch.len(), 0);
}

#[test]
fn a_registration_that_is_refused_gives_the_descriptor_back() {
    for (errno, kind) in
        [(Errno::ENOSPC, ErrorKind::StorageFull), (Errno::ENOMEM, ErrorKind::OutOfMemory)]
    {
        let (kernel, poller) = planned(Faults { refuse_add: Some((2, errno)), ..Faults::NONE });
        let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
        let a = poller.register(a).expect("the first registration");
        let numbers = kernel.peek_open_numbers();
        for _ in 0..2 {
            let (again, _) = kernel.socket_pair(Kind::Stream).unwrap();
            let number = again.number();
            let refused = poller.register(again).expect_err("there is no room for another one");
            let (error, fd) = refused.into_parts();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(fd.number(), number, "another descriptor came back");
            assert!(fd.peek_is_open());
        }
        assert_eq!(kernel.peek_open_numbers(), numbers, "descriptors were kept");
        // What was registered before still works.
        poll(&poller);
        kernel.write(&b, b"x").unwrap();
        assert_eq!(a.try_read(&mut [0; 4]).unwrap(), 1);
        assert_eq!(poller.queue().peek_registered().len(), 1);
    }
}

#[test]
fn a_full_table_refuses_a_pair_as_a_whole_and_only_once() {
    // Two numbers went to the event queue and its break.
    for nth in [3, 4] {
        let (kernel, poller) = planned(Faults { refuse_number: Some(nth), ..Faults::NONE });
        let before = kernel.peek_open_numbers();
        let error = poller.stream_pair().expect_err("EMFILE");
        assert_eq!(error.raw_os_error(), Some(24), "{error}");
        assert_eq!(kernel.peek_open_numbers(), before, "half of a pair was kept");
        poller.stream_pair().expect("the table has room again");
    }
}

fn loopback() -> Address {
    Address::Inet((std::net::Ipv4Addr::LOCALHOST, 80).into())
}

/// A listener with one client in its backlog.
fn listening(kernel: &SimKernel<Os>) -> (SimFd<Os>, SimFd<Os>) {
    let listener = kernel.socket(&loopback(), Kind::Stream).unwrap();
    kernel.bind(&listener, &loopback()).unwrap();
    kernel.listen(&listener, 5).unwrap();
    let client = kernel.socket(&loopback(), Kind::Stream).unwrap();
    assert_eq!(kernel.connect(&client, &loopback()).unwrap_err().raw_os_error(), Some(115));
    (listener, client)
}

#[test]
fn an_accept_that_finds_no_number_does_not_lose_the_connection() {
    let kernel = kernel(Faults { refuse_number: Some(3), ..Faults::NONE });
    let (listener, client) = listening(&kernel);
    assert_eq!(kernel.accept(&listener).unwrap_err().raw_os_error(), Some(24));
    let (server, _peer) = kernel.accept(&listener).expect("it still waits");
    kernel.write(&client, b"x").unwrap();
    assert_eq!(kernel.read(&server, &mut [0; 4]).unwrap(), 1);
}

#[test]
fn an_aborted_connection_is_lost_and_the_next_one_is_not() {
    let kernel = kernel(Faults { abort_accept: Some(1), ..Faults::NONE });
    let (listener, client) = listening(&kernel);
    let error = kernel.accept(&listener).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    assert_eq!(kernel.peek_open_numbers().len(), 2, "a number was kept for it");
    let error = kernel.read(&client, &mut [0; 4]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(kernel.accept(&listener).unwrap_err().kind(), ErrorKind::WouldBlock);
    let next = kernel.socket(&loopback(), Kind::Stream).unwrap();
    kernel.connect(&next, &loopback()).unwrap_err();
    kernel.accept(&listener).expect("only the first one was aborted");
}

/// A future, polled once.
fn once<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

fn read(source: &Source<Faulty>) -> Poll<io::Result<usize>> {
    let mut buffer = [0; 8];
    once(source.async_read(&mut buffer))
}

#[test]
fn a_short_read_leaves_the_rest_for_the_next_without_a_wait_in_between() {
    let (kernel, poller) = planned(Faults { short_read: Some((1, 1)), ..Faults::NONE });
    let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
    let a = poller.register(a).unwrap();
    kernel.write(&b, b"abc").unwrap();
    poll(&poller);
    assert!(matches!(read(&a), Poll::Ready(Ok(1))), "one byte of three");
    // No edge comes for what was there before: waiting for one would be for ever.
    assert!(matches!(read(&a), Poll::Ready(Ok(2))), "the rest");
    assert!(read(&a).is_pending(), "nothing is left");
}

#[test]
fn a_short_write_says_how_much_it_took() {
    let (kernel, poller) = planned(Faults { short_write: Some((1, 2)), ..Faults::NONE });
    let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
    let a = poller.register(a).unwrap();
    assert!(matches!(once(a.async_write(b"abc")), Poll::Ready(Ok(2))));
    assert!(matches!(once(a.async_write(b"c")), Poll::Ready(Ok(1))));
    let mut buffer = [0; 8];
    assert_eq!(kernel.read(&b, &mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"abc");
}

#[test]
fn a_spurious_report_wakes_a_waiter_without_news() {
    // NP-EDGE-1
    let (kernel, poller) = planned(Faults { extra_edges: Some(2), ..Faults::NONE });
    let (a, b) = kernel.pipe().unwrap();
    kernel.write(&b, b"x").unwrap();
    let a = poller.register(a).unwrap();
    poll(&poller);
    let wakes = Arc::new(Counter::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut waiter = a.waiter(Mode::Read).unwrap();
    assert!(matches!(waiter.poll_wait(&mut cx), Poll::Ready(Ok(()))), "registering reported it");
    assert!(waiter.poll_wait(&mut cx).is_pending(), "an edge is used up by one wait");
    assert_eq!(poll(&poller), 1, "the extra edge woke nobody");
    assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
    assert!(matches!(waiter.poll_wait(&mut cx), Poll::Ready(Ok(()))));
    assert!(waiter.poll_wait(&mut cx).is_pending());
    assert_eq!(poll(&poller), 0, "there was one extra edge");
}

#[test]
fn a_spurious_report_of_a_writable_socket_does_not_end_a_read() {
    let (kernel, poller) = planned(Faults { extra_edges: Some(2), ..Faults::NONE });
    let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
    let a = poller.register(a).unwrap();
    poll(&poller);
    let mut buffer = [0; 8];
    let mut reading = pin!(a.async_read(&mut buffer));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(reading.as_mut().poll(&mut cx).is_pending());
    poll(&poller);
    assert!(reading.as_mut().poll(&mut cx).is_pending(), "there is nothing to read");
    kernel.write(&b, b"x").unwrap();
    assert_eq!(poll(&poller), 1);
    assert!(matches!(reading.as_mut().poll(&mut cx), Poll::Ready(Ok(1))));
}

#[test]
fn an_extra_edge_shows_what_is_true_and_nothing_else() {
    let kernel = kernel(Faults { extra_edges: Some(2), ..Faults::NONE });
    let queue = kernel.queue().unwrap();
    let (a, b) = kernel.socket_pair(Kind::Stream).unwrap();
    let (r, w) = kernel.pipe().unwrap();
    for (index, fd) in (0..).zip([&a, &b, &r, &w]) {
        kernel.add(&queue, fd, Token::entry(index, Generation::FIRST)).unwrap();
    }
    let mut batch = SimBatch::with_capacity(8);
    let mut harvest = || {
        kernel.wait(&queue, &mut batch, Timeout::Zero).unwrap();
        let events = (0..batch.len()).map(|place| batch.get(place));
        events.map(|event| event.bits).collect::<Vec<_>>()
    };
    assert_eq!(harvest(), [Bits::OUT; 3], "both sockets and the end to write to");
    assert_eq!(harvest(), [Bits::OUT; 3], "once more, and nothing of the end to read from");
    assert_eq!(harvest(), [Bits(0); 0]);
}
