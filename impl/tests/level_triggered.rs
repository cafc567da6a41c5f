//! A level-triggered backend behind the seam: proof that the trait `Kernel` holds one.
//!
//! The kernel of this file has pipes, in memory, and an event queue in the style of poll(2):
//!
//! * a queue keeps, for each registered descriptor, the directions that are *armed*;
//! * a wait takes a snapshot of the armed ones and looks at their conditions, not at edges;
//! * what it reports it disarms, so nobody spins on a condition that nobody waits for;
//! * a thread that blocks in a wait holds the old snapshot, so arming asks for a break
//!   ([`SetChange::NeedsBreak`]).
//!
//! The whole state machine of the poller runs on it unchanged. Out of scope: sockets, and speed.

use netpoller::desc::Wait;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{
    Address, Batch, Event, HowToShut, Instant, Kernel, Kind, Os, Primitives, RegisterFault,
    SetChange, System, Timeout,
};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Token};
use netpoller_spec::wake::Flag;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// The operating system with another kernel.
#[derive(Clone, Debug, Default)]
struct Level(PollStyle);

impl Primitives for Level {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + std::fmt::Debug> = <Os as Primitives>::Mutex<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(_: usize) -> usize {
        0
    }
}

impl System for Level {
    type Kernel = PollStyle;

    fn kernel(&self) -> &PollStyle {
        &self.0
    }

    fn now(&self) -> Instant {
        Os.now()
    }

    fn observe(&self, _: &netpoller::observe::Step) {}
}

/// The kernel. A clone is another handle to it.
#[derive(Clone, Debug, Default)]
struct PollStyle(Arc<World>);

#[derive(Debug, Default)]
struct World {
    state: Mutex<State>,
    /// Told of every change of `state`, by whoever made it.
    changed: Condvar,
}

/// What a condition can depend on. Under one lock.
#[derive(Debug, Default)]
struct State {
    pipes: Vec<Pipe>,
    /// Break tokens, per queue.
    tokens: Vec<u32>,
}

#[derive(Debug)]
struct Pipe {
    bytes: VecDeque<u8>,
    reader: bool,
    writer: bool,
}

impl Pipe {
    /// Small, so that writers have to wait too.
    const CAPACITY: usize = 2;

    fn condition(&self, end: Mode) -> Bits {
        let when = |holds: bool, bit| if holds { bit } else { Bits::NONE };
        match end {
            Mode::Read => when(!self.bytes.is_empty(), Bits::IN).or(when(!self.writer, Bits::HUP)),
            Mode::Write => {
                let room = self.bytes.len() < Pipe::CAPACITY;
                when(room, Bits::OUT).or(when(!self.reader, Bits::ERR))
            }
        }
    }
}

/// One end of a pipe, which is closed when this is dropped, or before.
#[derive(Debug)]
struct End {
    world: Arc<World>,
    pipe: usize,
    end: Mode,
    closed: AtomicBool,
}

impl Drop for End {
    fn drop(&mut self) {
        self.close();
    }
}

impl End {
    fn close(&self) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut state = self.world.lock();
        match self.end {
            Mode::Read => state.pipes[self.pipe].reader = false,
            Mode::Write => state.pipes[self.pipe].writer = false,
        }
        drop(state);
        self.world.changed.notify_all();
    }
}

/// The set, keyed by pipe and end. Its lock is never held together with that of the world.
#[derive(Debug)]
struct Queue {
    id: usize,
    set: Mutex<BTreeMap<(usize, Mode), Entry>>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    token: Token,
    read: bool,
    write: bool,
}

impl Entry {
    /// What of `condition` is to be reported: poll(2) adds ERR and HUP to what is asked for.
    fn concerned(&self, condition: Bits) -> Bits {
        let mut asked = Bits::ERR.or(Bits::HUP);
        for (armed, bits) in [(self.read, Bits::IN.or(Bits::RDHUP)), (self.write, Bits::OUT)] {
            if armed {
                asked = asked.or(bits);
            }
        }
        if self.read || self.write { Bits(condition.0 & asked.0) } else { Bits::NONE }
    }
}

#[derive(Debug)]
struct Reports {
    events: Vec<Event>,
    capacity: usize,
}

impl Batch for Reports {
    fn with_capacity(capacity: usize) -> Self {
        Reports { events: Vec::with_capacity(capacity), capacity }
    }

    fn len(&self) -> usize {
        self.events.len()
    }

    fn get(&self, place: usize) -> Event {
        self.events[place]
    }
}

impl World {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

fn not_here<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl Kernel for PollStyle {
    type Fd = End;
    type Queue = Queue;
    type Batch = Reports;

    fn pipe(&self) -> io::Result<(End, End)> {
        let mut state = self.0.lock();
        let pipe = state.pipes.len();
        state.pipes.push(Pipe { bytes: VecDeque::new(), reader: true, writer: true });
        let end = |end| {
            let closed = AtomicBool::new(false);
            End { world: Arc::clone(&self.0), pipe, end, closed }
        };
        Ok((end(Mode::Read), end(Mode::Write)))
    }

    fn read(&self, fd: &End, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        let pipe = &mut state.pipes[fd.pipe];
        if pipe.bytes.is_empty() && pipe.writer {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(pipe.bytes.len());
        for (place, byte) in buffer.iter_mut().zip(pipe.bytes.drain(..count)) {
            *place = byte;
        }
        drop(state);
        self.0.changed.notify_all();
        Ok(count)
    }

    fn write(&self, fd: &End, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        let pipe = &mut state.pipes[fd.pipe];
        if !pipe.reader {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(Pipe::CAPACITY - pipe.bytes.len());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.bytes.extend(&bytes[..count]);
        drop(state);
        self.0.changed.notify_all();
        Ok(count)
    }

    fn close(&self, fd: &End) -> io::Result<()> {
        fd.close();
        Ok(())
    }

    fn queue(&self) -> io::Result<Queue> {
        let mut state = self.0.lock();
        state.tokens.push(0);
        Ok(Queue { id: state.tokens.len() - 1, set: Mutex::default() })
    }

    fn add(&self, queue: &Queue, fd: &End, token: Token) -> Result<SetChange, RegisterFault> {
        let mut set = queue.set.lock().expect("no holder panics");
        let entry = Entry { token, read: false, write: false };
        if set.insert((fd.pipe, fd.end), entry).is_some() {
            return Err(RegisterFault::Failed(io::ErrorKind::AlreadyExists.into()));
        }
        // Nobody waits for it yet, so no thread has to know.
        Ok(SetChange::InForce)
    }

    fn remove(&self, queue: &Queue, fd: &End) -> io::Result<SetChange> {
        let mut set = queue.set.lock().expect("no holder panics");
        set.remove(&(fd.pipe, fd.end)).ok_or(io::ErrorKind::NotFound)?;
        Ok(SetChange::NeedsBreak)
    }

    fn arm(&self, queue: &Queue, fd: &End, token: Token, mode: Mode) -> io::Result<SetChange> {
        let mut set = queue.set.lock().expect("no holder panics");
        let entry = set.get_mut(&(fd.pipe, fd.end)).ok_or(io::ErrorKind::NotFound)?;
        assert_eq!(entry.token, token, "armed under another name than it was registered");
        match mode {
            Mode::Read => entry.read = true,
            Mode::Write => entry.write = true,
        }
        Ok(SetChange::NeedsBreak)
    }

    fn wait(&self, queue: &Queue, batch: &mut Reports, timeout: Timeout) -> io::Result<()> {
        let snapshot = queue.set.lock().expect("no holder panics").clone();
        let mut state = self.0.lock();
        loop {
            batch.events.clear();
            if state.tokens[queue.id] > 0 {
                batch.events.push(Event { token: Token::BREAK, bits: Bits::IN });
            }
            for (&(pipe, end), entry) in &snapshot {
                let bits = entry.concerned(state.pipes[pipe].condition(end));
                if bits != Bits::NONE && batch.events.len() < batch.capacity {
                    batch.events.push(Event { token: entry.token, bits });
                }
            }
            state = match timeout {
                _ if !batch.is_empty() => break,
                Timeout::Zero => break,
                Timeout::Never => self.0.changed.wait(state).expect("no holder panics"),
                Timeout::After(_) => return not_here(),
            };
        }
        drop(state);
        // Before the caller applies them: a task that is woken by a report arms anew, and that
        // must not be undone.
        let mut set = queue.set.lock().expect("no holder panics");
        for entry in set.values_mut() {
            for event in batch.events.iter().filter(|event| event.token == entry.token) {
                let report = netpoller_spec::events::report(event.bits);
                entry.read &= !report.read;
                entry.write &= !report.write;
            }
        }
        Ok(())
    }

    fn post(&self, queue: &Queue) -> io::Result<()> {
        self.0.lock().tokens[queue.id] += 1;
        self.0.changed.notify_all();
        Ok(())
    }

    fn drain(&self, queue: &Queue) -> io::Result<()> {
        self.0.lock().tokens[queue.id] = 0;
        Ok(())
    }

    fn dup(&self, _: &End) -> io::Result<End> {
        not_here()
    }

    fn socket_pair(&self, _: Kind) -> io::Result<(End, End)> {
        not_here()
    }

    fn socket(&self, _: &Address, _: Kind) -> io::Result<End> {
        not_here()
    }

    fn bind(&self, _: &End, _: &Address) -> io::Result<()> {
        not_here()
    }

    fn listen(&self, _: &End, _: u32) -> io::Result<()> {
        not_here()
    }

    fn connect(&self, _: &End, _: &Address) -> io::Result<()> {
        not_here()
    }

    fn accept(&self, _: &End) -> io::Result<(End, Address)> {
        not_here()
    }

    fn read_vectored(&self, _: &End, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        not_here()
    }

    fn write_vectored(&self, _: &End, _: &[IoSlice<'_>]) -> io::Result<usize> {
        not_here()
    }

    fn peek(&self, _: &End, _: &mut [u8]) -> io::Result<usize> {
        not_here()
    }

    fn set_reuse_address(&self, _: &End, _: bool) -> io::Result<()> {
        not_here()
    }

    fn nodelay(&self, _: &End) -> io::Result<bool> {
        not_here()
    }

    fn set_nodelay(&self, _: &End, _: bool) -> io::Result<()> {
        not_here()
    }

    fn nonblocking(&self, _: &End) -> io::Result<bool> {
        Ok(true)
    }

    fn set_nonblocking(&self, _: &End, _: bool) -> io::Result<()> {
        not_here()
    }

    fn take_error(&self, _: &End) -> io::Result<Option<io::Error>> {
        not_here()
    }

    fn local_address(&self, _: &End) -> io::Result<Address> {
        not_here()
    }

    fn peer_address(&self, _: &End) -> io::Result<Address> {
        not_here()
    }

    fn shutdown(&self, _: &End, _: HowToShut) -> io::Result<()> {
        not_here()
    }
}

fn harvest(kernel: &PollStyle, queue: &Queue) -> Vec<Event> {
    let mut batch = Reports::with_capacity(8);
    kernel.wait(queue, &mut batch, Timeout::Zero).expect("a wait without blocking");
    batch.events
}

#[test]
fn a_direction_is_reported_once_for_each_time_it_is_armed() {
    let kernel = PollStyle::default();
    let queue = kernel.queue().expect("a queue");
    let (reader, writer) = kernel.pipe().expect("a pipe");
    let token = Token::entry(0, Generation::FIRST);
    kernel.add(&queue, &reader, token).expect("registered");
    kernel.write(&writer, b"x").expect("room for a byte");
    assert_eq!(harvest(&kernel, &queue), [], "reported although nobody waits");

    let expected = [Event { token, bits: Bits::IN }];
    for round in 0..2 {
        let change = kernel.arm(&queue, &reader, token, Mode::Read).expect("armed");
        assert_eq!(change, SetChange::NeedsBreak, "a blocked thread would wait on the old set");
        assert_eq!(harvest(&kernel, &queue), expected, "not reported in round {round}");
        assert_eq!(harvest(&kernel, &queue), [], "reported again without being armed");
    }

    kernel.arm(&queue, &reader, token, Mode::Write).expect("armed");
    assert_eq!(harvest(&kernel, &queue), [], "reported in a direction that is not armed");
    kernel.remove(&queue, &reader).expect("removed");
    assert_eq!(harvest(&kernel, &queue), [], "reported after it was removed");
}

#[test]
fn each_wait_arms_its_direction_and_breaks_whoever_blocks_on_the_old_set() {
    let poller = Poller::on(Level::default(), Shape::default()).expect("a poller");
    let mut ready = Ready::new();
    let (reader, writer) = poller.pipe().expect("a pipe");
    let mut waiter = reader.waiter(Mode::Read).expect("the only waiter");
    let mut cx = Context::from_waker(Waker::noop());

    for round in 0..3 {
        assert!(waiter.poll_wait(&mut cx).is_pending(), "round {round}: nothing was written");
        // NP-BREAK-5: the token is there although the flag, by which breaks merge, is not set.
        assert_eq!(poller.peek().1, Flag::Clear, "round {round}: nobody has called `wake`");
        poller.poll(&mut ready, None).expect("the break");
        assert!(ready.broken(), "round {round}: the wait did not ask for a break");

        writer.try_write(b"x").expect("room for a byte");
        assert_eq!(poller.poll(&mut ready, None).expect("the byte"), 1, "round {round}: no waker");
        assert!(matches!(waiter.poll_wait(&mut cx), Poll::Ready(Ok(()))), "round {round}");
        let again = poller.poll(&mut ready, Some(Duration::ZERO)).expect("nothing");
        assert_eq!(again, 0, "round {round}: reported without being armed");
        reader.try_read(&mut [0]).expect("the byte");
    }
}

#[test]
fn the_poller_moves_every_byte_on_a_level_triggered_backend() {
    const BYTES: u8 = 100;
    let poller = Poller::on(Level::default(), Shape::default()).expect("a poller");
    let (there_reader, there_writer) = poller.pipe().expect("a pipe");
    let (back_reader, back_writer) = poller.pipe().expect("a pipe");
    let over = AtomicBool::new(false);

    thread::scope(|scope| {
        scope.spawn(|| {
            let mut ready = Ready::new();
            while !over.load(Ordering::Acquire) {
                poller.poll(&mut ready, None).expect("a poll");
                ready.wake_all();
            }
        });
        scope.spawn(|| {
            for byte in 0..BYTES {
                (&there_writer).write_all(&[byte]).expect("the other end reads");
            }
        });
        let echo = scope.spawn(|| {
            for _ in 0..BYTES {
                let mut byte = [0];
                (&there_reader).read_exact(&mut byte).expect("the other end writes");
                (&back_writer).write_all(&byte).expect("the other end reads");
            }
        });
        for expected in 0..BYTES {
            let mut byte = [0];
            (&back_reader).read_exact(&mut byte).expect("the echo");
            assert_eq!(byte, [expected], "a byte was lost, doubled or overtaken");
        }
        echo.join().expect("the echo ends with the last byte");
        over.store(true, Ordering::Release);
        poller.wake().expect("a break");
    });
}

#[test]
fn go_7410_a_descriptor_that_may_not_wait_is_not_armed() {
    // NP-WAIT-2: closed, or late. Its number may be somebody else's by the time the arming acts.
    let poller = Poller::on(Level::default(), Shape::default()).expect("a poller");
    let (late, _one) = poller.pipe().expect("a pipe");
    let (closed, _two) = poller.pipe().expect("a pipe");
    late.set_read_deadline(Some(poller.now())).expect("open");
    let wakers = closed.incarnation().close().expect("the first close");
    netpoller::desc::wake(wakers);
    for (source, what) in [(&late, "a late descriptor"), (&closed, "a closed one")] {
        let (mut wait, mut armed) = (Wait::default(), false);
        let arm = || {
            armed = true;
            Ok(())
        };
        let polled = source.incarnation().poll_wait(Mode::Read, &mut wait, Waker::noop(), arm);
        assert!(matches!(polled, Poll::Ready(Err(_))), "{what} waits: {polled:?}");
        assert!(!armed, "{what} was armed");
    }
}
