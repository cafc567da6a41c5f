//! `BUGS.md`: the catalogue of bugs that netpollers have had, and which mutants put each back.
//!
//! The catalogue is that of Go's netpoller, B1 to B40, and of the smallest change that brings each bug
//! back into a poller that is right, M1 to M40, some in variants. A row of the table is one such
//! change: either the mutants that make it, in backquotes, or one sentence why there is none.
//!
//! ```markdown
//! | B1 | M1c | the waiter does not look again | `recheck-dropped` |
//! | B8 | M8 | the count of waiters wraps | None: nobody counts waiters. |
//! ```

use super::{Mutant, invalid, read};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The bugs of which the catalogue has more than one change, with their letters.
const VARIANTS: [(u32, &[&str]); 6] = [
    (1, &["", "b", "c"]),
    (2, &["a", "b", "c"]),
    (16, &["a", "b", "c"]),
    (21, &["", "b"]),
    (24, &["", "b"]),
    (31, &["a", "b", "c"]),
];

/// How many bugs there are.
const BUGS: u32 = 40;

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bug {
    /// `B1`.
    pub bug: String,
    /// `M1c`.
    pub change: String,
    /// What went wrong.
    pub what: String,
    /// The mutants that make this change; none where the last column is a reason.
    pub mutants: Vec<String>,
    /// Why there is none.
    pub reason: Option<String>,
}

/// The rows of the table.
///
/// # Errors
///
/// When the file cannot be read, or a row has not four columns.
pub fn bugs(root: &Path) -> io::Result<Vec<Bug>> {
    let text = read(&root.join("models/mutants/BUGS.md"))?;
    text.lines().filter(|line| line.starts_with("| B")).map(row).collect()
}

fn row(line: &str) -> io::Result<Bug> {
    let columns: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [bug, change, what, answer] = columns[..] else {
        return Err(invalid(format!("BUGS.md: a row has four columns: {line}")));
    };
    let reason = answer.strip_prefix("None: ").map(str::to_owned);
    let named = answer.split('`').skip(1).step_by(2).map(str::to_owned);
    let mutants = if reason.is_none() { named.collect() } else { Vec::new() };
    let (bug, change, what) = (bug.to_owned(), change.to_owned(), what.to_owned());
    Ok(Bug { bug, change, what, mutants, reason })
}

/// What is wrong with the table; nothing if empty.
///
/// Every change has its row, in order. A row names mutants, each of which names the bug and the
/// change in its origin, or it has a reason, and not both. And a mutant that names a bug or a change
/// in its origin is in its row.
#[must_use]
pub fn untrue(bugs: &[Bug], mutants: &[Mutant]) -> Vec<String> {
    let mut untrue = Vec::new();
    let rows: Vec<_> = bugs.iter().map(|row| (row.bug.clone(), row.change.clone())).collect();
    let wanted: Vec<_> = catalogue().collect();
    for pair @ (bug, change) in &wanted {
        match rows.iter().filter(|row| *row == pair).count() {
            1 => {}
            times => untrue.push(format!("{bug} {change} has {times} rows, not one")),
        }
    }
    if untrue.is_empty() && rows != wanted {
        untrue
            .push("the rows are not in order, or there are more than the catalogue has".to_owned());
    }
    for Bug { bug, change, mutants: ids, reason, .. } in bugs {
        if ids.is_empty() == reason.is_none() {
            untrue
                .push(format!("{bug} {change}: either mutants put it back, or there is a reason"));
        }
        for id in ids {
            match mutants.iter().find(|mutant| mutant.id == *id) {
                None => untrue.push(format!("{bug} {change}: no mutant is called {id}")),
                Some(mutant) => {
                    let named = words(&mutant.origin);
                    for word in [bug.as_str(), change.as_str()] {
                        if !named.contains(word) {
                            untrue.push(format!("mutant {id}: its origin does not name {word}"));
                        }
                    }
                }
            }
        }
    }
    for mutant in mutants {
        let has = |row: &&Bug| row.mutants.contains(&mutant.id);
        let of: BTreeSet<_> =
            bugs.iter().filter(has).flat_map(|row| [row.bug.as_str(), &row.change]).collect();
        let known: BTreeSet<_> = rows.iter().flat_map(|(bug, change)| [bug, change]).collect();
        for word in words(&mutant.origin) {
            if known.iter().any(|known| *known == word) && !of.contains(word) {
                untrue.push(format!("mutant {}: no row of {word} names it", mutant.id));
            }
        }
    }
    untrue
}

/// Every bug with each of its changes, in order.
fn catalogue() -> impl Iterator<Item = (String, String)> {
    (1..=BUGS).flat_map(|bug| {
        let variants = VARIANTS.iter().find(|(of, _)| *of == bug).map_or(&[""][..], |(_, all)| all);
        variants.iter().map(move |letter| (format!("B{bug}"), format!("M{bug}{letter}")))
    })
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<Bug> {
        let line = |(bug, change)| format!("| {bug} | {change} | what | None: it cannot happen. |");
        catalogue().map(|change| row(&line(change)).expect("four columns")).collect()
    }

    fn mutant(origin: &str) -> Mutant {
        let entry = format!(
            "[[mutant]]\nid = \"m\"\norigin = \"{origin}\"\nrule = \"r\"\nwhat = \"w\"\n\
             file = \"f\"\nfind = \"a\"\nreplace = \"b\"\n"
        );
        super::super::parse(&entry).expect("well formed").remove(0)
    }

    #[test]
    fn a_table_that_is_not_true_is_found_out() {
        let says = |table: &[Bug], mutants: &[Mutant]| untrue(table, mutants).join("\n");
        assert_eq!(says(&table(), &[]), "");
        assert_eq!(table().len(), 50, "40 bugs, five of them in two or three changes");
        let first = |line: &str| {
            let mut table = table();
            table[0] = row(line).expect("four columns");
            table
        };
        let found = says(&table()[1..], &[]);
        assert!(found.contains("B1 M1 has 0 rows"), "{found}");
        let mut twisted = table();
        twisted.swap(3, 4);
        assert!(says(&twisted, &[]).contains("not in order"));
        let named = first("| B1 | M1 | what | `m` |");
        assert_eq!(says(&named, &[mutant("Go (B1, M1)")]), "");
        for (table, origin, found) in [
            (first("| B1 | M1 | what | |"), "Go", "either mutants put it back"),
            (named.clone(), "Go (B1)", "its origin does not name M1"),
            (named.clone(), "Go (B1, M1, B2)", "no row of B2 names it"),
            (table(), "Go (B1)", "no row of B1 names it"),
            (first("| B1 | M1 | what | `n` |"), "Go", "no mutant is called n"),
        ] {
            let said = says(&table, &[mutant(origin)]);
            assert!(said.contains(found), "expected `{found}`, found `{said}`");
        }
        assert!(row("| B1 | M1 | two columns |").is_err());
    }
}
