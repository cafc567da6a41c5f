//! One sample: a process that runs one benchmark of one contestant, and prints what it has measured.

use crate::cases::{Bench, Peer};
use crate::meter::Work;
use crate::{may, queues, sys, tasks};
use std::io::Write;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    bench: Bench,
    peer: Peer,
    #[arg(long)]
    ops: u64,
    #[arg(long)]
    warm: u64,
    #[arg(long)]
    param: u64,
    #[arg(long)]
    cores: usize,
}

pub(crate) fn run(arguments: &Args) {
    let &Args { bench, peer, ops, warm, param, cores } = arguments;
    let work = Work { ops, warm, param, cores };
    sys::open_files();
    let sample = match peer {
        Peer::Bare => queues::run::<queues::Bare>(bench, work),
        Peer::Netpoller => queues::run::<queues::Raw>(bench, work),
        Peer::Mio => queues::run::<queues::Mio>(bench, work),
        Peer::Polling => queues::run::<queues::Polling>(bench, work),
        Peer::Local => tasks::run::<tasks::Local>(bench, work),
        Peer::Runtime => tasks::run::<tasks::Workers>(bench, work),
        Peer::Tokio => tasks::run::<tasks::TokioCurrent>(bench, work),
        Peer::TokioMulti => tasks::run::<tasks::TokioMulti>(bench, work),
        Peer::AsyncIo => tasks::run::<tasks::AsyncIo>(bench, work),
        Peer::AsyncIoMulti => tasks::run::<tasks::AsyncIoThreads>(bench, work),
        Peer::May => may::run(bench, work),
        Peer::Go => panic!("Go has a program of its own"),
    };
    let sample = sample.unwrap_or_else(|| panic!("{} has no {}", peer.name(), bench.name()));
    println!("{}", serde_json::to_string(&sample).expect("numbers"));
    std::io::stdout().flush().expect("somebody reads");
    // Threads and coroutines that are still there are left alone.
    std::process::exit(0);
}
