//! From the record of an execution to its story.
//!
//! The record is a list of operations on nameless objects, with steps of the state machine between
//! them. A step of the state machine is *about* the operation before it, by the same thread: so the
//! two become one row, and the object gets the name of the word (`read slot`), and its values can
//! be read. A lock that is held while a word made in the same file is changed is the lock of that
//! word. What cannot be told by that keeps the name of the file that it was made in.

use super::quiet;
use super::record::{Done, Event, Object, Op, Record, SETUP, Told};
use super::story::{Doing, End, NamedStep, Row, Story, Word};
use core::fmt;
use std::collections::{BTreeMap, HashMap};

/// The story so far.
pub(super) fn tell(record: &Record) -> Story {
    let teller = Teller::of(record);
    Story {
        words: teller.words.iter().map(|(word, start)| teller.word(word, *start)).collect(),
        rows: teller.rows(),
        ends: teller.ends(),
        steps: named_steps(record),
    }
}

/// What is known of an object.
#[derive(Clone, Copy)]
enum Role {
    /// It is this word.
    Word(Told),
    /// It is the lock of this word.
    LockOf(Told),
}

struct Teller<'a> {
    record: &'a Record,
    roles: HashMap<Object, Role>,
    /// By the place of an operation in the record: the step that it is.
    steps: HashMap<usize, Told>,
    /// Steps that are about no operation, by their place.
    alone: Vec<usize>,
    /// The words that were told of, in a fixed order, and what was in them at first.
    words: Vec<(Told, u64)>,
    /// There is more than one entry.
    several: bool,
}

impl<'a> Teller<'a> {
    fn of(record: &'a Record) -> Teller<'a> {
        let mut teller = Teller {
            record,
            roles: HashMap::new(),
            steps: HashMap::new(),
            alone: Vec::new(),
            words: Vec::new(),
            several: false,
        };
        for (place, event) in record.events.iter().enumerate() {
            if let Some(told) = record.told(event) {
                teller.hear(place, event.thread, told);
            }
        }
        teller.several = teller.words.iter().any(|(word, _)| word.entry > 0);
        let order = ["read slot", "write slot", "info", "flag"];
        let rank = |word: &str| order.iter().position(|w| *w == word).unwrap_or(order.len());
        teller.words.sort_by_key(|(word, _)| (word.entry, rank(word.word)));
        teller
    }

    fn hear(&mut self, place: usize, thread: usize, told: Told) {
        let same = |word: &Told| (word.word, word.entry) == (told.word, told.entry);
        if told.lasts && !self.words.iter().any(|(word, _)| same(word)) {
            self.words.push((told, told.values[0]));
        }
        match self.operation(place, thread, told) {
            None => self.alone.push(place),
            Some(about) => {
                self.steps.insert(about, told);
                let object = self.record.events[about].done.object;
                self.roles.entry(object).or_insert(Role::Word(told));
                if told.values[0] != told.values[1]
                    && let Some(lock) = self.held(about, thread)
                    && self.record.origin(lock) == self.record.origin(object)
                {
                    self.roles.entry(lock).or_insert(Role::LockOf(told));
                }
            }
        }
    }

    /// The operation that a step is about: the last one of the thread, if it left what the step
    /// says and has no step yet. Giving a lock back may lie between.
    fn operation(&self, place: usize, thread: usize, told: Told) -> Option<usize> {
        let before = self.record.events[..place].iter().enumerate().rev();
        let mut mine = before.filter(|(_, event)| event.thread == thread);
        let (about, event) = mine.find(|(_, event)| event.done.op != Op::Unlock)?;
        let free = told.lasts && !self.steps.contains_key(&about);
        (free && leaves(&event.done) == Some(told.values[1])).then_some(about)
    }

    /// The lock that a thread has taken last and still holds.
    fn held(&self, place: usize, thread: usize) -> Option<Object> {
        let mut held = Vec::new();
        for event in self.record.events[..place].iter().filter(|event| event.thread == thread) {
            match event.done.op {
                Op::Lock => held.push(event.done.object),
                Op::Unlock => held.retain(|lock| *lock != event.done.object),
                _ => {}
            }
        }
        held.pop()
    }

    fn word(&self, word: &Told, start: u64) -> Word {
        Word { name: self.word_name(word), entry: word.entry, start: (word.read)(start) }
    }

    fn word_name(&self, word: &Told) -> String {
        // The flag is one; only what belongs to an entry is counted.
        let counted = self.several && word.word != "flag";
        if counted { format!("{} {}", word.word, word.entry) } else { word.word.to_owned() }
    }

    fn name(&self, object: Object) -> String {
        match self.roles.get(&object) {
            Some(Role::Word(word)) => self.word_name(word),
            Some(Role::LockOf(word)) => format!("lock of {}", self.word_name(word)),
            None => self.record.called(object),
        }
    }

    fn rows(&self) -> Vec<Row> {
        let mut newest: HashMap<Object, u64> = HashMap::new();
        let mut rows = Vec::new();
        for (place, event) in self.record.events.iter().enumerate() {
            let there = newest.get(&event.done.object).copied();
            match self.record.told(event) {
                None => rows.push(self.row(place, event, there)),
                Some(told) if self.alone.contains(&place) => rows.push(self.lone(event, told)),
                Some(_) => {}
            }
            if let Some(left) = left_by(&event.done, there) {
                newest.insert(event.done.object, left);
            }
        }
        rows
    }

    /// The row of an operation. `newest`: what was in the object.
    fn row(&self, place: usize, event: &Event, newest: Option<u64>) -> Row {
        let done = &event.done;
        let read = self.reader(done.object);
        let mut row = Row {
            thread: self.thread(event),
            operation: verb(done.op).to_owned(),
            object: self.name(done.object),
            values: values(done, read),
            ..Row::default()
        };
        if let (Some(seen), Some(newest)) = (done.seen, newest)
            && seen != newest
        {
            row.newest = Some(read(newest));
        }
        if let Some(told) = self.steps.get(&place) {
            told.why.clone_into(&mut row.why);
            row.after = self.change(told);
        }
        row
    }

    /// The row of a step that is about no operation.
    fn lone(&self, event: &Event, told: Told) -> Row {
        let [before, after] = told.values.map(told.read);
        let values = match (told.lasts, before == after) {
            (true, true) => format!("leaves {before}"),
            (true, false) => format!("{before} -> {after}"),
            (false, _) => format!("{before}, at {after}"),
        };
        Row {
            thread: self.thread(event),
            operation: verb(event.done.op).to_owned(),
            object: self.word_name(&told),
            values,
            why: told.why.to_owned(),
            after: self.change(&told),
            newest: None,
        }
    }

    fn change(&self, told: &Told) -> BTreeMap<String, String> {
        let [before, after] = told.values;
        let changed = told.lasts && before != after;
        changed.then(|| (self.word_name(told), (told.read)(after))).into_iter().collect()
    }

    fn thread(&self, event: &Event) -> String {
        self.record.tracks.get(event.thread).map_or("outside", |track| track.name).to_owned()
    }

    /// How values of the object read.
    fn reader(&self, object: Object) -> fn(u64) -> String {
        match self.roles.get(&object) {
            Some(Role::Word(word)) => word.read,
            _ => |bits| Value(bits).to_string(),
        }
    }

    fn ends(&self) -> Vec<End> {
        let tracks = self.record.tracks.iter().enumerate().skip(SETUP + 1);
        let doing = |(place, track): (usize, &super::record::Track)| match track.entered {
            _ if track.ended => Doing::Ended,
            None if quiet::unwinding(place) => Doing::Panicked,
            None => Doing::Runs,
            Some((Op::Park, _)) => Doing::Parked { kernel: self.in_the_kernel(place) },
            Some((Op::Lock, lock)) => {
                Doing::AwaitsLock { lock: self.name(lock), holder: self.holder(lock) }
            }
            Some((op, object)) => {
                Doing::About { operation: verb(op).to_owned(), object: self.name(object) }
            }
        };
        tracks
            .map(|(place, track)| End {
                thread: track.name.to_owned(),
                doing: doing((place, track)),
            })
            .collect()
    }

    /// Whether a thread that parked did so in a system call: what it touched last is the kernel's.
    fn in_the_kernel(&self, thread: usize) -> bool {
        let mut mine = self.record.events.iter().rev().filter(|event| event.thread == thread);
        let touched = mine
            .find(|event| matches!(event.done.op, Op::Unlock | Op::Lock) || is_word(&event.done));
        let origin = touched.and_then(|event| self.record.origin(event.done.object));
        origin.is_some_and(|file| file.contains("models/src/kernel/"))
    }

    /// Who holds a lock: who took it last, unless it was given back since.
    fn holder(&self, lock: Object) -> String {
        let mut last = self.record.events.iter().rev();
        let last = last.find(|event| {
            event.done.object == lock && matches!(event.done.op, Op::Lock | Op::Unlock)
        });
        match last {
            Some(event) if event.done.op == Op::Lock => self.thread(event),
            _ => "nobody".to_owned(),
        }
    }
}

/// The steps by which the execution can be told from others: those at which somebody else could
/// have gone on, and what was chosen.
fn named_steps(record: &Record) -> Vec<NamedStep> {
    let mut counts: HashMap<(usize, Op, Object), u32> = HashMap::new();
    let mut steps = Vec::new();
    for event in &record.events {
        let done = &event.done;
        let decided = !matches!(done.op, Op::Unlock | Op::Note | Op::Step);
        if !decided || (event.thread == SETUP && done.op != Op::Choose) {
            continue;
        }
        let occurrence = counts.entry((event.thread, done.op, done.object)).or_default();
        *occurrence += 1;
        steps.push(NamedStep {
            thread: record.tracks.get(event.thread).map_or("outside", |t| t.name).to_owned(),
            operation: verb(done.op).to_owned(),
            object: record.called(done.object),
            occurrence: *occurrence,
            chosen: done.seen.filter(|_| done.op == Op::Choose),
        });
    }
    steps
}

pub(super) fn verb(op: Op) -> &'static str {
    match op {
        Op::Load => "load",
        Op::Store => "store",
        Op::Swap => "swap",
        Op::CompareExchange => "compare-exchange",
        Op::FetchOr => "fetch-or",
        Op::FetchAnd => "fetch-and",
        Op::Lock => "lock",
        Op::Unlock => "unlock",
        Op::Park => "park",
        Op::Unpark => "unpark",
        Op::Choose => "choose",
        Op::Note => "note",
        Op::Step => "decide",
        Op::Asleep => "await sleep of",
    }
}

fn is_word(done: &Done) -> bool {
    matches!(
        done.op,
        Op::Load | Op::Store | Op::Swap | Op::CompareExchange | Op::FetchOr | Op::FetchAnd
    )
}

/// What an operation on a word left there, by its own account.
fn leaves(done: &Done) -> Option<u64> {
    let [first, second] = done.arguments;
    match done.op {
        Op::Store | Op::Swap => Some(first),
        Op::CompareExchange if done.seen == Some(first) => Some(second),
        Op::Load | Op::CompareExchange => done.seen,
        Op::FetchOr => done.seen.map(|seen| seen | first),
        Op::FetchAnd => done.seen.map(|seen| seen & first),
        _ => None,
    }
}

/// What is in a word after an operation. A load, and an exchange that fails, leave what is there,
/// which under a weak memory model may not be what they saw.
fn left_by(done: &Done, there: Option<u64>) -> Option<u64> {
    let writes = match done.op {
        Op::Load => false,
        Op::CompareExchange => done.seen == Some(done.arguments[0]),
        _ => true,
    };
    if writes { leaves(done) } else { there.or(leaves(done)) }
}

fn values(done: &Done, read: fn(u64) -> String) -> String {
    let [first, second] = done.arguments;
    let seen = done.seen.unwrap_or_default();
    let number = Value;
    match done.op {
        Op::Load => read(seen),
        Op::Store => format!("<- {}", read(first)),
        Op::Swap => format!("{} <- {}", read(seen), read(first)),
        Op::CompareExchange if seen == first => format!("{} <- {}", read(first), read(second)),
        Op::CompareExchange => format!("failed: {} there, not {}", read(seen), read(first)),
        Op::FetchOr => format!("{} | {}", read(seen), number(first)),
        Op::FetchAnd => format!("{} & {}", read(seen), number(first)),
        Op::Choose => format!("{} of {}", number(seen), number(first)),
        Op::Note => format!("{} = {}", done.label, number(seen)),
        Op::Step | Op::Lock | Op::Unlock | Op::Park | Op::Unpark | Op::Asleep => String::new(),
    }
}

/// Small numbers are easier to read in decimals, packed words in hexadecimals.
struct Value(u64);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10_000 { write!(f, "{}", self.0) } else { write!(f, "{:#x}", self.0) }
    }
}
