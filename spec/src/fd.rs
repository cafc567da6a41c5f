//! The lock of a descriptor: who uses its number, who has the right of a direction, and when it
//! is closed. Go's `fdMutex`, with a queue that is fair.
//!
//! # The word
//!
//! | bits | meaning |
//! |---|---|
//! | 0 | *closed*: somebody has closed it; nobody enters any more |
//! | 1 | *destroyed*: the number is given back |
//! | 2, 3 | the right to read, to write is *held* |
//! | 4, 5 | callers are *queued* for the right to read, to write |
//! | 6 to 30 | how many *users* there are: callers that may use the number at this moment |
//! | 31 | *drained*: the last one who had the right to read has found nothing more (NP-READ-3) |
//!
//! The right of a direction makes its holder the only one who reads, or writes, or waits there. A
//! user that reads holds both; a future that waits holds the right and is no user between two polls
//! (NP-FD-5), because nobody can rely on it to be polled again.
//!
//! *Drained* lies in this word because it has to go with the right: whoever gets the right to read takes it
//! out by the same write (NP-READ-4), and learns of it ([`Entered::Drained`]). So it is never set while the right
//! is held, and a holder who does not know of it has cleared it.
//!
//! # How an implementation uses this module
//!
//! Load the word, ask the function of the operation, do what the [`Move`] says; when the
//! compare-exchange fails, start again. The callers that are queued lie beside the word, under
//! a lock, oldest first. *Queued* changes under that lock only, together with the queue:
//! [`queue`], [`hand_on`], [`unqueue`] and [`close`] are called with the lock held. While *queued* is set
//! *held* stays set: a right that is given up goes to the oldest caller and is never free in
//! between (NP-FD-6).

use crate::Mode;

/// The value of the lock of a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word(u32);

impl Word {
    const CLOSED: u32 = 1;
    const DESTROYED: u32 = 1 << 1;
    const USER: u32 = 1 << 6;
    const DRAINED: u32 = 1 << 31;

    /// How many users may enter. The word can count one more: the closer is let in always.
    pub const MOST_USERS: u32 = (u32::MAX >> 7) - 1;

    /// The word of a descriptor that is open and that nobody uses.
    pub const IDLE: Word = Word(0);

    /// The word of a descriptor with one user, who has this right or none. What a user that leaves
    /// may guess is there.
    #[inline]
    #[must_use]
    pub const fn alone(right: Option<Mode>) -> Word {
        match right {
            None => Word(Word::USER),
            Some(mode) => Word(Word::USER | held(mode)),
        }
    }

    /// The word whose bits were loaded.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u32) -> Word {
        Word(bits)
    }

    /// The bits to store.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether somebody has closed the descriptor.
    #[inline]
    #[must_use]
    pub const fn closed(self) -> bool {
        self.0 & Word::CLOSED != 0
    }

    /// Whether the number is given back.
    #[inline]
    #[must_use]
    pub const fn destroyed(self) -> bool {
        self.0 & Word::DESTROYED != 0
    }

    /// Whether somebody has the right of this direction.
    #[inline]
    #[must_use]
    pub const fn held(self, mode: Mode) -> bool {
        self.0 & held(mode) != 0
    }

    /// Whether callers are queued for the right of this direction.
    #[inline]
    #[must_use]
    pub const fn queued(self, mode: Mode) -> bool {
        self.0 & queued(mode) != 0
    }

    /// Whether the last one who had the right to read has found nothing more.
    #[must_use]
    pub const fn drained(self) -> bool {
        self.0 & Word::DRAINED != 0
    }

    /// How many users there are.
    #[inline]
    #[must_use]
    pub const fn users(self) -> u32 {
        (self.0 & !Word::DRAINED) / Word::USER
    }

    const fn with(self, bits: u32) -> Word {
        Word(self.0 | bits)
    }

    const fn without(self, bits: u32) -> Word {
        Word(self.0 & !bits)
    }

    const fn one_more(self) -> Word {
        Word(self.0 + Word::USER)
    }

    const fn one_less(self) -> Word {
        assert!(self.users() > 0, "NP-FD-1 broken: somebody left who had not entered");
        Word(self.0 - Word::USER)
    }
}

const fn held(mode: Mode) -> u32 {
    match mode {
        Mode::Read => 1 << 2,
        Mode::Write => 1 << 3,
    }
}

const fn queued(mode: Mode) -> u32 {
    match mode {
        Mode::Read => 1 << 4,
        Mode::Write => 1 << 5,
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} users", self.users())?;
        for (mode, name) in [(Mode::Read, "read"), (Mode::Write, "write")] {
            match (self.held(mode), self.queued(mode)) {
                (false, false) => {}
                (true, false) => write!(f, ", {name} held")?,
                (_, true) => write!(f, ", {name} held and queued for")?,
            }
        }
        if self.drained() {
            f.write_str(", drained")?;
        }
        f.write_str(match (self.closed(), self.destroyed()) {
            (_, true) => ", destroyed",
            (true, false) => ", closed",
            (false, false) => "",
        })
    }
}

/// What one look at the word tells the caller to do. `O` is the outcome once that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move<O> {
    /// Write nothing.
    Stay(O),
    /// Compare-exchange to the word.
    Set(Word, O),
}

/// Whether somebody came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// He did: he counts as a user, and has what else he asked for.
    Yes,
    /// The same, with the right to read: whoever had it before him has found nothing more.
    Drained,
    /// The right is somebody else's.
    Taken,
    /// The descriptor was closed.
    Closed,
    /// There are as many users as the word can count.
    Full,
}

/// Somebody wants to use the number.
#[inline]
#[must_use]
pub const fn enter(word: Word) -> Move<Entered> {
    if word.closed() {
        return Move::Stay(Entered::Closed); // NP-FD-2
    }
    if word.users() == Word::MOST_USERS {
        return Move::Stay(Entered::Full);
    }
    Move::Set(word.one_more(), Entered::Yes)
}

/// Somebody wants the right of a direction, and to use the number with it.
#[inline]
#[must_use]
pub const fn lock(word: Word, mode: Mode) -> Move<Entered> {
    match enter(word) {
        Move::Set(_, _) if word.held(mode) => Move::Stay(Entered::Taken),
        Move::Set(after, _) => take(after, mode),
        refused @ Move::Stay(_) => refused,
    }
}

/// The right of a direction is free, and somebody takes it.
const fn take(word: Word, mode: Mode) -> Move<Entered> {
    match mode {
        Mode::Read if word.drained() => {
            Move::Set(word.with(held(mode)).without(Word::DRAINED), Entered::Drained) // NP-READ-4
        }
        Mode::Read | Mode::Write => Move::Set(word.with(held(mode)), Entered::Yes),
    }
}

/// Somebody wants the right of a direction, and not yet to use the number.
#[inline]
#[must_use]
pub const fn claim(word: Word, mode: Mode) -> Move<Entered> {
    if word.closed() {
        return Move::Stay(Entered::Closed); // NP-FD-2
    }
    if word.held(mode) {
        return Move::Stay(Entered::Taken);
    }
    take(word, mode)
}

/// Somebody for whom the right was [`Entered::Taken`] has the lock of the queues. `Taken` now means:
/// he is to be put into the queue.
#[inline]
#[must_use]
pub const fn queue(word: Word, mode: Mode) -> Move<Entered> {
    match lock(word, mode) {
        Move::Stay(Entered::Taken) if !word.queued(mode) => {
            Move::Set(word.with(queued(mode)), Entered::Taken)
        }
        other => other,
    }
}

/// Whether a user that left has something left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// To destroy the descriptor: it is closed, and nobody uses it any more (NP-FD-3).
    Destroy,
}

/// A user leaves.
///
/// # Panics
///
/// When there is none (NP-FD-1).
#[inline]
#[must_use]
pub const fn leave(word: Word) -> Move<Left> {
    let after = word.one_less();
    Move::Set(after, last(after))
}

const fn last(after: Word) -> Left {
    if after.closed() && after.users() == 0 { Left::Destroy } else { Left::Nothing } // NP-FD-3
}

/// What became of a right that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unlocked {
    /// It is free.
    Free(Left),
    /// Callers are queued: under the lock of the queues it goes to the oldest of them
    /// ([`hand_on`]). Nothing was written; who leaves as a user, leaves afterwards.
    HandOn,
}

/// The holder of a right gives it up; `leaving`: he is a user, and leaves with it; `drained`: he has found nothing
/// more to read (NP-READ-3). That is told to the next one only if the right is free before: one that is handed on
/// goes to somebody who waits already.
///
/// # Panics
///
/// When nobody holds it (NP-FD-6).
#[inline]
#[must_use]
pub const fn unlock(word: Word, mode: Mode, leaving: bool, drained: bool) -> Move<Unlocked> {
    assert!(word.held(mode), "NP-FD-6 broken: a right was given up that nobody held");
    if word.queued(mode) {
        return Move::Stay(Unlocked::HandOn);
    }
    let after = word.without(held(mode));
    let after = match mode {
        Mode::Read if drained => after.with(Word::DRAINED),
        Mode::Read | Mode::Write => after,
    };
    if leaving {
        let after = after.one_less();
        Move::Set(after, Unlocked::Free(last(after)))
    } else {
        Move::Set(after, Unlocked::Free(Left::Nothing))
    }
}

/// Whether a right went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandedOn {
    /// To the oldest caller in the queue, which is to be taken out of it.
    ToTheOldest,
    /// The queue has emptied meanwhile: the holder still has it.
    Nobody,
}

/// The holder of a right hands it on, under the lock of the queues; `more`: there is more than
/// one caller in the queue.
///
/// # Panics
///
/// When nobody holds it (NP-FD-6).
#[inline]
#[must_use]
pub const fn hand_on(word: Word, mode: Mode, more: bool) -> Move<HandedOn> {
    assert!(word.held(mode), "NP-FD-6 broken: a right was handed on that nobody held");
    match (word.queued(mode), more) {
        (false, _) => Move::Stay(HandedOn::Nobody),
        (true, true) => Move::Stay(HandedOn::ToTheOldest),
        (true, false) => Move::Set(word.without(queued(mode)), HandedOn::ToTheOldest),
    }
}

/// A queued caller gives up and leaves the queue, under its lock; `more`: others stay in it.
///
/// # Panics
///
/// When nobody is queued (NP-FD-7).
#[inline]
#[must_use]
pub const fn unqueue(word: Word, mode: Mode, more: bool) -> Move<()> {
    assert!(word.queued(mode), "NP-FD-7 broken: a caller left a queue that was empty");
    if more { Move::Stay(()) } else { Move::Set(word.without(queued(mode)), ()) }
}

/// Which close this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The first: the closer counts as a user, and all who are queued are to be told (NP-FD-8).
    First,
    /// A later one.
    Again,
}

/// Somebody closes the descriptor, with the lock of the queues held. From now on nobody enters;
/// the closer himself is a user until he leaves.
#[inline]
#[must_use]
pub const fn close(word: Word) -> Move<Closing> {
    if word.closed() {
        return Move::Stay(Closing::Again);
    }
    let nobody_queued = word.without(queued(Mode::Read) | queued(Mode::Write));
    Move::Set(nobody_queued.with(Word::CLOSED).one_more(), Closing::First)
}

/// The last user has given the number back.
///
/// # Panics
///
/// When the descriptor is open or in use, or was destroyed before (NP-FD-3).
#[inline]
#[must_use]
pub const fn destroyed(word: Word) -> Move<()> {
    assert!(word.closed() && word.users() == 0, "NP-FD-3 broken: destroyed while it was in use");
    assert!(!word.destroyed(), "NP-FD-3 broken: destroyed twice");
    Move::Set(word.with(Word::DESTROYED), ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    fn set<O>(made: Move<O>) -> (Word, O) {
        match made {
            Move::Set(word, outcome) => (word, outcome),
            Move::Stay(_) => panic!("nothing was written"),
        }
    }

    #[test]
    fn a_call_that_meets_nobody_is_one_step_in_and_one_step_out() {
        for mode in Mode::BOTH {
            let (inside, entered) = set(lock(Word::IDLE, mode));
            assert_eq!(entered, Entered::Yes);
            assert_eq!(inside, Word::alone(Some(mode)));
            let (after, unlocked) = set(unlock(inside, mode, true, false));
            assert_eq!((after, unlocked), (Word::IDLE, Unlocked::Free(Left::Nothing)));
        }
    }

    #[test]
    fn whoever_gets_the_right_to_read_takes_the_mark_and_a_writer_leaves_it() {
        // NP-READ-4
        let (inside, _) = set(lock(Word::IDLE, Mode::Read));
        let (drained, _) = set(unlock(inside, Mode::Read, true, true));
        assert_eq!(format!("{drained:?}"), "0 users, drained");
        let (writes, entered) = set(lock(drained, Mode::Write));
        assert_eq!((entered, writes.drained()), (Entered::Yes, true));
        let (written, _) = set(unlock(writes, Mode::Write, true, true));
        assert_eq!(written, drained);
        for taken in
            [lock(drained, Mode::Read), claim(drained, Mode::Read), queue(drained, Mode::Read)]
        {
            let (held, entered) = set(taken);
            assert_eq!((entered, held.drained()), (Entered::Drained, false));
            assert!(!set(unlock(held, Mode::Read, false, false)).0.drained(), "it came back");
        }
        // A writer that empties something has not read it.
        let (writes, _) = set(lock(Word::IDLE, Mode::Write));
        assert_eq!(set(unlock(writes, Mode::Write, true, true)).0, Word::IDLE);
    }

    #[test]
    fn a_right_that_is_handed_on_says_nothing_of_what_was_read() {
        // NP-READ-4, NP-FD-6
        let (inside, _) = set(lock(Word::IDLE, Mode::Read));
        let (waited_for, _) = set(queue(inside, Mode::Read));
        assert_eq!(unlock(waited_for, Mode::Read, true, true), Move::Stay(Unlocked::HandOn));
        let (handed, _) = set(hand_on(waited_for, Mode::Read, false));
        assert!(!handed.drained(), "{handed:?}");
    }

    #[test]
    fn as_many_users_as_the_word_can_count_and_no_more() {
        let full = Word::from_bits(Word::MOST_USERS << 6);
        assert_eq!(full.users(), Word::MOST_USERS);
        assert_eq!(set(enter(Word::IDLE)).0, Word::alone(None));
        assert_eq!(enter(full), Move::Stay(Entered::Full));
        assert_eq!(lock(full, Mode::Read), Move::Stay(Entered::Full));
        let (one_less, _) = set(leave(full));
        assert_eq!(set(enter(one_less)), (full, Entered::Yes), "the flags were touched");
        let (closed, _) = set(close(full));
        assert_eq!((closed.users(), closed.closed()), (Word::MOST_USERS + 1, true));
    }

    #[test]
    fn the_text_of_a_word_says_what_is_in_it() {
        let (word, _) = set(lock(Word::IDLE, Mode::Read));
        let (word, _) = set(queue(word, Mode::Read));
        assert_eq!(format!("{word:?}"), "1 users, read held and queued for");
        let (word, _) = set(close(word));
        assert_eq!(format!("{word:?}"), "2 users, read held, closed");
    }

    #[test]
    #[should_panic = "NP-FD-1"]
    fn leaving_without_having_entered_is_loud() {
        let _word = leave(Word::IDLE);
    }

    #[test]
    #[should_panic = "NP-FD-6"]
    fn giving_up_a_right_that_nobody_holds_is_loud() {
        let _word = unlock(Word::IDLE, Mode::Write, false, false);
    }

    #[test]
    #[should_panic = "NP-FD-3"]
    fn destroying_what_is_in_use_is_loud() {
        let (closed, _) = set(close(Word::IDLE)); // the closer is a user
        let _word = destroyed(closed);
    }

    #[test]
    #[should_panic = "NP-FD-3 broken: destroyed twice"]
    fn destroying_twice_is_loud() {
        let (closed, _) = set(close(Word::IDLE));
        let (left, last) = set(leave(closed));
        assert_eq!(last, Left::Destroy);
        let (gone, ()) = set(destroyed(left));
        let _word = destroyed(gone);
    }
}
