//! Counts the system calls of an operation.
//!
//! Of two runs, one with twice the work of the other: what starting and stopping takes is in both, and drops
//! out. `perf stat` counts in the kernel and hardly disturbs anybody; `strace` stops the program
//! at each call, so with more than one thread it counts a program that behaves otherwise.

use crate::cases::Bench;
use crate::meter::Work;
use crate::report::Cell;
use crate::rounds::{Programs, sample};
use std::error::Error;
use std::process::{Command, Stdio};
use std::{env, fs, process};

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counter {
    Perf,
    Strace,
}

impl Counter {
    /// That of this machine, if it has one.
    pub(crate) fn find() -> Option<Counter> {
        let works = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if works(&["perf", "stat", "-e", "raw_syscalls:sys_enter", "true"]) {
            Some(Counter::Perf)
        } else {
            works(&["strace", "-f", "-c", "true"]).then_some(Counter::Strace)
        }
    }

    /// How it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Counter::Perf => "perf stat -e raw_syscalls:sys_enter",
            Counter::Strace => "strace -f -c",
        }
    }

    /// The system calls of an operation. `None`: most of them would be those of others.
    pub(crate) fn count(
        self,
        programs: &Programs,
        cell: &Cell,
    ) -> Result<Option<f64>, Box<dyn Error>> {
        if cell.case.bench == Bench::Fairness {
            return Ok(None);
        }
        let ops = (cell.work.ops / 5).clamp(10, 5_000);
        let once = self.all(programs, cell, ops)?;
        let twice = self.all(programs, cell, 2 * ops)?;
        Ok(Some((twice - once) / ops as f64))
    }

    fn all(self, programs: &Programs, cell: &Cell, ops: u64) -> Result<f64, Box<dyn Error>> {
        let file = env::temp_dir().join(format!("netpoller-peers-{}", process::id()));
        let path = file.display().to_string();
        let mut words: Vec<String> = match self {
            Counter::Perf => {
                vec!["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", &path, "--"]
            }
            Counter::Strace => vec!["strace", "-f", "-c", "-U", "calls,name", "-o", &path],
        }
        .into_iter()
        .map(str::to_owned)
        .collect();
        let work = Work { ops, ..cell.work };
        words.extend(programs.command(cell.case, cell.peer, work));
        sample(&words, work.warm + work.ops)?;
        let report = fs::read_to_string(&file)?;
        fs::remove_file(&file)?;
        let line = report.lines().find(|line| match self {
            Counter::Perf => line.contains("raw_syscalls:sys_enter"),
            Counter::Strace => line.trim_end().ends_with("total"),
        });
        let first = line.and_then(|line| line.split([',', ' ']).find(|word| !word.is_empty()));
        let number = first.and_then(|word| word.parse().ok());
        number.ok_or_else(|| format!("{}: no number in its report:\n{report}", self.name()).into())
    }
}
