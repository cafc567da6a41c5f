//! Is this trace one that the free kernel allows?
//!
//! In the deterministic mode the simulated kernel has to give what Linux gave, to the event; there
//! is nothing to judge. The [free mode](crate::kernel::Freedom) allows more, and so it could be
//! right about every trace by allowing everything. It is therefore asked both ways: traces of
//! real kernels are among what it allows, and traces with one lie in them are not.
//!
//! [`judge`] runs the simulated kernel itself, not a second description of it, with the choices
//! written out for it ([`Scripted`]); where it asks for a choice, all are tried. After each step
//! those that gave another answer than the trace are given up, and of those that led to the same
//! state of the kernel one is kept. A trace is a member if one is left at its end.
//!
//! A *lie* ([`Lie`]) is a change of what a trace says, made in such a way that no freedom explains
//! it: most need nothing, for some it has to be looked up what was really true at the time, and a
//! change that happens to tell the truth is dropped and counted.
//!
//! # Out of scope
//!
//! Traces of several threads: those are the business of [`litmus`](crate::litmus).

mod lies;
mod script;
mod sites;

pub use lies::{Lie, Told, tell};
pub use script::Scripted;

use crate::kernel::{Config, Freedom, SimKernel};
use crate::vectors::{Answer, Program, Run, equal};
use script::Tape;
use std::collections::BTreeMap;

/// What came of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The free kernel can do that.
    Member {
        /// The most states that it could have been in at once.
        states: usize,
    },
    /// It cannot.
    Outside {
        /// The step at which the last possibility was given up, counted from 0.
        place: usize,
        /// What the trace says that it gave.
        said: Answer,
        /// What it could have given.
        possible: Vec<Answer>,
    },
}

impl Verdict {
    /// Whether the free kernel can do that.
    #[must_use]
    pub fn is_member(&self) -> bool {
        matches!(self, Verdict::Member { .. })
    }
}

/// The freedom that traces are judged with: all there is, two extra edges per event queue.
pub const FREEDOM: Freedom = Freedom::all(2);

/// A kernel in one of the states that it can be in, and the choices that led there.
struct Candidate {
    run: Run<SimKernel<Scripted>>,
    tape: Tape,
}

impl Candidate {
    /// A fresh kernel that will choose this way.
    fn new(config: Config, script: Vec<usize>) -> Candidate {
        let mut tape = Tape::new(script);
        let kernel = tape.used(|| SimKernel::new(config));
        Candidate { run: Run::new(kernel, 0), tape }
    }

    fn step(&mut self, program: &Program, place: usize) -> Answer {
        let Candidate { run, tape } = self;
        tape.used(|| run.answer(&program.steps[place].op))
    }
}

/// Whether the kernel with this freedom can give what the program was recorded to give. Operations
/// that are not known are not judged, so there may be none.
///
/// # Panics
///
/// If an operation is not known.
#[must_use]
pub fn judge(program: &Program, freedom: Freedom) -> Verdict {
    let config = Config { freedom, ..Config::linux() };
    let mut candidates = vec![Candidate::new(config, Vec::new())];
    let mut most = 1;
    for (place, step) in program.steps.iter().enumerate() {
        let mut next = BTreeMap::new();
        let mut possible = Vec::new();
        for mut candidate in candidates {
            let known = candidate.tape.choices().len();
            loop {
                let answer = candidate.step(program, place);
                let branch = candidate.tape.next_branch(known);
                if equal(step, &answer, program.capacity_dependent) {
                    next.entry(candidate.tape.digests()).or_insert(candidate);
                } else if !possible.contains(&answer) {
                    possible.push(answer);
                }
                // The same from the beginning, with the next choice.
                let Some(script) = branch else { break };
                candidate = Candidate::new(config, script);
                for place in 0..place {
                    let _known_to_be_equal = candidate.step(program, place);
                }
            }
        }
        if next.is_empty() {
            let said = (step.returned.clone(), step.events.clone());
            return Verdict::Outside { place, said, possible };
        }
        candidates = next.into_values().collect();
        most = most.max(candidates.len());
    }
    Verdict::Member { states: most }
}
