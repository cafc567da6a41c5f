//! Connections, and the time that they take, on the simulated kernel.
//!
//! An accept loop in a process without a free number, on the simulated kernel: when it tries again, to the
//! nanosecond; and connections that are gone before they are accepted. On the real kernel: `tests/real/net.rs`.

use netpoller::Mode;
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Kernel, SocketAddr, System};
use netpoller_models::engine::Threads;
use netpoller_models::kernel::{Config, Faults, LevelKernel, SimKernel};
use netpoller_models::world::Model;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poller<S: System>(system: S) -> Poller<S> {
    Poller::on(system, Shape::default()).expect("a poller")
}

/// Polls until the future is over.
fn finish<S: System, T>(poller: &Poller<S>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        let mut ready = Ready::new();
        poller.poll(&mut ready, None).expect("usable");
        ready.wake_all();
    }
}

/// A listener with a client that waits to be accepted.
fn with_a_client<S: System>(poller: &Poller<S>) -> (TcpListener<S>, TcpStream<S>) {
    let listener = TcpListener::bind_on(poller, "127.0.0.1:0".parse().unwrap()).expect("a port");
    let there = listener.local_addr().expect("bound");
    let client = finish(poller, TcpStream::async_connect_on(poller, there)).expect("connected");
    (listener, client)
}

/// NP-CONN-7: 5 milliseconds, then twice as long each time, up to a second.
fn an_accept_loop_pauses<S: System>(system: S) {
    let poller = poller(system);
    let (listener, client) = with_a_client(&poller);
    let mut taken = Vec::new();
    while let Ok((reader, writer)) = poller.system().kernel().pipe() {
        taken.extend([reader, writer]);
    }
    taken.extend(poller.system().kernel().dup(&taken[0]));
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut incoming = listener.incoming();
    {
        let mut next = pin!(incoming.async_next());
        let mut poll_next = || next.as_mut().poll(&mut Context::from_waker(&waker));
        let mut expected = poller.now();
        let mut pause = Duration::from_millis(5);
        for attempt in 1..=12 {
            assert!(poll_next().is_pending(), "attempt {attempt}: accepted without a number");
            let mut ready = Ready::new();
            expected = expected.saturating_add(pause);
            while wakes.0.load(Ordering::Relaxed) < attempt {
                poller.poll(&mut ready, None).expect("usable");
                ready.wake_all();
            }
            assert_eq!(poller.now(), expected, "attempt {attempt}: the pause was another one");
            pause = Duration::from_secs(1).min(pause * 2);
        }
        assert_eq!(wakes.0.load(Ordering::Relaxed), 12, "woken beside the pauses");
        drop(taken.pop());
        let Poll::Ready(Some(Ok((server, from)))) = poll_next() else { panic!("not accepted") };
        assert_eq!(from, client.local_addr().expect("connected"));
        assert_eq!(server.try_write(b"x").expect("room"), 1);
    }
    assert_eq!(incoming.pauses(), 12);
    drop(listener.waiter(Mode::Read).expect("the loop has given its right back"));
}

#[test]
fn an_accept_loop_without_a_number_pauses_longer_and_longer_and_then_accepts() {
    let config = Config { numbers: 20, ..Config::small() };
    an_accept_loop_pauses(Model::<Threads, _>::new(SimKernel::<Threads>::new(config)));
    an_accept_loop_pauses(Model::<Threads, _>::new(LevelKernel::<Threads>::new(config)));
}

/// NP-CONN-5, Go #6163.
#[test]
fn an_accept_loop_passes_over_a_connection_that_is_gone() {
    let faults = Faults { abort_accept: Some(1), ..Faults::NONE };
    let config = Config { faults, ..Config::small() };
    let poller = poller(Model::<Threads, _>::new(SimKernel::<Threads>::new(config)));
    let (listener, _gone) = with_a_client(&poller);
    let there = listener.local_addr().expect("bound");
    let next = finish(&poller, TcpStream::async_connect_on(&poller, there)).expect("connected");
    let mut incoming = listener.incoming();
    let accepted = finish(&poller, incoming.async_next()).expect("it is open");
    let (_server, from) = accepted.expect("the next one");
    assert_eq!(from, next.local_addr().expect("connected"));
    assert_eq!(incoming.pauses(), 0);
}

/// Of two addresses the first of which does not answer, the second is tried while there is time for it.
#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    let poller = poller(Model::<Threads, _>::new(SimKernel::<Threads>::new(Config::small())));
    let (listener, _client) = with_a_client(&poller);
    let there = listener.local_addr().expect("bound");
    // Nobody answers outside of the loopback.
    let silent: SocketAddr = "192.0.2.1:80".parse().expect("an address");
    for (time, taken) in [(10, 5), (3, 2)] {
        let begun = poller.now();
        let seconds = |count| begun.saturating_add(Duration::from_secs(count));
        let deadline = Some(seconds(time));
        let connect = TcpStream::async_connect_by_on(&poller, vec![silent, there], deadline);
        let client = finish(&poller, connect).expect("the second address answers");
        assert_eq!(client.peer_addr().expect("connected"), there);
        assert_eq!(poller.now(), seconds(taken), "of {time} seconds");
    }
}
