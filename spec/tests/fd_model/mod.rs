//! The functions of the lock, driven by one thread, against a model that keeps what the word condenses: who is
//! inside, who has which right, who is queued. Who chooses the operations, a generator of random numbers or a
//! fuzzer, is up to whoever takes this module in.

use netpoller_spec::Mode;
use netpoller_spec::fd::{
    Closing, Entered, HandedOn, Left, Move, Unlocked, Word, claim, close, destroyed, enter,
    hand_on, leave, lock, queue, unlock, unqueue,
};
use std::collections::VecDeque;

/// What one of a few callers does, if it can.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Uses the number without a right.
    Enter,
    /// Leaves, as one of those.
    Leave,
    /// Asks for the right, as a user, and queues where it is taken.
    Lock(Mode),
    /// Asks for the right alone, and does not queue.
    Claim(Mode),
    /// The holder gives the right up, and says whether there is nothing more to read.
    Unlock(Mode, bool),
    /// A queued caller gives up: this one from the front.
    Drop(Mode, usize),
    Close,
}

impl Operation {
    /// One operation, chosen by `below`: a number below what it is given.
    pub(crate) fn draw(below: &mut dyn FnMut(usize) -> usize) -> Operation {
        let mode = Mode::BOTH[below(2)];
        match below(16) {
            0..=2 => Operation::Enter,
            3..=4 => Operation::Leave,
            5..=8 => Operation::Lock(mode),
            9 => Operation::Claim(mode),
            10..=12 => Operation::Unlock(mode, below(2) == 0),
            13..=14 => Operation::Drop(mode, below(3)),
            _ => Operation::Close,
        }
    }
}

/// Per direction: the holder and whether it is a user; who is queued, oldest first. Callers are
/// numbered as they come.
#[derive(Debug, Default)]
struct Direction {
    holder: Option<(u32, bool)>,
    queue: VecDeque<u32>,
}

#[derive(Debug, Default)]
struct Model {
    next: u32,
    others: u32,
    directions: [Direction; 2],
    closed: bool,
    destroyed: u32,
    /// Whether the last one who had the right to read has said so, and nobody has had it since.
    drained: bool,
}

impl Model {
    fn users(&self) -> u32 {
        let holders = self.directions.iter().filter(|d| d.holder.is_some_and(|(_, user)| user));
        self.others + u32::try_from(holders.count()).expect("two")
    }

    fn agrees(&self, word: Word) {
        assert_eq!(word.users(), self.users(), "{word:?} against {self:?}");
        assert_eq!(word.closed(), self.closed, "{word:?} against {self:?}");
        assert_eq!(word.destroyed(), self.destroyed > 0, "{word:?} against {self:?}");
        assert_eq!(word.drained(), self.drained, "{word:?} against {self:?}"); // NP-READ-4
        assert!(!(word.drained() && word.held(Mode::Read)), "a holder has left it: {word:?}");
        for mode in Mode::BOTH {
            let direction = &self.directions[mode as usize];
            assert_eq!(word.held(mode), direction.holder.is_some(), "{word:?} against {self:?}");
            assert_eq!(word.queued(mode), !direction.queue.is_empty(), "{word:?} against {self:?}");
            // NP-FD-6: while somebody is queued the right is never free.
            assert!(word.held(mode) || !word.queued(mode), "free with a queue: {word:?}");
        }
        // NP-FD-3: destroyed as soon as it is closed and empty, and at no other time.
        assert_eq!(self.destroyed, u32::from(self.closed && self.users() == 0), "{self:?}");
    }
}

fn write<O>(word: &mut Word, made: Move<O>) -> O {
    match made {
        Move::Stay(outcome) => outcome,
        Move::Set(after, outcome) => {
            *word = after;
            outcome
        }
    }
}

fn left(word: &mut Word, model: &mut Model, left: Left) {
    if left == Left::Destroy {
        write(word, destroyed(*word)); // panics where somebody is inside, or the second time
        model.destroyed += 1;
    }
}

/// The holder gives up, in the steps of an implementation.
fn give_up(word: &mut Word, model: &mut Model, mode: Mode, drained: bool) {
    let Some((_, user)) = model.directions[mode as usize].holder else { return };
    match write(word, unlock(*word, mode, user, drained)) {
        Unlocked::Free(last) => {
            model.directions[mode as usize].holder = None;
            model.drained |= drained && mode == Mode::Read;
            left(word, model, last);
        }
        Unlocked::HandOn => {
            let direction = &mut model.directions[mode as usize];
            let more = direction.queue.len() > 1;
            assert_eq!(write(word, hand_on(*word, mode, more)), HandedOn::ToTheOldest);
            // The new holder is no user before it runs.
            let oldest = direction.queue.pop_front().expect("queued says so");
            if user {
                model.others += 1; // the old one, until it leaves
            }
            direction.holder = Some((oldest, false));
            if user {
                model.others -= 1;
                let last = write(word, leave(*word));
                left(word, model, last);
            }
        }
    }
}

fn step(word: &mut Word, model: &mut Model, operation: Operation) {
    model.next += 1;
    let (caller, closed) = (model.next, model.closed);
    match operation {
        Operation::Enter => {
            let entered = write(word, enter(*word));
            assert_eq!(entered == Entered::Closed, closed); // NP-FD-2
            model.others += u32::from(entered == Entered::Yes);
        }
        Operation::Leave if model.others > 0 => {
            model.others -= 1;
            let last = write(word, leave(*word));
            left(word, model, last);
        }
        Operation::Leave => {}
        Operation::Lock(mode) => {
            let taken = model.directions[mode as usize].holder.is_some();
            let drained = mode == Mode::Read && model.drained;
            let expected = match (closed, taken) {
                (true, _) => Entered::Closed,
                (false, true) => Entered::Taken,
                (false, false) if drained => Entered::Drained,
                (false, false) => Entered::Yes,
            };
            assert_eq!(write(word, lock(*word, mode)), expected);
            model.drained &= expected != Entered::Drained;
            let direction = &mut model.directions[mode as usize];
            match expected {
                Entered::Yes | Entered::Drained => direction.holder = Some((caller, true)),
                Entered::Taken => {
                    assert_eq!(write(word, queue(*word, mode)), Entered::Taken);
                    direction.queue.push_back(caller);
                }
                Entered::Closed | Entered::Full => {}
            }
        }
        Operation::Claim(mode) => {
            let claimed = write(word, claim(*word, mode));
            if matches!(claimed, Entered::Yes | Entered::Drained) {
                let drained = mode == Mode::Read && core::mem::take(&mut model.drained);
                assert_eq!(claimed == Entered::Drained, drained, "{word:?} against {model:?}");
                let before = model.directions[mode as usize].holder.replace((caller, false));
                assert_eq!((before, closed), (None, false), "a right was given twice");
            }
        }
        Operation::Unlock(mode, drained) => give_up(word, model, mode, drained),
        Operation::Drop(mode, place) => {
            let direction = &mut model.directions[mode as usize];
            if direction.queue.remove(place).is_some() {
                write(word, unqueue(*word, mode, !direction.queue.is_empty())); // NP-FD-7
            }
        }
        Operation::Close => {
            let closing = write(word, close(*word));
            assert_eq!(closing == Closing::Again, closed);
            if closing == Closing::First {
                model.closed = true;
                model.directions.iter_mut().for_each(|d| d.queue.clear()); // NP-FD-8
                let last = write(word, leave(*word));
                left(word, model, last);
            }
        }
    }
}

/// Runs operations, and then has everybody go.
///
/// # Panics
///
/// Where the word and the model differ.
pub(crate) fn agree(operations: &[Operation]) {
    let (mut word, mut model) = (Word::IDLE, Model::default());
    for operation in operations {
        step(&mut word, &mut model, *operation);
        model.agrees(word);
    }
    // Everybody goes: what was closed is destroyed, and what was not is idle.
    while model.others > 0 {
        step(&mut word, &mut model, Operation::Leave);
    }
    for mode in Mode::BOTH {
        while model.directions[mode as usize].holder.is_some() {
            step(&mut word, &mut model, Operation::Unlock(mode, false));
            model.agrees(word);
        }
    }
    step(&mut word, &mut model, Operation::Close);
    model.agrees(word);
    assert!(word.destroyed(), "{word:?} against {model:?}");
}
