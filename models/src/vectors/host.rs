//! A kernel that recorded programs can be replayed on: its system calls, by number.

use crate::kernel::{Control, Errno, Report, SimKernel};
use netpoller::seam::{Address, HowToShut, Instant, Kind, Primitives, Timeout};
use std::path::Path;
use std::time::Duration;

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
    /// socket(2), of the family of an address.
    fn socket(&mut self, address: &Address, kind: Kind) -> Result<i32, Errno>;
    /// bind(2).
    fn bind(&mut self, number: i32, address: &Address) -> Result<(), Errno>;
    /// listen(2).
    fn listen(&mut self, number: i32, backlog: u32) -> Result<(), Errno>;
    /// connect(2).
    fn connect(&mut self, number: i32, address: &Address) -> Result<(), Errno>;
    /// accept(2).
    fn accept(&mut self, number: i32) -> Result<i32, Errno>;
    /// sendto(2).
    fn send_to(&mut self, number: i32, to: &Address, bytes: &[u8]) -> Result<usize, Errno>;
    /// getsockname(2).
    fn local_address(&mut self, number: i32) -> Result<Address, Errno>;
    /// The pending error of a socket.
    fn take_error(&mut self, number: i32) -> Result<Option<Errno>, Errno>;
    /// The size of the buffer for sending, or of the one for receiving.
    fn set_buffer(&mut self, number: i32, send: bool, size: usize) -> Result<(), Errno>;
    /// mkfifo(3). The path is relative to a place of the host's own.
    fn make_fifo(&mut self, path: &Path) -> Result<(), Errno>;
    /// open(2) of a FIFO, for reading or for writing.
    fn open_fifo(&mut self, path: &Path, write: bool) -> Result<i32, Errno>;
    /// A timer.
    fn timer(&mut self) -> Result<i32, Errno>;
    /// Sets a timer for once; zero disarms it.
    fn set_timer(&mut self, number: i32, after: Duration) -> Result<(), Errno>;
    /// Lets time pass.
    fn sleep(&mut self, time: Duration);
    /// Gives what is under way time to arrive: more of it each time that it was not enough.
    fn settle(&mut self, _attempt: usize) {}
    /// How often a program is worth trying that depends on [`settle`](Host::settle).
    const ATTEMPTS: usize = 1;
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

    fn socket(&mut self, address: &Address, kind: Kind) -> Result<i32, Errno> {
        self.raw().socket(address, kind)
    }

    fn bind(&mut self, number: i32, address: &Address) -> Result<(), Errno> {
        self.raw().bind(number, address)
    }

    fn listen(&mut self, number: i32, backlog: u32) -> Result<(), Errno> {
        self.raw().listen(number, backlog)
    }

    fn connect(&mut self, number: i32, address: &Address) -> Result<(), Errno> {
        self.raw().connect(number, address)
    }

    fn accept(&mut self, number: i32) -> Result<i32, Errno> {
        self.raw().accept(number)
    }

    fn send_to(&mut self, number: i32, to: &Address, bytes: &[u8]) -> Result<usize, Errno> {
        self.raw().send_to(number, to, bytes)
    }

    fn local_address(&mut self, number: i32) -> Result<Address, Errno> {
        self.raw().local_address(number)
    }

    fn take_error(&mut self, number: i32) -> Result<Option<Errno>, Errno> {
        self.raw().take_error(number)
    }

    fn set_buffer(&mut self, number: i32, send: bool, size: usize) -> Result<(), Errno> {
        self.raw().set_buffer(number, send, size)
    }

    fn make_fifo(&mut self, path: &Path) -> Result<(), Errno> {
        self.raw().make_fifo(path)
    }

    fn open_fifo(&mut self, path: &Path, write: bool) -> Result<i32, Errno> {
        self.raw().open_fifo(path, write)
    }

    fn timer(&mut self) -> Result<i32, Errno> {
        self.raw().timerfd()
    }

    fn set_timer(&mut self, number: i32, after: Duration) -> Result<(), Errno> {
        self.raw().timerfd_set(number, after)
    }

    fn sleep(&mut self, time: Duration) {
        let now: Instant = self.now();
        self.advance_to(now.saturating_add(time));
    }
}
