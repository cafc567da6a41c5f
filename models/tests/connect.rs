//! Connections on a kernel that reports too early, that aborts them, and that has no number left
//! for them: what whoever connects and accepts sees of it.

use netpoller::Reason;
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Address, Event, Instant, Kernel, Kind, SocketAddr, System};
use netpoller::source::Source;
use netpoller_models::engine::Threads;
use netpoller_models::kernel::{Config, Faults, SimKernel};
use netpoller_models::world::Model;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

type Simulated = Model<Threads, SimKernel<Threads>>;

/// When the kernel sends a SYN again that was dropped.
const RETRANSMISSION: Duration = Duration::from_secs(1);

fn poller(faults: Faults) -> Poller<Simulated> {
    let kernel = SimKernel::new(Config { faults, ..Config::linux() });
    Poller::on(Model::new(kernel), Shape::default()).expect("a poller")
}

fn poll_for(poller: &Poller<Simulated>, timeout: Duration) {
    let mut ready = Ready::new();
    poller.poll(&mut ready, Some(timeout)).expect("the queue is usable");
    ready.wake_all();
}

fn once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// A listener whose queue is full, its address, and the connection in the queue.
fn full(poller: &Poller<Simulated>) -> (Source<Simulated>, SocketAddr, Source<Simulated>) {
    let kernel = poller.system().kernel();
    let anywhere = Address::Inet(anywhere());
    let listener = kernel.socket(&anywhere, Kind::Stream).expect("a socket");
    kernel.bind(&listener, &anywhere).expect("a port");
    kernel.listen(&listener, 0).expect("bound");
    let first = kernel.socket(&anywhere, Kind::Stream).expect("a socket");
    let named = kernel.local_address(&listener).expect("bound");
    kernel.connect(&first, &named).expect_err("under way");
    kernel.peer_address(&first).expect("room for one");
    let Address::Inet(there) = named else { panic!("another family: {named:?}") };
    let [listener, first] = [listener, first].map(|fd| poller.register(fd).expect("registered"));
    // What registering has reported would end the first poll at once.
    poll_for(poller, Duration::ZERO);
    (listener, there, first)
}

/// An event of the descriptor on which somebody waits for room.
fn event_of_the_connect(poller: &Poller<Simulated>, bits: Bits) -> Event {
    let (entries, _flag) = poller.peek();
    let parked: Vec<_> =
        entries.iter().filter(|(_, entry)| entry.wakers[Mode::Write as usize]).collect();
    let [(index, entry)] = parked[..] else { panic!("one connect should be parked: {entries:?}") };
    Event { token: Token::entry(*index, entry.info.generation()), bits }
}

/// Follows Go's `net.TestTCPSpuriousConnSetupCompletion`: reports that come before the connection.
#[test]
fn go_14548_a_connect_that_is_woken_early_goes_on_waiting() {
    // NP-CONN-1, NP-EDGE-5
    let poller = poller(Faults::NONE);
    let (listener, there, _first) = full(&poller);
    let mut connect = pin!(TcpStream::async_connect_on(&poller, there));
    assert!(once(connect.as_mut()).is_pending(), "nobody answers");
    // What Linux says of a socket before its connection, and what it says of one that has it.
    for bits in [Bits::OUT.or(Bits::HUP), Bits::OUT, Bits::HUP] {
        poller.deliver(&[event_of_the_connect(&poller, bits)]);
        let polled = once(connect.as_mut());
        assert!(polled.is_pending(), "{bits:?} was taken for the connection: {polled:?}");
    }
    let listener = listener.into_fd().expect("open");
    poller.system().kernel().accept(&listener).expect("the first");
    while poller.now() < Instant::from_nanos(0).saturating_add(RETRANSMISSION) {
        poll_for(&poller, RETRANSMISSION);
    }
    let Poll::Ready(Ok(stream)) = once(connect.as_mut()) else { panic!("there is room now") };
    assert_eq!(stream.peer_addr().expect("connected"), there);
}

#[test]
fn a_connect_that_is_woken_early_still_has_its_deadline() {
    // NP-CONN-1, NP-TIME-5
    let poller = poller(Faults::NONE);
    let (_listener, there, _first) = full(&poller);
    let deadline = poller.now().saturating_add(RETRANSMISSION / 2);
    let mut connect = pin!(TcpStream::async_connect_by_on(&poller, there, Some(deadline)));
    assert!(once(connect.as_mut()).is_pending(), "nobody answers");
    poller.deliver(&[event_of_the_connect(&poller, Bits::OUT)]);
    assert!(once(connect.as_mut()).is_pending(), "an early edge was taken for the connection");
    poll_for(&poller, RETRANSMISSION);
    assert_eq!(poller.now(), deadline, "the poll slept until the deadline, and no longer");
    let Poll::Ready(Err(error)) = once(connect.as_mut()) else { panic!("the deadline has come") };
    assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{error}");
}

#[test]
fn a_connect_that_has_missed_its_deadline_or_was_dropped_asks_nobody_any_more() {
    // NP-FD-3
    let poller = poller(Faults::NONE);
    let (listener, there, _first) = full(&poller);
    let kernel = poller.system().kernel();
    let open = kernel.peek_open_numbers();
    {
        let deadline = poller.now().saturating_add(RETRANSMISSION / 2);
        let mut late = pin!(TcpStream::async_connect_by_on(&poller, there, Some(deadline)));
        let mut dropped = pin!(TcpStream::async_connect_on(&poller, there));
        assert!(once(late.as_mut()).is_pending() && once(dropped.as_mut()).is_pending());
        poll_for(&poller, RETRANSMISSION);
        let late = once(late.as_mut());
        assert!(matches!(late, Poll::Ready(Err(_))), "the deadline has come: {late:?}");
    }
    assert_eq!(kernel.peek_open_numbers(), open, "a socket was left open");
    let listener = listener.into_fd().expect("open");
    kernel.accept(&listener).expect("the first");
    poll_for(&poller, 4 * RETRANSMISSION);
    let next = kernel.accept(&listener).expect_err("nobody wants to connect any more");
    assert_eq!(next.kind(), ErrorKind::WouldBlock, "{next}");
}

/// A listener with connections in its queue that come one after the other.
fn listening(
    faults: Faults,
    clients: usize,
) -> (Poller<Simulated>, TcpListener<Simulated>, Vec<TcpStream<Simulated>>) {
    let poller = poller(faults);
    let listener = TcpListener::bind_on(&poller, anywhere()).expect("a port");
    let there = listener.local_addr().expect("bound");
    let connected = (0..clients).map(|_| {
        let mut connect = pin!(TcpStream::async_connect_on(&poller, there));
        loop {
            match once(connect.as_mut()) {
                Poll::Ready(result) => break result.expect("somebody listens"),
                Poll::Pending => poll_for(&poller, Duration::ZERO),
            }
        }
    });
    let clients = connected.collect();
    (poller, listener, clients)
}

/// Who was accepted; `None`: the accept waits.
fn accept(listener: &TcpListener<Simulated>) -> Option<io::Result<SocketAddr>> {
    match once(pin!(listener.async_accept())) {
        Poll::Ready(result) => Some(result.map(|(_stream, from)| from)),
        Poll::Pending => None,
    }
}

/// Follows Go's `net.TestAcceptIgnoreAbortedConnRequest`.
#[test]
fn go_6163_a_connection_that_was_aborted_is_passed_over() {
    // NP-CONN-5
    let (poller, listener, clients) =
        listening(Faults { abort_accept: Some(1), ..Faults::NONE }, 2);
    let accepted = accept(&listener).expect("the second one waits").expect("it was not aborted");
    assert_eq!(accepted, clients[1].local_addr().expect("connected"));
    // The only one, and it is aborted: nothing is left, and the accept waits for the next.
    let (_poller, listener, _clients) =
        listening(Faults { abort_accept: Some(1), ..Faults::NONE }, 1);
    assert!(accept(&listener).is_none(), "the abort of a stranger ended the accept");
    drop(poller);
}

#[test]
fn an_accept_without_a_free_number_says_so_and_loses_neither_connection_nor_edge() {
    // NP-CONN-6
    // The event queue and its break, the listener, the client; then the accept.
    let (poller, listener, clients) =
        listening(Faults { refuse_number: Some(5), ..Faults::NONE }, 1);
    poll_for(&poller, Duration::ZERO);
    let error = accept(&listener).expect("a full table is told").expect_err("a full table");
    assert_eq!(error.raw_os_error(), Some(24), "{error}");
    let accepted = accept(&listener).expect("no edge comes for it again").expect("it still waits");
    assert_eq!(accepted, clients[0].local_addr().expect("connected"));
}

/// A connection that is refused, by a kernel that says so when it is asked for the pending error:
/// a second connect(2) would have taken the answer.
#[test]
fn go_7474_connect_is_called_once() {
    // NP-CONN-2
    let poller = poller(Faults::NONE);
    let kernel = poller.system().kernel();
    let anywhere = Address::Inet(anywhere());
    let bound = kernel.socket(&anywhere, Kind::Stream).expect("a socket");
    kernel.bind(&bound, &anywhere).expect("a port");
    let Ok(Address::Inet(there)) = kernel.local_address(&bound) else { panic!("no address") };
    let mut connect = pin!(TcpStream::async_connect_on(&poller, there));
    let first = once(connect.as_mut());
    assert!(first.is_pending(), "the outcome is told by a report, and this came first: {first:?}");
    poll_for(&poller, Duration::ZERO);
    let Poll::Ready(Err(error)) = once(connect.as_mut()) else { panic!("nobody listens") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}
