//! `cargo verify list`.

use crate::{Error, selected};
use netpoller_models::scenario::Family;
use netpoller_models::suite::contents::{AllContents, Contents};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only scenarios whose name contains one of these.
    patterns: Vec<String>,
    /// One name a line, nothing else.
    #[arg(long)]
    names: bool,
    /// Write what all scenarios hold into `models/scenarios.toml`.
    #[arg(long)]
    pin: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    if arguments.pin {
        return pin();
    }
    let scenarios = selected(&arguments.patterns)?;
    if arguments.names {
        scenarios.iter().for_each(|scenario| println!("{}", scenario.name));
        return Ok(ExitCode::SUCCESS);
    }
    for family in Family::ALL {
        let of_this = scenarios.iter().filter(|scenario| scenario.family == *family);
        for (place, scenario) in of_this.enumerate() {
            if place == 0 {
                println!("== {family} ==\n");
            }
            println!("{}", scenario.name);
            for line in scenario.race.lines() {
                println!("   {line}");
            }
            println!("    rules    {}", scenario.rules);
            println!("    from     {}", scenario.origin);
            println!("    holds    {}\n", Contents::of(scenario));
        }
    }
    println!(
        "{} scenarios. holds: the threads, each with its operations when the threads run in the order of\n\
         the plan, and in the reverse order; the kernel; the choices, each with its alternatives.",
        scenarios.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn pin() -> Result<ExitCode, Error> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios.toml");
    let counted = AllContents::counted();
    for difference in AllContents::parse(&std::fs::read_to_string(path)?)?.differences(&counted) {
        println!("{difference}");
    }
    std::fs::write(path, counted.to_toml())?;
    println!("pinned in models/scenarios.toml; rebuild before the next run");
    Ok(ExitCode::SUCCESS)
}
