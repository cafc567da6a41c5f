//! A tour of the models of I/O: the same read, made by each of them.
//!
//! ```text
//! cargo run --release --example io_models -- [--pause TIME] [--deadline TIME] [MODEL ...]
//! ```
//!
//! A server answers each question after a pause. Blocking, non-blocking, select, poll, epoll,
//! signal-driven, asynchronous (io_uring), and at last the netpoller: each asks, reads, and says
//! when which of its calls returned, whether the answer had been sent by then, and what it came
//! back with. The page `netpoller::guide::io_models` explains what is seen.
//!
//! | file | what it holds |
//! |---|---|
//! | `tour` | the stops, in their order |
//! | `server` | who answers, and why not too early |
//! | `outcome` | what a call came back with, and its line |
//! | `blocking` ... `parked` | one model each |
//! | `sys` | system calls: the only unsafe |

mod asynchronous;
mod blocking;
mod epoll;
mod multiplexed;
mod nonblocking;
pub(crate) mod outcome;
mod parked;
mod server;
mod signal;
mod sys;
pub(crate) mod tour;

use outcome::HEADING;
use std::io;
use std::process::ExitCode;
use std::time::Duration;
use tour::{Plan, STOPS, missing, run};

const PAUSE: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_millis(400);

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// The text of `--help`.
    Help,
    /// A tour.
    Tour(Plan),
}

const USAGE: &str = "usage: io_models [--pause TIME] [--deadline TIME] [MODEL ...]";

/// The text of `--help`.
pub(crate) fn help() -> String {
    let models: Vec<_> = STOPS.iter().map(|(name, _)| *name).collect();
    format!(
        "The same read, made by each model of I/O: a server answers after a pause, and each line
says when which call returned, whether the answer had been sent by then, and what
the call came back with.

{USAGE}

  --pause TIME      how long the server takes to answer; {PAUSE:?} if not given
  --deadline TIME   how long those wait that give up; it has to be shorter than the
                    pause, and is 2/15 of it if not given: {DEADLINE:?} of {PAUSE:?}
  --help            this text
  MODEL             make these stops only, instead of all, of
                    {}

TIME is 300ms, 3s, or a number of milliseconds; an hour at most. One model comes after
the other, so the whole tour takes thirteen pauses.",
        models.join(" ")
    )
}

fn time(flag: &str, text: &str) -> Result<Duration, String> {
    let (number, unit) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(millis), _) => (millis, 1),
        (None, Some(seconds)) => (seconds, 1000),
        (None, None) => (text, 1),
    };
    let number: u64 = number.parse().map_err(|error| format!("{flag} {text:?}: {error}"))?;
    match number.checked_mul(unit) {
        Some(millis @ 1..=3_600_000) => Ok(Duration::from_millis(millis)),
        _ => Err(format!("{flag} {text:?}: from 1ms to 3600s")),
    }
}

/// What was asked for.
///
/// # Errors
///
/// Kind `InvalidInput`, with the usage.
pub(crate) fn arguments(arguments: impl IntoIterator<Item = String>) -> io::Result<Command> {
    let usage = |what: String| {
        let text = format!("{what}; {USAGE}; --help says more");
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let (mut pause, mut deadline, mut stops) = (PAUSE, None, Vec::new());
    let mut arguments = arguments.into_iter();
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--pause" | "--deadline" => {
                let text = arguments.next().ok_or_else(|| usage(format!("{word} needs a time")))?;
                let length = time(&word, &text).map_err(usage)?;
                if word == "--pause" { pause = length } else { deadline = Some(length) }
            }
            name if STOPS.iter().any(|stop| stop.0 == name) => stops.push(word),
            _ => return Err(usage(format!("{word:?} is no flag and no model"))),
        }
    }
    // In proportion to the pause: 400 ms of 3 s.
    let deadline = deadline.unwrap_or_else(|| pause * 2 / 15);
    if deadline >= pause {
        let text = format!("a deadline of {deadline:?} is not before an answer after {pause:?}");
        return Err(usage(text));
    }
    Ok(Command::Tour(Plan { pause, deadline, stops }))
}

fn make(plan: &Plan) -> io::Result<()> {
    let Plan { pause, deadline, .. } = plan;
    println!("the server answers after {pause:?}; the deadline is {deadline:?}\n{HEADING}");
    let mut model = "";
    let lines = run(plan, &mut |line| {
        if std::mem::replace(&mut model, line.model) != line.model {
            println!();
        }
        println!("{line}");
    })?;
    let (not_available, skipped) = missing(&lines);
    println!("\n{} lines, {not_available} not available, {skipped} skipped", lines.len());
    Ok(())
}

#[cfg_attr(test, expect(dead_code, reason = "a test calls what main calls"))]
fn main() -> ExitCode {
    let made = arguments(std::env::args().skip(1)).and_then(|command| match command {
        Command::Help => {
            println!("{}", help());
            Ok(())
        }
        Command::Tour(plan) => make(&plan),
    });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("io_models: {error}");
            ExitCode::FAILURE
        }
    }
}
