//! The oracles: what must hold in every execution, judged step by step and at its end.
//!
//! * **Refinement**, at every step ([`Oracle::judge`]): the step is a row of the table of
//!   `netpoller_spec::machine`, and it starts from the word that the step before it left. The
//!   table is written out by hand, independently of the functions that the poller calls.
//! * **History**, whenever a call returns ([`history`]): there is an order of what the calls did, in
//!   keeping with which of them returned before which began, that explains what they returned. On
//!   engines whose memory is sequentially consistent.
//! * **Quiescence**, when all threads have ended ([`quiescent`]): nobody is parked, no waker is
//!   held, every live deadline is covered by an entry in the queue of timers, the flag of the break
//!   is set only over a token.
//! * **Leak**, when the last closure of the plan has been dropped (`engine::leaks`): every waker of
//!   a parker and of a [`Tally`](crate::scenario::bench::Tally), with all its clones, is gone; so are
//!   all open file descriptions of a simulated kernel, event queues included, and the systems of all
//!   pollers. On explore and shuttle.
//! * **Numbers**, at every call of a simulated kernel, whichever oracle judges: closing a number
//!   twice, and using one after it was closed, is a panic that says so.
//! * **No deadlock**: the engine's. A lost wakeup is a deadlock.
//! * **Coverage** ([`coverage`], [`missing`]): which rows were taken, summed over a process. A suite
//!   that never takes a row does not check it, and fails.
//!
//! Each oracle can judge alone ([`only`]) or be left out ([`except`]), to learn which mutant only it
//! catches.

pub mod history;

use history::History;
use netpoller::desc::Peek;
use netpoller::observe::Step;
use netpoller::poller::Poller;
use netpoller::seam::System;
use netpoller_spec::machine::{self, INFO_TABLE, TABLE};
use netpoller_spec::slot::State;
use netpoller_spec::wake::Flag;
use netpoller_spec::{Mode, info, slot, time};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The oracles that can be asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every step is a row of the table, and follows the step before it.
    Refinement,
    /// Nothing is left over at the end.
    Quiescence,
    /// Some order of the calls explains what they returned.
    History,
    /// Nothing outlives the execution.
    Leak,
    /// What the scenario itself asserts.
    Assertion,
    /// Nobody sleeps for ever.
    Deadlock,
}

impl Which {
    /// All of them.
    pub const ALL: [Which; 6] = [
        Which::Refinement,
        Which::Quiescence,
        Which::History,
        Which::Leak,
        Which::Assertion,
        Which::Deadlock,
    ];

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Which::Refinement => "refinement",
            Which::Quiescence => "quiescence",
            Which::History => "history",
            Which::Leak => "leak",
            Which::Assertion => "assertion",
            Which::Deadlock => "deadlock",
        }
    }

    /// What every failure that this oracle found starts with.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match self {
            Which::Refinement => "refinement: ",
            Which::Quiescence => "quiescence: ",
            Which::History => "history: ",
            Which::Leak => "leak: ",
            Which::Assertion | Which::Deadlock => "",
        }
    }
}

/// The oracles that do not judge in this process: one bit for each, at its place in [`Which::ALL`].
static SILENT: AtomicUsize = AtomicUsize::new(0);

fn bit(which: Which) -> usize {
    1 << Which::ALL.iter().position(|other| *other == which).unwrap_or(Which::ALL.len())
}

/// From now on, in this process, only this oracle judges (`None`: all of them).
///
/// What the poller itself finds broken always counts. Deadlocks are the engine's: explore goes on
/// after one if nobody asks for it, the other engines end there.
pub fn only(which: Option<Which>) {
    let all = (1 << Which::ALL.len()) - 1;
    SILENT.store(which.map_or(0, |which| all & !bit(which)), Ordering::SeqCst);
}

/// From now on, in this process, all oracles judge but this one: what would still be noticed if it
/// did not exist.
pub fn except(which: Which) {
    SILENT.store(bit(which), Ordering::SeqCst);
}

/// Whether this oracle judges in this process.
#[must_use]
pub fn judges(which: Which) -> bool {
    SILENT.load(Ordering::SeqCst) & bit(which) == 0
}

/// Panics with `message` unless `holds`, if assertions of scenarios judge in this process.
///
/// # Panics
///
/// That is what it is for.
#[track_caller]
pub fn assert_that(holds: bool, message: impl FnOnce() -> String) {
    if !holds && judges(Which::Assertion) {
        panic!("{}", message());
    }
}

/// What the oracle remembers of one execution.
#[derive(Debug)]
pub struct Oracle {
    /// Whether steps are told in the order in which they were taken. Not so with real threads:
    /// two of them may overtake each other between a step and its telling.
    serial: bool,
    words: Mutex<Words>,
    /// The calls.
    pub(crate) history: History,
}

#[derive(Debug, Default)]
struct Words {
    slots: BTreeMap<(u32, Mode), slot::Word>,
    info: BTreeMap<u32, info::Word>,
    flag: Option<bool>,
}

impl Oracle {
    /// An oracle at the start of an execution.
    #[must_use]
    pub fn new(serial: bool) -> Oracle {
        Oracle { serial, words: Mutex::default(), history: History::default() }
    }

    /// Judges one step.
    ///
    /// # Panics
    ///
    /// When the step is not allowed: the message names the rule.
    pub fn judge(&self, step: &Step) {
        // What a destructor does while its thread unwinds would abort the process, and the first
        // failure is the one to hear of.
        if !judges(Which::Refinement) || std::thread::panicking() {
            return;
        }
        let mut words = self.words.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let verdict = match *step {
            Step::Slot { place, mode, cause, before, after } => {
                let last = words.slots.entry((place.index, mode)).or_insert(before);
                let row = machine::allows(cause, place.generation, before, after);
                continued(self.serial, last, before, after)
                    .and(row.map(cover).map_err(|violation| violation.to_string()))
            }
            Step::Info { place, before, after } => {
                let last = words.info.entry(place.index).or_insert(before);
                let row = machine::allows_info(place.generation, before, after);
                continued(self.serial, last, before, after).and(
                    row.map(|row| cover(TABLE.len() + row))
                        .map_err(|violation| violation.to_string()),
                )
            }
            Step::Expires { deadline, now, .. } if deadline > now => {
                Err(format!("NP-TIME-5 broken: {deadline} ns expires at {now} ns"))
            }
            Step::Expires { .. } => Ok(()),
            Step::Break { before, after } => {
                let last = words.flag.get_or_insert(before);
                continued(self.serial, last, before, after)
            }
        };
        drop(words);
        if let Err(why) = verdict {
            panic!("{}{why}; the step: {step:?}", Which::Refinement.mark());
        }
    }
}

/// A step that writes starts from what the last one left. (One that only looks may, under a weak
/// memory model, have seen an older word.)
fn continued<W: PartialEq + Copy + core::fmt::Debug>(
    serial: bool,
    last: &mut W,
    before: W,
    after: W,
) -> Result<(), String> {
    if before == after {
        return Ok(());
    }
    let left = core::mem::replace(last, after);
    if serial && left != before {
        return Err(format!("NP-GEN-2 broken: the word was {left:?}, the step saw {before:?}"));
    }
    Ok(())
}

const ROWS: usize = TABLE.len() + INFO_TABLE.len();
static TAKEN: [AtomicU64; ROWS] = [const { AtomicU64::new(0) }; ROWS];

fn cover(row: usize) {
    TAKEN[row].fetch_add(1, Ordering::Relaxed);
}

/// How often each row of the tables was taken in this process: name and count. Rows that cannot
/// be told from another one by the words alone are left out.
#[must_use]
pub fn coverage() -> Vec<(&'static str, u64)> {
    let names = TABLE.iter().map(|row| row.name).chain(INFO_TABLE.iter().map(|row| row.name));
    let known = |place: usize| place >= TABLE.len() || machine::told_apart(place);
    let counted = names.zip(&TAKEN).enumerate().filter(|(place, _)| known(*place));
    counted.map(|(_, (name, taken))| (name, taken.load(Ordering::Relaxed))).collect()
}

/// Rows of the tables that no correct program takes, and why.
///
/// `oracle::tests` checks the reasons.
pub const UNREACHABLE: &[(&str, &str)] = &[
    ("stale-free-nil", "freeing twice panics (NP-GEN-5)"),
    ("stale-free-ready", "freeing twice panics (NP-GEN-5)"),
    ("stale-free-parked", "freeing twice panics (NP-GEN-5)"),
];

/// The rows that were not taken and could have been: for each of them a scenario is missing. `taken`:
/// what [`coverage`] says, summed over a suite.
pub fn missing<'a>(taken: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<&'a str> {
    let reachable = |name: &str| UNREACHABLE.iter().all(|(row, _)| *row != name);
    let never = taken.into_iter().filter(|(_, count)| *count == 0).map(|(name, _)| name);
    never.filter(|name| reachable(name)).collect()
}

/// Judges what is left when all threads of a scenario have ended. `token`: whether a break token
/// lies in the kernel.
///
/// # Panics
///
/// When something is left over: the message says what.
pub fn quiescent<S: System>(poller: &Poller<S>, token: bool) {
    let (entries, flag) = poller.peek();
    if judges(Which::Quiescence) {
        nothing_is_left(poller, &entries, flag, token);
    }
    for (index, found) in &entries {
        poller.system().at_rest(*index, found);
    }
}

fn nothing_is_left<S: System>(
    poller: &Poller<S>,
    entries: &[(u32, Peek)],
    flag: Flag,
    token: bool,
) {
    let timers = poller.peek_timers();
    let mark = Which::Quiescence.mark();
    let idle = poller.peek_turns_are_idle();
    assert!(idle, "{mark}NP-TURN-1: somebody sits on the bench, has the turn or drives");
    for (index, Peek { info, slots, wakers, ledger }) in entries {
        let index = *index;
        let expired = Mode::BOTH.map(|mode| info.expired(mode));
        let armed = ledger.armed == time::NONE || timers.contains(&(index, ledger.armed));
        assert!(
            armed && ledger.covered(expired),
            "{mark}NP-TIME-7: entry {index}: {ledger:?} is not covered by {timers:?}"
        );
        let superseded = timers.iter().filter(|(place, _)| *place == index).count();
        let most = timers.len().div_ceil(2).max(2);
        assert!(superseded <= most, "{mark}NP-TIME-11: entry {index}: {timers:?}");
        for mode in Mode::BOTH {
            let (word, waker) = (slots[mode as usize], wakers[mode as usize]);
            assert!(word.state() != State::Parked, "{mark}entry {index} {mode:?}: still {word:?}");
            assert!(!waker, "{mark}NP-SLOT-2: entry {index} {mode:?}: a waker is held");
            let ahead = word.generation() == info.generation();
            assert!(ahead, "{mark}NP-GEN-5: entry {index}: {word:?} against info {info:?}");
        }
    }
    let stuck = flag == Flag::Set && !token;
    assert!(!stuck, "{mark}NP-BREAK-2: the flag is set and there is no token: breaks are lost");
}

#[cfg(test)]
mod tests;
