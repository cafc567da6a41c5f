//! A pair of connected Unix sockets: of a stream, or of datagrams. A stream may also begin as one
//! socket, which listens, or connects and has its peer in the backlog of a listener from then on.
//!
//! What was sent and not yet read lies at the receiver, message by message, and counts against
//! the buffer of the *sender* until the whole message was read. So reading at one end makes
//! room at the other, and every time that it leaves the sender writable that is an edge for the
//! sender, whether it was ever blocked or not. A read that frees several messages wakes once
//! here; on Linux it wakes once for each, with no difference but duplicate reports.
//!
//! Both ends lie under one lock, because a close and a shutdown change both.
//!
//! # Datagrams
//!
//! The end of the peer is not announced: the first send after it is refused, which ends the
//! connection and drops what the peer had sent; later ones find no connection. A send that
//! fails this late has taken a buffer and gives it back, which is an edge of its own.

use super::backlog::Backlog;
use super::config::Config;
use super::description::{End, Object, Wakes, Watch, change, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{Address, Arc, HowToShut, Kind, Mutex, Primitives};
use std::collections::VecDeque;

/// The state of both sockets.
pub(super) struct Pair<P: Primitives> {
    config: Config,
    kind: Kind,
    serial: u64,
    state: State,
    backlog: Backlog<P::Mutex<Pair<P>>>,
    sockets: [Socket; 2],
}

impl<P: Primitives> core::fmt::Debug for Pair<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (self.kind, self.state, &self.backlog, &self.sockets).fmt(f)
    }
}

/// What has become of the first socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Alone,
    /// A call of connect is under way.
    Connecting,
    Listening,
    Connected,
}

/// One of them.
#[derive(Debug)]
struct Socket {
    open: bool,
    /// Whether it still has its peer. Streams keep theirs.
    connected: bool,
    /// No more reading.
    shut_read: bool,
    /// No more writing.
    shut_write: bool,
    /// The pending error.
    error: Option<Errno>,
    /// What the messages sent by this socket and not yet read count for.
    under_way: usize,
    /// What was sent to this socket.
    received: VecDeque<Message>,
    address: Option<Address>,
    watchers: Vec<Watch>,
}

#[derive(Debug, Hash)]
struct Message {
    bytes: Vec<u8>,
    read: usize,
    charge: usize,
}

impl Socket {
    fn new() -> Socket {
        Socket {
            open: true,
            connected: true,
            shut_read: false,
            shut_write: false,
            error: None,
            under_way: 0,
            received: VecDeque::new(),
            address: None,
            watchers: Vec::new(),
        }
    }

    fn digest(&self) -> u64 {
        let flags = (self.open, self.connected, self.shut_read, self.shut_write);
        let names = (&self.address, &self.watchers);
        digest(&(flags, self.error, self.under_way, &self.received, names))
    }

    fn writable(&self, config: &Config) -> bool {
        self.under_way * 4 <= config.socket_buffer
    }

    /// Room may have come about: an edge if it is enough.
    fn room(&self, config: &Config) -> Wakes {
        if self.writable(config) {
            Wakes::of(&self.watchers, key::SOCKET_OUT)
        } else {
            Wakes::none()
        }
    }
}

impl<P: Primitives> Pair<P> {
    /// Two that are connected.
    pub(super) fn create(config: &Config, kind: Kind) -> P::Mutex<Pair<P>> {
        Self::new(config, kind, 0, State::Connected)
    }

    /// One socket of a stream, which has no peer.
    pub(super) fn alone(config: &Config, serial: u64) -> P::Mutex<Pair<P>> {
        Self::new(config, Kind::Stream, serial, State::Alone)
    }

    fn new(config: &Config, kind: Kind, serial: u64, state: State) -> P::Mutex<Pair<P>> {
        let sockets = [Socket::new(), Socket::new()];
        let backlog = Backlog::new();
        let pair = Pair { config: *config, kind, serial, state, backlog, sockets };
        Mutex::new(pair, |pair| {
            let sockets = [pair.sockets[0].digest(), pair.sockets[1].digest()];
            let state = (pair.serial, pair.state, pair.backlog.state());
            Some(digest(&(pair.config, pair.kind, state, sockets)))
        })
    }

    pub(super) fn address(&self, end: End) -> Option<&Address> {
        self.sockets[end.index()].address.as_ref()
    }

    pub(super) fn set_address(&mut self, address: Address) {
        self.sockets[0].address = Some(address);
    }

    /// The address of the other end.
    pub(super) fn peer(&self, end: End) -> Result<Address> {
        if self.state != State::Connected || !self.sockets[end.index()].connected {
            return Err(Errno::ENOTCONN);
        }
        Ok(self.address(end.other()).cloned().unwrap_or(Address::Unnamed))
    }

    pub(super) fn listen(&mut self, _end: End, backlog: u32) -> Result<()> {
        if self.kind == Kind::Datagram {
            return Err(Errno::EOPNOTSUPP);
        }
        match self.state {
            State::Alone if self.sockets[0].address.is_some() => self.state = State::Listening,
            State::Listening => {}
            _ => return Err(Errno::EINVAL),
        }
        self.backlog.limit(backlog);
        Ok(())
    }

    pub(super) fn accept(&mut self, _end: End) -> Result<Arc<P::Mutex<Pair<P>>>> {
        match (self.kind, self.state) {
            (Kind::Datagram, _) => Err(Errno::EOPNOTSUPP),
            (_, State::Listening) => self.backlog.pop().ok_or(Errno::EAGAIN),
            _ => Err(Errno::EINVAL),
        }
    }

    /// A call of connect: from now on it cannot listen.
    pub(super) fn begin(&mut self, _end: End) -> Result<u64> {
        match self.state {
            State::Alone => self.state = State::Connecting,
            State::Connected => return Err(Errno::EISCONN),
            State::Connecting | State::Listening => return Err(Errno::EINVAL),
        }
        Ok(self.serial)
    }

    /// That call failed.
    pub(super) fn give_up(&mut self) {
        self.state = State::Alone;
    }

    /// That call succeeded, and whoever was connected to has this name.
    pub(super) fn establish(&mut self, peer: Option<Address>) {
        self.state = State::Connected;
        self.sockets[1].address = peer;
    }

    /// Whether there is room for a connection.
    pub(super) fn admits(&self) -> Result<()> {
        let me = &self.sockets[0];
        if self.state != State::Listening || !me.open || me.shut_read {
            Err(Errno::ECONNREFUSED)
        } else if self.backlog.is_full() {
            Err(Errno::EAGAIN)
        } else {
            Ok(())
        }
    }

    /// A connection was made.
    pub(super) fn admit(&mut self, client: u64, connection: Arc<P::Mutex<Pair<P>>>) -> Wakes {
        self.backlog.push(client, connection);
        Wakes::of(&self.sockets[0].watchers, key::SOCKET_IN)
    }

    /// Its listener is gone before anybody accepted it.
    pub(super) fn orphan(&mut self) -> Wakes {
        let wakes = self.release(End::Second);
        self.sockets[0].error = Some(Errno::ECONNRESET);
        wakes
    }

    /// The socket at this end and its peer.
    fn both(&mut self, end: End) -> (&mut Socket, &mut Socket) {
        let [first, second] = &mut self.sockets;
        match end {
            End::First => (first, second),
            End::Second => (second, first),
        }
    }

    pub(super) fn receive(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes) {
        match self.kind {
            Kind::Stream if buffer.is_empty() => (Ok(0), Wakes::none()),
            Kind::Stream => self.receive_stream(end, buffer),
            Kind::Datagram => self.receive_datagram(end, buffer),
        }
    }

    fn receive_stream(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes) {
        if self.state != State::Connected {
            return (Err(Errno::EINVAL), Wakes::none());
        }
        let config = self.config;
        let (me, peer) = self.both(end);
        let mut taken = 0;
        let mut freed = false;
        while taken < buffer.len() {
            let Some(message) = me.received.front_mut() else { break };
            let unread = &message.bytes[message.read..];
            let count = unread.len().min(buffer.len() - taken);
            buffer[taken..taken + count].copy_from_slice(&unread[..count]);
            taken += count;
            message.read += count;
            if message.read == message.bytes.len() {
                peer.under_way -= message.charge;
                me.received.pop_front();
                freed = true;
            }
        }
        let wakes = if freed { peer.room(&config) } else { Wakes::none() };
        if taken > 0 {
            return (Ok(taken), wakes);
        }
        // Data comes before the error, and the error before the end.
        let result = match me.error.take() {
            Some(error) => Err(error),
            None if me.shut_read => Ok(0),
            None => Err(Errno::EAGAIN),
        };
        (result, wakes)
    }

    /// Reads and leaves there what was read. Only an error that was pending is taken.
    pub(super) fn peek(&mut self, end: End, buffer: &mut [u8]) -> Result<usize> {
        let kind = self.kind;
        let (me, _peer) = self.both(end);
        let messages = match kind {
            Kind::Stream => me.received.len(),
            Kind::Datagram => 1,
        };
        let mut taken = 0;
        for message in me.received.iter().take(messages) {
            let unread = &message.bytes[message.read..];
            let count = unread.len().min(buffer.len() - taken);
            buffer[taken..taken + count].copy_from_slice(&unread[..count]);
            taken += count;
        }
        if taken > 0 || buffer.is_empty() || (kind == Kind::Datagram && !me.received.is_empty()) {
            return Ok(taken);
        }
        match (kind, me.error.take()) {
            (Kind::Stream, Some(error)) => Err(error),
            (Kind::Stream, None) if me.shut_read => Ok(0),
            _ => Err(Errno::EAGAIN),
        }
    }

    fn receive_datagram(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes) {
        let config = self.config;
        let (me, peer) = self.both(end);
        // There is no end of the stream here: a socket that was shut has nothing to read.
        let Some(message) = me.received.pop_front() else {
            return (Err(Errno::EAGAIN), Wakes::none());
        };
        let count = message.bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&message.bytes[..count]);
        peer.under_way -= message.charge;
        (Ok(count), peer.room(&config))
    }

    pub(super) fn send(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes) {
        match self.kind {
            Kind::Stream => self.send_stream(end, bytes),
            Kind::Datagram => self.send_datagram(end, bytes),
        }
    }

    fn send_stream(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes) {
        if self.state != State::Connected {
            return (Err(Errno::ENOTCONN), Wakes::none());
        }
        let config = self.config;
        let (me, peer) = self.both(end);
        if me.shut_write {
            return (Err(Errno::EPIPE), Wakes::none());
        }
        // A socket that was shut before it was connected did not tell its peer, which finds out
        // when it has a buffer already; giving that back is an edge.
        if peer.shut_read && !bytes.is_empty() && me.under_way < config.socket_buffer {
            return (Err(Errno::EPIPE), me.room(&config));
        }
        let mut sent = 0;
        for part in bytes.chunks(config.stream_message()) {
            if me.under_way >= config.socket_buffer {
                break;
            }
            let charge = config.charge_stream(part.len());
            me.under_way += charge;
            peer.received.push_back(Message { bytes: part.to_vec(), read: 0, charge });
            sent += part.len();
        }
        if sent == 0 && !bytes.is_empty() {
            return (Err(Errno::EAGAIN), Wakes::none());
        }
        let wakes =
            if sent > 0 { Wakes::of(&peer.watchers, key::SOCKET_IN) } else { Wakes::none() };
        (Ok(sent), wakes)
    }

    fn send_datagram(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes) {
        let config = self.config;
        let (me, peer) = self.both(end);
        if bytes.len() > config.datagram_message() {
            return (Err(Errno::EMSGSIZE), Wakes::none());
        }
        if me.shut_write {
            return (Err(Errno::EPIPE), Wakes::none());
        }
        if me.under_way >= config.socket_buffer {
            return (Err(Errno::EAGAIN), Wakes::none());
        }
        // From here on there is a buffer, and giving it back is an edge.
        if !me.connected {
            return (Err(Errno::ENOTCONN), me.room(&config));
        }
        if !peer.open {
            me.connected = false;
            me.received.clear();
            return (Err(Errno::ECONNREFUSED), me.room(&config));
        }
        if peer.shut_read {
            return (Err(Errno::EPIPE), me.room(&config));
        }
        let charge = config.charge_datagram(bytes.len());
        me.under_way += charge;
        peer.received.push_back(Message { bytes: bytes.to_vec(), read: 0, charge });
        (Ok(bytes.len()), Wakes::of(&peer.watchers, key::SOCKET_IN))
    }

    pub(super) fn shutdown(&mut self, end: End, how: HowToShut) -> (Result<()>, Wakes) {
        let has_peer = self.kind == Kind::Stream && self.state == State::Connected;
        let (me, peer) = self.both(end);
        let read = matches!(how, HowToShut::Read | HowToShut::Both);
        let write = matches!(how, HowToShut::Write | HowToShut::Both);
        me.shut_read |= read;
        me.shut_write |= write;
        let mut wakes = Wakes::of(&me.watchers, key::ANYTHING);
        if has_peer {
            peer.shut_read |= write;
            peer.shut_write |= read;
            wakes = wakes.and(&peer.watchers, key::ANYTHING);
        }
        (Ok(()), wakes)
    }

    pub(super) fn take_error(&mut self, end: End) -> Option<Errno> {
        self.both(end).0.error.take()
    }
}

impl<P: Primitives> Object for Pair<P> {
    fn bits(&mut self, end: End) -> u32 {
        let me = &self.sockets[end.index()];
        let mut bits = 0;
        if me.error.is_some() {
            bits |= mask::ERR;
        }
        if me.shut_read && me.shut_write {
            bits |= mask::HUP;
        }
        if me.shut_read {
            bits |= mask::RDHUP | mask::IN | mask::RDNORM;
        }
        if !me.received.is_empty() || !self.backlog.is_empty() {
            bits |= mask::IN | mask::RDNORM;
        }
        if self.state == State::Listening {
            return bits;
        }
        if self.state != State::Connected {
            bits |= mask::HUP;
        }
        if me.writable(&self.config) {
            bits |= mask::OUT | mask::WRNORM | mask::WRBAND;
        }
        bits
    }

    fn watchers(&mut self, end: End) -> &mut Vec<Watch> {
        &mut self.sockets[end.index()].watchers
    }

    fn release(&mut self, end: End) -> Wakes {
        let (config, kind) = (self.config, self.kind);
        let orphans = self.backlog.take();
        let connected = self.state == State::Connected;
        let (me, peer) = self.both(end);
        me.open = false;
        if !connected {
            // These lost their listener: their clients are told.
            return Wakes::none().then(orphans.into_iter().map(
                |orphan: Arc<P::Mutex<Pair<P>>>| {
                    move || change(orphan.as_ref(), |pair: &mut Pair<P>| ((), pair.orphan()))
                },
            ));
        }
        let unread: usize = me.received.drain(..).map(|message| message.charge).sum();
        peer.under_way -= unread;
        match kind {
            Kind::Stream => {
                (peer.shut_read, peer.shut_write) = (true, true);
                if unread > 0 {
                    peer.error = Some(Errno::ECONNRESET);
                }
                Wakes::of(&peer.watchers, key::ANYTHING)
            }
            Kind::Datagram if unread > 0 => peer.room(&config),
            Kind::Datagram => Wakes::none(),
        }
    }

    fn buffered(&self, end: End) -> usize {
        self.sockets[end.index()].received.iter().map(|m| m.bytes.len() - m.read).sum()
    }

    fn is_named(&self, end: End) -> bool {
        end == End::First && self.sockets[0].address.is_some()
    }
}
