//! `netpoller-check one`: what a child process does, and how its report reads.

use crate::Error;
use netpoller_models::engine::{Completeness, Failure, FailureKind, Limits, Outcome};
use netpoller_models::oracle::{self, Which};
use netpoller_models::suite::{Expected, Kind, Verdict, gap, quick};
use serde::{Deserialize, Serialize};
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    pub(crate) scenario: String,
    #[arg(long)]
    pub(crate) engine: String,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// How far a run goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Reach {
    /// Go through everything, however long it takes, instead of stopping where `expected.toml`
    /// says; engines that sample take 50 times as many samples.
    #[arg(long)]
    pub(crate) deep: bool,
    /// Stop each run after this many seconds. The run says so.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) seconds: Option<u64>,
    /// Where the engines that sample start.
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Let one oracle judge alone: refinement, quiescence, history, leak, assertion or deadlock.
    #[arg(long, value_name = "ORACLE")]
    pub(crate) only_oracle: Option<String>,
}

impl Reach {
    /// The same, as arguments of a child.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.deep {
            arguments.push("--deep".to_owned());
        }
        let numbers = [("--seconds", self.seconds), ("--seed", self.seed)];
        for (name, value) in numbers {
            arguments.extend(value.map(|value| format!("{name}={value}")));
        }
        arguments.extend(self.only_oracle.iter().map(|oracle| format!("--only-oracle={oracle}")));
        arguments
    }

    fn limits(&self, scenario: &str, kind: Kind) -> Limits {
        let expected = Expected::shipped();
        let mut limits = if self.deep {
            Limits { rounds: 15_000, ..Limits::default() }
        } else {
            quick(kind, expected.pinned(scenario, kind.name()))
        };
        limits.time = self.seconds.map(Duration::from_secs);
        limits.seed = self.seed.unwrap_or(limits.seed);
        limits
    }
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
    pub(crate) seconds: f64,
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// `as pinned`, or how it differs; empty for runs that no pin is for.
    pub(crate) verdict: String,
    pub(crate) failure: Option<Failed>,
    /// How often each row of the transition tables was taken.
    pub(crate) coverage: Vec<(String, u64)>,
    /// The entry for `expected.toml`, written by the child because it has the behaviours.
    pub(crate) pin: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failed {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) story: String,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let scenario = netpoller_models::scenario::find(&arguments.scenario)
        .ok_or_else(|| format!("no scenario is called {}", arguments.scenario))?;
    let kind = Kind::find(&arguments.engine)
        .ok_or_else(|| format!("no engine is called {}", arguments.engine))?;
    if let Some(name) = &arguments.reach.only_oracle {
        let which = Which::ALL.into_iter().find(|which| which.name() == name);
        oracle::only(Some(which.ok_or_else(|| format!("no oracle is called {name}"))?));
    }
    let outcome = kind.run(scenario, &arguments.reach.limits(scenario.name, kind));
    let report = report(scenario.name, kind, &outcome, &arguments.reach);
    println!("{}", serde_json::to_string(&report)?);
    Ok(ExitCode::SUCCESS)
}

fn report(scenario: &str, kind: Kind, outcome: &Outcome, reach: &Reach) -> Report {
    let is_quick = !reach.deep && reach.seconds.is_none() && reach.seed.is_none();
    let verdict = match Expected::shipped().judge(scenario, kind, outcome) {
        // A deep or otherwise different run may do more than is pinned, or less.
        Verdict::Differs(_) | Verdict::NotPinned if !is_quick => String::new(),
        verdict => verdict.to_string(),
    };
    let has_gap = gap(scenario, kind).is_some();
    let mut pin = Expected::default();
    pin.pin(scenario, kind, outcome);
    Report {
        scenario: scenario.to_owned(),
        engine: kind.name().to_owned(),
        executions: outcome.executions,
        behaviours: outcome.behaviours.len(),
        digest: format!("{:032x}", outcome.behaviours_digest()),
        exhaustive: matches!(outcome.completeness, Completeness::Exhaustive(_)) && !has_gap,
        reach: match &outcome.completeness {
            Completeness::Exhaustive(_) if has_gap => "end".to_owned(),
            Completeness::Exhaustive(_) => "all".to_owned(),
            Completeness::Ended => "end".to_owned(),
            Completeness::Bounded(bound) => format!("cut by {bound:?}").to_lowercase(),
            Completeness::Sampled { .. } => "sampled".to_owned(),
        },
        seconds: outcome.time.as_secs_f64(),
        states: outcome.states,
        depth: outcome.depth,
        verdict,
        failure: outcome.failure.as_ref().map(failed),
        coverage: oracle::coverage().into_iter().map(|(name, n)| (name.to_owned(), n)).collect(),
        pin: pin.to_toml(),
    }
}

fn failed(failure: &Failure) -> Failed {
    let kind = match failure.kind {
        FailureKind::Deadlock => "deadlock",
        FailureKind::Panic => "panic",
        FailureKind::Engine => "engine",
    };
    Failed {
        kind: kind.to_owned(),
        message: failure.message.clone(),
        story: failure.story.to_string(),
    }
}
