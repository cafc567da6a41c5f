//! A TCP connection on the loopback, from the socket that will connect or listen to the last
//! close.
//!
//! Both ends lie under one lock. The first end is a socket that somebody made: it is closed, or
//! listens, or connects, and once it is connected the second end is there, which waits in the
//! backlog of a listener until it is accepted.
//!
//! # Settled
//!
//! Whatever is sent arrives at once, and so does every acknowledgement, end (FIN) and reset
//! (RST): the state after a call is the one in which Linux comes to rest. Only a SYN that found
//! the backlog full waits for its retransmission, by the virtual clock.
//!
//! What was sent and not yet read lies in one queue. Its front, as much as the receiver has room
//! for, has arrived; the rest lies at the sender, who is writable while that is at most two
//! thirds of its buffer. Room is an edge for a sender that was *blocked*, which means that a
//! send stopped short or that it was asked for its readiness while it had none: a peer that
//! reads wakes nobody else. An end that was shut for writing leaves after the last byte, and its
//! acknowledgement is an edge for whoever sent it.
//!
//! A reset takes both directions down and leaves an error: `ECONNREFUSED` while connecting,
//! `EPIPE` after the peer's end, else `ECONNRESET`. It is caused by closing with unread data, by
//! data for a socket that is closed, and by a listener that ends.
//!
//! # Urgent data
//!
//! The last byte of an urgent send does not lie in the queue: it is a *mark* there, after the byte before it. A
//! read that has taken something stops at the mark; one that begins there goes on behind it, and the
//! mark is gone. While it is there the socket reports PRI. A later mark takes the place of the first one. The
//! byte itself cannot be received, and its length counts for nothing.
//!
//! # Out of scope
//!
//! Urgent bytes themselves, lingering, keep-alive, simultaneous open, connections that time out.

use super::backlog::Backlog;
use super::config::Config;
use super::description::{End, Object, Wakes, Watch, change, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{Address, Arc, HowToShut, Mutex, Primitives};
use std::collections::VecDeque;

/// The state of a connection.
pub(super) struct Tcp<P: Primitives> {
    send_buffer: usize,
    receive_buffer: usize,
    serial: u64,
    /// Only the first end ever listens.
    backlog: Backlog<P::Mutex<Tcp<P>>>,
    ends: [Side; 2],
}

impl<P: Primitives> core::fmt::Debug for Tcp<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (self.serial, &self.backlog, &self.ends).fmt(f)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Never connected, or not any more.
    Closed,
    Listening,
    Connecting,
    Connected,
}

/// One end.
#[derive(Debug)]
struct Side {
    state: State,
    /// Whether a description has it, or the backlog.
    held: bool,
    /// Whether connect was called and did not report its result yet.
    connect_pending: bool,
    shut_read: bool,
    shut_write: bool,
    /// Its end has to be sent, after what lies before it.
    end_to_send: bool,
    /// The peer's end has arrived.
    end_arrived: bool,
    error: Option<Errno>,
    /// Whether it is to be told when there is room.
    blocked: bool,
    nodelay: bool,
    /// What was sent to it, arrived or not.
    incoming: VecDeque<u8>,
    /// How many of those bytes lie before the mark.
    mark: Option<usize>,
    address: Option<Address>,
    watchers: Vec<Watch>,
}

impl Side {
    fn new() -> Side {
        Side {
            state: State::Closed,
            held: false,
            connect_pending: false,
            shut_read: false,
            shut_write: false,
            end_to_send: false,
            end_arrived: false,
            error: None,
            blocked: false,
            nodelay: false,
            incoming: VecDeque::new(),
            mark: None,
            address: None,
            watchers: Vec::new(),
        }
    }

    fn digest(&self) -> u64 {
        let flags = [
            self.held,
            self.connect_pending,
            self.shut_read,
            self.shut_write,
            self.end_to_send,
            self.end_arrived,
            self.blocked,
            self.nodelay,
        ];
        let rest = (&self.incoming, &self.address, &self.watchers);
        match self.mark {
            None => digest(&(self.state, flags, self.error, rest)),
            Some(mark) => digest(&(self.state, flags, self.error, rest, mark)),
        }
    }

    fn anything(&self) -> Wakes {
        Wakes::of(&self.watchers, key::ANYTHING)
    }

    /// A reset has arrived.
    fn reset(&mut self) -> Wakes {
        self.error = Some(match self.state {
            State::Closed | State::Listening => return Wakes::none(),
            State::Connecting => Errno::ECONNREFUSED,
            State::Connected if self.end_arrived && !self.shut_write => Errno::EPIPE,
            State::Connected => Errno::ECONNRESET,
        });
        self.over();
        self.anything()
    }

    /// The connection is over in both directions.
    fn over(&mut self) {
        self.state = State::Closed;
        (self.shut_read, self.shut_write, self.end_to_send) = (true, true, false);
    }

    /// Back to where it came from, but for its name.
    fn disconnect(&mut self) {
        self.state = State::Closed;
        (self.shut_read, self.shut_write, self.connect_pending) = (false, false, false);
        (self.end_arrived, self.blocked) = (false, false);
    }
}

/// What a listener says to a new connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Room,
    Full,
    Refused,
}

impl<P: Primitives> Tcp<P> {
    pub(super) fn create(config: &Config, serial: u64) -> P::Mutex<Tcp<P>> {
        let mut ends = [Side::new(), Side::new()];
        ends[0].held = true;
        let tcp = Tcp {
            send_buffer: config.tcp_send_buffer,
            receive_buffer: config.tcp_receive_buffer,
            serial,
            backlog: Backlog::new(),
            ends,
        };
        Mutex::new(tcp, |tcp| {
            let sizes = (tcp.send_buffer, tcp.receive_buffer, tcp.serial);
            let ends = [tcp.ends[0].digest(), tcp.ends[1].digest()];
            Some(digest(&(sizes, tcp.backlog.state(), ends)))
        })
    }

    fn both(&mut self, end: End) -> (&mut Side, &mut Side) {
        let [first, second] = &mut self.ends;
        match end {
            End::First => (first, second),
            End::Second => (second, first),
        }
    }

    /// How much of what was sent to this end lies at the sender.
    fn unsent(&self, to: End) -> usize {
        self.ends[to.index()].incoming.len().saturating_sub(self.receive_buffer)
    }

    fn arrived(&self, end: End) -> usize {
        self.ends[end.index()].incoming.len().min(self.receive_buffer)
    }

    fn writable(&self, end: End) -> bool {
        self.unsent(end.other()) * 3 <= self.send_buffer * 2
    }

    /// Room at this end, if it waits for it.
    fn room(&mut self, end: End) -> Wakes {
        if self.ends[end.index()].blocked && self.writable(end) {
            let me = &mut self.ends[end.index()];
            me.blocked = false;
            Wakes::of(&me.watchers, key::SOCKET_OUT)
        } else {
            Wakes::none()
        }
    }

    /// Sends the end of this end's data, if it is due.
    fn end(&mut self, end: End) -> Wakes {
        if !self.ends[end.index()].end_to_send || self.unsent(end.other()) > 0 {
            return Wakes::none();
        }
        let (me, peer) = self.both(end);
        me.end_to_send = false;
        if peer.state != State::Connected {
            return Wakes::none();
        }
        (peer.end_arrived, peer.shut_read) = (true, true);
        let wakes = peer.anything().also(me.anything());
        if me.end_arrived {
            me.over();
            peer.over();
        }
        wakes
    }

    pub(super) fn receive(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes) {
        if buffer.is_empty() {
            return (Ok(0), Wakes::none());
        }
        let count = self.up_to_the_mark(end, buffer.len().min(self.arrived(end)));
        if count == 0 {
            return (self.receive_nothing(end), Wakes::none());
        }
        let before = self.unsent(end);
        let me = &mut self.ends[end.index()];
        // Behind a mark at the front, which is gone then.
        me.mark = me.mark.and_then(|mark| mark.checked_sub(count));
        for (place, byte) in buffer.iter_mut().zip(me.incoming.drain(..count)) {
            *place = byte;
        }
        let mut wakes = Wakes::none();
        if before > 0 {
            wakes = Wakes::of(&self.ends[end.index()].watchers, key::SOCKET_IN);
        }
        let wakes = wakes.also(self.room(end.other())).also(self.end(end.other()));
        (Ok(count), wakes)
    }

    /// How many of so many bytes one read takes.
    fn up_to_the_mark(&self, end: End, count: usize) -> usize {
        match self.ends[end.index()].mark {
            Some(mark) if mark > 0 => count.min(mark),
            _ => count,
        }
    }

    /// Sends bytes of which the last one is urgent, if there is room for all.
    pub(super) fn send_urgent(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes) {
        let Some((_urgent, before)) = bytes.split_last() else {
            return (Ok(0), Wakes::none());
        };
        let (sent, wakes) =
            if before.is_empty() { (Ok(0), Wakes::none()) } else { self.send(end, before) };
        let peer = &mut self.ends[end.other().index()];
        match sent {
            Ok(count) if count == before.len() && peer.state == State::Connected => {
                peer.mark = Some(peer.incoming.len());
                let news = Wakes::of(&peer.watchers, key::SOCKET_IN);
                (Ok(bytes.len()), wakes.also(news))
            }
            sent => (sent, wakes),
        }
    }

    /// Reads and leaves there what was read. Only an error that was pending is taken.
    pub(super) fn peek(&mut self, end: End, buffer: &mut [u8]) -> Result<usize> {
        let count = self.up_to_the_mark(end, buffer.len().min(self.arrived(end)));
        if count == 0 && !buffer.is_empty() {
            return self.receive_nothing(end);
        }
        for (place, byte) in buffer[..count].iter_mut().zip(&self.ends[end.index()].incoming) {
            *place = *byte;
        }
        Ok(count)
    }

    /// Whether small segments are sent at once: a setting, which changes nothing here.
    pub(super) fn nodelay(&mut self, end: End) -> &mut bool {
        &mut self.ends[end.index()].nodelay
    }

    fn receive_nothing(&mut self, end: End) -> Result<usize> {
        let me = &mut self.ends[end.index()];
        if me.state == State::Listening {
            return Err(Errno::ENOTCONN);
        }
        // The end comes before the error, the error before a direction that was shut here.
        if me.end_arrived {
            return Ok(0);
        }
        match me.error.take() {
            Some(error) => Err(error),
            None if me.shut_read => Ok(0),
            None if me.state == State::Closed => Err(Errno::ENOTCONN),
            None => Err(Errno::EAGAIN),
        }
    }

    pub(super) fn send(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes) {
        let room = self.send_buffer.saturating_sub(self.unsent(end.other()));
        let before = self.arrived(end.other());
        let (me, peer) = self.both(end);
        if me.error.is_some() || me.shut_write || me.state != State::Connected {
            let error = match me.error.take() {
                Some(error) => error,
                None if me.state == State::Connecting => Errno::EAGAIN,
                None => Errno::EPIPE,
            };
            return (Err(error), Wakes::none());
        }
        let count = room.min(bytes.len());
        me.blocked |= count < bytes.len();
        if count == 0 {
            let result = if bytes.is_empty() { Ok(0) } else { Err(Errno::EAGAIN) };
            return (result, Wakes::none());
        }
        if !peer.held {
            // Nobody is there: what comes back is a reset.
            return (Ok(count), me.reset());
        }
        peer.incoming.extend(&bytes[..count]);
        let mut wakes = Wakes::none();
        if self.arrived(end.other()) > before {
            wakes = Wakes::of(&self.ends[end.other().index()].watchers, key::SOCKET_IN);
        }
        let wakes = wakes.also(self.room(end));
        (Ok(count), wakes)
    }

    pub(super) fn shutdown(&mut self, end: End, how: HowToShut) -> (Result<()>, Wakes) {
        let read = matches!(how, HowToShut::Read | HowToShut::Both);
        let write = matches!(how, HowToShut::Write | HowToShut::Both);
        let me = &mut self.ends[end.index()];
        match me.state {
            State::Listening => {
                if !read {
                    return (Ok(()), me.anything());
                }
                me.disconnect();
                let orphans = self.backlog.take();
                let wakes = self.ends[end.index()].anything();
                (Ok(()), orphaned::<P>(orphans, wakes))
            }
            State::Connecting => {
                me.disconnect();
                me.error = Some(Errno::ECONNRESET);
                (Ok(()), me.anything())
            }
            State::Closed => {
                me.shut_read |= read;
                me.shut_write |= write;
                (Err(Errno::ENOTCONN), me.anything())
            }
            State::Connected => {
                me.shut_read |= read;
                me.end_to_send |= write && !me.shut_write;
                me.shut_write |= write;
                let wakes = self.end(end);
                (Ok(()), self.ends[end.index()].anything().also(wakes))
            }
        }
    }

    /// The size of the send buffer, or else of the receive buffer. Both directions share them.
    pub(super) fn resize(&mut self, send: bool, size: usize) {
        *(if send { &mut self.send_buffer } else { &mut self.receive_buffer }) = size;
    }

    pub(super) fn take_error(&mut self, end: End) -> Option<Errno> {
        self.ends[end.index()].error.take()
    }

    pub(super) fn address(&self, end: End) -> Option<&Address> {
        self.ends[end.index()].address.as_ref()
    }

    /// The address of the other end.
    pub(super) fn peer(&self, end: End) -> Result<Address> {
        let connected = self.ends[end.index()].state == State::Connected;
        let peer = self.ends[end.other().index()].address.clone();
        peer.filter(|_| connected).ok_or(Errno::ENOTCONN)
    }

    pub(super) fn set_address(&mut self, address: Address) {
        self.ends[0].address = Some(address);
    }

    pub(super) fn listen(&mut self, end: End, backlog: u32) -> Result<()> {
        let me = &mut self.ends[end.index()];
        match me.state {
            State::Closed if !me.connect_pending => me.state = State::Listening,
            State::Listening => {}
            _ => return Err(Errno::EINVAL),
        }
        self.backlog.limit(backlog);
        Ok(())
    }

    pub(super) fn accept(&mut self, end: End) -> Result<Arc<P::Mutex<Tcp<P>>>> {
        if self.ends[end.index()].state != State::Listening {
            return Err(Errno::EINVAL);
        }
        self.backlog.pop().ok_or(Errno::EAGAIN)
    }

    /// Sends the first SYN; or says why not.
    pub(super) fn begin(&mut self, end: End) -> (Result<()>, Wakes) {
        let me = &mut self.ends[end.index()];
        let error = match me.state {
            State::Listening => Errno::EISCONN,
            State::Connecting => Errno::EALREADY,
            State::Connected if me.connect_pending => {
                me.connect_pending = false;
                return (Ok(()), Wakes::none());
            }
            State::Connected => Errno::EISCONN,
            State::Closed if me.connect_pending => {
                // The result of the last attempt is reported first.
                let error = me.error.take().unwrap_or(Errno::ECONNABORTED);
                me.disconnect();
                return (Err(error), Wakes::of(&me.watchers, mask::ERR));
            }
            State::Closed if end == End::Second || me.end_arrived => Errno::EISCONN,
            State::Closed => {
                (me.state, me.connect_pending) = (State::Connecting, true);
                (me.shut_read, me.shut_write) = (false, false);
                Errno::EINPROGRESS
            }
        };
        (Err(error), Wakes::none())
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.ends[0].state == State::Connecting
    }

    /// Nobody listens there.
    pub(super) fn refuse(&mut self) -> Wakes {
        if self.is_connecting() { self.ends[0].reset() } else { Wakes::none() }
    }

    /// The handshake is done.
    pub(super) fn establish(&mut self, local: Option<Address>) -> Wakes {
        let [client, server] = &mut self.ends;
        (client.state, server.state) = (State::Connected, State::Connected);
        (server.held, server.address) = (true, local);
        client.anything()
    }

    /// Whether there is room for a connection.
    pub(super) fn admits(&self) -> Admission {
        match self.ends[0].state {
            State::Listening if self.backlog.is_full() => Admission::Full,
            State::Listening => Admission::Room,
            _ => Admission::Refused,
        }
    }

    /// A connection was made.
    pub(super) fn admit(&mut self, client: u64, connection: Arc<P::Mutex<Tcp<P>>>) -> Wakes {
        self.backlog.push(client, connection);
        Wakes::of(&self.ends[0].watchers, key::SOCKET_IN)
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    /// Its listener is gone before anybody accepted it.
    pub(super) fn orphan(&mut self) -> Wakes {
        self.ends[1].held = false;
        self.ends[1].over();
        self.ends[0].reset()
    }
}

/// These connections lost their listener: the clients are told after the edges.
fn orphaned<P: Primitives>(connections: Vec<Arc<P::Mutex<Tcp<P>>>>, wakes: Wakes) -> Wakes {
    wakes.then(connections.into_iter().map(|connection| {
        move || change(connection.as_ref(), |tcp: &mut Tcp<P>| ((), tcp.orphan()))
    }))
}

impl<P: Primitives> Object for Tcp<P> {
    fn bits(&mut self, end: End) -> u32 {
        let (readable, writable) = (self.arrived(end) > 0, self.writable(end));
        let me = &mut self.ends[end.index()];
        let mut bits = if me.error.is_some() { mask::ERR } else { 0 };
        match me.state {
            State::Listening if self.backlog.is_empty() => return 0,
            State::Listening => return mask::IN | mask::RDNORM,
            State::Connecting => return bits,
            State::Closed | State::Connected => {}
        }
        if me.shut_read && me.shut_write || me.state == State::Closed {
            bits |= mask::HUP;
        }
        if me.shut_read {
            bits |= mask::IN | mask::RDNORM | mask::RDHUP;
        }
        if readable {
            bits |= mask::IN | mask::RDNORM;
        }
        if me.mark.is_some() {
            bits |= mask::PRI;
        }
        if me.shut_write || writable {
            bits |= mask::OUT | mask::WRNORM;
        } else {
            // Whoever is told that there is no room is told when there is.
            me.blocked = true;
        }
        bits
    }

    fn watchers(&mut self, end: End) -> &mut Vec<Watch> {
        &mut self.ends[end.index()].watchers
    }

    fn release(&mut self, end: End) -> Wakes {
        let unread = self.arrived(end) > 0;
        let receive_buffer = self.receive_buffer;
        let (me, peer) = self.both(end);
        me.held = false;
        match me.state {
            State::Listening => {
                me.state = State::Closed;
                let orphans = self.backlog.take();
                orphaned::<P>(orphans, Wakes::none())
            }
            State::Connected if unread => {
                // What had not arrived at the peer never does.
                peer.incoming.truncate(receive_buffer);
                me.over();
                peer.reset()
            }
            State::Connected => {
                me.shut_read = true;
                me.end_to_send |= !me.shut_write;
                me.shut_write = true;
                self.end(end)
            }
            State::Closed | State::Connecting => {
                me.state = State::Closed;
                Wakes::none()
            }
        }
    }

    fn buffered(&self, end: End) -> usize {
        self.arrived(end)
    }

    fn is_named(&self, end: End) -> bool {
        end == End::First && self.ends[0].address.is_some()
    }
}
