//! What the tests do to a process behind the back of the poller: the only unsafe of this crate.
//!
//! Most of these functions break on purpose what Rust's ownership of descriptors promises, or
//! change the process for good. They belong into a child process
//! ([`in_child`](crate::in_child)).

#![allow(unsafe_code)]

pub mod stopping;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread::JoinHandle;

fn checked(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// Closes a number that somebody else owns.
///
/// # Errors
///
/// Those of close(2).
pub fn close_behind_the_back(number: RawFd) -> io::Result<()> {
    // SAFETY: close takes an integer; the owner of the number is what the test is about.
    checked(unsafe { libc::close(number) }).map(drop)
}

/// Makes a number that somebody else owns mean the file behind `fd`.
///
/// # Errors
///
/// Those of dup2(2).
pub fn replace_behind_the_back(number: RawFd, fd: impl AsFd) -> io::Result<()> {
    // SAFETY: dup2 takes integers; the owner of the number is what the test is about.
    checked(unsafe { libc::dup2(fd.as_fd().as_raw_fd(), number) }).map(drop)
}

/// Whether the number is open in this process.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD takes no argument and touches no memory.
    unsafe { libc::fcntl(number, libc::F_GETFD) != -1 }
}

/// An eventfd with this count.
///
/// # Errors
///
/// Those of eventfd(2).
pub fn eventfd(count: u32) -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes integers and touches no memory of ours.
    let number = checked(unsafe { libc::eventfd(count, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) })?;
    // SAFETY: eventfd succeeded, so this is a new number and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Adds to the count of an eventfd that somebody else owns.
///
/// # Errors
///
/// Those of write(2) on an eventfd.
pub fn add_behind_the_back(eventfd: RawFd, count: u64) -> io::Result<()> {
    let bytes = count.to_ne_bytes();
    // SAFETY: pointer and length are those of one borrow, which write only reads.
    let written = unsafe { libc::write(eventfd, bytes.as_ptr().cast(), bytes.len()) };
    if written == 8 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A number that a system call has just returned, or its error.
fn owned(returned: libc::c_int) -> io::Result<OwnedFd> {
    let number = checked(returned)?;
    // SAFETY: the callers hand over what a system call has just returned as a new number.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A timerfd that is not set.
///
/// # Errors
///
/// Those of timerfd_create(2).
pub fn timerfd() -> io::Result<OwnedFd> {
    let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
    // SAFETY: timerfd_create takes integers and touches no memory of ours.
    owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })
}

/// Sets a timerfd: it expires once, after this time.
///
/// # Errors
///
/// Those of timerfd_settime(2).
pub fn set_timerfd(timer: impl AsFd, after: std::time::Duration) -> io::Result<()> {
    let once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let seconds = libc::time_t::try_from(after.as_secs()).map_err(io::Error::other)?;
    let value = libc::timespec { tv_sec: seconds, tv_nsec: after.subsec_nanos().into() };
    let setting = libc::itimerspec { it_interval: once, it_value: value };
    let number = timer.as_fd().as_raw_fd();
    // SAFETY: `setting` outlives the call, which only reads it; the old setting is not asked for.
    checked(unsafe { libc::timerfd_settime(number, 0, &setting, core::ptr::null_mut()) }).map(drop)
}

/// A descriptor that is readable when the child has ended.
///
/// # Errors
///
/// Those of pidfd_open(2).
pub fn pidfd(child: &std::process::Child) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes integers and touches no memory of ours.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), libc::O_NONBLOCK) };
    owned(libc::c_int::try_from(number).map_err(io::Error::other)?)
}

/// An inotify that tells of files that are made in the folder.
///
/// # Errors
///
/// Those of inotify_init1(2) and inotify_add_watch(2).
pub fn inotify(folder: &std::ffi::CStr) -> io::Result<OwnedFd> {
    // SAFETY: inotify_init1 takes an integer and touches no memory of ours.
    let inotify = owned(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
    let number = inotify.as_raw_fd();
    // SAFETY: the name ends with a NUL byte and outlives the call, which only reads it.
    checked(unsafe { libc::inotify_add_watch(number, folder.as_ptr(), libc::IN_CREATE) })?;
    Ok(inotify)
}

/// The two sides of a pseudo-terminal: its master and its slave.
///
/// # Errors
///
/// Those of openpty(3).
pub fn pty() -> io::Result<(OwnedFd, OwnedFd)> {
    let (mut master, mut slave) = (-1, -1);
    let null = core::ptr::null_mut();
    let (settings, size) = (core::ptr::null(), core::ptr::null());
    // SAFETY: both numbers have room for what openpty writes; no name and no settings are asked for.
    checked(unsafe { libc::openpty(&mut master, &mut slave, null, settings, size) })?;
    Ok((owned(master)?, owned(slave)?))
}

/// Makes a FIFO.
///
/// # Errors
///
/// Those of mkfifo(3).
pub fn make_fifo(path: &std::ffi::CStr) -> io::Result<()> {
    // SAFETY: the name ends with a NUL byte and outlives the call, which only reads it.
    checked(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }).map(drop)
}

/// Registers `fd` with somebody's epoll, level-triggered for reading, under `data`.
///
/// # Errors
///
/// Those of epoll_ctl(2).
pub fn epoll_add(epoll: impl AsFd, fd: impl AsFd, data: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: data };
    let (epoll, fd) = (epoll.as_fd().as_raw_fd(), fd.as_fd().as_raw_fd());
    // SAFETY: `event` outlives the call, which only reads it.
    checked(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) }).map(drop)
}

/// An event queue.
///
/// # Errors
///
/// Those of epoll_create1(2).
pub fn epoll() -> io::Result<OwnedFd> {
    // SAFETY: epoll_create1 takes an integer and touches no memory of ours.
    let number = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: epoll_create1 succeeded, so this is a new number and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// epoll_ctl(2) on bare numbers, with this mask and label.
///
/// # Errors
///
/// Those of epoll_ctl(2).
pub fn epoll_control(
    epoll: RawFd,
    operation: libc::c_int,
    number: RawFd,
    mask: u32,
    data: u64,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events: mask, u64: data };
    // SAFETY: `event` outlives the call, which only reads it.
    checked(unsafe { libc::epoll_ctl(epoll, operation, number, &mut event) }).map(drop)
}

/// epoll_wait(2) on a bare number: how many of `events` were filled.
///
/// # Errors
///
/// Those of epoll_wait(2).
pub fn epoll_wait(
    epoll: RawFd,
    events: &mut [libc::epoll_event],
    timeout: libc::c_int,
) -> io::Result<usize> {
    let room = libc::c_int::try_from(events.len()).map_err(io::Error::other)?;
    // SAFETY: pointer and room are those of one exclusive borrow, which outlives the call.
    let count = checked(unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), room, timeout) })?;
    usize::try_from(count).map_err(io::Error::other)
}

/// The ends of a pipe: to read from, to write to.
///
/// # Errors
///
/// Those of pipe2(2).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut numbers = [0; 2];
    // SAFETY: `numbers` has room for the two that pipe2 writes.
    checked(unsafe { libc::pipe2(numbers.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
    // SAFETY: pipe2 succeeded, so these are new numbers and nobody else has them.
    let [read, write] = numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) });
    Ok((read, write))
}

/// read(2) on a bare number.
///
/// # Errors
///
/// Those of read(2).
pub fn read(number: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one exclusive borrow, which outlives the call.
    let count = unsafe { libc::read(number, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// write(2) on a bare number.
///
/// # Errors
///
/// Those of write(2).
pub fn write(number: RawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: pointer and length are those of one borrow, which write only reads.
    let count = unsafe { libc::write(number, bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Closing this socket from now on breaks the connection off: the peer gets a reset.
///
/// # Errors
///
/// Those of setsockopt(2).
pub fn reset_on_close(socket: impl AsFd) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let (value, size) = ((&raw const linger).cast(), size_of::<libc::linger>() as libc::socklen_t);
    let (socket, level) = (socket.as_fd().as_raw_fd(), libc::SOL_SOCKET);
    // SAFETY: pointer and size are those of `linger`, which outlives the call and is only read.
    checked(unsafe { libc::setsockopt(socket, level, libc::SO_LINGER, value, size) }).map(drop)
}

/// The number by which the kernel knows the calling thread.
#[must_use]
pub fn thread_number() -> libc::pid_t {
    // SAFETY: gettid takes nothing, touches no memory of ours and cannot fail.
    unsafe { libc::gettid() }
}

/// Lowers or raises how many numbers this process may use: all of them are below `limit`.
///
/// # Errors
///
/// Those of setrlimit(2); a limit below zero.
pub fn limit_descriptors(limit: RawFd) -> io::Result<()> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `now` has room for what getrlimit writes.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut now) })?;
    now.rlim_cur = libc::rlim_t::try_from(limit).map_err(io::Error::other)?;
    // SAFETY: `now` outlives the call, which only reads it.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &now) }).map(drop)
}

/// Lowers for good how many numbers this process may use: it cannot raise the limit again.
///
/// # Errors
///
/// Those of setrlimit(2); a limit below zero.
pub fn cap_descriptors(limit: RawFd) -> io::Result<()> {
    let limit = libc::rlim_t::try_from(limit).map_err(io::Error::other)?;
    let capped = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    // SAFETY: `capped` outlives the call, which only reads it.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &capped) }).map(drop)
}

/// Gives SIGPIPE back its default meaning: the end of the process.
///
/// # Errors
///
/// Those of signal(2).
pub fn let_sigpipe_kill() -> io::Result<()> {
    // SAFETY: SIG_DFL is no function of ours, so nothing runs in a signal handler.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if before == libc::SIG_ERR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

/// From now on SIGUSR1 is counted and interrupts system calls.
///
/// # Errors
///
/// Those of sigaction(2).
pub fn count_sigusr1() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int) = count_signal;
    // SAFETY: sigaction is plain data for which zeroes mean: no flags, so no SA_RESTART.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    // SAFETY: the handler does nothing but one atomic addition, which is allowed in a handler.
    let set = unsafe { libc::sigaction(libc::SIGUSR1, &action, core::ptr::null_mut()) };
    checked(set).map(drop)
}

/// From now on SIGUSR1 waits for [`await_sigusr1`] on this thread and on those that it starts.
///
/// # Errors
///
/// Those of pthread_sigmask(3).
pub fn block_sigusr1() -> io::Result<()> {
    let set = only_sigusr1();
    // SAFETY: `set` outlives the call, and the old mask is not asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, core::ptr::null_mut()) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Waits for a SIGUSR1 that is blocked, and takes it.
///
/// # Errors
///
/// Those of sigwait(3).
pub fn await_sigusr1() -> io::Result<()> {
    let (set, mut signal) = (only_sigusr1(), 0);
    // SAFETY: both outlive the call.
    let error = unsafe { libc::sigwait(&set, &mut signal) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Runs `body` in a child that is forked from this process, which is a copy of it with this thread
/// alone. Returns whether it ended well; what a panic says is on the standard error.
///
/// # Errors
///
/// Those of fork(2) and waitpid(2).
pub fn in_fork(body: impl FnOnce()) -> io::Result<bool> {
    // SAFETY: the child does what this thread would do, and the C library hands it locks of its own
    // that are free, those of the allocator among them; no other thread of this process holds any
    // lock that the body takes, which is what callers run in a process of their own for.
    let child = checked(unsafe { libc::fork() })?;
    if child == 0 {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
        // SAFETY: ends the process at once; nothing of it is needed any more.
        unsafe { libc::_exit(i32::from(!done)) }
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    checked(unsafe { libc::waitpid(child, &mut status, 0) })?;
    Ok(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0)
}

fn only_sigusr1() -> libc::sigset_t {
    // SAFETY: sigset_t is plain data, which sigemptyset fills in.
    let mut set: libc::sigset_t = unsafe { core::mem::zeroed() };
    // SAFETY: `set` is borrowed by nobody else.
    unsafe { libc::sigemptyset(&mut set) };
    // SAFETY: as before; the signal exists.
    unsafe { libc::sigaddset(&mut set, libc::SIGUSR1) };
    set
}

/// How many SIGUSR1 have been counted.
#[must_use]
pub fn signals() -> u64 {
    SIGNALS.load(Ordering::Relaxed)
}

/// Sends SIGUSR1 to a thread that has not been joined.
///
/// # Errors
///
/// Those of pthread_kill(3).
pub fn interrupt<T>(thread: &JoinHandle<T>) -> io::Result<()> {
    // SAFETY: the thread has not been joined, since its handle is there, so its id is valid.
    let error = unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Sends one byte as urgent data (TCP).
///
/// # Errors
///
/// Those of send(2).
pub fn send_urgent(socket: impl AsFd, byte: u8) -> io::Result<()> {
    let (number, bytes) = (socket.as_fd().as_raw_fd(), [byte]);
    // SAFETY: `bytes` is one byte long and outlives the call, which only reads it.
    let sent = unsafe { libc::send(number, bytes.as_ptr().cast(), 1, libc::MSG_OOB) };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sends one byte, and a descriptor with it (`SCM_RIGHTS`).
///
/// # Errors
///
/// Those of sendmsg(2).
pub fn send_descriptor(socket: impl AsFd, byte: u8, fd: impl AsFd) -> io::Result<()> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        fd: RawFd,
        padding: u32,
    }
    let length = size_of::<libc::cmsghdr>() + size_of::<RawFd>();
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: length as _,
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        fd: fd.as_fd().as_raw_fd(),
        padding: 0,
    };
    let mut bytes = [byte];
    let mut piece = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: a message header is integers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut piece;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let number = socket.as_fd().as_raw_fd();
    // SAFETY: the header, the byte and the control message it points to outlive the call, which reads them.
    let sent = unsafe { libc::sendmsg(number, &raw const message, 0) };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// From now on this thread, and those it starts, get `error` from the system call `number`: what
/// an old kernel (ENOSYS) or a sandbox (EPERM) does.
///
/// # Errors
///
/// Those of prctl(2); a number that no system call has.
pub fn refuse_system_call(number: libc::c_long, error: libc::c_int) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let number = u32::try_from(number).map_err(io::Error::other)?;
    let mut filter = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0), // the number of the call
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | error.cast_unsigned()),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: PR_SET_NO_NEW_PRIVS takes integers.
    checked(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let mode = libc::SECCOMP_MODE_FILTER;
    // SAFETY: `program` and the four steps it points to outlive the call, which copies them.
    checked(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) }).map(drop)
}

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<i64> = const { Cell::new(0) };
}

/// The allocator of the system, which counts for each thread how often it allocates, and how many
/// bytes it holds.
#[derive(Debug)]
pub struct CountingAllocator;

/// How often this thread has allocated memory so far.
#[must_use]
pub fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// How many bytes this thread has allocated so far, less what it has given back.
#[must_use]
pub fn allocated_bytes() -> i64 {
    BYTES.with(Cell::get)
}

/// How many bytes this process holds, all threads together.
static HELD: AtomicI64 = AtomicI64::new(0);

/// How many bytes all threads of this process have allocated so far, less what they have given back.
#[must_use]
pub fn held_bytes() -> i64 {
    HELD.load(Ordering::Relaxed)
}

fn count_allocation(bytes: usize) {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
    count_bytes(bytes, 0);
}

/// A block can be no larger than `isize::MAX`, so neither number is cut off.
fn count_bytes(more: usize, less: usize) {
    BYTES.with(|bytes| bytes.set(bytes.get() + more as i64 - less as i64));
    HELD.fetch_add(more as i64 - less as i64, Ordering::Relaxed);
}

// SAFETY: every call is passed on to the allocator of the system as it came; the counter is a
// plain number in thread-local memory that needs no allocation and no destructor.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count_allocation(size);
        count_bytes(0, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`; the block is the system's.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count_bytes(0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`; the block is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}
