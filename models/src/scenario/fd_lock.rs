//! The lock of a descriptor: users, turns, and the end.
//!
//! Where the number matters the kernel is the simulated one, which panics when a number is used
//! after it was closed, or closed twice. The others run on the kernel that does nothing.

use super::bench::{Bare, Bench, unheard};
use super::traffic::{Simulated, Wired, over, wired};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::Reason;
use netpoller::seam::{Parker, System};
use netpoller::source::Source;
use netpoller_spec::Mode;
use std::future::{Future, pending};
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// This family.
pub const ALL: &[Scenario] = &[
    fd_close_queued::SCENARIO,
    fd_close_at_the_turn::SCENARIO,
    fd_hand_on_in_order::SCENARIO,
    fd_dropped_at_its_turn::SCENARIO,
    fd_close_against_a_user::SCENARIO,
    fd_two_closers::SCENARIO,
    fd_close_against_a_parked_reader::SCENARIO,
    fd_close_against_a_future::SCENARIO,
    fd_reader_and_writer_enter_and_leave::SCENARIO,
];

/// A task that owns what it needs, and is polled by hand or by a thread that blocks on it.
pub(super) struct Task(Pin<Box<dyn Future<Output = Result<(), Reason>> + Send>>);

impl Task {
    pub(super) fn new(future: impl Future<Output = io::Result<()>> + Send + 'static) -> Task {
        let reason = |error: io::Error| Reason::of(&error).expect("an error of the poller");
        Task(Box::pin(async move { future.await.map_err(reason) }))
    }

    /// Polls once, in the setup.
    pub(super) fn started(mut self) -> Task {
        let polled = self.poll_once();
        assert_that(polled.is_pending(), || format!("the setup got {polled:?}"));
        self
    }

    /// Polls once, with a waker that nobody waits for.
    pub(super) fn poll_once(&mut self) -> Poll<Result<(), Reason>> {
        let waker = unheard();
        self.0.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// Goes on until it is over, blocking the thread.
    pub(super) fn finish<E: Engine>(mut self) -> Result<(), Reason> {
        let parker = E::parker();
        E::sealed(|| {
            loop {
                match self.0.as_mut().poll(&mut Context::from_waker(parker.waker())) {
                    Poll::Ready(result) => return result,
                    Poll::Pending => parker.park(),
                }
            }
        })
    }
}

pub(super) type Shared<S> = Arc<Source<S>>;

/// Has the right to read until it is dropped.
pub(super) fn holder<S: System>(source: &Shared<S>) -> Task {
    let source = Arc::clone(source);
    Task::new(async move {
        let _waiter = source.waiter(Mode::Read)?;
        pending().await
    })
    .started()
}

/// Is queued for the right to read; does `then` when it is its turn, and gives the right up.
pub(super) fn queued<S: System>(source: &Shared<S>, then: impl FnOnce() + Send + 'static) -> Task {
    let source = Arc::clone(source);
    Task::new(async move {
        let _waiter = source.async_waiter(Mode::Read).await?;
        then();
        crate::engine::unseal(); // what that was is in no state
        Ok(())
    })
    .started()
}

/// Nobody is inside, and nobody has or waits for a right.
fn unused<S: System>(source: &Source<S>) {
    let lock = source.peek_lock();
    let busy = Mode::BOTH.iter().any(|mode| lock.held(*mode) || lock.queued(*mode));
    assert_that(lock.users() == 0 && !busy, || format!("NP-FD-6: left over: {lock:?}"));
}

pub(super) fn destroyed<S: System>(source: &Source<S>) {
    unused(source);
    let lock = source.peek_lock();
    assert_that(lock.destroyed(), || format!("NP-FD-3: nobody has destroyed it: {lock:?}"));
}

pub(super) fn bench<E: Engine>() -> (Bench<E>, Shared<Bare<E>>) {
    let bench = Bench::<E>::new();
    let source = Arc::new(bench.open());
    (bench, source)
}

/// A source on the simulated kernel, its peer, and whether its number is open.
pub(super) struct Numbered<E: Engine> {
    pub(super) source: Shared<Simulated<E>>,
    pub(super) peer: Source<Simulated<E>>,
    pub(super) is_open: Arc<dyn Fn() -> bool + Send + Sync>,
}

pub(super) fn numbered<E: Engine>() -> (Wired<E>, Numbered<E>) {
    let wired = wired::<E>();
    let system = wired.poller.system().clone();
    let (reader, writer) = netpoller::seam::Kernel::pipe(system.kernel()).expect("room for a pipe");
    let number = reader.number();
    let source = wired.poller.register(reader).expect("room for a registration");
    let peer = wired.poller.register(writer).expect("room for a registration");
    let is_open = Arc::new(move || system.kernel().peek_is_open(number));
    (wired, Numbered { source: Arc::new(source), peer, is_open })
}

/// Closes, and sees that the number is closed then.
pub(super) fn close<E: Engine>(source: &Source<Simulated<E>>, is_open: &dyn Fn() -> bool) -> bool {
    let closed = E::sealed(|| source.close().map_err(|error| Reason::of(&error)));
    let first = closed.is_ok();
    let known = first || closed == Err(Some(Reason::Closed));
    assert_that(known, || format!("the close got {closed:?}"));
    assert_that(!(first && is_open()), || {
        "NP-FD-4: the close has returned and the number is open".to_owned()
    });
    first
}

scenario! {
    /// A caller is about to queue, or is queued, for a right whose holder will never run again,
    /// when the descriptor is closed.
    family: FdLock;
    rules: "NP-FD-2 NP-FD-5 NP-FD-8";
    from: "Go internal/poll.TestMutexCloseUnblock";
    fn fd_close_queued<E>() -> Plan {
        let (bench, source) = bench::<E>();
        let holder = holder(&source);
        let (closer, reader) = (Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("reader", move || {
                let task = Task::new(async move { reader.async_waiter(Mode::Read).await.map(drop) });
                let got = task.finish::<E>();
                assert_that(got == Err(Reason::Closed), || format!("the reader got {got:?}"));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
            })
            .finally(move || {
                drop(holder);
                destroyed(&source);
                bench.quiescent();
            })
    }
}

scenario! {
    /// The right is handed on to a queued caller while the descriptor is closed: the caller gets
    /// its turn or the close, and whoever is queued behind it is not forgotten.
    family: FdLock;
    rules: "NP-FD-2 NP-FD-7 NP-FD-8";
    from: "the hand-off of a right against Go's increfAndClose";
    fn fd_close_at_the_turn<E>() -> Plan {
        let (bench, source) = bench::<E>();
        let holder = holder(&source);
        let first = queued(&source, || ());
        let closer = Arc::clone(&source);
        Plan::new()
            .thread("holder", move || drop(holder))
            .thread("first", move || {
                let got = first.finish::<E>();
                let fine = matches!(got, Ok(()) | Err(Reason::Closed));
                assert_that(fine, || format!("the first got {got:?}"));
                E::note("turn", u64::from(got.is_ok()));
            })
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
            })
            .finally(move || {
                destroyed(&source);
                bench.quiescent();
            })
    }
}

scenario! {
    /// Two callers are queued when the holder gives its right up, and tries at once to have it
    /// again: the one that came first is the first, and nobody comes in between.
    family: FdLock;
    rules: "NP-FD-6";
    from: "Go's fdMutex lets whoever comes along overtake";
    fn fd_hand_on_in_order<E>() -> Plan {
        let (bench, source) = bench::<E>();
        let holder = holder(&source);
        let turns = Arc::new(AtomicUsize::new(0));
        let turn = |name: &'static str, nth: usize| {
            let turns = Arc::clone(&turns);
            move || {
                let before = turns.fetch_add(1, Ordering::Relaxed);
                assert_that(before == nth, || format!("{name} had its turn after {before} others"));
            }
        };
        let (first, second) = (queued(&source, turn("first", 0)), queued(&source, turn("second", 1)));
        let (greedy, seen) = (Arc::clone(&source), Arc::clone(&turns));
        Plan::new()
            .thread("holder", move || {
                drop(holder);
                let overtakes = greedy.waiter(Mode::Read).is_ok();
                let turns = seen.load(Ordering::Relaxed);
                assert_that(!overtakes || turns == 2, || format!("overtook after {turns} turns"));
            })
            .thread("second", move || {
                let got = second.finish::<E>();
                assert_that(got == Ok(()), || format!("the second got {got:?}"));
            })
            .thread("first", move || {
                let got = first.finish::<E>();
                assert_that(got == Ok(()), || format!("the first got {got:?}"));
            })
            .finally(move || {
                unused(&source);
                bench.quiescent();
            })
    }
}

scenario! {
    /// A queued future is dropped while it is handed the right: the one behind it gets it.
    family: FdLock;
    rules: "NP-FD-6 NP-FD-7";
    from: "cancellation by drop, which Go does not have";
    fn fd_dropped_at_its_turn<E>() -> Plan {
        let (bench, source) = bench::<E>();
        let holder = holder(&source);
        let (first, second) = (queued(&source, || ()), queued(&source, || ()));
        Plan::new()
            .thread("holder", move || drop(holder))
            .thread("first", move || drop(first))
            .thread("second", move || {
                let got = second.finish::<E>();
                assert_that(got == Ok(()), || format!("the second got {got:?}"));
            })
            .finally(move || {
                unused(&source);
                bench.quiescent();
            })
    }
}

scenario! {
    /// A thread uses the number while another closes: it finds the number open or is told; when
    /// the close has returned the number is closed, and it was closed once.
    family: FdLock;
    rules: "NP-FD-1 NP-FD-2 NP-FD-3 NP-FD-4 NP-FD-9 NP-FD-10";
    from: "Go #7970 (B22), #10527 (B21)";
    fn fd_close_against_a_user<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open }) = numbered::<E>();
        let (user, closer) = (Arc::clone(&source), Arc::clone(&source));
        Plan::new()
            .thread("user", move || {
                let got = user.try_read(&mut [0]).map_err(|error| (error.kind(), Reason::of(&error)));
                let empty = Err((io::ErrorKind::WouldBlock, None));
                let closed = Err((io::ErrorKind::NotConnected, Some(Reason::Closed)));
                assert_that(got == empty || got == closed, || format!("the user got {got:?}"));
            })
            .thread("closer", move || {
                let first = close(&closer, &*is_open);
                assert_that(first, || "the only closer was not the first".to_owned());
            })
            .finally(move || {
                destroyed(&source);
                drop((source, peer));
                over(&wired.poller);
            })
    }
}

scenario! {
    /// Two threads close while a third one uses the number. One of them is the first; it returns
    /// when the number is closed, the other one is told and need not wait.
    family: FdLock;
    rules: "NP-FD-3 NP-FD-4";
    from: "Go net.TestCloseError, internal/poll.TestMutexClose";
    fn fd_two_closers<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open }) = numbered::<E>();
        let firsts = Arc::new(AtomicUsize::new(0));
        let closer = || {
            let (source, is_open) = (Arc::clone(&source), Arc::clone(&is_open));
            let firsts = Arc::clone(&firsts);
            move || {
                if close(&source, &*is_open) {
                    firsts.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let (one, two, user) = (closer(), closer(), Arc::clone(&source));
        Plan::new()
            .thread("closer-1", one)
            .thread("closer-2", two)
            .thread("user", move || drop(user.fd()))
            .finally(move || {
                let firsts = firsts.load(Ordering::Relaxed);
                assert_that(firsts == 1, || format!("{firsts} closers believe to be the first"));
                destroyed(&source);
                drop((source, peer));
                over(&wired.poller);
            })
    }
}

scenario! {
    /// A thread reads, parks, and is closed under. It gets the close, and the closer returns when the
    /// reader is out: the number can be given to somebody else at once.
    family: FdLock;
    rules: "NP-FD-1 NP-FD-3 NP-FD-4 NP-WAIT-3";
    from: "Go #10527, #21856 (B21), #7970 (B22)";
    fn fd_close_against_a_parked_reader<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open }) = numbered::<E>();
        let (reader, closer, poller) =
            (Arc::clone(&source), Arc::clone(&source), wired.poller.clone());
        Plan::new()
            .thread("reader", move || {
                let got = (&*reader).read(&mut [0]).map_err(|error| Reason::of(&error));
                let closed = got == Err(Some(Reason::Closed));
                assert_that(closed, || format!("the reader got {got:?}"));
            })
            .thread("closer", move || {
                let first = close(&closer, &*is_open);
                assert_that(first, || "the only closer was not the first".to_owned());
                // Gets the number.
                let stranger = netpoller::seam::Kernel::pipe(poller.system().kernel());
                assert_that(is_open(), || "the number was not given out again".to_owned());
                drop(stranger);
            })
            .finally(move || {
                destroyed(&source);
                drop((source, peer));
                over(&wired.poller);
            })
    }
}

scenario! {
    /// A future that reads is polled once while another task closes. The close does not wait for
    /// a second poll, which may never come.
    family: FdLock;
    rules: "NP-FD-1 NP-FD-5";
    from: "a future that was forgotten must not keep a close waiting";
    fn fd_close_against_a_future<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open }) = numbered::<E>();
        let (reader, closer) = (Arc::clone(&source), Arc::clone(&source));
        let forgotten = Arc::new(Mutex::new(None));
        let place = Arc::clone(&forgotten);
        Plan::new()
            .thread("task", move || {
                let mut task = Task::new(async move {
                    let mut byte = [0];
                    reader.async_read(&mut byte).await.map(drop)
                });
                let polled = task.poll_once();
                let fine = matches!(polled, Poll::Pending | Poll::Ready(Err(Reason::Closed)));
                assert_that(fine, || format!("the read got {polled:?}"));
                E::note("pending", u64::from(polled.is_pending()));
                *place.lock().expect("no holder panics") = Some(task);
            })
            .thread("closer", move || {
                let first = close(&closer, &*is_open);
                assert_that(first, || "the only closer was not the first".to_owned());
            })
            .finally(move || {
                let lock = source.peek_lock();
                let gone = lock.destroyed() && lock.users() == 0;
                assert_that(gone, || format!("NP-FD-3: nobody has destroyed it: {lock:?}"));
                drop((forgotten, source, peer));
                over(&wired.poller);
            })
    }
}

scenario! {
    /// A reader and a writer of one descriptor come and go at once: they share the word, and not
    /// their rights.
    family: FdLock;
    rules: "NP-FD-1 NP-FD-6";
    from: "Go internal/poll.TestMutexStress";
    fn fd_reader_and_writer_enter_and_leave<E>() -> Plan {
        let (bench, source) = bench::<E>();
        let caller = |mode: Mode| {
            let source = Arc::clone(&source);
            move || {
                let waiter = source.waiter(mode);
                assert_that(waiter.is_ok(), || format!("{mode:?} got {waiter:?}"));
                let inside = source.fd();
                assert_that(inside.is_ok(), || format!("{mode:?} got {inside:?}"));
            }
        };
        let (reader, writer) = (caller(Mode::Read), caller(Mode::Write));
        Plan::new().thread("reader", reader).thread("writer", writer).finally(move || {
            unused(&source);
            bench.quiescent();
        })
    }
}
