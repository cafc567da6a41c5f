//! The stops of the tour, in their order, and what is written down on the way.

use super::outcome::{Got, Line};
use super::server::{Asked, Connection, Server};
use super::{asynchronous, blocking, epoll, multiplexed, nonblocking, parked, signal};
use std::io;
use std::time::Duration;

/// A model, and what shows it. Each takes the name under which its lines go.
type Stop = (&'static str, fn(&mut Tour<'_>, &'static str) -> io::Result<()>);

/// All stops, under the names that the command line knows.
pub(crate) const STOPS: [Stop; 8] = [
    ("blocking", blocking::stop),
    ("non-blocking", nonblocking::stop),
    ("select", multiplexed::select),
    ("poll", multiplexed::poll),
    ("epoll", epoll::stop),
    ("signal-driven", signal::stop),
    ("asynchronous", asynchronous::stop),
    ("netpoller", parked::stop),
];

/// How to make the tour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long the server takes to answer.
    pub(crate) pause: Duration,
    /// How long those wait that have a deadline.
    pub(crate) deadline: Duration,
    /// The names of the stops to make, all if there are none.
    pub(crate) stops: Vec<String>,
}

/// A tour under way.
pub(crate) struct Tour<'t> {
    server: &'t Server,
    /// As in [`Plan`].
    pub(crate) pause: Duration,
    /// As in [`Plan`].
    pub(crate) deadline: Duration,
    tell: &'t mut dyn FnMut(&Line),
    lines: Vec<Line>,
}

impl Tour<'_> {
    pub(crate) fn connect(&self) -> io::Result<Connection> {
        self.server.connect()
    }

    /// Connects and asks.
    pub(crate) fn ask(&self, model: &'static str) -> io::Result<(Connection, Asked)> {
        let connection = self.connect()?;
        let asked = connection.ask(model, self.pause)?;
        Ok((connection, asked))
    }

    /// Writes a line down.
    pub(crate) fn say(&mut self, line: Line) {
        (self.tell)(&line);
        self.lines.push(line);
    }

    /// Writes a line down, and fails unless the call got this. What follows would wait for ever:
    /// the answer has been taken.
    pub(crate) fn insist(&mut self, line: Line, got: &Got) -> io::Result<()> {
        let other = (line.got != *got).then(|| format!("{got} was to be, and not: {line}"));
        self.say(line);
        other.map_or(Ok(()), |other| Err(io::Error::other(other)))
    }
}

/// Makes the tour: its lines, each of which `tell` hears of at once.
///
/// # Errors
///
/// Those of system calls. What the kernel or a limit does not allow is no error but a line.
pub(crate) fn run(plan: &Plan, tell: &mut dyn FnMut(&Line)) -> io::Result<Vec<Line>> {
    let Plan { pause, deadline, ref stops } = *plan;
    let server = Server::start()?;
    let mut tour = Tour { server: &server, pause, deadline, tell, lines: Vec::new() };
    for (name, stop) in STOPS {
        if stops.is_empty() || stops.iter().any(|wanted| wanted == name) {
            stop(&mut tour, name)?;
        }
    }
    let lines = tour.lines;
    server.stop();
    Ok(lines)
}

/// How many of the lines say that the kernel does not offer something, and how many that it
/// could not be shown.
pub(crate) fn missing(lines: &[Line]) -> (usize, usize) {
    let count = |is: fn(&Got) -> bool| lines.iter().filter(|line| is(&line.got)).count();
    (count(|got| matches!(got, Got::NotAvailable(_))), count(|got| matches!(got, Got::Skipped(_))))
}
