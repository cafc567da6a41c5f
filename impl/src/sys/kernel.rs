//! The kernels of the poller: [`Epoll`], Linux with epoll, and [`PosixPoll`], any Unix with poll(2).
//!
//! A table of contents: each method of the seam's [`Kernel`] names the function of this module
//! that makes its system call. The calls on descriptors are the same for both; they differ in the
//! queue. Nothing is decided here but two facts about epoll: the kernel holds the set, so every
//! change of it is in force at once, and edges need no arming.

use super::{Descriptor, PosixPoll, datagram, fd, process, socket};
#[cfg(target_os = "linux")]
use super::{EventQueue, Harvest, epoll};
use crate::level;
use crate::seam::{
    Address, Group, HowToShut, Kernel, Kind, Os, RegisterFault, SetChange, SocketOption, Taking,
    Timeout,
};
#[cfg(target_os = "linux")]
use crate::seam::{Batch, Event};
use netpoller_spec::Mode;
use netpoller_spec::token::Token;
use std::io::{self, IoSlice, IoSliceMut};

/// The calls on descriptors, which concern no queue.
macro_rules! calls_on_descriptors {
    () => {
        fn pipe(&self) -> io::Result<(Descriptor, Descriptor)> {
            fd::pipe()
        }

        fn socket_pair(&self, kind: Kind) -> io::Result<(Descriptor, Descriptor)> {
            socket::pair(kind)
        }

        fn socket(&self, address: &Address, kind: Kind) -> io::Result<Descriptor> {
            socket::socket(address, kind)
        }

        fn bind(&self, fd: &Descriptor, address: &Address) -> io::Result<()> {
            socket::bind(fd, address)
        }

        fn listen(&self, fd: &Descriptor, backlog: u32) -> io::Result<()> {
            socket::listen(fd, backlog)
        }

        fn connect(&self, fd: &Descriptor, address: &Address) -> io::Result<()> {
            socket::connect(fd, address)
        }

        fn accept(&self, fd: &Descriptor) -> io::Result<(Descriptor, Address)> {
            socket::accept(fd)
        }

        #[cfg(target_os = "linux")]
        fn is_plain_tcp(&self, fd: &Descriptor) -> bool {
            socket::is_plain_tcp(fd)
        }

        fn take_error(&self, fd: &Descriptor) -> io::Result<Option<io::Error>> {
            socket::take_error(fd)
        }

        fn local_address(&self, fd: &Descriptor) -> io::Result<Address> {
            socket::local_address(fd)
        }

        fn peer_address(&self, fd: &Descriptor) -> io::Result<Address> {
            socket::peer_address(fd)
        }

        fn shutdown(&self, fd: &Descriptor, how: HowToShut) -> io::Result<()> {
            socket::shutdown(fd, how)
        }

        #[inline]
        fn read(&self, fd: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
            fd::read(fd, buffer)
        }

        #[inline]
        fn write(&self, fd: &Descriptor, bytes: &[u8]) -> io::Result<usize> {
            fd::write(fd, bytes)
        }

        fn read_vectored(
            &self,
            fd: &Descriptor,
            buffers: &mut [IoSliceMut<'_>],
        ) -> io::Result<usize> {
            fd::read_vectored(fd, buffers)
        }

        fn write_vectored(&self, fd: &Descriptor, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
            fd::write_vectored(fd, pieces)
        }

        fn peek(&self, fd: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
            socket::peek(fd, buffer)
        }

        fn receive(&self, fd: &Descriptor, buffer: &mut [u8]) -> io::Result<usize> {
            datagram::receive(fd, buffer)
        }

        fn receive_from(
            &self,
            fd: &Descriptor,
            buffer: &mut [u8],
            taking: Taking,
        ) -> io::Result<(usize, Address)> {
            datagram::receive_from(fd, buffer, taking)
        }

        fn send_to(&self, fd: &Descriptor, bytes: &[u8], to: &Address) -> io::Result<usize> {
            datagram::send_to(fd, bytes, to)
        }

        fn is_ready(&self, fd: &Descriptor, mode: Mode) -> io::Result<bool> {
            fd::is_ready(fd, mode)
        }

        fn option(&self, fd: &Descriptor, option: SocketOption) -> io::Result<u32> {
            socket::number_of(fd, option)
        }

        fn set_option(&self, fd: &Descriptor, option: SocketOption, value: u32) -> io::Result<()> {
            socket::set_number(fd, option, value)
        }

        fn set_member(&self, fd: &Descriptor, group: &Group, member: bool) -> io::Result<()> {
            datagram::set_member(fd, group, member)
        }

        fn set_reuse_address(&self, fd: &Descriptor, on: bool) -> io::Result<()> {
            socket::set_reuse_address(fd, on)
        }

        fn nodelay(&self, fd: &Descriptor) -> io::Result<bool> {
            socket::nodelay(fd)
        }

        fn set_nodelay(&self, fd: &Descriptor, on: bool) -> io::Result<()> {
            socket::set_nodelay(fd, on)
        }

        fn nonblocking(&self, fd: &Descriptor) -> io::Result<bool> {
            fd::nonblocking(fd)
        }

        fn set_nonblocking(&self, fd: &Descriptor, on: bool) -> io::Result<()> {
            fd::set_nonblocking(fd, on)
        }

        fn dup(&self, fd: &Descriptor) -> io::Result<Descriptor> {
            fd::dup(fd)
        }

        fn process(&self) -> u32 {
            process::id()
        }

        fn number(&self, fd: &Descriptor) -> Option<i32> {
            Some(fd.raw())
        }

        fn addresses(&self, number: i32) -> [Option<Address>; 2] {
            [socket::local_address_of(number).ok(), socket::peer_address_of(number).ok()]
        }

        fn close(&self, fd: &Descriptor) -> io::Result<()> {
            fd::close(fd)
        }
    };
}

/// Linux, with epoll as its event queue.
#[cfg(target_os = "linux")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoll;

#[cfg(target_os = "linux")]
impl Kernel for Epoll {
    type Fd = Descriptor;
    type Queue = EventQueue;
    type Batch = Harvest;

    calls_on_descriptors!();

    fn queue(&self) -> io::Result<EventQueue> {
        epoll::queue()
    }

    fn add(
        &self,
        queue: &EventQueue,
        fd: &Descriptor,
        token: Token,
    ) -> Result<SetChange, RegisterFault> {
        epoll::add(queue, fd.raw(), token).map(|()| SetChange::InForce)
    }

    fn remove(&self, queue: &EventQueue, fd: &Descriptor) -> io::Result<SetChange> {
        epoll::remove(queue, fd.raw()).map(|()| SetChange::InForce)
    }

    #[inline]
    fn arm(&self, _: &EventQueue, _: &Descriptor, _: Token, _: Mode) -> io::Result<SetChange> {
        Ok(SetChange::InForce)
    }

    #[inline]
    fn wait(&self, queue: &EventQueue, batch: &mut Harvest, timeout: Timeout) -> io::Result<()> {
        epoll::wait(queue, batch, timeout)
    }

    fn post(&self, queue: &EventQueue) -> io::Result<()> {
        epoll::post(queue)
    }

    fn drain(&self, queue: &EventQueue) -> io::Result<()> {
        epoll::drain(queue)
    }
}

#[cfg(target_os = "linux")]
impl Batch for Harvest {
    fn with_capacity(events: usize) -> Harvest {
        Harvest::new(events)
    }

    #[inline]
    fn len(&self) -> usize {
        self.count()
    }

    #[inline]
    fn get(&self, place: usize) -> Event {
        self.event(place)
    }
}

/// The event queue of [`PosixPoll`].
pub type PollQueue = level::Queue<Os, PosixPoll>;

impl Kernel for PosixPoll {
    type Fd = Descriptor;
    type Queue = PollQueue;
    type Batch = level::Reports;

    calls_on_descriptors!();

    fn queue(&self) -> io::Result<PollQueue> {
        PollQueue::new(self)
    }

    fn add(
        &self,
        queue: &PollQueue,
        fd: &Descriptor,
        token: Token,
    ) -> Result<SetChange, RegisterFault> {
        queue.add(self, fd.raw(), token)
    }

    fn remove(&self, queue: &PollQueue, fd: &Descriptor) -> io::Result<SetChange> {
        queue.remove(self, fd.raw())
    }

    fn arm(
        &self,
        queue: &PollQueue,
        fd: &Descriptor,
        _token: Token,
        mode: Mode,
    ) -> io::Result<SetChange> {
        queue.arm(fd.raw(), mode)
    }

    fn wait(
        &self,
        queue: &PollQueue,
        batch: &mut level::Reports,
        timeout: Timeout,
    ) -> io::Result<()> {
        queue.wait(self, batch, timeout)
    }

    fn post(&self, queue: &PollQueue) -> io::Result<()> {
        queue.post(self)
    }

    fn drain(&self, queue: &PollQueue) -> io::Result<()> {
        queue.drain(self)
    }
}
