//! Lies: changes of a trace that no freedom of the kernel explains.
//!
//! | freedom | what it could explain, and how a lie keeps clear of it |
//! |---|---|
//! | extra edges | a report more, *if* it shows what is true: looked up, and a report that is true is no lie |
//! | any batch | a report less, *if* another one is left and a later wait makes up for it: dropped is the only report, or one whose item a later, empty wait should have reported |
//! | any order | nothing here |
//!
//! What is true is found out on the deterministic kernel, which the recordings hold to Linux;
//! where a number does not name any more what was registered, nothing is concluded.

use super::sites::{Book, Wait};
use crate::kernel::mask;
use crate::vectors::{Op, Program};

/// A kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// A condition that does not hold is reported.
    InventedBit,
    /// A condition that holds and is asked for is not reported.
    MissingBit,
    /// The only event of a wait is gone.
    OnlyEventDropped,
    /// One event of a batch is gone, and the next wait is empty although it is still true.
    LeftoverDropped,
    /// A level-triggered item that still holds is not reported again.
    LevelDropped,
    /// A report that was true once, after the state is gone.
    StateGone,
    /// A report of a registration that was deleted.
    Deleted,
    /// A second report of a ONESHOT registration.
    SpentOneshot,
    /// The conditions of one registration under the label of another, of which they do not hold.
    WrongLabel,
    /// A report by an event queue that does not know the registration.
    OtherQueue,
    /// The same registration twice in one batch.
    Twice,
    /// One event more than asked for.
    TooMany,
    /// An event before the operation that made it true.
    BeforeItsCause,
    /// Another result of a system call.
    WrongResult,
}

impl Lie {
    /// All kinds.
    pub const ALL: [Lie; 14] = [
        Lie::InventedBit,
        Lie::MissingBit,
        Lie::OnlyEventDropped,
        Lie::LeftoverDropped,
        Lie::LevelDropped,
        Lie::StateGone,
        Lie::Deleted,
        Lie::SpentOneshot,
        Lie::WrongLabel,
        Lie::OtherQueue,
        Lie::Twice,
        Lie::TooMany,
        Lie::BeforeItsCause,
        Lie::WrongResult,
    ];
}

/// What lies of one kind a trace gives occasion to.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The trace, with one lie in each.
    pub lies: Vec<Program>,
    /// Changes of this kind that would have told the truth, and were dropped.
    pub true_after_all: usize,
}

/// A change of one step.
enum Change {
    /// The wait reports this.
    Events(usize, Vec<(String, u32)>),
    /// The step returns this.
    Returned(usize, String),
    /// The step comes before the one in front of it.
    Earlier(usize),
}

impl Change {
    fn apply(self, program: &Program) -> Program {
        let mut program = program.clone();
        match self {
            Change::Events(place, events) => {
                let step = &mut program.steps[place];
                step.returned = events.len().to_string();
                step.events = events;
            }
            Change::Returned(place, word) => program.steps[place].returned = word,
            Change::Earlier(place) => program.steps.swap(place - 1, place),
        }
        program
    }
}

/// The changes of one kind that a trace gives occasion to.
#[derive(Default)]
struct Changes {
    lies: Vec<Change>,
    true_after_all: usize,
}

impl Changes {
    /// This change, if what it says differs from what is true.
    fn unless_true(&mut self, change: Change, said: u32, truth: u32) {
        if said == truth {
            self.true_after_all += 1;
        } else {
            self.lies.push(change);
        }
    }

    fn events(&mut self, wait: &Wait, change: impl FnOnce(&mut Vec<(String, u32)>)) {
        self.lies.push(changed(wait, change));
    }
}

fn changed(wait: &Wait, change: impl FnOnce(&mut Vec<(String, u32)>)) -> Change {
    let mut events = wait.events.clone();
    change(&mut events);
    Change::Events(wait.place, events)
}

/// Tells lies of one kind about a trace: at most this many, spread over it. A program with
/// operations that are not known gives no occasion.
#[must_use]
pub fn tell(lie: Lie, program: &Program, most: usize) -> Told {
    if program.steps.iter().any(|step| matches!(step.op, Op::Unknown(_))) {
        return Told::default();
    }
    let book = Book::of(program);
    let mut changes = Changes::default();
    match lie {
        Lie::WrongResult => wrong_results(&book, &mut changes),
        Lie::BeforeItsCause => before_their_cause(&book, &mut changes),
        Lie::StateGone | Lie::Deleted | Lie::SpentOneshot | Lie::OtherQueue => {
            for wait in book.waits.iter().filter(|wait| wait.has_room()) {
                added_reports(lie, &book, wait, &mut changes);
            }
        }
        _ => {
            for wait in &book.waits {
                changed_reports(lie, &book, wait, &mut changes);
            }
        }
    }
    let Changes { lies, true_after_all } = changes;
    let (all, most) = (lies.len(), most.min(lies.len()));
    let chosen: Vec<usize> = (0..most).map(|place| place * all / most).collect();
    let lies = lies.into_iter().enumerate().filter(|(place, _)| chosen.contains(place));
    Told { lies: lies.map(|(_, change)| change.apply(program)).collect(), true_after_all }
}

/// Lies about what a wait did report.
fn changed_reports(lie: Lie, book: &Book<'_>, wait: &Wait, changes: &mut Changes) {
    for (place, (label, bits)) in wait.events.iter().enumerate() {
        // A label that stands for two registrations could mean the other one.
        let Some(span) = book.span(&wait.epoll, label, wait.place) else { continue };
        match lie {
            Lie::InventedBit => {
                for bit in [mask::IN, mask::PRI, mask::OUT, mask::ERR, mask::HUP, mask::RDHUP] {
                    if bits & bit == 0 {
                        changes.events(wait, |events| events[place].1 |= bit);
                    }
                }
            }
            Lie::MissingBit => {
                for bit in (0..32).map(|shift| 1 << shift).filter(|bit| bits & bit != 0) {
                    if bits != &bit {
                        changes.events(wait, |events| events[place].1 &= !bit);
                    }
                }
            }
            Lie::OnlyEventDropped if wait.events.len() == 1 => changes.events(wait, Vec::clear),
            Lie::LevelDropped
                if wait.events.len() == 1
                    && !span.is(mask::ET | mask::ONESHOT)
                    && book.last(&wait.epoll, label, span.from, wait.place).is_some() =>
            {
                changes.events(wait, Vec::clear);
            }
            Lie::LeftoverDropped if wait.events.len() > 1 => {
                let Some(next) = book.next(wait).filter(|next| next.events.is_empty()) else {
                    continue;
                };
                if !span.holds_at(next.place) {
                    continue;
                }
                if let Some(truth) = book.truth(span, next.place) {
                    let change = changed(wait, |events| drop(events.remove(place)));
                    changes.unless_true(change, 0, truth);
                }
            }
            Lie::WrongLabel => {
                changes.events(wait, |events| events[place].0 = "nobody".to_owned());
                for other in &book.spans {
                    let known = other.epoll == wait.epoll && other.holds_at(wait.place);
                    let only = book.span(&wait.epoll, &other.label, wait.place).is_some();
                    if !known || !only || wait.reports(&other.label) {
                        continue;
                    }
                    if let Some(truth) = book.truth(other, wait.place) {
                        let change = changed(wait, |events| events[place].0 = other.label.clone());
                        changes.unless_true(change, *bits, truth);
                    }
                }
            }
            Lie::Twice if wait.has_room() => {
                changes.events(wait, |events| events.push((label.clone(), *bits)));
            }
            Lie::TooMany if !wait.has_room() => {
                changes.events(wait, |events| events.push((label.clone(), *bits)));
            }
            _ => {}
        }
    }
}

/// Lies that add what was reported once to a wait that has room.
fn added_reports(lie: Lie, book: &Book<'_>, wait: &Wait, changes: &mut Changes) {
    for span in &book.spans {
        let Some(bits) = book.last(&span.epoll, &span.label, span.from, wait.place) else {
            continue;
        };
        let means_something = book.means_something(&wait.epoll, &span.label, wait.place);
        if wait.reports(&span.label) {
            continue;
        }
        let change = || changed(wait, |events| events.push((span.label.clone(), bits)));
        if span.epoll != wait.epoll {
            if lie == Lie::OtherQueue && !means_something {
                changes.lies.push(change());
            }
            continue;
        }
        match lie {
            Lie::Deleted if span.deleted && span.until < wait.place && !means_something => {
                changes.lies.push(change());
            }
            Lie::SpentOneshot
                if span.is(mask::ONESHOT)
                    && span.holds_at(wait.place)
                    && book.span(&wait.epoll, &span.label, wait.place).is_some() =>
            {
                changes.lies.push(change());
            }
            Lie::StateGone if !span.is(mask::ONESHOT) && span.holds_at(wait.place) => {
                if book.span(&wait.epoll, &span.label, wait.place).is_none() {
                    continue;
                }
                if let Some(truth) = book.truth(span, wait.place) {
                    changes.unless_true(change(), bits, truth);
                }
            }
            _ => {}
        }
    }
}

/// Waits that come before the operation in front of them, where that made an event true.
fn before_their_cause(book: &Book<'_>, changes: &mut Changes) {
    for wait in book.waits.iter().filter(|wait| wait.place > 0) {
        let before = wait.place - 1;
        if matches!(book.program.steps[before].op, Op::EpollWait { .. } | Op::Unknown(_)) {
            continue;
        }
        for (label, bits) in &wait.events {
            let truth = match book.span(&wait.epoll, label, before) {
                Some(span) => book.truth(span, before),
                None if book.means_something(&wait.epoll, label, before) => None,
                // Nothing is true of what is not registered.
                None => Some(0),
            };
            if let Some(truth) = truth {
                changes.unless_true(Change::Earlier(wait.place), *bits, truth);
            }
        }
    }
}

/// Results of system calls that are not waits.
fn wrong_results(book: &Book<'_>, changes: &mut Changes) {
    if book.program.capacity_dependent {
        return;
    }
    for (place, step) in book.program.steps.iter().enumerate() {
        if matches!(step.op, Op::EpollWait { .. }) {
            continue;
        }
        let word = match step.returned.parse::<u64>() {
            Ok(count) => count.wrapping_add(1).to_string(),
            Err(_) if step.returned == "ok" => "EBADF".to_owned(),
            Err(_) => "ok".to_owned(),
        };
        changes.lies.push(Change::Returned(place, word));
    }
}
