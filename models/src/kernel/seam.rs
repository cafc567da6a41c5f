//! The simulated kernel as the poller sees it.
//!
//! [`SimFd`] owns a number and reaches its object without the table. It is closed by
//! [`Kernel::close`] or when it is dropped; a number that is not its own any more by then, or
//! not open, was closed twice, and that is a panic that says so. So is a call on a descriptor
//! whose number was closed: on Linux it would reach whoever has the number now (Go #7970). A
//! drop in a thread that panics already closes nothing: the engine may be gone, and the
//! execution has failed anyway.
//!
//! Sockets of UDP are the one kind that cannot be made here.
//!
//! A call that takes locks in here is sealed ([`sealed`]): a thread knows what it returned, and not
//! what the kernel looked like meanwhile.
//!
//! [`SimQueue`] is an event queue and an eventfd that is registered in it, level-triggered, as
//! the break: two numbers, as on Linux. Descriptors are registered once, edge-triggered.

use super::description::{Description, mask};
use super::epoll::Key;
use super::errno::{Errno, Result};
use super::table::Opened;
use super::{Report, SimKernel};
use crate::engine::sealed;
use core::sync::atomic::{AtomicBool, Ordering};
use netpoller::seam::{
    Address, Arc, Batch, Event, HowToShut, Kernel, Kind, Mutex, Primitives, RegisterFault,
    SetChange, Taking, Timeout,
};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::hash::Hash;
use std::io::{self, IoSlice, IoSliceMut};

/// What a descriptor is registered for.
const BOTH_DIRECTIONS: u32 = mask::IN | mask::PRI | mask::OUT | mask::RDHUP | mask::ET;
/// The conditions that the poller is told of: Linux reports no more for the mask above.
const TOLD: u32 = mask::IN | mask::PRI | mask::OUT | mask::ERR | mask::HUP | mask::RDHUP;

/// An open number of a simulated kernel.
pub struct SimFd<P: Primitives> {
    number: i32,
    description: Arc<Description<P>>,
    kernel: SimKernel<P>,
    /// An oracle and no step of the program: it is a function of what the closing thread did.
    closed: AtomicBool,
}

impl<P: Primitives> SimFd<P> {
    fn new(kernel: &SimKernel<P>, (number, description): Opened<P>) -> SimFd<P> {
        SimFd { number, description, kernel: kernel.clone(), closed: AtomicBool::new(false) }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> i32 {
        self.number
    }

    /// How many bytes could be read. Not a step of the program.
    #[must_use]
    pub fn peek_buffered(&self) -> usize {
        self.description.peek_buffered()
    }

    /// Whether its number is open. Not a step of the program.
    #[must_use]
    pub fn peek_is_open(&self) -> bool {
        self.kernel.core.table.peek(|table| {
            table.get(self.number).is_ok_and(|open| Arc::ptr_eq(&open, &self.description))
        })
    }

    /// What it names.
    ///
    /// # Panics
    ///
    /// When its number was closed.
    fn open(&self) -> &Arc<Description<P>> {
        let number = self.number;
        assert!(
            !self.closed.load(Ordering::Relaxed),
            "the number {number} was used after it was closed: it may be somebody else's by now"
        );
        &self.description
    }

    /// A call on what it names, which nobody may close meanwhile either. What it leaves in a buffer is a part
    /// of what it returns.
    fn during<T: Hash>(&self, call: impl FnOnce(&Description<P>) -> T) -> T {
        let result = sealed(|| call(self.open()));
        self.open();
        result
    }

    /// A call that fills a buffer.
    fn filling(
        &self,
        buffer: &mut [u8],
        call: impl FnOnce(&Description<P>, &mut [u8]) -> Result<usize>,
    ) -> Result<usize> {
        let filled = |description: &Description<P>| {
            let count = call(description, buffer)?;
            Ok((count, buffer.to_vec()))
        };
        Ok(self.during(filled)?.0)
    }

    fn give_back(&self) {
        sealed(|| self.close());
    }

    fn close(&self) {
        let number = self.number;
        let first = !self.closed.swap(true, Ordering::Relaxed);
        assert!(first, "the number {number} was closed twice");
        let result = self.kernel.core.table.lock().close(self.number);
        let (description, last) =
            result.unwrap_or_else(|_| panic!("the number {number} was closed twice"));
        assert!(
            Arc::ptr_eq(&description, &self.description),
            "the number {number} was closed twice: the second time it named something else"
        );
        if last {
            self.kernel.release(&description);
        }
    }
}

impl<P: Primitives> Drop for SimFd<P> {
    fn drop(&mut self) {
        if !*self.closed.get_mut() && !std::thread::panicking() {
            self.give_back();
        }
    }
}

impl<P: Primitives> core::fmt::Debug for SimFd<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "number {}", self.number)
    }
}

/// An event queue of a simulated kernel, with its break.
#[derive(Debug)]
pub struct SimQueue<P: Primitives> {
    epoll: SimFd<P>,
    eventfd: SimFd<P>,
}

impl<P: Primitives> SimQueue<P> {
    /// Whether a break token is there. Not a step of the program.
    #[must_use]
    pub fn peek_break_token(&self) -> bool {
        self.eventfd.peek_buffered() > 0
    }

    /// The numbers that are registered, and under which tokens; without the break. Not a step of
    /// the program.
    #[must_use]
    pub fn peek_registered(&self) -> Vec<(i32, Token)> {
        let items = self.epoll.description.epoll().map(|epoll| epoll.peek_items());
        let items = items.unwrap_or_default().into_iter();
        let tokens = items.map(|(key, data, _)| (key.number, Token::from_bits(data)));
        tokens.filter(|(_, token)| *token != Token::BREAK).collect()
    }

    /// The tokens that are queued for the next harvest. Not a step of the program.
    #[must_use]
    pub fn peek_ready(&self) -> Vec<Token> {
        let ready = self.epoll.description.epoll().map(|epoll| epoll.peek_ready());
        ready.unwrap_or_default().into_iter().map(Token::from_bits).collect()
    }

    /// How many threads sleep in a wait. Not a step of the program.
    #[must_use]
    pub fn peek_waiters(&self) -> usize {
        self.epoll.description.epoll().map_or(0, |epoll| epoll.peek_waiters())
    }
}

/// A buffer of harvested events.
#[derive(Debug)]
pub struct SimBatch {
    capacity: usize,
    events: Vec<Event>,
}

impl SimBatch {
    pub(super) fn clear(&mut self) {
        self.events.clear();
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }
}

impl Batch for SimBatch {
    fn with_capacity(events: usize) -> SimBatch {
        assert!(events > 0, "a buffer for no events: the kernel refuses to fill it");
        SimBatch { capacity: events, events: Vec::new() }
    }

    fn len(&self) -> usize {
        self.events.len()
    }

    fn get(&self, place: usize) -> Event {
        self.events[place]
    }
}

fn event(report: Report) -> Event {
    Event { token: Token::from_bits(report.data), bits: Bits(report.bits & TOLD) }
}

/// The error of a call whose objects are not simulated.
pub(super) fn unsupported(call: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("{call} is not simulated"))
}

impl<P: Primitives> SimKernel<P> {
    /// Sends the last of these bytes as urgent data, and the others before it: on TCP only.
    ///
    /// # Errors
    ///
    /// Those of a write; `EOPNOTSUPP` where there is no urgent data.
    pub fn send_urgent(&self, fd: &SimFd<P>, bytes: &[u8]) -> io::Result<usize> {
        Ok(fd.during(|description| description.send_urgent(bytes))?)
    }

    /// An empty regular file: it can be read and written, and not be registered.
    ///
    /// # Errors
    ///
    /// `EMFILE` when no number is free.
    pub fn regular_file(&self) -> io::Result<SimFd<P>> {
        Ok(SimFd::new(self, self.open_regular()?))
    }

    fn two(&self, opened: Result<[Opened<P>; 2]>) -> io::Result<(SimFd<P>, SimFd<P>)> {
        let [first, second] = opened?;
        Ok((SimFd::new(self, first), SimFd::new(self, second)))
    }
}

impl<P: Primitives> Kernel for SimKernel<P> {
    type Fd = SimFd<P>;
    type Queue = SimQueue<P>;
    type Batch = SimBatch;

    fn pipe(&self) -> io::Result<(SimFd<P>, SimFd<P>)> {
        self.two(self.open_pipe())
    }

    fn socket_pair(&self, kind: Kind) -> io::Result<(SimFd<P>, SimFd<P>)> {
        self.two(self.open_pair(kind))
    }

    fn socket(&self, address: &Address, kind: Kind) -> io::Result<SimFd<P>> {
        match self.open_socket(address, kind) {
            Err(Errno::EPROTONOSUPPORT) => Err(unsupported("a socket of UDP")),
            opened => Ok(SimFd::new(self, opened?)),
        }
    }

    fn bind(&self, fd: &SimFd<P>, address: &Address) -> io::Result<()> {
        Ok(self.bind_to(fd.open(), address)?)
    }

    fn listen(&self, fd: &SimFd<P>, backlog: u32) -> io::Result<()> {
        Ok(self.listen_on(fd.open(), backlog)?)
    }

    fn connect(&self, fd: &SimFd<P>, address: &Address) -> io::Result<()> {
        Ok(sealed(|| self.connect_to(fd.open(), address))?)
    }

    fn accept(&self, fd: &SimFd<P>) -> io::Result<(SimFd<P>, Address)> {
        let accepted = SimFd::new(self, self.accept_from(fd.open())?);
        let peer = accepted.description.peer_address().unwrap_or(Address::Unnamed);
        Ok((accepted, peer))
    }

    fn take_error(&self, fd: &SimFd<P>) -> io::Result<Option<io::Error>> {
        Ok(fd.open().take_error()?.map(io::Error::from))
    }

    fn local_address(&self, fd: &SimFd<P>) -> io::Result<Address> {
        Ok(fd.open().local_address()?)
    }

    fn peer_address(&self, fd: &SimFd<P>) -> io::Result<Address> {
        Ok(fd.open().peer_address()?)
    }

    fn shutdown(&self, fd: &SimFd<P>, how: HowToShut) -> io::Result<()> {
        Ok(sealed(|| fd.open().shutdown(how))?)
    }

    fn read(&self, fd: &SimFd<P>, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.read_limit(buffer.len());
        Ok(fd.filling(&mut buffer[..most], |description, buffer| description.read(buffer))?)
    }

    fn write(&self, fd: &SimFd<P>, bytes: &[u8]) -> io::Result<usize> {
        let most = self.write_limit(bytes.len());
        Ok(fd.during(|description| description.write(&bytes[..most]))?)
    }

    fn read_vectored(&self, fd: &SimFd<P>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let most = self.read_limit(buffers.iter().map(|buffer| buffer.len()).sum());
        let mut all = vec![0; most];
        let count = fd.filling(&mut all, |description, all| description.read(all))?;
        let mut rest = &all[..count];
        for buffer in buffers {
            let (this, others) = rest.split_at(rest.len().min(buffer.len()));
            buffer[..this.len()].copy_from_slice(this);
            rest = others;
        }
        Ok(count)
    }

    fn write_vectored(&self, fd: &SimFd<P>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let all: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let most = self.write_limit(all.len());
        Ok(fd.during(|description| description.write(&all[..most]))?)
    }

    fn peek(&self, fd: &SimFd<P>, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(fd.filling(buffer, |description, buffer| description.peek_bytes(buffer))?)
    }

    fn receive(&self, fd: &SimFd<P>, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(fd.filling(buffer, |description, buffer| description.receive(buffer))?)
    }

    fn receive_from(
        &self,
        fd: &SimFd<P>,
        buffer: &mut [u8],
        taking: Taking,
    ) -> io::Result<(usize, Address)> {
        let look = taking == Taking::ALook;
        let received = fd.during(|description| {
            let (count, sender) = description.receive_from(buffer, look)?;
            Ok::<_, Errno>((count, sender, buffer.to_vec()))
        });
        let (count, sender, _) = received?;
        Ok((count, sender))
    }

    fn send_to(&self, fd: &SimFd<P>, bytes: &[u8], to: &Address) -> io::Result<usize> {
        Ok(fd.during(|description| self.send_by_name(description, to, bytes))?)
    }

    fn is_ready(&self, fd: &SimFd<P>, mode: Mode) -> io::Result<bool> {
        let wanted = match mode {
            Mode::Read => mask::IN,
            Mode::Write => mask::OUT,
        };
        let bits = fd.during(|description| description.poll());
        Ok(bits & (wanted | mask::ERR | mask::HUP) != 0)
    }

    fn is_plain_tcp(&self, fd: &SimFd<P>) -> bool {
        // A plan that cuts reads short does what TCP does not.
        fd.open().is_tcp() && !self.cuts_reads()
    }

    fn set_reuse_address(&self, fd: &SimFd<P>, _on: bool) -> io::Result<()> {
        // A name is free here as soon as its socket is closed: there is nothing to reuse.
        if fd.open().is_socket() { Ok(()) } else { Err(Errno::ENOTSOCK.into()) }
    }

    fn nodelay(&self, fd: &SimFd<P>) -> io::Result<bool> {
        Ok(fd.open().nodelay(None)?)
    }

    fn set_nodelay(&self, fd: &SimFd<P>, on: bool) -> io::Result<()> {
        fd.open().nodelay(Some(on))?;
        Ok(())
    }

    fn nonblocking(&self, fd: &SimFd<P>) -> io::Result<bool> {
        Ok(fd.open().nonblocking.load(Ordering::Relaxed))
    }

    fn set_nonblocking(&self, fd: &SimFd<P>, on: bool) -> io::Result<()> {
        fd.open().nonblocking.store(on, Ordering::Relaxed);
        Ok(())
    }

    fn dup(&self, fd: &SimFd<P>) -> io::Result<SimFd<P>> {
        self.may_have_number()?;
        let number = self.core.table.lock().dup(fd.open())?;
        Ok(SimFd::new(self, (number, Arc::clone(fd.open()))))
    }

    fn close(&self, fd: &SimFd<P>) -> io::Result<()> {
        fd.give_back();
        Ok(())
    }

    fn queue(&self) -> io::Result<SimQueue<P>> {
        let epoll = SimFd::new(self, self.open_epoll()?);
        let eventfd = SimFd::new(self, self.open_eventfd(0)?);
        let (number, description) = (eventfd.number, &eventfd.description);
        let queue = epoll.description.epoll()?;
        queue.add(number, description, mask::IN, Token::BREAK.bits())?;
        Ok(SimQueue { epoll, eventfd })
    }

    fn add(
        &self,
        queue: &SimQueue<P>,
        fd: &SimFd<P>,
        token: Token,
    ) -> std::result::Result<SetChange, RegisterFault> {
        let epoll = queue.epoll.description.epoll();
        let add = || {
            let epoll = epoll?;
            self.may_add()?;
            epoll.add(fd.number, fd.open(), BOTH_DIRECTIONS, token.bits())
        };
        match sealed(add) {
            Ok(()) => Ok(SetChange::InForce),
            Err(Errno::EPERM) => Err(RegisterFault::NotPollable(Errno::EPERM.into())),
            Err(error) => Err(RegisterFault::Failed(error.into())),
        }
    }

    fn remove(&self, queue: &SimQueue<P>, fd: &SimFd<P>) -> io::Result<SetChange> {
        let key = Key { number: fd.number, description: fd.open().serial };
        let epoll = queue.epoll.description.epoll()?;
        sealed(|| epoll.delete(key))?;
        Ok(SetChange::InForce)
    }

    fn arm(
        &self,
        _queue: &SimQueue<P>,
        _fd: &SimFd<P>,
        _token: Token,
        _mode: Mode,
    ) -> io::Result<SetChange> {
        // Registered once, edge-triggered: there is nothing to arm.
        Ok(SetChange::InForce)
    }

    fn wait(&self, queue: &SimQueue<P>, batch: &mut SimBatch, timeout: Timeout) -> io::Result<()> {
        batch.clear();
        let epoll = queue.epoll.description.epoll()?;
        let reports = sealed(|| self.wait_for(epoll, batch.capacity, timeout))?;
        for report in reports {
            batch.push(event(report));
        }
        Ok(())
    }

    fn post(&self, queue: &SimQueue<P>) -> io::Result<()> {
        match sealed(|| queue.eventfd.description.write(&1_u64.to_ne_bytes())) {
            // Where the counter is full there are tokens enough.
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn drain(&self, queue: &SimQueue<P>) -> io::Result<()> {
        match sealed(|| queue.eventfd.description.read(&mut [0; 8]).map(drop)) {
            // Where there is none another poller was quicker.
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl<P: Primitives> SimKernel<P> {
    /// Whether a number is open. Not a step of the program.
    #[must_use]
    pub fn peek_is_open(&self, number: i32) -> bool {
        self.core.table.peek(|table| table.get(number).is_ok())
    }
}
