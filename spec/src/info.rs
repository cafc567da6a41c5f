//! The info word: what a waiter has to know without taking a lock.
//!
//! Layout: generation 32 | flags 32. Go keeps the same summary in `atomicInfo`; there the copy
//! of the sequence number has 16 bits and is compared with 20, so after 65,535 reuses the error
//! bit is lost. Here the whole generation is in the word.
//!
//! The flags are facts about one incarnation: closing, event error, for each direction that its
//! deadline has expired, and whether its short reads are believed (NP-READ-1). They are set by compare-exchange with the
//! generation in the comparand (NP-GEN-2), and read by [`check`], before a wait and after parking
//! (NP-WAIT-2, NP-WAIT-3).

use crate::token::Generation;
use crate::{Mode, Reason};

/// The value of the info word.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word(u64);

const CLOSING: u64 = 1 << 0;
const EVENT_ERROR: u64 = 1 << 1;
/// The reader's deadline has expired; the writer's is the next bit.
const EXPIRED: u64 = 1 << 2;

/// A short read is believed to have found nothing more.
const BELIEVED: u64 = 1 << 4;

const fn expired_bit(mode: Mode) -> u64 {
    EXPIRED << mode as u32
}

impl Word {
    /// The word of a fresh incarnation: nothing is known against it.
    #[inline]
    #[must_use]
    pub const fn new(generation: Generation) -> Word {
        Word((generation.get() as u64) << 32)
    }

    /// The word whose bits were loaded.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Word {
        Word(bits)
    }

    /// The bits to store.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The incarnation.
    #[inline]
    #[must_use]
    pub const fn generation(self) -> Generation {
        Generation::from_word((self.0 >> 32) as u32)
    }

    /// Whether a close has begun.
    #[inline]
    #[must_use]
    pub const fn closing(self) -> bool {
        self.0 & CLOSING != 0
    }

    /// Whether the newest event was nothing but an error condition.
    #[inline]
    #[must_use]
    pub const fn event_error(self) -> bool {
        self.0 & EVENT_ERROR != 0
    }

    /// Whether the deadline of this direction has expired and was not set or cleared since.
    #[inline]
    #[must_use]
    pub const fn expired(self, mode: Mode) -> bool {
        self.0 & expired_bit(mode) != 0
    }

    /// Whether a short read is believed to have found nothing more.
    #[must_use]
    pub const fn believed(self) -> bool {
        self.0 & BELIEVED != 0
    }
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "g{}", self.generation().get())?;
        if self.closing() {
            f.write_str(" closing")?;
        }
        if self.event_error() {
            f.write_str(" event-error")?;
        }
        if self.expired(Mode::Read) {
            f.write_str(" read-expired")?;
        }
        if self.expired(Mode::Write) {
            f.write_str(" write-expired")?;
        }
        if self.believed() {
            f.write_str(" believed")?;
        }
        Ok(())
    }
}

/// May a waiter of `generation` go on in `mode`? NP-INFO-3 and NP-INFO-7 give the precedence.
///
/// # Errors
///
/// The [`Reason`] why it may not.
#[inline]
pub const fn check(word: Word, generation: Generation, mode: Mode) -> Result<(), Reason> {
    if word.generation().get() != generation.get() || word.closing() {
        return Err(Reason::Closed); // NP-INFO-3, NP-GEN-2
    }
    if word.expired(mode) {
        return Err(Reason::DeadlineExceeded); // NP-INFO-7, NP-TIME-4
    }
    match mode {
        // NP-INFO-4: the system call of a writer tells more than "not pollable".
        Mode::Read if word.event_error() => Err(Reason::NotPollable),
        Mode::Read | Mode::Write => Ok(()),
    }
}

/// What to write to publish a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publish {
    /// Compare-exchange to this word.
    Set(Word),
    /// It is published already: write nothing (NP-INFO-2).
    Already,
    /// The word belongs to another incarnation: write nothing (NP-GEN-2).
    Stale,
}

/// A close of `generation` begins. [`Publish::Already`] tells the second closer from the first.
#[inline]
#[must_use]
pub const fn close(word: Word, generation: Generation) -> Publish {
    publish(word, generation, Word(word.0 | CLOSING))
}

/// An event of `generation` was nothing but an error (`true`), or was something else (`false`).
#[inline]
#[must_use]
pub const fn event_error(word: Word, generation: Generation, error: bool) -> Publish {
    let flags = if error { word.0 | EVENT_ERROR } else { word.0 & !EVENT_ERROR };
    publish(word, generation, Word(flags))
}

/// The deadline of `generation` in `mode` has expired (`true`), or another one was set, or none
/// (`false`). Who may say so: NP-TIME-3.
#[inline]
#[must_use]
pub const fn expired(word: Word, generation: Generation, mode: Mode, expired: bool) -> Publish {
    let bit = expired_bit(mode);
    let flags = if expired { word.0 | bit } else { word.0 & !bit };
    publish(word, generation, Word(flags))
}

/// Short reads of `generation` are believed. By whoever registers the descriptor, before the kernel knows
/// its token (NP-READ-1): nobody can have doubted them yet.
#[must_use]
pub const fn believe(word: Word, generation: Generation) -> Publish {
    publish(word, generation, Word(word.0 | BELIEVED))
}

/// Short reads of `generation` are believed no more, for the rest of the incarnation (NP-READ-2).
#[must_use]
pub const fn doubt(word: Word, generation: Generation) -> Publish {
    publish(word, generation, Word(word.0 & !BELIEVED))
}

/// The incarnation `generation` ends and `next` begins: all facts are dropped (NP-GEN-5).
#[inline]
#[must_use]
pub const fn free(word: Word, generation: Generation, next: Generation) -> Publish {
    publish(word, generation, Word::new(next))
}

const fn publish(word: Word, generation: Generation, after: Word) -> Publish {
    if word.generation().get() != generation.get() {
        Publish::Stale
    } else if word.0 == after.0 {
        Publish::Already
    } else {
        Publish::Set(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    fn generation(number: u32) -> Generation {
        Generation::new(number.max(1)).unwrap()
    }

    quickcheck! {
        // NP-GEN-2, Go #59545: an error of an earlier incarnation must not reach a later one.
        fn a_fact_of_another_incarnation_is_not_published(mine: u32, other: u32) -> bool {
            let (mine, other) = (generation(mine), generation(other));
            let word = Word::new(mine);
            mine == other
                || (event_error(word, other, true) == Publish::Stale
                    && close(word, other) == Publish::Stale)
        }
    }

    #[test]
    fn closing_beats_event_error() {
        // NP-INFO-3
        let g = Generation::FIRST;
        let Publish::Set(word) = event_error(Word::new(g), g, true) else { panic!("not set") };
        let Publish::Set(word) = close(word, g) else { panic!("not set") };
        assert_eq!(check(word, g, Mode::Read), Err(Reason::Closed));
    }

    #[test]
    fn an_event_error_is_for_readers_only() {
        // NP-INFO-4
        let g = Generation::FIRST;
        let Publish::Set(word) = event_error(Word::new(g), g, true) else { panic!("not set") };
        assert_eq!(check(word, g, Mode::Read), Err(Reason::NotPollable));
        assert_eq!(check(word, g, Mode::Write), Ok(()));
    }

    #[test]
    fn closing_beats_an_expired_deadline_which_beats_an_event_error() {
        // NP-INFO-3, NP-INFO-7
        let g = Generation::FIRST;
        let set = |publish| match publish {
            Publish::Set(word) => word,
            other => panic!("not set: {other:?}"),
        };
        let word = set(event_error(Word::new(g), g, true));
        let word = set(expired(word, g, Mode::Read, true));
        assert_eq!(check(word, g, Mode::Read), Err(Reason::DeadlineExceeded));
        assert_eq!(check(set(close(word, g)), g, Mode::Read), Err(Reason::Closed));
    }

    #[test]
    fn a_deadline_concerns_its_own_direction() {
        // NP-TIME-4
        let g = Generation::FIRST;
        for (mode, other) in [(Mode::Read, Mode::Write), (Mode::Write, Mode::Read)] {
            let Publish::Set(word) = expired(Word::new(g), g, mode, true) else {
                panic!("not set")
            };
            assert_eq!(check(word, g, mode), Err(Reason::DeadlineExceeded));
            assert_eq!(check(word, g, other), Ok(()));
            assert_eq!(expired(word, g, mode, false), Publish::Set(Word::new(g)));
        }
    }

    #[test]
    fn a_later_event_takes_the_error_back() {
        // NP-INFO-5
        let g = Generation::FIRST;
        let Publish::Set(word) = event_error(Word::new(g), g, true) else { panic!("not set") };
        assert_eq!(event_error(word, g, true), Publish::Already); // NP-INFO-2
        assert_eq!(event_error(word, g, false), Publish::Set(Word::new(g)));
    }

    #[test]
    fn a_doubt_is_written_once_and_only_where_somebody_believed() {
        // NP-READ-2, NP-INFO-2, NP-GEN-2
        let g = Generation::FIRST;
        assert_eq!(doubt(Word::new(g), g), Publish::Already);
        let Publish::Set(word) = believe(Word::new(g), g) else { panic!("not set") };
        assert!(word.believed(), "{word:?}");
        assert_eq!(doubt(word, g), Publish::Set(Word::new(g)));
        assert_eq!(doubt(word, generation(2)), Publish::Stale);
        assert_eq!(believe(word, generation(2)), Publish::Stale);
    }

    #[test]
    fn the_second_close_is_told_from_the_first() {
        let g = Generation::FIRST;
        let Publish::Set(word) = close(Word::new(g), g) else { panic!("not set") };
        assert_eq!(close(word, g), Publish::Already);
    }
}
