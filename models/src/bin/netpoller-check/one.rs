//! `netpoller-check one`: what a child process does, and how its report reads.

use crate::Error;
use crate::journal::Journal;
use crate::parts::{self, Explored, Share};
use crate::shard::Shard;
use netpoller_models::engine::{
    Completeness, Explore, Failure, FailureFile, Limits, Outcome, Prefixes, Sampling, Search,
};
use netpoller_models::oracle::{self, Which};
use netpoller_models::scenario::Scenario;
use netpoller_models::suite::{Expected, Kind, Verdict, quick};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) scenario: String,
    #[arg(long)]
    pub(crate) engine: String,
    /// Where the prefixes of an exploration that is divided are kept.
    #[arg(long)]
    journal: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// How far a run goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Reach {
    /// Go through everything, however long it takes, instead of stopping where `expected.toml`
    /// says; engines that sample take many more samples, each time others, and shuttle samples by
    /// priorities too.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Stop each run after this many seconds. The run says so.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// How many samples the engines take that sample.
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u64>,
    /// Where the engines that sample start. A deep run draws one if none is given, and prints it.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Let one oracle judge alone: refinement, quiescence, history, leak, assertion or deadlock.
    #[arg(long, value_name = "ORACLE")]
    pub(crate) only_oracle: Option<String>,
    /// Let all oracles judge but this one.
    #[arg(long, value_name = "ORACLE", conflicts_with = "only_oracle")]
    pub(crate) except_oracle: Option<String>,
    /// Divide each exploration among so many threads; explore only. Executions and states are more then,
    /// and differ from run to run; behaviours and failures are the same.
    #[arg(long, value_name = "N", conflicts_with = "part")]
    pub(crate) split: Option<NonZeroUsize>,
    /// Only a part of each exploration, such as 2/4; explore only. The parts of several machines together are
    /// the whole, and `cargo verify merge` judges it.
    #[arg(long, value_name = "PART/OF")]
    pub(crate) part: Option<Shard>,
    /// Into how many prefixes each exploration is divided, at least: 8 for each thread or part if not given.
    /// With `run --journal` each prefix is kept when it is done.
    #[arg(long, value_name = "N")]
    pub(crate) prefixes: Option<NonZeroUsize>,
    /// Have explore search otherwise, for comparing: `all-states`, which leaves no step out, or
    /// `schedules`, which knows no states.
    #[arg(long, hide = true, value_name = "HOW", value_parser = search)]
    pub(crate) search: Option<Search>,
}

impl Reach {
    /// The same, as arguments of a child.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.deep {
            arguments.push("--deep".to_owned());
        }
        let numbers =
            [("--seconds", self.seconds), ("--rounds", self.rounds), ("--seed", self.seed)];
        for (name, value) in numbers {
            arguments.extend(value.map(|value| format!("{name}={value}")));
        }
        arguments.extend(self.only_oracle.iter().map(|oracle| format!("--only-oracle={oracle}")));
        arguments.extend(self.except_oracle.iter().map(|name| format!("--except-oracle={name}")));
        arguments.extend(self.search.map(|how| format!("--search={}", name(how))));
        arguments.extend(self.split.map(|threads| format!("--split={threads}")));
        arguments.extend(self.part.map(|part| format!("--part={part}")));
        arguments.extend(self.prefixes.map(|prefixes| format!("--prefixes={prefixes}")));
        arguments
    }

    /// The command that runs one scenario on one engine as far as this says.
    pub(crate) fn again(&self, scenario: &str, engine: &str) -> String {
        let arguments: String = self.to_arguments().iter().map(|a| format!(" {a}")).collect();
        format!("cargo verify run --engine={engine}{arguments} {scenario}")
    }

    /// How far, in words: the same for all parts of a run that was cut into parts.
    pub(crate) fn in_words(&self) -> String {
        let mut words = if self.deep { "deep" } else { "quick" }.to_owned();
        words.extend(self.seconds.map(|seconds| format!(", {seconds} s each")));
        words.extend(self.rounds.map(|rounds| format!(", {rounds} rounds")));
        words.extend(self.only_oracle.iter().map(|oracle| format!(", only {oracle}")));
        words.extend(self.except_oracle.iter().map(|oracle| format!(", without {oracle}")));
        words.extend(self.search.map(|how| format!(", by {}", name(how))));
        if let Some(prefixes) = self.at_least() {
            words += &format!(", divided by {prefixes} prefixes");
        }
        words
    }

    /// Whether each exploration is divided.
    pub(crate) fn divides(&self) -> bool {
        self.at_least().is_some()
    }

    /// Which part of each exploration it is; nothing if it is not one of several.
    pub(crate) fn part(&self) -> String {
        self.part.map(|part| part.to_string()).unwrap_or_default()
    }

    /// How many prefixes are wanted, if an exploration is divided.
    fn at_least(&self) -> Option<usize> {
        let divided = match (self.part, self.split) {
            (Some(part), _) => part.of,
            (None, Some(threads)) => threads.get(),
            (None, None) => return self.prefixes.map(NonZeroUsize::get),
        };
        Some(self.prefixes.map_or(8 * divided, NonZeroUsize::get))
    }

    /// The prefixes that are to be explored.
    fn prefixes(&self) -> Option<Prefixes> {
        let Shard { part, of } = self.part.unwrap_or(Shard { part: 1, of: 1 });
        self.at_least().map(|at_least| Prefixes::part(at_least, part, of))
    }

    fn is_quick(&self) -> bool {
        let numbers = [self.seconds, self.rounds, self.seed];
        !self.deep
            && self.search.is_none()
            && !self.divides()
            && numbers.iter().all(Option::is_none)
    }

    fn limits(&self, scenario: &str, kind: Kind) -> Limits {
        let expected = Expected::shipped();
        let mut limits = if self.deep {
            Limits { rounds: 15_000, ..Limits::default() }
        } else {
            quick(kind, expected.pinned(scenario, kind.name()))
        };
        limits.time = self.seconds.map(Duration::from_secs);
        limits.rounds = self.rounds.unwrap_or(limits.rounds);
        limits.seed = self.seed.unwrap_or(limits.seed);
        limits.search = self.search.unwrap_or(limits.search);
        limits
    }

    /// Runs a scenario as far as this says.
    fn run(&self, scenario: &Scenario, kind: Kind) -> Outcome {
        let limits = self.limits(scenario.name, kind);
        let outcome = kind.run(scenario, &limits);
        if !self.deep || kind != Kind::Shuttle {
            return outcome;
        }
        // What needs one thread to be slow for a long time is found by priorities, not by chance.
        BY_PRIORITY.iter().fold(outcome, |before, depth| {
            if before.failure.is_some() {
                return before;
            }
            let sampling = Sampling::Pct { depth: *depth };
            let rounds = limits.rounds / 2;
            then(before, kind.run(scenario, &Limits { sampling, rounds, ..limits.clone() }))
        })
    }
}

const SEARCHES: [Search; 3] = [Search::States, Search::AllStates, Search::Schedules];

fn name(search: Search) -> &'static str {
    match search {
        Search::States => "states",
        Search::AllStates => "all-states",
        Search::Schedules => "schedules",
    }
}

fn search(said: &str) -> Result<Search, String> {
    let known = SEARCHES.into_iter().find(|search| name(*search) == said);
    known.ok_or_else(|| format!("no search is called that: {}", SEARCHES.map(name).join(", ")))
}

/// How many ordering constraints a bug may need that a deep run of shuttle looks for by priorities.
const BY_PRIORITY: [usize; 2] = [2, 3];

/// Two samples, one after the other, as one.
fn then(mut before: Outcome, after: Outcome) -> Outcome {
    before.executions += after.executions;
    before.behaviours.extend(after.behaviours);
    before.time += after.time;
    if let Completeness::Sampled { rounds, .. } = &mut before.completeness {
        *rounds = before.executions;
    }
    before.failure = after.failure;
    before
}

/// The outcome of a run, as a child reports it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) scenario: String,
    pub(crate) engine: String,
    pub(crate) executions: u64,
    pub(crate) behaviours: usize,
    pub(crate) digest: String,
    pub(crate) exhaustive: bool,
    /// `all`, or what cut the run short, or how it sampled.
    pub(crate) reach: String,
    /// How far it was to go: [`Reach::in_words`].
    pub(crate) asked: String,
    /// The command that does the same once more.
    pub(crate) again: String,
    pub(crate) seconds: f64,
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// Executions that learned nothing after some point, because all that follows was known.
    #[serde(default)]
    pub(crate) cut: u64,
    /// How much memory the process had at most, in KiB; nothing where the kernel does not tell.
    #[serde(default)]
    pub(crate) peak: Option<u64>,
    /// `as pinned`, or how it differs; empty for runs that no pin is for.
    pub(crate) verdict: String,
    pub(crate) failure: Option<Failed>,
    /// How often each row of the transition tables was taken.
    pub(crate) coverage: Vec<(String, u64)>,
    /// The entry for `expected.toml`, written by the child because it has the behaviours.
    pub(crate) pin: String,
    /// Which part of the exploration it is, such as `2/4`; empty if it is not one of several.
    #[serde(default)]
    pub(crate) part: String,
    /// What was gone through, where prefixes are missing for the whole.
    #[serde(default)]
    pub(crate) share: Option<Share>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) kind: String,
    pub(crate) message: String,
    /// The kind and the cause, in one line.
    pub(crate) headline: String,
    pub(crate) story: String,
    /// What is kept of it; nothing if the process died of it.
    pub(crate) file: Option<FailureFile>,
}

impl Report {
    /// Of a run that came to no end of its own.
    pub(crate) fn died(
        scenario: &str,
        engine: &str,
        kind: &str,
        message: String,
        story: String,
    ) -> Report {
        Report {
            scenario: scenario.to_owned(),
            engine: engine.to_owned(),
            executions: 0,
            behaviours: 0,
            digest: String::new(),
            exhaustive: false,
            reach: kind.to_owned(),
            asked: String::new(),
            again: String::new(),
            seconds: 0.0,
            states: 0,
            depth: 0,
            cut: 0,
            peak: None,
            verdict: String::new(),
            failure: Some(Failed {
                kind: kind.to_owned(),
                headline: format!("{kind}: {message}"),
                message,
                story,
                file: None,
            }),
            coverage: Vec::new(),
            pin: String::new(),
            part: String::new(),
            share: None,
        }
    }
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let scenario = netpoller_models::scenario::find(&arguments.scenario)
        .ok_or_else(|| format!("no scenario is called {}", arguments.scenario))?;
    let kind = Kind::find(&arguments.engine)
        .ok_or_else(|| format!("no engine is called {}", arguments.engine))?;
    let which = |name: &String| {
        let which = Which::ALL.into_iter().find(|which| which.name() == name);
        which.ok_or_else(|| format!("no oracle is called {name}"))
    };
    oracle::only(arguments.reach.only_oracle.as_ref().map(which).transpose()?);
    if let Some(name) = &arguments.reach.except_oracle {
        oracle::except(which(name)?);
    }
    let reach = &arguments.reach;
    let report = match reach.prefixes() {
        Some(prefixes) if kind == Kind::Explore => {
            divided(scenario, prefixes, arguments.journal.as_deref(), reach)?
        }
        Some(_) => return Err("only explore divides an exploration".into()),
        None => report(scenario.name, kind, &reach.run(scenario, kind), reach),
    };
    println!("{}", serde_json::to_string(&report)?);
    Ok(ExitCode::SUCCESS)
}

/// Explores these prefixes, but for those that are in the journal.
fn divided(
    scenario: &Scenario,
    prefixes: Prefixes,
    journal: Option<&Path>,
    reach: &Reach,
) -> Result<Report, Error> {
    let (name, asked, limits) =
        (scenario.name, reach.in_words(), reach.limits(scenario.name, Kind::Explore));
    let journal = journal.map(Journal::open).transpose()?;
    let before = journal.as_ref().map(|journal| journal.explored(name, &asked)).unwrap_or_default();
    let done = before.iter().flat_map(Explored::done);
    let mut prefixes = done.fold(prefixes, |all, (frontier, one)| all.without(frontier, one));
    if let Some(journal) = journal {
        let known = Mutex::new(coverage());
        prefixes = prefixes.telling(move |explored| {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            let now = coverage();
            let taken = now
                .iter()
                .zip(&*known)
                .map(|((name, now), (_, before))| (name.clone(), now - before));
            let line = Explored::new(name, &asked, explored, taken.collect());
            *known = now;
            // What cannot be kept is done again.
            if let Err(error) = journal.add(&line) {
                eprintln!("{}: {error}", journal.path().display());
            }
        });
    }
    let at_once = reach.split.map_or(1, NonZeroUsize::get);
    let outcome = Explore::run_prefixes(scenario.explore, &limits, prefixes, at_once);
    let report = report(name, Kind::Explore, &outcome, reach);
    Ok(parts::taken_in(report, &before))
}

/// How often each row of the transition tables was taken in this process.
fn coverage() -> Vec<(String, u64)> {
    oracle::coverage().into_iter().map(|(name, times)| (name.to_owned(), times)).collect()
}

fn report(scenario: &str, kind: Kind, outcome: &Outcome, reach: &Reach) -> Report {
    let verdict = match Expected::shipped().judge(scenario, kind, outcome) {
        // A deep or otherwise different run may do more than is pinned, or less.
        Verdict::Differs(_) | Verdict::NotPinned if !reach.is_quick() => String::new(),
        verdict => verdict.to_string(),
    };
    let mut pin = Expected::default();
    pin.pin(scenario, kind, outcome);
    Report {
        scenario: scenario.to_owned(),
        engine: kind.name().to_owned(),
        executions: outcome.executions,
        behaviours: outcome.behaviours.len(),
        digest: format!("{:032x}", outcome.behaviours_digest()),
        exhaustive: matches!(outcome.completeness, Completeness::Exhaustive(_)),
        reach: match &outcome.completeness {
            Completeness::Exhaustive(_) => "all".to_owned(),
            Completeness::Part(share) => {
                format!("part ({} of {} prefixes)", share.done().len(), share.prefixes())
            }
            Completeness::Ended => "end".to_owned(),
            Completeness::Bounded(bound) => format!("cut by {bound:?}").to_lowercase(),
            Completeness::Sampled { .. } => "sampled".to_owned(),
        },
        asked: reach.in_words(),
        again: reach.again(scenario, kind.name()),
        seconds: outcome.time.as_secs_f64(),
        states: outcome.states,
        depth: outcome.depth,
        cut: outcome.cut,
        peak: peak(),
        verdict,
        failure: outcome.failure.as_ref().map(|failure| failed(scenario, kind, failure)),
        coverage: coverage(),
        pin: if reach.divides() { String::new() } else { pin.to_toml() },
        part: reach.part(),
        share: Share::of(outcome),
    }
}

/// The most memory that this process had, in KiB: proc_pid_status(5), `VmHWM`.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn failed(scenario: &str, kind: Kind, failure: &Failure) -> Failed {
    let about = netpoller_models::scenario::find(scenario).map_or("", |found| found.rules);
    let file = FailureFile::new(scenario, kind.name(), about, failure);
    Failed {
        kind: failure.kind.to_string(),
        message: failure.message.clone(),
        headline: file.headline.clone(),
        story: failure.story.to_string(),
        file: Some(file),
    }
}
