//! Linearizability: the calls of an execution are explained by the sequential oracle.
//!
//! # What is judged
//!
//! The *history* of an entry of the slab: where each call on it begins and what it returns, in the
//! order in which that happened ([`Call`], [`Returned`]: told by `Incarnation` and by the handler
//! of timers, so that all scenarios have one, whatever they call). Judged against
//! [`Machine`](netpoller_spec::machine::Machine): there must be an order of what the calls do, in
//! which each call does it between its beginning and its return, and returns what the machine says.
//! Entries are judged one by one; no call is about two of them.
//!
//! Refinement looks at words and cannot see this. A wait that reports readiness that it did not
//! consume takes only steps that are rows of the table; so does one that does not look whether a
//! close has begun, or a second look that is not acted upon. And at rest what is in the words must
//! be a state in which the machine may be ([`History::at_rest`]).
//!
//! # Which calls are atomic
//!
//! | call | points | why not one |
//! |---|---|---|
//! | retract, publish | one | |
//! | notify | per direction | the slots are two words |
//! | prepare | check, reset | a close that comes between the two does not stop the reset |
//! | wait | finish; check; announce; check; retract; finish | a close, and an edge after it, may come between the check and the announcement: the wait consumes that edge, and no single point has both "not closing" and "ready" |
//! | release | cancel per direction | the slots are two words |
//! | close | begin; cancel per direction | a waiter that sees closing withdraws before it is cancelled |
//! | set a deadline, fire | enter; flag per direction; cancel per direction | as for a close; the first to the last exclude those of the others on the entry, and the beginning of a free |
//! | free | info word; slot per direction | a task that has checked before may park in the old slot |
//!
//! Whom a call takes out of a slot to be woken is a part of what it returns. *Not* judged: when an
//! entry of the queue of timers counts (a timer that is superseded does nothing, and the machine
//! knows no timers; `oracle::quiescent` and deadlocks judge that), whom a reset evicts, and which
//! task a waker belongs to.
//!
//! # Where a call begins
//!
//! The shorter the intervals of the calls, the more orders are ruled out; a history with longer ones
//! is explained by whatever explains that with shorter ones. A call does nothing before its first
//! operation, so the shortest interval is from its first operation to its last. On [`explore`] a
//! thread that has finished a call goes on at once to the first operation of the next, and waits
//! there to be picked. So there a call begins not when it says so but when its thread performs an
//! operation next, which is noticed when it matters, at the next return of any call
//! ([`Engine::performed`]). That way every history with shortest intervals is seen, and the
//! recording adds no scheduling points, that is to say no states.
//! On the other engines a call begins when it says so, before its first scheduling point: they judge
//! the histories that they come by, with intervals that may be longer than necessary.
//!
//! # When it is told
//!
//! Whoever is not woken, or parks where it may not, sleeps for ever as a rule, and of a deadlock the
//! engine tells who waits for what and which rule broke; an assertion of a scenario has better words,
//! too. So what is found wrong first is kept until nobody runs any more ([`History::at_rest`]), and
//! told if nothing else has failed by then. If nobody asks for deadlocks it is told at once.
//!
//! # What a search has to know of it
//!
//! A search that recognises states keeps what each thread has seen and done, and not which of two
//! calls that have nothing to do with each other was first. So what this oracle knows belongs to the
//! state: the set of configurations that explain the history (`configurations`), condensed, is
//! handed to [`Engine::absorb`] after each event. It is all that matters of the past, and no more, so
//! histories with the same consequences merge. Calls that were announced and have not begun need no
//! term of their own: their threads are known by what they have observed.
//!
//! # Which engines
//!
//! explore, loom-sc, shuttle and threads. Not loom-weak: under a weak memory a call that returned
//! before another one began need not have happened before it, and there is no one order of which the
//! machine could speak. On real threads the beginning is told before the first operation and the
//! return after the last one, each under one lock: an interval may come out longer than it was,
//! never shorter, so no order is invented.
//!
//! [`explore`]: crate::engine

mod configurations;
mod parts;
#[cfg(test)]
mod tests;

use super::{Which, judges};
use crate::engine::Engine;
use configurations::Set;
use netpoller::desc::Peek;
use netpoller::observe::{Call, Returned};
use netpoller_spec::Mode;
use netpoller_spec::token::Generation;
use parts::{Entry, Id};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

/// The histories of one execution.
#[derive(Debug, Default)]
pub struct History(Mutex<Histories>);

#[derive(Debug, Default)]
struct Histories {
    /// By index of the entry.
    entries: BTreeMap<u32, Arc<Set>>,
    /// Calls that have not returned, the newest last.
    open: Vec<Open>,
    /// Threads of the operating system, in the order in which they came.
    threads: Vec<ThreadId>,
    /// What was found wrong first.
    fault: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    id: Id,
    thread: usize,
    call: Call,
    /// How many operations its thread had performed when it was announced, while it has not begun.
    announced: Option<u64>,
}

/// What an engine knows this oracle by; its parts are the entries.
const KEY: &str = "history";

/// How many calls a thread may be in at once: a waker that is called within one may make another.
const NESTED: usize = 16;

impl Histories {
    fn thread<E: Engine>(&mut self) -> usize {
        if E::SERIAL {
            return crate::engine::current();
        }
        let me = thread::current().id();
        self.threads.iter().position(|known| *known == me).unwrap_or_else(|| {
            self.threads.push(me);
            self.threads.len() - 1
        })
    }

    /// The call has begun, or will when its thread is picked.
    fn called<E: Engine>(&mut self, call: Call) {
        let thread = self.thread::<E>();
        let nested = self.open.iter().filter(|open| open.thread == thread).count();
        let id = (thread * NESTED + nested) as Id;
        let open = Open { id, thread, call, announced: E::announced(KEY, call.index()) };
        self.open.push(open);
        if open.announced.is_none() {
            self.begin(open);
        }
    }

    fn begin(&mut self, Open { id, call, .. }: Open) {
        let place = call.index();
        let start = || Set::start(Entry::new(generation(&call)));
        let set = self.entries.entry(place).or_insert_with(start);
        *set = set.begins(id, call);
    }

    /// The calls on this entry whose threads have performed an operation meanwhile have begun.
    fn begin_announced<E: Engine>(&mut self, index: u32, now: Id) {
        for place in 0..self.open.len() {
            let open = self.open[place];
            let Some(mark) = open.announced else { continue };
            if open.call.index() != index {
                continue;
            }
            if open.id == now || E::performed(open.thread) > Some(mark) {
                self.open[place].announced = None;
                self.begin(open);
            }
        }
    }

    /// Notes what is wrong with what the call returns, if something is.
    fn returned<E: Engine>(&mut self, index: u32, returned: Returned) {
        let thread = self.thread::<E>();
        let own = |open: &Open| open.thread == thread && open.call.index() == index;
        let Some(place) = self.open.iter().rposition(own) else {
            return; // begun before this oracle judged
        };
        let id = self.open[place].id;
        self.begin_announced::<E>(index, id);
        let Open { call, .. } = self.open.remove(place);
        let Some(before) = self.entries.get(&index).cloned() else { return };
        let after = before.returns(id, returned);
        self.entries.insert(index, Arc::clone(&after));
        if before.is_empty() || !after.is_empty() {
            return; // there is nothing new to object to
        }
        let possible = before.possible(id).join(" or ");
        let fault = || format!("{call:?} returned {returned:?}, and may return: {possible}");
        self.fault.get_or_insert_with(fault);
    }

    /// What is known of an entry.
    fn digest(&self, index: u32) -> u64 {
        self.entries.get(&index).map_or(0, |set| set.digest() as u64)
    }
}

/// The incarnation for which the first call on an entry is made is the one it is in.
fn generation(call: &Call) -> Generation {
    match call {
        Call::Wait { place, .. }
        | Call::Prepare { place, .. }
        | Call::Retract { place, .. }
        | Call::Publish { place, .. }
        | Call::Notify { place, .. }
        | Call::Close { place }
        | Call::Release { place }
        | Call::SetDeadline { place, .. }
        | Call::Free { place } => place.generation,
        // Never the first one: somebody has set the deadline.
        Call::Fire { .. } => Generation::FIRST,
    }
}

impl History {
    fn judged<E: Engine>() -> bool {
        // What a destructor does while its thread unwinds is not judged: the first failure counts.
        E::ORDERED && judges(Which::History) && !thread::panicking()
    }

    /// The calling thread begins a call, or is about to.
    pub fn called<E: Engine>(&self, call: &Call) {
        if Self::judged::<E>() {
            let mut histories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            histories.called::<E>(*call);
        }
    }

    /// The newest call of the calling thread on this entry returns this.
    ///
    /// # Panics
    ///
    /// When no order of the calls explains it and nobody asks for deadlocks.
    pub fn returned<E: Engine>(&self, index: u32, returned: &Returned) {
        if !Self::judged::<E>() {
            return;
        }
        let mut histories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        histories.returned::<E>(index, *returned);
        E::ended(KEY, index, histories.digest(index));
        if !judges(Which::Deadlock) {
            tell(histories);
        }
    }

    /// No thread uses the poller any more, and this is what the entry holds.
    ///
    /// # Panics
    ///
    /// When no order of the calls explains it, or what some call has returned.
    pub fn at_rest<E: Engine>(&self, index: u32, found: &Peek) {
        if !Self::judged::<E>() {
            return;
        }
        let histories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let set = histories.entries.get(&index).cloned();
        tell(histories);
        let Some(set) = set else { return };
        if !set.may_be(|entry| is_as_found(entry, found)) {
            let states = set.states().join("\n or ");
            let mark = Which::History.mark();
            panic!(
                "{mark}no order of the calls leaves {found:?} in entry {index}, but\n    {states}"
            );
        }
    }
}

/// Panics if something was found wrong.
fn tell(mut histories: MutexGuard<'_, Histories>) {
    let fault = histories.fault.take();
    drop(histories);
    if let Some(fault) = fault {
        panic!("{}no order of the calls explains this: {fault}", Which::History.mark());
    }
}

fn is_as_found(entry: &Entry, found: &Peek) -> bool {
    let info = found.info;
    entry.generation() == info.generation()
        && entry.closing() == info.closing()
        && entry.event_error() == info.event_error()
        && Mode::BOTH.into_iter().all(|mode| {
            let (slot, deadline) =
                (found.slots[mode as usize], found.ledger.deadlines[mode as usize]);
            entry.expired(mode) == info.expired(mode)
                && entry.deadline(mode).unwrap_or(netpoller_spec::time::NONE) == deadline
                // That the slots have followed a free is for `oracle::quiescent` to say.
                && (entry.slot_generation(mode) != slot.generation()
                    || entry.state(mode) == slot.state())
        })
}
