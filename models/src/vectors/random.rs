//! Random programs: what the recordings lack. Event queues in event queues, several queues, many
//! masks, sockets that listen and connect, datagrams by name, numbers that are closed, system
//! calls on objects that do not know them.
//!
//! A program follows from its seed alone, or from the bytes of a fuzzer. Everything in it has one right answer on Linux: one
//! thread, no wait that blocks, nothing that arrives later.

use super::{Op, SocketKind};
use crate::kernel::mask;
use netpoller::seam::{HowToShut, Kind};

/// How many steps a program takes after its first objects.
const STEPS: usize = 80;

/// The program of a seed.
#[must_use]
pub fn program(seed: u64) -> Vec<Op> {
    // The seed is spread out, and is never 0.
    write(Dice::Seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
}

/// The program that these bytes choose: each decision takes one. It ends with them, and is not longer
/// than those of seeds; where the bytes end within a step, the rest of it takes the first choices.
#[must_use]
pub fn chosen(bytes: &[u8]) -> Vec<Op> {
    write(Dice::Bytes(bytes))
}

fn write(dice: Dice<'_>) -> Vec<Op> {
    let mut author = Author {
        dice,
        names: Vec::new(),
        closed: Vec::new(),
        listeners: Vec::new(),
        lost: false,
        labels: 0,
        ops: Vec::new(),
    };
    let queue = author.fresh(Sort::Epoll);
    author.ops.push(Op::EpollCreate { name: queue });
    for _ in 0..3 {
        author.create();
    }
    for _ in 0..STEPS {
        if author.dice.is_over() {
            break;
        }
        author.step();
    }
    author.ops
}

/// What decides.
enum Dice<'a> {
    /// A generator of numbers with a seed (xorshift).
    Seed(u64),
    /// One byte a decision, none of which is between more than 256.
    Bytes(&'a [u8]),
}

impl Dice<'_> {
    /// A number less than `most`.
    fn below(&mut self, most: usize) -> usize {
        match self {
            Dice::Seed(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                // Less than `most`, which is a `usize`.
                ((*state >> 11) % most as u64) as usize
            }
            Dice::Bytes(bytes) => match bytes.split_first() {
                Some((byte, rest)) => {
                    *bytes = rest;
                    usize::from(*byte) % most
                }
                None => 0,
            },
        }
    }

    /// Whether there is nothing left to decide by.
    fn is_over(&self) -> bool {
        matches!(self, Dice::Bytes([]))
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
    /// A Unix stream that was made alone: fresh, listening or connected.
    Lone,
    /// A Unix datagram socket that was made alone.
    Letters,
    Epoll,
}

struct Author<'a> {
    dice: Dice<'a>,
    names: Vec<(String, Sort)>,
    closed: Vec<String>,
    /// What was told to listen, and was not closed by its name.
    listeners: Vec<String>,
    /// Whether a number was closed whose name had lost it: nobody knows what is open since.
    lost: bool,
    labels: usize,
    ops: Vec<Op>,
}

impl Author<'_> {
    fn fresh(&mut self, sort: Sort) -> String {
        let name = format!("n{}", self.names.len());
        self.names.push((name.clone(), sort));
        name
    }

    fn create(&mut self) {
        let op = match self.dice.below(12) {
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
            7 | 8 => return self.alone(SocketKind::UnixStream, Sort::Lone),
            9 | 10 => return self.alone(SocketKind::UnixDatagram, Sort::Letters),
            _ => Op::EpollCreate { name: self.fresh(Sort::Epoll) },
        };
        self.ops.push(op);
    }

    /// A socket that mostly has a name, and if it can mostly listens.
    fn alone(&mut self, kind: SocketKind, sort: Sort) {
        let name = self.fresh(sort);
        self.ops.push(Op::Socket { kind, name: name.clone() });
        if self.dice.below(3) > 0 {
            self.ops.push(Op::Bind { name: name.clone() });
            if sort == Sort::Lone && self.dice.below(4) > 0 {
                self.listeners.push(name.clone());
                self.ops.push(Op::Listen { name, backlog: self.dice.pick(&[0, 1, 5]) });
            }
        }
    }

    fn some(&mut self) -> (String, Sort) {
        self.dice.pick(&self.names.clone())
    }

    /// An open one of these sorts.
    fn one_of(&mut self, sorts: &[Sort]) -> Option<String> {
        let fits =
            |(name, sort): &&(String, Sort)| sorts.contains(sort) && !self.closed.contains(name);
        let names: Vec<String> =
            self.names.iter().filter(fits).map(|(name, _)| name.clone()).collect();
        if names.is_empty() || self.lost { None } else { Some(self.dice.pick(&names)) }
    }

    fn epoll(&mut self) -> String {
        let queues = self.names.iter().filter(|(_, sort)| *sort == Sort::Epoll);
        let queues: Vec<String> = queues.map(|(name, _)| name.clone()).collect();
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
            Sort::Stream | Sort::Lone if inward && count == 3 => Op::Drain { name },
            Sort::Stream | Sort::Lone if inward => Op::Read { name, count },
            Sort::Stream | Sort::Lone => Op::Write { name, count },
            Sort::Datagram | Sort::Letters if inward => Op::Receive { name, count },
            Sort::Datagram => Op::Send { name, count: count - 1 },
            Sort::Letters => return self.letters(count - 1),
            Sort::Epoll => return None,
        })
    }

    /// Datagrams, mostly to somebody who is named.
    fn letters(&mut self, count: usize) -> Option<Op> {
        let name = self.one_of(&[Sort::Letters])?;
        let to = self.one_of(&[Sort::Letters, Sort::Letters, Sort::Lone])?;
        Some(match self.dice.below(4) {
            0 => Op::Send { name, count },
            1 => {
                // Enough to fill a queue.
                for _ in 0..self.dice.below(12) {
                    self.ops.push(Op::SendTo { name: name.clone(), to: to.clone(), count });
                }
                Op::SendTo { name, to, count }
            }
            _ => Op::SendTo { name, to, count },
        })
    }

    /// A new client of a listener, or a new connection from its backlog.
    fn client(&mut self) -> Option<Op> {
        if self.listeners.is_empty() || self.lost {
            return None;
        }
        let listener = self.dice.pick(&self.listeners.clone());
        if self.dice.below(2) == 0 {
            return Some(Op::Accept { listener, name: self.fresh(Sort::Stream) });
        }
        let name = self.fresh(Sort::Lone);
        self.ops.push(Op::Socket { kind: SocketKind::UnixStream, name: name.clone() });
        Some(Op::Connect { name, to: Some(listener) })
    }

    fn connection(&mut self) -> Option<Op> {
        if self.dice.below(2) == 0 {
            return self.client();
        }
        let lone = self.one_of(&[Sort::Lone, Sort::Letters])?;
        Some(match self.dice.below(10) {
            0..4 => {
                Op::Connect { name: lone, to: Some(self.one_of(&[Sort::Lone, Sort::Letters])?) }
            }
            4..7 => {
                let listener = self.one_of(&[Sort::Lone])?;
                Op::Accept { listener, name: self.fresh(Sort::Stream) }
            }
            7 => Op::Bind { name: lone },
            8 => Op::Listen { name: lone, backlog: self.dice.pick(&[0, 1, 5]) },
            _ => Op::TakeError { name: lone },
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
        let op = match self.dice.below(34) {
            0 => return self.create(),
            1..12 => self.transfer(),
            12..19 => Some(self.set()),
            19..26 => {
                let most = self.dice.pick(&[1, 2, 3, 128]);
                Some(Op::EpollWait { epoll: self.epoll(), most })
            }
            26 => {
                let name = self.some().0;
                self.lost |= self.closed.contains(&name);
                self.listeners.retain(|listener| *listener != name);
                self.closed.push(name.clone());
                Some(Op::Close { name })
            }
            27 | 28 => {
                let (name, sort) = self.some();
                // What is behind the number of a closed name is not known.
                let sort = if self.closed.contains(&name) { Sort::Eventfd } else { sort };
                let copy = self.fresh(sort);
                Some(Op::Dup { name, copy })
            }
            29..33 => self.connection(),
            _ => match self.some() {
                (_, Sort::Eventfd | Sort::Read | Sort::Write | Sort::Epoll) => None,
                (name, _) => {
                    let how = self.dice.pick(&[HowToShut::Read, HowToShut::Write, HowToShut::Both]);
                    Some(Op::Shutdown { name, how })
                }
            },
        };
        self.ops.extend(op);
    }
}
