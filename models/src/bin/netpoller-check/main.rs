//! The race verification as a command: `cargo verify`.
//!
//! Each run of a scenario on an engine is a child process of its own, because a failing model may
//! take its process along, and so that both processors have work.

#![forbid(unsafe_code)]

mod differential;
mod figures;
mod journal;
mod junit;
mod list;
mod merge;
mod mutants;
mod one;
mod parts;
mod process;
mod replay;
mod run;
mod shard;
mod story;
mod table;
mod vectors;
mod verdict;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Checks the netpoller: every interleaving of every scenario, on every engine.
#[derive(Debug, Parser)]
#[command(name = "netpoller-check", version, bin_name = "cargo verify")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the scenarios: the race, its threads, the rules, where it comes from.
    List(list::Arguments),
    /// Run scenarios on engines and hold the numbers against `models/expected.toml`.
    Run(run::Arguments),
    /// How large the spaces are and how fast explore goes through them, beside what others need.
    Figures(figures::Arguments),
    /// Put the parts of a run together that several machines made, and judge the whole.
    Merge(merge::Arguments),
    /// Run a failure once more, by its steps, and tell whether it is still there.
    Replay(replay::Arguments),
    /// Show a failure: as text, or as a page for a browser.
    Story(story::Arguments),
    /// Put known bugs into a copy of the sources, one at a time, and see each of them caught.
    Mutants(mutants::Arguments),
    /// Replay recorded programs on the simulated kernel and on this machine's.
    Vectors(vectors::Arguments),
    /// Run random programs on this machine's kernel and on the simulated one, side by side.
    Differential(differential::Arguments),
    /// Run one scenario on one engine in this process and print the outcome as JSON.
    #[command(hide = true)]
    One(one::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::List(arguments) => list::main(&arguments),
        Command::Run(arguments) => run::main(&arguments),
        Command::Figures(arguments) => figures::main(&arguments),
        Command::Merge(arguments) => merge::main(&arguments),
        Command::Replay(arguments) => replay::main(&arguments),
        Command::Story(arguments) => story::main(&arguments),
        Command::Mutants(arguments) => mutants::main(&arguments),
        Command::Vectors(arguments) => vectors::main(&arguments),
        Command::Differential(arguments) => differential::main(&arguments),
        Command::One(arguments) => one::main(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("netpoller-check: {error}");
            ExitCode::from(2)
        }
    }
}

/// What goes wrong in the command itself, in one line.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// The scenarios whose name contains one of the patterns; all of them for no pattern.
fn selected(
    patterns: &[String],
) -> Result<Vec<&'static netpoller_models::scenario::Scenario>, Error> {
    let scenarios: Vec<_> = netpoller_models::scenario::all()
        .filter(|scenario| {
            patterns.is_empty() || patterns.iter().any(|part| scenario.name.contains(part.as_str()))
        })
        .collect();
    if scenarios.is_empty() {
        let patterns = patterns.join(", ");
        return Err(
            format!("no scenario is called {patterns}; `cargo verify list` shows them").into()
        );
    }
    Ok(scenarios)
}
