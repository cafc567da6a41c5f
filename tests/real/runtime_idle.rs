//! Idle means idle: the workers of a runtime that has nothing to do do not run at all.

use netpoller::runtime::{Builder, sleep};
use netpoller_spec::election::Polling;
use netpoller_tests::in_child;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

/// What /proc says of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    name: String,
    asleep: bool,
    /// Context switches so far, those that it wanted and those that it did not.
    switches: [u64; 2],
}

/// The threads of this process whose names begin like this.
fn threads(prefix: &str) -> BTreeMap<String, Seen> {
    let mut found = BTreeMap::new();
    for thread in fs::read_dir("/proc/self/task").expect("Linux has /proc") {
        let thread = thread.expect("a thread");
        let status = match fs::read_to_string(thread.path().join("status")) {
            Ok(status) => status,
            Err(error) if error.kind() == ErrorKind::NotFound => continue, // it has ended
            Err(error) => panic!("the status of a thread of this process: {error}"),
        };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
        };
        let number = |name| field(name).parse().expect("a number");
        let name = field("Name");
        if name.starts_with(prefix) {
            let switches =
                [number("voluntary_ctxt_switches"), number("nonvoluntary_ctxt_switches")];
            let asleep = field("State").starts_with('S');
            let id = thread.file_name().into_string().expect("a number");
            found.insert(id, Seen { name, asleep, switches });
        }
    }
    found
}

#[test]
fn idle_workers_make_no_system_calls_and_do_not_wake_up() {
    in_child("idle_workers_make_no_system_calls_and_do_not_wake_up", || {
        for workers in [1, 4] {
            let runtime = Builder::new().workers(workers).thread_name("idler").build();
            let runtime = runtime.expect("threads and an event queue");
            let (a, b) = runtime.poller().stream_pair().expect("a pair");
            // Idle is not empty: one waits for a byte, one for an instant, one for nothing.
            drop(runtime.spawn(async move { a.async_read(&mut [0]).await }));
            drop(runtime.spawn(async { sleep(Duration::from_secs(3600)).await }));
            drop(runtime.spawn(std::future::pending::<()>()));
            runtime.spawn(async {}).join().expect("no panic");
            let settled = || {
                let word = runtime.idle();
                let lie =
                    word.polling() == Polling::Worker && word.parked() as usize == workers - 1;
                lie.then(|| threads("idler")).filter(|all| all.values().all(|seen| seen.asleep))
            };
            let before = loop {
                match settled() {
                    Some(before) => break before,
                    None => thread::yield_now(),
                }
            };
            assert_eq!(before.len(), workers, "{before:?}");
            thread::sleep(Duration::from_secs(1));
            // A thread that is asleep before and after, and was not switched to, has not run: it has made no
            // system call either.
            assert_eq!(
                threads("idler"),
                before,
                "{workers} workers had nothing to do for a second"
            );
            drop(b);
        }
    });
}

#[test]
fn a_worker_that_has_run_is_seen() {
    // The counters do count: else the test above could not fail.
    in_child("a_worker_that_has_run_is_seen", || {
        let runtime = Builder::new().workers(1).thread_name("idler").build().expect("a thread");
        runtime.spawn(async {}).join().expect("no panic");
        let before = threads("idler");
        for _ in 0..100 {
            runtime.spawn(async {}).join().expect("no panic");
            while runtime.idle().polling() != Polling::Worker {
                thread::yield_now();
            }
        }
        let after = threads("idler");
        let sum =
            |all: &BTreeMap<String, Seen>| all.values().flat_map(|seen| seen.switches).sum::<u64>();
        let more = sum(&after) - sum(&before);
        assert!(more >= 50, "100 tasks, one after the other, and {more} switches");
    });
}
