//! Starts the processes: round by round, all contestants of all benchmarks in an order that is drawn.

use crate::cases::{Bench, CASES, Case, Peer};
use crate::meter::{Sample, Work};
use crate::report::{self, Cell, Report};
use crate::{Options, calls, go, load, sys};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Pid, Signal, kill_process};
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

type Anything<T> = Result<T, Box<dyn Error>>;

/// The programs that samples are made with.
#[derive(Debug)]
pub(crate) struct Programs {
    this: PathBuf,
    go: Option<PathBuf>,
}

impl Programs {
    /// What runs one sample.
    pub(crate) fn command(&self, case: &Case, peer: Peer, work: Work) -> Vec<String> {
        let mut words = match (peer, &self.go) {
            (Peer::Go, Some(go)) => vec![go.display().to_string(), case.bench.name()],
            _ => vec![
                self.this.display().to_string(),
                "sample".to_owned(),
                case.bench.name(),
                peer.name(),
            ],
        };
        let Work { ops, warm, param, cores } = work;
        for (name, value) in
            [("ops", ops), ("warm", warm), ("param", param), ("cores", cores as u64)]
        {
            words.extend([format!("--{name}"), value.to_string()]);
        }
        words
    }
}

/// After how long a sample counts as hung: the longest one takes a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Kills a process that hangs.
#[derive(Debug)]
struct Watch {
    over: Sender<()>,
    thread: JoinHandle<bool>,
}

fn watch(child: &Child) -> Watch {
    let process = Pid::from_child(child);
    let (over, wait) = channel();
    let thread = spawn(move || {
        let hangs = wait.recv_timeout(PATIENCE).is_err();
        // It has not been waited for, so its number is its own.
        hangs && kill_process(process, Signal::KILL).is_ok()
    });
    Watch { over, thread }
}

impl Watch {
    /// The process has ended. Returns whether it was killed.
    fn finished(self) -> bool {
        let _killed = self.over.send(());
        self.thread.join().expect("no panic")
    }
}

/// Runs a sample to its end, and returns what it has printed last.
pub(crate) fn sample(words: &[String], connections: u64) -> Anything<Sample> {
    let said = || words.join(" ");
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", said()))?;
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let watch = watch(&child);
    let mut sample = None;
    for line in stdout.lines() {
        let line = line?;
        if let Some(port) = line.strip_prefix("port ") {
            load::connect(port.parse()?, connections)?;
        } else {
            sample = Some(serde_json::from_str(&line)?);
        }
    }
    let killed = watch.finished();
    let status = child.wait()?;
    if killed {
        let seconds = PATIENCE.as_secs();
        return Err(format!("{}: it hangs, and was killed after {seconds} s", said()).into());
    }
    if !status.success() {
        return Err(format!("{}: {status}", said()).into());
    }
    sample.ok_or_else(|| format!("{}: it printed no sample", said()).into())
}

/// The benchmarks and contestants that were asked for.
fn chosen(options: &Options, programs: &Programs) -> Anything<Vec<(&'static Case, Peer)>> {
    let exact = |name: &str| CASES.iter().any(|case| case.id == name);
    let meant = |name: &str, id: &str| id == name || !exact(name) && id.starts_with(name);
    let asked =
        |id: &str| options.bench.is_empty() || options.bench.iter().any(|name| meant(name, id));
    let mut all = Vec::new();
    // A quick run has no time to open many descriptors.
    let few = |case: &Case| !(options.quick && case.bench == Bench::Idle && case.param > 1_000);
    for case in CASES.iter().filter(|case| asked(case.id) && few(case)) {
        let peers = case.peers.iter().copied();
        let peers = peers.filter(|peer| options.peer.is_empty() || options.peer.contains(peer));
        let there = peers.filter(|&peer| peer != Peer::Go || programs.go.is_some());
        all.extend(there.map(|peer| (case, peer)));
    }
    if all.is_empty() {
        return Err("no benchmark has such a name; `--list` has all of them".into());
    }
    Ok(all)
}

/// Everything: measures, counts, reports.
pub(crate) fn run(options: &Options) -> Anything<()> {
    if options.list {
        for Case { id, title, peers, .. } in CASES {
            let peers: Vec<_> = peers.iter().map(|peer| peer.name()).collect();
            println!("{id:20} {title}: {}", peers.join(", "));
        }
        return Ok(());
    }
    fs::create_dir_all(&options.out)?;
    let built = go::build(options.go.as_deref(), &options.out);
    if let Err(why) = &built {
        eprintln!("Go is left out: {why}");
    }
    let programs = Programs { this: std::env::current_exe()?, go: built.ok() };
    let chosen = chosen(options, &programs)?;
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    let rounds = if options.quick { options.rounds.min(2) } else { options.rounds };
    eprintln!(
        "{} pairs of a benchmark and a contestant, {rounds} rounds, --seed {seed}",
        chosen.len()
    );

    let allowed = sys::cores()?;
    let mut cells: Vec<Cell> =
        chosen.iter().map(|&(case, peer)| Cell::new(case, peer, case.work(options))).collect();
    let counts = if options.no_calls { 0 } else { cells.len() };
    let progress = ProgressBar::new((cells.len() * rounds as usize + counts) as u64);
    progress.set_style(ProgressStyle::with_template(
        "{elapsed_precise} [{bar:32}] {pos}/{len} {msg}, {eta} left",
    )?);
    let mut random = fastrand::Rng::with_seed(seed);
    let begin = Instant::now();
    for round in 1..=rounds {
        let mut order: Vec<_> = (0..cells.len()).collect();
        random.shuffle(&mut order);
        for place in order {
            let cell = &mut cells[place];
            progress.set_message(format!("{} of {}", cell.case.id, cell.peer.name()));
            sys::use_cores(&allowed, cell.case.cores)?;
            let words = programs.command(cell.case, cell.peer, cell.work);
            cell.samples.push(sample(&words, cell.connections())?);
            progress.inc(1);
        }
        // Where there is no terminal to draw a bar on.
        if progress.is_hidden() {
            eprintln!("round {round} of {rounds} is over, after {} s", begin.elapsed().as_secs());
        }
    }
    let counter = if options.no_calls { None } else { calls::Counter::find() };
    if let Some(counter) = &counter {
        for cell in &mut cells {
            progress.set_message(format!("system calls of {}", cell.case.id));
            sys::use_cores(&allowed, cell.case.cores)?;
            cell.calls = counter.count(&programs, cell)?;
            progress.inc(1);
        }
    }
    sys::use_all(&allowed)?;
    progress.finish_and_clear();
    let go = programs.go.as_deref().map(|go: &Path| go::version(go));
    let report = Report { cells, seed, rounds, quick: options.quick, counter, go };
    report::write(&report, &options.out)?;
    match &options.into {
        Some(page) => report::put_into(page, &options.out),
        None => Ok(()),
    }
}
