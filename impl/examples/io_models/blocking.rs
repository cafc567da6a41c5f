//! Blocking: read(2) returns when the answer is there. Until then the thread sleeps in the kernel.

use super::outcome::read;
use super::tour::Tour;
use std::io;

pub(crate) fn stop(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let (connection, asked) = tour.ask(model)?;
    asked.may_answer();
    let got = read(&connection.stream, 64)?;
    tour.say(asked.line("read", got));
    Ok(())
}
