//! A kernel that recorded programs can be replayed on: its system calls, by number.

use crate::kernel::{Control, Errno, Report, SimKernel};
use netpoller::seam::{HowToShut, Kind, Primitives, Timeout};

/// The system calls that recorded programs make. Each fails as the call of its name does.
#[allow(clippy::missing_errors_doc)]
pub trait Host {
    /// An eventfd with this count.
    fn eventfd(&mut self, count: u32) -> Result<i32, Errno>;
    /// A pipe: the number to read from, the number to write to.
    fn pipe(&mut self) -> Result<(i32, i32), Errno>;
    /// Two connected Unix sockets.
    fn socketpair(&mut self, kind: Kind) -> Result<(i32, i32), Errno>;
    /// A regular file.
    fn regular_file(&mut self) -> Result<i32, Errno>;
    /// An event queue.
    fn epoll_create(&mut self) -> Result<i32, Errno>;
    /// Changes the set of an event queue.
    fn epoll_ctl(&mut self, epoll: i32, number: i32, control: Control) -> Result<(), Errno>;
    /// Harvests up to `most` events without blocking.
    fn epoll_wait(&mut self, epoll: i32, most: usize) -> Result<Vec<Report>, Errno>;
    /// read(2).
    fn read(&mut self, number: i32, buffer: &mut [u8]) -> Result<usize, Errno>;
    /// write(2).
    fn write(&mut self, number: i32, bytes: &[u8]) -> Result<usize, Errno>;
    /// recv(2).
    fn receive(&mut self, number: i32, buffer: &mut [u8]) -> Result<usize, Errno>;
    /// send(2).
    fn send(&mut self, number: i32, bytes: &[u8]) -> Result<usize, Errno>;
    /// shutdown(2).
    fn shutdown(&mut self, number: i32, how: HowToShut) -> Result<(), Errno>;
    /// dup(2).
    fn dup(&mut self, number: i32) -> Result<i32, Errno>;
    /// close(2).
    fn close(&mut self, number: i32) -> Result<(), Errno>;
}

impl<P: Primitives> Host for SimKernel<P> {
    fn eventfd(&mut self, count: u32) -> Result<i32, Errno> {
        self.raw().eventfd(count.into())
    }

    fn pipe(&mut self) -> Result<(i32, i32), Errno> {
        self.raw().pipe()
    }

    fn socketpair(&mut self, kind: Kind) -> Result<(i32, i32), Errno> {
        self.raw().socketpair(kind)
    }

    fn regular_file(&mut self) -> Result<i32, Errno> {
        self.raw().regular_file()
    }

    fn epoll_create(&mut self) -> Result<i32, Errno> {
        self.raw().epoll_create()
    }

    fn epoll_ctl(&mut self, epoll: i32, number: i32, control: Control) -> Result<(), Errno> {
        self.raw().epoll_ctl(epoll, number, control)
    }

    fn epoll_wait(&mut self, epoll: i32, most: usize) -> Result<Vec<Report>, Errno> {
        self.raw().epoll_wait(epoll, most, Timeout::Zero)
    }

    fn read(&mut self, number: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.raw().read(number, buffer)
    }

    fn write(&mut self, number: i32, bytes: &[u8]) -> Result<usize, Errno> {
        self.raw().write(number, bytes)
    }

    fn receive(&mut self, number: i32, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.raw().receive(number, buffer)
    }

    fn send(&mut self, number: i32, bytes: &[u8]) -> Result<usize, Errno> {
        self.raw().send(number, bytes)
    }

    fn shutdown(&mut self, number: i32, how: HowToShut) -> Result<(), Errno> {
        self.raw().shutdown(number, how)
    }

    fn dup(&mut self, number: i32) -> Result<i32, Errno> {
        self.raw().dup(number)
    }

    fn close(&mut self, number: i32) -> Result<(), Errno> {
        self.raw().close(number)
    }
}
