//! `cargo verify run`: children side by side, a table, and a verdict.

use crate::one::{Reach, Report};
use crate::{Error, selected};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use netpoller_models::oracle;
use netpoller_models::suite::{Expected, Kind};
use std::collections::BTreeMap;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name contains one of these.
    patterns: Vec<String>,
    /// Only this engine; may be given more than once.
    #[arg(long, value_name = "NAME")]
    engine: Vec<String>,
    /// How many runs at a time; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// One JSON object a run instead of the table.
    #[arg(long)]
    json: bool,
    /// Write what was seen into `models/expected.toml`.
    #[arg(long)]
    pin: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let scenarios = selected(&arguments.patterns)?;
    let engines = engines(&arguments.engine)?;
    let work: Vec<_> = scenarios
        .iter()
        .flat_map(|scenario| engines.iter().map(|engine| (scenario.name, engine.name())))
        .collect();
    let started = Instant::now();
    let jobs = arguments.jobs.or_else(processors).unwrap_or(1).max(1);
    let reports = run_all(&work, jobs, &arguments.reach)?;
    if arguments.json {
        for report in &reports {
            println!("{}", serde_json::to_string(report)?);
        }
    } else {
        show(&scenarios.iter().map(|s| s.name).collect::<Vec<_>>(), &engines, &reports);
    }
    if arguments.pin {
        match disagreement(&reports) {
            None => pin(&reports)?,
            Some(place) => return Err(format!("nothing was pinned: {place}").into()),
        }
    }
    let whole = arguments.patterns.is_empty() && arguments.engine.is_empty();
    let fine = verdict(&reports, whole, arguments.pin);
    eprintln!("{} runs in {:.1} s", reports.len(), started.elapsed().as_secs_f64());
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn processors() -> Option<usize> {
    std::thread::available_parallelism().ok().map(usize::from)
}

fn engines(names: &[String]) -> Result<Vec<Kind>, Error> {
    if names.is_empty() {
        return Ok(Kind::ALL.to_vec());
    }
    let all: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
    names
        .iter()
        .map(|name| {
            Kind::find(name)
                .ok_or_else(|| format!("no engine is called {name}: {}", all.join(", ")).into())
        })
        .collect()
}

fn run_all(
    work: &[(&'static str, &'static str)],
    jobs: usize,
    reach: &Reach,
) -> Result<Vec<Report>, Error> {
    // Shows itself on a terminal only.
    let progress = ProgressBar::new(work.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let queue = Arc::new(Mutex::new((0..work.len()).collect::<Vec<_>>().into_iter()));
    let (done, results) = mpsc::channel();
    let mut reports: Vec<Option<Report>> = vec![None; work.len()];
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (queue, done, progress) = (Arc::clone(&queue), done.clone(), progress.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().map(|mut queue| queue.next());
                    let Ok(Some(place)) = next else { return };
                    let (scenario, engine) = work[place];
                    progress.set_message(format!("{scenario} on {engine}"));
                    if done.send((place, child(scenario, engine, reach))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (place, report) in results {
            progress.inc(1);
            reports[place] = Some(report?);
        }
        progress.finish_and_clear();
        Ok(reports.into_iter().flatten().collect())
    })
}

/// Runs one scenario on one engine in a child process.
pub(crate) fn child(scenario: &str, engine: &str, reach: &Reach) -> Result<Report, Error> {
    let program = std::env::current_exe()?;
    let output = Command::new(program)
        .args(["one", "--scenario", scenario, "--engine", engine])
        .args(reach.to_arguments())
        .stdin(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = text.lines().rev().find_map(|line| serde_json::from_str::<Report>(line).ok());
    // A model that fails while it fails takes the process along (loom does): that is a failure
    // of the scenario, not of this command.
    Ok(report.unwrap_or_else(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        let message = format!("the process ended with {}", output.status);
        Report::died(scenario, engine, message, error.into_owned())
    }))
}

fn show(scenarios: &[&str], engines: &[Kind], reports: &[Report]) {
    let by_place: BTreeMap<_, _> =
        reports.iter().map(|r| ((r.scenario.as_str(), r.engine.as_str()), r)).collect();
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED);
    let mut header = vec![Cell::new("scenario"), Cell::new("threads"), Cell::new("behaviours")];
    header.extend(engines.iter().map(|kind| Cell::new(kind.name())));
    table.set_header(header);
    for name in scenarios {
        let threads = netpoller_models::scenario::find(name).map_or(0, |s| s.thread_names().len());
        let settled = engines.iter().filter(|kind| kind.settles_behaviours()).find_map(|kind| {
            by_place.get(&(*name, kind.name())).filter(|report| report.exhaustive)
        });
        let behaviours = settled.map_or("?".to_owned(), |report| report.behaviours.to_string());
        let mut row = vec![Cell::new(name), right(&threads.to_string()), right(&behaviours)];
        for kind in engines {
            row.push(right(
                &by_place.get(&(*name, kind.name())).map_or_else(String::new, |r| cell(r)),
            ));
        }
        table.add_row(row);
    }
    println!("{table}");
    println!(
        "Each cell: executions, how far they reach, seconds.\n\
         all      every interleaving was gone through, without any bound (a certificate was issued)\n\
         end      loom went to the end of its search; it is known to pass over some interleavings\n\
         cut      the run stopped at the pinned number of executions; more would be found by --deep\n\
         sampled  random schedules, or whatever the operating system did\n\
         behaviours: how many distinct outcomes there are, per thread, operation and value; `?` where\n\
         no engine with sequentially consistent memory went through everything."
    );
}

fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn cell(report: &Report) -> String {
    if let Some(failure) = &report.failure {
        return format!("FAILED: {}", failure.kind);
    }
    let reach = report.reach.split(' ').next().unwrap_or_default();
    format!("{} {reach} {:.1}", report.executions, report.seconds)
}

/// Prints what is wrong; says whether nothing is.
fn verdict(reports: &[Report], whole: bool, pinning: bool) -> bool {
    let mut fine = !reports.is_empty();
    for report in reports {
        let place = format!("{} on {}", report.scenario, report.engine);
        if let Some(failure) = &report.failure {
            fine = false;
            println!("\n{place}: {}: {}\n{}", failure.kind, failure.message, failure.story);
        } else if !report.verdict.is_empty() && report.verdict != "as pinned" && !pinning {
            fine = false;
            println!("{place}: {}", report.verdict);
        }
    }
    if let Some(place) = disagreement(reports) {
        fine = false;
        println!("{place}");
    }
    let mut taken: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, count) in reports.iter().flat_map(|report| &report.coverage) {
        *taken.entry(name).or_default() += count;
    }
    let never: Vec<_> = taken.iter().filter(|(_, count)| **count == 0).map(|(n, _)| *n).collect();
    println!("transitions of the spec: {} of {} taken", taken.len() - never.len(), taken.len());
    // A selection of scenarios need not take them all.
    for name in never.into_iter().filter(|_| whole) {
        match oracle::UNREACHABLE.iter().find(|(row, _)| *row == name) {
            Some((_, why)) => println!("  never {name}: {why}"),
            None => {
                println!("  never {name}: a scenario is missing");
                fine = false;
            }
        }
    }
    let exhaustive = reports.iter().filter(|report| report.exhaustive).count();
    let failed = reports.iter().filter(|report| report.failure.is_some()).count();
    println!("{} runs: {exhaustive} exhaustive, {failed} failed", reports.len());
    fine
}

/// Two engines that went through everything have to have seen the same behaviours.
fn disagreement(reports: &[Report]) -> Option<String> {
    let mut settled: BTreeMap<&str, &Report> = BTreeMap::new();
    for report in reports.iter().filter(|report| report.exhaustive) {
        if !Kind::find(&report.engine).is_some_and(Kind::settles_behaviours) {
            continue;
        }
        let first = settled.entry(&report.scenario).or_insert(report);
        if first.digest != report.digest {
            return Some(format!(
                "{}: {} and {} both went through everything, and saw {} and {} behaviours",
                report.scenario, first.engine, report.engine, first.behaviours, report.behaviours
            ));
        }
    }
    None
}

fn pin(reports: &[Report]) -> Result<(), Error> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/expected.toml");
    let mut expected = Expected::parse(&std::fs::read_to_string(path)?)?;
    for report in reports.iter().filter(|report| report.failure.is_none()) {
        expected.adopt(Expected::parse(&report.pin)?);
    }
    let names: Vec<_> = netpoller_models::scenario::all().map(|s| s.name).collect();
    expected.keep_only(&names);
    std::fs::write(path, expected.to_toml())?;
    println!("pinned in models/expected.toml; rebuild before the next run");
    Ok(())
}

impl Report {
    fn died(scenario: &str, engine: &str, message: String, story: String) -> Report {
        Report {
            scenario: scenario.to_owned(),
            engine: engine.to_owned(),
            executions: 0,
            behaviours: 0,
            digest: String::new(),
            exhaustive: false,
            reach: "died".to_owned(),
            seconds: 0.0,
            states: 0,
            depth: 0,
            verdict: String::new(),
            failure: Some(crate::one::Failed { kind: "died".to_owned(), message, story }),
            coverage: Vec::new(),
            pin: String::new(),
        }
    }
}
