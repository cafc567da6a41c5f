//! The event queue of Linux: an epoll, and an eventfd in it that is the break.
//!
//! # What is registered how
//!
//! A descriptor is registered once, for reading and writing at the same time, edge-triggered:
//! the mask of Go, and urgent data, which may stop a read short (NP-READ-6). There is nothing to arm later. The eventfd is registered level-triggered
//! under [`Token::BREAK`], so the queue reports it for as long as its counter is not zero.
//!
//! # Timeouts
//!
//! A wait never ends before its timeout. `epoll_pwait2` takes nanoseconds; where the kernel does
//! not have it (before 5.11, or a sandbox that refuses it) `epoll_wait` takes milliseconds, and
//! the rest is rounded up. Which of the two it is, is found out once per process.
//!
//! A timeout costs even a wait that finds something at once: the kernel reads it, and the clock, before it looks. So
//! where waits are likely to find something, one with a timeout looks without one first ([`Luck`]).
//!
//! # Out of scope
//!
//! The flag of the break, which decides whether a token is written at all, and the election of
//! the thread that waits: those are the poller's.

use super::{Failure, Returned, fd, millis_up};
use crate::seam::{Event, RegisterFault, Timeout};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::time::Duration;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

// The bits of an event are handed on as they are.
const _: () = {
    assert!(Bits::IN.0 == libc::EPOLLIN.cast_unsigned());
    assert!(Bits::PRI.0 == libc::EPOLLPRI.cast_unsigned());
    assert!(Bits::OUT.0 == libc::EPOLLOUT.cast_unsigned());
    assert!(Bits::ERR.0 == libc::EPOLLERR.cast_unsigned());
    assert!(Bits::HUP.0 == libc::EPOLLHUP.cast_unsigned());
    assert!(Bits::RDHUP.0 == libc::EPOLLRDHUP.cast_unsigned());
};

/// What a descriptor is registered for.
const BOTH_DIRECTIONS: u32 =
    Bits::IN.or(Bits::PRI).or(Bits::OUT).or(Bits::RDHUP).0 | libc::EPOLLET.cast_unsigned();

/// An epoll and its break.
pub struct EventQueue {
    epoll: OwnedFd,
    eventfd: OwnedFd,
    luck: Luck,
}

/// Whether the next wait is likely to find something at once. A look that finds nothing was in vain, and costs a system
/// call; so after it so many waits pass until the next one is tried. Guesses by several threads may get lost.
#[derive(Debug)]
struct Luck {
    /// How many waits are to pass until one is tried. 0: the last one that was tried has found something.
    pause: AtomicU32,
}

impl Luck {
    const PAUSE: u32 = 64;

    const fn new() -> Luck {
        Luck { pause: AtomicU32::new(Luck::PAUSE) }
    }

    /// A wait is about to begin: whether it is to look first.
    fn is_to_be_tried(&self) -> bool {
        // Relaxed, here and below: nothing depends on it but time.
        let pause = self.pause.load(Ordering::Relaxed);
        if pause > 0 {
            self.pause.store(pause - 1, Ordering::Relaxed);
        }
        pause <= 1
    }

    /// A look has found something, or nothing.
    fn learn(&self, found: bool) {
        self.pause.store(if found { 0 } else { Luck::PAUSE }, Ordering::Relaxed);
    }
}

impl core::fmt::Debug for EventQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "epoll {} with eventfd {}", self.epoll.as_raw_fd(), self.eventfd.as_raw_fd())
    }
}

/// The epoll, which is readable while there is something to harvest: so the queue can be waited
/// for inside another one.
impl AsFd for EventQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// A buffer of harvested events. The first `count` entries are the newest harvest.
pub struct Harvest {
    events: Box<[libc::epoll_event]>,
    count: usize,
}

impl core::fmt::Debug for Harvest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries((0..self.count).map(|place| self.event(place))).finish()
    }
}

impl Harvest {
    pub(super) fn new(capacity: usize) -> Harvest {
        assert!(capacity > 0, "a buffer for no events: the kernel refuses to fill it");
        let nothing = libc::epoll_event { events: 0, u64: 0 };
        Harvest { events: vec![nothing; capacity].into_boxed_slice(), count: 0 }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn event(&self, place: usize) -> Event {
        let event = self.events[..self.count][place];
        Event { token: Token::from_bits(event.u64), bits: Bits(event.events) }
    }

    fn capacity(&self) -> libc::c_int {
        libc::c_int::try_from(self.events.len()).unwrap_or(libc::c_int::MAX)
    }
}

pub(super) fn queue() -> io::Result<EventQueue> {
    // SAFETY: epoll_create1 takes an integer and touches no memory of ours.
    let new = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    let new = new.or_errno().map_err(|e| no_queue("epoll_create1", e))?;
    // SAFETY: epoll_create1 succeeded, so this is a new number and nobody else has it.
    let epoll = unsafe { fd::own(new) };

    // SAFETY: eventfd takes integers and touches no memory of ours.
    let new = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    let new = new.or_errno().map_err(|e| no_queue("eventfd", e))?;
    // SAFETY: eventfd succeeded, so this is a new number and nobody else has it.
    let eventfd = unsafe { fd::own(new) };

    let number = eventfd.as_raw_fd();
    control(&epoll, libc::EPOLL_CTL_ADD, number, Bits::IN.0, Token::BREAK)
        .map_err(|e| Failure::of("epoll_ctl(ADD) of the break", number, e))?;
    Ok(EventQueue { epoll, eventfd, luck: Luck::new() })
}

fn no_queue(call: &'static str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("no event queue: {call}: {error}"))
}

pub(super) fn add(queue: &EventQueue, number: RawFd, token: Token) -> Result<(), RegisterFault> {
    control(&queue.epoll, libc::EPOLL_CTL_ADD, number, BOTH_DIRECTIONS, token).map_err(|error| {
        let not_pollable = error.raw_os_error() == Some(libc::EPERM);
        let error = Failure::of("epoll_ctl(ADD)", number, error);
        if not_pollable { RegisterFault::NotPollable(error) } else { RegisterFault::Failed(error) }
    })
}

pub(super) fn remove(queue: &EventQueue, number: RawFd) -> io::Result<()> {
    // The token is not looked at; old kernels want a structure all the same.
    control(&queue.epoll, libc::EPOLL_CTL_DEL, number, 0, Token::BREAK)
        .map_err(|e| Failure::of("epoll_ctl(DEL)", number, e))
}

fn control(
    epoll: &OwnedFd,
    operation: libc::c_int,
    number: RawFd,
    mask: u32,
    token: Token,
) -> io::Result<()> {
    let mut event = libc::epoll_event { events: mask, u64: token.bits() };
    // SAFETY: `event` outlives the call, which only reads it.
    unsafe { libc::epoll_ctl(epoll.as_raw_fd(), operation, number, &mut event) }
        .or_errno()
        .map(drop)
}

pub(super) fn wait(queue: &EventQueue, batch: &mut Harvest, timeout: Timeout) -> io::Result<()> {
    batch.count = 0;
    let number = queue.epoll.as_raw_fd();
    let harvested = match timeout {
        Timeout::Zero => wait_millis(number, batch, 0),
        Timeout::Never => wait_millis(number, batch, -1),
        Timeout::After(delay) => look_and_wait(queue, batch, delay),
    };
    match harvested {
        Ok(count) => {
            batch.count = count;
            Ok(())
        }
        // Part of everyday life, so it is passed on without an allocation.
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
        Err(error) => Err(Failure::of("epoll_wait", number, error)),
    }
}

fn look_and_wait(queue: &EventQueue, batch: &mut Harvest, delay: Duration) -> io::Result<usize> {
    let number = queue.epoll.as_raw_fd();
    if queue.luck.is_to_be_tried() {
        let count = wait_millis(number, batch, 0)?;
        queue.luck.learn(count > 0);
        if count > 0 {
            return Ok(count);
        }
    }
    wait_for(number, batch, delay)
}

/// Whether this process has been told that there is no `epoll_pwait2`. Only a hint that saves a
/// system call, so nothing needs to be ordered by it.
static NO_PWAIT2: AtomicBool = AtomicBool::new(false);

fn wait_for(number: RawFd, batch: &mut Harvest, delay: Duration) -> io::Result<usize> {
    if !NO_PWAIT2.load(Ordering::Relaxed) {
        match wait_nanos(number, batch, delay) {
            // EPERM is no error of this call; it is what a sandbox says to calls it does not know.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                NO_PWAIT2.store(true, Ordering::Relaxed);
            }
            result => return result,
        }
    }
    let mut left = millis_up(delay);
    loop {
        let now = i32::try_from(left).unwrap_or(i32::MAX);
        let count = wait_millis(number, batch, now)?;
        left -= now as u128;
        if count > 0 || left == 0 {
            return Ok(count);
        }
    }
}

fn wait_millis(number: RawFd, batch: &mut Harvest, millis: i32) -> io::Result<usize> {
    let room = batch.capacity();
    // SAFETY: the buffer has `room` entries and is borrowed by nobody else.
    let count = unsafe { libc::epoll_wait(number, batch.events.as_mut_ptr(), room, millis) };
    count.or_errno().map(|count| count.cast_unsigned() as usize)
}

/// The kernel's own `timespec`: 64 bits on every architecture, unlike that of some C libraries.
#[repr(C)]
struct KernelTimespec {
    seconds: i64,
    nanos: i64,
}

fn wait_nanos(number: RawFd, batch: &mut Harvest, delay: Duration) -> io::Result<usize> {
    let room = batch.capacity();
    let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
    let delay = KernelTimespec { seconds, nanos: i64::from(delay.subsec_nanos()) };
    let delay: *const KernelTimespec = &raw const delay;
    let events = batch.events.as_mut_ptr();
    let no_mask: *const libc::sigset_t = core::ptr::null();
    // By number, because C libraries have the function only since a few years.
    // SAFETY: `events` has `room` entries and is borrowed by nobody else, `delay` outlives the
    // call, and without a signal mask its size is not looked at.
    let count = unsafe {
        libc::syscall(libc::SYS_epoll_pwait2, number, events, room, delay, no_mask, 0_usize)
    };
    count.or_errno().map(|count| count as usize)
}

pub(super) fn post(queue: &EventQueue) -> io::Result<()> {
    let number = queue.eventfd.as_raw_fd();
    loop {
        match fd::write_raw(number, &1_u64.to_ne_bytes()) {
            Ok(_) => return Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                // The counter is full: there are tokens enough.
                io::ErrorKind::WouldBlock => return Ok(()),
                _ => return Err(Failure::of("write to the break", number, error)),
            },
        }
    }
}

pub(super) fn drain(queue: &EventQueue) -> io::Result<()> {
    let number = queue.eventfd.as_raw_fd();
    loop {
        match fd::read_raw(number, &mut [0; 8]) {
            Ok(_) => return Ok(()),
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                // Another poller was quicker.
                io::ErrorKind::WouldBlock => return Ok(()),
                _ => return Err(Failure::of("read from the break", number, error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_a_little(queue: &EventQueue) -> usize {
        let mut batch = Harvest::new(2);
        wait(queue, &mut batch, Timeout::After(Duration::from_millis(1))).expect("it waits");
        batch.count()
    }

    fn pause(queue: &EventQueue) -> u32 {
        queue.luck.pause.load(Ordering::Relaxed)
    }

    /// However a wait begins, it finds what is there, and ends no earlier than its timeout where nothing is.
    #[test]
    fn a_wait_looks_first_where_the_one_before_has_found_something_at_once() {
        let queue = queue().expect("an event queue");
        post(&queue).expect("a token");
        for left in (0..Luck::PAUSE).rev() {
            assert_eq!(wait_a_little(&queue), 1, "the token is there");
            assert_eq!(pause(&queue), left, "so many waits are left until one is tried");
        }
        for _ in 0..3 {
            assert_eq!(wait_a_little(&queue), 1, "the token is there");
            assert_eq!(pause(&queue), 0, "a look that found something is tried again");
        }
        drain(&queue).expect("the token");
        for passed in 0..3 {
            let begin = std::time::Instant::now();
            assert_eq!(wait_a_little(&queue), 0, "nothing is there");
            let took = begin.elapsed();
            assert!(took >= Duration::from_millis(1), "the wait ended after {took:?}");
            assert_eq!(
                pause(&queue),
                Luck::PAUSE - passed,
                "a look was in vain, and is not repeated"
            );
        }
    }
}
