//! The calls that only an `unsafe` block can make, and those about the process.

use polling::{Event, PollMode, Poller};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// How many descriptors this process may have open: its limit is raised as far as that is allowed.
pub(crate) fn open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum.unwrap_or(u64::MAX),
        Err(_refused) => current.unwrap_or(u64::MAX),
    }
}

/// Runs on so many cores, the last ones of those that the process may use. Whoever is started
/// from this thread does so too.
pub(crate) fn use_cores(allowed: &CpuSet, cores: usize) -> io::Result<()> {
    let mut some = CpuSet::new();
    let all = (0..CpuSet::MAX_CPU).rev().filter(|&core| allowed.is_set(core));
    for core in all.take(cores) {
        some.set(core);
    }
    Ok(sched_setaffinity(None, &some)?)
}

/// Runs on all of them again.
pub(crate) fn use_all(allowed: &CpuSet) -> io::Result<()> {
    Ok(sched_setaffinity(None, allowed)?)
}

/// The cores that this process may use.
pub(crate) fn cores() -> io::Result<CpuSet> {
    Ok(sched_getaffinity(None)?)
}

/// Registers with polling. Whoever calls takes it out again before it is closed, or closes it, by which the
/// kernel takes it out: no duplicate of it is made here.
#[allow(unsafe_code)]
pub(crate) fn add_to_polling(poller: &Poller, fd: &OwnedFd, interest: Event) -> io::Result<()> {
    // SAFETY: the descriptor is open, and has no duplicate that would outlive it in the set of the kernel, so the
    // poller never reports a descriptor that is closed.
    unsafe { poller.add_with_mode(fd.as_raw_fd(), interest, PollMode::Edge) }
}

/// A connection as may sees it: made non-blocking already, and registered here.
#[allow(unsafe_code)]
pub(crate) fn may_tcp(stream: TcpStream) -> may::net::TcpStream {
    // SAFETY: the number was taken out of its owner, so nobody else closes it.
    unsafe { may::net::TcpStream::from_raw_fd(stream.into_raw_fd()) }
}
