//! The lock of a descriptor, Go's `fdMutex`: users are counted, callers of a direction queue, and
//! closing ends them all.
//!
//! `netpoller_spec::fd` decides, this file writes.
//!
//! # State
//!
//! * `word`: closed, destroyed, who holds the rights to read and to write, whether callers are
//!   queued for them, how many users there are. Written by compare-exchange. Whoever meets nobody
//!   enters by one (a user and the right of his direction at once) and leaves by one.
//! * `queues`: the callers that are queued, oldest first; the polls that found a right taken; and the
//!   closer that waits for the last user. Under a lock; allocated when somebody has to wait for the
//!   first time.
//!
//! | what | who | how |
//! |---|---|---|
//! | enter, lock, claim | every caller | compare-exchange, unless closed (NP-FD-2) |
//! | leave | every user | compare-exchange; the last user of a closed descriptor destroys it (NP-FD-3) |
//! | unlock | the holder of a right | compare-exchange while nobody is queued |
//! | queue, hand on, unqueue | callers, polls and holders | compare-exchange under the lock of the queues |
//! | close | the first closer | the same; empties the queues (NP-FD-8) |
//! | destroyed | the last user | the same; takes out the closer's waker |
//!
//! # How a right is handed on
//!
//! While a queue is not empty its right is never free (NP-FD-6): the holder takes the oldest
//! caller out, notes its ticket in `handed`, and wakes it. The caller that finds its own ticket
//! there holds the right. So nobody overtakes, and a caller that is dropped in between knows
//! from the same place that it has a right to hand on (NP-FD-7).
//!
//! # Polls
//!
//! A poll function (`poll_style`) has no place in the queue: nobody knows whether it comes again, so it
//! must not be handed a right. One that finds the right taken leaves its waker, and is told when the
//! right is given up and no caller is queued for it (NP-FD-11). Then it comes again, and takes the right if
//! nobody else was quicker. While such a waker is there the bit *queued* is set, so that whoever gives
//! the right up looks.
//!
//! # Why there is no fence
//!
//! Each question is answered by one word or under one lock. Entering against closing: both write
//! the word. Queueing against closing, and the closer that goes to sleep against the last user:
//! both hold the lock of the queues.
//!
//! Wakers are cloned, woken and dropped outside that lock (NP-WAKE-1).
//!
//! Out of scope: what is destroyed and how (`source`), waiting for readiness (`slot`).

use crate::desc::same_task;
use crate::seam::{Atomic, Mutex, Ordering, System, condensed};
use core::task::{Poll, Waker};
use netpoller_spec::Mode;
use netpoller_spec::fd::{self, Closing, Entered, HandedOn, Left, Move, Unlocked, Word};
use std::collections::VecDeque;
use std::io;

/// The lock of one descriptor.
#[derive(Debug)]
pub(crate) struct FdLock<S: System> {
    word: S::AtomicU32,
    /// Whether the word may say *drained*. Fixed.
    believing: bool,
    queues: S::Mutex<Option<Box<Queues>>>,
}

/// Everybody who waits, beside the word.
#[derive(Debug, Default)]
struct Queues {
    read: Queue,
    write: Queue,
    /// Who waits until the descriptor is destroyed.
    closer: Option<Waker>,
    /// What close(2) said, for him.
    error: Option<io::Error>,
}

/// The callers that wait for the right of one direction.
#[derive(Debug, Default)]
struct Queue {
    next: u32,
    waiting: VecDeque<(Ticket, Waker)>,
    /// The polls that are to be told when the right is free. Each task is in it once.
    polls: Vec<Waker>,
    /// Who has the right and does not know it yet.
    handed: Option<Ticket>,
}

/// Names one stay in a queue. Tickets wrap: 2^32 callers of one direction would have to pass
/// while one of them sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u32);

/// How it stands with a caller that wants the right of a direction.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It has the right; `drained`: whoever had it before has found nothing more to read.
    Own { drained: bool },
    /// It waits in the queue.
    Queued(Ticket),
    /// It gets in no more.
    Refused(Entered),
}

/// Wakers to be woken outside all locks.
pub(crate) type Evicted = Vec<Waker>;

/// What whoever has given a right up still has to do, outside all locks.
#[derive(Debug)]
#[must_use = "the last user has to destroy the descriptor, and the wakers are to be woken"]
pub(crate) struct GivenUp {
    pub(crate) left: Left,
    /// The caller who has the right now.
    pub(crate) next: Option<Waker>,
    /// The polls that were waiting for it to be free.
    pub(crate) polls: Vec<Waker>,
}

impl GivenUp {
    /// Nobody had a right.
    pub(crate) fn nothing(left: Left) -> GivenUp {
        GivenUp { left, next: None, polls: Vec::new() }
    }
}

/// Whom a holder has found when he went to hand the right on.
enum Next {
    Caller(Waker),
    /// Nobody who could take it: he still has it, and these are to be told when he has it no more.
    Polls(Vec<Waker>),
}

impl Queues {
    fn of(&mut self, mode: Mode) -> &mut Queue {
        match mode {
            Mode::Read => &mut self.read,
            Mode::Write => &mut self.write,
        }
    }

    /// All there is to know, for an explorer, as long as no waker is in it: those are known by
    /// who put them there.
    fn digest(&self) -> Option<u64> {
        let Queues { read, write, closer, error } = self;
        if closer.is_some() || error.is_some() {
            return None;
        }
        if !read.is_empty() || !write.is_empty() {
            return None;
        }
        let handed = |queue: &Queue| queue.handed.map_or(0, |Ticket(number)| u64::from(number) + 1);
        let numbers = [read, write].map(|queue| [u64::from(queue.next), handed(queue)]);
        Some(condensed(numbers.into_iter().flatten()))
    }
}

impl Queue {
    /// Whether nobody is here for whose sake the bit *queued* is set.
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.polls.is_empty()
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.iter().position(|(waiting, _)| *waiting == ticket)
    }
}

impl<S: System> FdLock<S> {
    /// `believing`: of a descriptor whose short reads were believed when it was registered (NP-READ-1).
    pub(crate) fn new(believing: bool) -> Self {
        let digest = |queues: &Option<Box<Queues>>| match queues {
            None => Some(0),
            Some(queues) => queues.digest(),
        };
        let word = S::AtomicU32::new(Word::IDLE.bits());
        FdLock { word, believing, queues: S::Mutex::new(None, digest) }
    }

    /// Whether short reads were believed when the descriptor was registered.
    pub(crate) fn is_believing(&self) -> bool {
        self.believing
    }

    /// The word that somebody who comes or goes expects: this one, if he is alone. Where the word may say drained
    /// that is known by a look only, which costs less than an exchange that fails.
    fn expected(&self, alone: Word) -> Word {
        if self.believing { self.newest() } else { alone }
    }

    /// Somebody wants to use the number.
    pub(crate) fn enter(&self) -> Entered {
        self.apply(self.expected(Word::IDLE), fd::enter)
    }

    /// Somebody wants the right of `mode` and does not want to wait for it.
    pub(crate) fn claim(&self, mode: Mode) -> Entered {
        self.apply(self.expected(Word::IDLE), |word| fd::claim(word, mode))
    }

    /// Somebody wants the right of `mode`, and to use the number with it ([`Turn::Own`]: he is a
    /// user). Where he is queued, `waker` wakes him.
    pub(crate) fn lock(&self, mode: Mode, waker: &Waker) -> Turn {
        match self.apply(self.expected(Word::IDLE), |word| fd::lock(word, mode)) {
            Entered::Yes => Turn::Own { drained: false },
            Entered::Drained => Turn::Own { drained: true },
            Entered::Taken => self.queue(mode, waker),
            refused => Turn::Refused(refused),
        }
    }

    #[cold]
    fn queue(&self, mode: Mode, waker: &Waker) -> Turn {
        let waker = waker.clone(); // before the lock (NP-WAKE-1); also where it is not needed
        let mut queues = self.queues.lock();
        match self.apply(Word::IDLE, |word| fd::queue(word, mode)) {
            // Given up meanwhile.
            Entered::Yes => Turn::Own { drained: false },
            Entered::Drained => Turn::Own { drained: true },
            Entered::Taken => {
                let queue = queues.get_or_insert_default().of(mode);
                let ticket = Ticket(queue.next);
                queue.next = queue.next.wrapping_add(1);
                queue.waiting.push_back((ticket, waker));
                Turn::Queued(ticket)
            }
            refused => Turn::Refused(refused),
        }
        // The lock is let go of before the waker, which was made earlier.
    }

    /// A poll wants the right of `mode`, and to use the number with it, for as long as it lasts. Pending:
    /// somebody has it, and `waker` is told when it is free (NP-FD-11).
    pub(crate) fn pass(&self, mode: Mode, waker: &Waker) -> Poll<Entered> {
        match self.apply(self.expected(Word::IDLE), |word| fd::lock(word, mode)) {
            Entered::Taken => self.tell(mode, waker),
            entered => Poll::Ready(entered),
        }
    }

    #[cold]
    fn tell(&self, mode: Mode, waker: &Waker) -> Poll<Entered> {
        let waker = waker.clone(); // before the lock (NP-WAKE-1); also where it is not needed
        let mut queues = self.queues.lock();
        match self.apply(Word::IDLE, |word| fd::queue(word, mode)) {
            Entered::Taken => {
                let polls = &mut queues.get_or_insert_default().of(mode).polls;
                if !polls.iter().any(|known| same_task(known, &waker)) {
                    polls.push(waker);
                }
                Poll::Pending
            }
            entered => Poll::Ready(entered), // given up meanwhile, or closed
        }
        // As in `queue`: the lock is let go of before the waker.
    }

    /// A queued caller looks again; from now on `waker` wakes it. [`Turn::Own`]: it has the right,
    /// and is no user yet.
    pub(crate) fn look(&self, mode: Mode, ticket: Ticket, waker: &Waker) -> Turn {
        let mut fresh = waker.clone();
        let mut guard = self.queues.lock();
        let queue = in_use(&mut guard).of(mode);
        if queue.handed == Some(ticket) {
            queue.handed = None;
            return Turn::Own { drained: false }; // NP-READ-4: lost on the way
        }
        match queue.place(ticket) {
            Some(place) => {
                core::mem::swap(&mut queue.waiting[place].1, &mut fresh);
                Turn::Queued(ticket)
            }
            None => Turn::Refused(Entered::Closed), // NP-FD-8: taken out by the closer
        }
    }

    /// A queued caller gives up. `true`: it had been given the right, which it now has to give
    /// up as any holder does (NP-FD-7).
    #[must_use = "the right is lost"]
    pub(crate) fn abandon(&self, mode: Mode, ticket: Ticket) -> bool {
        let mut guard = self.queues.lock();
        let queue = in_use(&mut guard).of(mode);
        if queue.handed == Some(ticket) {
            queue.handed = None;
            return true;
        }
        let Some(place) = queue.place(ticket) else { return false };
        let own = queue.waiting.remove(place);
        let more = !queue.is_empty();
        self.apply(self.newest(), |word| fd::unqueue(word, mode, more));
        drop(guard); // before the waker
        drop(own);
        false
    }

    /// A user leaves; `right`: the one that he has, and keeps.
    #[must_use = "the last user has to destroy the descriptor"]
    pub(crate) fn leave(&self, right: Option<Mode>) -> Left {
        self.apply(self.expected(Word::alone(right)), fd::leave)
    }

    /// The holder of a right gives it up; `leaving`: and leaves as a user; `drained`: there is nothing more to read.
    /// Mostly there is nothing left to do then.
    #[must_use = "the last user has to destroy the descriptor, and the wakers are to be woken"]
    #[inline]
    pub(crate) fn unlock(&self, mode: Mode, leaving: bool, drained: bool) -> Option<GivenUp> {
        let guess = match (mode, leaving) {
            (_, false) => self.newest(),
            (Mode::Read, true) => Word::alone(Some(mode)), // which is not drained (NP-READ-4)
            (Mode::Write, true) => self.expected(Word::alone(Some(mode))),
        };
        match self.apply(guess, |word| fd::unlock(word, mode, leaving, drained)) {
            Unlocked::Free(Left::Nothing) => None,
            Unlocked::Free(left) => Some(GivenUp::nothing(left)),
            Unlocked::HandOn => Some(self.unlock_for_others(mode, leaving, drained)),
        }
    }

    /// The same, where somebody was seen who wants it.
    #[cold]
    fn unlock_for_others(&self, mode: Mode, leaving: bool, drained: bool) -> GivenUp {
        let mut polls = Vec::new();
        loop {
            match self.hand_on(mode) {
                Next::Caller(next) => {
                    let left = if leaving { self.leave(Some(mode)) } else { Left::Nothing };
                    return GivenUp { left, next: Some(next), polls };
                }
                Next::Polls(mut more) => polls.append(&mut more),
            }
            if let Unlocked::Free(left) =
                self.apply(self.newest(), |word| fd::unlock(word, mode, leaving, drained))
            {
                return GivenUp { left, next: None, polls };
            }
        }
    }

    /// NP-FD-6: the right goes to the oldest caller, and is free for nobody in between. Where there is
    /// none it is about to be free, and the polls are taken out (NP-FD-11).
    #[cold]
    fn hand_on(&self, mode: Mode) -> Next {
        let mut guard = self.queues.lock();
        let queue = in_use(&mut guard).of(mode);
        if queue.waiting.is_empty() && !queue.polls.is_empty() {
            self.apply(self.newest(), |word| fd::unqueue(word, mode, false));
            return Next::Polls(core::mem::take(&mut queue.polls));
        }
        let more = queue.waiting.len() > 1 || !queue.polls.is_empty();
        match self.apply(self.newest(), |word| fd::hand_on(word, mode, more)) {
            HandedOn::Nobody => Next::Polls(Vec::new()),
            HandedOn::ToTheOldest => {
                let (ticket, waker) = queue.waiting.pop_front().expect("queued says so");
                let before = queue.handed.replace(ticket);
                assert!(before.is_none(), "NP-FD-6 broken: two callers have the same right");
                Next::Caller(waker)
            }
        }
    }

    /// Closes: the closer is a user from now on, and everybody who was queued is to be woken.
    /// `None`: somebody else has closed before.
    #[must_use = "the wakers have to be woken"]
    pub(crate) fn close(&self) -> Option<[Evicted; 2]> {
        let mut guard = self.queues.lock();
        match self.apply(Word::IDLE, fd::close) {
            Closing::Again => None,
            Closing::First => Some(match guard.as_mut() {
                None => [Evicted::new(), Evicted::new()],
                // NP-FD-8
                Some(queues) => Mode::BOTH.map(|mode| {
                    let queue = queues.of(mode);
                    let callers = core::mem::take(&mut queue.waiting).into_iter();
                    callers.map(|(_, waker)| waker).chain(queue.polls.drain(..)).collect()
                }),
            }),
        }
    }

    /// The last user has given the number back; `result`: what close(2) said. The waker is that of
    /// the closer.
    #[must_use = "the closer has to be woken"]
    pub(crate) fn destroyed(&self, result: io::Result<()>) -> Option<Waker> {
        let mut guard = self.queues.lock();
        self.apply(self.newest(), fd::destroyed);
        if let Err(error) = result {
            guard.get_or_insert_default().error = Some(error);
        }
        guard.as_mut()?.closer.take()
    }

    /// The closer waits until the number is given back (NP-FD-4). Each call replaces the waker
    /// of the call before.
    pub(crate) fn poll_destroyed(&self, waker: &Waker) -> Poll<io::Result<()>> {
        let fresh = waker.clone();
        let mut guard = self.queues.lock();
        // Under the lock, as the write in `destroyed`: either this sees it, or the destroyer
        // sees the waker.
        if self.newest().destroyed() {
            let error = guard.as_mut().and_then(|queues| queues.error.take());
            drop(guard); // before the waker
            return Poll::Ready(error.map_or(Ok(()), Err));
        }
        let replaced = guard.get_or_insert_default().closer.replace(fresh);
        drop(guard);
        drop(replaced);
        Poll::Pending
    }

    /// The word as the owner finds it who takes the descriptor down.
    pub(crate) fn last_word(&self) -> Word {
        // A read-modify-write reads the newest word, whatever else the owner has been told.
        // Acquire: what the last user did is over.
        Word::from_bits(self.word.fetch_or(0, Ordering::AcqRel))
    }

    /// The newest word, for diagnostics and oracles.
    pub(crate) fn peek(&self) -> Word {
        Word::from_bits(self.word.peek())
    }

    /// How many callers and polls wait for the right of each direction, for diagnostics.
    pub(crate) fn peek_queued(&self) -> [usize; 2] {
        self.queues.peek(|queues| match queues {
            None => [0, 0],
            Some(queues) => {
                [&queues.read, &queues.write].map(|queue| queue.waiting.len() + queue.polls.len())
            }
        })
    }

    fn newest(&self) -> Word {
        // Relaxed: `apply` writes by compare-exchange, which acquires; the other callers look
        // under the lock of the queues, or are the only ones left.
        Word::from_bits(self.word.load(Ordering::Relaxed))
    }

    /// Asks the spec about `guess`, and does what it says; again when the word is another one. A
    /// guess that is right, as it is where nobody else uses the descriptor, saves the load.
    #[inline]
    fn apply<O>(&self, guess: Word, decide: impl Fn(Word) -> Move<O>) -> O {
        let (mut word, mut seen) = (guess, false);
        loop {
            match decide(word) {
                Move::Stay(outcome) if seen => return outcome,
                Move::Stay(_) => {
                    // Acquire: whoever is refused sees what the closer did before.
                    word = Word::from_bits(self.word.load(Ordering::Acquire));
                    seen = true;
                }
                Move::Set(after, outcome) => {
                    // AcqRel: release hands on what a user did with the number to the last one,
                    // who closes it, and what the holder of a right did to the next; acquire
                    // takes it over. On failure it takes over the same from whoever was quicker.
                    let exchanged = self.word.compare_exchange(
                        word.bits(),
                        after.bits(),
                        Ordering::AcqRel,
                        Ordering::Acquire,
                    );
                    match exchanged {
                        Ok(_) => return outcome,
                        Err(now) => (word, seen) = (Word::from_bits(now), true),
                    }
                }
            }
        }
    }
}

fn in_use(queues: &mut Option<Box<Queues>>) -> &mut Queues {
    queues.as_mut().expect("somebody was queued, so there are queues")
}
