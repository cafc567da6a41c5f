//! An HTTP/1.1 server: hyper over the streams of netpoller, on its runtime.
//!
//! ```text
//! cargo run --release                      # says where it listens; ends when its input does (Ctrl-D)
//! cargo run --release -- --address 127.0.0.1:8080 --workers 2 --idle-ms 5000 --request-ms 30000 --grace-ms 10000
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `adapter` | hyper's traits for whatever has those of `futures-io` |
//! | `connection` | the task of a connection: its deadlines, and how it ends |
//! | `service` | the routes, and the bodies that they answer with |
//! | `stop` | the end of the server, told to every connection |
//! | `books` | what has happened, counted; at the end it has to balance |
//!
//! # How it ends
//!
//! The listener is closed, so nobody new comes in. Every connection is told: one that is idle ends at once,
//! one that is in the middle of a request ends after it. Those that have not come to an end when the grace
//! period is over are cancelled by the shutdown of the runtime. Then the counters are printed, and an
//! imbalance is a failure.

mod adapter;
mod books;
mod connection;
mod service;
mod stop;

use books::Books;
use connection::Limits;
use netpoller::runtime::{Builder, Report, Runtime, sleep, spawn};
use netpoller::{Reason, TcpListener};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use stop::Stop;

/// What is said on the command line.
struct Options {
    address: SocketAddr,
    workers: Option<usize>,
    limits: Limits,
    grace: Duration,
}

impl Options {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Options, String> {
        let limits = Limits { idle: Duration::from_secs(5), request: Duration::from_secs(30) };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut options =
            Options { address, workers: None, limits, grace: Duration::from_secs(10) };
        let mut arguments = arguments;
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} is followed by nothing"))?;
            let wrong = |error: &dyn std::fmt::Display| format!("{name} {value}: {error}");
            let millis = || value.parse().map(Duration::from_millis).map_err(|e| wrong(&e));
            match name.as_str() {
                "--address" => options.address = value.parse().map_err(|e| wrong(&e))?,
                "--workers" => options.workers = Some(value.parse().map_err(|e| wrong(&e))?),
                "--idle-ms" => options.limits.idle = millis()?,
                "--request-ms" => options.limits.request = millis()?,
                "--grace-ms" => options.grace = millis()?,
                _ => return Err(format!("{name} is no option")),
            }
        }
        Ok(options)
    }
}

/// Accepts until the listener is closed.
async fn serve(listener: Arc<TcpListener>, limits: Limits, books: Arc<Books>, stop: Arc<Stop>) {
    loop {
        match listener.async_accept().await {
            Ok((stream, _from)) => {
                let connection =
                    connection::serve(stream, limits, Arc::clone(&books), Arc::clone(&stop));
                drop(spawn(connection));
            }
            Err(error) if Reason::of(&error) == Some(Reason::Closed) => return,
            Err(error) => {
                // The table of descriptors is full, most likely. The connection stays where it is.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

fn open_numbers() -> io::Result<usize> {
    Ok(std::fs::read_dir("/proc/self/fd")?.count())
}

/// Serves until the input ends; `false`: the books do not balance.
fn run(options: Options) -> io::Result<bool> {
    let before = open_numbers()?;
    let builder = Builder::new().thread_name("http");
    let builder = match options.workers {
        Some(workers) => builder.workers(workers),
        None => builder,
    };
    let runtime: Runtime = builder.build()?;
    let poller = runtime.poller().clone();
    let listener = Arc::new(TcpListener::bind_on(&poller, options.address)?);
    let (books, stop) = (Arc::new(Books::default()), Arc::new(Stop::default()));
    let (theirs, told) = (Arc::clone(&books), Arc::clone(&stop));
    drop(runtime.spawn(serve(Arc::clone(&listener), options.limits, theirs, told)));
    println!("listening on {}", listener.local_addr()?);

    io::stdin().read_to_end(&mut Vec::new())?;

    listener.close()?;
    stop.now();
    let report: Report = runtime.shutdown(options.grace);
    drop(listener);
    let stats = poller.stats();
    drop(poller);
    let after = open_numbers()?;

    println!("tasks: {} have ended, {} were cancelled", report.completed, report.cancelled);
    println!("{books}");
    let mut wrong = books.imbalances();
    let mut equal = |what: &str, left: u64, right: u64| {
        if left != right {
            wrong.push(format!("{what}: {left}, and not {right}"));
        }
    };
    equal("sources that are registered", stats.registered, 0);
    equal("tasks that are parked", stats.parked, 0);
    equal("numbers that are open", after as u64, before as u64);
    equal("tasks that were cancelled, of connections", report.cancelled, books.cancelled());
    for imbalance in &wrong {
        println!("IMBALANCE: {imbalance}");
    }
    if wrong.is_empty() {
        println!("the books balance");
    }
    Ok(wrong.is_empty())
}

fn main() -> ExitCode {
    let options = match Options::of(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("http-server: {wrong}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("http-server: {error}");
            ExitCode::FAILURE
        }
    }
}
