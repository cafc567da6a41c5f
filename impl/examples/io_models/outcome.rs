//! What a call came back with, and when: values first, one aligned line of text second.

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::os::fd::RawFd;
use std::time::Duration;

/// What a call came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// Bytes.
    Data(Vec<u8>),
    /// EAGAIN: there is nothing, and the call does not wait.
    Again,
    /// The time was up, and there was nothing.
    TimedOut,
    /// No event, no message, no completion yet.
    Nothing,
    /// These descriptors can be read.
    Ready(Vec<&'static str>),
    /// A signal that is about this descriptor.
    Signal(&'static str),
    /// The future has parked its task.
    Pending,
    /// The number does not fit into the set of select.
    Refused(RawFd),
    /// The kernel does not offer it to this process, and why.
    NotAvailable(String),
    /// This process cannot show it, and why.
    Skipped(String),
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Got::Data(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
            Got::Again => f.write_str("EAGAIN"),
            Got::TimedOut => f.write_str("timed out, no data"),
            Got::Nothing => f.write_str("nothing yet"),
            Got::Ready(names) => write!(f, "ready: {}", names.join(", ")),
            Got::Signal(name) => write!(f, "a signal: {name}"),
            Got::Pending => f.write_str("pending, the task is parked"),
            Got::Refused(number) => write!(f, "refused: the number {number} has no bit"),
            Got::NotAvailable(why) => write!(f, "not available: {why}"),
            Got::Skipped(why) => write!(f, "skipped: {why}"),
        }
    }
}

/// When a call returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Counted from the question.
    pub(crate) at: Duration,
    /// Whether the server had sent the answer.
    pub(crate) sent: bool,
}

/// One call of the tour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// By which model, under the name that it has on the command line.
    pub(crate) model: &'static str,
    /// Which call.
    pub(crate) call: &'static str,
    /// When it returned; `None` if nothing was asked.
    pub(crate) moment: Option<Moment>,
    /// With what.
    pub(crate) got: Got,
    /// What it took to get there: of what, how many.
    pub(crate) cost: Option<(&'static str, u64)>,
}

impl Line {
    /// With what it took to get there.
    pub(crate) fn cost(self, of: &'static str, count: u64) -> Line {
        Line { cost: Some((of, count)), ..self }
    }
}

/// The names of the columns of a [`Line`].
pub(crate) const HEADING: &str =
    "model          call                            returned  answer    with";

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { model, call, moment, got, cost } = self;
        let (at, sent) = match moment {
            Some(Moment { at, sent }) => {
                let sent = if *sent { "sent" } else { "not yet" };
                (format!("{} ms", at.as_millis()), sent)
            }
            None => ("-".to_owned(), "-"),
        };
        write!(f, "{model:<13}  {call:<29}  {at:>9}  {sent:<8}  {got}")?;
        match cost {
            Some((of, count)) => write!(f, " ({of}: {count})"),
            None => Ok(()),
        }
    }
}

/// One read(2), of at most `room` bytes. Whether it sleeps is up to the descriptor.
pub(crate) fn read(mut from: impl Read, room: usize) -> io::Result<Got> {
    let mut buffer = vec![0; room];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => return Ok(Got::Data(buffer[..count].to_vec())),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Got::Again),
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(Got::TimedOut),
            Err(error) => return Err(error),
        }
    }
}
