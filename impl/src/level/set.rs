//! The set of a level-triggered queue: what is registered, armed and held; and who sleeps on it.
//!
//! Plain data and what becomes of it. The lock around it, the calls, and the order of both are in
//! [`Queue`](super::Queue).

use super::{Asked, Multiplexer, NOT_OPEN};
use crate::seam::{Batch, Event, Primitives, condensed};
use core::ops::Bound::{Excluded, Unbounded};
use netpoller_spec::Mode;
use netpoller_spec::events::{self, Bits};
use netpoller_spec::token::Token;
use std::collections::BTreeMap;
use std::io;

/// What the lock is around.
#[derive(Debug)]
pub(super) struct State<P: Primitives> {
    entries: BTreeMap<i32, Entry>,
    pub(super) lead: Lead,
    /// Threads that sleep until it is their turn to lead, or are about to.
    pub(super) followers: usize,
    /// Whether the signal of the turn is up.
    pub(super) turn: bool,
    /// The number that was reported last.
    last: i32,
    /// Who sleeps until nobody holds a number.
    leaving: Vec<(i32, P::Parker)>,
}

/// Whether a thread sleeps on the set, and on which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lead {
    /// None does.
    Nobody,
    /// On all that is armed.
    Current,
    /// On a set that has changed since.
    Outdated,
}

/// A registered number.
#[derive(Debug)]
struct Entry {
    token: Token,
    /// Reading, writing.
    armed: [bool; 2],
    /// By how many threads.
    held: usize,
    /// Somebody is taking it out.
    leaving: bool,
}

impl Entry {
    const READ: Bits = Bits::IN.or(Bits::RDHUP);
    const WRITE: Bits = Bits::OUT;

    fn new(token: Token) -> Entry {
        Entry { token, armed: [false; 2], held: 0, leaving: false }
    }

    /// Of two things, the one for each direction that is armed, put together.
    fn of_armed<T>(&self, read: T, write: T, nothing: T, both: impl Fn(T, T) -> T) -> T {
        match self.armed {
            [true, true] => both(read, write),
            [true, false] => read,
            [false, true] => write,
            [false, false] => nothing,
        }
    }

    /// What poll(2) is to be asked for; 0 leaves the number out, since errors are always told
    /// (NP-LEVEL-2).
    fn events<M: Multiplexer>(&self) -> i16 {
        let (read, write) = (Bits::IN.0 as i16 | M::READ, Bits::OUT.0 as i16);
        self.of_armed(read, write, 0, |read, write| read | write)
    }

    /// What of the findings is for somebody who has armed it.
    fn concerns(&self, asked: Asked) -> Bits {
        let armed = self.of_armed(Bits::IN, Bits::OUT, Bits::NONE, Bits::or);
        if armed == Bits::NONE {
            return Bits::NONE;
        }
        if asked.found & NOT_OPEN != 0 {
            return armed; // the system call will say so
        }
        let told = self.of_armed(Entry::READ, Entry::WRITE, Bits::NONE, Bits::or);
        let told = told.or(Bits::ERR).or(Bits::HUP);
        let bits = Bits(u32::from(asked.found.cast_unsigned()) & told.0);
        // NP-EVT-3: whether there is nothing but an error is known only if all was asked for.
        if bits == Bits::ERR && self.armed != [true; 2] { bits.or(armed) } else { bits }
    }

    /// Takes a report: what it tells of is not armed any more.
    fn take(&mut self, asked: Asked) -> Option<Event> {
        let token = self.token;
        if token == Token::BREAK {
            return (asked.found != 0).then_some(Event { token, bits: Bits::IN });
        }
        let bits = self.concerns(asked);
        if bits == Bits::NONE {
            return None;
        }
        let report = events::report(bits);
        // NP-LEVEL-1, NP-LEVEL-3
        self.armed = [self.armed[0] && !report.read, self.armed[1] && !report.write];
        Some(Event { token, bits })
    }
}

impl<P: Primitives> State<P> {
    /// A set of the break alone, which is always armed.
    pub(super) fn with_break(number: i32) -> Self {
        let entry = Entry { armed: [true, false], ..Entry::new(Token::BREAK) };
        State {
            entries: BTreeMap::from([(number, entry)]),
            lead: Lead::Nobody,
            followers: 0,
            turn: false,
            last: number,
            leaving: Vec::new(),
        }
    }

    /// For an explorer. Who sleeps in `leaving` is known from where the threads are.
    pub(super) fn digest(&self) -> Option<u64> {
        let entries = self.entries.iter().flat_map(|(number, entry)| {
            let Entry { token, armed: [read, write], held, leaving } = *entry;
            let flags = u64::from(read) | u64::from(write) << 1 | u64::from(leaving) << 2;
            [u64::from(number.cast_unsigned()), token.bits(), flags, held as u64]
        });
        let Self { lead, followers, turn, last, .. } = *self;
        let rest =
            [lead as u64, followers as u64, u64::from(turn), u64::from(last.cast_unsigned())];
        Some(condensed(entries.chain(rest).chain([self.leaving.len() as u64])))
    }

    pub(super) fn enter(&mut self, number: i32, token: Token) -> io::Result<()> {
        if self.entries.contains_key(&number) {
            return Err(fault(io::ErrorKind::AlreadyExists, number, "is registered already"));
        }
        self.entries.insert(number, Entry::new(token));
        Ok(())
    }

    /// Whether it was not armed.
    pub(super) fn arm(&mut self, number: i32, mode: Mode) -> io::Result<bool> {
        let armed = &mut self.registered_entry(number)?.armed[mode as usize];
        Ok(!core::mem::replace(armed, true))
    }

    /// A leader, if there is one, sleeps on what is not the set any more. Whether it has not been
    /// told.
    pub(super) fn outdate(&mut self) -> bool {
        let untold = self.lead == Lead::Current;
        if untold {
            self.lead = Lead::Outdated;
        }
        untold
    }

    /// Nobody leads, and a follower is about to.
    pub(super) fn is_promised(&self) -> bool {
        self.turn && self.followers > 0
    }

    /// Nothing of it will be reported.
    pub(super) fn disarm_for_good(&mut self, number: i32) -> io::Result<()> {
        let entry = self.registered_entry(number)?;
        (entry.armed, entry.leaving) = ([false; 2], true);
        Ok(())
    }

    fn registered_entry(&mut self, number: i32) -> io::Result<&mut Entry> {
        let entry = self.entries.get_mut(&number).filter(|entry| !entry.leaving);
        entry.ok_or_else(|| fault(io::ErrorKind::NotFound, number, "is not registered"))
    }

    /// Whether no thread has it in its array.
    pub(super) fn is_let_go(&self, number: i32) -> bool {
        self.entries.get(&number).is_none_or(|entry| entry.held == 0)
    }

    pub(super) fn forget(&mut self, number: i32) {
        self.entries.remove(&number);
        self.leaving.retain(|(whose, _)| *whose != number);
    }

    /// `parker` is to be unparked when nobody holds the number.
    pub(super) fn wait_for(&mut self, number: i32, parker: &P::Parker) {
        self.leaving.retain(|(whose, _)| *whose != number);
        self.leaving.push((number, parker.clone()));
    }

    /// Fills the array with what is armed, beginning after what was reported last, and holds it.
    pub(super) fn make_array<M: Multiplexer>(&mut self, batch: &mut Reports) {
        batch.asked.clear();
        let last = self.last;
        let mut hold = |(number, entry): (&i32, &mut Entry)| {
            let events = entry.events::<M>();
            if events != 0 {
                entry.held += 1;
                batch.asked.push(Asked { number: *number, events, found: 0 });
            }
        };
        self.entries.range_mut((Excluded(last), Unbounded)).for_each(&mut hold);
        self.entries.range_mut(..=last).for_each(&mut hold);
    }

    /// Lets go of what is in the array. Returns who has waited for that.
    pub(super) fn let_go(&mut self, batch: &Reports) -> Vec<P::Parker> {
        let mut parkers = Vec::new();
        for asked in &batch.asked {
            let entry = self.entries.get_mut(&asked.number).expect("what is held is not forgotten");
            entry.held -= 1;
            if entry.leaving && entry.held == 0 {
                let whose = |(number, _): &mut (i32, P::Parker)| *number == asked.number;
                parkers.extend(self.leaving.extract_if(.., whose).map(|(_, parker)| parker));
            }
        }
        parkers
    }

    /// Reports what was found and is armed, as far as there is room, and disarms it.
    pub(super) fn report(&mut self, batch: &mut Reports) {
        let Reports { asked, events, capacity } = batch;
        let found = asked.iter().filter(|asked| asked.found != 0);
        for asked in found {
            if events.len() == *capacity {
                return; // what is left is armed still, and comes first the next time
            }
            let entry = self.entries.get_mut(&asked.number);
            if let Some(event) = entry.and_then(|entry| entry.take(*asked)) {
                events.push(event);
                self.last = asked.number;
            }
        }
    }

    pub(super) fn registered(&self) -> Vec<(i32, Token)> {
        let all = self.entries.iter().map(|(number, entry)| (*number, entry.token));
        all.filter(|(_, token)| *token != Token::BREAK).collect()
    }
}

fn fault(kind: io::ErrorKind, number: i32, what: &str) -> io::Error {
    io::Error::new(kind, format!("the descriptor {number} {what}"))
}

/// A buffer of reports, and the array of a wait.
#[derive(Debug)]
pub struct Reports {
    asked: Vec<Asked>,
    events: Vec<Event>,
    capacity: usize,
}

impl Reports {
    pub(super) fn clear(&mut self) {
        self.events.clear();
    }

    pub(super) fn asked(&mut self) -> &mut [Asked] {
        &mut self.asked
    }

    /// An array of one number, which is asked for something to read.
    pub(super) fn ask_about(&mut self, number: i32) {
        self.asked.clear();
        self.asked.push(Asked { number, events: Bits::IN.0 as i16, found: 0 });
    }

    /// Whether the queue's own numbers are open, as far as was asked.
    pub(super) fn usable(&self, asked: bool, own: &[i32]) -> io::Result<()> {
        let closed = |place: &&Asked| place.found & NOT_OPEN != 0 && own.contains(&place.number);
        match self.asked.iter().find(closed) {
            Some(place) if asked => {
                let what = "of the event queue was closed by foreign code";
                Err(fault(io::ErrorKind::NotConnected, place.number, what))
            }
            _ => Ok(()),
        }
    }
}

impl Batch for Reports {
    fn with_capacity(events: usize) -> Reports {
        assert!(events > 0, "a buffer for no events");
        Reports { asked: Vec::new(), events: Vec::with_capacity(events), capacity: events }
    }

    fn len(&self) -> usize {
        self.events.len()
    }

    fn get(&self, place: usize) -> Event {
        self.events[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::os::PosixPoll;
    use crate::seam::{Os, Primitives};
    use netpoller_spec::token::Generation;
    use std::collections::BTreeSet;

    const BREAK: i32 = 3;
    const ONE: i32 = 5;

    fn state() -> State<Os> {
        let mut state = State::with_break(BREAK);
        state.enter(ONE, Token::entry(0, Generation::FIRST)).expect("a free number");
        state
    }

    fn array(state: &mut State<Os>) -> Reports {
        let mut batch = Reports::with_capacity(4);
        state.make_array::<PosixPoll>(&mut batch);
        batch
    }

    #[test]
    fn what_makes_a_difference_in_the_future_changes_the_digest() {
        type Change = (&'static str, fn(&mut State<Os>));
        let changes: [Change; 11] = [
            ("nothing", |_| ()),
            ("another number", |s| {
                s.enter(7, Token::entry(1, Generation::FIRST)).expect("a free number");
            }),
            ("armed to read", |s| drop(s.arm(ONE, Mode::Read))),
            ("armed to write", |s| drop(s.arm(ONE, Mode::Write))),
            ("the break is held", |s| drop(array(s))),
            ("on its way out", |s| s.disarm_for_good(ONE).expect("it is registered")),
            ("somebody leads", |s| s.lead = Lead::Current),
            ("the leader is outdated", |s| s.lead = Lead::Outdated),
            ("somebody follows", |s| s.followers = 1),
            ("the turn is up", |s| s.turn = true),
            ("somebody waits for a number", |s| s.wait_for(ONE, &Os::parker())),
        ];
        let mut seen = BTreeSet::new();
        for (what, change) in changes {
            let mut state = state();
            change(&mut state);
            assert!(seen.insert(state.digest().expect("a digest")), "{what}: digest of another");
        }
        // And what was reported last, where nothing else is different.
        let mut other = state();
        other.last = ONE;
        assert!(seen.insert(other.digest().expect("a digest")), "reported last: digest of another");
    }

    #[test]
    fn the_way_there_makes_no_difference() {
        let mut state = state();
        let before = state.digest();
        state.arm(ONE, Mode::Read).expect("it is registered");
        let mut batch = array(&mut state);
        let place = batch.asked().iter_mut().find(|place| place.number == ONE).expect("armed");
        place.found = Bits::IN.0 as i16;
        state.let_go(&batch);
        state.report(&mut batch);
        assert_eq!(batch.len(), 1, "a report");
        state.last = BREAK;
        assert_eq!(state.digest(), before, "all was undone");
    }

    #[test]
    fn the_array_begins_after_what_was_reported_last() {
        let mut state = state();
        for number in [7, 9] {
            state.enter(number, Token::entry(number as u32, Generation::FIRST)).expect("free");
            state.arm(number, Mode::Read).expect("it is registered");
        }
        state.last = 7;
        let numbers = |batch: Reports| batch.asked.iter().map(|a| a.number).collect::<Vec<_>>();
        assert_eq!(numbers(array(&mut state)), [9, BREAK, 7], "nothing is armed in {ONE}");
    }
}
