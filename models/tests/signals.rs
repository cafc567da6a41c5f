//! Signals during a poll (NP-EDGE-4) and during a close (NP-FD-9), on a kernel whose waits end as a
//! script says and a clock that the script moves: nothing here depends on how long anything takes.
//!
//! That the real kernel interrupts waits is the business of `netpoller-tests`; here it is counted
//! what the poller asks the kernel for after each interruption.

use netpoller::observe::Step;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::{
    Address, HowToShut, Instant, Kernel, Kind, Ordering, Os, Primitives, RegisterFault, SetChange,
    System, Timeout,
};
use netpoller_models::kernel::StubKernel;
use netpoller_spec::Mode;
use netpoller_spec::token::Token;
use std::fmt::Debug;
use std::io::{self, IoSlice, IoSliceMut};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Stub = StubKernel<Os>;
type Fd = <Stub as Kernel>::Fd;
type Queue = <Stub as Kernel>::Queue;
type Batch = <Stub as Kernel>::Batch;

/// A kernel that interrupts the first waits and lets the one after them time out.
#[derive(Debug)]
struct Interrupting {
    stub: Stub,
    script: Mutex<Script>,
}

#[derive(Debug, Default)]
struct Script {
    now: Duration,
    /// How long each wait lasts that a signal ends.
    interruptions: Vec<Duration>,
    asked: Vec<Timeout>,
    /// The first wait fails with this and nothing is wrong with the next one.
    failure: Option<io::Error>,
    /// How often a number was closed. The first time a signal interrupts it.
    closed: usize,
}

impl Interrupting {
    fn script<R>(&self, act: impl FnOnce(&mut Script) -> R) -> R {
        act(&mut self.script.lock().expect("no holder panics"))
    }
}

macro_rules! as_the_stub {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($argument: $kind),*) -> $result {
            self.stub.$name($($argument),*)
        })*
    };
}

impl Kernel for Interrupting {
    type Fd = Fd;
    type Queue = Queue;
    type Batch = Batch;

    as_the_stub! {
        fn pipe() -> io::Result<(Fd, Fd)>;
        fn socket_pair(kind: Kind) -> io::Result<(Fd, Fd)>;
        fn socket(address: &Address, kind: Kind) -> io::Result<Fd>;
        fn bind(fd: &Fd, address: &Address) -> io::Result<()>;
        fn listen(fd: &Fd, backlog: u32) -> io::Result<()>;
        fn connect(fd: &Fd, address: &Address) -> io::Result<()>;
        fn accept(fd: &Fd) -> io::Result<(Fd, Address)>;
        fn take_error(fd: &Fd) -> io::Result<Option<io::Error>>;
        fn local_address(fd: &Fd) -> io::Result<Address>;
        fn peer_address(fd: &Fd) -> io::Result<Address>;
        fn shutdown(fd: &Fd, how: HowToShut) -> io::Result<()>;
        fn read(fd: &Fd, buffer: &mut [u8]) -> io::Result<usize>;
        fn write(fd: &Fd, bytes: &[u8]) -> io::Result<usize>;
        fn read_vectored(fd: &Fd, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
        fn write_vectored(fd: &Fd, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
        fn peek(fd: &Fd, buffer: &mut [u8]) -> io::Result<usize>;
        fn set_reuse_address(fd: &Fd, on: bool) -> io::Result<()>;
        fn nodelay(fd: &Fd) -> io::Result<bool>;
        fn set_nodelay(fd: &Fd, on: bool) -> io::Result<()>;
        fn nonblocking(fd: &Fd) -> io::Result<bool>;
        fn set_nonblocking(fd: &Fd, on: bool) -> io::Result<()>;
        fn dup(fd: &Fd) -> io::Result<Fd>;
        fn queue() -> io::Result<Queue>;
        fn add(queue: &Queue, fd: &Fd, token: Token) -> Result<SetChange, RegisterFault>;
        fn remove(queue: &Queue, fd: &Fd) -> io::Result<SetChange>;
        fn arm(queue: &Queue, fd: &Fd, token: Token, mode: Mode) -> io::Result<SetChange>;
        fn post(queue: &Queue) -> io::Result<()>;
        fn drain(queue: &Queue) -> io::Result<()>;
    }

    /// As on Linux: the number is gone, and a signal may have interrupted the rest.
    fn close(&self, fd: &Fd) -> io::Result<()> {
        self.stub.close(fd)?;
        self.script(|script| {
            script.closed += 1;
            if script.closed == 1 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        })
    }

    fn wait(&self, _: &Queue, _: &mut Batch, timeout: Timeout) -> io::Result<()> {
        self.script(|script| {
            script.asked.push(timeout);
            if let Some(failure) = script.failure.take() {
                return Err(failure);
            }
            if script.interruptions.is_empty() {
                return Ok(()); // nothing has happened, and the time is over
            }
            script.now += script.interruptions.remove(0);
            Err(io::ErrorKind::Interrupted.into())
        })
    }
}

#[derive(Clone, Debug)]
struct Scripted(Arc<Interrupting>);

impl Primitives for Scripted {
    type AtomicU32 = <Os as Primitives>::AtomicU32;
    type AtomicU64 = <Os as Primitives>::AtomicU64;
    type Mutex<T: Send + Debug> = <Os as Primitives>::Mutex<T>;
    type Parker = <Os as Primitives>::Parker;

    fn fence(order: Ordering) {
        Os::fence(order);
    }

    fn parker() -> Self::Parker {
        Os::parker()
    }

    fn choose(alternatives: usize) -> usize {
        Os::choose(alternatives)
    }
}

impl System for Scripted {
    type Kernel = Interrupting;

    fn kernel(&self) -> &Interrupting {
        &self.0
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(0).saturating_add(self.0.script(|script| script.now))
    }

    fn observe(&self, _: &Step) {}
}

/// What a poll with this timeout asks the kernel for, one wait after the other, when signals come
/// after these times.
fn asked(timeout: Option<Duration>, interruptions: &[Duration]) -> Vec<Timeout> {
    let script = Script { interruptions: interruptions.to_vec(), ..Script::default() };
    let kernel = Interrupting { stub: StubKernel::new(), script: Mutex::new(script) };
    let system = Scripted(Arc::new(kernel));
    let poller = Poller::on(system.clone(), Shape::default()).expect("the stub has a queue");
    let polled = poller.poll(&mut Ready::new(), timeout);
    assert!(matches!(polled, Ok(0)), "signals ended a poll with timeout {timeout:?}: {polled:?}");
    system.0.script(|script| std::mem::take(&mut script.asked))
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn go_20400_a_poll_goes_on_after_a_signal_with_what_is_left_of_its_time() {
    // NP-EDGE-4
    let after = |ms| Timeout::After(ms * MS);
    assert_eq!(asked(Some(30 * MS), &[]), [after(30)]);
    assert_eq!(asked(Some(30 * MS), &[10 * MS, 5 * MS]), [after(30), after(20), after(15)]);
}

#[test]
fn a_poll_whose_time_is_over_when_a_signal_comes_looks_once_more_and_does_not_wait() {
    // NP-EDGE-4
    assert_eq!(asked(Some(30 * MS), &[40 * MS]), [Timeout::After(30 * MS), Timeout::Zero]);
}

#[test]
fn a_poll_without_end_and_one_that_does_not_wait_stay_so_after_a_signal() {
    // NP-EDGE-4
    assert_eq!(asked(None, &[MS, MS]), [Timeout::Never; 3]);
    assert_eq!(asked(Some(Duration::ZERO), &[MS, MS]), [Timeout::Zero; 3]);
}

#[test]
fn go_35566_a_wait_that_fails_is_an_error_and_is_not_repeated() {
    // NP-EDGE-4 is about signals alone: whoever polls has to learn that the queue is not usable.
    for errno in [9, 22, 110] {
        let failure = Some(io::Error::from_raw_os_error(errno)); // EBADF, EINVAL, ETIMEDOUT
        let script = Script { failure, ..Script::default() };
        let kernel = Interrupting { stub: StubKernel::new(), script: Mutex::new(script) };
        let system = Scripted(Arc::new(kernel));
        let poller = Poller::on(system.clone(), Shape::default()).expect("the stub has a queue");
        let error = poller.poll(&mut Ready::new(), None).expect_err("the wait has failed");
        assert!(error.to_string().starts_with("waiting on the event queue: "), "{error}");
        let asked = system.0.script(|script| script.asked.len());
        assert_eq!(asked, 1, "a wait that failed with errno {errno} was repeated");
    }
}

#[test]
fn go_38836_a_close_that_a_signal_interrupts_is_not_repeated() {
    // NP-FD-9
    let kernel = Interrupting { stub: StubKernel::new(), script: Mutex::default() };
    let system = Scripted(Arc::new(kernel));
    let poller = Poller::on(system.clone(), Shape::default()).expect("the stub has a queue");
    let (fd, _other) = system.kernel().pipe().expect("the stub makes descriptors");
    let source = poller.register(fd).expect("the stub registers everything");
    source.close().expect("the number is gone, so the close has succeeded");
    drop(source);
    let closed = system.0.script(|script| script.closed);
    assert_eq!(closed, 1, "after a signal the number may be somebody else's");
}
