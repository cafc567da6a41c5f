//! `cargo verify replay`: a failure once more, by its steps.

use crate::Error;
use netpoller_models::engine::{Explore, FailureFile, Limits, Verdict};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// How the command ends.
const CODES: &str = "\
Exit code:
  0    ended well: every step was taken and nothing failed, the bug is gone
  1    reproduced: the same failure
  2    the file cannot be read
  125  not to be told: a step never came (which one is printed), something else failed, the
       execution did not end, there is no such scenario, or the failure cannot be replayed
With these codes `git bisect run` finds the change that brought a failure: it skips 125.";

#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub(crate) struct Arguments {
    /// A file that `run` has written.
    file: PathBuf,
}

const ENDED_WELL: u8 = 0;
const REPRODUCED: u8 = 1;
const NOT_TO_BE_TOLD: u8 = 125;

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let file = read(&arguments.file)?;
    let code = match replay(&file) {
        Ok(code) => code,
        Err(why) => {
            println!("cannot be replayed: {why}");
            NOT_TO_BE_TOLD
        }
    };
    Ok(ExitCode::from(code))
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<FailureFile, Error> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    FailureFile::parse(&text).map_err(|error| format!("{name} {error}").into())
}

/// Replays a failure and prints what became of it.
fn replay(file: &FailureFile) -> Result<u8, String> {
    if let Some(obstacle) = &file.obstacle {
        return Err(obstacle.clone());
    }
    let scenario = netpoller_models::scenario::find(&file.scenario)
        .ok_or_else(|| format!("there is no scenario {} here", file.scenario))?;
    let steps = file.story.steps();
    let replayed = Explore::replay(scenario.explore, steps, &Limits::default());
    let place = format!("{} ({} steps, from {})", file.scenario, steps.len(), file.engine);
    let verdict = replayed.verdict(file);
    match &verdict {
        Verdict::Reproduced => println!("reproduced: {place}"),
        Verdict::EndedWell => println!("ended well: {place}: every step was taken, nothing failed"),
        Verdict::Diverged(step, why) => println!("diverged at step {step}: {place}: {why}"),
        Verdict::FailedOtherwise => {
            println!("failed otherwise: {place}: it was {}", file.headline);
        }
        Verdict::Endless => println!("did not end: {place}"),
    }
    for (step, why) in &replayed.missed {
        println!("  step {step} never came: {why}");
    }
    if let Some(failure) = &replayed.failure {
        println!("{failure}");
    }
    Ok(match verdict {
        Verdict::EndedWell => ENDED_WELL,
        Verdict::Reproduced => REPRODUCED,
        Verdict::Diverged(..) | Verdict::FailedOtherwise | Verdict::Endless => NOT_TO_BE_TOLD,
    })
}
