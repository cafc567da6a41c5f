//! The kernel of this machine against the recordings, and random programs side by side: what it
//! answers is written down and replayed on the simulated kernel. The programs do what the
//! recordings lack: event queues in event queues, several queues, many masks, system calls on
//! objects that do not know them.
//!
//! A program needs the table of numbers for itself, so these tests are in a binary of their own
//! and take turns.

#![cfg(all(feature = "real-kernel", target_os = "linux"))]

use netpoller::seam::{HowToShut, Kind, Os};
use netpoller_models::kernel::{Config, SimKernel, mask};
use netpoller_models::vectors::{Op, RECORDINGS, RealKernel, Recording, parse, record, replay};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by the test whose turn it is.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A generator of numbers with a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % most as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// What a name is of, for choosing operations that make sense most of the time.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Eventfd,
    Read,
    Write,
    Stream,
    Datagram,
    Epoll,
}

struct Author {
    dice: Dice,
    names: Vec<(String, Sort)>,
    labels: usize,
    ops: Vec<Op>,
}

impl Author {
    fn fresh(&mut self, sort: Sort) -> String {
        let name = format!("n{}", self.names.len());
        self.names.push((name.clone(), sort));
        name
    }

    fn create(&mut self) {
        let op = match self.dice.below(8) {
            0 | 1 => Op::Eventfd { name: self.fresh(Sort::Eventfd), count: 0 },
            2 => Op::Pipe { read: self.fresh(Sort::Read), write: self.fresh(Sort::Write) },
            3..5 => {
                let names = [self.fresh(Sort::Stream), self.fresh(Sort::Stream)];
                Op::SocketPair { kind: Kind::Stream, names }
            }
            5 | 6 => {
                let names = [self.fresh(Sort::Datagram), self.fresh(Sort::Datagram)];
                Op::SocketPair { kind: Kind::Datagram, names }
            }
            _ => Op::EpollCreate { name: self.fresh(Sort::Epoll) },
        };
        self.ops.push(op);
    }

    fn some(&mut self) -> (String, Sort) {
        self.dice.pick(&self.names.clone())
    }

    fn epoll(&mut self) -> String {
        let queues: Vec<String> =
            self.names.iter().filter(|(_, s)| *s == Sort::Epoll).map(|(n, _)| n.clone()).collect();
        self.dice.pick(&queues)
    }

    fn transfer(&mut self) -> Option<Op> {
        let (name, sort) = self.some();
        let count = self.dice.pick(&[1, 2, 3, 100]);
        let inward = self.dice.below(2) == 0;
        Some(match sort {
            Sort::Eventfd if inward => Op::EventfdRead { name },
            Sort::Eventfd => {
                let value = self.dice.pick(&[0, 1, 1, 2, u64::MAX - 2, u64::MAX - 1, u64::MAX]);
                Op::EventfdWrite { name, value }
            }
            Sort::Read if self.dice.below(4) == 0 => Op::Drain { name },
            Sort::Read => Op::Read { name, count: self.dice.pick(&[1, 100, 4095, 4096, 9000]) },
            Sort::Write if self.dice.below(4) == 0 => Op::Fill { name },
            Sort::Write => {
                let count = self.dice.pick(&[0, 1, 100, 4000, 4096, 5000, 61_440, 100_000]);
                Op::Write { name, count }
            }
            Sort::Stream if inward && count == 3 => Op::Drain { name },
            Sort::Stream if inward => Op::Read { name, count },
            Sort::Stream => Op::Write { name, count },
            Sort::Datagram if inward => Op::Receive { name, count },
            Sort::Datagram => Op::Send { name, count: count - 1 },
            Sort::Epoll => return None,
        })
    }

    fn set(&mut self) -> Op {
        let (epoll, (name, _)) = (self.epoll(), self.some());
        let mut mask = 0;
        for bit in [mask::IN, mask::OUT, mask::RDHUP] {
            mask |= if self.dice.below(4) > 0 { bit } else { 0 };
        }
        mask |= if self.dice.below(3) > 0 { mask::ET } else { 0 };
        mask |= if self.dice.below(6) == 0 { mask::ONESHOT } else { 0 };
        self.labels += 1;
        let label = format!("l{}", self.labels);
        match self.dice.below(5) {
            0..3 => Op::EpollAdd { epoll, name, mask, label },
            3 => Op::EpollModify { epoll, name, mask, label },
            _ => Op::EpollDelete { epoll, name },
        }
    }

    fn step(&mut self) {
        let op = match self.dice.below(30) {
            0 => return self.create(),
            1..12 => self.transfer(),
            12..19 => Some(self.set()),
            19..26 => {
                let most = self.dice.pick(&[1, 2, 3, 128]);
                Some(Op::EpollWait { epoll: self.epoll(), most })
            }
            26 => Some(Op::Close { name: self.some().0 }),
            27 | 28 => {
                let (name, sort) = self.some();
                let copy = self.fresh(sort);
                Some(Op::Dup { name, copy })
            }
            _ => match self.some() {
                (name, Sort::Stream | Sort::Datagram) => {
                    let how = self.dice.pick(&[HowToShut::Read, HowToShut::Write, HowToShut::Both]);
                    Some(Op::Shutdown { name, how })
                }
                _ => None,
            },
        };
        self.ops.extend(op);
    }
}

fn program(seed: u64) -> Vec<Op> {
    // The seed is spread out, and is never 0.
    let dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut author = Author { dice, names: Vec::new(), labels: 0, ops: Vec::new() };
    let queue = author.fresh(Sort::Epoll);
    author.ops.push(Op::EpollCreate { name: queue });
    for _ in 0..3 {
        author.create();
    }
    for _ in 0..80 {
        author.step();
    }
    author.ops
}

#[test]
fn the_kernel_of_this_machine_agrees_with_the_recordings() {
    let _turn = turn();
    for ((file, text), equal, waits) in [(RECORDINGS[0], 41, 195), (RECORDINGS[1], 300, 2977)] {
        let recording = parse(file, text).unwrap_or_else(|error| panic!("{error}"));
        let report = replay(&recording, RealKernel::new);
        assert!(report.different.is_empty(), "{report}");
        assert_eq!((report.equal, report.waits), (equal, waits), "{report}");
    }
}

#[test]
fn random_programs_give_the_same_on_the_real_kernel_and_the_simulated_one() {
    let _turn = turn();
    let programs: Vec<_> = (1..=2000)
        .map(|seed| record(&format!("seed {seed}"), program(seed), RealKernel::new()))
        .collect();
    let events: usize = programs.iter().flat_map(|p| &p.steps).map(|s| s.events.len()).sum();
    assert!(events > 20_000, "the programs have too little in them: {events} events");
    let recording = Recording { file: "side by side".to_owned(), programs };
    for edges_during_harvest in [false, true] {
        let config = Config { edges_during_harvest, ..Config::linux() };
        let report = replay(&recording, || SimKernel::<Os>::new(config));
        assert_eq!(report.equal, report.programs, "{report}");
    }
}
