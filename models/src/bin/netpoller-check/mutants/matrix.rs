//! `--matrix`: who else would have caught a mutant.
//!
//! For each mutant that scenarios catch: the scenarios of its entry on all engines, and with each
//! oracle judging alone. `models/mutants/MATRIX.md` keeps what came of it, row by row: a run of a few
//! mutants, or of one shard, replaces their rows and leaves the others.

use super::child::{Ended, Verdict};
use super::{Judged, Jury, Task, show};
use crate::Error;
use netpoller_models::mutants::{Catch, Mutant};
use netpoller_models::oracle::Which;
use netpoller_models::suite::Kind;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// How far a run goes that only fills a cell: these seconds, and no further than a quick run.
pub(super) const REACH: [&str; 1] = ["--seconds=2"];
/// When it is killed. On threads of the operating system a deadlock does not end.
pub(super) const TIMEOUT: Duration = Duration::from_secs(6);

/// The designated scenarios on all engines, and with each oracle alone.
pub(super) fn tasks(mutant: &Mutant) -> BTreeSet<Task> {
    let mut tasks = BTreeSet::new();
    for Catch { scenario, engine, .. } in &mutant.caught {
        tasks.extend(Kind::ALL.iter().map(|kind| Task::new(scenario, kind.name(), Jury::All)));
        let alone = |which: Which| Jury::Only(which.name().to_owned());
        tasks.extend(Which::ALL.map(|which| Task::new(scenario, engine, alone(which))));
    }
    tasks
}

/// The designated scenarios of a mutant that only a weak memory shows, on explore, whose memory is not.
pub(super) fn on_a_strong_memory(mutant: &Mutant) -> BTreeSet<Task> {
    mutant.caught.iter().map(|catch| Task::new(&catch.scenario, "explore", Jury::All)).collect()
}

/// The two tables.
pub(super) struct Matrix {
    by_engine: Vec<Vec<String>>,
    by_oracle: Vec<Vec<String>>,
}

/// What the runs have shown.
pub(super) fn of(judged: &[Judged<'_>]) -> Matrix {
    let mut matrix = Matrix { by_engine: Vec::new(), by_oracle: Vec::new() };
    for Judged { mutant, runs, .. } in judged {
        let mut scenarios = BTreeSet::new();
        for Catch { scenario, engine, .. } in &mutant.caught {
            if scenarios.insert(scenario) {
                let mut row = vec![mutant.id.clone(), scenario.clone()];
                row.extend(Kind::ALL.iter().map(|kind| {
                    let ended = runs.get(&Task::new(scenario, kind.name(), Jury::All));
                    ended.map_or_else(String::new, catch)
                }));
                matrix.by_engine.push(row);
            }
            let mut row = vec![mutant.id.clone(), scenario.clone(), engine.clone()];
            row.extend(Which::ALL.iter().map(|which| {
                let alone = Jury::Only(which.name().to_owned());
                let ended = runs.get(&Task::new(scenario, engine, alone));
                let mine = ended.filter(|ended| objects(&ended.verdict) == which.name());
                mine.map_or_else(|| "-".to_owned(), catch)
            }));
            matrix.by_oracle.push(row);
        }
    }
    matrix
}

/// The oracle that a verdict comes from.
fn objects(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Deadlock => Which::Deadlock.name(),
        Verdict::Panic(judge) => judge.name(),
        Verdict::Passed | Verdict::TestFailed | Verdict::Hung | Verdict::Broken => "",
    }
}

fn catch(ended: &Ended) -> String {
    match &ended.verdict {
        Verdict::Passed => "-".to_owned(),
        Verdict::Hung => "hang".to_owned(),
        Verdict::Broken => "no verdict".to_owned(),
        Verdict::Deadlock | Verdict::Panic(_) | Verdict::TestFailed => ended.executions.to_string(),
    }
}

const ENGINES: &str = "In which execution each engine fails; `-`: it does not, within two seconds and \
the executions of a quick run. Those that sample, and those whose runs are cut, may find it with more; \
on threads of the operating system a deadlock is a hang.";
const ORACLES: &str = "The same with one oracle judging alone, and the execution in which it is the one \
that objects. Explore goes on after a deadlock that nobody asks for, the other engines end there. A \
mutant without a number is caught by the poller itself, or by two oracles together.";

fn engine_header() -> Vec<&'static str> {
    ["mutant", "scenario"].into_iter().chain(Kind::ALL.iter().map(|kind| kind.name())).collect()
}

fn oracle_header() -> Vec<&'static str> {
    let names = Which::ALL.iter().map(|which| which.name());
    ["mutant", "scenario", "engine"].into_iter().chain(names).collect()
}

impl Matrix {
    /// Both tables, for a terminal.
    pub(super) fn shown(&self) -> String {
        let mut engines = show::table(&engine_header());
        let mut oracles = show::table(&oracle_header());
        engines.add_rows(&self.by_engine);
        oracles.add_rows(&self.by_oracle);
        format!("{engines}\n{ENGINES}\n\n{oracles}\n{ORACLES}\n")
    }

    /// Puts the rows into the file, in the order of the entries, in place of those that are there
    /// about the same mutants.
    pub(super) fn write(self, root: &Path, all: &[Mutant]) -> Result<(), Error> {
        let path = root.join("models/mutants/MATRIX.md");
        let before = match fs::read_to_string(&path) {
            Ok(text) => read(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Matrix { by_engine: Vec::new(), by_oracle: Vec::new() }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(fs::write(path, self.over(before, all).to_markdown(all))?)
    }

    fn over(self, before: Matrix, all: &[Mutant]) -> Matrix {
        let by_engine = merged(self.by_engine, before.by_engine, all);
        Matrix { by_engine, by_oracle: merged(self.by_oracle, before.by_oracle, all) }
    }

    fn to_markdown(&self, all: &[Mutant]) -> String {
        let rows: BTreeSet<_> = self.by_engine.iter().map(|row| &row[0]).collect();
        let caught: Vec<_> = all.iter().filter(|mutant| !mutant.caught.is_empty()).collect();
        let mut text = format!(
            "# Who catches which mutant\n\nWritten by `cargo verify mutants --matrix --write`; not by \
             hand. {} of the {} mutants that scenarios catch were run for it.\n",
            rows.len(),
            caught.len()
        );
        // What is not there says so: a mutant without a row has not escaped, it was not asked.
        let without = caught.iter().filter(|mutant| !rows.contains(&mutant.id));
        let without: Vec<_> = without.map(|mutant| format!("`{}`", mutant.id)).collect();
        if !without.is_empty() {
            let _infallible = writeln!(text, "Not run for it: {}.", without.join(", "));
        }
        for (title, about, header, rows) in [
            ("By engine", ENGINES, engine_header(), &self.by_engine),
            ("By oracle", ORACLES, oracle_header(), &self.by_oracle),
        ] {
            let _infallible =
                write!(text, "\n## {title}\n\n{about}\n\n| {} |\n", header.join(" | "));
            let _infallible = writeln!(text, "|{}", "---|".repeat(header.len()));
            for row in rows {
                let _infallible = writeln!(text, "| {} |", row.join(" | "));
            }
        }
        text
    }
}

/// The rows of a file.
fn read(text: &str) -> Matrix {
    let (engines, oracles) = text.split_once("\n## By oracle\n").unwrap_or((text, ""));
    let rows = |part: &str| {
        let lines =
            part.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| mutant"));
        let cells =
            |line: &str| line.trim_matches('|').split('|').map(|c| c.trim().to_owned()).collect();
        lines.map(cells).collect()
    };
    Matrix { by_engine: rows(engines), by_oracle: rows(oracles) }
}

/// The new rows, and the old ones of mutants that have no new one and still exist.
fn merged(new: Vec<Vec<String>>, old: Vec<Vec<String>>, all: &[Mutant]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for mutant in all {
        let of = |rows: &[Vec<String>]| {
            rows.iter().filter(|row| row[0] == mutant.id).cloned().collect::<Vec<_>>()
        };
        let mine = of(&new);
        rows.extend(if mine.is_empty() { of(&old) } else { mine });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(id: &str) -> Mutant {
        let entry = format!(
            "[[mutant]]\nid = \"{id}\"\norigin = \"o\"\nrule = \"r\"\nwhat = \"w\"\nfile = \"f\"\n\
             find = \"a\"\nreplace = \"b\"\n\
             caught = [{{ scenario = \"s\", engine = \"explore\", how = \"deadlock\" }}]\n"
        );
        netpoller_models::mutants::parse(&entry).expect("well formed").remove(0)
    }

    fn rows(ids: &[&str], cell: &str) -> Matrix {
        let row = |id: &&str| vec![(*id).to_owned(), cell.to_owned()];
        let rows: Vec<_> = ids.iter().map(row).collect();
        Matrix { by_engine: rows.clone(), by_oracle: rows }
    }

    #[test]
    fn a_run_of_some_mutants_replaces_their_rows_and_keeps_the_others() {
        let all = ["a", "b", "c"].map(mutant);
        let file = rows(&["a", "b", "gone"], "old").to_markdown(&all);
        let text = rows(&["c", "b"], "new").over(read(&file), &all);
        assert!(!file.contains("`a`") && file.contains("Not run for it: `c`."), "{file}");
        let expected = ["a old", "b new", "c new"];
        assert_eq!(text.by_engine.iter().map(|row| row.join(" ")).collect::<Vec<_>>(), expected);
        assert_eq!(text.by_oracle.iter().map(|row| row.join(" ")).collect::<Vec<_>>(), expected);
    }
}
