//! Every state in full, for the plain search: does one fingerprint stand for one state, and has one
//! state one future?
//!
//! The search that merges states knows them by their fingerprints only, and believes two things of
//! them. The plain search, which believes nothing, is audited: at every decision of every schedule
//! the state is looked up as it is, with nothing condensed and nothing left out, also what is said to
//! follow from the rest (who holds a lock, and what is in it). Checked is that
//!
//! - no two states have the same fingerprint, or the cut takes one of them for the other;
//! - no state has two fingerprints, or it is explored twice;
//! - wherever a state comes again it has as many ways on as before, and each of them leads to the same
//!   next state as before. So equal states have equal futures, step by step.
//!
//! What is broken is reported as a panic of the thread that takes the step. At the end the number of
//! states is known for certain, for the other search to be held to.

use crate::engine::record::{Done, Object, Op};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The history of the setup, before it has observed anything.
const NOTHING: u32 = 0;
/// In the place of the next state: the execution has come to its end.
const END: u32 = u32::MAX;

/// What a thread has observed once, by the number of what it had observed before.
type Observation = (u32, Seen);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Seen {
    /// It was started, at this place.
    Started(usize),
    /// An operation: which one, on what, with which arguments, and what it saw.
    Done(Op, Object, [u64; 2], Option<u64>, &'static str),
    /// What was in a lock that it took.
    Content(Content),
    /// Nothing that counts but this.
    Forgotten(u64),
    /// Of a call: whether it performed an operation, and what it returned.
    Sealed(bool, u64),
}

/// What is in a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Content {
    /// As it was made.
    Made,
    /// What its digest says.
    Condensed(u64),
    /// What the thread at this place has left there with this history.
    Left(usize, u32),
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Start,
    Operation(Op, Object),
    Choice,
    End,
}

/// A state in full.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    /// By place: the number of its history, and where it is.
    threads: Vec<(u32, At)>,
    words: BTreeMap<Object, u64>,
    /// Who holds it, and what is in it.
    locks: BTreeMap<Object, (Option<usize>, Content)>,
    tokens: BTreeSet<usize>,
    oracles: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Known {
    fingerprint: u128,
    /// A choice of a thread within its step.
    choice: bool,
    /// By way on: the next state, once it was seen.
    next: Vec<Option<u32>>,
}

/// All states that were seen.
#[derive(Debug, Default)]
pub(super) struct Audit {
    now: State,
    histories: HashMap<Observation, u32>,
    numbers: HashMap<State, u32>,
    known: Vec<Known>,
    fingerprints: HashMap<u128, u32>,
    /// The last decision of this execution: in which state, and which way.
    last: Option<(u32, usize)>,
}

impl Audit {
    /// An execution begins.
    pub(super) fn begin(&mut self) {
        self.now = State { threads: vec![(NOTHING, At::Start)], ..State::default() };
        self.last = None;
    }

    pub(super) fn spawn(&mut self, parent: usize) {
        let place = self.now.threads.len();
        let history = self.number(self.now.threads[parent].0, Seen::Started(place));
        self.now.threads.push((history, At::Start));
    }

    pub(super) fn declared(&mut self, me: usize, op: Op, object: Object) {
        self.now.threads[me].1 = At::Operation(op, object);
    }

    pub(super) fn ended(&mut self, me: usize) {
        self.now.threads[me].1 = At::End;
    }

    pub(super) fn observed(&mut self, me: usize, done: &Done) {
        let Done { op, object, arguments, seen, label, .. } = *done;
        self.sees(me, Seen::Done(op, object, arguments, seen, label));
    }

    pub(super) fn forgets(&mut self, me: usize, kept: u64) {
        self.now.threads[me].0 = NOTHING;
        self.sees(me, Seen::Forgotten(kept));
    }

    /// The number of what a thread has observed.
    pub(super) fn history(&self, me: usize) -> u32 {
        self.now.threads[me].0
    }

    /// A call that began with this history has returned, sealed.
    pub(super) fn sealed(&mut self, me: usize, before: u32, any: bool, kept: u64) {
        self.now.threads[me].0 = before;
        self.sees(me, Seen::Sealed(any, kept));
    }

    pub(super) fn word(&mut self, object: Object, value: u64) {
        self.now.words.insert(object, value);
    }

    pub(super) fn lock_made(&mut self, object: Object, condensed: Option<u64>) {
        let content = condensed.map_or(Content::Made, Content::Condensed);
        self.now.locks.insert(object, (None, content));
    }

    pub(super) fn locked(&mut self, me: usize, object: Object) {
        if let Some((holder, content)) = self.now.locks.get_mut(&object) {
            *holder = Some(me);
            let content = *content;
            self.sees(me, Seen::Content(content));
        }
    }

    pub(super) fn unlocked(
        &mut self,
        me: usize,
        object: Object,
        condensed: Option<u64>,
        written: bool,
    ) {
        let history = self.now.threads.get(me).map_or(NOTHING, |thread| thread.0);
        if let Some((holder, content)) = self.now.locks.get_mut(&object) {
            *holder = None;
            match condensed {
                Some(digest) => *content = Content::Condensed(digest),
                None if written => *content = Content::Left(me, history),
                None => {}
            }
        }
    }

    pub(super) fn token(&mut self, place: usize, there: bool) {
        if there {
            self.now.tokens.insert(place);
        } else {
            self.now.tokens.remove(&place);
        }
    }

    pub(super) fn oracle(&mut self, key: u64, digest: u64) {
        self.now.oracles.insert(key, digest);
    }

    /// A decision among `ways`; `chooser`: of this thread within its step, and not who goes on.
    ///
    /// # Panics
    ///
    /// When the fingerprint does not stand for this state alone, or the state not for one future.
    pub(super) fn decides(&mut self, fingerprint: u128, ways: usize, chooser: Option<usize>) {
        let mut now = core::mem::take(&mut self.now);
        let declared = chooser.map(|me| core::mem::replace(&mut now.threads[me].1, At::Choice));
        let state = self.known_as(&now, fingerprint, ways, chooser.is_some());
        if let (Some(me), Some(declared)) = (chooser, declared) {
            now.threads[me].1 = declared;
        }
        self.now = now;
        self.follows(state);
        self.last = Some((state, 0));
    }

    /// Which way was decided upon.
    pub(super) fn takes(&mut self, way: usize) {
        if let Some((_, taken)) = &mut self.last {
            *taken = way;
        }
    }

    /// The execution has come to its end.
    pub(super) fn end(&mut self) {
        self.follows(END);
        self.last = None;
    }

    /// How many states with a decision among threads were seen.
    pub(super) fn states(&self) -> usize {
        self.known.iter().filter(|known| !known.choice).count()
    }

    fn known_as(&mut self, state: &State, fingerprint: u128, ways: usize, choice: bool) -> u32 {
        let new = self.known.len() as u32;
        let number = self.numbers.get(state).copied().unwrap_or(new);
        if number == new {
            self.numbers.insert(state.clone(), new);
            self.known.push(Known { fingerprint, choice, next: vec![None; ways] });
        }
        let named = *self.fingerprints.entry(fingerprint).or_insert(number);
        assert_eq!(named, number, "two states have the same fingerprint: it leaves something out");
        let known = &self.known[number as usize];
        assert_eq!(known.fingerprint, fingerprint, "one state has two fingerprints");
        assert_eq!(
            known.next.len(),
            ways,
            "a state that was seen before has another number of ways on: the program under test \
             is not a function of what it observed"
        );
        number
    }

    fn follows(&mut self, next: u32) {
        let Some((state, way)) = self.last else { return };
        let known = self.known[state as usize].next[way].get_or_insert(next);
        assert_eq!(
            *known, next,
            "one decision in one state led to two different states: the program under test is not \
             a function of what it observed"
        );
    }

    fn sees(&mut self, me: usize, seen: Seen) {
        if let Some((history, _)) = self.now.threads.get(me).copied() {
            self.now.threads[me].0 = self.number(history, seen);
        }
    }

    fn number(&mut self, before: u32, seen: Seen) -> u32 {
        let new = self.histories.len() as u32 + 1;
        match self.histories.entry((before, seen)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(new),
        }
    }
}
