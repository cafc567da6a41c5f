//! The kernel of this machine as a host of recorded programs.
//!
//! Goes through the safe wrappers of the crate `nix` that take bare numbers, because programs
//! use numbers that are closed. All descriptors that a program leaves open are closed when the
//! host is dropped.
//!
//! A program relies on being the only one in its process that opens and closes descriptors: a
//! number that it closed must stay closed. Whoever replays sees to that.

use super::Host;
use crate::kernel::{Control, Errno, Report};
use netpoller::seam::{HowToShut, Kind};
use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollOp};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{self, AddressFamily, MsgFlags, Shutdown, SockFlag, SockType};
use nix::{fcntl::OFlag, unistd};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};

/// The kernel of this machine.
#[derive(Debug, Default)]
pub struct RealKernel {
    open: BTreeMap<i32, OwnedFd>,
}

fn errno(error: nix::Error) -> Errno {
    Errno(error as i32)
}

impl RealKernel {
    /// It, with nothing open.
    #[must_use]
    pub fn new() -> RealKernel {
        RealKernel::default()
    }

    fn keep(&mut self, fd: OwnedFd) -> i32 {
        let number = fd.as_raw_fd();
        self.open.insert(number, fd);
        number
    }

    fn two(&mut self, fds: (OwnedFd, OwnedFd)) -> (i32, i32) {
        (self.keep(fds.0), self.keep(fds.1))
    }

    fn get(&self, number: i32) -> Result<&OwnedFd, Errno> {
        self.open.get(&number).ok_or(Errno::EBADF)
    }
}

// What takes its place in `nix` takes borrowed descriptors, and a closed number is none.
#[expect(deprecated, reason = "programs operate on numbers that are closed")]
fn control(
    epoll: i32,
    operation: EpollOp,
    number: i32,
    event: Option<&mut EpollEvent>,
) -> nix::Result<()> {
    nix::sys::epoll::epoll_ctl(epoll, operation, number, event)
}

#[expect(deprecated, reason = "as above")]
fn wait(epoll: i32, events: &mut [EpollEvent]) -> nix::Result<usize> {
    nix::sys::epoll::epoll_wait(epoll, events, 0)
}

impl Host for RealKernel {
    fn eventfd(&mut self, count: u32) -> Result<i32, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let fd = EventFd::from_value_and_flags(count, flags).map_err(errno)?;
        Ok(self.keep(fd.into()))
    }

    fn pipe(&mut self) -> Result<(i32, i32), Errno> {
        let fds = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).map_err(errno)?;
        Ok(self.two(fds))
    }

    fn socketpair(&mut self, kind: Kind) -> Result<(i32, i32), Errno> {
        let kind = match kind {
            Kind::Stream => SockType::Stream,
            Kind::Datagram => SockType::Datagram,
        };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fds = socket::socketpair(AddressFamily::Unix, kind, None, flags).map_err(errno)?;
        Ok(self.two(fds))
    }

    fn regular_file(&mut self) -> Result<i32, Errno> {
        let program = std::env::current_exe().and_then(std::fs::File::open);
        let file = program.map_err(|e| Errno(e.raw_os_error().unwrap_or_default()))?;
        Ok(self.keep(file.into()))
    }

    fn epoll_create(&mut self) -> Result<i32, Errno> {
        let epoll = nix::sys::epoll::Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC);
        Ok(self.keep(epoll.map_err(errno)?.0))
    }

    fn epoll_ctl(&mut self, epoll: i32, number: i32, change: Control) -> Result<(), Errno> {
        let event = |mask: u32, data| {
            EpollEvent::new(EpollFlags::from_bits_retain(mask.cast_signed()), data)
        };
        let result = match change {
            Control::Add(mask, data) => {
                control(epoll, EpollOp::EpollCtlAdd, number, Some(&mut event(mask, data)))
            }
            Control::Modify(mask, data) => {
                control(epoll, EpollOp::EpollCtlMod, number, Some(&mut event(mask, data)))
            }
            Control::Delete => control(epoll, EpollOp::EpollCtlDel, number, None),
        };
        result.map_err(errno)
    }

    fn epoll_wait(&mut self, epoll: i32, most: usize) -> Result<Vec<Report>, Errno> {
        let mut events = vec![EpollEvent::empty(); most];
        let count = wait(epoll, &mut events).map_err(errno)?;
        let report = |event: &EpollEvent| Report {
            data: event.data(),
            bits: event.events().bits().cast_unsigned(),
        };
        Ok(events[..count].iter().map(report).collect())
    }

    fn read(&mut self, number: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
        unistd::read(number, buffer).map_err(errno)
    }

    fn write(&mut self, number: i32, bytes: &[u8]) -> Result<usize, Errno> {
        unistd::write(self.get(number)?, bytes).map_err(errno)
    }

    fn receive(&mut self, number: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
        socket::recv(number, buffer, MsgFlags::empty()).map_err(errno)
    }

    fn send(&mut self, number: i32, bytes: &[u8]) -> Result<usize, Errno> {
        socket::send(number, bytes, MsgFlags::MSG_NOSIGNAL).map_err(errno)
    }

    fn shutdown(&mut self, number: i32, how: HowToShut) -> Result<(), Errno> {
        let how = match how {
            HowToShut::Read => Shutdown::Read,
            HowToShut::Write => Shutdown::Write,
            HowToShut::Both => Shutdown::Both,
        };
        socket::shutdown(number, how).map_err(errno)
    }

    fn dup(&mut self, number: i32) -> Result<i32, Errno> {
        let fd = self.get(number)?.try_clone();
        let fd = fd.map_err(|e| Errno(e.raw_os_error().unwrap_or_default()))?;
        Ok(self.keep(fd))
    }

    fn close(&mut self, number: i32) -> Result<(), Errno> {
        let fd = self.open.remove(&number).ok_or(Errno::EBADF)?;
        unistd::close(fd.into_raw_fd()).map_err(errno)
    }
}
