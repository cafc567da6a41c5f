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
//! An object has a second name, for people and for failures that are replayed ([`called`]): the file
//! that it was made in, and how many that thread had made in that file before. So it keeps its name
//! when another file makes one object more.
//!
//! After a panic nothing is recorded any more: what destructors do then is no part of the story.
//!
//! All of it lies in a thread-local: loom and shuttle run the threads of a model as coroutines on
//! one thread of the operating system. Whoever gives control away says who is running when it
//! comes back ([`resume`]). On the engine of OS threads each has a record of its own, with nothing
//! but notes in it, and the records are put together at the end ([`detach`], [`attach`]).

use super::digest::Digest;
use super::quiet;
use super::story::Story;
use super::telling;
use core::panic::Location;
use std::cell::{Cell, RefCell};
use std::path::Path;

/// The thread that builds the plan, before any other runs.
pub(crate) const SETUP: usize = 0;

/// An operation of the seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

/// An operation and who did it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) thread: usize,
    pub(crate) done: Done,
}

/// The name of an object: who made it, and how many that thread had made before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// How often it has changed something that is known by its history only.
    unsealed: u32,
    /// What it is about to do, while it has not done it.
    pub(crate) entered: Option<(Op, Object)>,
    pub(crate) ended: bool,
}

impl Track {
    fn new(name: &'static str, place: usize) -> Track {
        let behaviour = Digest::new(0xbe4a).with(place as u64).with_text(name);
        Track { name, behaviour, made: 0, label: None, unsealed: 0, entered: None, ended: false }
    }
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) tracks: Vec<Track>,
    pub(crate) events: Vec<Event>,
    /// What the steps of the state machine were about.
    pub(crate) told: Vec<Told>,
    /// The names that the scenario gave to objects.
    pub(crate) labels: Vec<(Object, &'static str, u32)>,
    /// Where each object was made.
    pub(crate) origins: Vec<(Object, &'static Location<'static>)>,
}

impl Record {
    const fn new() -> Record {
        Record {
            tracks: Vec::new(),
            events: Vec::new(),
            told: Vec::new(),
            labels: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// What an event is about that is a step of the state machine.
    pub(crate) fn told(&self, event: &Event) -> Option<Told> {
        event.done.told.map(|place| self.told[place as usize])
    }

    /// The file that an object was made in.
    pub(crate) fn origin(&self, object: Object) -> Option<&'static str> {
        let made = self.origins.iter().find(|(other, _)| *other == object)?;
        Some(made.1.file())
    }

    /// The name of an object for people, and for a replay: see above. That of a thread is the
    /// thread's.
    pub(crate) fn called(&self, object: Object) -> String {
        if object == Object::NONE {
            return String::new();
        }
        let maker = self.tracks.get(object.maker()).map_or("outside", |track| track.name);
        if object.number() == 0 {
            return maker.to_owned();
        }
        let label = self.labels.iter().find(|(labelled, _, _)| *labelled == object);
        let name = match label {
            Some((_, label, 0)) => (*label).to_owned(),
            Some((_, label, number)) => format!("{label} {number}"),
            None => self.numbered(object),
        };
        if object.maker() == SETUP { name } else { format!("{name} of {maker}") }
    }

    fn numbered(&self, object: Object) -> String {
        let Some(file) = self.origin(object) else { return format!("object.{}", object.number()) };
        let mine = self.origins.iter().take_while(|(other, _)| *other != object);
        let before =
            mine.filter(|(other, at)| other.maker() == object.maker() && at.file() == file);
        format!("{}.{}", stem(file), before.count() + 1)
    }
}

/// `slot` for `impl/src/slot.rs`, `kernel` for `models/src/kernel/mod.rs`.
fn stem(file: &str) -> &str {
    let path = Path::new(file);
    let named = match path.file_stem() {
        Some(stem) if stem == "mod" => path.parent().and_then(Path::file_name),
        stem => stem,
    };
    named.and_then(|name| name.to_str()).unwrap_or("object")
}

thread_local! {
    static RECORD: RefCell<Record> = const { RefCell::new(Record::new()) };
    static CURRENT: Cell<usize> = const { Cell::new(SETUP) };
}

/// Begins the record of an execution: nothing happened, and the plan is being built.
pub(crate) fn begin() {
    RECORD.with_borrow_mut(|record| {
        record.tracks.clear();
        record.events.clear();
        record.told.clear();
        record.labels.clear();
        record.origins.clear();
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
#[inline]
pub(crate) fn current() -> usize {
    CURRENT.get()
}

/// Says which thread is running.
#[inline]
pub(crate) fn resume(thread: usize) {
    CURRENT.set(thread);
}

/// The name of the running thread.
pub(crate) fn name() -> &'static str {
    RECORD.with_borrow(|record| record.tracks.get(current()).map_or("outside", |track| track.name))
}

/// The running thread has made an object: the name of it. The primitives of the seam say where they
/// are made, so the caller here is whoever made the word or the lock.
#[track_caller]
pub(crate) fn made() -> Object {
    let thread = current();
    let origin = Location::caller();
    RECORD.with_borrow_mut(|record| {
        let Some(track) = record.tracks.get_mut(thread) else { return Object::NONE };
        track.made += 1;
        let object = Object::new(thread, track.made);
        record.origins.push((object, origin));
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
    if quiet::panicked() {
        return;
    }
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
    /// What an [`Op::Step`] is about: its place in [`Record::told`]. It is large, and most operations are none.
    pub(crate) told: Option<u32>,
}

/// A step of a state machine: which word it concerns, why it was taken, what was there and what is
/// there now.
#[derive(Clone, Copy)]
pub struct Told {
    /// The name of the word.
    pub word: &'static str,
    /// Which of several that are alike; 0 if there is one.
    pub entry: u32,
    /// What the step is, in a word or two.
    pub why: &'static str,
    /// The word before and after; equal if it was looked at and left as it is.
    pub values: [u64; 2],
    /// How such a word reads.
    pub read: fn(u64) -> String,
    /// Whether it is a word that keeps its value, and so a column of the table. If not, the two
    /// values are what was compared.
    pub lasts: bool,
}

impl core::fmt::Debug for Told {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [before, after] = self.values.map(self.read);
        write!(f, "{} {}, {}: {before} -> {after}", self.word, self.entry, self.why)
    }
}

impl Done {
    pub(crate) const fn new(op: Op, object: Object) -> Done {
        Done { op, object, arguments: [0; 2], seen: None, label: "", told: None }
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
    happened(|record, thread| {
        // When it is unlocked is no decision of the thread and no observation.
        if done.op != Op::Unlock {
            let track = &mut record.tracks[thread];
            track.behaviour = done.absorbed_by(track.behaviour);
        }
        done
    });
}

/// The running thread has taken a step of the state machine. It is no part of the behaviour: it follows from the
/// operations around it.
pub(crate) fn told(step: Told) {
    happened(|record, _thread| {
        let told = Some(record.told.len() as u32);
        record.told.push(step);
        Done { told, ..Done::new(Op::Step, Object::NONE) }
    });
}

/// Enters what the running thread has done.
fn happened(done: impl FnOnce(&mut Record, usize) -> Done) {
    if quiet::panicked() {
        return;
    }
    let thread = current();
    RECORD.with_borrow_mut(|record| {
        let Some(track) = record.tracks.get_mut(thread) else { return };
        track.entered = None;
        let done = done(record, thread);
        record.events.push(Event { thread, done });
    });
}

/// What the running thread has done so far is no part of its behaviour any more, but for `kept`. Returns what
/// stands for it: `kept`, and how many objects it has made, which have names by that. Nothing if it has to be kept,
/// because it has changed something that is known by it only.
pub(crate) fn forgets(kept: u64) -> Option<u64> {
    RECORD.with_borrow_mut(|record| {
        let place = current();
        let track = record.tracks.get_mut(place)?;
        if track.unsealed > 0 {
            return None;
        }
        let kept = Digest::new(kept).with(u64::from(track.made)).bits() as u64;
        track.behaviour = Track::new(track.name, place).behaviour.with(kept);
        Some(kept)
    })
}

/// What was there when a call began that may be sealed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    behaviour: Digest,
    unsealed: u32,
}

/// The running thread begins a call that may be sealed.
pub(crate) fn begin_call() -> Option<Begun> {
    RECORD.with_borrow(|record| {
        let Track { behaviour, unsealed, .. } = *record.tracks.get(current())?;
        Some(Begun { behaviour, unsealed })
    })
}

/// The call returns: if it is sealed, what was done in it is no part of the behaviour any more, but for `kept`.
/// Returns what stands for it then: `kept`, and how many objects the thread has made.
pub(crate) fn end_call(begun: Option<Begun>, kept: u64) -> Option<u64> {
    if quiet::panicked() {
        return None;
    }
    RECORD.with_borrow_mut(|record| {
        let (track, begun) = (record.tracks.get_mut(current())?, begun?);
        if track.unsealed != begun.unsealed {
            return None;
        }
        let kept = Digest::new(kept).with(u64::from(track.made)).bits() as u64;
        track.behaviour = begun.behaviour.with(kept);
        Some(kept)
    })
}

/// The calls that the running thread is in are not sealed, and it forgets nothing.
pub(crate) fn unseal() {
    RECORD.with_borrow_mut(|record| {
        if let Some(track) = record.tracks.get_mut(current()) {
            track.unsealed += 1;
        }
    });
}

/// The running thread has come to its end.
pub(crate) fn ended() {
    if quiet::panicked() {
        return;
    }
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
    RECORD.with_borrow(telling::tell)
}

/// Looks at the record.
pub(crate) fn look<R>(look: impl FnOnce(&Record) -> R) -> R {
    RECORD.with_borrow(look)
}

/// The record of a thread, on its way into another one.
pub(crate) struct Detached {
    track: Option<Track>,
    events: Vec<Event>,
    told: Vec<Told>,
}

/// Takes the record of the running thread away, for [`attach`] elsewhere.
pub(crate) fn detach() -> Detached {
    let thread = current();
    RECORD.with_borrow_mut(|record| Detached {
        track: record.tracks.get(thread).cloned(),
        events: core::mem::take(&mut record.events),
        told: core::mem::take(&mut record.told),
    })
}

/// Puts the record of a thread, kept elsewhere, into this one.
pub(crate) fn attach(place: usize, kept: Detached) {
    RECORD.with_borrow_mut(|record| {
        if let (Some(track), Some(here)) = (kept.track, record.tracks.get_mut(place)) {
            *here = track;
        }
        let before = record.told.len() as u32;
        record.events.extend(kept.events.into_iter().map(|mut event| {
            event.done.told = event.done.told.map(|place| before + place);
            event
        }));
        record.told.extend(kept.told);
    });
}
