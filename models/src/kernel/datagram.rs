//! Unix datagram sockets that are made one by one, bound, connected and sent to by name.
//!
//! Each is an object of its own, under its own lock. A message lies at the receiver and counts
//! against the buffer of its sender until it is read, as in [`unix`](super::unix); besides, a
//! receiver takes no more than [`datagram_queue`](super::Config::datagram_queue) and one message
//! from senders that it is not connected to. A *connected* sender that finds the queue full is
//! not writable, waits at the receiver, and is woken by the next message that is read. One that
//! is not connected stays writable: its failed send gives a buffer back, which is an edge, and
//! nothing more happens when the queue drains.
//!
//! # Locks
//!
//! A message that is sent, or read, changes two sockets one after the other: the charge before
//! the delivery, the delivery before room is given back. No two are locked at once, because two
//! sockets may send to each other. So asking a connected socket whether it is writable takes its
//! lock and then its receiver's.

use super::config::Config;
use super::description::{End, Object, Wakes, Watch, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{Address, Arc, HowToShut, Mutex, Primitives};
use std::collections::VecDeque;

/// A socket under its lock.
pub(super) type Receiver<P> = Arc<<P as Primitives>::Mutex<Datagram<P>>>;
/// The same with its serial number.
type Shared<P> = (u64, Receiver<P>);

/// The state of a socket.
pub(super) struct Datagram<P: Primitives> {
    config: Config,
    serial: u64,
    open: bool,
    address: Option<Address>,
    peer: Option<Shared<P>>,
    shut_read: bool,
    shut_write: bool,
    /// The pending error.
    error: Option<Errno>,
    /// What its messages that are not read yet count for.
    under_way: usize,
    received: VecDeque<Message<P>>,
    /// Who is connected to it, found it full, and waits.
    waiting: Vec<Shared<P>>,
    watchers: Vec<Watch>,
}

struct Message<P: Primitives> {
    bytes: Vec<u8>,
    charge: usize,
    from: Shared<P>,
}

impl<P: Primitives> core::fmt::Debug for Datagram<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let received: Vec<_> = self.received.iter().map(|m| (&m.bytes, m.from.0)).collect();
        let peer = self.peer.as_ref().map(|(serial, _)| *serial);
        (self.serial, &self.address, peer, self.open, received, &self.watchers).fmt(f)
    }
}

impl<P: Primitives> Datagram<P> {
    pub(super) fn create(config: &Config, serial: u64) -> P::Mutex<Datagram<P>> {
        let socket = Datagram {
            config: *config,
            serial,
            open: true,
            address: None,
            peer: None,
            shut_read: false,
            shut_write: false,
            error: None,
            under_way: 0,
            received: VecDeque::new(),
            waiting: Vec::new(),
            watchers: Vec::new(),
        };
        Mutex::new(socket, |socket| {
            let name = |shared: &Shared<P>| shared.0;
            let received: Vec<_> =
                socket.received.iter().map(|m| (&m.bytes, m.charge, name(&m.from))).collect();
            let waiting: Vec<u64> = socket.waiting.iter().map(name).collect();
            let flags = (socket.open, socket.shut_read, socket.shut_write, socket.error);
            let flags = (flags, socket.under_way);
            let names = (socket.serial, &socket.address, socket.peer.as_ref().map(name));
            Some(digest(&(socket.config, names, flags, received, waiting, &socket.watchers)))
        })
    }

    /// Room may have come about: an edge if it is enough.
    fn room(&self) -> Wakes {
        if self.writable() { Wakes::of(&self.watchers, key::SOCKET_OUT) } else { Wakes::none() }
    }

    fn writable(&self) -> bool {
        self.under_way * 4 <= self.config.socket_buffer
    }

    fn is_full_for(&self, sender: u64) -> bool {
        let peer = self.peer.as_ref().map(|(serial, _)| *serial);
        let strange = peer != Some(sender) && self.serial != sender;
        strange && self.received.len() > self.config.datagram_queue
    }

    fn wait(&mut self, sender: &Shared<P>) {
        if !self.waiting.iter().any(|(serial, _)| *serial == sender.0) {
            self.waiting.push(sender.clone());
        }
    }

    /// Whether somebody else may send to it.
    fn takes_from(&self, sender: u64) -> bool {
        self.peer.as_ref().is_none_or(|(serial, _)| *serial == sender)
    }

    pub(super) fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }

    pub(super) fn set_address(&mut self, address: Address) {
        self.address = Some(address);
    }

    pub(super) fn peer(&self) -> Option<Arc<P::Mutex<Datagram<P>>>> {
        self.peer.as_ref().map(|(_, socket)| socket.clone())
    }

    pub(super) fn take_error(&mut self) -> Option<Errno> {
        self.error.take()
    }

    pub(super) fn shutdown(&mut self, how: HowToShut) -> Wakes {
        self.shut_read |= matches!(how, HowToShut::Read | HowToShut::Both);
        self.shut_write |= matches!(how, HowToShut::Write | HowToShut::Both);
        Wakes::of(&self.watchers, key::ANYTHING)
    }

    /// Takes a buffer for a message.
    fn charge(&mut self, bytes: usize) -> Result<usize> {
        if bytes > self.config.datagram_message() {
            return Err(Errno::EMSGSIZE);
        }
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.shut_write {
            return Err(Errno::EPIPE);
        }
        if self.under_way >= self.config.socket_buffer {
            return Err(Errno::EAGAIN);
        }
        let charge = self.config.charge_datagram(bytes);
        self.under_way += charge;
        Ok(charge)
    }

    /// Gives a buffer back.
    fn discharge(&mut self, charge: usize) -> Wakes {
        self.under_way -= charge;
        self.room()
    }

    fn take(&mut self, message: Message<P>, connected: bool) -> (Result<()>, Wakes) {
        let result = if !self.open {
            Err(Errno::ECONNREFUSED)
        } else if !self.takes_from(message.from.0) {
            Err(Errno::EPERM)
        } else if self.shut_read {
            Err(Errno::EPIPE)
        } else if self.is_full_for(message.from.0) {
            if connected {
                self.wait(&message.from);
            }
            Err(Errno::EAGAIN)
        } else {
            self.received.push_back(message);
            return (Ok(()), Wakes::of(&self.watchers, key::SOCKET_IN));
        };
        (result, Wakes::none())
    }
}

/// Sends to a socket that was named, or to the one that `sender` is connected to.
pub(super) fn send<P: Primitives>(
    sender: &Arc<P::Mutex<Datagram<P>>>,
    to: Option<Result<Receiver<P>>>,
    bytes: &[u8],
) -> Result<usize> {
    let (charge, serial, peer) = {
        let mut me = sender.lock();
        (me.charge(bytes.len())?, me.serial, me.peer())
    };
    // From here on there is a buffer, and giving it back is an edge.
    let receiver = to.unwrap_or_else(|| peer.clone().ok_or(Errno::ENOTCONN));
    let connected = match (&receiver, &peer) {
        (Ok(receiver), Some(peer)) => Arc::ptr_eq(receiver, peer),
        _ => false,
    };
    let result = receiver.and_then(|receiver| {
        let message = Message { bytes: bytes.to_vec(), charge, from: (serial, sender.clone()) };
        let (result, wakes) = receiver.lock().take(message, connected);
        wakes.deliver();
        result
    });
    if let Err(error) = result {
        if error == Errno::ECONNREFUSED && connected {
            sender.lock().peer = None;
            drop_unread::<P>(sender);
        }
        let wakes = sender.lock().discharge(charge);
        wakes.deliver();
    }
    result.map(|()| bytes.len())
}

/// Looks at the next message and leaves it there; says who sent it.
pub(super) fn peek<P: Primitives>(
    receiver: &P::Mutex<Datagram<P>>,
    buffer: &mut [u8],
) -> Result<(usize, Receiver<P>)> {
    let mut me = receiver.lock();
    // It is the look that takes the error, whether anything is there or not.
    if let Some(error) = me.error.take() {
        return Err(error);
    }
    let message = me.received.front().ok_or(Errno::EAGAIN)?;
    let count = message.bytes.len().min(buffer.len());
    buffer[..count].copy_from_slice(&message.bytes[..count]);
    Ok((count, message.from.1.clone()))
}

/// Receives one message; what does not fit is cut off. Says who sent it.
pub(super) fn receive<P: Primitives>(
    receiver: &P::Mutex<Datagram<P>>,
    buffer: &mut [u8],
) -> Result<(usize, Receiver<P>)> {
    let (message, waiting) = {
        let mut me = receiver.lock();
        if let Some(error) = me.error.take() {
            return Err(error);
        }
        let message = me.received.pop_front().ok_or(Errno::EAGAIN)?;
        (message, std::mem::take(&mut me.waiting))
    };
    let count = message.bytes.len().min(buffer.len());
    buffer[..count].copy_from_slice(&message.bytes[..count]);
    wake_waiting::<P>(waiting, key::SOCKET_OUT);
    let wakes = message.from.1.lock().discharge(message.charge);
    wakes.deliver();
    Ok((count, message.from.1))
}

fn wake_waiting<P: Primitives>(waiting: Vec<Shared<P>>, key: u32) {
    for (_, sender) in waiting {
        let wakes = Wakes::of(&sender.lock().watchers, key);
        wakes.deliver();
    }
}

/// What holds: for a connected socket, its receiver has a say.
pub(super) fn bits<P: Primitives>(socket: &Arc<P::Mutex<Datagram<P>>>) -> u32 {
    let (bits, serial, peer) = {
        let mut me = socket.lock();
        (me.bits(End::First), me.serial, me.peer())
    };
    if let Some(peer) = peer
        && bits & mask::OUT != 0
    {
        let mut peer = peer.lock();
        if peer.open && peer.is_full_for(serial) {
            peer.wait(&(serial, socket.clone()));
            return bits & !(mask::OUT | mask::WRNORM | mask::WRBAND);
        }
    }
    bits
}

/// Connects to a socket, which is no step at the other side.
pub(super) fn connect<P: Primitives>(
    socket: &P::Mutex<Datagram<P>>,
    to: &Arc<P::Mutex<Datagram<P>>>,
) -> Result<()> {
    let serial = socket.lock().serial;
    let name = {
        let to = to.lock();
        if !to.open {
            return Err(Errno::ECONNREFUSED);
        }
        if !to.takes_from(serial) {
            return Err(Errno::EPERM);
        }
        to.serial
    };
    let (old, wakes) = {
        let mut me = socket.lock();
        let old = me.peer.replace((name, to.clone()));
        // A socket that had a receiver does not wait for it any more, which is an edge, with
        // room or without.
        let watchers: &[Watch] = if old.is_some() { &me.watchers } else { &[] };
        let wakes = Wakes::of(watchers, key::SOCKET_OUT);
        (old, wakes)
    };
    if let Some((_, old)) = &old {
        old.lock().waiting.retain(|(waiting, _)| *waiting != serial);
    }
    wakes.deliver();
    if let Some((old_name, old)) = old
        && old_name != name
        && drop_unread::<P>(socket)
    {
        // Whoever is still connected to it hears of that.
        let wakes = {
            let mut old = old.lock();
            if old.open && old.peer.as_ref().is_some_and(|(peer, _)| *peer == serial) {
                old.error = Some(Errno::ECONNRESET);
                Wakes::of(&old.watchers, mask::ERR)
            } else {
                Wakes::none()
            }
        };
        wakes.deliver();
    }
    Ok(())
}

/// Drops what was not read, for the socket is not connected any more to whom it was; says
/// whether there was anything.
fn drop_unread<P: Primitives>(socket: &P::Mutex<Datagram<P>>) -> bool {
    let (received, waiting) = {
        let mut me = socket.lock();
        if me.received.is_empty() {
            return false;
        }
        (std::mem::take(&mut me.received), std::mem::take(&mut me.waiting))
    };
    for message in received {
        let wakes = message.from.1.lock().discharge(message.charge);
        wakes.deliver();
    }
    wake_waiting::<P>(waiting, key::ANYTHING);
    true
}

/// The last number is closed.
pub(super) fn release<P: Primitives>(socket: &P::Mutex<Datagram<P>>) {
    let (received, waiting) = {
        let mut me = socket.lock();
        (me.open, me.peer) = (false, None);
        (std::mem::take(&mut me.received), std::mem::take(&mut me.waiting))
    };
    wake_waiting::<P>(waiting, key::ANYTHING);
    for message in received {
        let wakes = message.from.1.lock().discharge(message.charge);
        wakes.deliver();
    }
}

impl<P: Primitives> Object for Datagram<P> {
    fn bits(&mut self, _end: End) -> u32 {
        let mut bits = if self.error.is_some() { mask::ERR } else { 0 };
        if self.shut_read && self.shut_write {
            bits |= mask::HUP;
        }
        if self.shut_read {
            bits |= mask::RDHUP | mask::IN | mask::RDNORM;
        }
        if !self.received.is_empty() {
            bits |= mask::IN | mask::RDNORM;
        }
        if self.writable() {
            bits |= mask::OUT | mask::WRNORM | mask::WRBAND;
        }
        bits
    }

    fn watchers(&mut self, _end: End) -> &mut Vec<Watch> {
        &mut self.watchers
    }

    /// What concerns others is the business of the function [`release`].
    fn release(&mut self, _end: End) -> Wakes {
        Wakes::none()
    }

    fn buffered(&self, _end: End) -> usize {
        self.received.iter().map(|message| message.bytes.len()).sum()
    }

    fn is_named(&self, _end: End) -> bool {
        self.address.is_some()
    }
}
