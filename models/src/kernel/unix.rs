//! A pair of connected Unix sockets: of a stream, or of datagrams.
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

use super::config::Config;
use super::description::{End, Object, Wakes, Watch, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{HowToShut, Kind, Mutex, Primitives};
use std::collections::VecDeque;

/// The state of both sockets.
#[derive(Debug)]
pub(super) struct Pair<P: Primitives> {
    config: Config,
    kind: Kind,
    sockets: [Socket<P>; 2],
}

/// One of them.
#[derive(Debug)]
struct Socket<P: Primitives> {
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
    watchers: Vec<Watch<P>>,
}

#[derive(Debug, Hash)]
struct Message {
    bytes: Vec<u8>,
    read: usize,
    charge: usize,
}

impl<P: Primitives> Socket<P> {
    fn new() -> Socket<P> {
        Socket {
            open: true,
            connected: true,
            shut_read: false,
            shut_write: false,
            error: None,
            under_way: 0,
            received: VecDeque::new(),
            watchers: Vec::new(),
        }
    }

    fn digest(&self) -> u64 {
        let flags = (self.open, self.connected, self.shut_read, self.shut_write);
        digest(&(flags, self.error, self.under_way, &self.received, &self.watchers))
    }

    fn writable(&self, config: &Config) -> bool {
        self.under_way * 4 <= config.socket_buffer
    }

    /// Room may have come about: an edge if it is enough.
    fn room(&self, config: &Config) -> Wakes<P> {
        if self.writable(config) {
            Wakes::of(&self.watchers, key::SOCKET_OUT)
        } else {
            Wakes::none()
        }
    }
}

impl<P: Primitives> Pair<P> {
    pub(super) fn create(config: &Config, kind: Kind) -> P::Mutex<Pair<P>> {
        let pair = Pair { config: *config, kind, sockets: [Socket::new(), Socket::new()] };
        Mutex::new(pair, |pair| {
            let sockets = [pair.sockets[0].digest(), pair.sockets[1].digest()];
            Some(digest(&(pair.config, pair.kind, sockets)))
        })
    }

    /// The socket at this end and its peer.
    fn both(&mut self, end: End) -> (&mut Socket<P>, &mut Socket<P>) {
        let [first, second] = &mut self.sockets;
        match end {
            End::First => (first, second),
            End::Second => (second, first),
        }
    }

    pub(super) fn receive(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes<P>) {
        if buffer.is_empty() {
            return (Ok(0), Wakes::none());
        }
        match self.kind {
            Kind::Stream => self.receive_stream(end, buffer),
            Kind::Datagram => self.receive_datagram(end, buffer),
        }
    }

    fn receive_stream(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes<P>) {
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

    fn receive_datagram(&mut self, end: End, buffer: &mut [u8]) -> (Result<usize>, Wakes<P>) {
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

    pub(super) fn send(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes<P>) {
        match self.kind {
            Kind::Stream => self.send_stream(end, bytes),
            Kind::Datagram => self.send_datagram(end, bytes),
        }
    }

    fn send_stream(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes<P>) {
        let config = self.config;
        let (me, peer) = self.both(end);
        if me.shut_write {
            return (Err(Errno::EPIPE), Wakes::none());
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

    fn send_datagram(&mut self, end: End, bytes: &[u8]) -> (Result<usize>, Wakes<P>) {
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

    pub(super) fn shutdown(&mut self, end: End, how: HowToShut) -> (Result<()>, Wakes<P>) {
        let kind = self.kind;
        let (me, peer) = self.both(end);
        let read = matches!(how, HowToShut::Read | HowToShut::Both);
        let write = matches!(how, HowToShut::Write | HowToShut::Both);
        me.shut_read |= read;
        me.shut_write |= write;
        let mut wakes = Wakes::of(&me.watchers, key::ANYTHING);
        if kind == Kind::Stream {
            peer.shut_read |= write;
            peer.shut_write |= read;
            wakes = wakes.and(&peer.watchers, key::ANYTHING);
        }
        (Ok(()), wakes)
    }

    pub(super) fn take_error(&mut self, end: End) -> Option<Errno> {
        self.both(end).0.error.take()
    }

    pub(super) fn is_connected(&self, end: End) -> bool {
        self.sockets[end.index()].connected
    }
}

impl<P: Primitives> Object<P> for Pair<P> {
    fn bits(&self, end: End) -> u32 {
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
        if !me.received.is_empty() {
            bits |= mask::IN | mask::RDNORM;
        }
        if me.writable(&self.config) {
            bits |= mask::OUT | mask::WRNORM | mask::WRBAND;
        }
        bits
    }

    fn watchers(&mut self, end: End) -> &mut Vec<Watch<P>> {
        &mut self.sockets[end.index()].watchers
    }

    fn release(&mut self, end: End) -> Wakes<P> {
        let (config, kind) = (self.config, self.kind);
        let (me, peer) = self.both(end);
        me.open = false;
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
}
