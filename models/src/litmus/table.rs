//! The table: what was seen of each program, and what is allowed.

use super::Seen;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was seen of a program, and what is allowed. Displays as a few lines.
#[derive(Clone, Debug)]
pub struct Row {
    /// The name of the program.
    pub program: String,
    /// How many rounds were run.
    pub rounds: u64,
    /// How often each outcome was seen.
    pub seen: BTreeMap<String, u64>,
    /// Which are allowed.
    pub allowed: BTreeSet<String>,
}

impl Row {
    /// The row of a program.
    #[must_use]
    pub fn new(program: &str, seen: &Seen, allowed: BTreeSet<String>) -> Row {
        let Seen { rounds, outcomes } = seen.clone();
        Row { program: program.to_owned(), rounds, seen: outcomes, allowed }
    }

    /// All rows, in markdown.
    #[must_use]
    pub fn table(rows: &[Row]) -> String {
        let mut text = "| program | rounds | outcomes seen (how often) | allowed | never seen |\n\
                        |---|---|---|---|---|\n"
            .to_owned();
        for row in rows {
            let seen = row.seen.iter().map(|(outcome, count)| {
                let mark = if row.allowed.contains(outcome) { "" } else { " **not allowed**" };
                format!("{outcome} ({count}){mark}")
            });
            let (seen, never) = (seen.collect::<Vec<_>>(), row.never().join("<br>"));
            let (seen, allowed) = (seen.join("<br>"), row.allowed.len());
            let line = format!("{} | {} | {seen} | {allowed} | {never}", row.program, row.rounds);
            // A bar inside of a cell would end it.
            let line = line.replace("IN|HUP", "IN+HUP");
            text += &format!("| {line} |\n");
        }
        text
    }

    /// What was seen and is not allowed.
    #[must_use]
    pub fn outside(&self) -> Vec<&str> {
        let outside = self.seen.keys().filter(|outcome| !self.allowed.contains(*outcome));
        outside.map(String::as_str).collect()
    }

    /// What is allowed and was not seen.
    #[must_use]
    pub fn never(&self) -> Vec<&str> {
        let never = self.allowed.iter().filter(|outcome| !self.seen.contains_key(*outcome));
        never.map(String::as_str).collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { program, rounds, seen, allowed } = self;
        let (outside, never) = (self.outside(), self.never());
        writeln!(
            f,
            "{program}: {rounds} rounds, {} outcomes seen, {} allowed, {} never seen, {} outside",
            seen.len(),
            allowed.len(),
            never.len(),
            outside.len()
        )?;
        for (outcome, count) in seen {
            let mark = if allowed.contains(outcome) { "" } else { "   NOT ALLOWED" };
            writeln!(f, "  {count:>8}  {outcome}{mark}")?;
        }
        for outcome in never {
            writeln!(f, "     never  {outcome}")?;
        }
        Ok(())
    }
}
