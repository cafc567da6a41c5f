//! The simulated kernel by bare numbers, as programs see the real one.
//!
//! What the seam cannot say and recorded programs do: operations on numbers that are closed,
//! any mask, an event queue as an object of another one, datagrams to an address, FIFOs, timers.
//! Errors are [`Errno`]s.

use super::SimKernel;
use super::description::{Description, End, File};
use super::epoll::{Epoll, Key, Report};
use super::errno::{Errno, Result};
use super::event::Eventfd;
use super::names::{Bound, NOBODY};
use super::pipe::Pipe;
use super::table::Opened;
use super::time::{Alarm, Timer};
use super::unix::Pair;
use netpoller::seam::{Address, Arc, HowToShut, Instant, Kind, Mutex, Primitives, Timeout};
use std::path::Path;
use std::time::Duration;

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
            Control::Add(mask, data) => {
                self.0.may_add().and_then(|()| epoll.add(number, &description, mask, data))
            }
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
        let most = self.0.read_limit(buffer.len());
        self.get(number)?.read(&mut buffer[..most])
    }

    /// Receives from a socket.
    pub fn receive(&self, number: i32, buffer: &mut [u8]) -> Result<usize> {
        self.get(number)?.receive(buffer)
    }

    /// Writes, or sends one datagram.
    pub fn write(&self, number: i32, bytes: &[u8]) -> Result<usize> {
        self.get(number)?.write(&bytes[..self.0.write_limit(bytes.len())])
    }

    /// Sends on a socket.
    pub fn send(&self, number: i32, bytes: &[u8]) -> Result<usize> {
        let description = self.get(number)?;
        if description.is_socket() { description.write(bytes) } else { Err(Errno::ENOTSOCK) }
    }

    /// Shuts a socket.
    pub fn shutdown(&self, number: i32, how: HowToShut) -> Result<()> {
        self.get(number)?.shutdown(how)
    }

    /// A socket of the family of an address, not bound and not connected.
    pub fn socket(&self, address: &Address, kind: Kind) -> Result<i32> {
        self.0.open_socket(address, kind).map(|(number, _)| number)
    }

    /// Gives a socket a name.
    pub fn bind(&self, number: i32, address: &Address) -> Result<()> {
        self.0.bind_to(&*self.get(number)?, address)
    }

    /// Makes a socket accept connections.
    pub fn listen(&self, number: i32, backlog: u32) -> Result<()> {
        self.0.listen_on(&*self.get(number)?, backlog)
    }

    /// Connects a socket, or begins to.
    pub fn connect(&self, number: i32, address: &Address) -> Result<()> {
        self.0.connect_to(&*self.get(number)?, address)
    }

    /// Takes the next connection of a listener.
    pub fn accept(&self, number: i32) -> Result<i32> {
        self.0.accept_from(&*self.get(number)?).map(|(number, _)| number)
    }

    /// Sends one datagram to an address.
    pub fn send_to(&self, number: i32, address: &Address, bytes: &[u8]) -> Result<usize> {
        self.0.send_by_name(&*self.get(number)?, address, bytes)
    }

    /// The pending error of a socket, which is none afterwards.
    pub fn take_error(&self, number: i32) -> Result<Option<Errno>> {
        self.get(number)?.take_error()
    }

    /// The size of the buffer of a TCP socket for sending, or of that for receiving. What was
    /// asked for is doubled, as on Linux.
    pub fn set_buffer(&self, number: i32, send: bool, size: usize) -> Result<()> {
        match &self.get(number)?.file {
            File::Tcp(tcp, _) => {
                tcp.lock().resize(send, size * 2);
                Ok(())
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// A FIFO in the file system.
    pub fn make_fifo(&self, path: &Path) -> Result<()> {
        let fifo = Arc::new(Pipe::closed::<P>(&self.0.core.config));
        let mut names = self.0.core.names.lock();
        let address = Address::Unix(path.to_owned());
        match names.take(&address, NOBODY, Bound::Fifo(fifo)) {
            Err(Errno::EADDRINUSE) => Err(Errno::EEXIST),
            taken => taken.map(drop),
        }
    }

    /// Opens a FIFO for reading or for writing, without waiting for the other side.
    pub fn open_fifo(&self, path: &Path, write: bool) -> Result<i32> {
        let found = self.0.core.names.lock().find(&Address::Unix(path.to_owned()));
        let fifo = match found {
            Some(Bound::Fifo(fifo)) => fifo,
            // A socket cannot be opened.
            Some(_) => return Err(Errno::ENXIO),
            None => return Err(Errno::ENOENT),
        };
        let end = if write { End::Second } else { End::First };
        self.0.may_have_number()?;
        let place = self.0.core.table.lock().reserve()?;
        let opened = fifo.lock().open(end);
        let file = opened.map(|()| File::Pipe(fifo, end));
        self.0.core.table.lock().fill(place, file).map(|(number, _)| number)
    }

    /// A timer, which is not set.
    pub fn timerfd(&self) -> Result<i32> {
        self.0.may_have_number()?;
        let timer = Arc::new(Timer::create::<P>());
        self.0.core.table.lock().open(|_| File::Timer(timer)).map(|(number, _)| number)
    }

    /// Sets a timer for once, or disarms it with no time.
    pub fn timerfd_set(&self, number: i32, after: Duration) -> Result<()> {
        let description = self.get(number)?;
        let File::Timer(timer) = &description.file else { return Err(Errno::EINVAL) };
        let at = self.0.now().saturating_add(after).as_nanos();
        let mut alarms = self.0.core.alarms.lock();
        alarms.clear(description.serial);
        if !after.is_zero() {
            alarms.set(at, description.serial, Alarm::Timer(timer.clone()));
        }
        drop(alarms);
        timer.lock().set();
        Ok(())
    }

    /// The name of a socket.
    pub fn local_address(&self, number: i32) -> Result<Address> {
        self.get(number)?.local_address()
    }

    /// Another number for the same description.
    pub fn dup(&self, number: i32) -> Result<i32> {
        self.0.may_have_number()?;
        let mut table = self.0.core.table.lock();
        let description = table.get(number)?;
        table.dup(&description)
    }

    /// Closes a number.
    pub fn close(&self, number: i32) -> Result<()> {
        let (description, last) = self.0.core.table.lock().close(number)?;
        if last {
            self.0.release(&description);
        }
        Ok(())
    }
}

impl<P: Primitives> SimKernel<P> {
    /// The last number of a description is closed.
    pub(super) fn release(&self, description: &Description<P>) {
        if let File::Timer(_) = &description.file {
            self.core.alarms.lock().clear(description.serial);
        }
        if description.release() {
            self.core.names.lock().give_back(description.serial);
        }
    }

    pub(super) fn open_eventfd(&self, count: u64) -> Result<Opened<P>> {
        self.may_have_number()?;
        let file = File::Eventfd(Eventfd::create::<P>(count));
        self.core.table.lock().open(|_| file)
    }

    pub(super) fn open_pipe(&self) -> Result<[Opened<P>; 2]> {
        self.may_have_number().and_then(|()| self.may_have_number())?;
        let pipe = Arc::new(Pipe::create::<P>(&self.core.config));
        let ends = [File::Pipe(pipe.clone(), End::First), File::Pipe(pipe, End::Second)];
        self.core.table.lock().open_two(ends)
    }

    pub(super) fn open_pair(&self, kind: Kind) -> Result<[Opened<P>; 2]> {
        self.may_have_number().and_then(|()| self.may_have_number())?;
        let pair = Arc::new(Pair::<P>::create(&self.core.config, kind));
        let ends = [File::Socket(pair.clone(), End::First), File::Socket(pair, End::Second)];
        self.core.table.lock().open_two(ends)
    }

    pub(super) fn open_regular(&self) -> Result<Opened<P>> {
        self.may_have_number()?;
        self.core.table.lock().open(|_| File::Regular)
    }

    pub(super) fn open_epoll(&self) -> Result<Opened<P>> {
        self.may_have_number()?;
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
        self.extra_edges(epoll);
        if timeout != Timeout::Zero && self.is_interrupted() {
            return self.interrupted(epoll, most, timeout);
        }
        match timeout {
            Timeout::Zero => Ok(epoll.harvest_at_once(most)),
            Timeout::After(delay) => {
                let deadline: Instant = self.now().saturating_add(delay);
                loop {
                    let reports = epoll.harvest(most, None);
                    if !reports.is_empty() {
                        return Ok(reports);
                    }
                    if epoll.is_interrupted() {
                        return Err(Errno::EINTR);
                    }
                    // What is due before the deadline may be what is waited for.
                    if !self.advance_to_next_before(deadline) {
                        return Ok(reports);
                    }
                }
            }
            Timeout::Never => epoll.wait(most),
        }
    }

    /// A signal comes: what is there already is delivered, otherwise half of the time passes and
    /// the wait is over.
    fn interrupted(&self, epoll: &Epoll<P>, most: usize, timeout: Timeout) -> Result<Vec<Report>> {
        let reports = epoll.harvest(most, None);
        if !reports.is_empty() {
            return Ok(reports);
        }
        if let Timeout::After(delay) = timeout {
            self.advance_to(self.now().saturating_add(delay / 2));
        }
        Err(Errno::EINTR)
    }
}
