//! The simulated kernel by bare numbers, as programs see the real one.
//!
//! What the seam cannot say and recorded programs do: operations on numbers that are closed,
//! any mask, an event queue as an object of another one. Errors are [`Errno`]s.

use super::SimKernel;
use super::description::{Description, End, File, change};
use super::epoll::{Epoll, Key, Report};
use super::errno::{Errno, Result};
use super::event::Eventfd;
use super::pipe::Pipe;
use super::table::Opened;
use super::unix::Pair;
use netpoller::seam::{Arc, HowToShut, Instant, Kind, Mutex, Primitives, Timeout};

/// The system calls of a simulated kernel, by number.
#[derive(Debug)]
pub struct Raw<'a, P: Primitives>(pub(super) &'a SimKernel<P>);

/// What to do with a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Register, with a mask and a label.
    Add(u32, u64),
    /// Give a registration a new mask and label, and arm it again.
    Modify(u32, u64),
    /// End a registration.
    Delete,
}

#[allow(clippy::missing_errors_doc)] // each fails as the system call of its name does
impl<P: Primitives> Raw<'_, P> {
    fn get(&self, number: i32) -> Result<Arc<Description<P>>> {
        self.0.core.table.lock().get(number)
    }

    /// A new eventfd with this count.
    pub fn eventfd(&self, count: u64) -> Result<i32> {
        self.0.open_eventfd(count).map(|(number, _)| number)
    }

    /// A new pipe: the number to read from, the number to write to.
    pub fn pipe(&self) -> Result<(i32, i32)> {
        self.0.open_pipe().map(|[(read, _), (write, _)]| (read, write))
    }

    /// Two connected Unix sockets.
    pub fn socketpair(&self, kind: Kind) -> Result<(i32, i32)> {
        self.0.open_pair(kind).map(|[(first, _), (second, _)]| (first, second))
    }

    /// An empty regular file, which cannot be registered anywhere.
    pub fn regular_file(&self) -> Result<i32> {
        self.0.open_regular().map(|(number, _)| number)
    }

    /// A new event queue.
    pub fn epoll_create(&self) -> Result<i32> {
        self.0.open_epoll().map(|(number, _)| number)
    }

    /// Changes the set of an event queue.
    pub fn epoll_ctl(&self, epoll: i32, number: i32, control: Control) -> Result<()> {
        let (epoll, description) = (self.get(epoll)?, self.get(number)?);
        let (itself, epoll) = (Arc::ptr_eq(&epoll, &description), epoll.epoll()?);
        if itself {
            return Err(Errno::EINVAL);
        }
        let key = Key { number, description: description.serial };
        match control {
            Control::Add(mask, data) => epoll.add(number, &description, mask, data),
            Control::Modify(mask, data) => epoll.modify(key, mask, data),
            Control::Delete => epoll.delete(key),
        }
    }

    /// Waits for at most `most` events.
    pub fn epoll_wait(&self, epoll: i32, most: usize, timeout: Timeout) -> Result<Vec<Report>> {
        self.0.wait_for(self.get(epoll)?.epoll()?, most, timeout)
    }

    /// Reads, or receives one datagram.
    pub fn read(&self, number: i32, buffer: &mut [u8]) -> Result<usize> {
        self.get(number)?.read(buffer)
    }

    /// Receives from a socket.
    pub fn receive(&self, number: i32, buffer: &mut [u8]) -> Result<usize> {
        let description = self.get(number)?;
        description.socket()?;
        description.read(buffer)
    }

    /// Writes, or sends one datagram.
    pub fn write(&self, number: i32, bytes: &[u8]) -> Result<usize> {
        self.get(number)?.write(bytes)
    }

    /// Sends on a socket.
    pub fn send(&self, number: i32, bytes: &[u8]) -> Result<usize> {
        let description = self.get(number)?;
        description.socket()?;
        description.write(bytes)
    }

    /// Shuts a socket.
    pub fn shutdown(&self, number: i32, how: HowToShut) -> Result<()> {
        let description = self.get(number)?;
        let (pair, end) = description.socket()?;
        change(pair, |pair: &mut Pair<P>| pair.shutdown(end, how))
    }

    /// Another number for the same description.
    pub fn dup(&self, number: i32) -> Result<i32> {
        let mut table = self.0.core.table.lock();
        let description = table.get(number)?;
        table.dup(&description)
    }

    /// Closes a number.
    pub fn close(&self, number: i32) -> Result<()> {
        let (description, last) = self.0.core.table.lock().close(number)?;
        if last {
            description.release();
        }
        Ok(())
    }
}

impl<P: Primitives> SimKernel<P> {
    pub(super) fn open_eventfd(&self, count: u64) -> Result<Opened<P>> {
        let file = File::Eventfd(Eventfd::<P>::create(count));
        self.core.table.lock().open(|_| file)
    }

    pub(super) fn open_pipe(&self) -> Result<[Opened<P>; 2]> {
        let pipe = Arc::new(Pipe::<P>::create(&self.core.config));
        let ends = [File::Pipe(pipe.clone(), End::First), File::Pipe(pipe, End::Second)];
        self.core.table.lock().open_two(ends)
    }

    pub(super) fn open_pair(&self, kind: Kind) -> Result<[Opened<P>; 2]> {
        let pair = Arc::new(Pair::<P>::create(&self.core.config, kind));
        let ends = [File::Socket(pair.clone(), End::First), File::Socket(pair, End::Second)];
        self.core.table.lock().open_two(ends)
    }

    pub(super) fn open_regular(&self) -> Result<Opened<P>> {
        self.core.table.lock().open(|_| File::Regular)
    }

    pub(super) fn open_epoll(&self) -> Result<Opened<P>> {
        let config = &self.core.config;
        self.core.table.lock().open(|serial| File::Epoll(Epoll::create(serial, config)))
    }

    pub(super) fn wait_for(
        &self,
        epoll: &Epoll<P>,
        most: usize,
        timeout: Timeout,
    ) -> Result<Vec<Report>> {
        if most == 0 {
            return Err(Errno::EINVAL);
        }
        match timeout {
            Timeout::Zero => Ok(epoll.harvest_at_once(most)),
            Timeout::After(delay) => {
                let deadline: Instant = self.now().saturating_add(delay);
                let reports = epoll.harvest(most, None);
                if reports.is_empty() {
                    if epoll.is_interrupted() {
                        return Err(Errno::EINTR);
                    }
                    self.advance_to(deadline);
                }
                Ok(reports)
            }
            Timeout::Never => epoll.wait(most),
        }
    }
}
