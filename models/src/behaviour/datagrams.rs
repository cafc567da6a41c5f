//! Messages between Unix datagram sockets, by name and without. Messages are short and few: the smallest
//! kernel holds no others. UDP, which the simulated kernel does not have, is in `tests/real/udp.rs`.

use super::deadlines::{LATE, after, begin, distances, past};
use super::hand::{AT_ONCE, Task, done, failed, kind, pending, poll, refused, settle};
use super::host::Host;
use super::net::finish;
use netpoller::net::UnixDatagram;
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::Address;
use netpoller::{Mode, Reason};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

/// A name that nobody else in this process has.
fn name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: only the number counts.
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("\0netpoller-datagrams-{}-{next}", std::process::id())
}

fn bound<S: Host>(poller: &Poller<S>) -> (UnixDatagram<S>, String) {
    let name = name();
    let socket = UnixDatagram::bind_on(poller, &name).expect("a name");
    settle(poller);
    (socket, name)
}

fn unbound<S: Host>(poller: &Poller<S>) -> UnixDatagram<S> {
    let socket = UnixDatagram::unbound_on(poller).expect("a socket");
    settle(poller);
    socket
}

fn pair<S: Host>(poller: &Poller<S>) -> (UnixDatagram<S>, UnixDatagram<S>) {
    let ends = UnixDatagram::pair_on(poller).expect("a pair");
    settle(poller);
    ends
}

/// A task that receives one message.
fn receiving<S: Host>(socket: &UnixDatagram<S>) -> Task<'_, io::Result<Vec<u8>>> {
    Task::new(async {
        let mut buffer = [0; 8];
        let count = socket.async_recv(&mut buffer).await?;
        Ok(buffer[..count].to_vec())
    })
}

/// Sends until there is no room at the receiver; how many messages were sent.
fn fill<S: Host>(sender: &UnixDatagram<S>, name: &str) -> usize {
    (0..)
        .find(|_| match sender.try_send_to(b"f", name) {
            Ok(count) => count != 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                true
            }
        })
        .expect("a queue is finite")
}

pub(super) fn a_message_says_who_has_sent_it<S: Host>(poller: &Poller<S>) {
    let ((here, here_name), (there, there_name)) = (bound(poller), bound(poller));
    let nobody = unbound(poller);
    let mut buffer = [0; 8];
    let mut receive = Task::new(there.async_recv_from(&mut buffer));
    pending("a receive", receive.poll());
    assert_eq!(here.send_to(b"hi", &there_name).expect("room"), 2);
    assert_eq!(poll(poller), 1, "a message wakes who waits for it");
    let from = Address::Unix(here_name.clone().into());
    assert_eq!(done("the receive", receive.poll()), (2, from.clone()));
    drop(receive);
    assert_eq!(buffer[..2], *b"hi");
    assert_eq!(here.local_addr().expect("bound"), from);
    assert_eq!(kind(here.peer_addr()), ErrorKind::NotConnected);
    nobody.send_to(b"x", &there_name).expect("room");
    assert_eq!(there.recv_from(&mut buffer).expect("a message"), (1, Address::Unnamed));
    let (one, other) = pair(poller);
    one.send(b"y").expect("room");
    assert_eq!(other.recv_from(&mut buffer).expect("a message"), (1, Address::Unnamed));
}

pub(super) fn a_message_of_no_bytes_is_not_the_end<S: Host>(poller: &Poller<S>) {
    let (one, other) = pair(poller);
    let mut receive = receiving(&other);
    pending("a receive", receive.poll());
    assert_eq!(done("the send", Task::new(one.async_send(b"")).poll()), 0);
    assert_eq!((poll(poller), receive.wakes()), (1, 1), "a message of no bytes is one");
    assert_eq!(done("the receive", receive.poll()), b"");
    let mut next = receiving(&other);
    pending("the next receive: there is no end", next.poll());
    one.send(b"x").expect("room");
    assert_eq!(poll(poller), 1);
    assert_eq!(done("the next receive", next.poll()), b"x");
}

pub(super) fn an_empty_buffer_takes_a_message_out<S: Host>(poller: &Poller<S>) {
    let (one, other) = pair(poller);
    let mut empty = [];
    let mut receive = Task::new(other.async_recv(&mut empty));
    pending("a receive without room", receive.poll());
    one.send(b"xy").expect("room");
    assert_eq!(poll(poller), 1);
    assert_eq!(done("the receive", receive.poll()), 0);
    drop(receive);
    assert_eq!(kind(other.try_recv(&mut [0])), ErrorKind::WouldBlock, "the message stayed");
}

pub(super) fn what_does_not_fit_into_the_buffer_is_lost<S: Host>(poller: &Poller<S>) {
    let (one, other) = pair(poller);
    for message in [b"ab", b"cd"] {
        one.send(message).expect("room");
        let mut short = [0];
        assert_eq!(other.recv(&mut short).expect("a message"), 1);
        assert_eq!(short[0], message[0], "the rest of the message before was received");
    }
    assert_eq!(kind(other.try_recv(&mut [0])), ErrorKind::WouldBlock);
}

pub(super) fn a_message_that_was_looked_at_is_received_again<S: Host>(poller: &Poller<S>) {
    let ((here, here_name), (there, there_name)) = (bound(poller), bound(poller));
    let (mut ahead, mut buffer) = ([0; 1], [0; 8]);
    let mut look = Task::new(there.async_peek(&mut ahead));
    pending("a look", look.poll());
    here.send_to(b"ab", &there_name).expect("room");
    assert_eq!(poll(poller), 1, "a message wakes who looks for it");
    assert_eq!(done("the look", look.poll()), 1);
    drop(look);
    let from = Address::Unix(here_name.into());
    assert_eq!(there.peek_from(&mut ahead).expect("it is still there"), (1, from.clone()));
    assert_eq!(there.peek(&mut buffer).expect("it is still there"), 2, "a look has cut it off");
    let looked = Task::new(there.async_peek_from(&mut buffer)).poll();
    assert_eq!(done("a look", looked), (2, from.clone()));
    assert_eq!(there.recv_from(&mut buffer).expect("a message"), (2, from));
    assert_eq!(buffer[..2], *b"ab");
    assert_eq!(kind(there.try_recv_from(&mut buffer)), ErrorKind::WouldBlock);
}

pub(super) fn a_connected_sender_waits_for_room_at_its_receiver<S: Host>(poller: &Poller<S>) {
    let (receiver, name) = bound(poller);
    let (sender, other) = (unbound(poller), unbound(poller));
    sender.connect(&name).expect("somebody is there");
    assert_eq!(sender.peer_addr().expect("connected"), Address::Unix(name.clone().into()));
    let mut sent = fill(&other, &name);
    let mut send = Task::new(sender.async_send(b"x"));
    while send.poll().is_ready() {
        (sent, send) = (sent + 1, Task::new(sender.async_send(b"x")));
    }
    poll(poller); // what is left of the sends before
    pending("a send to a full receiver", send.poll());
    let before = send.wakes();
    assert_eq!(poll(poller), 0, "a full receiver was reported as room");
    for _ in 0..sent {
        receiver.recv(&mut [0]).expect("a message");
    }
    assert_eq!((poll(poller), send.wakes()), (1, before + 1), "room at the receiver is no edge");
    assert_eq!(done("the send", send.poll()), 1);
    assert_eq!(done("the message", receiving(&receiver).poll()), b"x");
}

/// How many pauses, of 1 millisecond and then twice as long each, up to 64, have begun by `since`.
fn pauses(since: Duration) -> usize {
    let mut begun = 0;
    let (mut at, mut pause) = (Duration::ZERO, Duration::from_millis(1));
    while at <= since {
        begun += 1;
        at += pause;
        pause = Duration::from_millis(64).min(pause * 2);
    }
    begun
}

pub(super) fn a_sender_by_name_tries_a_full_receiver_again_and_does_not_spin<S: Host>(
    poller: &Poller<S>,
) {
    let (receiver, name) = bound(poller);
    let sender = unbound(poller);
    let sent = fill(&sender, &name);
    assert_eq!(kind(sender.try_send_to(b"x", &name)), ErrorKind::WouldBlock);
    let begun = poller.now();
    let mut send = Task::new(sender.async_send_to(b"x", &name));
    pending("a send to a full receiver", send.poll());
    // A report for each refusal, and the end of each pause.
    let mut ready = Ready::new();
    let mut polls = 0;
    for _ in 0..20 {
        polls += 1;
        poller.poll(&mut ready, Some(Duration::from_millis(16))).expect("usable");
        ready.wake_all();
        pending("a send to a full receiver", send.poll());
    }
    let most = 2 * pauses(poller.now().since(begun)) + 1;
    assert!(send.wakes() <= most, "{} wakes in {polls} polls, at most {most}", send.wakes());
    let once_more = send.wakes();
    assert_eq!(poller.poll(&mut ready, AT_ONCE).expect("usable"), send.wakes() - once_more);
    for _ in 0..sent {
        receiver.recv(&mut [0]).expect("a message");
    }
    assert_eq!(finish(poller, &mut send).expect("there is room"), 1);
    assert_eq!(done("the message", receiving(&receiver).poll()), b"x");
}

pub(super) fn a_pause_ends_with_the_close_and_at_the_deadline<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (receiver, name) = bound(poller);
    let sender = unbound(poller);
    fill(&sender, &name);
    let mut late = Task::new(sender.async_send_to(b"x", &name));
    pending("a send to a full receiver", late.poll());
    sender.set_write_deadline(past(poller)).expect("open");
    assert!(late.wakes() > 0, "a deadline that has passed did not wake the pause");
    refused("the send", late.poll(), Reason::DeadlineExceeded);
    refused("a send", Poll::Ready(sender.send_to(b"x", &name)), Reason::DeadlineExceeded);
    for distance in distances::<S>() {
        let deadline = poller.now().saturating_add(distance);
        sender.set_write_deadline(Some(deadline)).expect("open");
        let mut send = Task::new(sender.async_send_to(b"x", &name));
        let waits = send.poll().is_pending();
        let result = if waits { finish(poller, &mut send) } else { Ok(0) };
        assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
        if waits {
            refused("the send", Poll::Ready(result), Reason::DeadlineExceeded);
            break;
        }
    }
    sender.set_write_deadline(after(poller, LATE)).expect("open");
    let mut closed = Task::new(sender.async_send_to(b"x", &name));
    pending("a send to a full receiver", closed.poll());
    sender.close().expect("the first close");
    assert!(closed.wakes() > 0, "the close did not wake the pause");
    refused("the send", closed.poll(), Reason::Closed);
    drop(receiver);
}

pub(super) fn a_send_that_is_dropped_in_its_pause_leaves_its_turn<S: Host>(poller: &Poller<S>) {
    let (receiver, name) = bound(poller);
    let sender = unbound(poller);
    let sent = fill(&sender, &name);
    let mut first = Task::new(sender.async_send_to(b"x", &name));
    pending("a send to a full receiver", first.poll());
    let mut second = Task::new(sender.async_send_to(b"y", &name));
    pending("a send behind it", second.poll());
    for _ in 0..sent {
        receiver.recv(&mut [0]).expect("a message");
    }
    drop(first);
    assert_eq!(second.wakes(), 1, "the turn was not handed on");
    assert_eq!(done("the send behind it", second.poll()), 1);
    assert_eq!(done("the message", receiving(&receiver).poll()), b"y");
    drop(sender.waiter(Mode::Write).expect("nobody has the right any more"));
}

pub(super) fn closing_a_datagram_socket_ends_its_receives<S: Host>(poller: &Poller<S>) {
    let (socket, name) = bound(poller);
    let mut receives = [receiving(&socket), receiving(&socket)];
    for receive in &mut receives {
        pending("a receive", receive.poll());
    }
    socket.close().expect("the first close");
    for receive in &mut receives {
        assert_eq!(receive.wakes(), 1);
        refused("a receive", receive.poll(), Reason::Closed);
    }
    refused("a late receive", Poll::Ready(socket.recv(&mut [0])), Reason::Closed);
    refused("a late send", Poll::Ready(socket.send_to(b"x", &name)), Reason::Closed);
    UnixDatagram::bind_on(poller, &name).expect("the name is free when the close has returned");
}

pub(super) fn a_receive_ends_at_its_deadline_and_not_before<S: Host>(poller: &Poller<S>) {
    begin(poller);
    let (one, other) = pair(poller);
    one.send(b"x").expect("room");
    other.set_read_deadline(past(poller)).expect("open");
    for _ in 0..2 {
        refused("a late receive", receiving(&other).poll(), Reason::DeadlineExceeded);
    }
    other.set_read_deadline(after(poller, LATE)).expect("open");
    assert_eq!(done("the receive in time", receiving(&other).poll()), b"x");
    for distance in distances::<S>() {
        let deadline = poller.now().saturating_add(distance);
        other.set_read_deadline(Some(deadline)).expect("open");
        let mut receive = receiving(&other);
        let first = receive.poll();
        let waits = first.is_pending();
        let result = match first {
            Poll::Pending => finish(poller, &mut receive),
            Poll::Ready(result) => result,
        };
        assert!(poller.now() >= deadline, "{:?} is before {deadline:?}", poller.now());
        refused("the receive", Poll::Ready(result), Reason::DeadlineExceeded);
        if waits {
            break;
        }
    }
}

pub(super) fn the_end_of_the_receiver_is_told_to_its_senders<S: Host>(poller: &Poller<S>) {
    let (receiver, name) = bound(poller);
    let (connected, stranger) = (unbound(poller), unbound(poller));
    connected.connect(&name).expect("somebody is there");
    drop(receiver);
    let error = failed("a send", Task::new(connected.async_send(b"x")).poll());
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    let error = failed("a send by name", Task::new(stranger.async_send_to(b"x", &name)).poll());
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    assert_eq!(kind(stranger.send(b"x")), ErrorKind::NotConnected);
}
