//! What may have happened so far: the configurations that explain a history.
//!
//! A [`Configuration`] is a state of the entry, and of each call that has not returned, how far it
//! has come. The history so far is explained by every configuration of a [`Set`], and by all that
//! can be reached from one of them by taking further parts of pending calls. So the set keeps only
//! those that are not reached from another one: nothing is taken before it has to be.
//!
//! - A call *begins*: it is pending in every configuration.
//! - A call *returns*: the set is what can be reached in which the call may return just that, without
//!   the call. Nothing left: no order of the parts explains the history.
//!
//! The set is a function of the history, and two histories with the same set can go on in the same
//! ways: it is all that a search which recognises states has to know of the past. This is the
//! algorithm of Wing and Gong in the form of Lowe, "Testing for linearizability" (2017), done while
//! the history grows; what came of a set and an event is remembered.

use super::parts::{Entry, Id, Pending};
use crate::engine::{Digest, Words, mix};
use netpoller::observe::{Call, Returned};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::sync::Arc;

/// A state of the entry, and how far the pending calls have come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Configuration {
    pub(super) entry: Entry,
    /// Who holds the control lock.
    control: Option<Id>,
    calls: BTreeMap<Id, Pending>,
}

impl Configuration {
    /// Those that one more part leads to.
    fn successors(&self) -> impl Iterator<Item = Configuration> {
        self.calls.iter().filter_map(|(id, pending)| {
            let mut after = self.clone();
            let advanced = pending.advance(*id, &mut after.entry, &mut after.control)?;
            after.calls.insert(*id, advanced);
            Some(after)
        })
    }

    fn digest(&self) -> u128 {
        let mut hasher = Words::default();
        self.hash(&mut hasher);
        hasher.digest().bits()
    }
}

/// What can be reached from these, themselves included; not beyond those at which `stop`.
fn reach<'a>(
    from: impl IntoIterator<Item = &'a Configuration>,
    stop: impl Fn(&Configuration) -> bool,
) -> HashSet<Configuration> {
    let mut reached: HashSet<_> = from.into_iter().cloned().collect();
    let mut left: Vec<_> = reached.iter().cloned().collect();
    while let Some(configuration) = left.pop() {
        if stop(&configuration) {
            continue;
        }
        for next in configuration.successors() {
            if reached.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    reached
}

/// The configurations that explain a history.
#[derive(Debug)]
pub(super) struct Set {
    configurations: Vec<Configuration>,
    digest: u128,
}

/// What happens to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Happened {
    Begins(Id, Call),
    Returns(Id, Returned),
}

type Known = mix::Map<(u128, Happened), Arc<Set>>;

thread_local! {
    /// What came of a set, known by its digest, and an event. Only ever saves work.
    static KNOWN: RefCell<Known> =
        RefCell::default();
}

/// How much is remembered before it is forgotten again.
const MOST_KNOWN: usize = 1 << 18;

impl Set {
    /// The history has not begun.
    pub(super) fn start(entry: Entry) -> Arc<Set> {
        let calls = BTreeMap::new();
        Set::of(vec![Configuration { entry, control: None, calls }])
    }

    fn of(mut configurations: Vec<Configuration>) -> Arc<Set> {
        configurations.sort_by_cached_key(Configuration::digest);
        let start = Digest::new(0x5e7).with(configurations.len() as u64);
        let digest = configurations
            .iter()
            .map(Configuration::digest)
            .fold(start, |all, one| all.with(one as u64).with((one >> 64) as u64));
        Arc::new(Set { configurations, digest: digest.bits() })
    }

    /// Equal for equal sets.
    pub(super) fn digest(&self) -> u128 {
        self.digest
    }

    /// A call begins.
    pub(super) fn begins(&self, id: Id, call: Call) -> Arc<Set> {
        self.after(Happened::Begins(id, call), || {
            let begun = self.configurations.iter().map(|configuration| {
                let mut begun = configuration.clone();
                begun.calls.insert(id, Pending::new(call));
                begun
            });
            Set::of(begun.collect())
        })
    }

    /// A call returns. An empty set: it cannot.
    pub(super) fn returns(&self, id: Id, returned: Returned) -> Arc<Set> {
        self.after(Happened::Returns(id, returned), || {
            let may = |configuration: &Configuration| {
                configuration.calls.get(&id).is_some_and(|pending| pending.may_return(returned))
            };
            let mut done: HashSet<Configuration> =
                reach(&self.configurations, may).into_iter().filter(may).collect();
            done = done
                .into_iter()
                .map(|mut configuration| {
                    configuration.calls.remove(&id);
                    configuration
                })
                .collect();
            Set::of(earliest(done))
        })
    }

    /// Whether nothing explains the history.
    pub(super) fn is_empty(&self) -> bool {
        self.configurations.is_empty()
    }

    /// Whether the entry can be as `fits` says now.
    pub(super) fn may_be(&self, fits: impl Fn(&Entry) -> bool) -> bool {
        self.configurations.iter().any(|one| fits(&one.entry)) // nobody is in a call, as a rule
            || reach(&self.configurations, |_| false).iter().any(|reached| fits(&reached.entry))
    }

    /// The states of the entry that there may be now, in words, in a fixed order.
    pub(super) fn states(&self) -> Vec<String> {
        let reached = reach(&self.configurations, |_| false);
        let mut states: Vec<_> = reached.iter().map(|one| format!("{:?}", one.entry)).collect();
        states.sort();
        states.dedup();
        states
    }

    /// What a pending call could return, in words, in a fixed order.
    pub(super) fn possible(&self, id: Id) -> Vec<String> {
        let reached = reach(&self.configurations, |_| false);
        let over = |one: &Configuration| one.calls.get(&id).and_then(Pending::over);
        let mut possible: Vec<_> =
            reached.iter().filter_map(over).map(|returned| format!("{returned:?}")).collect();
        possible.sort();
        possible.dedup();
        possible
    }

    fn after(&self, happened: Happened, find: impl FnOnce() -> Arc<Set>) -> Arc<Set> {
        let key = (self.digest, happened);
        if let Some(known) = KNOWN.with_borrow(|known| known.get(&key).cloned()) {
            return known;
        }
        let found = find();
        KNOWN.with_borrow_mut(|known| {
            if known.len() >= MOST_KNOWN {
                known.clear();
            }
            known.insert(key, Arc::clone(&found));
        });
        found
    }
}

/// Those that are not reached from another one.
fn earliest(configurations: HashSet<Configuration>) -> Vec<Configuration> {
    let later: HashSet<Configuration> = configurations
        .iter()
        .flat_map(|one| reach(one.successors().collect::<Vec<_>>().iter(), |_| false))
        .collect();
    configurations.into_iter().filter(|one| !later.contains(one)).collect()
}
