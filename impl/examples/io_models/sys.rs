//! The system calls of the tour that the standard library does not have, and all of its unsafe
//! code: select, poll, epoll, a signal for readiness, io_uring, and the limit on descriptors.
//!
//! Every call is made once and says what it returned; nothing here decides what to wait for. A
//! call that a signal has interrupted (EINTR) is made again, which is right because each of them
//! either does not wait at all or waits without a limit ([`Wait`]).
//!
//! Out of scope: reading, which is `std::io::Read` on a socket of the standard library.

#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// Whether a call sleeps until there is something to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It looks, and returns.
    No,
    /// It sleeps as long as it takes.
    Yes,
}

impl Wait {
    /// The timeout in milliseconds, as poll and epoll_wait take it.
    fn millis(self) -> libc::c_int {
        match self {
            Wait::No => 0,
            Wait::Yes => -1,
        }
    }
}

/// Makes a call again while a signal interrupts it; -1 is the error in `errno`.
fn call(mut made: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        match made() {
            -1 => {}
            returned => return Ok(returned),
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn count(returned: libc::c_int) -> usize {
    usize::try_from(returned).expect("a count is not negative")
}

// --- select

/// A set of descriptors for [`select`]: an array of bits, as long as the C library was compiled
/// for.
pub(crate) struct FdSet<'fd> {
    bits: libc::fd_set,
    /// One more than the highest number that was put in: how far the kernel looks.
    end: libc::c_int,
    lent: PhantomData<BorrowedFd<'fd>>,
}

impl<'fd> FdSet<'fd> {
    /// The first number that has no bit.
    pub(crate) const SIZE: RawFd = libc::FD_SETSIZE as RawFd;

    pub(crate) fn new() -> FdSet<'fd> {
        let mut bits = MaybeUninit::uninit();
        // SAFETY: FD_ZERO writes the whole set that the pointer is to.
        unsafe { libc::FD_ZERO(bits.as_mut_ptr()) };
        // SAFETY: FD_ZERO has initialised it.
        FdSet { bits: unsafe { bits.assume_init() }, end: 0, lent: PhantomData }
    }

    /// Puts a descriptor in; false if its number has no bit. The macro of C does not look: it
    /// writes beside the set.
    pub(crate) fn insert(&mut self, fd: BorrowedFd<'fd>) -> bool {
        let number = fd.as_raw_fd();
        if number >= Self::SIZE {
            return false;
        }
        // SAFETY: the number is that of an open descriptor, so not negative, and below FD_SETSIZE.
        unsafe { libc::FD_SET(number, &mut self.bits) };
        self.end = self.end.max(number + 1);
        true
    }

    pub(crate) fn contains(&self, fd: BorrowedFd<'_>) -> bool {
        let number = fd.as_raw_fd();
        // SAFETY: the number is that of an open descriptor, so not negative, and below FD_SETSIZE.
        number < Self::SIZE && unsafe { libc::FD_ISSET(number, &self.bits) }
    }
}

/// select(2) for reading: how many are ready. The set is overwritten with those that are.
pub(crate) fn select(read: &mut FdSet<'_>, wait: Wait) -> io::Result<usize> {
    let FdSet { bits, end, .. } = read;
    let ready = call(|| {
        let mut zero = libc::timeval { tv_sec: 0, tv_usec: 0 };
        let limit = if wait == Wait::No { &raw mut zero } else { ptr::null_mut() };
        // SAFETY: `bits` and `zero` outlive the call; null stands for no set, and for no limit.
        unsafe { libc::select(*end, bits, ptr::null_mut(), ptr::null_mut(), limit) }
    })?;
    Ok(count(ready))
}

// --- poll

/// A descriptor for [`poll`], and what the kernel answered.
#[repr(transparent)]
pub(crate) struct Entry<'fd>(libc::pollfd, PhantomData<BorrowedFd<'fd>>);

impl<'fd> Entry<'fd> {
    /// Asks whether it can be read.
    pub(crate) fn new(fd: BorrowedFd<'fd>) -> Entry<'fd> {
        let asked = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        Entry(asked, PhantomData)
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// poll(2): how many of the entries are ready.
pub(crate) fn poll(entries: &mut [Entry<'_>], wait: Wait) -> io::Result<usize> {
    let length = libc::nfds_t::try_from(entries.len()).map_err(io::Error::other)?;
    let first = entries.as_mut_ptr().cast::<libc::pollfd>();
    // SAFETY: an Entry is a pollfd (transparent), and the slice is borrowed for the call.
    let ready = call(|| unsafe { libc::poll(first, length, wait.millis()) })?;
    Ok(count(ready))
}

// --- epoll

/// What an epoll reports of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// That it is ready, as long as it is.
    Level,
    /// That it has become ready, once.
    Edge,
}

/// An event queue: the set of descriptors lives in the kernel.
pub(crate) struct Epoll(OwnedFd);

impl Epoll {
    pub(crate) fn new() -> io::Result<Epoll> {
        // SAFETY: epoll_create1 takes an integer.
        let number = call(|| unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the call succeeded, so the number is new and nobody else owns it.
        Ok(Epoll(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// Puts a descriptor into the set, for reading; its events carry `label`.
    pub(crate) fn add(&self, fd: impl AsFd, label: u64, trigger: Trigger) -> io::Result<()> {
        let edge = if trigger == Trigger::Edge { libc::EPOLLET } else { 0 };
        let events = (libc::EPOLLIN | edge).cast_unsigned();
        let mut event = libc::epoll_event { events, u64: label };
        let (queue, number) = (self.0.as_raw_fd(), fd.as_fd().as_raw_fd());
        // SAFETY: `event` outlives the call, which only reads it.
        call(|| unsafe { libc::epoll_ctl(queue, libc::EPOLL_CTL_ADD, number, &mut event) })?;
        Ok(())
    }

    /// epoll_wait(2): the labels of at most eight events.
    pub(crate) fn wait(&self, wait: Wait) -> io::Result<Vec<u64>> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 8];
        let (queue, first) = (self.0.as_raw_fd(), events.as_mut_ptr());
        // SAFETY: `first` has room for the eight events that the call may write.
        let ready = call(|| unsafe { libc::epoll_wait(queue, first, 8, wait.millis()) })?;
        Ok(events[..count(ready)].iter().map(|event| event.u64).collect())
    }
}

// --- a signal for readiness

/// Linux's numbers, the same on all machines that the C bindings leave them out for.
const F_SETSIG: libc::c_int = 10;
const F_SETOWN_EX: libc::c_int = 15;

#[repr(C)]
struct Owner {
    kind: libc::c_int,
    id: libc::pid_t,
}

/// The owner is a thread.
const F_OWNER_TID: libc::c_int = 0;

/// While this lives, a real-time signal for this thread says when the descriptor has become
/// ready. The signals are blocked and taken out of a signalfd: no handler runs.
pub(crate) struct Signalled<'fd> {
    fd: BorrowedFd<'fd>,
    /// The signals that were blocked before.
    before: libc::sigset_t,
    signals: OwnedFd,
    /// Mask and owner are this thread's.
    here: PhantomData<*const ()>,
}

impl<'fd> Signalled<'fd> {
    pub(crate) fn new(fd: BorrowedFd<'fd>) -> io::Result<Signalled<'fd>> {
        let number = libc::SIGRTMIN() + 1;
        // SIGIO stands in for the signal when the kernel's queue of them is full.
        let set = set_of(&[number, libc::SIGIO])?;
        let before = mask(libc::SIG_BLOCK, &set)?;
        // From here on dropping it undoes what was done.
        let signals = signalfd(&set).inspect_err(|_| {
            let _no_more_can_be_done = mask(libc::SIG_SETMASK, &before);
        })?;
        let signalled = Signalled { fd, before, signals, here: PhantomData };
        let raw = fd.as_raw_fd();
        // SAFETY: F_SETSIG takes an integer.
        call(|| unsafe { libc::fcntl(raw, F_SETSIG, number) })?;
        // SAFETY: gettid takes nothing and cannot fail.
        let owner = Owner { kind: F_OWNER_TID, id: unsafe { libc::gettid() } };
        // SAFETY: `owner` is laid out as f_owner_ex and outlives the call, which only reads it.
        call(|| unsafe { libc::fcntl(raw, F_SETOWN_EX, &raw const owner) })?;
        signalled.asynchronous(true)?;
        Ok(signalled)
    }

    fn asynchronous(&self, on: bool) -> io::Result<()> {
        let raw = self.fd.as_raw_fd();
        // SAFETY: F_GETFL takes no argument.
        let flags = call(|| unsafe { libc::fcntl(raw, libc::F_GETFL) })?;
        let flags = if on { flags | libc::O_ASYNC } else { flags & !libc::O_ASYNC };
        // SAFETY: F_SETFL takes an integer.
        call(|| unsafe { libc::fcntl(raw, libc::F_SETFL, flags) })?;
        Ok(())
    }

    /// Takes a signal: the number of the descriptor that it is about, or `None` if there is no
    /// signal and the call was not to wait.
    pub(crate) fn take(&self, wait: Wait) -> io::Result<Option<RawFd>> {
        if poll(&mut [Entry::new(self.signals.as_fd())], wait)? == 0 {
            return Ok(None);
        }
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let (raw, size) = (self.signals.as_raw_fd(), mem::size_of_val(&info));
        // SAFETY: `info` has room for the `size` bytes that the call may write.
        let taken = call(|| unsafe { libc::read(raw, info.as_mut_ptr().cast(), size) as _ })?;
        assert_eq!(count(taken), size, "a signalfd gives whole records");
        // SAFETY: the call has written all of its bytes.
        Ok(Some(unsafe { info.assume_init() }.ssi_fd))
    }
}

impl Drop for Signalled<'_> {
    /// A signal that is left behind would end the process once it is not blocked any more.
    fn drop(&mut self) {
        let off = self.asynchronous(false);
        while let Ok(Some(_)) = self.take(Wait::No) {}
        if off.is_ok() {
            let _stays_blocked = mask(libc::SIG_SETMASK, &self.before);
        }
    }
}

fn set_of(signals: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `set` has room for what the call writes.
    call(|| unsafe { libc::sigemptyset(set.as_mut_ptr()) })?;
    for signal in signals {
        // SAFETY: sigemptyset has initialised the set.
        call(|| unsafe { libc::sigaddset(set.as_mut_ptr(), *signal) })?;
    }
    // SAFETY: sigemptyset has initialised it.
    Ok(unsafe { set.assume_init() })
}

/// Changes which signals are blocked in this thread: what was blocked before.
fn mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: `set` is read and `before` written during the call.
    match unsafe { libc::pthread_sigmask(how, set, before.as_mut_ptr()) } {
        // SAFETY: the call succeeded, so it has written the old mask.
        0 => Ok(unsafe { before.assume_init() }),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn signalfd(set: &libc::sigset_t) -> io::Result<OwnedFd> {
    // SAFETY: `set` outlives the call, which only reads it.
    let number = call(|| unsafe { libc::signalfd(-1, set, libc::SFD_CLOEXEC) })?;
    // SAFETY: the call succeeded, so the number is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

// --- io_uring

/// An io_uring, and the one read that may be under way on it.
pub(crate) struct Ring {
    ring: io_uring::IoUring,
    /// What the kernel writes into, from the submission to the completion.
    buffer: Vec<u8>,
    reading: bool,
}

impl Ring {
    /// A ring; or, in words, why the kernel has none for this process.
    pub(crate) fn new() -> io::Result<Result<Ring, String>> {
        let ring = match io_uring::IoUring::new(4) {
            Ok(ring) => ring,
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOSYS) => return Ok(Err(format!("the kernel has none ({error})"))),
                Some(libc::EPERM) => return Ok(Err(format!("it is not allowed here ({error})"))),
                _ => return Err(error),
            },
        };
        // It came with the same version as the operation that reads.
        if !ring.params().is_feature_rw_cur_pos() {
            return Ok(Err("the kernel is older than 5.6".to_owned()));
        }
        Ok(Ok(Ring { ring, buffer: vec![0; 64], reading: false }))
    }

    /// Submits a read under this label, and returns.
    ///
    /// # Panics
    ///
    /// When one is under way.
    pub(crate) fn read(&mut self, fd: impl AsFd, label: u64) -> io::Result<()> {
        assert!(!self.reading, "one read at a time");
        let number = io_uring::types::Fd(fd.as_fd().as_raw_fd());
        let (place, room) = (self.buffer.as_mut_ptr(), self.buffer.len());
        let room = u32::try_from(room).map_err(io::Error::other)?;
        let entry = io_uring::opcode::Read::new(number, place, room).build().user_data(label);
        // SAFETY: the buffer is neither touched nor freed while `reading` is set, and the number
        // is open until the kernel has taken the file behind it, at the submission below.
        unsafe { self.ring.submission().push(&entry) }.map_err(io::Error::other)?;
        self.reading = true;
        self.enter(0)
    }

    /// io_uring_enter(2): submits what was pushed, and waits for that many completions.
    fn enter(&self, completions: usize) -> io::Result<()> {
        loop {
            match self.ring.submit_and_wait(completions) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The label and the bytes of the read if it is complete. Looking into the completion queue
    /// is no system call.
    pub(crate) fn completed(&mut self, wait: Wait) -> io::Result<Option<(u64, Vec<u8>)>> {
        if wait == Wait::Yes {
            self.enter(1)?;
        }
        let Some(completion) = self.ring.completion().next() else { return Ok(None) };
        self.reading = false;
        match completion.result() {
            error @ ..0 => Err(io::Error::from_raw_os_error(-error)),
            read => Ok(Some((completion.user_data(), self.buffer[..count(read)].to_vec()))),
        }
    }
}

impl Drop for Ring {
    /// The kernel may write into the buffer until the read is complete: then it is not freed.
    fn drop(&mut self) {
        if self.reading {
            mem::forget(mem::take(&mut self.buffer));
        }
    }
}

// --- numbers

/// The limit on the numbers of this process, all its threads, raised while this lives.
pub(crate) struct Raised(Option<libc::rlimit>);

impl Drop for Raised {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // SAFETY: `before` outlives the call, which only reads it.
            let _it_stays_higher = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, before) };
        }
    }
}

/// Lets this process have `number`, or says up to which number it may go.
pub(crate) fn allow(number: RawFd) -> io::Result<Result<Raised, u64>> {
    let wanted = libc::rlim_t::try_from(number).map_err(io::Error::other)? + 1;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` has room for what the call writes.
    call(|| unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
    if limit.rlim_cur >= wanted {
        return Ok(Ok(Raised(None)));
    }
    if limit.rlim_max < wanted {
        return Ok(Err(limit.rlim_max));
    }
    let raised = libc::rlimit { rlim_cur: wanted, ..limit };
    // SAFETY: `raised` outlives the call, which only reads it.
    call(|| unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raised) })?;
    Ok(Ok(Raised(Some(limit))))
}

/// The same file under another number, the first free one from `least` on.
pub(crate) fn duplicate(fd: impl AsFd, least: RawFd) -> io::Result<OwnedFd> {
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: F_DUPFD_CLOEXEC takes an integer.
    let number = call(|| unsafe { libc::fcntl(raw, libc::F_DUPFD_CLOEXEC, least) })?;
    // SAFETY: the call succeeded, so the number is new and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
