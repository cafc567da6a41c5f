//! What an interrupted run leaves, so that another one goes on where it was: `run --journal`.
//!
//! The first line says which program wrote the file, and each further one is a report, written as it
//! comes. A line that was cut off in the middle is passed over: its run is made again. A file of another
//! program is refused, for its reports may be about other sources.
//!
//! Where an exploration is divided there is a line for each prefix as well ([`Explored`]), written by the child
//! that explores it: then a run that was interrupted in the middle of one scenario goes on with the prefixes that
//! were not done.

use crate::Error;
use crate::one::Report;
use crate::parts::Explored;
use serde::Serialize;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
    path: PathBuf,
    known: Vec<Report>,
    explored: Vec<Explored>,
}

impl Journal {
    /// Goes on with a journal, or begins one.
    pub(crate) fn open(path: &Path) -> Result<Journal, Error> {
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(std::env::current_exe()?)?);
        Journal::of(path, &format!("written by program {:016x}", hasher.finish()))
    }

    fn of(path: &Path, header: &str) -> Result<Journal, Error> {
        let before = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{}: {error}", path.display()).into()),
        };
        let mut file = File::options().create(true).append(true).open(path)?;
        if before.is_empty() {
            writeln!(file, "{header}")?;
        } else if before.lines().next() != Some(header) {
            return Err(format!(
                "{} is the journal of another program: remove it to begin anew",
                path.display()
            )
            .into());
        } else if !before.ends_with('\n') {
            writeln!(file)?;
        }
        let (path, lines) = (path.to_owned(), || before.lines().skip(1));
        let known = lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let explored = lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Journal { file: Mutex::new(file), path, known, explored })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The report of a run, or of this part of one, that was made before and came to an end of its own.
    pub(crate) fn known(
        &self,
        scenario: &str,
        engine: &str,
        asked: &str,
        part: &str,
    ) -> Option<&Report> {
        self.known.iter().find(|report| {
            (&*report.scenario, &*report.engine, &*report.asked) == (scenario, engine, asked)
                && report.part == part
                && report.failure.is_none()
        })
    }

    /// The prefixes of a scenario that were done before.
    pub(crate) fn explored(&self, scenario: &str, asked: &str) -> Vec<Explored> {
        let of =
            |explored: &&Explored| (&*explored.scenario, &*explored.asked) == (scenario, asked);
        self.explored.iter().filter(of).cloned().collect()
    }

    /// Adds a report, or a prefix that is done.
    pub(crate) fn add(&self, done: &impl Serialize) -> Result<(), Error> {
        let line = serde_json::to_string(done)? + "\n";
        // In one piece, so that only the last line can be cut off.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(line.as_bytes())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(scenario: &str) -> Report {
        let report = Report::died(scenario, "explore", "died", String::new(), String::new());
        Report { failure: None, asked: "quick".to_owned(), ..report }
    }

    #[test]
    fn what_was_reported_is_known_and_what_was_cut_off_is_not() {
        let path = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        let begun = Journal::of(&path, "program 1").expect("a new file");
        begun.add(&report("a")).expect("room");
        begun.add(&report("b")).expect("room");
        drop(begun);
        let whole = fs::read_to_string(&path).expect("it is there");
        fs::write(&path, &whole[..whole.len() - 10]).expect("room"); // killed in the middle of b
        let resumed = Journal::of(&path, "program 1").expect("the same program");
        let known =
            |journal: &Journal, name: &str| journal.known(name, "explore", "quick", "").is_some();
        assert!(known(&resumed, "a") && !known(&resumed, "b"), "{resumed:?}");
        assert!(resumed.known("a", "loom-sc", "quick", "").is_none(), "another engine");
        assert!(resumed.known("a", "explore", "deep", "").is_none(), "another kind of run");
        assert!(resumed.known("a", "explore", "quick", "1/2").is_none(), "a part of it");
        resumed.add(&report("b")).expect("room");
        let again = Journal::of(&path, "program 1").expect("the same program");
        assert!(known(&again, "a") && known(&again, "b"), "{again:?}");
        let other = Journal::of(&path, "program 2").expect_err("of another program").to_string();
        assert!(other.contains("another program"), "{other}");
        fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn a_run_that_failed_is_made_again() {
        let path = std::env::temp_dir().join(format!("journal-failed-{}", std::process::id()));
        let begun = Journal::of(&path, "program 1").expect("a new file");
        begun
            .add(&Report::died("a", "explore", "died", String::new(), String::new()))
            .expect("room");
        let resumed = Journal::of(&path, "program 1").expect("the same program");
        assert!(resumed.known("a", "explore", "", "").is_none());
        fs::remove_file(&path).expect("it is there");
    }
}
