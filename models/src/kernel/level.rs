//! The simulated kernel asked in the manner of poll(2): level-triggered, with the set of
//! `netpoller::level`, which is the one that ships.
//!
//! [`LevelKernel`] is a [`SimKernel`] whose event queue is the poller's own; what is simulated here is
//! the call that it is made of ([`Multiplexer::ask`]). Linux does it so, and so does this:
//!
//! 1. The numbers are looked up, once. What they name is held on to until the call is over.
//! 2. The files are asked one after the other, each at its own instant, and a watch is left with each
//!    until one is found that is ready.
//! 3. If none is, the thread sleeps until one of them has news, and asks all of them again.
//! 4. The watches are taken back.
//!
//! # State
//!
//! A thread that may sleep has a [`Nap`], by which the files reach it. Naps belong to the kernel and are
//! used again: news that comes late finds one that somebody else has by now, who looks once more than
//! it would have to. `woken` and the parker are under the lock of the nap, which nap is free under
//! that of `naps`.
//!
//! # Oracle
//!
//! A number that is closed while a thread asks about it is a panic that says so: the file would live on
//! until the thread is out (NP-LEVEL-5).
//!
//! # Out of scope
//!
//! Signals, and the freedoms and faults that concern epoll.

use super::config::Config;
use super::description::{Description, Watch, Watcher, mask};
use super::digest::digest;
use super::epoll::Key;
use super::{SimFd, SimKernel, Timed};
use crate::engine::sealed;
use netpoller::level::{Asked, Multiplexer, NOT_OPEN, Queue, Reports};
use netpoller::seam::{
    Address, Arc, HowToShut, Instant, Kernel, Kind, Mutex, Parker, Primitives, RegisterFault,
    SetChange, Taking, Timeout,
};
use netpoller_spec::Mode;
use netpoller_spec::token::Token;
use std::io::{self, IoSlice, IoSliceMut};

/// A simulated kernel with poll(2). A clone is another handle to the same.
pub struct LevelKernel<P: Primitives> {
    kernel: SimKernel<P>,
    naps: Arc<P::Mutex<Vec<Place<P>>>>,
}

/// A nap, and whether a thread has it.
#[derive(Debug)]
struct Place<P: Primitives> {
    nap: Arc<Nap<P>>,
    taken: bool,
}

/// What a thread sleeps on in a call.
#[derive(Debug)]
struct Nap<P: Primitives>(P::Mutex<Napping<P>>);

#[derive(Debug)]
struct Napping<P: Primitives> {
    /// There was news since the files were asked.
    woken: bool,
    /// Whom to wake because of it.
    parker: Option<P::Parker>,
}

impl<P: Primitives> Nap<P> {
    fn new() -> Arc<Nap<P>> {
        let napping = Napping { woken: false, parker: None };
        let digest =
            |napping: &Napping<P>| Some(digest(&(napping.woken, napping.parker.is_some())));
        Arc::new(Nap(Mutex::new(napping, digest)))
    }

    fn wake(&self) {
        let parker = {
            let mut napping = self.0.lock();
            napping.woken = true;
            napping.parker.take()
        };
        if let Some(parker) = parker {
            parker.unpark();
        }
    }

    /// Forgets the news: the files are about to be asked.
    fn begin(&self) {
        self.0.lock().woken = false;
    }

    /// Sleeps until there is news. Says whether a token was taken that was not the kernel's.
    fn sleep(&self, parker: &P::Parker) -> bool {
        let (mut foreign, mut slept) = (false, false);
        loop {
            {
                let mut napping = self.0.lock();
                if std::mem::take(&mut napping.woken) {
                    return foreign;
                }
                // A token that ended a sleep before there was news was somebody else's.
                foreign |= slept;
                napping.parker = Some(parker.clone());
            }
            parker.park();
            slept = true;
        }
    }
}

impl<P: Primitives> Watcher for Nap<P> {
    fn edge(&self, _item: Key, _key: u32) {
        self.wake();
    }

    fn forget(&self, _item: Key) {
        self.wake();
    }

    fn depth_above(&self, _most: usize) -> usize {
        0
    }
}

/// What the numbers of an array name; nothing where one is not open.
type Files<P> = Vec<Option<Arc<Description<P>>>>;

impl<P: Primitives> LevelKernel<P> {
    /// A kernel on which nothing is open. Its time is 0.
    #[must_use]
    pub fn new(config: Config) -> LevelKernel<P> {
        let digest = |places: &Vec<Place<P>>| {
            Some(digest(&places.iter().map(|place| place.taken).collect::<Vec<_>>()))
        };
        LevelKernel {
            kernel: SimKernel::new(config),
            naps: Arc::new(Mutex::new(Vec::new(), digest)),
        }
    }

    /// The same kernel, edge-triggered.
    #[must_use]
    pub fn simulated(&self) -> &SimKernel<P> {
        &self.kernel
    }

    fn files(&self, asked: &[Asked]) -> Files<P> {
        let table = self.kernel.core.table.lock();
        asked.iter().map(|asked| table.get(asked.number).ok()).collect()
    }

    /// Judges that what was asked about is still what it was. Not a step of the program.
    fn nothing_was_closed(&self, asked: &[Asked], files: &Files<P>) {
        let now: Files<P> = self
            .kernel
            .core
            .table
            .peek(|table| asked.iter().map(|asked| table.get(asked.number).ok()).collect());
        for (asked, (then, now)) in asked.iter().zip(files.iter().zip(&now)) {
            let number = asked.number;
            let same = match (then, now) {
                (Some(then), Some(now)) => Arc::ptr_eq(then, now),
                (None, None) => true,
                _ => false,
            };
            assert!(
                same || std::thread::panicking(),
                "NP-LEVEL-5 broken: the number {number} was closed while a thread asked about it: its \
                 file lives on until that is over"
            );
        }
    }

    /// Asks all, and leaves no watch.
    fn look(asked: &mut [Asked], files: &Files<P>) -> usize {
        for (asked, file) in asked.iter_mut().zip(files) {
            asked.found = file.as_ref().map_or(NOT_OPEN, |file| of(asked.events, file.poll()));
        }
        ready(asked)
    }

    /// Asks all, and leaves a watch with each until one is ready.
    fn look_and_watch(asked: &mut [Asked], files: &Files<P>, nap: &Arc<Nap<P>>, queue: u64) {
        let mut any = false;
        for (asked, file) in asked.iter_mut().zip(files) {
            asked.found = match file {
                None => NOT_OPEN,
                Some(file) if any => of(asked.events, file.poll()),
                Some(file) => {
                    let nap: Arc<dyn Watcher> = nap.clone();
                    let item = Key { number: asked.number, description: file.serial };
                    let watch = Watch { epoll: Arc::downgrade(&nap), queue, item };
                    of(asked.events, file.watch(watch))
                }
            };
            any |= asked.found != 0;
        }
    }

    /// Asks, and sleeps until one is ready.
    fn sleep(&self, asked: &mut [Asked], files: &Files<P>) -> usize {
        let (place, nap) = self.take_nap();
        // No event queue is called so: they are numbered as they are made.
        let queue = u64::MAX - place as u64;
        let parker = P::parker();
        let mut foreign = false;
        nap.begin();
        Self::look_and_watch(asked, files, &nap, queue);
        while ready(asked) == 0 {
            foreign |= nap.sleep(&parker);
            Self::look(asked, files);
        }
        for (asked, file) in asked.iter().zip(files) {
            if let Some(file) = file {
                file.unwatch(queue, Key { number: asked.number, description: file.serial });
            }
        }
        self.naps.lock()[place].taken = false;
        if foreign {
            parker.unpark();
        }
        ready(asked)
    }

    /// The first nap that nobody has.
    fn take_nap(&self) -> (usize, Arc<Nap<P>>) {
        let mut naps = self.naps.lock();
        let free = naps.iter().position(|place| !place.taken).unwrap_or_else(|| {
            naps.push(Place { nap: Nap::new(), taken: false });
            naps.len() - 1
        });
        naps[free].taken = true;
        (free, naps[free].nap.clone())
    }
}

/// What of the conditions that hold is told to whoever has asked for `events`.
fn of(events: i16, bits: u32) -> i16 {
    let told = u32::from(events.cast_unsigned()) | mask::ERR | mask::HUP;
    // The conditions of poll(2) are the lower half.
    (bits & told & 0xffff) as u16 as i16
}

fn ready(asked: &[Asked]) -> usize {
    asked.iter().filter(|asked| asked.found != 0).count()
}

impl<P: Primitives> Clone for LevelKernel<P> {
    fn clone(&self) -> LevelKernel<P> {
        LevelKernel { kernel: self.kernel.clone(), naps: Arc::clone(&self.naps) }
    }
}

impl<P: Primitives> core::fmt::Debug for LevelKernel<P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.kernel.fmt(f)
    }
}

impl<P: Primitives> Timed for LevelKernel<P> {
    fn time(&self) -> Instant {
        self.kernel.now()
    }
}

/// A pipe that is up while a byte is in it.
#[derive(Debug)]
pub struct SimSignal<P: Primitives> {
    reader: SimFd<P>,
    writer: SimFd<P>,
}

impl<P: Primitives> SimSignal<P> {
    /// Whether it is up. Not a step of the program.
    #[must_use]
    pub fn peek_is_up(&self) -> bool {
        self.reader.peek_buffered() > 0
    }
}

impl<P: Primitives> Multiplexer for LevelKernel<P> {
    type Signal = SimSignal<P>;

    const READ: i16 = mask::RDHUP as i16;

    fn signal(&self) -> io::Result<SimSignal<P>> {
        let (reader, writer) = self.kernel.pipe()?;
        Ok(SimSignal { reader, writer })
    }

    fn number(signal: &SimSignal<P>) -> i32 {
        signal.reader.number()
    }

    fn raise(&self, signal: &SimSignal<P>) -> io::Result<()> {
        match self.kernel.write(&signal.writer, &[0]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn lower(&self, signal: &SimSignal<P>) -> io::Result<()> {
        match self.kernel.read(&signal.reader, &mut [0; 64]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn pollable(&self, number: i32) -> Result<(), RegisterFault> {
        match self.kernel.core.table.lock().get(number) {
            Ok(file) if file.is_regular() => {
                Err(RegisterFault::NotPollable(super::Errno::EPERM.into()))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(RegisterFault::Failed(error.into())),
        }
    }

    fn ask(&self, asked: &mut [Asked], timeout: Timeout) -> io::Result<usize> {
        // Nothing but what was found gets out.
        let found = || {
            let found = self.find(asked, timeout);
            (found, asked.iter().map(|asked| asked.found).collect::<Vec<_>>())
        };
        Ok(sealed(found).0)
    }

    fn now(&self) -> Instant {
        self.kernel.now()
    }
}

impl<P: Primitives> LevelKernel<P> {
    /// How many of those that were asked about have been found ready.
    fn find(&self, asked: &mut [Asked], timeout: Timeout) -> usize {
        let files = self.files(asked);
        let found = match timeout {
            Timeout::Zero => Self::look(asked, &files),
            Timeout::Never => self.sleep(asked, &files),
            Timeout::After(delay) => {
                let deadline = self.kernel.now().saturating_add(delay);
                loop {
                    // What is due before the deadline may be what is waited for.
                    let found = Self::look(asked, &files);
                    if found > 0 || !self.kernel.advance_to_next_before(deadline) {
                        break found;
                    }
                }
            }
        };
        self.nothing_was_closed(asked, &files);
        found
    }
}

/// The event queue of a [`LevelKernel`].
pub type LevelQueue<P> = Queue<P, LevelKernel<P>>;

macro_rules! as_before {
    ($(fn $name:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)*) => {$(
        fn $name(&self $(, $argument: $type)*) -> $result {
            self.kernel.$name($($argument),*)
        }
    )*};
}

impl<P: Primitives> Kernel for LevelKernel<P> {
    type Fd = SimFd<P>;
    type Queue = LevelQueue<P>;
    type Batch = Reports;

    as_before! {
        fn pipe(&self) -> io::Result<(SimFd<P>, SimFd<P>)>;
        fn socket_pair(&self, kind: Kind) -> io::Result<(SimFd<P>, SimFd<P>)>;
        fn socket(&self, address: &Address, kind: Kind) -> io::Result<SimFd<P>>;
        fn bind(&self, fd: &SimFd<P>, address: &Address) -> io::Result<()>;
        fn listen(&self, fd: &SimFd<P>, backlog: u32) -> io::Result<()>;
        fn connect(&self, fd: &SimFd<P>, address: &Address) -> io::Result<()>;
        fn accept(&self, fd: &SimFd<P>) -> io::Result<(SimFd<P>, Address)>;
        fn take_error(&self, fd: &SimFd<P>) -> io::Result<Option<io::Error>>;
        fn is_plain_tcp(&self, fd: &SimFd<P>) -> bool;
        fn local_address(&self, fd: &SimFd<P>) -> io::Result<Address>;
        fn peer_address(&self, fd: &SimFd<P>) -> io::Result<Address>;
        fn shutdown(&self, fd: &SimFd<P>, how: HowToShut) -> io::Result<()>;
        fn read(&self, fd: &SimFd<P>, buffer: &mut [u8]) -> io::Result<usize>;
        fn write(&self, fd: &SimFd<P>, bytes: &[u8]) -> io::Result<usize>;
        fn read_vectored(&self, fd: &SimFd<P>, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
        fn write_vectored(&self, fd: &SimFd<P>, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
        fn peek(&self, fd: &SimFd<P>, buffer: &mut [u8]) -> io::Result<usize>;
        fn receive(&self, fd: &SimFd<P>, buffer: &mut [u8]) -> io::Result<usize>;
        fn receive_from(&self, fd: &SimFd<P>, buffer: &mut [u8], taking: Taking) -> io::Result<(usize, Address)>;
        fn send_to(&self, fd: &SimFd<P>, bytes: &[u8], to: &Address) -> io::Result<usize>;
        fn is_ready(&self, fd: &SimFd<P>, mode: Mode) -> io::Result<bool>;
        fn set_reuse_address(&self, fd: &SimFd<P>, on: bool) -> io::Result<()>;
        fn nodelay(&self, fd: &SimFd<P>) -> io::Result<bool>;
        fn set_nodelay(&self, fd: &SimFd<P>, on: bool) -> io::Result<()>;
        fn nonblocking(&self, fd: &SimFd<P>) -> io::Result<bool>;
        fn set_nonblocking(&self, fd: &SimFd<P>, on: bool) -> io::Result<()>;
        fn dup(&self, fd: &SimFd<P>) -> io::Result<SimFd<P>>;
        fn close(&self, fd: &SimFd<P>) -> io::Result<()>;
    }

    fn queue(&self) -> io::Result<LevelQueue<P>> {
        LevelQueue::new(self)
    }

    fn add(
        &self,
        queue: &LevelQueue<P>,
        fd: &SimFd<P>,
        token: Token,
    ) -> Result<SetChange, RegisterFault> {
        queue.add(self, fd.number(), token)
    }

    fn remove(&self, queue: &LevelQueue<P>, fd: &SimFd<P>) -> io::Result<SetChange> {
        queue.remove(self, fd.number())
    }

    fn arm(
        &self,
        queue: &LevelQueue<P>,
        fd: &SimFd<P>,
        _token: Token,
        mode: Mode,
    ) -> io::Result<SetChange> {
        queue.arm(fd.number(), mode)
    }

    fn wait(&self, queue: &LevelQueue<P>, batch: &mut Reports, timeout: Timeout) -> io::Result<()> {
        queue.wait(self, batch, timeout)
    }

    fn post(&self, queue: &LevelQueue<P>) -> io::Result<()> {
        queue.post(self)
    }

    fn drain(&self, queue: &LevelQueue<P>) -> io::Result<()> {
        queue.drain(self)
    }
}
