//! Asynchronous: the whole read is handed to the kernel, buffer included (io_uring). What comes
//! back is no readiness but a completion: the bytes are in the buffer already.

use super::outcome::{Got, Line};
use super::sys::{Ring, Wait};
use super::tour::Tour;
use std::io;

pub(crate) fn stop(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let mut ring = match Ring::new()? {
        Ok(ring) => ring,
        Err(why) => {
            let got = Got::NotAvailable(why);
            tour.say(Line { model, call: "io_uring_setup", moment: None, got, cost: None });
            return Ok(());
        }
    };
    let (connection, asked) = tour.ask(model)?;
    ring.read(&connection.stream, 7)?;
    let got = completed(&mut ring, Wait::No)?;
    tour.insist(asked.line("look at the completion queue", got), &Got::Nothing)?;
    asked.may_answer();
    let got = completed(&mut ring, Wait::Yes)?;
    tour.say(asked.line("wait for a completion", got));
    Ok(())
}

fn completed(ring: &mut Ring, wait: Wait) -> io::Result<Got> {
    Ok(match ring.completed(wait)? {
        Some((label, bytes)) => {
            assert_eq!(label, 7, "a completion carries the label of its submission");
            Got::Data(bytes)
        }
        None => Got::Nothing,
    })
}
