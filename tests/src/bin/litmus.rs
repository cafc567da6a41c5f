//! The litmus programs, many rounds on this kernel, against what the simulated kernel allows.
//!
//! Usage: `litmus [rounds] [seed] [file]`. With a file, what was seen is written there, in the
//! format of `models/vectors/litmus.json`. Fails if an outcome was seen that is not allowed.

#![forbid(unsafe_code)]

use netpoller_models::litmus::{self, Row};
use netpoller_tests::litmus::{record, release};
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(Ok(100_000), |text| text.parse())?;
    let seed = arguments.next().map_or(Ok(1), |text| text.parse())?;
    let file = arguments.next();

    let mut allowed = Vec::new();
    for program in litmus::catalogue() {
        let allows = litmus::allowed(&program);
        allows.run.assert_exhaustive();
        allowed.push(allows.outcomes);
    }
    println!("Linux {}, {rounds} rounds each, seed {seed}\n", release());
    let (mut rows, mut place) = (Vec::new(), 0);
    let recorded = record(&litmus::catalogue(), rounds, seed, |name, seen| {
        let allowed = allowed[place].clone();
        place += 1;
        let row = Row::new(name, seen, allowed);
        println!("{row}");
        rows.push(row);
    });
    println!("{}", Row::table(&rows));
    if let Some(file) = file {
        std::fs::write(&file, recorded.text()?)?;
    }
    let outside: usize = rows.iter().map(|row| row.outside().len()).sum();
    println!("{outside} outcomes outside of what the simulated kernel allows");
    Ok(if outside == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
