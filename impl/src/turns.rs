//! Who polls when nobody drives: blocking waits take turns.
//!
//! A poller is *driven* while somebody is [attached](Poller::attach) to it, a driver or a loop of
//! the program, or while a thread is in a [`poll`](Poller::poll) that may block. While it is, a blocking
//! wait only parks. When it is not, one of the threads that wait has the *turn*: it blocks in the
//! kernel itself, applies what it harvests and wakes whom that concerns; the others park on
//! the *bench*. When the wait of the one that polls is over, it gives up the turn and calls one of the
//! others to take it over.
//!
//! # State, under the lock of the bench
//!
//! | turn | means | left by |
//! |---|---|---|
//! | Nobody | nobody polls | whoever sits down; whoever gives up a turn or ends to drive, by a call |
//! | Called | one of the bench was unparked to take over | the called one |
//! | Kernel | its holder is in the kernel, or about to be | its holder, when it comes out |
//! | Awake | its holder wakes whom it has harvested, and looks at its own wait | its holder |
//!
//! A holder that finds the poller driven when it is about to go into the kernel gives the turn up.
//!
//! Beside it: who sits on the bench, in the order in which they came; how many are attached, how many
//! polls from outside may block; who waits for the kernel to be left; whether the next poll from
//! outside is owed a break. `attached` is a copy outside of the lock, for waits to read.
//!
//! **Invariant.** While the lock is free: the poller is driven, or the bench is empty, or the turn is
//! somebody's (NP-TURN-1). Whoever would break it calls the one that sits there longest, in the same
//! section of the lock, and unparks it after that (NP-TURN-2, NP-TURN-3).
//!
//! # One parker, two reasons
//!
//! A thread on the bench is unparked because its wait is over, or because it is called, and one token
//! may stand for both. So nothing hangs on the token: whoever comes out of `park` looks at its own wait
//! and then at the bench; and whoever goes away asks, in the section of the lock in which it gives up
//! its seat, whether it was called meanwhile, and passes the call on (NP-TURN-3).
//!
//! # Getting the holder of the turn out of the kernel
//!
//! A thread that blocks in the kernel does not notice a token of its parker. So before it does, it looks
//! at its wait once more and leaves another waker there, one for the whole poller, which breaks the
//! poller if the turn is in the kernel (NP-TURN-4). It says `Kernel` before that look, and the
//! waker reads it after it was taken out of the cell, both under locks: the lock of the cell orders
//! the two, and no fence is needed. What the holder harvests for itself finds `Awake` and breaks nothing.
//!
//! A break gets *some* thread out that blocks. That it is the right one follows from there being
//! only one: whoever attaches, or begins to poll from outside, gets the holder out first and waits
//! until it is (NP-TURN-5). A break that the program asked for by [`Poller::wake`] may reach the holder,
//! who is not meant: then the next poll from outside returns at once, as if it had taken that break
//! (NP-TURN-7); whoever attaches instead asks for that break again, because the polls of a guard do not look at
//! the bench ([`Attached::poll`]). `wanted` says that the program has asked.
//!
//! # The handshake of parking and detaching (NP-TURN-6)
//!
//! ```text
//! waiter:    slot Nil -> Parked ; fence ; read attached
//! last one:  attached := 0      ; fence ; read the slots
//! ```
//!
//! Store buffering: a waiter that has seen somebody attached, and parks without a seat, is found by
//! the last one that detaches, who cancels every wait there is. A cancelled waiter looks again
//! (NP-WAIT-6), parks again, and finds nobody attached. The waiter's fence is that of NP-WAIT-3.
//! Waits that are in no slot, for the right of a direction and for the end of a descriptor, take a
//! seat in any case.
//!
//! Out of scope: which of several attached threads polls; what is waited for (`operation`, `source`).

use crate::poller::{Poller, Shared};
use crate::ready::Ready;
use crate::seam::{Arc, Atomic, Mutex, Ordering, Parker, System, Weak, condensed};
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a poller has that lets its waiters take turns.
#[derive(Debug)]
pub(crate) struct Turns<S: System> {
    /// How many are attached. Written under the lock of the bench.
    attached: S::AtomicU32,
    /// 1: the program has asked for a break that no poll from outside has reported yet.
    wanted: S::AtomicU32,
    bench: S::Mutex<Bench<S>>,
    /// Breaks the poller, if a waiter is in the kernel.
    breaker: Waker,
}

#[derive(Debug)]
struct Bench<S: System> {
    turn: Turn<S>,
    /// Who waits and was not called.
    waiting: VecDeque<Seat<S>>,
    attached: u32,
    /// Polls from outside that block or are about to.
    outside: u32,
    /// Who waits until no waiter is in the kernel.
    leaving: VecDeque<S::Parker>,
    /// A waiter took a break that the program had asked for.
    owed: bool,
    /// The buffer of whoever has the turn, while nobody has it.
    ready: Option<Ready<S>>,
}

/// Who has the turn, and where it is.
#[derive(Debug)]
enum Turn<S: System> {
    Nobody,
    Called(Seat<S>),
    Kernel(u32),
    Awake(u32),
}

/// A thread on the bench. Its number is one that no other seat has.
#[derive(Debug)]
struct Seat<S: System> {
    number: u32,
    parker: S::Parker,
}

/// Whether whoever detaches finds a wait by looking through the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is parked in a slot.
    InSlot,
    /// It is elsewhere.
    Elsewhere,
}

impl<S: System> Bench<S> {
    fn driven(&self) -> bool {
        self.attached > 0 || self.outside > 0
    }

    /// Calls one of those who wait, if somebody has to watch the kernel. To be unparked by the
    /// caller, who holds no lock then.
    #[must_use]
    fn call(&mut self) -> Option<S::Parker> {
        if self.driven() || !matches!(self.turn, Turn::Nobody) {
            return None;
        }
        let seat = self.waiting.pop_front()?;
        let parker = seat.parker.clone();
        self.turn = Turn::Called(seat);
        Some(parker)
    }

    /// Whether the turn is that of this seat, wherever it is.
    fn has_turn(&self, number: u32) -> bool {
        match &self.turn {
            Turn::Nobody => false,
            Turn::Called(seat) => seat.number == number,
            Turn::Kernel(holder) | Turn::Awake(holder) => *holder == number,
        }
    }

    /// A number that nobody has.
    fn number(&self) -> u32 {
        let taken =
            |number| self.has_turn(number) || self.waiting.iter().any(|seat| seat.number == number);
        (0..).find(|number| !taken(*number)).expect("fewer threads than numbers")
    }

    /// All that decides what comes next, for an explorer.
    fn digest(&self) -> Option<u64> {
        let (kind, holder) = match &self.turn {
            Turn::Nobody => (0, 0),
            Turn::Called(seat) => (1, seat.number),
            Turn::Kernel(number) => (2, *number),
            Turn::Awake(number) => (3, *number),
        };
        let counts = [self.attached, self.outside, u32::from(self.owed), kind, holder];
        let leaving = u32::try_from(self.leaving.len()).unwrap_or(u32::MAX);
        let waiting = self.waiting.iter().map(|seat| seat.number);
        Some(condensed(counts.into_iter().chain([leaving]).chain(waiting).map(u64::from)))
    }
}

impl<S: System> Turns<S> {
    pub(crate) fn new(poller: Weak<Shared<S>>) -> Self {
        let bench = Bench {
            turn: Turn::Nobody,
            waiting: VecDeque::new(),
            attached: 0,
            outside: 0,
            leaving: VecDeque::new(),
            owed: false,
            ready: None,
        };
        Turns {
            attached: S::AtomicU32::new(0),
            wanted: S::AtomicU32::new(0),
            bench: S::Mutex::new(bench, Bench::digest),
            breaker: Waker::from(Arc::new(Breaker { poller })),
        }
    }

    /// Whether somebody was attached when this was read.
    pub(crate) fn is_attended(&self) -> bool {
        // NP-TURN-6, the waiter's side: the fence of NP-WAIT-3 lies between the slot and this load.
        // Relaxed: that fence orders it. Pairs with the fence in `detach`.
        self.attached.load(Ordering::Relaxed) > 0
    }

    /// The program asks for a break: it is about to look at the flag, and has a fence in between.
    pub(crate) fn want_break(&self) {
        // Release: pairs with the swap in `break_was_wanted`, so that what the program published
        // is seen by whoever reports the break.
        self.wanted.store(1, Ordering::Release);
    }

    /// A break was taken; the fence of NP-BREAK-4 lies between the clear flag and this. Whether
    /// the program has asked for it, or for one that it has stood for.
    pub(crate) fn break_was_wanted(&self) -> bool {
        self.wanted.swap(0, Ordering::AcqRel) == 1 // pairs with the store in `want_break`
    }

    /// Whether a waiter is in the kernel, or about to be. For oracles.
    pub(crate) fn peek_is_in_kernel(&self) -> bool {
        self.bench.peek(|bench| matches!(bench.turn, Turn::Kernel(_)))
    }

    /// What is left. For oracles: nobody has the turn, sits on the bench, drives or waits for the
    /// kernel to be left.
    pub(crate) fn peek_is_idle(&self) -> bool {
        self.bench.peek(|bench| {
            let nobody = matches!(bench.turn, Turn::Nobody) && bench.waiting.is_empty();
            nobody && !bench.driven() && bench.leaving.is_empty()
        })
    }
}

/// The waker that the holder of the turn leaves where it waits.
#[derive(Debug)]
struct Breaker<S: System> {
    poller: Weak<Shared<S>>,
}

impl<S: System> std::task::Wake for Breaker<S> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(shared) = self.poller.upgrade() else { return };
        let poller = Poller { shared };
        let turns = poller.shared.turns.as_ref().expect("only turns make breakers");
        let inside = matches!(turns.bench.lock().turn, Turn::Kernel(_));
        if inside {
            // A token that cannot be posted: the event queue is not usable, and so the holder
            // does not sleep in it.
            let _unusable = poller.break_poll(); // NP-TURN-4
        }
    }
}

/// Blocks the calling thread until `poll` is over, polling the poller when nobody else does. `poll` is
/// given the waker that ends the wait.
///
/// # Errors
///
/// When the event queue is not usable and this thread had to poll it. What `poll` has begun is the
/// caller's to undo.
pub(crate) fn block<S: System, T>(
    poller: &Poller<S>,
    kept: Kept,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> io::Result<T> {
    let Some(turns) = &poller.shared.turns else { return Ok(park::<S, T>(poll)) };
    let parker = S::parker();
    let mut place = Occupant { poller, turns, number: None, ready: None };
    loop {
        if let Poll::Ready(result) = poll(parker.waker()) {
            return Ok(result);
        }
        if place.sit(kept, &parker) {
            // Once more: from now on whoever ends this wait has to break the poller (NP-TURN-4).
            if let Poll::Ready(result) = poll(&turns.breaker) {
                return Ok(result);
            }
            place.watch()?;
        } else {
            parker.park();
        }
    }
}

/// Blocks the calling thread until `poll` is over, and leaves the polling to others.
pub(crate) fn park<S: System, T>(mut poll: impl FnMut(&Waker) -> Poll<T>) -> T {
    let parker = S::parker();
    loop {
        match poll(parker.waker()) {
            Poll::Ready(result) => return result,
            // A token left over from elsewhere wakes us for nothing: then it is still on and we
            // park again.
            Poll::Pending => parker.park(),
        }
    }
}

/// A thread that waits: its seat on the bench, if it has one, or its turn. Dropping it gives up both.
struct Occupant<'a, S: System> {
    poller: &'a Poller<S>,
    turns: &'a Turns<S>,
    number: Option<u32>,
    ready: Option<Ready<S>>,
}

impl<S: System> Occupant<'_, S> {
    /// The wait is announced and not over. `true`: it is this thread's turn, and it has to go
    /// into the kernel. Otherwise it has to park.
    fn sit(&mut self, kept: Kept, parker: &S::Parker) -> bool {
        let turns = self.turns;
        let by_slot = kept == Kept::InSlot;
        if by_slot && self.number.is_none() && turns.is_attended() {
            return false;
        }
        let mut bench = turns.bench.lock();
        if let Some(number) = self.number
            && !bench.has_turn(number)
        {
            return false; // it sits there
        }
        let number = self.number.unwrap_or_else(|| bench.number());
        let free = self.number.is_some() || matches!(bench.turn, Turn::Nobody);
        if free && !bench.driven() {
            (bench.turn, self.number) = (Turn::Kernel(number), Some(number));
            if self.ready.is_none() {
                self.ready = bench.ready.take();
            }
            return true;
        }
        if free && self.number.is_some() {
            bench.turn = Turn::Nobody; // somebody drives since then
        }
        // One that is in a slot while somebody is attached will be found there.
        let seated = !(by_slot && bench.attached > 0);
        self.number = seated.then_some(number);
        if seated {
            bench.waiting.push_back(Seat { number, parker: parker.clone() });
        }
        false
    }

    /// Blocks in the kernel once, and wakes whom that concerns.
    fn watch(&mut self) -> io::Result<()> {
        let ready = self.ready.get_or_insert_with(Ready::new);
        let polled = self.poller.poll_once(ready);
        let broken = ready.broken() && self.turns.break_was_wanted();
        self.come_out(broken);
        // A waker that panics is its owner's misfortune: the panic hook has reported it, the others
        // were woken (NP-WAKE-2), and this wait has nothing to do with it.
        let ready = self.ready.get_or_insert_with(Ready::new);
        let _reported = catch_unwind(AssertUnwindSafe(|| ready.wake_all()));
        match polled {
            // A foreign event: reported to whoever polls by hand.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(()),
            polled => polled,
        }
    }

    /// Is out of the kernel. `broken`: by a break that was meant for the program.
    fn come_out(&mut self, broken: bool) {
        let mut bench = self.turns.bench.lock();
        bench.owed |= broken; // NP-TURN-7
        bench.turn = match self.number {
            Some(number) if !bench.driven() => Turn::Awake(number),
            _ => {
                self.number = None;
                Turn::Nobody
            }
        };
        let awaited = !bench.leaving.is_empty();
        drop(bench);
        if awaited {
            self.turns.kernel_was_left();
        }
    }
}

impl<S: System> Drop for Occupant<'_, S> {
    fn drop(&mut self) {
        if self.number.is_none() && self.ready.is_none() {
            return;
        }
        let mut bench = self.turns.bench.lock();
        if let Some(ready) = self.ready.take() {
            bench.ready = Some(ready);
        }
        if let Some(number) = self.number {
            if bench.has_turn(number) {
                bench.turn = Turn::Nobody; // NP-TURN-2, NP-TURN-3
            } else {
                bench.waiting.retain(|seat| seat.number != number);
            }
        }
        let called = bench.call();
        let awaited = !bench.leaving.is_empty();
        drop(bench);
        if awaited {
            self.turns.kernel_was_left();
        }
        if let Some(parker) = called {
            parker.unpark();
        }
    }
}

impl<S: System> Turns<S> {
    /// Unparks those who waited until no waiter is in the kernel.
    fn kernel_was_left(&self) {
        loop {
            let next = self.bench.lock().leaving.pop_front();
            let Some(parker) = next else { return };
            parker.unpark();
        }
    }

    /// Somebody drives from now on: `count` counts it. Comes back when no waiter is in the kernel
    /// (NP-TURN-5). Returns whether whoever polls next is owed a break (NP-TURN-7): none is owed any
    /// more then, and while somebody drives nobody owes another one.
    fn take_over(&self, poller: &Poller<S>, count: impl FnOnce(&mut Bench<S>)) -> bool {
        let mut bench = self.bench.lock();
        count(&mut bench);
        while matches!(bench.turn, Turn::Kernel(_)) {
            let parker = S::parker();
            bench.leaving.push_back(parker.clone());
            drop(bench);
            if poller.break_poll().is_err() {
                return false; // the event queue is not usable: nobody sleeps in it
            }
            parker.park();
            bench = self.bench.lock();
        }
        core::mem::take(&mut bench.owed)
    }

    /// A poll from outside that may block begins. `None`: it is owed a break (NP-TURN-7).
    pub(crate) fn enter<'a>(&'a self, poller: &Poller<S>) -> Option<Outside<'a, S>> {
        let owed = self.take_over(poller, |bench| bench.outside += 1);
        let outside = Outside { turns: self };
        (!owed).then_some(outside)
    }

    fn attach(&self, poller: &Poller<S>) {
        let owed = self.take_over(poller, |bench| {
            bench.attached += 1;
            // Relaxed: whoever has to see it sees it under the lock.
            self.attached.store(bench.attached, Ordering::Relaxed);
        });
        if owed {
            // Polls of whoever is attached do not ask (`Attached::poll`): the break goes the way of
            // all others, to the next of them. An event queue that takes no token is no longer usable,
            // and whoever polls it will be told.
            let _unusable = poller.wake(); // NP-TURN-7
        }
    }

    fn detach(&self, poller: &Poller<S>) {
        let mut bench = self.bench.lock();
        bench.attached -= 1;
        let left = bench.attached;
        // Relaxed: the fence below orders it.
        self.attached.store(left, Ordering::Relaxed);
        let called = bench.call(); // NP-TURN-2
        drop(bench);
        if let Some(parker) = called {
            parker.unpark();
        }
        if left == 0 {
            // NP-TURN-6, the side of the last one. Pairs with the fence in `poll_wait`.
            S::fence(Ordering::SeqCst);
            poller.release_all();
        }
    }
}

/// A poll from outside that may block. Dropping it ends it.
pub(crate) struct Outside<'a, S: System> {
    turns: &'a Turns<S>,
}

impl<S: System> Drop for Outside<'_, S> {
    fn drop(&mut self) {
        let mut bench = self.turns.bench.lock();
        bench.outside -= 1;
        let called = bench.call(); // NP-TURN-2
        drop(bench);
        if let Some(parker) = called {
            parker.unpark();
        }
    }
}

impl<S: System> Poller<S> {
    /// Says that the caller drives this poller, with a loop that calls [`poll`](Attached::poll) of the guard
    /// again and again, until that is dropped. While somebody is attached, blocking waits park and leave
    /// the polling to whoever is attached. Comes back when none of them is in the kernel any more.
    ///
    /// A loop that is not attached works, too; but between two of its polls one of the blocking waits
    /// goes into the kernel, and has to be got out again.
    ///
    /// Dropping the last guard hands over to the blocking waits: one of them polls from then on.
    /// Futures wait on, and nobody polls for them.
    ///
    /// Attaching while no thread polls lets all waits sleep.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let attached = poller.attach();
    /// let mut ready = netpoller::Ready::new();
    /// poller.wake()?;
    /// while !ready.broken() {
    ///     attached.poll(&mut ready, None)?;
    ///     ready.wake_all();
    /// }
    /// drop(attached);
    /// # Ok(())
    /// # }
    /// ```
    pub fn attach(&self) -> Attached<S> {
        if let Some(turns) = &self.shared.turns {
            turns.attach(self);
        }
        Attached { poller: self.clone() }
    }
}

/// Somebody drives a poller while this lives; see [`Poller::attach`].
#[derive(Debug)]
#[must_use = "dropping it says that nobody drives any more"]
pub struct Attached<S: System> {
    poller: Poller<S>,
}

impl<S: System> Attached<S> {
    /// [`Poller::poll`], for less: nobody has to be told that this thread polls, so no lock is taken for it.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let poller = netpoller::Poller::new()?;
    /// let (attached, mut ready) = (poller.attach(), netpoller::Ready::new());
    /// poller.wake()?;
    /// attached.poll(&mut ready, None)?;
    /// assert!(ready.broken());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Poller::poll`].
    pub fn poll(&self, ready: &mut Ready<S>, timeout: Option<Duration>) -> io::Result<usize> {
        self.poller.poll_attended(ready, timeout)
    }

    /// What is driven.
    #[must_use]
    pub fn poller(&self) -> &Poller<S> {
        &self.poller
    }
}

impl<S: System> Drop for Attached<S> {
    fn drop(&mut self) {
        if let Some(turns) = &self.poller.shared.turns {
            turns.detach(&self.poller);
        }
    }
}
