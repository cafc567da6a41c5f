//! `cargo verify vectors`: recorded programs on the simulated kernel and on this machine's.

use crate::Error;
use netpoller::seam::Os;
use netpoller_models::kernel::{Config, SimKernel};
use netpoller_models::vectors::{self, Recording, Report};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Files in the format of `models/vectors`; those that come with the project if none is given.
    files: Vec<PathBuf>,
    /// Fail on programs that cannot be run because an operation is not known.
    #[arg(long)]
    strict: bool,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut fine = true;
    for recording in recordings(&arguments.files)? {
        let simulated = || SimKernel::<Os>::new(Config::linux());
        fine &= show("simulated kernel", &vectors::replay(&recording, simulated), arguments.strict);
        #[cfg(target_os = "linux")]
        {
            let real = vectors::replay(&recording, vectors::RealKernel::new);
            fine &= show("this machine's kernel", &real, arguments.strict);
        }
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn recordings(files: &[PathBuf]) -> Result<Vec<Recording>, Error> {
    if files.is_empty() {
        return vectors::RECORDINGS
            .iter()
            .map(|(name, text)| Ok(vectors::parse(name, text)?))
            .collect();
    }
    files
        .iter()
        .map(|path| {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            Ok(vectors::parse(&name, &text)?)
        })
        .collect()
}

fn show(host: &str, report: &Report, strict: bool) -> bool {
    print!("{host}, {report}");
    for (operation, count) in report.unknown() {
        println!("  unknown operation {operation}: {count} times");
    }
    report.different.is_empty() && (!strict || report.skipped.is_empty())
}
