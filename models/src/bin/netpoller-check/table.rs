//! The table of runs, for a terminal and for a page: a row a scenario, a column an engine.

use crate::one::Report;
use crate::verdict::Verdict;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment};
use netpoller_models::suite::Kind;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// What the words in the cells mean.
const LEGEND: [&str; 7] = [
    "Each cell: executions, how far they reach, seconds.",
    "all: every interleaving was gone through, without any bound (a certificate was issued)",
    "end: loom went to the end of its search; it is known to pass over some interleavings",
    "cut: the run stopped at its limit (quick: the pinned number of executions); more would be found by --deep",
    "part: everything below some of the prefixes of an exploration that is divided; others are missing for the whole",
    "sampled: random schedules, or whatever the operating system did",
    "behaviours: how many distinct outcomes there are, per thread, operation and value; ? where no \
     engine with sequentially consistent memory went through everything",
];

/// The cells, without any markup.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The runs of these scenarios on these engines; scenarios of which there are none are left out.
    pub(crate) fn of(scenarios: &[&str], engines: &[Kind], reports: &[Report]) -> Table {
        let by_place: BTreeMap<_, _> =
            reports.iter().map(|r| ((r.scenario.as_str(), r.engine.as_str()), r)).collect();
        let header = ["scenario", "of threads", "behaviours"].into_iter();
        let header = header.chain(engines.iter().map(|kind| kind.name())).map(str::to_owned);
        let row = |name: &&str| {
            let runs: Vec<_> =
                engines.iter().map(|kind| by_place.get(&(*name, kind.name())).copied()).collect();
            if runs.iter().all(Option::is_none) {
                return None;
            }
            let threads = netpoller_models::scenario::find(name);
            let threads = threads.map_or(0, |scenario| scenario.thread_names().len());
            let settled = engines.iter().zip(&runs).find_map(|(kind, run)| {
                run.filter(|report| report.exhaustive && kind.settles_behaviours())
            });
            let behaviours = settled.map_or("?".to_owned(), |run| run.behaviours.to_string());
            let cells = runs.iter().map(|run| run.map_or_else(String::new, cell));
            Some(
                [(*name).to_owned(), threads.to_string(), behaviours]
                    .into_iter()
                    .chain(cells)
                    .collect(),
            )
        };
        Table { header: header.collect(), rows: scenarios.iter().filter_map(row).collect() }
    }

    /// For a terminal.
    pub(crate) fn drawn(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(&self.header);
        for row in &self.rows {
            let cells = row.iter().enumerate().map(|(column, text)| {
                let side = if column == 0 { CellAlignment::Left } else { CellAlignment::Right };
                Cell::new(text).set_alignment(side)
            });
            table.add_row(cells);
        }
        format!("{table}\n{}", LEGEND.join("\n"))
    }

    /// For a page in Markdown: the verdict, what is wrong, the table.
    pub(crate) fn page(&self, title: &str, verdict: &Verdict) -> String {
        let passed = if verdict.is_fine() { "passed" } else { "FAILED" };
        let mut page = format!("## {title}: {passed}\n\n{}\n", verdict.figures());
        for fault in &verdict.faults {
            let cause = fault.cause.lines().next().unwrap_or_default();
            let _ =
                writeln!(page, "\n* **{}**: {}: {}", text(&fault.place), fault.kind, text(cause));
            if !fault.again.is_empty() {
                let _ = writeln!(page, "  again: `{}`", fault.again);
            }
            if !fault.story.is_empty() {
                let story = fault.story.trim_end().replace('&', "&amp;").replace('<', "&lt;");
                let _ = writeln!(
                    page,
                    "\n<details><summary>what happened</summary>\n\n<pre>\n{story}\n</pre>\n</details>"
                );
            }
        }
        let line = |cells: &[String]| {
            let cells: Vec<_> = cells.iter().map(|cell| text(cell)).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        page += &format!("\n{}|---|{}\n", line(&self.header), "--:|".repeat(self.header.len() - 1));
        self.rows.iter().for_each(|row| page += &line(row));
        page += "\n";
        LEGEND.iter().for_each(|entry| page += &format!("* {entry}\n"));
        page
    }
}

/// In Markdown, and in a cell of it.
fn text(plain: &str) -> String {
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace('*', "\\*")
}

/// How a run went, in a few words.
pub(crate) fn cell(report: &Report) -> String {
    if let Some(failure) = &report.failure {
        return format!("FAILED: {}", failure.kind);
    }
    let reach = report.reach.split(' ').next().unwrap_or_default();
    format!("{} {reach} {:.1}", report.executions, report.seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Demand;

    #[test]
    fn a_page_says_what_failed_and_why_and_keeps_the_story_from_being_markup() {
        let story = "   3  reader  load  setup.4 <- 0x1\n".to_owned();
        let failed = Report::died("park_close", "explore", "deadlock", "a | b waits".into(), story);
        let reports = [failed];
        let verdict = Verdict::on(&reports, Demand::default());
        let page = Table::of(&["park_close", "park_ready"], Kind::ALL, &reports)
            .page("Race verification", &verdict);
        assert!(
            page.starts_with("## Race verification: FAILED\n\n1 runs: 0 exhaustive, 1 failed;")
        );
        assert!(page.contains("* **park_close on explore**: deadlock: a \\| b waits"), "{page}");
        assert!(page.contains("load  setup.4 &lt;- 0x1"), "{page}");
        assert!(page.contains("| FAILED: deadlock |"), "{page}");
        assert!(!page.contains("park_ready"), "a scenario that was not run has a row:\n{page}");
        let columns: Vec<_> = page
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.replace("\\|", "").matches('|').count())
            .collect();
        assert_eq!(columns.len(), 3, "{page}");
        assert!(columns.iter().all(|count| *count == columns[0]), "ragged:\n{page}");
    }
}
