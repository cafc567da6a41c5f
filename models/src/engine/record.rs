//! What the threads of one execution did: their names, the objects they made, their behaviour, and
//! the story to be told when the execution fails.
//!
//! The engines differ in how they interleave; what they note down is the same, so that the sets
//! of behaviours of two engines can be compared:
//!
//! - A *thread* is known by its place in the plan. Thread 0 is the one that builds the plan.
//! - An *object* is known by the thread that made it and by how many that thread had made before.
//!   Never by an address: two executions that differ only in the order of independent steps give
//!   every object the same name.
//! - The *behaviour* of a thread is the sequence of the operations it performed, each with its
//!   object and the value that came back. A store, a lock and an unpark give nothing back; what
//!   is an artefact of an engine (a retry of a park, the read-modify-write that stands for a load)
//!   is not an operation. Fences are not recorded: they give nothing back and touch no object.
//!   The behaviour of an execution is that of its threads, whatever the interleaving was.
//! - The *story* is the sequence of all operations as they happened, with all their values.
//!
//! All of it lies in a thread-local: loom and shuttle run the threads of a model as coroutines on
//! one thread of the operating system. Whoever gives control away says who is running when it
//! comes back ([`resume`]). On the engine of OS threads each has a record of its own, with nothing
//! but notes in it, and the records are put together at the end ([`detach`], [`attach`]).

use super::digest::Digest;
use super::story::{Event, Story};
use std::cell::{Cell, RefCell};

/// The thread that builds the plan, before any other runs.
pub(crate) const SETUP: usize = 0;

/// An operation of the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Load,
    Store,
    Swap,
    CompareExchange,
    FetchOr,
    FetchAnd,
    Lock,
    Unlock,
    Park,
    Unpark,
    Choose,
    Note,
    /// A step of the state machine, decoded: for the story only.
    Step,
    /// A thread was found asleep.
    Asleep,
}

/// The name of an object: who made it, and how many that thread had made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Object(u32);

impl Object {
    /// What is not about an object.
    pub(crate) const NONE: Object = Object(u32::MAX);

    const fn new(thread: usize, number: u32) -> Object {
        Object((thread as u32) << 24 | number)
    }

    /// The object that stands for a thread: its parker.
    pub(crate) const fn thread(thread: usize) -> Object {
        Object::new(thread, 0)
    }

    pub(crate) const fn maker(self) -> usize {
        (self.0 >> 24) as usize
    }

    pub(crate) const fn number(self) -> u32 {
        self.0 & 0xff_ffff
    }

    pub(crate) const fn word(self) -> u64 {
        self.0 as u64
    }
}

/// One thread of the record.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub(crate) name: &'static str,
    behaviour: Digest,
    made: u32,
    label: Option<(&'static str, u32)>,
    /// What it is about to do, while it has not done it.
    pub(crate) entered: Option<(Op, Object)>,
    pub(crate) ended: bool,
}

impl Track {
    fn new(name: &'static str, place: usize) -> Track {
        let behaviour = Digest::new(0xbe4a).with(place as u64).with_text(name);
        Track { name, behaviour, made: 0, label: None, entered: None, ended: false }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) tracks: Vec<Track>,
    pub(crate) events: Vec<Event>,
    /// The names that the scenario gave to objects.
    pub(crate) labels: Vec<(Object, &'static str, u32)>,
}

thread_local! {
    static RECORD: RefCell<Record> = RefCell::new(Record::default());
    static CURRENT: Cell<usize> = const { Cell::new(SETUP) };
}

/// Begins the record of an execution: nothing happened, and the plan is being built.
pub(crate) fn begin() {
    RECORD.with_borrow_mut(|record| {
        record.tracks.clear();
        record.events.clear();
        record.labels.clear();
        record.tracks.push(Track::new("setup", SETUP));
    });
    resume(SETUP);
}

/// Adds the next thread of the plan and says its place.
pub(crate) fn thread(name: &'static str) -> usize {
    RECORD.with_borrow_mut(|record| {
        let place = record.tracks.len();
        record.tracks.push(Track::new(name, place));
        place
    })
}

/// The thread that is running.
pub(crate) fn current() -> usize {
    CURRENT.get()
}

/// Says which thread is running.
pub(crate) fn resume(thread: usize) {
    CURRENT.set(thread);
}

/// The name of the running thread.
pub(crate) fn name() -> &'static str {
    RECORD.with_borrow(|record| record.tracks.get(current()).map_or("outside", |track| track.name))
}

/// The running thread has made an object: the name of it.
pub(crate) fn made() -> Object {
    let thread = current();
    RECORD.with_borrow_mut(|record| {
        let Some(track) = record.tracks.get_mut(thread) else { return Object::NONE };
        track.made += 1;
        let object = Object::new(thread, track.made);
        if let Some((label, number)) = &mut track.label {
            record.labels.push((object, label, *number));
            *number += 1;
        }
        object
    })
}

/// What the running thread makes from now on has this name and a number.
pub(crate) fn label(label: &'static str) {
    RECORD.with_borrow_mut(|record| {
        if let Some(track) = record.tracks.get_mut(current()) {
            track.label = Some((label, 0));
        }
    });
}

/// The running thread is about to do this. It may not be able to yet.
pub(crate) fn entered(op: Op, object: Object) {
    RECORD.with_borrow_mut(|record| {
        if let Some(track) = record.tracks.get_mut(current()) {
            track.entered = Some((op, object));
        }
    });
}

/// An operation that was done: on which object, with which arguments, and what came back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) op: Op,
    pub(crate) object: Object,
    pub(crate) arguments: [u64; 2],
    pub(crate) seen: Option<u64>,
    pub(crate) label: &'static str,
    /// How the arguments of a [`Op::Step`] read.
    pub(crate) words: Option<fn(u64) -> String>,
}

impl Done {
    pub(crate) const fn new(op: Op, object: Object) -> Done {
        Done { op, object, arguments: [0; 2], seen: None, label: "", words: None }
    }

    /// What a digest of a behaviour takes in of it.
    pub(crate) fn absorbed_by(&self, digest: Digest) -> Digest {
        let head = (self.op as u64) << 32 | self.object.word();
        let digest = digest.with(head);
        let digest = match self.op {
            // What a thread notes or is offered is told apart by its name and its number.
            Op::Note => digest.with_text(self.label),
            Op::Choose => digest.with(self.arguments[0]),
            // Whether it succeeded follows from the arguments, which follow from what was seen
            // before, and from the value; it is taken in for those who look at digests only.
            Op::CompareExchange => digest.with(u64::from(self.seen == Some(self.arguments[0]))),
            _ => digest,
        };
        match self.seen {
            Some(value) => digest.with(1).with(value),
            None => digest,
        }
    }
}

/// The running thread has done this.
pub(crate) fn done(done: Done) {
    let thread = current();
    RECORD.with_borrow_mut(|record| {
        let Some(track) = record.tracks.get_mut(thread) else { return };
        track.entered = None;
        // When it is unlocked is no decision of the thread and no observation; a step of the state
        // machine follows from the operations around it.
        if !matches!(done.op, Op::Unlock | Op::Step) {
            track.behaviour = done.absorbed_by(track.behaviour);
        }
        record.events.push(Event { thread, done });
    });
}

/// The running thread has come to its end.
pub(crate) fn ended() {
    RECORD.with_borrow_mut(|record| {
        if let Some(track) = record.tracks.get_mut(current()) {
            track.entered = None;
            track.ended = true;
        }
    });
}

/// The behaviour of the execution.
pub(crate) fn behaviour() -> u128 {
    RECORD.with_borrow(|record| {
        let start = Digest::new(0xa11).with(record.tracks.len() as u64);
        record.tracks.iter().fold(start, |all, track| all.with_digest(track.behaviour)).bits()
    })
}

/// The threads of the plan by name, and what was done in the last execution.
#[cfg(feature = "shuttle")]
pub(crate) fn last() -> (Vec<&'static str>, Vec<Event>) {
    RECORD.with_borrow(|record| {
        let names = record.tracks.iter().skip(SETUP + 1).map(|track| track.name);
        (names.collect(), record.events.clone())
    })
}

/// How many operations were done.
pub(crate) fn steps() -> usize {
    RECORD.with_borrow(|record| record.events.len())
}

/// The story so far.
pub(crate) fn story() -> Story {
    RECORD.with_borrow(Story::of)
}

/// Takes the record of the running thread away, for [`attach`] elsewhere.
pub(crate) fn detach() -> (Option<Track>, Vec<Event>) {
    let thread = current();
    RECORD.with_borrow_mut(|record| {
        let track = record.tracks.get(thread).cloned();
        (track, core::mem::take(&mut record.events))
    })
}

/// Puts the record of a thread, kept elsewhere, into this one.
pub(crate) fn attach(place: usize, (track, events): (Option<Track>, Vec<Event>)) {
    RECORD.with_borrow_mut(|record| {
        if let (Some(track), Some(here)) = (track, record.tracks.get_mut(place)) {
            *here = track;
        }
        record.events.extend(events);
    });
}
