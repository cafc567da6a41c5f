//! One run in a child process, with a time after which it counts as hung.

use super::tree::Built;
use super::{Jury, Task};
use crate::one::Report;
use crate::process::{Output, output};
use netpoller_models::mutants::Judge;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passed,
    Deadlock,
    Panic(Judge),
    TestFailed,
    /// It was killed.
    Hung,
    /// It ended in a way that says nothing about the mutant.
    Broken,
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    /// In how many executions, for a scenario.
    pub(super) executions: u64,
    message: String,
    took: Duration,
}

impl Ended {
    /// What happened, in one line.
    pub(super) fn in_words(&self) -> String {
        let (executions, seconds) = (self.executions, self.took.as_secs_f64());
        let message = self.message.lines().next().unwrap_or_default();
        match &self.verdict {
            Verdict::Passed => format!("passed ({executions} executions, {seconds:.1} s)"),
            Verdict::Deadlock => format!("deadlock in execution {executions}: {message}"),
            Verdict::Panic(judge) => {
                format!("panic in execution {executions}, {}: {message}", judge.name())
            }
            Verdict::TestFailed => format!("the test failed: {message}"),
            Verdict::Hung => format!("killed after {seconds:.0} s without an outcome"),
            Verdict::Broken => format!("no verdict: {}", self.message),
        }
    }
}

/// Runs one task. `reach`: further arguments for a scenario, how far it goes.
pub(super) fn run(task: &Task, built: &Built, reach: &[&str], timeout: Duration) -> Ended {
    let started = Instant::now();
    let (verdict, executions, message) = match attempt(task, built, reach, timeout) {
        Ok(seen) => seen,
        Err(error) => (Verdict::Broken, 0, error),
    };
    Ended { verdict, executions, message, took: started.elapsed() }
}

type Seen = (Verdict, u64, String);

fn attempt(task: &Task, built: &Built, reach: &[&str], timeout: Duration) -> Result<Seen, String> {
    match task {
        Task::Scenario { scenario, engine, jury } => {
            let program = built.program.as_ref().ok_or("the program was not built")?;
            let mut command = Command::new(program);
            command.args(["one", "--scenario", scenario, "--engine", engine]).args(reach);
            match jury {
                Jury::All => {}
                Jury::Only(oracle) => drop(command.arg(format!("--only-oracle={oracle}"))),
                Jury::Except(oracle) => drop(command.arg(format!("--except-oracle={oracle}"))),
            }
            let output = output(command, Some(timeout))?;
            Ok(output.status.map_or_else(hung, |status| of_scenario(&output, status)))
        }
        Task::Test(test) => {
            let (program, folder) = built.tests.get(test).ok_or("the test was not built")?;
            let mut command = Command::new(program);
            command.args(["--exact", &test.name]).current_dir(folder);
            let output = output(command, Some(timeout))?;
            Ok(output.status.map_or_else(hung, |_| of_test(&output)))
        }
    }
}

fn hung() -> Seen {
    (Verdict::Hung, 0, String::new())
}

fn of_scenario(output: &Output, status: ExitStatus) -> Seen {
    let report =
        output.stdout.lines().rev().find_map(|line| serde_json::from_str::<Report>(line).ok());
    let Some(report) = report else {
        // A model that fails while it fails takes its process along (loom does).
        return (Verdict::Broken, 0, format!("{status}: {}", last_line(&output.stderr)));
    };
    let executions = report.executions;
    let Some(failure) = report.failure else { return (Verdict::Passed, executions, String::new()) };
    let verdict = match failure.kind.as_str() {
        "deadlock" => Verdict::Deadlock,
        "panic" => Verdict::Panic(Judge::of_panic(&failure.message)),
        _ => Verdict::Broken,
    };
    (verdict, executions, failure.message)
}

fn of_test(output: &Output) -> Seen {
    let summary = output.stdout.lines().find(|line| line.starts_with("test result: "));
    let one = |what: &str| summary.is_some_and(|line| line.contains(&format!(" 1 {what};")));
    let verdict = if one("passed") {
        Verdict::Passed
    } else if one("failed") {
        Verdict::TestFailed
    } else {
        Verdict::Broken // the test does not exist, or took the process along
    };
    let panic = output.stdout.lines().chain(output.stderr.lines());
    let mut panic = panic.skip_while(|line| !line.contains("panicked at"));
    let message = panic.nth(1).unwrap_or_else(|| last_line(&output.stderr)).to_owned();
    (verdict, 0, message)
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default()
}
