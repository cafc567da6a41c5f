//! Connections: made, refused, accepted, ended.

use super::hand::{Task, done, failed, pending, reading, refused};
use super::host::Host;
use netpoller::Reason;
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::HowToShut;
use std::io::{self, ErrorKind, Write};
use std::task::Poll;

/// Polls until the task is over.
fn finish<S: Host, T>(poller: &Poller<S>, task: &mut Task<'_, T>) -> T {
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

fn connected<S: Host>(poller: &Poller<S>) -> (TcpListener<S>, TcpStream<S>, TcpStream<S>) {
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
