//! An event queue whose events are rung by hand, and in which one thread can sleep.
//!
//! For scenarios in which it matters that somebody sleeps in the kernel, and not what a descriptor
//! does: one lock in place of the many of the simulated kernel, so that crowds can be explored.
//!
//! One thread sleeps at a time; a second one is a failure, for whoever uses this kernel has promised
//! that there is none (NP-IDLE-3). The break is level-triggered, an event is reported once, and one thing is
//! reported at a time: events first.

use netpoller::seam::{Event, Mutex, Parker, Primitives, condensed};
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::collections::VecDeque;

/// Such a queue.
#[derive(Debug)]
pub(super) struct Bell<P: Primitives> {
    state: P::Mutex<State<P>>,
}

#[derive(Debug)]
struct State<P: Primitives> {
    /// Whether the break token is there.
    token: bool,
    events: VecDeque<Event>,
    asleep: Option<P::Parker>,
}

impl<P: Primitives> State<P> {
    /// Who sleeps need not be said: it is the thread that parks in here.
    fn digest(&self) -> Option<u64> {
        let events = self.events.iter().map(|event| event.token.bits() ^ u64::from(event.bits.0));
        let facts = [u64::from(self.token), u64::from(self.asleep.is_some())];
        Some(condensed(facts.into_iter().chain(events)))
    }

    fn report(&mut self) -> Option<Event> {
        let token = self.token.then_some(Event { token: Token::BREAK, bits: Bits::IN });
        self.events.pop_front().or(token)
    }
}

impl<P: Primitives> Bell<P> {
    pub(super) fn new() -> Bell<P> {
        let state = State { token: false, events: VecDeque::new(), asleep: None };
        Bell { state: P::Mutex::new(state, State::digest) }
    }

    /// Waits for something to report; `sleeps`: if there is nothing, by sleeping.
    ///
    /// # Panics
    ///
    /// When another thread sleeps here.
    pub(super) fn wait(&self, sleeps: bool) -> Option<Event> {
        let parker = P::parker();
        let mut lies = false;
        loop {
            let mut state = self.state.lock();
            if lies {
                state.asleep = None; // if a token of somebody else's ended the sleep, it is still there
            }
            assert!(state.asleep.is_none() || !sleeps, "NP-IDLE-3 broken: two sleep in the kernel");
            let report = state.report();
            if report.is_some() || !sleeps {
                return report;
            }
            state.asleep = Some(parker.clone());
            lies = true;
            drop(state);
            parker.park();
        }
    }

    /// Makes an event that is reported once.
    pub(super) fn ring(&self, event: Event) {
        self.change(|state| state.events.push_back(event));
    }

    pub(super) fn post(&self) {
        self.change(|state| state.token = true);
    }

    pub(super) fn drain(&self) {
        self.state.lock().token = false;
    }

    pub(super) fn peek_break_token(&self) -> bool {
        self.state.peek(|state| state.token)
    }

    fn change(&self, change: impl FnOnce(&mut State<P>)) {
        let mut state = self.state.lock();
        change(&mut state);
        let sleeper = state.asleep.take();
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
    }
}
