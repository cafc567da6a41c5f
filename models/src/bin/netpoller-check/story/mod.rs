//! `cargo verify story`: a failure for people, as text or as a page. And where failures are kept.

mod layout;
mod page;

use crate::Error;
use crate::one::Report;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file that `run` has written.
    file: PathBuf,
    /// Write a page for a browser instead of printing the table: one file, which loads nothing.
    #[arg(long, value_name = "OUT")]
    html: Option<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let file = crate::replay::read(&arguments.file)?;
    match &arguments.html {
        Some(out) => {
            let written = std::fs::write(out, page::page(&file));
            written.map_err(|error| format!("{}: {error}", out.display()))?;
            println!("{}", out.display());
        }
        None => println!("{} on {}: {}\n{}", file.scenario, file.engine, file.headline, file.story),
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the failures among the reports into a folder and says where.
pub(crate) fn keep(folder: &Path, reports: &[Report]) -> Result<(), Error> {
    for report in reports {
        let Some(failure) = &report.failure else { continue };
        let Some(file) = &failure.file else {
            eprintln!(
                "{} on {}: no file was written, the process died of the failure",
                report.scenario, report.engine
            );
            continue;
        };
        let path = folder.join(format!("{}.{}.json", report.scenario, report.engine));
        let written =
            std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, file.to_json()));
        let path = path.display();
        written.map_err(|error| format!("{path}: {error}"))?;
        eprintln!("{} on {}: {path}", report.scenario, report.engine);
        match &file.obstacle {
            None => eprintln!("  once more:  cargo verify replay {path}"),
            Some(obstacle) => eprintln!("  cannot be replayed: {obstacle}"),
        }
        eprintln!("  as a page:  cargo verify story {path} --html story.html");
    }
    Ok(())
}
