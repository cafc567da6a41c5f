//! Bytes through the simulated kernel, end to end: register, read, EAGAIN, park, edge, harvest,
//! notify, wake, read again. One thread polls until it is told to stop.
//!
//! What most threads do is made of a few calls, and those are sealed ([`Engine::sealed`]): a thread that
//! has read a byte knows the byte, and not how often it had to wait for it.

use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::kernel::{Config, LevelKernel, SimKernel, Timed};
use crate::oracle::{self, assert_that};
use crate::world::Model;
use netpoller::Reason;
use netpoller::error::WaitError;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{Atomic, Event, Kernel, Kind, Parker, Primitives, System};
use netpoller::source::Source;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Generation;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

/// This family.
pub const ALL: &[Scenario] = &[
    pipe_byte::SCENARIO,
    pipe_end::SCENARIO,
    pipe_room::SCENARIO,
    stream_close::SCENARIO,
    stream_close_below_the_lock::SCENARIO,
    stream_both_ways::SCENARIO,
    harvest_close_reopen::SCENARIO,
    pipe_early_edge::SCENARIO,
    older_than_the_registration::SCENARIO,
];

/// The system of these scenarios.
pub type Simulated<E> = Model<E, SimKernel<E>>;

/// A kernel that is simulated, whatever its event queue.
pub trait Simulates: Timed {
    /// A fresh one.
    fn on(config: Config) -> Self;

    /// Whether a break token lies in an event queue. Not a step of the program.
    fn peek_token(queue: &Self::Queue) -> bool;
}

impl<P: Primitives> Simulates for SimKernel<P> {
    fn on(config: Config) -> Self {
        SimKernel::new(config)
    }

    fn peek_token(queue: &Self::Queue) -> bool {
        queue.peek_break_token()
    }
}

impl<P: Primitives> Simulates for LevelKernel<P> {
    fn on(config: Config) -> Self {
        LevelKernel::new(config)
    }

    fn peek_token(queue: &Self::Queue) -> bool {
        queue.signals()[0].peek_is_up()
    }
}

/// A poller on the simulated kernel, and how its driver is told to stop.
#[derive(Debug)]
pub struct Wired<E: Engine, K: Timed = SimKernel<E>> {
    /// The poller.
    pub poller: Poller<Model<E, K>>,
    /// Raised when the traffic is over.
    pub done: Arc<E::AtomicU32>,
}

/// A fresh one: small buffers, one entry in the first segment of the slab.
///
/// # Panics
///
/// Never: a fresh simulated kernel has room for an event queue.
#[must_use]
pub fn wired<E: Engine>() -> Wired<E> {
    wired_on(Config::small())
}

/// The same on a kernel of this kind.
///
/// # Panics
///
/// As [`wired`].
#[must_use]
pub fn wired_on<E: Engine>(config: Config) -> Wired<E> {
    wired_to::<E, SimKernel<E>>(config)
}

/// The same, and whether blocking waits poll when nobody else does.
///
/// # Panics
///
/// As [`wired`].
#[must_use]
pub fn wired_as<E: Engine>(config: Config, turns: bool) -> Wired<E> {
    shaped(config, turns)
}

/// The same on another simulated kernel of this kind.
///
/// # Panics
///
/// As [`wired`].
#[must_use]
pub fn wired_to<E: Engine, K: Simulates>(config: Config) -> Wired<E, K> {
    shaped(config, false)
}

fn shaped<E: Engine, K: Simulates>(config: Config, turns: bool) -> Wired<E, K> {
    let shape = Shape { first_segment: 1, first_generation: Generation::FIRST, turns };
    let poller = Poller::on(Model::new(K::on(config)), shape);
    Wired {
        poller: poller.expect("a fresh kernel has an event queue"),
        done: Arc::new(E::AtomicU32::new(0)),
    }
}

/// Whether a break token lies in the kernel.
#[must_use]
pub fn token<S: System<Kernel: Simulates>>(poller: &Poller<S>) -> bool {
    S::Kernel::peek_token(poller.queue())
}

/// Polls until the traffic is over.
pub(super) fn drive<E: Engine>(poller: &Poller<impl System>, done: &E::AtomicU32) {
    drive_until::<E>(poller, done, 1);
}

/// Polls until `done` says that everybody is. For a thread that knows no more, when this ends, than that it
/// has ended: each round begins as the first one did.
pub(super) fn drive_until<E: Engine>(
    poller: &Poller<impl System>,
    done: &E::AtomicU32,
    everybody: u32,
) {
    let mut ready = Ready::with_batch(2);
    // Acquire: pairs with the release in `stop`; that it is seen follows from the break.
    while done.load(Ordering::Acquire) != everybody {
        E::sealed(|| {
            poller.poll(&mut ready, None).expect("the simulated kernel polls");
            ready.wake_all();
        });
        E::forget(0);
    }
}

/// Tells the driver that the traffic is over.
pub(super) fn stop<E: Engine>(poller: &Poller<impl System>, done: &E::AtomicU32) {
    E::sealed(|| {
        done.store(1, Ordering::Release);
        poller.wake().expect("the simulated kernel takes tokens");
    });
}

/// Tells the driver that one of those who are busy is done; `bit` says which.
pub(super) fn stop_one<E: Engine>(poller: &Poller<impl System>, done: &E::AtomicU32, bit: u32) {
    E::sealed(|| {
        done.fetch_or(bit, Ordering::Release);
        poller.wake().expect("the simulated kernel takes tokens");
    });
}

/// Closes what a thread owns: it cares no more for how.
pub(super) fn closes<E: Engine>(owned: impl Sized) {
    E::sealed(|| drop(owned));
}

pub(super) fn read_one<E: Engine>(
    mut source: &Source<Model<E, impl Timed>>,
) -> Result<Option<u8>, Option<Reason>> {
    E::sealed(|| {
        let mut byte = [0];
        match source.read(&mut byte) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(byte[0])),
            Err(error) => Err(Reason::of(&error)),
        }
    })
}

pub(super) fn write_one<E: Engine>(mut source: &Source<Model<E, impl Timed>>, byte: u8) {
    E::sealed(|| {
        let written = source.write(&[byte]);
        let one = matches!(written, Ok(1));
        assert_that(one, || format!("writing a byte got {written:?}"));
    });
}

scenario! {
    /// A byte goes through a pipe while the reader parks and a third thread polls.
    family: ParkUnpark;
    rules: "NP-EDGE-1 NP-EDGE-2 NP-WAIT-4 NP-SLOT-3";
    from: "the smallest real traffic";
    fn pipe_byte<E>() -> Plan {
        one_byte(wired::<E>())
    }
}

/// A byte through a pipe, on any simulated kernel.
pub(super) fn one_byte<E: Engine, K: Simulates>(wired: Wired<E, K>) -> Plan {
    let Wired { poller, done } = wired;
    let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
    let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
    Plan::new()
        .thread("driver", move || drive::<E>(&driver, &seen))
        .thread("reader", move || {
            let got = read_one::<E>(&reader);
            assert_that(got == Ok(Some(7)), || format!("the reader got {got:?}"));
            stop::<E>(&stopper, &done);
            closes::<E>(reader);
        })
        .thread("writer", move || {
            write_one::<E>(&writer, 7);
            closes::<E>(writer);
        })
        .finally(move || over(&poller))
}

scenario! {
    /// The writer of a pipe goes away: the parked reader is woken by the hang-up and reads the
    /// end. Closing the source takes its registration, its incarnation and its number along.
    family: DataAndEnd;
    rules: "NP-EVT-2 NP-WAIT-4 NP-GEN-5";
    from: "Go os.TestPipeEOF";
    fn pipe_end<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("reader", move || {
                let got = read_one::<E>(&reader);
                assert_that(got == Ok(None), || format!("the reader got {got:?}"));
                stop::<E>(&stopper, &done);
                closes::<E>(reader);
            })
            .thread("writer", move || closes::<E>(writer))
            .finally(move || over(&poller))
    }
}

scenario! {
    /// A pipe is full and its writer parks; the reader takes a byte out, and the writer goes on.
    family: ParkUnpark;
    rules: "NP-EDGE-2 NP-EVT-1 NP-WAIT-4";
    from: "the writer's side of the smallest traffic";
    fn pipe_room<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        while writer.try_write(&[1]).is_ok() {}
        let reader = Arc::new(reader);
        let taker = Arc::clone(&reader);
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("writer", move || {
                write_one::<E>(&writer, 2);
                stop::<E>(&stopper, &done);
                closes::<E>(writer);
            })
            .thread("reader", move || {
                let got = read_one::<E>(&taker);
                assert_that(got == Ok(Some(1)), || format!("the reader got {got:?}"));
            })
            .finally(move || {
                drop(reader); // not before: a pipe without a reader cannot be written to
                over(&poller);
            })
    }
}

scenario! {
    /// A reader is in a system call, about to park or parked when another task closes the
    /// source. Nobody polls: the close alone has to end the read.
    family: ParkClose;
    rules: "NP-WAIT-2 NP-WAIT-3";
    from: "Go #45211 (B1), through the I/O layer";
    fn stream_close<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (near, far) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let near = Arc::new(near);
        // Whoever gave it up last would close it, and no engine sees that race.
        let (closer, last) = (Arc::clone(&near), Arc::clone(&near));
        Plan::new()
            .thread("reader", move || {
                let got = read_one::<E>(&near);
                let closed = got == Err(Some(Reason::Closed));
                assert_that(closed, || format!("the reader got {got:?}"));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
            })
            .finally(move || {
                drop((last, far));
                over(&poller);
            })
    }
}

scenario! {
    /// The same below the lock of the descriptor, so that it is small: the reader prepares, calls and
    /// waits, the closer ends the waits, and nobody counts users.
    family: ParkClose;
    rules: "NP-WAIT-2 NP-WAIT-3";
    from: "Go #45211 (B1), with a system call in between";
    fn stream_close_below_the_lock<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let system = poller.system().clone();
        let kernel = netpoller::seam::System::kernel(&system);
        let (near, far) = kernel.socket_pair(Kind::Stream).expect("room for a pair");
        let twin = kernel.dup(&near).expect("room for another number");
        let near = poller.register(near).expect("room for a registration");
        let token = near.token();
        let (reader, closer) = (poller.clone(), poller.clone());
        let twin = Arc::new(twin);
        let called = Arc::clone(&twin);
        // A step before the first look and one after the last, as the lock of the descriptor has them.
        let right = E::AtomicU32::new(0);
        Plan::new()
            .thread("reader", move || {
                let (incarnation, parker) = (reader.incarnation(token), E::parker());
                let mut wait = netpoller::desc::Wait::default();
                right.fetch_or(1, Ordering::Acquire);
                let mut prepared = incarnation.prepare(Mode::Read);
                while prepared.is_ok() {
                    let empty = netpoller::seam::System::kernel(reader.system()).read(&called, &mut [0]);
                    assert_that(empty.is_err(), || format!("the reader got {empty:?}"));
                    prepared = loop {
                        match incarnation.poll_wait(Mode::Read, &mut wait, parker.waker(), || Ok(())) {
                            Poll::Pending => parker.park(),
                            Poll::Ready(Ok(())) => break Ok(()),
                            Poll::Ready(Err(WaitError::Protocol(reason))) => break Err(reason),
                            Poll::Ready(Err(error)) => panic!("the reader got {error:?}"),
                        }
                    };
                }
                right.fetch_and(0, Ordering::Release);
                let closed = prepared == Err(netpoller_spec::Reason::Closed);
                assert_that(closed, || format!("the reader got {prepared:?}"));
            })
            .thread("closer", move || {
                let wakers = closer.incarnation(token).close();
                assert_that(wakers.is_some(), || "the only closer was not the first".to_owned());
                netpoller::desc::wake(wakers.into_iter().flatten());
            })
            .finally(move || {
                drop((near, far, twin));
                over(&poller);
            })
    }
}

scenario! {
    /// Both ends of a stream read, parked, and write one byte each, while a third thread polls.
    family: BothDirections;
    rules: "NP-EVT-1 NP-EDGE-2 NP-WAIT-4";
    from: "reader and writer of one descriptor at once, with a kernel";
    fn stream_both_ways<E>() -> Plan {
        let Wired { poller, done } = wired::<E>();
        let (a, b) = poller.stream_pair().expect("a fresh kernel has room for a pair");
        let (driver, stopper, seen) = (poller.clone(), poller.clone(), Arc::clone(&done));
        Plan::new()
            .thread("driver", move || drive::<E>(&driver, &seen))
            .thread("asker", move || {
                write_one::<E>(&a, 1);
                let got = read_one::<E>(&a);
                assert_that(got == Ok(Some(2)), || format!("the asker got {got:?}"));
                stop::<E>(&stopper, &done);
                closes::<E>(a);
            })
            .thread("answerer", move || {
                let got = read_one::<E>(&b);
                assert_that(got == Ok(Some(1)), || format!("the answerer got {got:?}"));
                write_one::<E>(&b, 2);
                closes::<E>(b);
            })
            .finally(move || over(&poller))
    }
}

scenario! {
    /// A poll harvests while one descriptor is closed and another takes its number and its place:
    /// what was harvested for the old one must not touch the new one.
    family: StaleEvent;
    rules: "NP-GEN-1 NP-GEN-5";
    from: "Go #59545 (B2), with a kernel that reuses numbers";
    fn harvest_close_reopen<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (passer, owner) = (poller.clone(), poller.clone());
        Plan::new()
            .thread("passer", move || {
                let mut ready = Ready::with_batch(4);
                let zero = Some(core::time::Duration::ZERO);
                passer.poll(&mut ready, zero).expect("the simulated kernel polls");
            })
            .thread("owner", move || {
                let old = reader.token();
                drop(reader);
                let (fresh, _other) = owner.pipe().expect("there is room for a pipe");
                assert_that(fresh.token() != old, || "a generation was given out twice".into());
                let check = fresh.incarnation().check(Mode::Read);
                assert_that(check.is_ok(), || format!("the new descriptor is {check:?}"));
            })
            .finally(move || {
                drop(writer);
                over(&poller);
            })
    }
}

scenario! {
    /// An edge comes although there is nothing to read: somebody else was quicker, or a checksum was
    /// wrong. The reader finds that out by its system call, waits again, and gets the byte.
    family: TwoEdges;
    rules: "NP-EDGE-5 NP-WAIT-4";
    from: "Go #14548 (B4): readiness taken for a promise";
    fn pipe_early_edge<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let (reader, writer) = poller.pipe().expect("a fresh kernel has room for a pipe");
        let (token, passer) = (reader.token(), poller.clone());
        Plan::new()
            .thread("reader", move || {
                let got = read_one::<E>(&reader);
                assert_that(got == Ok(Some(7)), || format!("the reader got {got:?}"));
            })
            .thread("writer", move || {
                passer.deliver(&[Event { token, bits: Bits::IN }]);
                write_one::<E>(&writer, 7);
                let mut ready = Ready::with_batch(2);
                let zero = Some(core::time::Duration::ZERO);
                passer.poll(&mut ready, zero).expect("the simulated kernel polls");
            })
            .finally(move || over(&poller))
    }
}

scenario! {
    /// The byte is older than the registration. A task registers and waits, without a system call
    /// before it, while another one polls: no edge follows, so the registration has to report it.
    family: ParkUnpark;
    rules: "NP-EDGE-1 NP-SLOT-3";
    from: "the peer is quicker than the registration";
    fn older_than_the_registration<E>() -> Plan {
        let Wired { poller, .. } = wired::<E>();
        let kernel = netpoller::seam::System::kernel(poller.system());
        let (reader, writer) = kernel.pipe().expect("a fresh kernel has room for a pipe");
        let written = kernel.write(&writer, &[7]);
        assert_that(matches!(written, Ok(1)), || format!("the setup got {written:?}"));
        let (driver, owner) = (poller.clone(), poller.clone());
        Plan::new()
            .thread("driver", move || {
                driver.poll(&mut Ready::with_batch(1), None).expect("the simulated kernel polls");
            })
            .thread("owner", move || {
                let source = owner.register(reader).expect("there is room for a registration");
                let mut waiter = source.waiter(Mode::Read).expect("the only waiter");
                let waited = waiter.wait();
                assert_that(waited.is_ok(), || format!("the owner got {waited:?}"));
            })
            .finally(move || {
                drop(writer);
                over(&poller);
            })
    }
}

pub(super) fn over<S: System<Kernel: Simulates>>(poller: &Poller<S>) {
    oracle::quiescent(poller, token(poller));
}
