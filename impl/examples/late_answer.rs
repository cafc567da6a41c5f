//! A server that answers late, and two who wait for it.
//!
//! ```text
//! cargo run --release --example late_answer -- [--pause MILLISECONDS] [--deadline MILLISECONDS]
//! ```
//!
//! Both ask the same server, which answers after a pause (3 s). One blocks in a read until the answer
//! is there. The other one gives its read a deadline (400 ms), and gets an error of kind `TimedOut`
//! and no data. The program fails when the outcome is another one, also when something came early.

use netpoller::{Poller, Reason, Source};
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

const ANSWER: &[u8] = b"the answer";

/// What a read has returned, and when, counted from its begin.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What it was called.
    pub(crate) read: &'static str,
    /// The bytes.
    pub(crate) result: io::Result<Vec<u8>>,
    /// How long it took.
    pub(crate) took: Duration,
}

fn wait_for_the_answer(
    name: &'static str,
    mut source: &Source,
    deadline: Option<Duration>,
) -> io::Result<Outcome> {
    let begin = source.poller().now();
    source.set_read_deadline(deadline.map(|delay| begin.saturating_add(delay)))?;
    let mut buffer = [0; 64];
    let result = source.read(&mut buffer).map(|count| buffer[..count].to_vec());
    Ok(Outcome { read: name, result, took: source.poller().now().since(begin) })
}

/// The demonstration: the blocking read, and the one with a deadline.
///
/// # Errors
///
/// When the outcome is not that which it has to be; those of pollers and sockets.
pub(crate) fn run(pause: Duration, deadline: Duration) -> io::Result<[Outcome; 2]> {
    if deadline >= pause {
        let text = format!("a deadline of {deadline:?} is not before an answer after {pause:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let poller = Poller::new()?;
    let _driver = poller.drive()?;
    let asked = Barrier::new(3);
    let (patient, to_patient) = poller.stream_pair()?;
    let (hurried, to_hurried) = poller.stream_pair()?;
    let outcomes = thread::scope(|scope| {
        let wait = |name, source, deadline| {
            let asked = &asked;
            move || {
                asked.wait();
                wait_for_the_answer(name, source, deadline)
            }
        };
        let blocking = scope.spawn(wait("blocking", &patient, None));
        let limited = scope.spawn(wait("with a deadline", &hurried, Some(deadline)));
        asked.wait();
        thread::sleep(pause); // the work for which everybody waits
        // The answer comes after this one has given up, also on a machine that is very busy.
        let limited = limited.join().expect("a read panicked");
        for mut to in [&to_patient, &to_hurried] {
            to.write_all(ANSWER)?;
        }
        io::Result::Ok([blocking.join().expect("a read panicked")?, limited?])
    })?;
    check(&outcomes, deadline)?;
    Ok(outcomes)
}

/// Sees that the outcomes are those which they have to be.
fn check([blocking, limited]: &[Outcome; 2], deadline: Duration) -> io::Result<()> {
    let blocked = blocking.result.as_ref().is_ok_and(|bytes| bytes == ANSWER);
    let ended = limited.result.as_ref().is_err_and(|error| {
        error.kind() == io::ErrorKind::TimedOut
            && Reason::of(error) == Some(Reason::DeadlineExceeded)
    });
    // No upper limit: how late a thread runs is the scheduler's affair.
    if blocked && ended && limited.took >= deadline {
        return Ok(());
    }
    Err(io::Error::other(format!("another outcome: {blocking:?}, {limited:?}")))
}

/// One aligned line for each.
#[must_use]
pub(crate) fn lines(outcomes: &[Outcome]) -> Vec<String> {
    let line = |Outcome { read, result, took }: &Outcome| {
        let said = match result {
            Ok(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            Err(error) => format!("{:?}: {error}", error.kind()),
        };
        format!("{read:<16} {:>6} ms  {said}", took.as_millis())
    };
    outcomes.iter().map(line).collect()
}

/// The pause of the server, and the deadline.
///
/// # Errors
///
/// Kind `InvalidInput`, with the usage.
pub(crate) fn arguments(
    arguments: impl IntoIterator<Item = String>,
) -> io::Result<(Duration, Duration)> {
    let (mut pause, mut deadline) = (Duration::from_secs(3), Duration::from_millis(400));
    let usage = |what: String| {
        let usage = "usage: late_answer [--pause MILLISECONDS] [--deadline MILLISECONDS]";
        io::Error::new(io::ErrorKind::InvalidInput, format!("{what}; {usage}"))
    };
    let mut arguments = arguments.into_iter();
    while let Some(flag) = arguments.next() {
        let place = match flag.as_str() {
            "--pause" => &mut pause,
            "--deadline" => &mut deadline,
            _ => return Err(usage(format!("{flag:?} is no flag"))),
        };
        let text = arguments.next().ok_or_else(|| usage(format!("{flag} needs a number")))?;
        let millis = text.parse().map_err(|error| usage(format!("{flag} {text:?}: {error}")))?;
        *place = Duration::from_millis(millis);
    }
    Ok((pause, deadline))
}

#[cfg_attr(test, expect(dead_code, reason = "a test calls what main calls"))]
fn main() -> ExitCode {
    let outcomes = arguments(std::env::args().skip(1)).and_then(|(pause, deadline)| {
        println!("the server answers after {pause:?}; the deadline is {deadline:?}");
        run(pause, deadline)
    });
    match outcomes {
        Ok(outcomes) => {
            lines(&outcomes).iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("late_answer: {error}");
            ExitCode::FAILURE
        }
    }
}
