//! Signal-driven: the kernel sends a signal when the descriptor has become ready (O_ASYNC).
//!
//! The signal is a real-time one (F_SETSIG), so that it is queued and names the descriptor, and it
//! goes to this thread alone (F_SETOWN_EX). A handler might interrupt the thread anywhere; here
//! the signal is blocked, and taken from a signalfd when it suits.
//!
//! A signal may come for a change that leaves nothing to read: it is a hint, and the read decides.
//! And it says what *becomes* ready: the first read comes after it was asked for, since an answer
//! that was there before is not told.

use super::outcome::{Got, read};
use super::sys::{Signalled, Wait};
use super::tour::Tour;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

pub(crate) fn stop(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let first = tour.connect()?;
    let (second, asked) = tour.ask(model)?;
    second.stream.set_nonblocking(true)?;
    let _quiet = Signalled::new(first.stream.as_fd())?;
    let signals = Signalled::new(second.stream.as_fd())?;
    let mut got = read(&second.stream, 64)?;
    tour.say(asked.line("read", got.clone()));
    let taken = signals.take(Wait::No)?;
    let named = |number| match number {
        Some(number) if number == second.stream.as_raw_fd() => Got::Signal("second"),
        Some(number) if number == first.stream.as_raw_fd() => Got::Signal("first"),
        // SIGIO, in place of a signal for which there was no room.
        Some(_) => Got::Signal("one of them"),
        None => Got::Nothing,
    };
    tour.say(asked.line("look for a signal", named(taken)));
    asked.may_answer();
    let (mut signal, mut count) = (Got::Nothing, 0);
    while got == Got::Again {
        signal = named(signals.take(Wait::Yes)?);
        count += 1;
        got = read(&second.stream, 64)?;
    }
    tour.say(asked.line("sleep until a signal comes", signal).cost("signals", count));
    tour.say(asked.line("read from second", got));
    Ok(())
}
