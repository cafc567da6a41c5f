//! `cargo verify differential`: random programs on this machine's kernel and on the simulated one.
//!
//! The programs are those of consecutive seeds, so that a run that is interrupted can be taken up
//! again and a program is found again by its seed alone.

use crate::Error;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How many programs.
    #[arg(long, default_value_t = 100_000)]
    programs: u64,
    /// The seed of the first one; chosen by the clock if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// How many different programs to shrink and show before giving up.
    #[arg(long, default_value_t = 1)]
    show: usize,
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn main(_: &Arguments) -> Result<ExitCode, Error> {
    Err("there is no kernel here to compare with: it has to be Linux".into())
}

#[cfg(target_os = "linux")]
pub(crate) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    use netpoller::seam::Os;
    use netpoller_models::kernel::{Config, SimKernel};
    use netpoller_models::vectors::{Op, RealKernel, compare, random};

    let seed = arguments.seed.map_or_else(clock, Ok)?;
    let programs = arguments.programs;
    println!("{programs} programs from seed {seed} on");
    let (mut waits, mut events, mut operations, mut different) = (0, 0, 0, 0);
    for number in 0..programs {
        let seed = seed.wrapping_add(number);
        let config = Config { edges_during_harvest: seed % 2 == 0, ..Config::linux() };
        let simulated = || SimKernel::<Os>::new(config);
        let name = format!("seed {seed}");
        match compare(&name, random::program(seed), RealKernel::new, simulated) {
            Ok(program) => {
                operations += program.steps.len();
                for step in &program.steps {
                    waits += usize::from(matches!(step.op, Op::EpollWait { .. }));
                    events += step.events.len();
                }
            }
            Err(found) => {
                println!("{found}");
                different += 1;
                if different == arguments.show {
                    break;
                }
            }
        }
        if (number + 1) % 10_000 == 0 {
            println!("{} programs, {different} different", number + 1);
        }
    }
    println!("{operations} operations, {waits} waits, {events} events; {different} different");
    Ok(if different == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A seed that nobody has chosen.
#[cfg(target_os = "linux")]
fn clock() -> Result<u64, Error> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_nanos() & u128::from(u32::MAX))?)
}
