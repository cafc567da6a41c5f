//! What a number of runs amount to, whether one machine made them or several.

use crate::one::{Failed, Report};
use netpoller_models::oracle;
use netpoller_models::suite::Kind;
use std::collections::BTreeMap;
use std::fmt;

/// A scenario and an engine.
pub(crate) type Run = (&'static str, &'static str);

/// Every run there is, in a fixed order: the same for everybody who has the same sources. By engine
/// first, so that each part of a whole gets some of the runs of each engine.
pub(crate) fn every_run(scenarios: &[&'static str], engines: &[Kind]) -> Vec<Run> {
    let of = |engine: Kind| scenarios.iter().map(move |scenario| (*scenario, engine.name()));
    engines.iter().copied().flat_map(of).collect()
}

/// What has to hold beside that no run failed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Demand {
    /// Quick runs have to be as pinned.
    pub(crate) pins: bool,
    /// Every transition of the spec has to be taken; a selection of scenarios need not take them all.
    pub(crate) transitions: bool,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, such as `park_close on explore`.
    pub(crate) place: String,
    /// `deadlock`, `panic`, `engine`, `died`, `hang`, `pin`, ...
    pub(crate) kind: String,
    pub(crate) cause: String,
    /// What happened, step by step; empty where nothing did.
    pub(crate) story: String,
    /// The command that shows it again, if one run does.
    pub(crate) again: String,
}

impl Fault {
    pub(crate) fn plain(place: &str, kind: &str, cause: String) -> Fault {
        let (place, kind) = (place.to_owned(), kind.to_owned());
        Fault { place, kind, cause, story: String::new(), again: String::new() }
    }

    /// What is wrong with one run by itself.
    pub(crate) fn of(report: &Report, demand: Demand) -> Option<Fault> {
        let place = format!("{} on {}", report.scenario, report.engine);
        let (kind, cause, story) = match &report.failure {
            Some(failure) => {
                let Failed { kind, headline, story, .. } = failure;
                let cause = headline.strip_prefix(&format!("{kind}: ")).unwrap_or(headline);
                (kind.clone(), cause, story.clone())
            }
            None if demand.pins && !matches!(&*report.verdict, "" | "as pinned") => {
                ("pin".to_owned(), &*report.verdict, String::new())
            }
            None => return None,
        };
        Some(Fault { place, kind, cause: cause.to_owned(), story, again: report.again.clone() })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { place, kind, cause, story, again } = self;
        write!(f, "{place}: {kind}: {cause}")?;
        if !story.is_empty() {
            write!(f, "\n{}", story.trim_end())?;
        }
        if !again.is_empty() {
            write!(f, "\n   again: {again}")?;
        }
        Ok(())
    }
}

/// The verdict on a number of runs.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    /// None: all is well.
    pub(crate) faults: Vec<Fault>,
    runs: usize,
    exhaustive: usize,
    failed: usize,
    taken: usize,
    transitions: usize,
    /// Transitions that were not taken and need not be: the name, and why.
    excused: Vec<(String, &'static str)>,
}

impl Verdict {
    pub(crate) fn on(reports: &[Report], demand: Demand) -> Verdict {
        let mut faults: Vec<_> = reports.iter().filter_map(|r| Fault::of(r, demand)).collect();
        if reports.is_empty() {
            faults.push(Fault::plain("the whole", "empty", "nothing was run".to_owned()));
        }
        faults.extend(disagreements(reports));
        let mut count: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, times) in reports.iter().flat_map(|report| &report.coverage) {
            *count.entry(name).or_default() += times;
        }
        let never: Vec<_> = count.iter().filter(|(_, count)| **count == 0).collect();
        let mut excused = Vec::new();
        for (name, _) in &never {
            match oracle::UNREACHABLE.iter().find(|(row, _)| row == *name) {
                Some((_, why)) => excused.push(((**name).to_owned(), *why)),
                None if demand.transitions => {
                    let cause = "no run takes it: a scenario is missing".to_owned();
                    faults.push(Fault::plain(&format!("transition {name}"), "coverage", cause));
                }
                None => {}
            }
        }
        let failed = reports.iter().filter(|report| report.failure.is_some()).count();
        let exhaustive = reports.iter().filter(|report| report.exhaustive).count();
        let (taken, transitions) = (count.len() - never.len(), count.len());
        Verdict { faults, runs: reports.len(), exhaustive, failed, taken, transitions, excused }
    }

    pub(crate) fn is_fine(&self) -> bool {
        self.faults.is_empty()
    }

    /// The figures, in a line.
    pub(crate) fn figures(&self) -> String {
        let Verdict { runs, exhaustive, failed, taken, transitions, .. } = self;
        format!(
            "{runs} runs: {exhaustive} exhaustive, {failed} failed; \
             {taken} of {transitions} transitions of the spec taken"
        )
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.faults {
            writeln!(f, "\n{fault}")?;
        }
        for (name, why) in &self.excused {
            writeln!(f, "never taken: {name}: {why}")?;
        }
        write!(f, "{}", self.figures())
    }
}

/// Engines that went through everything have to have seen the same behaviours.
pub(crate) fn disagreements(reports: &[Report]) -> Vec<Fault> {
    let mut settled: BTreeMap<&str, &Report> = BTreeMap::new();
    let mut faults = Vec::new();
    for report in reports.iter().filter(|report| report.exhaustive) {
        if !Kind::find(&report.engine).is_some_and(Kind::settles_behaviours) {
            continue;
        }
        let first = settled.entry(&report.scenario).or_insert(report);
        if first.digest != report.digest {
            let cause = format!(
                "{} and {} both went through everything, and saw {} and {} behaviours",
                first.engine, report.engine, first.behaviours, report.behaviours
            );
            faults.push(Fault::plain(&report.scenario, "disagreement", cause));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that is all right.
    fn run(scenario: &str, engine: &str) -> Report {
        let mut report = Report::died(scenario, engine, "died", String::new(), String::new());
        report.failure = None;
        report.exhaustive = true;
        report.coverage = vec![("edge".to_owned(), 3), ("stale-free-nil".to_owned(), 0)];
        report
    }

    const ALL: Demand = Demand { pins: true, transitions: true };

    fn kinds(reports: &[Report]) -> Vec<String> {
        Verdict::on(reports, ALL).faults.into_iter().map(|fault| fault.kind).collect()
    }

    #[test]
    fn runs_that_are_all_right_have_no_faults_and_no_runs_have_one() {
        let fine = Verdict::on(&[run("a", "explore"), run("a", "loom-sc")], ALL);
        assert!(fine.is_fine(), "{fine}");
        assert_eq!(
            fine.figures(),
            "2 runs: 2 exhaustive, 0 failed; 1 of 2 transitions of the spec taken"
        );
        assert!(fine.to_string().contains("never taken: stale-free-nil"), "{fine}");
        assert_eq!(kinds(&[]), ["empty"]);
    }

    #[test]
    fn each_thing_that_can_be_wrong_is_a_fault() {
        let died = Report::died("a", "explore", "hang", "killed".to_owned(), String::new());
        assert_eq!(kinds(&[run("b", "explore"), died]), ["hang"]);

        let mut fewer = run("a", "explore");
        fewer.verdict = "9 executions are pinned, there were 8".to_owned();
        assert_eq!(kinds(std::slice::from_ref(&fewer)), ["pin"]);
        let demand = Demand { pins: false, ..ALL };
        assert!(Verdict::on(&[fewer], demand).is_fine(), "numbers that are about to be pinned");

        let mut other = run("a", "loom-sc");
        other.digest = "0".to_owned();
        assert_eq!(kinds(&[run("a", "explore"), other.clone()]), ["disagreement"]);
        other.exhaustive = false;
        assert!(kinds(&[run("a", "explore"), other]).is_empty(), "a cut run need not agree");
    }

    #[test]
    fn a_transition_that_one_part_takes_is_taken_and_one_that_none_takes_is_a_fault() {
        let (mut one, mut two) = (run("a", "explore"), run("b", "explore"));
        one.coverage = vec![("edge".to_owned(), 1), ("close".to_owned(), 0)];
        two.coverage = vec![("edge".to_owned(), 0), ("close".to_owned(), 1)];
        assert!(kinds(&[one.clone(), two]).is_empty(), "between them they take both");
        let verdict = Verdict::on(std::slice::from_ref(&one), ALL);
        assert!(verdict.to_string().contains("transition close: coverage"), "{verdict}");
        assert!(Verdict::on(&[one], Demand::default()).is_fine(), "a selection need not");
    }

    #[test]
    fn a_fault_says_where_why_what_happened_and_how_to_see_it_again() {
        let mut report = Report::died("a", "explore", "deadlock", "1 waits".into(), "row\n".into());
        report.again = "cargo verify run a".to_owned();
        let fault = Fault::of(&report, ALL).expect("it failed");
        assert_eq!(
            fault.to_string(),
            "a on explore: deadlock: 1 waits\nrow\n   again: cargo verify run a"
        );
    }
}
