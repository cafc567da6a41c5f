//! `cargo verify run`: children side by side, a table, and a verdict.

use crate::journal::Journal;
use crate::one::{Reach, Report};
use crate::shard::Shard;
use crate::table::Table;
use crate::verdict::{Demand, Run, Verdict, disagreements, every_run};
use crate::{Error, junit, process, selected, table};
use indicatif::{ProgressBar, ProgressStyle};
use netpoller_models::suite::{Expected, Kind};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

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
    /// Only a part of the runs, such as 2/4: the parts of several machines together are the whole,
    /// and `cargo verify merge` judges it.
    #[arg(long, value_name = "PART/OF")]
    shard: Option<Shard>,
    /// One JSON object a run, instead of the table, or in FILE beside it.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    json: Option<Option<PathBuf>>,
    /// Write JUnit's XML as well.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a page in Markdown as well, such as `$GITHUB_STEP_SUMMARY` takes.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
    /// Kill a run after this many seconds: it is hung, and has failed. If not given: 1800 in a quick
    /// run, ten minutes more than --seconds where that is given, and never in a deep run without.
    #[arg(long, value_name = "SECONDS")]
    patience: Option<u64>,
    /// Keep each report in this file as it comes, and take over those that are in it: a run that was
    /// interrupted goes on where it was.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Write what was seen into `models/expected.toml`.
    #[arg(long)]
    pin: bool,
    /// Write each failure to a file in this folder, for `replay` and `story`.
    #[arg(long, value_name = "DIR", default_value = "target/netpoller-failures")]
    failures: PathBuf,
    #[command(flatten)]
    reach: Reach,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let scenarios: Vec<_> = selected(&arguments.patterns)?.iter().map(|s| s.name).collect();
    let engines = engines(&arguments.engine)?;
    let work = part(every_run(&scenarios, &engines), arguments.shard)?;
    let started = Instant::now();
    let mut reach = arguments.reach.clone();
    if reach.divides() && engines != [Kind::Explore] {
        return Err("only explore divides an exploration: add --engine=explore".into());
    }
    // Each run that is divided has a processor for each of its threads, if there are so many.
    let at_once = reach.split.map_or(1, NonZeroUsize::get);
    let jobs = arguments.jobs.or_else(|| processors().map(|all| all / at_once)).unwrap_or(1).max(1);
    if reach.deep && reach.seed.is_none() {
        reach.seed = Some(draw());
        eprintln!("the samples start at --seed={}", reach.seed.unwrap_or_default());
    }
    let journal = arguments.journal.as_deref().map(Journal::open).transpose()?;
    let reports = run_all(&work, jobs, &reach, arguments.patience(), journal.as_ref())?;
    if arguments.pin {
        match disagreements(&reports).first() {
            None => pin(&reports)?,
            Some(fault) => return Err(format!("nothing was pinned: {fault}").into()),
        }
    }
    // A selection of scenarios need not take all transitions.
    let whole =
        arguments.patterns.is_empty() && arguments.engine.is_empty() && arguments.shard.is_none();
    let demand = Demand { pins: !arguments.pin, transitions: whole };
    let verdict = Verdict::on(&reports, demand);
    let table = Table::of(&scenarios, &engines, &reports);
    let json: String = reports
        .iter()
        .map(|report| serde_json::to_string(report).map(|line| line + "\n"))
        .collect::<Result<_, _>>()?;
    match &arguments.json {
        Some(None) => {
            print!("{json}");
            eprintln!("{verdict}");
        }
        file => {
            if let Some(Some(file)) = file {
                std::fs::write(file, json)?;
            }
            println!("{}\n{verdict}", table.drawn());
        }
    }
    if let Some(file) = &arguments.junit {
        junit::write(file, &reports, demand, &verdict.faults)?;
    }
    if let Some(file) = &arguments.summary {
        let part = arguments.shard.map(|shard| format!(", part {shard}")).unwrap_or_default();
        std::fs::write(file, table.page(&format!("Race verification{part}"), &verdict))?;
    }
    crate::story::keep(&arguments.failures, &reports)?;
    eprintln!("{} runs in {:.1} s", reports.len(), started.elapsed().as_secs_f64());
    Ok(if verdict.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What this part of the runs is: a part without any would be a check that checks nothing.
fn part(all: Vec<Run>, shard: Option<Shard>) -> Result<Vec<Run>, Error> {
    let Some(shard) = shard else { return Ok(all) };
    let whole = all.len();
    let mine = all.into_iter().enumerate().filter(|(position, _)| shard.takes(*position));
    let mine: Vec<_> = mine.map(|(_, run)| run).collect();
    if mine.is_empty() {
        return Err(format!("part {shard} of {whole} runs has none: take fewer parts").into());
    }
    Ok(mine)
}

/// A number that is another one each time, and short enough to be copied by hand.
fn draw() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_nanos() as u64 % 1_000_000_007
}

impl Arguments {
    /// After how long a run counts as hung.
    fn patience(&self) -> Option<Duration> {
        let seconds = match (self.patience, self.reach.seconds) {
            (Some(patience), _) => Some(patience),
            (None, Some(limit)) => Some(limit + 600),
            (None, None) if self.reach.deep => None,
            (None, None) => Some(1800),
        };
        seconds.map(Duration::from_secs)
    }
}

pub(crate) fn processors() -> Option<usize> {
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

/// A run of so many seconds is worth a line of its own.
const LONG: f64 = 10.0;

pub(crate) fn run_all(
    work: &[Run],
    jobs: usize,
    reach: &Reach,
    patience: Option<Duration>,
    journal: Option<&Journal>,
) -> Result<Vec<Report>, Error> {
    let run = |(scenario, engine): Run| -> Result<Report, Error> {
        let asked = reach.in_words();
        let known =
            journal.and_then(|journal| journal.known(scenario, engine, &asked, &reach.part()));
        if let Some(known) = known {
            return Ok(known.clone());
        }
        let report = child(scenario, engine, reach, patience, journal)?;
        journal.map_or(Ok(()), |journal| journal.add(&report))?;
        Ok(report)
    };
    // Shows itself on a terminal only.
    let progress = ProgressBar::new(work.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let queue = Arc::new(Mutex::new((0..work.len()).collect::<Vec<_>>().into_iter()));
    let (done, results) = mpsc::channel();
    let mut reports: Vec<Option<Report>> = vec![None; work.len()];
    std::thread::scope(|scope| {
        let run = &run;
        for _ in 0..jobs {
            let (queue, done, progress) = (Arc::clone(&queue), done.clone(), progress.clone());
            scope.spawn(move || {
                loop {
                    let next = queue.lock().map(|mut queue| queue.next());
                    let Ok(Some(place)) = next else { return };
                    let (scenario, engine) = work[place];
                    progress.set_message(format!("{scenario} on {engine}"));
                    if done.send((place, run((scenario, engine)))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (place, report) in results {
            let report = report?;
            progress.inc(1);
            // Where there is no terminal, a sign of life now and then.
            if progress.is_hidden() && report.seconds >= LONG {
                let (done, all) = (progress.position(), work.len());
                let Report { scenario, engine, .. } = &report;
                eprintln!("{done} of {all}: {scenario} on {engine}: {}", table::cell(&report));
            }
            reports[place] = Some(report);
        }
        progress.finish_and_clear();
        Ok(reports.into_iter().flatten().collect())
    })
}

/// Runs one scenario on one engine in a child process.
pub(crate) fn child(
    scenario: &str,
    engine: &str,
    reach: &Reach,
    patience: Option<Duration>,
    journal: Option<&Journal>,
) -> Result<Report, Error> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["one", "--scenario", scenario, "--engine", engine]).args(reach.to_arguments());
    if let Some(journal) = journal.filter(|_| reach.divides()) {
        command.arg("--journal").arg(journal.path());
    }
    let child = process::output(command, patience)?;
    let report = child.stdout.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let report = match (report, child.status) {
        (Some(report), _) => return Ok(report),
        // A model that fails while it fails takes the process along (loom does): that is a failure
        // of the scenario, not of this command.
        (None, Some(status)) => {
            let message = format!("the process ended with {status}");
            Report::died(scenario, engine, "died", message, child.stderr)
        }
        (None, None) => {
            let seconds = patience.unwrap_or_default().as_secs();
            let message = format!("killed after {seconds} s without an outcome");
            Report::died(scenario, engine, "hang", message, child.stderr)
        }
    };
    let (asked, again, part) = (reach.in_words(), reach.again(scenario, engine), reach.part());
    Ok(Report { asked, again, part, ..report })
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
