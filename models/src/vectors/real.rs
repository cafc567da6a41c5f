//! The kernel of this machine as a host of recorded programs.
//!
//! Goes through the safe wrappers of the crate `nix` that take bare numbers, because programs
//! use numbers that are closed, and through the seam of the poller for what needs an open one. All descriptors that a program leaves open are closed when the
//! host is dropped.
//!
//! A program relies on being the only one in its process that opens and closes descriptors: a
//! number that it closed must stay closed. Whoever replays sees to that.

use super::Host;
use crate::kernel::{Control, Errno, Report};
use netpoller::seam::os::{Descriptor, Epoll};
use netpoller::seam::{Address, HowToShut, Kernel, Kind};
use nix::sys::epoll::{EpollCreateFlags, EpollEvent, EpollFlags, EpollOp};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{self, AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, UnixAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::{fcntl::OFlag, unistd};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The kernel of this machine.
#[derive(Debug, Default)]
pub struct RealKernel {
    open: BTreeMap<i32, Descriptor>,
    /// Timers, once more: they are set through their own type.
    timers: BTreeMap<i32, TimerFd>,
    /// Where its files are, if it has any.
    folder: Option<PathBuf>,
}

impl Drop for RealKernel {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What is left over lies in the folder for temporary files.
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}

fn number_of(error: &io::Error) -> Errno {
    Errno(error.raw_os_error().unwrap_or_default())
}

fn from_seam<T>(result: io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| number_of(&error))
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

    fn keep(&mut self, fd: impl Into<Descriptor>) -> i32 {
        let fd = fd.into();
        let number = fd.as_raw_fd();
        self.open.insert(number, fd);
        number
    }

    fn path(&mut self, path: &Path) -> Result<PathBuf, Errno> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if self.folder.is_none() {
            let name = format!(
                "netpoller-vectors-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            );
            let folder = std::env::temp_dir().join(name);
            from_seam(std::fs::create_dir_all(&folder))?;
            self.folder = Some(folder);
        }
        Ok(self.folder.as_deref().unwrap_or(Path::new("")).join(path))
    }

    fn two(&mut self, fds: (OwnedFd, OwnedFd)) -> (i32, i32) {
        (self.keep(fds.0), self.keep(fds.1))
    }

    fn get(&self, number: i32) -> Result<&Descriptor, Errno> {
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
        Ok(self.keep(OwnedFd::from(fd)))
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
        Ok(self.keep(OwnedFd::from(from_seam(program)?)))
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
        from_seam(Epoll.write(self.get(number)?, bytes))
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
        let fd = from_seam(Epoll.dup(self.get(number)?))?;
        Ok(self.keep(fd))
    }

    fn close(&mut self, number: i32) -> Result<(), Errno> {
        self.timers.remove(&number);
        self.open.remove(&number).map(drop).ok_or(Errno::EBADF)
    }

    fn socket(&mut self, address: &Address, kind: Kind) -> Result<i32, Errno> {
        let fd = from_seam(Epoll.socket(address, kind))?;
        Ok(self.keep(fd))
    }

    fn bind(&mut self, number: i32, address: &Address) -> Result<(), Errno> {
        from_seam(Epoll.bind(self.get(number)?, address))
    }

    fn listen(&mut self, number: i32, backlog: u32) -> Result<(), Errno> {
        from_seam(Epoll.listen(self.get(number)?, backlog))
    }

    fn connect(&mut self, number: i32, address: &Address) -> Result<(), Errno> {
        from_seam(Epoll.connect(self.get(number)?, address))
    }

    fn accept(&mut self, number: i32) -> Result<i32, Errno> {
        let (fd, _peer) = from_seam(Epoll.accept(self.get(number)?))?;
        Ok(self.keep(fd))
    }

    /// The addresses are those that the kernel chose: names in the abstract namespace.
    fn send_to(&mut self, number: i32, to: &Address, bytes: &[u8]) -> Result<usize, Errno> {
        let Address::Unix(path) = to else { return Err(Errno::EINVAL) };
        let name = path.as_os_str().as_bytes().strip_prefix(&[0]).ok_or(Errno::EINVAL)?;
        let address = UnixAddr::new_abstract(name).map_err(errno)?;
        socket::sendto(number, bytes, &address, MsgFlags::MSG_NOSIGNAL).map_err(errno)
    }

    fn local_address(&mut self, number: i32) -> Result<Address, Errno> {
        from_seam(Epoll.local_address(self.get(number)?))
    }

    fn take_error(&mut self, number: i32) -> Result<Option<Errno>, Errno> {
        let error = from_seam(Epoll.take_error(self.get(number)?))?;
        Ok(error.as_ref().map(number_of))
    }

    fn set_buffer(&mut self, number: i32, send: bool, size: usize) -> Result<(), Errno> {
        // A descriptor of the poller lends its number to nobody; so it is taken back for a moment.
        let fd = OwnedFd::from(self.open.remove(&number).ok_or(Errno::EBADF)?);
        let set = if send {
            setsockopt(&fd, sockopt::SndBuf, &size).map_err(errno)
        } else {
            setsockopt(&fd, sockopt::RcvBuf, &size).map_err(errno)
        };
        self.keep(fd);
        set
    }

    fn make_fifo(&mut self, path: &Path) -> Result<(), Errno> {
        unistd::mkfifo(&self.path(path)?, Mode::S_IRUSR | Mode::S_IWUSR).map_err(errno)
    }

    fn open_fifo(&mut self, path: &Path, write: bool) -> Result<i32, Errno> {
        let path = self.path(path)?;
        let mut options = OpenOptions::new();
        options.read(!write).write(write).custom_flags(OFlag::O_NONBLOCK.bits());
        let file = from_seam(options.open(path))?;
        Ok(self.keep(OwnedFd::from(file)))
    }

    fn timer(&mut self) -> Result<i32, Errno> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).map_err(errno)?;
        let number = self.keep(from_seam(timer.as_fd().try_clone_to_owned())?);
        self.timers.insert(number, timer);
        Ok(number)
    }

    fn set_timer(&mut self, number: i32, after: Duration) -> Result<(), Errno> {
        let timer = self.timers.get(&number).ok_or(Errno::EBADF)?;
        if after.is_zero() {
            return timer.unset().map_err(errno);
        }
        let once = Expiration::OneShot(TimeSpec::from(after));
        timer.set(once, TimerSetTimeFlags::empty()).map_err(errno)
    }

    fn sleep(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    /// No call says that the kernel is at rest.
    fn settle(&mut self, attempt: usize) {
        std::thread::sleep(Duration::from_millis([2, 20, 200, 1000][attempt.min(3)]));
    }

    const ATTEMPTS: usize = 4;
}
