//! The poller: one event queue of the kernel, the descriptors registered with it, and the break.
//!
//! # State
//!
//! * `queue`: the kernel's event queue and the break token in it.
//! * `slab`: the descriptors. An event names one by index and generation ([`Token`]).
//! * `flag`: whether a break is on its way (`netpoller_spec::wake`, Go's `netpollWakeSig`).
//! * `timers`: which descriptor has to be looked at, and when (`timers`).
//! * `in_flight`: how many tasks were taken out and not woken yet (`in_flight`, Go's `netpollWaiters`).
//! * `counters`: for diagnostics; nothing is decided by them (`stats`).
//!
//! # The way of an event
//!
//! [`poll`](Poller::poll) waits in the kernel and takes a batch. For each event it first
//! publishes what the event says about the descriptor as a whole; then comes one fence; then the
//! slots are notified and the wakers collected (NP-EDGE-2, NP-EDGE-3). Waking happens after that
//! and outside all locks ([`Ready`]). Deadlines that are due come after the events: who is ready
//! and late is ready.
//!
//! # The handshake of the break (NP-BREAK-4)
//!
//! ```text
//! breaker:  publish the work ; fence ; read flag (and write nothing if it is set)
//! poller:   drain the token ; swap flag to clear ; fence ; look at the work
//! ```
//!
//! Store buffering once more: a breaker that finds the flag still set must be able to rely on
//! the poller that is about to clear it to see the work. And the token is drained *before* the
//! flag is cleared (NP-BREAK-2): the other way round, a breaker in between posts a token that
//! the drain takes along, and the flag stays set over an empty queue: every later break is lost.
//!
//! Out of scope: which thread polls (that is the user's), what a deadline does (`deadline`), how a
//! descriptor gets its entry (`register`).

use crate::desc::{Desc, Incarnation, wake};
use crate::in_flight::InFlight;
use crate::observe::{Noted, Place, Step};
use crate::ready::Ready;
use crate::seam::{Arc, Atomic, Batch, Event, Instant, Kernel, Ordering, System, Timeout, Weak};
use crate::slab::Slab;
use crate::stats::Counters;
use crate::timers::Timers;
use crate::turns::Turns;
use core::task::{Poll, Waker};
use core::time::Duration;
use netpoller_spec::events::report;
use netpoller_spec::time;
use netpoller_spec::token::{Generation, Named, Token};
use netpoller_spec::wake::{Flag, Harvested, Request, harvested, request};
use std::io;

/// The descriptors and the event queue they are registered with.
///
/// A clone is another handle to the same poller. The poller lives until the last handle and the
/// last [`Source`](crate::source::Source) are gone. Any number of threads may poll, register and wake at once.
///
/// # When handles are dropped
///
/// Dropping handles ends nothing while a source is left: waits stay on, and whoever polls next, through
/// [`Source::poller`](crate::source::Source::poller) for example, ends them. A task that waits holds its
/// source, so no wait outlives the poller. With the last handle or source the event queue is closed.
///
/// A poller that nobody polls wakes nobody, neither for readiness nor for a deadline; closing a source
/// ends its waits without a poll.
///
/// # After a fork
///
/// A child that was forked shares the event queue with its parent: what it registers, its parent would be
/// told of. So in a child registering, and starting a driver, fail with an error of kind
/// `PermissionDenied` ([`Reason::Forked`](crate::Reason::Forked)); a source that is closed or dropped there
/// closes the child's number and leaves the registration alone. A poller that is made in the child is
/// its own. Polling, waking and waiting are not checked, and must not be done there: the events would be
/// taken from the parent.
pub struct Poller<S: System> {
    pub(crate) shared: Arc<Shared<S>>,
}

pub(crate) struct Shared<S: System> {
    pub(crate) system: S,
    pub(crate) queue: <S::Kernel as Kernel>::Queue,
    pub(crate) slab: Slab<S>,
    pub(crate) timers: Timers<S>,
    pub(crate) counters: Counters,
    /// Shared with the buffers of the polls.
    pub(crate) in_flight: Arc<InFlight<S>>,
    /// `None`: whoever waits leaves the polling to others.
    pub(crate) turns: Option<Turns<S>>,
    pub(crate) flag: S::AtomicU32,
    /// The process that the poller was made in.
    process: u32,
}

/// Sizes that a model shrinks to reach the edges.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Entries in the first segment of the slab, rounded up to a power of two.
    pub first_segment: u32,
    /// The generation of entries that were never used.
    pub first_generation: Generation,
    /// Whether blocking waits poll when nobody else does.
    pub turns: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Shape { first_segment: 64, first_generation: Generation::FIRST, turns: true }
    }
}

impl<S: System> Poller<S> {
    /// A poller on this system.
    ///
    /// # Errors
    ///
    /// When the kernel cannot make an event queue, for example because the table of descriptors
    /// is full.
    #[doc(hidden)]
    pub fn on(system: S, shape: Shape) -> io::Result<Self> {
        let queue = system.kernel().queue()?;
        let shared = |poller: &_| Shared {
            queue,
            slab: Slab::new(shape.first_segment, shape.first_generation),
            timers: Timers::new(),
            counters: Counters::default(),
            in_flight: Arc::new(InFlight::new()),
            flag: S::AtomicU32::new(Flag::Clear.bits()),
            process: system.kernel().process(),
            turns: shape.turns.then(|| Turns::new(Weak::clone(poller))),
            system,
        };
        Ok(Poller { shared: Arc::new_cyclic(shared) })
    }

    /// Waits until something is ready, the timeout is over or a break arrives; applies what the
    /// kernel reported, and puts the wakers into `ready`.
    ///
    /// `timeout`: `None` waits without end; zero does not wait. Returns the number of wakers in
    /// `ready`, which may be 0 without the timeout being over: because of a break
    /// ([`Ready::broken`]) or because the events concerned nobody who waits. Never returns 0
    /// *early* for any other reason: a signal does not end the wait.
    ///
    /// Deadlines that have passed expire here, after the events of the same poll.
    ///
    /// What is in `ready` already is woken first.
    ///
    /// # Errors
    ///
    /// When the event queue is not usable (for example, foreign code closed its descriptor), and
    /// of kind `InvalidData` when an event arrived that no registration of this poller explains
    /// (foreign code added to the queue); the other events of the batch were applied.
    pub fn poll(&self, ready: &mut Ready<S>, timeout: Option<Duration>) -> io::Result<usize> {
        let turns = self.shared.turns.as_ref().filter(|_| timeout != Some(Duration::ZERO));
        let outside = turns.map(|turns| turns.enter(self));
        if let Some(None) = outside {
            ready.wake_all();
            (ready.broken, ready.stale) = (true, 0); // NP-TURN-7
            return Ok(0);
        }
        self.poll_attended(ready, timeout)
    }

    /// The same for a caller that knows the poller to be driven until this returns: it need not say that
    /// it polls.
    pub(crate) fn poll_attended(
        &self,
        ready: &mut Ready<S>,
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        ready.wake_all();
        let sleep = match timeout {
            None => Sleep::Until(time::NEVER),
            Some(Duration::ZERO) => Sleep::Not,
            Some(timeout) => {
                Sleep::Until(self.shared.system.now().saturating_add(timeout).as_nanos())
            }
        };
        loop {
            let over = self.turn(ready, sleep)?;
            if ready.broken
                && let Some(turns) = &self.shared.turns
            {
                turns.break_was_wanted();
            }
            if over || ready.broken || ready.batch.len() > 0 || !ready.wakers.is_empty() {
                self.shared.system.noted(&Noted::Polled {
                    events: ready.batch.len(),
                    wakers: ready.wakers.len(),
                    broken: ready.broken,
                });
                return Ok(ready.wakers.len());
            }
        }
    }

    /// Waits in the kernel once, without end, on behalf of a blocking wait.
    pub(crate) fn poll_once(&self, ready: &mut Ready<S>) -> io::Result<()> {
        self.turn(ready, Sleep::Until(time::NEVER)).map(|_over| ())
    }

    /// Waits once, applies what came of it, and lets the deadlines that are due expire. Returns
    /// whether the time is over.
    fn turn(&self, ready: &mut Ready<S>, sleep: Sleep) -> io::Result<bool> {
        ready.broken = false;
        ready.stale = 0;
        let first_timer = self.wait(ready, sleep)?;
        let polled = &self.shared.counters.polled;
        polled.events.add_if_any(ready.batch.len() as u64);
        // NP-WAKE-3: before the first slot is looked at; an event concerns two directions at most.
        ready.share.raise(&self.shared.in_flight, 2 * ready.batch.len() as u64);
        let Ready { batch, wakers, broken, stale, .. } = ready;
        let events = (0..batch.len()).map(|place| batch.get(place));
        let foreign = self.harvest(events, &mut Harvest { wakers, broken, stale });
        polled.stale.add_if_any(*stale as u64);
        // NP-BREAK-3: a poll that may not block leaves the break to one that does.
        if ready.broken && harvested(sleep != Sleep::Not) == Harvested::DrainThenClear {
            self.take_break()?;
        } else {
            ready.broken = false;
        }
        let now = match first_timer {
            time::NONE => None,
            _ => Some(self.expire(ready)?),
        };
        ready.share.settle(ready.wakers.len());
        polled.wakers.add_if_any(ready.wakers.len() as u64);
        match foreign {
            None => Ok(match (sleep, now) {
                (Sleep::Until(until), Some(now)) => now.as_nanos() >= until,
                // Without a timer nothing but the end of the time ends a wait without events.
                (Sleep::Not, _) | (Sleep::Until(_), None) => true,
            }),
            Some(event) => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the event queue reported {:?} for {:#018x}, which this poller did not register",
                    event.bits,
                    event.token.bits()
                ),
            )),
        }
    }

    /// The time, on the clock that deadlines are measured by. Never goes back.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared.system.now()
    }

    /// Breaks: makes at least one thread that blocks in [`poll`](Poller::poll), or is about to,
    /// return. Not a chosen one, and not all of them.
    ///
    /// What the caller wrote before is seen by whoever returns because of this break. Costs one
    /// system call, or none while an earlier break is still on its way (NP-BREAK-1).
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let other = poller.clone();
    /// let waker = std::thread::spawn(move || other.wake());
    /// let mut ready = netpoller::Ready::new();
    /// while !ready.broken() {
    ///     poller.poll(&mut ready, None)?;
    /// }
    /// waker.join().expect("the waker panicked")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the token cannot be put into the event queue.
    pub fn wake(&self) -> io::Result<()> {
        if let Some(turns) = &self.shared.turns {
            turns.want_break();
        }
        self.break_poll()
    }

    /// The same for purposes of the poller itself.
    pub(crate) fn break_poll(&self) -> io::Result<()> {
        let flag = &self.shared.flag;
        // NP-BREAK-4, the breaker's side: between the work that the caller published and the look
        // at the flag. Pairs with the fence in `take_break`.
        S::fence(Ordering::SeqCst);
        // Relaxed: the fence orders it; nothing is read that hangs on the value.
        match request(Flag::from_bits(flag.load(Ordering::Relaxed))) {
            Request::Suppress => return self.suppressed(),
            Request::Post => {}
        }
        // AcqRel: release for the poller's swap in `take_break`. A failure means that another
        // breaker was quicker: its token stands for this break too.
        let (clear, set) = (Flag::Clear.bits(), Flag::Set.bits());
        if flag.compare_exchange(clear, set, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            return self.suppressed();
        }
        self.shared.system.observe(&Step::Break { before: false, after: true });
        let posted = self.shared.system.kernel().post(&self.shared.queue);
        if posted.is_err() {
            self.shared.counters.asked.failed.add(1);
            self.clear_flag(); // or every later break would be suppressed
        } else {
            self.shared.counters.asked.written.add(1);
            self.shared.system.noted(&Noted::BreakWritten);
        }
        posted
    }

    /// Another break is on its way, and stands for this one.
    fn suppressed(&self) -> io::Result<()> {
        self.shared.counters.asked.suppressed.add_one();
        self.shared.system.noted(&Noted::BreakSuppressed);
        Ok(())
    }

    /// Waits in the kernel, until the first timer is due at most; a signal does not end it
    /// (NP-EDGE-4). Returns when the first timer is due by then, or `time::NONE`.
    fn wait(&self, ready: &mut Ready<S>, sleep: Sleep) -> io::Result<u64> {
        let Shared { system, timers, .. } = &*self.shared;
        let Sleep::Until(allowed) = sleep else {
            while self.wait_once(ready, Timeout::Zero)? {}
            return Ok(timers.first());
        };
        loop {
            let until = timers.sleep(allowed); // NP-TIME-12
            let timeout = match until {
                time::NEVER => Timeout::Never,
                // Rounded up to what the kernel can express, never down (NP-TIME-5).
                until => match Instant::from_nanos(until).since(system.now()) {
                    Duration::ZERO => Timeout::Zero,
                    left => Timeout::After(left),
                },
            };
            let interrupted = self.wait_once(ready, timeout);
            let first_timer = timers.awake();
            // Go #20400 and others: again with what is left of the time, not all of it.
            if !interrupted? {
                return Ok(first_timer);
            }
        }
    }

    /// One wait in the kernel. Returns whether a signal ended it.
    fn wait_once(&self, ready: &mut Ready<S>, timeout: Timeout) -> io::Result<bool> {
        let Shared { system, queue, counters, .. } = &*self.shared;
        let polled = &counters.polled;
        let waits = if timeout == Timeout::Zero { &polled.passing } else { &polled.blocking };
        waits.add(1);
        match system.kernel().wait(queue, &mut ready.batch, timeout) {
            Ok(()) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                polled.interrupted.add(1);
                Ok(true)
            }
            Err(error) => Err(named(error, "waiting on the event queue")),
        }
    }

    /// Lets the deadlines that are due expire, as many as there is room for in `ready`; the rest
    /// is for the next poll, which will not sleep. Returns the time by which they were due.
    pub(crate) fn expire(&self, ready: &mut Ready<S>) -> io::Result<Instant> {
        let Shared { system, timers, counters, in_flight, .. } = &*self.shared;
        let Ready { wakers, share, .. } = ready;
        let now = system.now();
        let mut break_poller = false;
        let (mut live, mut superseded) = (0, 0);
        while wakers.capacity() - wakers.len() >= 2 {
            let Some(entry) = timers.due(now) else { break };
            match self.desc(entry.index).fire(system, timers, in_flight, entry, now) {
                None => {
                    superseded += 1;
                    timers.was_superseded();
                }
                Some(fired) => {
                    live += 1;
                    share.adopt(in_flight, fired.taken);
                    wakers.extend(fired.wakers.into_iter().flatten());
                    break_poller |= fired.break_poller;
                }
            }
        }
        counters.polled.fired.add_if_any(live);
        counters.polled.superseded.add_if_any(superseded);
        if break_poller {
            self.break_poll()?; // NP-TIME-12: no lock is held here
        }
        Ok(now)
    }

    /// Applies a batch. Returns an event that nobody registered, if there was one.
    pub(crate) fn harvest(
        &self,
        events: impl Iterator<Item = Event> + Clone,
        report_to: &mut Harvest<'_>,
    ) -> Option<Event> {
        let mut foreign = None;
        for event in events.clone() {
            match self.addressee(event.token) {
                Addressee::Entry(incarnation) => incarnation.publish_report(report(event.bits)),
                Addressee::Break => *report_to.broken = true,
                Addressee::Nobody => {
                    self.shared.counters.polled.foreign.add(1);
                    foreign = Some(event);
                }
            }
        }
        // NP-EDGE-3, the poller's side: between the edges (the kernel's, and the bits just
        // published) and the look at the slots. One fence serves the batch. Pairs with the fence
        // after a consume in `slot`.
        S::fence(Ordering::SeqCst);
        for event in events {
            let Addressee::Entry(incarnation) = self.addressee(event.token) else { continue };
            // A hint for the counter only; NP-GEN-1 is kept by the slots themselves.
            *report_to.stale += usize::from(incarnation.stale());
            let wakers = incarnation.notify(report(event.bits));
            let [reader, writer] = wakers;
            report_to.wakers.extend(reader);
            report_to.wakers.extend(writer);
        }
        foreign
    }

    /// Takes the break that was harvested (NP-BREAK-2): drain, then clear, then fence.
    fn take_break(&self) -> io::Result<()> {
        let drained = self.shared.system.kernel().drain(&self.shared.queue);
        self.clear_flag();
        self.shared.counters.polled.taken.add(1);
        // NP-BREAK-4, the poller's side: before whoever polls looks at the work. Pairs with the
        // fence in `wake`.
        S::fence(Ordering::SeqCst);
        drained.map_err(|error| named(error, "draining the break"))
    }

    fn clear_flag(&self) {
        // A swap, not a store: as a read-modify-write it reads the flag of the newest breaker and,
        // by acquire, sees the work that breaker published (AcqRel; the release half is for
        // the next breaker's compare-exchange).
        let before = self.shared.flag.swap(Flag::Clear.bits(), Ordering::AcqRel);
        let before = Flag::from_bits(before) == Flag::Set;
        self.shared.system.observe(&Step::Break { before, after: false });
    }

    pub(crate) fn addressee(&self, token: Token) -> Addressee<'_, S> {
        match token.named() {
            Named::Break => Addressee::Break,
            Named::Foreign => Addressee::Nobody,
            Named::Entry(index, generation) => match self.shared.slab.get(index) {
                None => Addressee::Nobody,
                Some(desc) => {
                    let place = Place { index, generation };
                    Addressee::Entry(Incarnation { system: &self.shared.system, desc, place })
                }
            },
        }
    }

    /// Whether this is the process that the poller was made in, and not a child of it that shares the
    /// event queue.
    pub(crate) fn is_of_this_process(&self) -> bool {
        self.shared.system.kernel().process() == self.shared.process
    }

    pub(crate) fn desc(&self, index: u32) -> &Desc<S> {
        self.shared.slab.get(index).expect("an index that was handed out has an entry")
    }

    /// Ends every wait on every descriptor, now and to come, as [`Source::close`] does for one.
    pub(crate) fn close_all(&self) {
        for (index, desc) in self.shared.slab.entries() {
            let place = Place { index, generation: desc.generation() };
            let incarnation = Incarnation { system: &self.shared.system, desc, place };
            let _taken = self.shared.in_flight.both_directions(); // NP-WAKE-3
            incarnation.close().into_iter().for_each(wake);
        }
    }

    /// Nobody drives any more: whoever is parked in a slot shall look again (NP-TURN-6).
    pub(crate) fn release_all(&self) {
        wake(self.shared.slab.entries().flat_map(|(index, desc)| {
            let place = Place { index, generation: desc.generation() };
            Incarnation { system: &self.shared.system, desc, place }.release()
        }));
    }

    /// A future is parked in its slot: sees that somebody polls, if that is up to the poller.
    pub(crate) fn left_parked<T>(&self) -> Poll<io::Result<T>> {
        if self.is_attended() {
            return Poll::Pending;
        }
        match self.shared.system.unattended(self) {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Whether somebody is attached, as whoever has parked in a slot asks; also where nobody takes
    /// turns.
    #[doc(hidden)]
    #[must_use]
    pub fn is_attended(&self) -> bool {
        self.shared.turns.as_ref().is_none_or(Turns::is_attended)
    }
}

/// How long a poll may sleep in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleep {
    /// Not at all.
    Not,
    /// Until this instant, in nanoseconds; `time::NEVER`: without end.
    Until(u64),
}

/// Whom an event is for.
pub(crate) enum Addressee<'a, S: System> {
    Entry(Incarnation<'a, S>),
    Break,
    Nobody,
}

impl<S: System> Incarnation<'_, S> {
    fn stale(&self) -> bool {
        self.desc.generation() != self.place.generation
    }
}

/// Where a harvest puts what it finds.
pub(crate) struct Harvest<'a> {
    pub(crate) wakers: &'a mut Vec<Waker>,
    pub(crate) broken: &'a mut bool,
    pub(crate) stale: &'a mut usize,
}

/// The same error, saying what was being done.
pub(crate) fn named(error: io::Error, doing: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}

impl<S: System> Clone for Poller<S> {
    fn clone(&self) -> Self {
        Poller { shared: Arc::clone(&self.shared) }
    }
}

impl<S: System> core::fmt::Debug for Poller<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Poller").field("queue", &self.shared.queue).finish_non_exhaustive()
    }
}
