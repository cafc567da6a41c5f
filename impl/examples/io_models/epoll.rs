//! Multiplexed by epoll(7): the list lives in the kernel, and a call brings what is ready only.
//!
//! Two queues watch the same two sockets, one level-triggered and one edge-triggered. Of an
//! answer that is read in halves the first one reports the rest; the second one does not, until
//! the next byte comes.

use super::multiplexed::CROWD;
use super::outcome::{Got, read};
use super::server::{ANSWER, Connection};
use super::sys::{self, Epoll, Trigger, Wait};
use super::tour::Tour;
use std::io;
use std::time::Duration;

const NAMES: [&str; 2] = ["first", "second"];

fn queue(sockets: [&Connection; 2], trigger: Trigger) -> io::Result<Epoll> {
    let queue = Epoll::new()?;
    for (label, socket) in (0..).zip(sockets) {
        queue.add(&socket.stream, label, trigger)?;
    }
    Ok(queue)
}

/// epoll_wait(2): what is ready, and how many events had to be looked at to find it.
fn wait_on(queue: &Epoll, wait: Wait) -> io::Result<(Got, u64)> {
    let labels = queue.wait(wait)?;
    if labels.is_empty() {
        return Ok((Got::Nothing, 0));
    }
    let looks = labels.len() as u64;
    Ok((Got::Ready(labels.iter().map(|label| NAMES[*label as usize]).collect()), looks))
}

pub(crate) fn stop(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let first = tour.connect()?;
    let (second, asked) = tour.ask(model)?;
    let level = queue([&first, &second], Trigger::Level)?;
    let edge = queue([&first, &second], Trigger::Edge)?;
    let (got, _) = wait_on(&level, Wait::No)?;
    tour.say(asked.line("epoll_wait that does not wait", got));
    asked.may_answer();
    let (got, _) = wait_on(&level, Wait::Yes)?;
    tour.say(asked.line("epoll_wait, level-triggered", got));
    let (got, _) = wait_on(&edge, Wait::Yes)?;
    tour.say(asked.line("epoll_wait, edge-triggered", got));

    let crowd = queue([&first, &second], Trigger::Level)?;
    let idle =
        (2..CROWD).map(|_| sys::duplicate(&first.stream, 0)).collect::<io::Result<Vec<_>>>()?;
    idle.iter().try_for_each(|fd| crowd.add(fd, 0, Trigger::Level))?;
    let (got, looks) = wait_on(&crowd, Wait::No)?;
    tour.say(asked.line("epoll_wait in a crowd", got).cost("events looked at", looks));

    let got = read(&second.stream, ANSWER.len() / 2)?;
    tour.say(asked.line("read half from second", got));
    let (got, _) = wait_on(&level, Wait::No)?;
    tour.say(asked.line("level-triggered, half is left", got));
    let (got, _) = wait_on(&edge, Wait::No)?;
    tour.say(asked.line("edge-triggered, half is left", got));

    let again = second.ask(model, Duration::ZERO)?;
    again.may_answer();
    let (got, _) = wait_on(&edge, Wait::Yes)?;
    tour.say(again.line("edge-triggered, new data", got));
    second.stream.set_nonblocking(true)?;
    let got = read(&second.stream, 64)?;
    tour.say(again.line("read to the end", got));
    let got = read(&second.stream, 64)?;
    tour.say(again.line("and until there is no more", got));
    Ok(())
}
