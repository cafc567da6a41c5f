//! Non-blocking: a call that finds nothing says so, and the thread has to decide what now.
//!
//! Three ways to go on: try again at once, which costs a processor; bound the wait, which gives
//! it up at some time; let another thread do the waiting, and look whether it has brought
//! something.

use super::outcome::{Got, read};
use super::tour::Tour;
use std::io;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;

pub(crate) fn stop(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    try_again_at_once(tour, model)?;
    bounded(tour, model)?;
    by_a_reader(tour, model)
}

fn try_again_at_once(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let (connection, asked) = tour.ask(model)?;
    connection.stream.set_nonblocking(true)?;
    let mut got = read(&connection.stream, 64)?;
    tour.say(asked.line("read", got.clone()));
    asked.may_answer();
    let mut tries = 1;
    while got == Got::Again {
        got = read(&connection.stream, 64)?;
        tries += 1;
    }
    tour.say(asked.line("read, over and over", got).cost("tries", tries));
    Ok(())
}

/// The bound is the socket's (SO_RCVTIMEO): read(2) sleeps, and says EAGAIN when the time is up,
/// as if it had not slept at all. It is a length of time, anew for each call.
fn bounded(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let (connection, asked) = tour.ask(model)?;
    connection.stream.set_read_timeout(Some(tour.deadline))?;
    let got = match read(&connection.stream, 64)? {
        Got::Again => Got::TimedOut,
        got => got,
    };
    tour.insist(asked.line("read with a time limit", got), &Got::TimedOut)?;
    asked.may_answer();
    connection.stream.set_read_timeout(None)?;
    let got = read(&connection.stream, 64)?;
    tour.say(asked.line("read once more", got));
    Ok(())
}

fn by_a_reader(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let (connection, asked) = tour.ask(model)?;
    let (give, take) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| give.send(read(&connection.stream, 64)));
        let got = match take.try_recv() {
            Err(TryRecvError::Empty) => Got::Nothing,
            Err(TryRecvError::Disconnected) => panic!("the reader has ended without a word"),
            Ok(got) => got?,
        };
        tour.insist(asked.line("try_recv from a reader thread", got), &Got::Nothing)?;
        asked.may_answer();
        let got = take.recv().map_err(io::Error::other)??;
        tour.say(asked.line("recv from a reader thread", got));
        Ok(())
    })
}
