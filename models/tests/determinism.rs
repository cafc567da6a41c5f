//! The same seed gives the same trace, byte for byte: of a program of several threads under the
//! sampling engine, step by step, and of a program of one thread, call by call.

use netpoller::seam::{Address, HowToShut, Kind, Timeout};
use netpoller_models::engine::{Engine, Limits, Plan, Shuttle};
use netpoller_models::kernel::{Config, Control, Errno, Raw, SimKernel, mask};
use netpoller_models::vectors::{random, record};
use std::collections::BTreeSet;

type Sim = SimKernel<Shuttle>;

/// What the trace of a run ends with: an execution that fails is the one whose story is kept.
const END: &str = "this is the end of the trace";

/// What each thread does.
const ACTIONS: usize = 25;

const EVERYTHING: u32 = mask::IN | mask::OUT | mask::RDHUP;

/// A generator of numbers with a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }
}

fn loopback() -> Address {
    Address::Inet((std::net::Ipv4Addr::LOCALHOST, 80).into())
}

/// The numbers that all threads know.
#[derive(Clone, Copy)]
struct Numbers {
    queue: i32,
    objects: [i32; 6],
    listener: i32,
}

fn open(raw: &Raw<'_, Shuttle>) -> Numbers {
    let queue = raw.epoll_create().unwrap();
    let (read, write) = raw.pipe().unwrap();
    let (a, b) = raw.socketpair(Kind::Stream).unwrap();
    let (eventfd, listener) =
        (raw.eventfd(0).unwrap(), raw.socket(&loopback(), Kind::Stream).unwrap());
    raw.bind(listener, &loopback()).unwrap();
    raw.listen(listener, 1).unwrap();
    Numbers { queue, objects: [read, write, a, b, eventfd, listener], listener }
}

/// One call; what it said, as a number.
fn act(raw: &Raw<'_, Shuttle>, numbers: &Numbers, dice: &mut Dice) -> u64 {
    let count = |result: Result<usize, Errno>| match result {
        Ok(count) => count as u64,
        Err(Errno(number)) => 1000 + u64::from(number.unsigned_abs()),
    };
    let object = numbers.objects[usize::try_from(dice.below(6)).unwrap()];
    match dice.below(8) {
        0 => count(raw.write(object, &[7; 8])),
        1 => count(raw.read(object, &mut [0; 8])),
        2 => {
            let label = dice.below(100);
            let options = if dice.below(2) == 0 { mask::ET } else { mask::ONESHOT };
            let add = Control::Add(EVERYTHING | options, label);
            count(raw.epoll_ctl(numbers.queue, object, add).map(|()| 0))
        }
        3 => count(raw.epoll_ctl(numbers.queue, object, Control::Delete).map(|()| 0)),
        4 => {
            let client = raw.socket(&loopback(), Kind::Stream).unwrap();
            let begun = raw.connect(client, &loopback()).map(|()| 0);
            raw.write(client, b"hello").ok();
            raw.close(client).unwrap();
            count(begun)
        }
        5 => match raw.accept(numbers.listener) {
            Ok(server) => {
                let read = raw.read(server, &mut [0; 8]);
                raw.shutdown(server, HowToShut::Write).ok();
                raw.close(server).unwrap();
                count(read)
            }
            Err(error) => count(Err(error)),
        },
        _ => {
            let reports = raw.epoll_wait(numbers.queue, 2, Timeout::Zero).unwrap();
            reports.iter().fold(reports.len() as u64, |sum, report| {
                sum.wrapping_mul(31) ^ report.data ^ u64::from(report.bits)
            })
        }
    }
}

/// The trace of one execution: every operation of every thread, and what came of it.
fn trace(seed: u64) -> String {
    let build = move || {
        let config = Config { edges_during_harvest: true, ..Config::small() };
        let kernel = Sim::new(config);
        let numbers = open(&kernel.raw());
        let mut plan = Plan::new();
        for (place, name) in (1..).zip(["first", "second", "third"]) {
            let kernel = kernel.clone();
            plan = plan.thread(name, move || {
                let mut dice = Dice((seed << 8 | place).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
                for _ in 0..ACTIONS {
                    Shuttle::note("said", act(&kernel.raw(), &numbers, &mut dice));
                }
            });
        }
        plan.finally(|| panic!("{END}"))
    };
    let outcome = Shuttle::run(build, &Limits { rounds: 1, seed, ..Limits::default() });
    let failure = outcome.expect_failure();
    assert!(failure.message.contains(END), "{failure}");
    failure.to_string()
}

#[test]
fn the_same_seed_gives_the_same_trace_of_several_threads() {
    let mut traces = BTreeSet::new();
    for seed in 1..=12 {
        let (first, second) = (trace(seed), trace(seed));
        let steps = first.lines().count();
        assert!(steps > 500, "there is little in this trace, {steps} steps:\n{first}");
        let differ = first.lines().zip(second.lines()).find(|(one, other)| one != other);
        assert!(first == second, "seed {seed} gave two traces; the first difference: {differ:?}");
        traces.insert(first);
    }
    assert_eq!(traces.len(), 12, "different seeds gave the same trace");
}

#[test]
fn the_same_seed_gives_the_same_answers_to_one_thread() {
    let run = |seed: u64| {
        let kernel = SimKernel::<netpoller::seam::Os>::new(Config::linux());
        let program = record("again", random::program(seed), kernel.clone());
        (program.to_json(), format!("{kernel:?}"))
    };
    let mut answers = BTreeSet::new();
    for seed in 1..=200 {
        let (first, second) = (run(seed), run(seed));
        assert_eq!(first.0, second.0, "seed {seed} was answered in two ways");
        assert_eq!(first.1, second.1, "seed {seed} left two different kernels");
        answers.insert(first.0);
    }
    assert_eq!(answers.len(), 200, "different seeds gave the same program");
}
