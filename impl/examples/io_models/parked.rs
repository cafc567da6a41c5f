//! The netpoller: multiplexed below, and above it a read that looks as if it blocked.
//!
//! One thread, the driver, sleeps in epoll_wait for all descriptors. In the blocking style a read
//! parks its thread, in the async style its task. A deadline is a point in time, kept with the
//! descriptor: it ends the reads that are under way, and those that come later, until it is moved.

use super::outcome::{Got, read};
use super::server::{Asked, Connection};
use super::tour::Tour;
use netpoller::{Poller, Source};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

type Reading<'r> = Pin<&'r mut dyn Future<Output = io::Result<Got>>>;

fn step(future: &mut Reading<'_>) -> io::Result<Got> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    match future.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(got) => got,
        Poll::Pending => Ok(Got::Pending),
    }
}

/// Runs a future on this thread.
fn run(mut future: Reading<'_>) -> io::Result<Got> {
    loop {
        match step(&mut future)? {
            Got::Pending => thread::park(),
            got => return Ok(got),
        }
    }
}

async fn async_read(source: &Source) -> io::Result<Got> {
    let mut buffer = [0; 64];
    match source.async_read(&mut buffer).await {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Got::Data(buffer[..count].to_vec())),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Got::TimedOut),
        Err(error) => Err(error),
    }
}

pub(crate) fn stop(tour: &mut Tour<'_>, model: &'static str) -> io::Result<()> {
    let poller = Poller::new()?;
    let _driver = poller.drive()?;
    let ask = |tour: &Tour<'_>| -> io::Result<(Connection, Asked, Source)> {
        let (connection, asked) = tour.ask(model)?;
        let ours = OwnedFd::from(connection.stream.try_clone()?);
        let source = poller.adopt(ours.into())?;
        Ok((connection, asked, source))
    };
    let in_time = |tour: &Tour<'_>| Some(poller.now().saturating_add(tour.deadline));

    let (_connection, asked, source) = ask(tour)?;
    asked.may_answer();
    let got = read(&source, 64)?;
    tour.say(asked.line("read", got));

    let (_connection, asked, source) = ask(tour)?;
    source.set_read_deadline(in_time(tour))?;
    let got = read(&source, 64)?;
    tour.insist(asked.line("read with a deadline", got), &Got::TimedOut)?;
    asked.may_answer();
    source.set_read_deadline(None)?;
    let got = read(&source, 64)?;
    tour.say(asked.line("read without it", got));

    let (_connection, asked, source) = ask(tour)?;
    let mut future: Reading<'_> = pin!(async_read(&source));
    let got = step(&mut future)?;
    tour.insist(asked.line("async_read, polled once", got), &Got::Pending)?;
    asked.may_answer();
    let got = run(future)?;
    tour.say(asked.line("async_read, woken", got));

    let (_connection, asked, source) = ask(tour)?;
    source.set_read_deadline(in_time(tour))?;
    let got = run(pin!(async_read(&source)))?;
    tour.insist(asked.line("async_read with a deadline", got), &Got::TimedOut)?;
    asked.may_answer();
    source.set_read_deadline(None)?;
    let got = run(pin!(async_read(&source)))?;
    tour.say(asked.line("async_read without it", got));
    Ok(())
}
