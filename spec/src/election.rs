//! Going idle: where a worker of a scheduler sleeps when it has nothing to do, which of them sleeps
//! in the kernel, and who is called when there is work again.
//!
//! # The word
//!
//! | bits | meaning |
//! |---|---|
//! | 0 to 47 | *parked*: the worker with this number sleeps on its parker |
//! | 48 to 53 | how many workers are *searching*: they look for work, or were called to |
//! | 54, 55 | who *polls*: nobody (0), a worker (1), a worker that was called out of it (2) |
//! | 56 | *shut down*: nobody goes to sleep any more |
//!
//! All of it lies in one word so that one compare-exchange decides who is called, and two parties can
//! never call the same worker, or each rely on the other to do it.
//!
//! # A worker's life
//!
//! ```text
//! busy --search--> searching --found--> busy
//!   \                  |
//!    `-----rest--------+--> polling   (if nobody polls)  --back--> searching
//!                      `--> parked    (if somebody does) --called--> searching
//! ```
//!
//! Two things hold in every word that these functions return (NP-IDLE-5, NP-IDLE-6):
//!
//! * while a worker is parked, somebody polls or is searching;
//! * a worker that was called out of the kernel counts as searching.
//!
//! # How an implementation uses this module
//!
//! Load the word, ask the function of the operation, compare-exchange; when that fails, start again.
//! Where a fence belongs, and what a worker looks at when, is said in SPEC.md section 16.

/// The idle word of a set of workers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Word(u64);

/// Who polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Polling {
    /// Nobody.
    Nobody,
    /// A worker blocks in the kernel, or is about to, or has just come back.
    Worker,
    /// The same, and a break was sent to call it out.
    Called,
}

impl Word {
    /// How many workers a word has room for.
    pub const MOST_WORKERS: u32 = 48;

    /// The word of a set of workers that are all busy.
    pub const BUSY: Word = Word(0);

    const SEARCHING: u64 = 1 << 48;
    const SEARCHING_MASK: u64 = 0x3f * Word::SEARCHING;
    const PARKED_MASK: u64 = Word::SEARCHING - 1;
    const POLLS: u64 = 1 << 54;
    const CALLED: u64 = 1 << 55;
    const SHUT_DOWN: u64 = 1 << 56;

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

    /// Whether this worker is parked.
    #[inline]
    #[must_use]
    pub const fn is_parked(self, worker: u32) -> bool {
        self.0 & bit(worker) != 0
    }

    /// How many workers are parked.
    #[inline]
    #[must_use]
    pub const fn parked(self) -> u32 {
        (self.0 & Word::PARKED_MASK).count_ones()
    }

    /// How many workers are searching.
    #[inline]
    #[must_use]
    pub const fn searching(self) -> u32 {
        ((self.0 & Word::SEARCHING_MASK) / Word::SEARCHING) as u32
    }

    /// Who polls.
    #[inline]
    #[must_use]
    pub const fn polling(self) -> Polling {
        match (self.0 & Word::POLLS != 0, self.0 & Word::CALLED != 0) {
            (false, false) => Polling::Nobody,
            (true, false) => Polling::Worker,
            (_, true) => Polling::Called,
        }
    }

    /// Whether nobody goes to sleep any more.
    #[inline]
    #[must_use]
    pub const fn is_shut_down(self) -> bool {
        self.0 & Word::SHUT_DOWN != 0
    }

    /// Whether the kernel goes unwatched although a worker could watch it, or a call has been
    /// forgotten: what none of the functions below leaves behind (NP-IDLE-5, NP-IDLE-6).
    #[inline]
    #[must_use]
    pub const fn is_broken(self) -> bool {
        let searching = self.searching() > 0;
        match self.polling() {
            Polling::Nobody => self.parked() > 0 && !searching,
            Polling::Worker => false,
            Polling::Called => !searching,
        }
    }

    const fn one_more_searches(self) -> Word {
        Word(self.0 + Word::SEARCHING)
    }

    const fn one_less_searches(self) -> Word {
        assert!(self.searching() > 0, "NP-IDLE-6 broken: a worker stopped searching that did not");
        Word(self.0 - Word::SEARCHING)
    }

    const fn with_polling(self, polling: Polling) -> Word {
        let others = self.0 & !(Word::POLLS | Word::CALLED);
        match polling {
            Polling::Nobody => Word(others),
            Polling::Worker => Word(others | Word::POLLS),
            Polling::Called => Word(others | Word::CALLED),
        }
    }

    /// The parked worker with the lowest number. Always the same few are called while there is little to
    /// do, so that the others sleep on and their caches stay cold for good reason.
    const fn next(self) -> Option<u32> {
        let parked = self.0 & Word::PARKED_MASK;
        if parked == 0 { None } else { Some(parked.trailing_zeros()) }
    }
}

const fn bit(worker: u32) -> u64 {
    assert!(worker < Word::MOST_WORKERS, "the idle word has room for 48 workers");
    1 << worker
}

impl core::fmt::Debug for Word {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} parked, {} searching", self.parked(), self.searching())?;
        f.write_str(match self.polling() {
            Polling::Nobody => ", nobody polls",
            Polling::Worker => ", one polls",
            Polling::Called => ", the one that polls is called",
        })?;
        f.write_str(if self.is_shut_down() { ", shut down" } else { "" })
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

/// Whom somebody has to wake, having written that he is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Nobody.
    Nobody,
    /// This worker, through its parker.
    Unpark(u32),
    /// The worker that polls, by a break.
    Break,
}

/// Work was made runnable, and published before.
///
/// Whoever searches will find it, or look once more after it has given up (NP-IDLE-1). A worker that
/// is parked is called rather than the one that polls: the kernel stays watched.
#[inline]
#[must_use]
pub const fn work(word: Word) -> Move<Call> {
    if word.searching() > 0 {
        return Move::Stay(Call::Nobody); // NP-IDLE-4
    }
    match (word.next(), word.polling()) {
        (Some(worker), _) => {
            let after = Word(word.0 & !bit(worker)).one_more_searches();
            Move::Set(after, Call::Unpark(worker))
        }
        (None, Polling::Worker) => {
            Move::Set(word.with_polling(Polling::Called).one_more_searches(), Call::Break)
        }
        (None, Polling::Nobody | Polling::Called) => Move::Stay(Call::Nobody),
    }
}

/// A busy worker of `workers` has run out of work. Whether it may search.
///
/// No more than half of those who are not asleep search at a time: the others go to sleep, having
/// looked once more as everybody does.
#[inline]
#[must_use]
pub const fn search(word: Word, workers: u32) -> Move<bool> {
    let asleep = word.parked() + if let Polling::Worker = word.polling() { 1 } else { 0 };
    if word.searching() > 0 && 2 * word.searching() >= workers - asleep {
        return Move::Stay(false);
    }
    Move::Set(word.one_more_searches(), true)
}

/// What a worker has to do that searches no more because it has found work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: others search on.
    OthersSearch,
    /// To look whether there is more work than it can do at once, after a fence, and to call somebody
    /// for it if there is ([`work`]).
    LookForMore,
    /// To wake this worker, which searches in its place: it is to look for more, and to poll.
    Wake(u32),
}

/// A worker that was searching has found work.
///
/// # Panics
///
/// When nobody searches.
#[inline]
#[must_use]
pub const fn found(word: Word) -> Move<Found> {
    let after = word.one_less_searches();
    if after.searching() > 0 {
        return Move::Set(after, Found::OthersSearch);
    }
    match (after.next(), after.polling()) {
        // NP-IDLE-5: nobody would watch the kernel.
        (Some(worker), Polling::Nobody) => {
            let after = Word(after.0 & !bit(worker)).one_more_searches();
            Move::Set(after, Found::Wake(worker))
        }
        _ => Move::Set(after, Found::LookForMore), // NP-IDLE-7
    }
}

/// Where a worker sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// In the kernel: it polls.
    Poll,
    /// On its parker.
    Park,
    /// Nowhere: the workers are shut down.
    ShutDown,
}

/// A worker goes to sleep; `searching`: it counts as such until now. It has to look for work once
/// more, after a fence, before it does sleep (NP-IDLE-1).
///
/// # Panics
///
/// When the worker is parked already, or `searching` and nobody searches.
#[inline]
#[must_use]
pub const fn rest(word: Word, worker: u32, searching: bool) -> Move<Rest> {
    assert!(!word.is_parked(worker), "NP-IDLE-6 broken: a worker that sleeps went to sleep");
    let awake = if searching { word.one_less_searches() } else { word };
    if word.is_shut_down() {
        return Move::Set(awake, Rest::ShutDown); // NP-IDLE-9
    }
    match awake.polling() {
        Polling::Nobody => Move::Set(awake.with_polling(Polling::Worker), Rest::Poll),
        // NP-IDLE-3
        Polling::Worker | Polling::Called => Move::Set(Word(awake.0 | bit(worker)), Rest::Park),
    }
}

/// The worker that polls has come back from the kernel, or did not go there because it found work. It
/// is searching from now on.
///
/// # Panics
///
/// When nobody polls.
#[inline]
#[must_use]
pub const fn back(word: Word) -> Word {
    match word.polling() {
        Polling::Worker => word.with_polling(Polling::Nobody).one_more_searches(),
        // Whoever called it has counted it (NP-IDLE-6).
        Polling::Called => word.with_polling(Polling::Nobody),
        Polling::Nobody => panic!("NP-IDLE-3 broken: a worker came back that had not polled"),
    }
}

/// A worker that is parked, as far as it knows, is awake: because it was called, because it has found
/// work, or for no reason. Whether it had been called. It is searching from now on.
#[inline]
#[must_use]
pub const fn unparked(word: Word, worker: u32) -> Move<bool> {
    if word.is_parked(worker) {
        Move::Set(Word(word.0 & !bit(worker)).one_more_searches(), false)
    } else {
        Move::Stay(true) // whoever called it has counted it (NP-IDLE-6)
    }
}

/// Whom somebody has to wake who has shut the workers down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Everybody {
    /// The workers that were parked, one bit each.
    pub parked: u64,
    /// Whether a worker polls, and is to be called out by a break.
    pub polls: bool,
}

/// The workers are shut down: all that sleep are called, and nobody goes to sleep any more.
#[inline]
#[must_use]
pub const fn shut_down(word: Word) -> Move<Everybody> {
    let everybody = Everybody {
        parked: word.0 & Word::PARKED_MASK,
        polls: matches!(word.polling(), Polling::Worker),
    };
    let mut after = Word(word.0 & !Word::PARKED_MASK | Word::SHUT_DOWN);
    after = Word(after.0 + Word::SEARCHING * everybody.parked.count_ones() as u64);
    if everybody.polls {
        after = after.with_polling(Polling::Called).one_more_searches();
    }
    Move::Set(after, everybody) // NP-IDLE-9
}
