//! `cargo verify merge`: the parts of a run that several machines made (`run --shard`), put
//! together, and the verdict that none of them could give: is everything there, does every engine
//! agree, is every transition of the spec taken. The parts of one exploration (`run --part`) are put together
//! first.

use crate::one::Report;
use crate::parts;
use crate::table::Table;
use crate::verdict::{Demand, Fault, Run, Verdict, every_run};
use crate::{Error, junit};
use netpoller_models::suite::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What `run --json` wrote, part by part.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only this scenario was run; may be given more than once.
    #[arg(long, value_name = "NAME")]
    scenario: Vec<String>,
    /// Only this engine was; may be given more than once.
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// Write a page in Markdown, such as `$GITHUB_STEP_SUMMARY` takes.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Write JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut reports = Vec::new();
    for file in &arguments.files {
        reports.extend(read(file)?);
    }
    let (reports, apart) = parts::joined(reports);
    let wanted =
        |wanted: &[String], name: &str| wanted.is_empty() || wanted.iter().any(|n| n == name);
    let scenarios = netpoller_models::scenario::all().map(|s| s.name);
    let scenarios: Vec<_> = scenarios.filter(|name| wanted(&arguments.scenario, name)).collect();
    let engines = Kind::ALL.iter().copied().filter(|kind| wanted(&arguments.engine, kind.name()));
    let engines: Vec<_> = engines.collect();
    // A selection of scenarios need not take all transitions.
    let whole = arguments.scenario.is_empty() && arguments.engine.is_empty();
    let demand = Demand { pins: true, transitions: whole };
    let mut verdict = Verdict::on(&reports, demand);
    verdict.faults.extend(apart);
    verdict.faults.extend(incomplete(&reports, &every_run(&scenarios, &engines)));
    let table = Table::of(&scenarios, &engines, &reports);
    println!("{}\n{verdict}", table.drawn());
    if let Some(file) = &arguments.summary {
        std::fs::write(file, table.page("Race verification", &verdict))?;
    }
    if let Some(file) = &arguments.junit {
        junit::write(file, &reports, demand, &verdict.faults)?;
    }
    Ok(if verdict.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(file: &Path) -> Result<Vec<Report>, Error> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    let report = |(number, line)| {
        serde_json::from_str(line)
            .map_err(|error| format!("{name}: line {}: {error}", number + 1).into())
    };
    text.lines().enumerate().map(report).collect()
}

/// What keeps the parts from being the whole.
fn incomplete(reports: &[Report], whole: &[Run]) -> Vec<Fault> {
    let mut times: BTreeMap<(&str, &str), usize> = whole.iter().map(|run| (*run, 0)).collect();
    let mut faults = Vec::new();
    for report in reports {
        let run = (report.scenario.as_str(), report.engine.as_str());
        match times.get_mut(&run) {
            Some(times) => *times += 1,
            None => faults.push(fault(run, "unknown", "no such run is in the catalogue")),
        }
    }
    for (run, times) in times {
        match times {
            0 => faults.push(fault(run, "missing", "it is in none of the parts")),
            1 => {}
            _ => faults.push(fault(run, "twice", "it is in more than one of the parts")),
        }
    }
    let asked: BTreeSet<_> = reports.iter().map(|report| report.asked.as_str()).collect();
    if asked.len() > 1 {
        let asked: Vec<_> = asked.into_iter().collect();
        let cause = format!("the parts are not of one kind: {}", asked.join("; "));
        faults.push(Fault::plain("the whole", "mixed", cause));
    }
    faults
}

fn fault((scenario, engine): (&str, &str), kind: &str, cause: &str) -> Fault {
    Fault::plain(&format!("{scenario} on {engine}"), kind, cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::Shard;

    const WHOLE: [Run; 4] =
        [("a", "explore"), ("b", "explore"), ("a", "loom-sc"), ("b", "loom-sc")];

    /// The reports of one part, as they lie in its file.
    fn part(shard: &str) -> Vec<Report> {
        let shard: Shard = shard.parse().expect("a part");
        let mine = WHOLE.iter().enumerate().filter(|(position, _)| shard.takes(*position));
        let report = |(_, (scenario, engine)): (usize, &Run)| {
            Report::died(scenario, engine, "died", String::new(), String::new())
        };
        mine.map(report).collect()
    }

    fn faults(parts: &[&str]) -> Vec<String> {
        let reports: Vec<_> = parts.iter().flat_map(|shard| part(shard)).collect();
        let said = |fault: Fault| format!("{}: {}", fault.place, fault.kind);
        incomplete(&reports, &WHOLE).into_iter().map(said).collect()
    }

    #[test]
    fn all_parts_are_the_whole_and_a_lost_or_doubled_part_is_noticed() {
        assert!(faults(&["1/3", "2/3", "3/3"]).is_empty());
        assert!(faults(&["3/3", "1/3", "2/3"]).is_empty(), "in any order");
        assert_eq!(faults(&["1/3", "3/3"]), ["b on explore: missing"]);
        assert_eq!(
            faults(&["1/3", "2/3", "3/3", "3/3"]),
            ["a on loom-sc: twice"],
            "the third part was handed in twice"
        );
    }

    #[test]
    fn parts_of_other_sources_or_of_another_kind_are_noticed() {
        let mut reports = part("1/1");
        reports[0].scenario = "c".to_owned();
        reports[1].asked = "deep".to_owned();
        let faults = incomplete(&reports, &WHOLE);
        let kinds: Vec<_> = faults.iter().map(|fault| fault.kind.as_str()).collect();
        assert_eq!(kinds, ["unknown", "missing", "mixed"]);
    }
}
