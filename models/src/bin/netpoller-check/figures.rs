//! `cargo verify figures`: how large the spaces are, and how fast `explore` goes through them.
//!
//! Two tables. The first one has every scenario on `explore`, with no limit but time. The second one has
//! scenarios of three threads on `explore`, on `loom-sc`, and on a search that goes through every schedule
//! depth first; each in a process of its own, side by side. What does not come to its end counts with the
//! executions that it had, and is marked as at least so many.

use crate::one::{Reach, Report};
use crate::run::{processors, run_all};
use crate::{Error, selected};
use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use netpoller_models::engine::Search;
use netpoller_models::suite::contents::AllContents;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name contains one of these; for the second table: these instead of the
    /// usual ones.
    patterns: Vec<String>,
    /// Stop each run of explore after this many seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Compare with other searches as well, which are stopped after this many seconds.
    #[arg(long, value_name = "SECONDS")]
    against: Option<u64>,
    /// How many runs at a time. Speeds are those of one core only if each has one.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Put the tables into `models/README.md`.
    #[arg(long)]
    write: bool,
}

/// What is compared if nothing else is asked for: scenarios of three threads, from one that loom goes
/// through in seconds to one that it does not in ten minutes.
const COMPARED: [&str; 9] = [
    "two_edges_one_waiter",
    "edge_that_woke_beats_close",
    "park_ready_close",
    "repoll_with_another_waker_close",
    "fd_close_at_the_turn",
    "deadline_in_past_reader_and_writer",
    "deadline_moved_back",
    "ready_and_deadline_at_once",
    "deadline_and_close_at_once",
];

const EXPLORE: &str = "explore";
const LOOM: &str = "loom-sc";
const BEGIN: &str = "<!-- figures: written by cargo verify figures --write, not by hand -->\n";
const END: &str = "<!-- end of the figures -->\n";

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let jobs = arguments.jobs.or_else(processors).unwrap_or(1).max(1);
    let mut text = String::new();
    if let Some(seconds) = arguments.against {
        text += &compared(arguments, seconds, jobs)?;
    }
    text += &spaces(arguments, jobs)?;
    println!("{text}");
    if arguments.write {
        put(&text)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run(
    scenarios: &[&'static str],
    engine: &'static str,
    reach: &Reach,
    jobs: usize,
) -> Result<Vec<Report>, Error> {
    let work: Vec<_> = scenarios.iter().map(|scenario| (*scenario, engine)).collect();
    let patience = reach.seconds.map(|seconds| Duration::from_secs(seconds + 600));
    let reports = run_all(&work, jobs, reach, patience, None)?;
    match reports.iter().find(|report| report.failure.is_some()) {
        Some(failed) => Err(format!("{} fails on {engine}", failed.scenario).into()),
        None => Ok(reports),
    }
}

fn deep(seconds: u64) -> Reach {
    Reach { deep: true, seconds: Some(seconds), ..Reach::default() }
}

fn spaces(arguments: &Arguments, jobs: usize) -> Result<String, Error> {
    let scenarios: Vec<_> = selected(&arguments.patterns)?.iter().map(|s| s.name).collect();
    let reports = run(&scenarios, EXPLORE, &deep(arguments.seconds), jobs)?;
    let contents = AllContents::shipped();
    let mut table = table(&[
        "scenario",
        "threads",
        "executions",
        "states",
        "depth",
        "cut",
        "seconds",
        "states/s",
        "MiB",
        "exhaustive",
    ]);
    for report in &reports {
        table.add_row([
            format!("`{}`", report.scenario),
            threads(&contents, &report.scenario).to_string(),
            grouped(report.executions),
            grouped(report.states as u64),
            report.depth.to_string(),
            grouped(report.cut),
            format!("{:.2}", report.seconds),
            grouped((report.states as f64 / report.seconds.max(1e-9)) as u64),
            report.peak.map_or_else(String::new, |kib| (kib / 1024).to_string()),
            if report.exhaustive { "yes" } else { "no" }.to_owned(),
        ]);
    }
    let done = reports.iter().filter(|report| report.exhaustive).count();
    Ok(format!(
        "### The spaces\n\n`explore` on every scenario, for at most {} s each, {jobs} at a time: {done} of {} are \
         exhausted. *cut*: executions that got to where all that follows was known. *MiB*: the most \
         that the process had.\n\n{table}\n",
        arguments.seconds,
        reports.len(),
    ))
}

fn compared(arguments: &Arguments, seconds: u64, jobs: usize) -> Result<String, Error> {
    let usual = |name: &&'static str| {
        if arguments.patterns.is_empty() { COMPARED.contains(name) } else { true }
    };
    let all = selected(&arguments.patterns)?;
    let scenarios: Vec<_> = all.iter().map(|scenario| scenario.name).filter(usual).collect();
    let explored = run(&scenarios, EXPLORE, &deep(seconds), jobs)?;
    let loomed = run(&scenarios, LOOM, &deep(seconds), jobs)?;
    let schedules = Reach { search: Some(Search::Schedules), ..deep(seconds) };
    let plain = run(&scenarios, EXPLORE, &schedules, jobs)?;
    let mut table = table(&["scenario", EXPLORE, LOOM, "times", "every schedule", "times"]);
    let (mut by_loom, mut by_plain) = (Vec::new(), Vec::new());
    for ((explored, loomed), plain) in explored.iter().zip(&loomed).zip(&plain) {
        if !explored.exhaustive {
            return Err(format!("explore does not exhaust {}", explored.scenario).into());
        }
        for other in [loomed, plain] {
            if other.exhaustive && other.digest != explored.digest {
                return Err(format!("{} behaves otherwise there", explored.scenario).into());
            }
        }
        let times = |other: &Report| other.executions as f64 / explored.executions as f64;
        by_loom.push(times(loomed));
        by_plain.push(times(plain));
        table.add_row([
            format!("`{}`", explored.scenario),
            at_least(explored, grouped(explored.executions)),
            at_least(loomed, grouped(loomed.executions)),
            at_least(loomed, grouped(times(loomed) as u64)),
            at_least(plain, grouped(plain.executions)),
            at_least(plain, grouped(times(plain) as u64)),
        ]);
    }
    Ok(format!(
        "### Executions, side by side\n\nUntil the space is exhausted, or for {seconds} s (≥). The \
         behaviours are the same wherever two come to their end. Geometric mean: {:.0} times fewer than \
         `loom-sc`, {:.0} times fewer than a search through every schedule, at least.\n\n{table}\n\n",
        mean(&by_loom),
        mean(&by_plain),
    ))
}

/// How many threads a scenario has.
fn threads(contents: &AllContents, scenario: &str) -> usize {
    contents.of(scenario).map_or(0, |contents| contents.threads.len())
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn at_least(report: &Report, number: String) -> String {
    if report.exhaustive { number } else { format!("≥ {number}") }
}

/// The geometric mean.
fn mean(of: &[f64]) -> f64 {
    (of.iter().map(|one| one.ln()).sum::<f64>() / of.len() as f64).exp()
}

/// With a comma every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Puts the tables where they belong.
fn put(text: &str) -> Result<(), Error> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(&path)?;
    let place = page.find(BEGIN).zip(page.find(END)).filter(|(begin, end)| begin < end);
    let (begin, end) = place.ok_or("models/README.md has no place for the figures")?;
    let mut whole = page[..begin + BEGIN.len()].to_owned();
    let _infallible = write!(whole, "\n{}\n\n", text.trim_end());
    whole += &page[end..];
    Ok(std::fs::write(path, whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_threes() {
        let all = [0, 12, 123, 1_234, 123_456, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "12", "123", "1,234", "123,456", "1,234,567"]);
    }

    #[test]
    fn the_mean_is_geometric() {
        assert!((mean(&[2.0, 8.0]) - 4.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_compared_exists_and_has_three_threads() {
        for name in COMPARED {
            assert_eq!(threads(&AllContents::shipped(), name), 3, "{name}");
        }
    }
}
