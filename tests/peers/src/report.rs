//! What is left behind: tables in Markdown, all samples in JSON, charts in SVG.
//!
//! A figure in a table is the median of the samples, of what each of them gives as its own median, or its p99.

use crate::calls::Counter;
use crate::cases::{Bench, Case, Figure, Peer};
use crate::chart;
use crate::meter::{Sample, Work};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// One contestant of one benchmark.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) case: &'static Case,
    pub(crate) peer: Peer,
    pub(crate) work: Work,
    pub(crate) samples: Vec<Sample>,
    /// System calls for one operation, where they were counted.
    pub(crate) calls: Option<f64>,
}

impl Cell {
    pub(crate) fn new(case: &'static Case, peer: Peer, work: Work) -> Cell {
        Cell { case, peer, work, samples: Vec::new(), calls: None }
    }

    /// How many connections the clients make for a sample, if it is of that kind.
    pub(crate) fn connections(&self) -> u64 {
        self.work.warm + self.work.ops
    }

    /// A part of the samples lies below.
    fn at(&self, part: f64, of: impl Fn(&Sample) -> f64) -> f64 {
        let mut all: Vec<f64> = self.samples.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        let place = (all.len() - 1) as f64 * part;
        let (low, high) = (all[place.floor() as usize], all[place.ceil() as usize]);
        low + (high - low) * place.fract()
    }

    pub(crate) fn p50(&self) -> f64 {
        self.at(0.5, |sample| sample.p50)
    }

    pub(crate) fn p99(&self) -> f64 {
        self.at(0.5, |sample| sample.p99)
    }

    fn processor(&self) -> f64 {
        self.at(0.5, |sample| sample.processor)
    }

    /// How far the middle half of the samples is apart, as a part of the median.
    fn spread(&self) -> f64 {
        let quartiles = self.at(0.75, |sample| sample.p50) - self.at(0.25, |sample| sample.p50);
        quartiles / self.p50()
    }

    fn resident(&self) -> f64 {
        self.at(0.5, |sample| sample.resident_kib as f64) * 1024.0
    }

    fn early(&self) -> u64 {
        self.samples.iter().map(|sample| sample.early).sum()
    }
}

/// A run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) cells: Vec<Cell>,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    pub(crate) quick: bool,
    pub(crate) counter: Option<Counter>,
    pub(crate) go: Option<String>,
}

/// Between these lines of a page the tables are replaced.
const BEGIN: &str = "<!-- peers: begin -->";
const END: &str = "<!-- peers: end -->";

/// Writes everything into the folder.
pub(crate) fn write(report: &Report, out: &Path) -> Result<(), Box<dyn Error>> {
    let table = markdown(report);
    print!("{table}");
    fs::write(out.join("peers.md"), &table)?;
    fs::write(out.join("peers.json"), serde_json::to_string_pretty(&values(report))?)?;
    for cells in report.cells.chunk_by(|one, other| one.case.id == other.case.id) {
        fs::write(out.join(format!("{}.svg", cells[0].case.id)), chart::bars(cells))?;
    }
    let idle: Vec<&Cell> =
        report.cells.iter().filter(|cell| cell.case.bench == Bench::Idle).collect();
    if !idle.is_empty() {
        fs::write(out.join("idle.svg"), chart::lines(&idle))?;
    }
    eprintln!("{}: peers.md, peers.json and a chart for each table", out.display());
    Ok(())
}

/// Replaces what is between the two marks of a page.
pub(crate) fn put_into(page: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(page)?;
    let table = fs::read_to_string(out.join("peers.md"))?;
    let missing = || format!("{}: there is no {BEGIN} with {END} behind it", page.display());
    let (before, rest) = text.split_once(BEGIN).ok_or_else(missing)?;
    let (_old, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(fs::write(page, format!("{before}{BEGIN}\n{table}{END}{after}"))?)
}

/// The version of a package that this program was built with.
fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let entry = format!("name = \"{name}\"\nversion = \"");
    let found = lock.split_once(&entry).and_then(|(_, rest)| rest.split_once('"'));
    found.map_or("?", |(version, _)| version)
}

/// Line by line: what is in a file of /proc behind this word.
fn proc(file: &str, word: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(word)).unwrap_or_default();
    line[word.len().min(line.len())..].trim_matches([' ', '\t', ':']).to_owned()
}

fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = proc("/proc/cpuinfo", "model name");
    format!("Linux {}, {cores} cores of {cpu}", kernel.trim())
}

fn versions(report: &Report) -> String {
    let mut all: Vec<String> = ["tokio", "mio", "polling", "may", "async-io", "async-executor"]
        .iter()
        .map(|name| format!("{name} {}", version(name)))
        .collect();
    all.push(match &report.go {
        Some(go) => go.clone(),
        None => "Go is missing: it was not found".to_owned(),
    });
    all.join(", ")
}

fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    if report.quick {
        line(
            "**A quick run: it shows that everything works. Its figures are worth nothing.**\n"
                .into(),
        );
    }
    line(format!("{}. {}.", machine(), versions(report)));
    line(format!(
        "{} rounds, each sample a process of its own, in an order drawn from --seed {}; the median of the samples. \
         Times in nanoseconds. *Spread*: how far the middle half of the samples is apart. *Ours*: the time as a \
         multiple of that of this runtime (of this poller where it stands alone); above 1 is slower than ours. *Processor*: the time of all cores for one operation, by the \
         median of the samples; it depends less on what else the machine does. System calls: {}.",
        report.rounds,
        report.seed,
        match report.counter {
            Some(counter) => format!("`{}`, the slope between two runs", counter.name()),
            None => "not counted".to_owned(),
        }
    ));
    for cells in report.cells.chunk_by(|one, other| group(one) == group(other)) {
        line(String::new());
        line(match cells[0].case.bench {
            Bench::Idle | Bench::Precision => matrix(cells),
            _ => table(cells),
        });
    }
    text
}

/// Rows that belong into one table.
fn group(cell: &Cell) -> &'static str {
    match cell.case.bench {
        Bench::Idle => "idle",
        Bench::Precision => "precision",
        _ => cell.case.id,
    }
}

/// Who the others are compared with.
fn reference<'a>(cells: &[&'a Cell]) -> Option<&'a Cell> {
    let first = if cells.first()?.case.cores > 1 { Peer::Runtime } else { Peer::Local };
    let find = |peer| cells.iter().find(|cell| cell.peer == peer).copied();
    find(first).or_else(|| find(Peer::Netpoller))
}

fn ratio(cell: &Cell, to: Option<&Cell>) -> String {
    to.map_or(String::new(), |to| format!("{:.2}", cell.p50() / to.p50()))
}

/// The memory of the process that one more idle descriptor takes, with whoever waits to read from it.
fn bytes_each(few: &Cell, many: &Cell) -> String {
    let more = many.work.param.saturating_sub(few.work.param);
    match more {
        0 => "?".to_owned(),
        more => nanos(((many.resident() - few.resident()) / more as f64).round()),
    }
}

fn calls(cell: &Cell) -> String {
    cell.calls.map_or("?".to_owned(), |calls| format!("{:.1}", calls.abs()))
}

fn title(cell: &Cell) -> String {
    let title = cell.peer.title();
    if cell.peer.ours() { format!("**{title}**") } else { title.to_owned() }
}

fn table(cells: &[Cell]) -> String {
    let case = cells[0].case;
    let mut sorted: Vec<&Cell> = cells.iter().collect();
    sorted.sort_by(|one, other| one.p50().total_cmp(&other.p50()));
    let floor = sorted.iter().find(|cell| cell.peer == Peer::Bare).copied();
    let ours = reference(&sorted);
    let mut text = format!("### {}\n\n{}\n\n", case.title, case.about);
    let tail = match case.figure {
        Figure::Each => "p99 of batches",
        Figure::Latency => "p99",
    };
    let processor = if case.figure == Figure::Each { " processor |" } else { "" };
    let column = if case.figure == Figure::Each { "---:|" } else { "" };
    let _ = writeln!(text, "| | p50 | spread | {tail} | floor | ours |{processor} system calls |");
    let _ = writeln!(text, "|---|---:|---:|---:|---:|---:|{column}---:|");
    for cell in sorted {
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} % | {} | {} | {} |{} {} |",
            title(cell),
            nanos(cell.p50()),
            100.0 * cell.spread(),
            nanos(cell.p99()),
            ratio(cell, floor),
            ratio(cell, ours),
            match case.figure {
                Figure::Each => format!(" {} |", nanos(cell.processor())),
                Figure::Latency => String::new(),
            },
            calls(cell),
        );
    }
    if case.bench == Bench::Churn {
        let grown = cells.iter().map(|cell| {
            let most = cell.samples.iter().map(|sample| sample.grown_kib).max().unwrap_or(0);
            format!("{} {most}", cell.peer.title().replace(", ", " "))
        });
        let grown = grown.collect::<Vec<_>>().join(", ");
        let _ = write!(
            text,
            "\nBy how much memory has grown meanwhile, in KiB, the most of all samples: {grown}."
        );
    }
    text.trim_end().to_owned()
}

/// A column for each case, a row for each contestant.
fn matrix(cells: &[Cell]) -> String {
    let idle = cells[0].case.bench == Bench::Idle;
    let mut columns: Vec<&Cell> = Vec::new();
    for cell in cells {
        if columns.iter().all(|column| column.case.id != cell.case.id) {
            columns.push(cell);
        }
    }
    let last = columns.last().expect("there is a case");
    let (title_of, about) = if idle {
        ("Idle descriptors", cells[0].case.about)
    } else {
        (
            "Precision of deadlines",
            "A read of a descriptor on which nothing happens ends at its deadline: by how much \
            too late, p50 and p99. On one core.",
        )
    };
    let mut text = format!("### {title_of}\n\n{about}\n\n|");
    for column in &columns {
        let param = column.work.param;
        let _ = match idle {
            true => write!(text, " | {}", nanos(param as f64)),
            false => write!(text, " | {} us", nanos(param as f64)),
        };
    }
    let _ = match idle {
        true => writeln!(text, " | last / first | ours | system calls | bytes for each idle one |"),
        false => writeln!(text, " | too early |"),
    };
    let more = if idle { 4 } else { 1 };
    let _ = writeln!(text, "|---|{}", "---:|".repeat(columns.len() + more));
    let mut peers: Vec<&Cell> = cells.iter().filter(|cell| cell.case.id == last.case.id).collect();
    let ours = reference(&peers);
    peers.sort_by(|one, other| one.p50().total_cmp(&other.p50()));
    for end in peers {
        let row: Vec<&Cell> = cells.iter().filter(|cell| cell.peer == end.peer).collect();
        let _ = write!(text, "| {}", title(end));
        for column in &columns {
            let cell = row.iter().find(|cell| cell.case.id == column.case.id);
            let _ = match cell {
                None => write!(text, " |"),
                Some(cell) if idle => write!(text, " | {}", nanos(cell.p50())),
                Some(cell) => write!(text, " | {} / {}", nanos(cell.p50()), nanos(cell.p99())),
            };
        }
        let _ = match idle {
            true => {
                writeln!(
                    text,
                    " | {} | {} | {} | {} |",
                    ratio(end, row.first().copied()),
                    ratio(end, ours),
                    calls(end),
                    row.first().map_or("?".to_owned(), |first| bytes_each(first, end)),
                )
            }
            false => writeln!(text, " | {} |", row.iter().map(|cell| cell.early()).sum::<u64>()),
        };
    }
    text.trim_end().to_owned()
}

/// A number with separators, and with a decimal if it is small.
pub(crate) fn nanos(number: f64) -> String {
    if number < 100.0 && number.fract() != 0.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn values(report: &Report) -> Value {
    let cells = report.cells.iter().map(|cell| {
        json!({
            "benchmark": cell.case.id,
            "contestant": cell.peer.name(),
            "cores": cell.work.cores,
            "operations": cell.work.ops,
            "warm_up": cell.work.warm,
            "parameter": cell.work.param,
            "p50_ns": cell.p50(),
            "p99_ns": cell.p99(),
            "processor_ns": cell.processor(),
            "system_calls": cell.calls,
            "samples": cell.samples,
        })
    });
    json!({
        "seed": report.seed,
        "rounds": report.rounds,
        "quick": report.quick,
        "machine": machine(),
        "load": proc("/proc/loadavg", ""),
        "versions": versions(report),
        "system_calls_by": report.counter.map(Counter::name),
        "results": cells.collect::<Vec<_>>(),
    })
}
