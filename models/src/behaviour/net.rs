//! Connections: made, refused, accepted, ended.

use super::deadlines::{LATE, SOON, after, begin, distances, pass, past};
use super::hand::{Task, done, failed, kernel, kind, pending, reading, refused};
use super::host::{Fd, Host};
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Address, HowToShut, Instant, Kernel, Kind, SocketAddr};
use netpoller::source::Source;
use netpoller::{Mode, Reason};
use std::io::{self, ErrorKind, Write};
use std::task::Poll;

/// Polls until the task is over.
pub(super) fn finish<S: Host, T>(poller: &Poller<S>, task: &mut Task<'_, T>) -> T {
    loop {
        match task.poll() {
            Poll::Ready(value) => return value,
            Poll::Pending => {
                let mut ready = Ready::new();
                poller.poll(&mut ready, None).expect("the queue is usable");
                ready.wake_all();
            }
        }
    }
}

fn listener<S: Host>(poller: &Poller<S>) -> TcpListener<S> {
    TcpListener::bind_on(poller, "127.0.0.1:0".parse().expect("an address")).expect("a port")
}

/// A listener whose queue is full, so that a connect to it waits for ever; with its address, and
/// with the connection that fills it.
fn full<S: Host>(poller: &Poller<S>) -> (Source<S>, SocketAddr, TcpStream<S>) {
    let anywhere = Address::Inet("127.0.0.1:0".parse().expect("an address"));
    let kernel = kernel(poller);
    let fd = kernel.socket(&anywhere, Kind::Stream).expect("a socket");
    kernel.bind(&fd, &anywhere).expect("a port");
    kernel.listen(&fd, 0).expect("bound");
    let Ok(Address::Inet(there)) = kernel.local_address(&fd) else { panic!("no address") };
    let listener = poller.register(fd).expect("registered");
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    let first = finish(poller, &mut connect).expect("room for one");
    drop(connect);
    // It is connected before it is queued.
    let mut queued = Task::new(async { listener.waiter(Mode::Read)?.ready().await });
    finish(poller, &mut queued).expect("a connection");
    drop(queued);
    (listener, there, first)
}

/// A listener, and both ends of a connection to it.
pub(super) fn connected<S: Host>(
    poller: &Poller<S>,
) -> (TcpListener<S>, TcpStream<S>, TcpStream<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    let client = finish(poller, &mut connect).expect("somebody listens");
    drop(connect);
    let mut accept = Task::new(listener.async_accept());
    let (server, from) = finish(poller, &mut accept).expect("a client");
    drop(accept);
    assert_eq!(from, client.local_addr().expect("connected"), "accepted from somebody else");
    (listener, client, server)
}

pub(super) fn both_ends_of_a_connection_know_their_addresses<S: Host>(poller: &Poller<S>) {
    let (listener, client, server) = connected(poller);
    let there = listener.local_addr().expect("bound");
    assert_eq!(client.peer_addr().expect("connected"), there);
    assert_eq!(server.local_addr().expect("connected"), there);
    assert_eq!(server.peer_addr().expect("connected"), client.local_addr().expect("connected"));
}

pub(super) fn a_connect_is_pending_until_a_poll_reports_it<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    pending("the connect", connect.poll());
    pending("the connect, polled for nothing", connect.poll());
    finish(poller, &mut connect).expect("somebody listens");
}

pub(super) fn a_connect_to_nobody_is_refused<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    listener.close().expect("the first close");
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    let error = finish(poller, &mut connect).expect_err("nobody listens any more");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}

pub(super) fn an_accept_waits_for_a_connection<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let mut accepts = [Task::new(listener.async_accept()), Task::new(listener.async_accept())];
    for accept in &mut accepts {
        pending("an accept", accept.poll());
    }
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    let client = finish(poller, &mut connect).expect("somebody listens");
    let [first, second] = &mut accepts;
    let (_server, from) = finish(poller, first).expect("a client");
    assert_eq!(from, client.local_addr().expect("connected"));
    assert_eq!(second.wakes(), 1, "the turn was not handed on");
    pending("the second accept", second.poll());
}

pub(super) fn closing_a_listener_ends_its_accepts<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let mut accepts = [Task::new(listener.async_accept()), Task::new(listener.async_accept())];
    for accept in &mut accepts {
        pending("an accept", accept.poll());
    }
    listener.close().expect("the first close");
    for accept in &mut accepts {
        assert_eq!(accept.wakes(), 1);
        refused("an accept", accept.poll(), Reason::Closed);
    }
    TcpListener::bind_on(poller, there).expect("the port is free when the close has returned");
}

pub(super) fn a_connection_that_is_shut_for_writing_still_reads<S: Host>(poller: &Poller<S>) {
    let (_listener, client, server) = connected(poller);
    client.shutdown(HowToShut::Write).expect("connected");
    assert_eq!(finish(poller, &mut reading(&server)).expect("the end"), b"");
    assert_eq!((&server).write(b"x").expect("room"), 1);
    assert_eq!(finish(poller, &mut reading(&client)).expect("the other direction"), b"x");
    let error = failed("a write", Poll::Ready((&client).write(b"y")));
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
}

pub(super) fn the_delay_of_small_pieces_is_set_and_read_back<S: Host>(poller: &Poller<S>) {
    let (_listener, client, _server) = connected(poller);
    assert!(!client.nodelay().expect("connected"), "pieces are collected unless asked for");
    for on in [true, false] {
        client.set_nodelay(on).expect("connected");
        assert_eq!(client.nodelay().expect("connected"), on);
    }
    client.close().expect("the first close");
    let set: io::Result<()> = client.set_nodelay(true);
    refused("an option", Poll::Ready(set), Reason::Closed);
    refused("the address", Poll::Ready(client.peer_addr()), Reason::Closed);
}

pub(super) fn the_end_of_a_connection_wakes_its_reader<S: Host>(poller: &Poller<S>) {
    let (_listener, client, server) = connected(poller);
    let mut read = reading(&client);
    pending("the read", read.poll());
    drop(server);
    assert_eq!(done("the read", Poll::Ready(finish(poller, &mut read))), b"");
}

pub(super) fn a_connect_fails_at_its_deadline_and_not_before<S: Host>(poller: &Poller<S>) {
    let (listener, there, _first) = full(poller);
    for _ in 0..3 {
        for distance in distances::<S>() {
            let deadline = poller.now().saturating_add(distance);
            let mut connect =
                Task::new(TcpStream::async_connect_by_on(poller, there, Some(deadline)));
            let first = connect.poll();
            let waits = first.is_pending();
            let result = match first {
                Poll::Pending => finish(poller, &mut connect),
                Poll::Ready(result) => result,
            };
            assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
            assert_eq!(connect.wakes(), usize::from(waits), "woken once, if it has waited");
            refused("the connect", Poll::Ready(result), Reason::DeadlineExceeded);
            if waits {
                break;
            }
        }
    }
    // The one that fills the queue was not harmed, and no other one has come.
    let listener = listener.into_fd().expect("open");
    kernel(poller).accept(&listener).expect("the first");
    assert_eq!(kind(kernel(poller).accept(&listener)), ErrorKind::WouldBlock);
}

pub(super) fn a_connect_whose_deadline_has_passed_is_not_begun<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    for late in [past(poller), Some(poller.now())] {
        let connect = TcpStream::connect_by_on(poller, there, late);
        refused("the blocking connect", Poll::Ready(connect), Reason::DeadlineExceeded);
        let mut connect = Task::new(TcpStream::async_connect_by_on(poller, there, late));
        refused("the connect", connect.poll(), Reason::DeadlineExceeded);
    }
    pending("an accept", Task::new(listener.async_accept()).poll());
}

pub(super) fn the_deadline_of_a_connect_is_not_that_of_the_connection<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let in_time = |distance| {
        let deadline = poller.now().saturating_add(distance);
        let mut connect = Task::new(TcpStream::async_connect_by_on(poller, there, Some(deadline)));
        match finish(poller, &mut connect) {
            Ok(client) => Some((client, deadline)),
            late => {
                assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
                refused("the connect", Poll::Ready(late), Reason::DeadlineExceeded);
                None
            }
        }
    };
    let (client, deadline) = distances::<S>().find_map(in_time).expect("there is no end of them");
    assert_eq!(Mode::BOTH.map(|mode| client.deadline(mode).expect("open")), [None, None]);
    pass(poller, deadline.since(poller.now()).saturating_add(SOON));
    assert_eq!((&client).write(b"x").expect("the deadline was that of the attempt"), 1);
}

pub(super) fn a_connect_with_the_last_instant_for_its_deadline_connects<S: Host>(
    poller: &Poller<S>,
) {
    begin(poller); // or there is nothing that could overflow
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let never = after(poller, std::time::Duration::MAX);
    assert_eq!(never, Some(Instant::from_nanos(u64::MAX)));
    let mut connect = Task::new(TcpStream::async_connect_by_on(poller, there, never));
    pending("the connect", connect.poll());
    assert_eq!(poller.peek_timers(), [], "it was entered into the queue");
    finish(poller, &mut connect).expect("somebody listens");
}

/// An address at which nobody listens. Nobody else gets its port while the socket is there.
fn nobody<S: Host>(poller: &Poller<S>) -> (Fd<S>, SocketAddr) {
    let anywhere = Address::Inet("127.0.0.1:0".parse().expect("an address"));
    let fd = kernel(poller).socket(&anywhere, Kind::Stream).expect("a socket");
    kernel(poller).bind(&fd, &anywhere).expect("a port");
    let Ok(Address::Inet(there)) = kernel(poller).local_address(&fd) else { panic!("no address") };
    (fd, there)
}

pub(super) fn several_addresses_are_tried_in_their_order<S: Host>(poller: &Poller<S>) {
    let ((_one, refuses), (_other, refuses_too)) = (nobody(poller), nobody(poller));
    let (first, second) = (listener(poller), listener(poller));
    let [there, behind] = [&first, &second].map(|listener| listener.local_addr().expect("bound"));
    let to = vec![refuses, there, behind];
    let mut connect = Task::new(TcpStream::async_connect_on(poller, to.clone()));
    let client = finish(poller, &mut connect).expect("the second address");
    assert_eq!(client.peer_addr().expect("connected"), there);
    let late = after(poller, LATE);
    let mut connect = Task::new(TcpStream::async_connect_by_on(poller, &to[..], late));
    let client = finish(poller, &mut connect).expect("the second address, with a deadline");
    assert_eq!(client.peer_addr().expect("connected"), there);
    assert_eq!(client.deadline(Mode::Write).expect("open"), None, "the deadline of the attempt");
    let mut nobody = Task::new(TcpStream::async_connect_on(poller, vec![refuses, refuses_too]));
    let error = finish(poller, &mut nobody).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    let none = TcpStream::connect_on(poller, Vec::new()).expect_err("there is no address");
    assert_eq!(none.kind(), ErrorKind::InvalidInput, "{none}");
    let mut third = Task::new(second.async_accept());
    pending("an accept behind the address that has answered", third.poll());
}

pub(super) fn several_addresses_have_one_deadline<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (_listener, silent, _first) = full(poller);
    for distance in distances::<S>() {
        let deadline = poller.now().saturating_add(distance);
        let to = vec![silent, silent, silent];
        let mut connect = Task::new(TcpStream::async_connect_by_on(poller, to, Some(deadline)));
        let first = connect.poll();
        let waits = first.is_pending();
        let result = match first {
            Poll::Pending => finish(poller, &mut connect),
            Poll::Ready(result) => result,
        };
        assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
        refused("the connect", Poll::Ready(result), Reason::DeadlineExceeded);
        if waits {
            break;
        }
    }
    let late = TcpStream::connect_by_on(poller, vec![silent, silent], past(poller));
    refused("a late connect", Poll::Ready(late), Reason::DeadlineExceeded);
}

pub(super) fn all_connections_come_in_until_the_close<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let mut incoming = listener.incoming();
    for _ in 0..3 {
        let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
        let client = finish(poller, &mut connect).expect("somebody listens");
        let next = finish(poller, &mut Task::new(incoming.async_next()));
        let (_server, from) = next.expect("it is open").expect("a client");
        assert_eq!(from, client.local_addr().expect("connected"));
    }
    listener.set_read_deadline(past(poller)).expect("open");
    for _ in 0..2 {
        let late = incoming.next().expect("it is open");
        refused("a late accept", Poll::Ready(late), Reason::DeadlineExceeded);
    }
    listener.set_read_deadline(None).expect("open");
    let mut next = Task::new(incoming.async_next());
    assert!(next.poll().is_pending(), "nobody connects");
    listener.close().expect("the first close");
    assert_eq!(next.wakes(), 1);
    assert!(matches!(next.poll(), Poll::Ready(None)), "it is closed");
    drop(next);
    assert!(incoming.next().is_none(), "an end is an end");
    assert_eq!(incoming.pauses(), 0);
}

pub(super) fn an_accept_ends_at_its_deadline_and_not_before<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    for distance in distances::<S>() {
        listener.set_read_deadline(None).expect("open");
        let mut accepts = [Task::new(listener.async_accept()), Task::new(listener.async_accept())];
        for accept in &mut accepts {
            pending("an accept", accept.poll());
        }
        let deadline = poller.now().saturating_add(distance);
        listener.set_read_deadline(Some(deadline)).expect("open");
        let waits = accepts[0].wakes() == 0; // it had not passed when it was set
        for accept in &mut accepts {
            let result = finish(poller, accept);
            assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
            assert_eq!(accept.wakes(), 1, "woken by the deadline, or by the accept before it");
            refused("an accept", Poll::Ready(result), Reason::DeadlineExceeded);
        }
        if waits {
            break;
        }
    }
    // Nobody has got a connection, and whoever has more time gets it.
    listener.set_read_deadline(after(poller, LATE)).expect("open");
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    let _client = finish(poller, &mut connect).expect("somebody listens");
    finish(poller, &mut Task::new(listener.async_accept())).expect("a client");
}

pub(super) fn an_accept_whose_deadline_has_passed_takes_no_connection<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let listener = listener(poller);
    let there = listener.local_addr().expect("bound");
    let mut connect = Task::new(TcpStream::async_connect_on(poller, there));
    let client = finish(poller, &mut connect).expect("somebody listens");
    listener.set_read_deadline(past(poller)).expect("open");
    refused("a late accept", Poll::Ready(listener.accept()), Reason::DeadlineExceeded);
    let mut late = Task::new(listener.async_accept());
    refused("a late accept", late.poll(), Reason::DeadlineExceeded);
    drop(late);
    listener.set_read_deadline(None).expect("open");
    let (_server, from) =
        finish(poller, &mut Task::new(listener.async_accept())).expect("a client");
    assert_eq!(from, client.local_addr().expect("connected"), "the connection was taken");
}

pub(super) fn an_accept_whose_deadline_was_cleared_goes_on<S: Host>(poller: &Poller<S>) {
    let listener = listener(poller);
    let mut accept = Task::new(listener.async_accept());
    pending("the accept", accept.poll());
    for distance in distances::<S>() {
        let deadline = poller.now().saturating_add(distance);
        listener.set_read_deadline(Some(deadline)).expect("open");
        let set_too_late = accept.wakes() > 0;
        let now = poller.now();
        assert!(!set_too_late || now >= deadline, "{now:?} is before {deadline:?}");
        listener.set_read_deadline(None).expect("open");
        pass(poller, deadline.since(poller.now()).saturating_add(SOON));
        if !set_too_late {
            break;
        }
        accept = Task::new(listener.async_accept());
        pending("the accept", accept.poll());
    }
    assert_eq!(accept.wakes(), 0, "a deadline that was cleared has woken it");
    pending("the accept", accept.poll());
    listener.close().expect("the first close");
    refused("the accept", accept.poll(), Reason::Closed);
}
