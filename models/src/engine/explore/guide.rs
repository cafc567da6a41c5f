//! Steering by named steps: an execution that failed, once more.
//!
//! A step is named by its thread, operation, object and occurrence, so the list of them says in
//! which order the threads took *these* steps, and says nothing of any other. It is followed like
//! this, whenever it has to be decided who goes on:
//!
//! - The first step on the list that was not taken is *due*. Its thread goes on; also if it is at a
//!   step that is not on the list, which is then taken on the way.
//! - If that thread cannot go on (it wants a lock that is held, or is parked), the others do, in
//!   turn, as far as they are at steps that are not on the list.
//! - A step that cannot come any more is *missed*: its thread has ended, or is at a step that comes
//!   later on the list. It is struck off, and the rest of the list is followed nevertheless.
//! - If nobody can go on without leaving the order of the list, the first step on it that can be
//!   taken is; the one that was due counts as missed unless it comes later.
//! - After the last step on the list its thread goes on as far as it can, because that is where
//!   the execution failed; but no further than [`ALONE`] steps, in case it only turns round waiting
//!   for others. From then on all go on in turn.
//!
//! A choice is what the list says; one that is not on it is the first alternative.

use crate::engine::record::{self, Op, Record, SETUP};
use crate::engine::story::NamedStep;
use crate::engine::telling::verb;
use std::collections::{HashMap, VecDeque};

/// How many steps the thread of the last named step takes before the others have their turn.
const ALONE: usize = 100;

/// A step without its occurrence: thread, operation, object.
type Name = (String, &'static str, String);

/// Who follows a list of steps.
#[derive(Debug)]
pub(super) struct Guide {
    /// What was not taken yet, with its number on the list.
    left: VecDeque<(usize, NamedStep)>,
    /// The thread of the last step on the list.
    last: String,
    /// How often each step was taken.
    taken: HashMap<Name, u32>,
    /// How many events of the record are counted in `taken`.
    counted: usize,
    /// What never came, and why.
    missed: Vec<(usize, String)>,
    /// How many steps were taken with no step on the list left.
    after: usize,
    turn: usize,
}

/// A thread that is about to do something.
struct Stand {
    place: usize,
    thread: String,
    /// The number on the list of what it is about to do, if that is left there.
    listed: Option<usize>,
    on_offer: bool,
}

impl Guide {
    pub(super) fn new(steps: &[NamedStep]) -> Guide {
        Guide {
            left: steps.iter().cloned().enumerate().collect(),
            last: steps.last().map(|step| step.thread.clone()).unwrap_or_default(),
            taken: HashMap::new(),
            counted: 0,
            missed: Vec::new(),
            after: 0,
            turn: 0,
        }
    }

    /// What never came: its number on the list, and why. What is left when the execution is over
    /// has not come either.
    pub(super) fn missed(mut self, over: bool) -> Vec<(usize, String)> {
        record::look(|record| self.count(record));
        if over {
            self.missed.extend(self.left.drain(..).map(|(number, step)| {
                (number, format!("{step}: the execution was over before it came"))
            }));
        }
        self.missed.sort();
        self.missed
    }

    /// Which of the moves on offer is made: its place among them.
    pub(super) fn decide(&mut self, offers: &[usize]) -> usize {
        let next = self.next(offers);
        offers.iter().position(|place| *place == next).expect("somebody who is on offer")
    }

    fn next(&mut self, offers: &[usize]) -> usize {
        self.turn += 1;
        let stands = record::look(|record| {
            self.count(record);
            self.stands(record, offers)
        });
        loop {
            let Some((number, due)) = self.left.front() else { return self.go_on(&stands, offers) };
            let stand = stands.iter().find(|stand| stand.thread == due.thread);
            let why = match stand {
                None => "its thread does not exist or has ended".to_owned(),
                Some(stand) => match stand.listed {
                    Some(later) if later != *number => {
                        format!("its thread has come to step {later} without it")
                    }
                    _ if stand.on_offer => return stand.place,
                    _ => return self.make_way(&stands, offers),
                },
            };
            self.missed.push((*number, format!("{due}: {why}")));
            self.left.pop_front();
        }
    }

    /// What a thread chooses.
    pub(super) fn choose(&mut self, me: usize, ways: usize) -> usize {
        let chosen = record::look(|record| {
            self.count(record);
            let name = name(record, me, Op::Choose, record::Object::NONE);
            self.listed(&name).and_then(|(_, step)| step.chosen)
        });
        chosen.map_or(0, |chosen| usize::try_from(chosen).map_or(0, |chosen| chosen.min(ways - 1)))
    }

    /// Takes note of what was done since the last decision.
    fn count(&mut self, record: &Record) {
        for event in &record.events[self.counted..] {
            let name = name(record, event.thread, event.done.op, event.done.object);
            *self.taken.entry(name).or_default() += 1;
        }
        self.counted = record.events.len();
        let taken = &self.taken;
        self.left.retain(|(_, step)| {
            let same = |(thread, operation, object): &Name| {
                (thread, *operation, object) == (&step.thread, &*step.operation, &step.object)
            };
            let times = taken.iter().find(|(name, _)| same(name)).map_or(0, |(_, times)| *times);
            times < step.occurrence
        });
    }

    /// A step that is about to be taken, if it is on the list of what is left.
    fn listed(&self, name: &Name) -> Option<&(usize, NamedStep)> {
        let occurrence = self.taken.get(name).map_or(1, |times| times + 1);
        self.left.iter().find(|(_, step)| {
            (&step.thread, &*step.operation, &step.object) == (&name.0, name.1, &name.2)
                && step.occurrence == occurrence
        })
    }

    fn stands(&self, record: &Record, offers: &[usize]) -> Vec<Stand> {
        let tracks = record.tracks.iter().enumerate().skip(SETUP + 1);
        let stands = tracks.filter_map(|(place, track)| {
            let (op, object) = track.entered?;
            let name = name(record, place, op, object);
            let listed = self.listed(&name).map(|(number, _)| *number);
            Some(Stand { place, thread: name.0, listed, on_offer: offers.contains(&place) })
        });
        stands.collect()
    }

    /// The thread of the step that is due cannot go on: somebody else has to.
    fn make_way(&mut self, stands: &[Stand], offers: &[usize]) -> usize {
        let able = || stands.iter().filter(|stand| stand.on_offer);
        let free: Vec<_> = able().filter(|stand| stand.listed.is_none()).collect();
        if !free.is_empty() {
            return free[self.turn % free.len()].place;
        }
        let first = able().min_by_key(|stand| stand.listed);
        first.map_or(offers[0], |stand| stand.place)
    }

    /// Nothing is left on the list.
    fn go_on(&mut self, stands: &[Stand], offers: &[usize]) -> usize {
        self.after += 1;
        let last = stands.iter().find(|stand| stand.thread == self.last && stand.on_offer);
        match last {
            Some(last) if self.after <= ALONE => last.place,
            _ => offers[self.turn % offers.len()],
        }
    }
}

fn name(record: &Record, thread: usize, op: Op, object: record::Object) -> Name {
    let thread = record.tracks.get(thread).map_or("outside", |track| track.name);
    (thread.to_owned(), verb(op), record.called(object))
}
