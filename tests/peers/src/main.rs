//! Benchmarks of the netpoller against its peers.
//!
//! ```text
//! cargo run --release --                       # all, in about ten minutes; tables, samples and charts are left in target/peers
//! cargo run --release -- --quick               # whether all of them work, in seconds; the figures are worth nothing
//! cargo run --release -- --bench ping-pong,churn --peer bare,netpoller,go
//! ```
//!
//! Each sample is a process of its own, so that nobody's threads, signal handlers and allocations disturb
//! another one: this program starts itself again. The samples of all contestants take turns, in an order that
//! is drawn anew for each round. What was drawn hangs on a seed, which is printed.
//!
//! | file | what it holds |
//! |---|---|
//! | `cases` | what is measured, and of whom |
//! | `meter` | what a sample is |
//! | `queues`, `tasks`, `may`, `../go` | the benchmarks |
//! | `sample` | one process: runs a benchmark and prints its sample |
//! | `rounds` | starts the processes |
//! | `calls` | counts system calls |
//! | `report`, `chart` | tables in Markdown, samples in JSON, charts in SVG |

mod calls;
mod cases;
mod chart;
mod go;
mod hot;
mod load;
mod may;
mod meter;
mod queues;
mod report;
mod rounds;
mod sample;
mod sys;
mod tasks;

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Benchmarks of the netpoller against its peers.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    hidden: Option<Hidden>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only these, by their names or how they begin; separated by commas.
    #[arg(long, value_delimiter = ',')]
    bench: Vec<String>,
    /// Only these contestants.
    #[arg(long, value_delimiter = ',')]
    peer: Vec<cases::Peer>,
    /// How many samples of each.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Two rounds with a twentieth of the work: shows that everything works, and measures nothing.
    #[arg(long)]
    quick: bool,
    /// So many times the work in each sample: with 60, `churn` takes a place of the slab through more than 2^20 uses.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    work: u64,
    /// Where the tables, samples and charts go.
    #[arg(long, default_value = "target/peers")]
    out: PathBuf,
    /// Draws the order of the samples as another run did.
    #[arg(long)]
    seed: Option<u64>,
    /// Leaves out the counting of system calls.
    #[arg(long)]
    no_calls: bool,
    /// The go command; without it `go` is looked for, and Go is left out if there is none.
    #[arg(long)]
    go: Option<PathBuf>,
    /// Puts the tables into this page, between its marks.
    #[arg(long)]
    into: Option<PathBuf>,
    /// Prints the names of all benchmarks.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    /// One sample, in this process.
    #[command(hide = true)]
    Sample(sample::Args),
}

/// Tells whoever has started this process where to connect to.
pub(crate) fn tell_port(port: u16) {
    println!("port {port}");
}

fn main() -> ExitCode {
    let Cli { hidden, options } = Cli::parse();
    let done = match hidden {
        Some(Hidden::Sample(arguments)) => {
            sample::run(&arguments);
            Ok(())
        }
        None => rounds::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("netpoller-peers: {error}");
            ExitCode::FAILURE
        }
    }
}
