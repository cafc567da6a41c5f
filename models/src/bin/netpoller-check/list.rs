//! `cargo verify list`.

use crate::{Error, selected};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name contains one of these.
    patterns: Vec<String>,
    /// One name a line, nothing else.
    #[arg(long)]
    names: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let scenarios = selected(&arguments.patterns)?;
    for scenario in &scenarios {
        if arguments.names {
            println!("{}", scenario.name);
            continue;
        }
        println!("{}", scenario.name);
        for line in scenario.race.lines() {
            println!("   {line}");
        }
        println!("    threads  {}", scenario.thread_names().join(", "));
        println!("    rules    {}", scenario.rules);
        println!("    from     {}\n", scenario.origin);
    }
    if !arguments.names {
        println!("{} scenarios", scenarios.len());
    }
    Ok(ExitCode::SUCCESS)
}
