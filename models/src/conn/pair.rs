//! Two connected ends, what they are made of, and the thread that polls for them.

use crate::oracle;
use netpoller::net::{TcpListener, TcpStream};
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Instant, System};
use netpoller::source::Source;
use netpoller::{Mode, Reason};
use netpoller_spec::slot::State;
use netpoller_spec::token::Named;
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

/// One end of a connection: a socket, or the reader of one pipe and the writer of another one.
#[derive(Debug)]
pub struct Conn<S: System> {
    /// Reads, and writes too unless there is a writer.
    read: Source<S>,
    writer: Option<Source<S>>,
}

impl<S: System> Conn<S> {
    fn socket(source: Source<S>) -> Conn<S> {
        Conn { read: source, writer: None }
    }

    /// What is used in this direction.
    pub(super) fn source(&self, mode: Mode) -> &Source<S> {
        match (mode, &self.writer) {
            (Mode::Write, Some(writer)) => writer,
            _ => &self.read,
        }
    }

    /// Reads once, parking where there is nothing.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source(Mode::Read).read(buffer)
    }

    /// Writes once, parking where there is no room.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.source(Mode::Write).write(bytes)
    }

    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.source(Mode::Write).write_all(bytes)
    }

    pub(super) fn read_exact(&self, buffer: &mut [u8]) -> io::Result<()> {
        self.source(Mode::Read).read_exact(buffer)
    }

    /// Sets the deadline of one direction.
    pub(super) fn set(&self, mode: Mode, deadline: Option<Instant>) -> io::Result<()> {
        match mode {
            Mode::Read => self.source(mode).set_read_deadline(deadline),
            Mode::Write => self.source(mode).set_write_deadline(deadline),
        }
    }

    /// Sets the deadline of both directions.
    pub(super) fn set_both(&self, deadline: Option<Instant>) -> io::Result<()> {
        let sources = [Some(&self.read), self.writer.as_ref()];
        sources.into_iter().flatten().try_for_each(|source| source.set_deadline(deadline))
    }

    /// Closes what it is made of.
    pub(super) fn close(&self) -> io::Result<()> {
        let closed = self.read.close();
        closed.and(self.writer.as_ref().map_or(Ok(()), Source::close))
    }

    fn is_parked(&self, mode: Mode) -> bool {
        let source = self.source(mode);
        let Named::Entry(index, _) = source.token().named() else { return false };
        let (entries, _flag) = source.poller().peek();
        let entry = entries.iter().find(|(place, _)| *place == index);
        entry.is_some_and(|(_, entry)| entry.slots[mode as usize].state() == State::Parked)
    }

    /// Returns when somebody is parked in this direction.
    ///
    /// # Panics
    ///
    /// When `thread`, which is the one to park, has ended.
    #[track_caller]
    pub(super) fn until_parked<T>(&self, mode: Mode, thread: &ScopedJoinHandle<'_, T>) {
        while !self.is_parked(mode) {
            assert!(!thread.is_finished(), "{mode:?}: it was over without having been parked");
            thread::yield_now();
        }
    }
}

/// Two connected ends.
#[derive(Debug)]
pub struct Pair<S: System> {
    pub(super) here: Conn<S>,
    pub(super) there: Conn<S>,
}

impl<S: System> Pair<S> {
    pub(super) fn now(&self) -> Instant {
        self.here.read.poller().now()
    }

    pub(super) fn after(&self, delay: Duration) -> Instant {
        self.now().saturating_add(delay)
    }

    /// Runs `body`. When it panics both ends are closed, so that no thread waits for what it owed.
    pub(super) fn guard<T>(&self, body: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
            for end in [&self.here, &self.there] {
                let _closed_before = end.close();
            }
            resume_unwind(panic)
        })
    }
}

/// What connections are made of.
#[derive(Clone, Copy, Debug)]
pub struct Kind<S: System> {
    /// Its name.
    pub name: &'static str,
    make: fn(&Poller<S>) -> io::Result<Pair<S>>,
}

/// All kinds of connections.
#[must_use]
pub fn kinds<S: System>() -> [Kind<S>; 3] {
    [
        Kind { name: "tcp", make: tcp },
        Kind { name: "unix", make: unix },
        Kind { name: "pipes", make: pipes },
    ]
}

fn tcp<S: System>(poller: &Poller<S>) -> io::Result<Pair<S>> {
    let listener = TcpListener::bind_on(poller, "127.0.0.1:0".parse().expect("an address"))?;
    let here = TcpStream::connect_on(poller, listener.local_addr()?)?;
    let (there, _from) = listener.accept()?;
    let [here, there] = [here, there].map(|stream| Conn::socket(stream.into_source()));
    Ok(Pair { here, there })
}

fn unix<S: System>(poller: &Poller<S>) -> io::Result<Pair<S>> {
    let (here, there) = poller.stream_pair()?;
    Ok(Pair { here: Conn::socket(here), there: Conn::socket(there) })
}

fn pipes<S: System>(poller: &Poller<S>) -> io::Result<Pair<S>> {
    let ((read_here, write_there), (read_there, write_here)) = (poller.pipe()?, poller.pipe()?);
    Ok(Pair {
        here: Conn { read: read_here, writer: Some(write_here) },
        there: Conn { read: read_there, writer: Some(write_there) },
    })
}

/// Runs a property while a thread polls.
pub(super) fn driven<S: System>(system: S, kind: &Kind<S>, property: fn(&Pair<S>)) {
    let poller = Poller::on(system, Shape::default()).expect("a poller");
    // So that the first instant has passed: virtual time begins at zero.
    poller.poll(&mut Ready::new(), Some(Duration::from_nanos(10))).expect("usable");
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut ready = Ready::new();
            while !over.load(Ordering::Acquire) {
                poller.poll(&mut ready, None).expect("the queue is usable");
                ready.wake_all();
            }
        });
        let result = catch_unwind(AssertUnwindSafe(|| {
            let pair = (kind.make)(&poller).expect("two connected ends");
            pair.guard(|| property(&pair));
        }));
        over.store(true, Ordering::Release);
        poller.wake().expect("a token"); // NP-BREAK-4: what was stored before is seen
        if let Err(panic) = result {
            resume_unwind(panic);
        }
    });
    // Takes the break that got the thread out, where the thread ended without it.
    poller.wake().expect("a token");
    poller.poll(&mut Ready::new(), None).expect("the break");
    oracle::quiescent(&poller, false);
}

/// Sees that something ended because its deadline has come.
#[track_caller]
pub(super) fn timed_out<T: core::fmt::Debug>(what: &str, result: io::Result<T>) {
    let error = result.expect_err(what);
    assert_eq!(Reason::of(&error), Some(Reason::DeadlineExceeded), "{what} failed with: {error}");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{what}: the kind of {error}");
}

/// Whether it failed because its deadline has come, which is the one reason that is allowed.
#[track_caller]
pub(super) fn done_or_timed_out(what: &str, result: io::Result<usize>) -> Option<usize> {
    match result {
        Ok(count) => Some(count),
        failed => {
            timed_out(what, failed);
            None
        }
    }
}

/// The end of a connection, as whoever uses the other end sees it: closed here, or there.
fn is_the_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    Reason::of(error) == Some(Reason::Closed)
        || matches!(error.kind(), BrokenPipe | ConnectionReset)
}

/// Does `step` until it says that the connection has ended.
fn until_the_end(what: &str, mut step: impl FnMut() -> io::Result<usize>) {
    loop {
        match step() {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => return assert!(is_the_end(&error), "{what} failed with: {error}"),
        }
    }
}

/// Sends back what comes, to the end of the connection.
pub(super) fn echo<S: System>(conn: &Conn<S>) {
    let mut buffer = [0; 1024];
    until_the_end("the echo", || {
        let count = conn.read(&mut buffer)?;
        conn.write_all(&buffer[..count])?;
        Ok(count)
    });
}

/// Reads to the end of the connection; how often each byte came.
pub(super) fn count_all<S: System>(conn: &Conn<S>) -> Histogram {
    let (mut counts, mut buffer) = (Histogram::new(), [0; 4096]);
    until_the_end("reading all", || {
        let count = conn.read(&mut buffer)?;
        counts.add(&buffer[..count]);
        Ok(count)
    });
    counts
}

/// How often each byte was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Histogram(Vec<u64>);

impl Histogram {
    pub(super) fn new() -> Histogram {
        Histogram(vec![0; 256])
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0[usize::from(*byte)] += 1;
        }
    }

    pub(super) fn merge(&mut self, other: &Histogram) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }
}
