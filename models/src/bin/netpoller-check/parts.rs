//! One exploration in parts: what a part leaves, and how parts are put together.
//!
//! A part is known by the prefixes below which it went through everything, out of how many of which frontier
//! (`explore`'s README says what these are). It carries its behaviours, for those of the whole are their union.
//! Only when no prefix is missing are the parts exhaustive; until then a report of them says `part`.
//!
//! Parts come from three sides: `run --part 2/4` on several machines ([`joined`]), the prefixes that an
//! interrupted run has left in a journal ([`Explored`], [`taken_in`]), and the threads of one run, which the
//! engine puts together itself.

use crate::one::Report;
use crate::verdict::Fault;
use netpoller_models::engine::{self, Completeness, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a part has gone through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    /// The name of the frontier.
    pub(crate) frontier: String,
    /// How many prefixes that has.
    pub(crate) prefixes: usize,
    pub(crate) done: BTreeSet<usize>,
    pub(crate) behaviours: BTreeSet<String>,
}

/// A prefix that is done, as it lies in a journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Explored {
    pub(crate) scenario: String,
    pub(crate) asked: String,
    pub(crate) executions: u64,
    pub(crate) states: usize,
    /// How often each row of the transition tables was taken, since the prefix before.
    pub(crate) coverage: Vec<(String, u64)>,
    pub(crate) share: Share,
}

/// A number of 128 bits as it is written.
fn text(number: u128) -> String {
    format!("{number:032x}")
}

/// The number that was written; one that nobody writes stands for none.
fn number(text: &str) -> u128 {
    u128::from_str_radix(text, 16).unwrap_or(0)
}

impl Share {
    fn new(share: &engine::Share, behaviours: &BTreeSet<u128>) -> Share {
        Share {
            frontier: text(share.frontier()),
            prefixes: share.prefixes(),
            done: share.done().clone(),
            behaviours: behaviours.iter().copied().map(text).collect(),
        }
    }

    /// That of an outcome, if it is of a part.
    pub(crate) fn of(outcome: &Outcome) -> Option<Share> {
        match &outcome.completeness {
            Completeness::Part(share) => Some(Share::new(share, &outcome.behaviours)),
            _ => None,
        }
    }

    /// Adds what another part has seen; whether they are parts of the same exploration.
    fn add(&mut self, other: &Share) -> bool {
        let same = (&self.frontier, self.prefixes) == (&other.frontier, other.prefixes);
        if same {
            self.done.extend(&other.done);
            self.behaviours.extend(other.behaviours.iter().cloned());
        }
        same
    }

    fn missing(&self) -> Vec<usize> {
        (0..self.prefixes).filter(|prefix| !self.done.contains(prefix)).collect()
    }
}

impl Explored {
    pub(crate) fn new(
        scenario: &str,
        asked: &str,
        explored: &engine::Explored,
        coverage: Vec<(String, u64)>,
    ) -> Explored {
        Explored {
            scenario: scenario.to_owned(),
            asked: asked.to_owned(),
            executions: explored.executions,
            states: explored.states,
            coverage,
            share: Share::new(&explored.share, &explored.behaviours),
        }
    }

    /// The name of the frontier, and the prefixes.
    pub(crate) fn done(&self) -> impl Iterator<Item = (u128, usize)> {
        let frontier = number(&self.share.frontier);
        self.share.done.iter().map(move |prefix| (frontier, *prefix))
    }
}

/// A report, and what an interrupted run has left of the same exploration.
pub(crate) fn taken_in(mut report: Report, before: &[Explored]) -> Report {
    let Some(mut share) = report.share.take() else { return report };
    for explored in before.iter().filter(|explored| share.add(&explored.share)) {
        report.executions += explored.executions;
        report.states += explored.states;
        add_coverage(&mut report.coverage, &explored.coverage);
    }
    concluded(report, share)
}

/// Says of a report how far it reaches with this share.
fn concluded(mut report: Report, share: Share) -> Report {
    let behaviours: BTreeSet<_> = share.behaviours.iter().map(|text| number(text)).collect();
    report.behaviours = behaviours.len();
    report.digest = text(Outcome::digest_of(&behaviours));
    report.exhaustive = share.missing().is_empty();
    if report.exhaustive {
        report.reach = "all".to_owned();
        report.share = None;
    } else {
        report.reach = format!("part ({} of {} prefixes)", share.done.len(), share.prefixes);
        report.share = Some(share);
    }
    report
}

/// Adds what was taken to what was taken.
fn add_coverage(all: &mut Vec<(String, u64)>, more: &[(String, u64)]) {
    for (name, times) in more {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known += times,
            None => all.push((name.clone(), *times)),
        }
    }
}

/// The reports, with those that are of parts of one exploration put together, and what is wrong with those.
pub(crate) fn joined(reports: Vec<Report>) -> (Vec<Report>, Vec<Fault>) {
    let (mut whole, mut faults) = (Vec::new(), Vec::new());
    let mut parts: BTreeMap<(String, String), Vec<Report>> = BTreeMap::new();
    for report in reports {
        if report.part.is_empty() {
            whole.push(report);
        } else {
            let run = (report.scenario.clone(), report.engine.clone());
            parts.entry(run).or_default().push(report);
        }
    }
    for ((scenario, engine), parts) in parts {
        let place = format!("{scenario} on {engine}");
        let (report, wrong) = together(parts);
        whole.extend(report);
        faults.extend(wrong.map(|(kind, cause)| Fault::plain(&place, kind, cause)));
    }
    (whole, faults)
}

/// The parts of one exploration as one report, and what keeps it from being the whole.
fn together(parts: Vec<Report>) -> (Option<Report>, Option<(&'static str, String)>) {
    let mut wrong = None;
    let names: BTreeSet<_> = parts.iter().map(|part| part.part.clone()).collect();
    if names.len() < parts.len() {
        wrong = Some(("twice", "one of its parts was handed in more than once".to_owned()));
    }
    let failed = parts.iter().position(|part| part.failure.is_some());
    let mut parts = parts.into_iter();
    let Some(mut whole) = parts.next() else { return (None, wrong) };
    let mut share = whole.share.take();
    for part in parts {
        whole.executions += part.executions;
        whole.states += part.states;
        whole.cut += part.cut;
        whole.depth = whole.depth.max(part.depth);
        whole.seconds += part.seconds;
        whole.peak = whole.peak.max(part.peak);
        add_coverage(&mut whole.coverage, &part.coverage);
        // A part that is exhaustive by itself had nothing to divide, and so had the others.
        whole.exhaustive &= part.exhaustive;
        if let (Some(mine), Some(other)) = (&mut share, &part.share)
            && !mine.add(other)
        {
            let cause = "its parts are not of one frontier: the space was divided otherwise";
            wrong = Some(("apart", cause.to_owned()));
        }
        // Cut by a limit, or failed.
        if part.share.is_none() && !part.exhaustive && share.is_some() {
            (share, whole.reach) = (None, part.reach);
        }
        whole.failure = whole.failure.or(part.failure);
    }
    whole.part = String::new();
    whole.pin = String::new();
    if failed.is_some() {
        whole.exhaustive = false;
        return (Some(whole), wrong);
    }
    if let Some(share) = share {
        let missing = share.missing();
        if !missing.is_empty() {
            let cause = format!("prefixes that are in none of its parts: {missing:?}");
            wrong = wrong.or(Some(("missing", cause)));
        }
        whole = concluded(whole, share);
        whole.exhaustive &= wrong.is_none();
    }
    (Some(whole), wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(done: &[usize]) -> Share {
        Share {
            frontier: text(7),
            prefixes: 5,
            done: done.iter().copied().collect(),
            behaviours: done.iter().map(|prefix| text(*prefix as u128 / 2)).collect(),
        }
    }

    fn part(name: &str, done: &[usize]) -> Report {
        let mut report = Report::died("a", "explore", "died", String::new(), String::new());
        (report.failure, report.part) = (None, name.to_owned());
        (report.executions, report.share) = (10, Some(share(done)));
        report
    }

    fn kinds(faults: &[Fault]) -> Vec<&str> {
        faults.iter().map(|fault| &*fault.kind).collect()
    }

    #[test]
    fn all_parts_are_the_whole() {
        let (whole, faults) = joined(vec![part("2/2", &[3, 4]), part("1/2", &[0, 1, 2])]);
        assert!(faults.is_empty(), "{faults:?}");
        let [whole] = &whole[..] else { panic!("one run: {whole:?}") };
        assert!(whole.exhaustive && whole.reach == "all", "{whole:?}");
        assert_eq!((whole.executions, whole.behaviours), (20, 3), "{whole:?}");
        let behaviours = BTreeSet::from([0, 1, 2]);
        assert_eq!(whole.digest, text(Outcome::digest_of(&behaviours)));
    }

    #[test]
    fn what_is_missing_twice_or_of_another_frontier_is_noticed_and_is_never_exhaustive() {
        let first = || part("1/2", &[0, 1, 2]);
        let mut other = part("2/2", &[3, 4]);
        other.share.as_mut().expect("a part").frontier = text(8);
        let mut cut = part("2/2", &[]);
        (cut.share, cut.reach) = (None, "cut by time".to_owned());
        let mut failed = part("2/2", &[]);
        failed.failure = Report::died("", "", "hang", String::new(), String::new()).failure;
        let cases: [(Vec<Report>, &[&str]); 5] = [
            (vec![first()], &["missing"]),
            (vec![first(), first(), part("2/2", &[3, 4])], &["twice"]),
            (vec![first(), other], &["apart"]),
            (vec![first(), cut], &[]),
            (vec![first(), failed], &[]),
        ];
        for (parts, expected) in cases {
            let (whole, faults) = joined(parts);
            assert_eq!(kinds(&faults), expected, "{whole:?}");
            assert!(whole.iter().all(|report| !report.exhaustive), "{whole:?}");
        }
    }

    #[test]
    fn what_was_done_before_an_interruption_counts_if_it_is_of_the_same_frontier() {
        let explored = |prefix, frontier| Explored {
            scenario: "a".to_owned(),
            asked: String::new(),
            executions: 3,
            states: 1,
            coverage: vec![("edge".to_owned(), 2)],
            share: Share { frontier: text(frontier), ..share(&[prefix]) },
        };
        let resumed = || part("", &[0, 1, 2]);
        let whole = taken_in(resumed(), &[explored(3, 7), explored(4, 7)]);
        assert!(whole.exhaustive && whole.share.is_none(), "{whole:?}");
        assert_eq!((whole.executions, whole.behaviours), (16, 3));
        assert_eq!(whole.coverage, [("edge".to_owned(), 4)]);
        let part = taken_in(resumed(), &[explored(3, 7), explored(4, 8)]);
        assert!(!part.exhaustive && part.share.is_some(), "{part:?}");
    }
}
