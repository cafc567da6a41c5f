//! poll(2), and the pipes that break it: what a level-triggered queue ([`crate::level`]) is made of.
//!
//! # Timeouts
//!
//! A call never ends before its timeout. ppoll(2) takes nanoseconds; where there is only poll(2), which
//! takes milliseconds, the rest is rounded up, and what does not fit into one call takes several.
//!
//! # Signals
//!
//! A [`Pipe`] with a byte in it, or none. Both ends are non-blocking: a pipe that is full is up already,
//! one that is empty is down.
//!
//! # Out of scope
//!
//! The set: which numbers are asked about, and who asks.

use super::{Descriptor, Failure, Returned, fd};
use crate::level::{Asked, Multiplexer, NOT_OPEN};
use crate::seam::{Instant, Os, RegisterFault, System, Timeout};
use core::mem::{offset_of, size_of};
use netpoller_spec::events::Bits;
use std::io;
use std::os::fd::RawFd;

/// Any Unix, with poll(2) and a set of its own as its event queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct PosixPoll;

// The array is handed on as it is, and so are the bits.
const _: () = {
    assert!(size_of::<Asked>() == size_of::<libc::pollfd>());
    assert!(align_of::<Asked>() == align_of::<libc::pollfd>());
    assert!(offset_of!(Asked, number) == offset_of!(libc::pollfd, fd));
    assert!(offset_of!(Asked, events) == offset_of!(libc::pollfd, events));
    assert!(offset_of!(Asked, found) == offset_of!(libc::pollfd, revents));
    assert!(Bits::IN.0 as i16 == libc::POLLIN);
    assert!(Bits::PRI.0 as i16 == libc::POLLPRI);
    assert!(Bits::OUT.0 as i16 == libc::POLLOUT);
    assert!(Bits::ERR.0 as i16 == libc::POLLERR);
    assert!(Bits::HUP.0 as i16 == libc::POLLHUP);
    assert!(NOT_OPEN == libc::POLLNVAL);
};

/// Readable from the first byte to the last.
#[derive(Debug)]
pub struct Pipe {
    reader: Descriptor,
    writer: Descriptor,
}

impl Multiplexer for PosixPoll {
    type Signal = Pipe;

    #[cfg(target_os = "linux")]
    const READ: i16 = libc::POLLRDHUP;
    // Its bit is another one elsewhere, and the end of a stream is readable anyway.
    #[cfg(not(target_os = "linux"))]
    const READ: i16 = 0;

    fn signal(&self) -> io::Result<Pipe> {
        let (reader, writer) = fd::pipe()
            .map_err(|error| io::Error::new(error.kind(), format!("no event queue: {error}")))?;
        Ok(Pipe { reader, writer })
    }

    fn number(signal: &Pipe) -> RawFd {
        signal.reader.raw()
    }

    fn raise(&self, signal: &Pipe) -> io::Result<()> {
        loop {
            match fd::write(&signal.writer, &[0]) {
                Ok(_) => return Ok(()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(()), // it is full
                    _ => return Err(Failure::of("write to a break", signal.writer.raw(), error)),
                },
            }
        }
    }

    fn lower(&self, signal: &Pipe) -> io::Result<()> {
        let mut bytes = [0; 64];
        loop {
            match fd::read(&signal.reader, &mut bytes) {
                Ok(count) if count < bytes.len() => return Ok(()),
                Ok(_) => {}
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return Ok(()),
                    _ => return Err(Failure::of("read from a break", signal.reader.raw(), error)),
                },
            }
        }
    }

    /// poll(2) has an answer for everything, and says of a file that it is always ready. Whoever
    /// asked would never wait; so the answer is that of epoll.
    fn pollable(&self, number: RawFd) -> Result<(), RegisterFault> {
        let kind = fd::kind(number)
            .map_err(|error| RegisterFault::Failed(Failure::of("fstat", number, error)))?;
        match kind {
            libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK => {
                let error = io::Error::from_raw_os_error(libc::EPERM);
                Err(RegisterFault::NotPollable(Failure::of("registering a file", number, error)))
            }
            _ => Ok(()),
        }
    }

    fn ask(&self, asked: &mut [Asked], timeout: Timeout) -> io::Result<usize> {
        match ask(asked, timeout) {
            // Part of everyday life, so it is passed on without an allocation.
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(io::Error::new(
                error.kind(),
                format!("poll on {} numbers: {error}", asked.len()),
            )),
            result => result,
        }
    }

    fn now(&self) -> Instant {
        Os.now()
    }
}

#[cfg(all(not(netpoller_portable), any(target_os = "linux", target_os = "freebsd")))]
fn ask(asked: &mut [Asked], timeout: Timeout) -> io::Result<usize> {
    let timeout = match timeout {
        Timeout::Zero => Some(core::time::Duration::ZERO),
        Timeout::After(delay) => Some(delay),
        Timeout::Never => None,
    };
    let timeout = timeout.map(|delay| libc::timespec {
        // Far enough for whoever waits longer than the type can say.
        tv_sec: delay.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: delay.subsec_nanos() as _,
    });
    let until = timeout.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    let (start, count) = (asked.as_mut_ptr().cast(), asked.len() as libc::nfds_t);
    // SAFETY: `count` entries with the layout of a pollfd lie at `start` and are borrowed by nobody
    // else; `until` is null or outlives the call; without a signal mask none is read.
    let found = unsafe { libc::ppoll(start, count, until, core::ptr::null()) };
    found.or_errno().map(|found| found.cast_unsigned() as usize)
}

#[cfg(any(netpoller_portable, not(any(target_os = "linux", target_os = "freebsd"))))]
fn ask(asked: &mut [Asked], timeout: Timeout) -> io::Result<usize> {
    let delay = match timeout {
        Timeout::Zero => core::time::Duration::ZERO,
        Timeout::After(delay) => delay,
        Timeout::Never => return ask_for(asked, -1),
    };
    let mut left = super::millis_up(delay);
    loop {
        let now = i32::try_from(left).unwrap_or(i32::MAX);
        let found = ask_for(asked, now)?;
        left -= now as u128;
        if found > 0 || left == 0 {
            return Ok(found);
        }
    }
}

#[cfg(any(netpoller_portable, not(any(target_os = "linux", target_os = "freebsd"))))]
fn ask_for(asked: &mut [Asked], millis: libc::c_int) -> io::Result<usize> {
    let (start, count) = (asked.as_mut_ptr().cast(), asked.len() as libc::nfds_t);
    // SAFETY: `count` entries with the layout of a pollfd lie at `start` and are borrowed by nobody
    // else.
    let found = unsafe { libc::poll(start, count, millis) };
    found.or_errno().map(|found| found.cast_unsigned() as usize)
}
