//! Fresh traces of the kernel of this machine: the free mode of the simulated kernel allows them,
//! and no lies about them. The programs are the recorded random ones with operations left out, and
//! with more waits and a second event queue put in.
//!
//! A program needs the table of numbers for itself, so this is the only test of its binary.

#![cfg(all(feature = "real-kernel", target_os = "linux"))]

use netpoller_models::conformance::{Lie, Verdict, judge, tell};
use netpoller_models::kernel::{Freedom, mask};
use netpoller_models::vectors::{Op, Program, RECORDINGS, RealKernel, parse, record};

/// One extra edge per queue: these programs have two queues and are long.
const FREEDOM: Freedom = Freedom::all(1);

/// A generator of numbers with a seed (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % most as u64).unwrap()
    }
}

fn wait(dice: &mut Dice, epoll: &str) -> Op {
    Op::EpollWait { epoll: epoll.to_owned(), most: [1, 2, 128][dice.below(3)] }
}

/// Another program from a recorded one.
fn vary(program: &Program, seed: u64) -> Vec<Op> {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let mut ops = vec![Op::EpollCreate { name: "second".to_owned() }];
    let mut names = Vec::new();
    for step in &program.steps {
        match &step.op {
            Op::Eventfd { name, .. } => names.push(name.clone()),
            Op::Pipe { read, write } => names.extend([read.clone(), write.clone()]),
            Op::SocketPair { names: both, .. } => names.extend(both.clone()),
            Op::EpollCreate { .. } => {}
            _ if dice.below(10) == 0 => continue,
            _ => {}
        }
        ops.push(step.op.clone());
        if dice.below(4) == 0 {
            let epoll = ["E", "second"][usize::from(dice.below(4) == 0)];
            ops.push(wait(&mut dice, epoll));
            if dice.below(2) == 0 {
                ops.push(wait(&mut dice, epoll));
            }
        }
        if dice.below(8) == 0 && !names.is_empty() {
            let name = names[dice.below(names.len())].clone();
            let mask = mask::IN | mask::OUT | [0, mask::ET][dice.below(2)];
            let label = format!("second {}", ops.len());
            ops.push(Op::EpollAdd { epoll: "second".to_owned(), name, mask, label });
        }
    }
    ops
}

#[test]
fn fresh_traces_are_members_and_lies_about_them_are_not() {
    let (file, text) = RECORDINGS[1];
    let recorded = parse(file, text).unwrap_or_else(|error| panic!("{error}")).programs;
    let fresh: Vec<Program> = (1..)
        .zip(&recorded)
        .map(|(seed, program)| {
            record(
                &format!("{} with seed {seed}", program.name),
                vary(program, seed),
                RealKernel::new(),
            )
        })
        .collect();
    let events: usize = fresh.iter().flat_map(|p| &p.steps).map(|step| step.events.len()).sum();
    assert!(events > 1_500, "the traces have too little in them: {events} events");
    for program in &fresh {
        let verdict = judge(program, FREEDOM);
        assert!(matches!(verdict, Verdict::Member { .. }), "{}: {verdict:?}", program.name);
    }
    println!("{} fresh traces, {events} events: all members", fresh.len());
    for lie in Lie::ALL {
        let (mut told, mut true_after_all) = (0, 0);
        for program in fresh.iter().step_by(3) {
            let here = tell(lie, program, 2);
            true_after_all += here.true_after_all;
            for liar in here.lies {
                told += 1;
                let passed = judge(&liar, FREEDOM).is_member();
                assert!(!passed, "{lie:?} passed as true in {}: {:?}", liar.name, liar.steps);
            }
        }
        println!("{lie:?}: {told} told and found out, {true_after_all} true after all");
        assert!(told >= 5, "{lie:?}: only {told} occasions");
    }
}
