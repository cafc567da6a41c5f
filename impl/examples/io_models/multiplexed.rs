//! Multiplexed: one thread sleeps for many descriptors at once, and is told which are ready.
//! Here select(2) and poll(2), which are handed the whole list with every call.

use super::outcome::{Got, read};
use super::sys::{self, Entry, FdSet, Wait};
use super::tour::Tour;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A descriptor, and its name on this tour.
type Named<'fd> = (&'static str, BorrowedFd<'fd>);

/// How many descriptors the one that is ready is among.
pub(crate) const CROWD: usize = 100;

/// select(2) on these: what is ready.
fn select_of(named: &[Named<'_>], wait: Wait) -> io::Result<Got> {
    let mut set = FdSet::new();
    for (_, fd) in named {
        if !set.insert(*fd) {
            return Ok(Got::Refused(fd.as_raw_fd()));
        }
    }
    Ok(match sys::select(&mut set, wait)? {
        0 => Got::Nothing,
        _ => Got::Ready(named.iter().filter(|(_, fd)| set.contains(*fd)).map(|it| it.0).collect()),
    })
}

/// poll(2) on these: what is ready, and how many entries had to be looked at to find it.
fn poll_of(named: &[Named<'_>], wait: Wait) -> io::Result<(Got, u64)> {
    let mut entries: Vec<_> = named.iter().map(|(_, fd)| Entry::new(*fd)).collect();
    let mut left = sys::poll(&mut entries, wait)?;
    if left == 0 {
        return Ok((Got::Nothing, 0));
    }
    let (mut ready, mut looks) = (Vec::new(), 0);
    for (entry, (name, _)) in entries.iter().zip(named) {
        looks += 1;
        if entry.is_ready() {
            ready.push(*name);
            left -= 1;
        }
        if left == 0 {
            break;
        }
    }
    Ok((Got::Ready(ready), looks))
}

pub(crate) fn select(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let first = tour.connect()?;
    let (second, asked) = tour.ask(model)?;
    let both = [("first", first.stream.as_fd()), ("second", second.stream.as_fd())];
    let got = select_of(&both, Wait::No)?;
    tour.say(asked.line("select that does not wait", got));
    asked.may_answer();
    let got = select_of(&both, Wait::Yes)?;
    tour.say(asked.line("select", got));

    // The same socket under a number that is too large.
    let large = FdSet::SIZE;
    let call = "select on a large number";
    match sys::allow(large)? {
        Ok(_raised) => {
            let same = sys::duplicate(&second.stream, large)?;
            let named = [("second", same.as_fd())];
            let got = select_of(&named, Wait::No)?;
            tour.say(asked.line(call, got));
            let (got, _) = poll_of(&named, Wait::No)?;
            tour.say(asked.line("poll on the same number", got));
        }
        Err(limit) => tour.say(asked.line(call, too_few(large, limit))),
    }
    let got = read(&second.stream, 64)?;
    tour.say(asked.line("read from second", got));
    Ok(())
}

fn too_few(number: RawFd, limit: u64) -> Got {
    Got::Skipped(format!("RLIMIT_NOFILE is {limit} at most, so there is no number {number}"))
}

pub(crate) fn poll(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let first = tour.connect()?;
    let (second, asked) = tour.ask(model)?;
    let both = [("first", first.stream.as_fd()), ("second", second.stream.as_fd())];
    let (got, _) = poll_of(&both, Wait::No)?;
    tour.say(asked.line("poll that does not wait", got));
    asked.may_answer();
    let (got, looks) = poll_of(&both, Wait::Yes)?;
    tour.say(asked.line("poll", got).cost("entries looked at", looks));

    // An entry costs the same whether or not it is another descriptor.
    let mut crowd = vec![both[0]; CROWD - 1];
    crowd.push(both[1]);
    let (got, looks) = poll_of(&crowd, Wait::No)?;
    tour.say(asked.line("poll in a crowd", got).cost("entries looked at", looks));
    let got = read(&second.stream, 64)?;
    tour.say(asked.line("read from second", got));
    Ok(())
}
