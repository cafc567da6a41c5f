//! Going idle: how the workers of a scheduler sleep, one of them in the kernel, and are called when
//! there is work.
//!
//! # State
//!
//! * `word`: who is parked, how many search for work, who polls (`netpoller_spec::election`). All
//!   decisions are made on it, by compare-exchange.
//! * `parkers`: on what each worker sleeps. Written once, by the worker, before its number is in the
//!   word for the first time.
//!
//! # Who changes what
//!
//! A worker that runs dry searches, and then lies down: it writes into the word where it is going to
//! sleep, *then* looks for work once more, and only then sleeps. Whoever makes work runnable publishes
//! it, *then* looks at the word, and calls a sleeper if nobody searches: it takes the sleeper out of
//! the word and counts it as searching in the same write, so a sleeper is called once. A worker that
//! comes back from the kernel gives up the role of the poller before anything else; with work in its
//! hands and nobody searching, it wakes a parked worker, which will find the role free.
//!
//! # The handshakes (NP-IDLE-2)
//!
//! ```text
//! work:    publish the work       ; fence ; read word
//! worker:  word: parked, or polls ; fence ; look for work        (lying down)
//! worker:  word: searches no more ; fence ; look for more work   (having found some)
//! ```
//!
//! Store buffering, as everywhere in this crate: either whoever publishes sees that the worker does
//! not look any more, and calls it, or the worker sees the work. SPEC.md section 16 has the argument.
//!
//! A deadline that is set while a worker goes to sleep in the kernel needs nothing of this file: the
//! queue of timers knows who sleeps until when (NP-TIME-12).
//!
//! Out of scope: what work is and where it lies (the scheduler's), timers (`timers`), the break
//! (`poller`).

use crate::poller::Poller;
use crate::ready::Ready;
use crate::seam::{Atomic, Mutex, OnceLock, Ordering, Os, Parker, Primitives, System};
use crate::turns::Attached;
use core::time::Duration;
pub use netpoller_spec::election::Rest;
use netpoller_spec::election::{
    self, Call, Found, Move, Polling, Word, back, found, rest, search, unparked,
};
use std::io;

/// The workers of a scheduler, as far as they are idle.
///
/// While one of these exists it is [attached](Poller::attach) to the poller, and its workers are the only
/// ones who may block there: a break gets one thread out of the kernel, and it has to be the worker
/// that was called.
#[derive(Debug)]
pub struct Idle<S: System> {
    poller: Poller<S>,
    /// Blocking waits leave the kernel to the workers. Written once, when the workers have ended; no
    /// word of the protocol, so no engine knows of its lock.
    attached: <Os as Primitives>::Mutex<Option<Attached<S>>>,
    word: S::AtomicU64,
    parkers: Box<[OnceLock<S::Parker>]>,
}

/// A worker, on its own thread.
#[derive(Debug)]
pub struct Worker<'a, S: System> {
    idle: &'a Idle<S>,
    number: u32,
    searching: bool,
}

/// Why a worker does not sleep any more. It is searching from now on, except after
/// [`ShutDown`](Slept::ShutDown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// It did not sleep: there was work when it looked once more.
    Work,
    /// It was called.
    Called,
    /// It came back from the kernel; there may be wakers in the [`Ready`].
    Polled,
    /// The workers are shut down.
    ShutDown,
}

impl<S: System> Idle<S> {
    /// `workers` workers around this poller.
    ///
    /// # Errors
    ///
    /// Of kind `InvalidInput`: no workers, or more than [`Word::MOST_WORKERS`].
    pub fn new(poller: &Poller<S>, workers: u32) -> io::Result<Self> {
        Self::starting_at(poller, workers, Word::BUSY)
    }

    /// The same with another word: how a model places workers that are not in its plan.
    ///
    /// # Errors
    ///
    /// As [`Idle::new`].
    #[doc(hidden)]
    pub fn starting_at(poller: &Poller<S>, workers: u32, word: Word) -> io::Result<Self> {
        if workers == 0 || workers > Word::MOST_WORKERS {
            let most = Word::MOST_WORKERS;
            let message = format!("{workers} workers: from 1 to {most} can share one poller");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Idle {
            poller: poller.clone(),
            attached: Mutex::new(Some(poller.attach()), |_| None),
            word: S::AtomicU64::new(word.bits()),
            parkers: (0..workers).map(|_| OnceLock::new()).collect(),
        })
    }

    /// The worker with this number, which is the calling thread from now on.
    ///
    /// # Panics
    ///
    /// When there is no such worker, or another thread is this one.
    pub fn worker(&self, number: u32) -> Worker<'_, S> {
        let set = self.parkers[number as usize].set(S::parker());
        assert!(set.is_ok(), "worker {number} is another thread");
        Worker { idle: self, number, searching: false }
    }

    /// The poller that the workers share.
    #[must_use]
    pub fn poller(&self) -> &Poller<S> {
        &self.poller
    }

    /// Work was made runnable, and lies where the workers look for it: sees to it that one of them
    /// does, if any is idle. From any thread, a worker's too.
    ///
    /// Costs a fence and a load while somebody searches or everybody is busy; else it wakes a
    /// worker, one that is parked if there is any.
    ///
    /// # Errors
    ///
    /// When the worker that sleeps in the kernel cannot be broken, as [`Poller::wake`].
    pub fn work(&self) -> io::Result<()> {
        // NP-IDLE-2: between the work that the caller published and the look at the word. Pairs with
        // the fences in `Worker::sleep` and `Worker::found`.
        S::fence(Ordering::SeqCst);
        let call = self.apply(election::work);
        self.carry_out(call)
    }

    /// Wakes all workers; none of them sleeps from now on.
    ///
    /// # Errors
    ///
    /// When the worker that sleeps in the kernel cannot be broken, as [`Poller::wake`]; all others
    /// were woken.
    pub fn shut_down(&self) -> io::Result<()> {
        let everybody = self.apply(election::shut_down);
        for number in (0..Word::MOST_WORKERS).filter(|worker| everybody.parked >> worker & 1 == 1) {
            self.unpark(number);
        }
        if everybody.polls { self.poller.break_poll() } else { Ok(()) }
    }

    /// The workers have ended, and none of them drives the poller any more: blocking waits do from now on, if
    /// nobody else does.
    pub fn detach(&self) {
        let attached = self.attached.lock().take();
        drop(attached); // without the lock: it wakes whoever is parked
    }

    /// Whether the workers are shut down.
    pub fn is_shut_down(&self) -> bool {
        self.load().is_shut_down()
    }

    /// The idle word, for diagnostics and oracles.
    #[doc(hidden)]
    pub fn peek(&self) -> Word {
        Word::from_bits(self.word.peek())
    }

    fn carry_out(&self, call: Call) -> io::Result<()> {
        match call {
            Call::Nobody => Ok(()),
            Call::Unpark(number) => {
                self.unpark(number);
                Ok(())
            }
            // The worker is still in the kernel, on its way there or on its way back. In each case the
            // break gets it, or a poll after this one, out: a worker that was called and found its work
            // without it leaves the token to the next one that polls, which looks for work in vain.
            Call::Break => self.poller.break_poll(),
        }
    }

    fn unpark(&self, number: u32) {
        let parker = self.parkers[number as usize].get();
        parker.expect("NP-IDLE-6 broken: a worker sleeps that never came").unpark();
    }

    fn load(&self) -> Word {
        // Acquire: pairs with the release in `apply`, so that whoever was called sees the work.
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    /// Load, ask the spec, do what it says; again when somebody was quicker.
    fn apply<O>(&self, decide: impl Fn(Word) -> Move<O>) -> O {
        // Relaxed: a decision to write nothing rests on a fence of the caller (NP-IDLE-2), one to write
        // on the compare-exchange.
        let mut bits = self.word.load(Ordering::Relaxed);
        loop {
            match decide(Word::from_bits(bits)) {
                Move::Stay(outcome) => return outcome,
                Move::Set(after, outcome) => {
                    // AcqRel: hands the work of whoever calls to the worker that is called, and the
                    // parker of a worker to whoever calls it.
                    let exchanged = self.word.compare_exchange(
                        bits,
                        after.bits(),
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    match exchanged {
                        Ok(_) => return outcome,
                        Err(now) => bits = now,
                    }
                }
            }
        }
    }
}

impl<S: System> Worker<'_, S> {
    /// The worker has nothing to do. Returns whether it may search where others keep their work;
    /// if not, enough others do, and it should [`sleep`](Worker::sleep).
    pub fn search(&mut self) -> bool {
        let workers = u32::try_from(self.idle.parkers.len()).unwrap_or(Word::MOST_WORKERS);
        self.searching = self.searching || self.idle.apply(|word| search(word, workers));
        self.searching
    }

    /// Whether it is searching: after [`search`](Worker::search) and after
    /// [`sleep`](Worker::sleep), until [`found`](Worker::found).
    #[must_use]
    pub fn is_searching(&self) -> bool {
        self.searching
    }

    /// The worker has taken work and is going to do it. `more`: whether there is more than what it has
    /// taken; asked only if nobody else searches. Does nothing if it was not searching.
    ///
    /// # Errors
    ///
    /// As [`Idle::work`].
    pub fn found(&mut self, more: impl FnOnce() -> bool) -> io::Result<()> {
        if !core::mem::take(&mut self.searching) {
            return Ok(());
        }
        match self.idle.apply(found) {
            Found::OthersSearch => Ok(()),
            Found::Wake(number) => {
                self.idle.unpark(number);
                Ok(())
            }
            Found::LookForMore => {
                // NP-IDLE-2, NP-IDLE-7: whoever published work while this worker was searching relied on it.
                // Pairs with the fence in `Idle::work`.
                S::fence(Ordering::SeqCst);
                if more() { self.idle.work() } else { Ok(()) }
            }
        }
    }

    /// Sleeps until there is something to do: in the kernel if no other worker does, else on its parker.
    /// `work` looks for work, wherever a worker may find some; it is called once the others know that
    /// this one is going to sleep, and is told where.
    ///
    /// The worker is searching afterwards, unless the workers are shut down. What came of a poll is in
    /// `ready`: wake it, then look for work.
    ///
    /// # Errors
    ///
    /// As [`Poller::poll`]; the worker does not sleep any more.
    pub fn sleep(
        &mut self,
        ready: &mut Ready<S>,
        work: impl FnOnce(Rest) -> bool,
    ) -> io::Result<Slept> {
        let (idle, number) = (self.idle, self.number);
        let searching = core::mem::take(&mut self.searching);
        let place = idle.apply(|word| rest(word, number, searching));
        if place == Rest::ShutDown {
            return Ok(Slept::ShutDown);
        }
        // NP-IDLE-1, NP-IDLE-2: between lying down and the last look for work. Pairs with the fence in
        // `Idle::work`.
        S::fence(Ordering::SeqCst);
        let work = work(place);
        self.searching = true;
        if place == Rest::Poll {
            let polled = if work { Ok(0) } else { idle.poller.poll_attended(ready, None) };
            idle.apply(|word| Move::Set(back(word), ())); // NP-IDLE-8
            return polled.map(|_| if work { Slept::Work } else { Slept::Polled });
        }
        let parker = S::parker();
        // A token of its parker may be left from an earlier call: only the word counts.
        while !work && idle.load().is_parked(number) {
            parker.park();
        }
        let called = idle.apply(|word| unparked(word, number));
        Ok(if called { Slept::Called } else { Slept::Work })
    }

    /// A busy worker looks at the kernel in passing, unless another one watches it. Returns how many
    /// wakers are in `ready`.
    ///
    /// So that readiness and deadlines are noticed while all workers are busy. Never blocks, and takes no
    /// break (NP-BREAK-3).
    ///
    /// # Errors
    ///
    /// As [`Poller::poll`].
    pub fn glance(&self, ready: &mut Ready<S>) -> io::Result<usize> {
        match self.idle.load().polling() {
            Polling::Nobody => self.idle.poller.poll(ready, Some(Duration::ZERO)),
            Polling::Worker | Polling::Called => Ok(0),
        }
    }
}
