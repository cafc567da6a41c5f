//! What a model may do with a poller and a program may not: look into it, deliver an event by hand, let
//! the timers fire, act through a handle that is over.
//!
//! Nothing here is a step of its own of the protocol: what is delivered goes through the code that
//! handles what a kernel reports (`poller`), and a look is a peek. Hidden in the documentation, and not
//! covered by semantic versioning, like the seam.

use crate::desc::{Incarnation, Peek};
use crate::poller::{Addressee, Harvest, Poller};
use crate::ready::Ready;
use crate::seam::{Atomic, Event, Kernel, System};
use crate::turns::Turns;
use netpoller_spec::time;
use netpoller_spec::token::Token;
use netpoller_spec::wake::Flag;

impl<S: System> Poller<S> {
    /// Whether a blocking wait is in the kernel, or about to be. For oracles.
    #[doc(hidden)]
    #[must_use]
    pub fn peek_turn_is_in_kernel(&self) -> bool {
        self.shared.turns.as_ref().is_some_and(Turns::peek_is_in_kernel)
    }

    /// Whether nobody waits in turns, or drives. For oracles.
    #[doc(hidden)]
    #[must_use]
    pub fn peek_turns_are_idle(&self) -> bool {
        self.shared.turns.as_ref().is_none_or(Turns::peek_is_idle)
    }

    /// What all entries of the slab hold, and the flag of the break. For diagnostics and oracles.
    #[doc(hidden)]
    pub fn peek(&self) -> (Vec<(u32, Peek)>, Flag) {
        let entries = self.shared.slab.entries().map(|(index, desc)| (index, desc.peek()));
        (entries.collect(), Flag::from_bits(self.shared.flag.peek()))
    }

    /// The event queue, for oracles.
    #[doc(hidden)]
    #[must_use]
    pub fn queue(&self) -> &<S::Kernel as Kernel>::Queue {
        &self.shared.queue
    }

    /// The system, for oracles.
    #[doc(hidden)]
    #[must_use]
    pub fn system(&self) -> &S {
        &self.shared.system
    }

    /// Applies events as if the kernel had reported them: how a model delivers an edge that it
    /// harvested long ago. Wakes whom they wake.
    #[doc(hidden)]
    pub fn deliver(&self, events: &[Event]) {
        let mut ready = Ready::with_batch(events.len());
        ready.share.raise(&self.shared.in_flight, 2 * events.len() as u64);
        let Ready { wakers, broken, stale, .. } = &mut ready;
        self.harvest(events.iter().copied(), &mut Harvest { wakers, broken, stale });
        ready.share.settle(ready.wakers.len());
        ready.wake_all();
    }

    /// Lets the deadlines that are due expire, as a thread does that polls again and again: how a
    /// model lets a timer fire at a moment of its choice. Wakes whom that wakes.
    ///
    /// # Panics
    ///
    /// When a poller cannot be broken.
    #[doc(hidden)]
    pub fn expire_due(&self) {
        let mut ready = Ready::with_batch(32);
        loop {
            self.expire(&mut ready).expect("the event queue is usable");
            ready.wake_all();
            // What was pushed meanwhile may have come meanwhile.
            let first = self.shared.timers.first();
            if first == time::NONE || first > self.now().as_nanos() {
                return;
            }
        }
    }

    /// The entries of the queue of timers: (index, when), in no order. For oracles.
    #[doc(hidden)]
    #[must_use]
    pub fn peek_timers(&self) -> Vec<(u32, u64)> {
        self.shared.timers.peek()
    }

    /// The incarnation that a token names, over or not: how a model acts through a stale handle.
    ///
    /// # Panics
    ///
    /// When the token names no entry of this poller.
    #[doc(hidden)]
    #[must_use]
    pub fn incarnation(&self, token: Token) -> Incarnation<'_, S> {
        match self.addressee(token) {
            Addressee::Entry(incarnation) => incarnation,
            Addressee::Break | Addressee::Nobody => panic!("{token:?} names no entry"),
        }
    }
}
