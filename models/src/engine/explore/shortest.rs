//! A failure, told with few changes of thread.
//!
//! The search finds some execution that fails, and a walk changes threads more often than a person who
//! reads it would like. So the steps of a failure are rearranged: a block of steps of one thread is moved
//! up to its thread's block before, or that one down to it, and the execution is run again by these steps.
//! If it fails like the one before, and changes threads less often, it is the better story. This goes on
//! until no such move makes it any better: what is left need not be the shortest story that there is, but
//! none that is one move away is shorter.

use crate::engine::{Failure, FailureKind, NamedStep};

/// How many executions are spent on it: one that failed leaves its stacks behind.
const MOST: usize = 300;

/// Consecutive steps of one thread.
type Block = Vec<NamedStep>;

/// The same failure with as few changes of thread as can be found. `replay`: how an execution fails that
/// is run by these steps.
pub(super) fn shortest(
    failure: Failure,
    replay: impl Fn(&[NamedStep]) -> Option<Failure>,
) -> Failure {
    let mut best = failure;
    if best.kind == FailureKind::Engine {
        return best;
    }
    let mut left = MOST;
    'better: loop {
        for candidate in candidates(&blocks(best.story.steps())) {
            if switches(&candidate) >= switches(best.story.steps()) {
                continue;
            }
            if left == 0 {
                return best;
            }
            left -= 1;
            let found = replay(&candidate).filter(|found| found.is_like(&best));
            if let Some(found) = found
                && switches(found.story.steps()) < switches(best.story.steps())
            {
                best = found;
                continue 'better;
            }
        }
        return best;
    }
}

/// How often the thread changes.
fn switches(steps: &[NamedStep]) -> usize {
    steps.windows(2).filter(|pair| pair[0].thread != pair[1].thread).count()
}

fn blocks(steps: &[NamedStep]) -> Vec<Block> {
    steps.chunk_by(|one, next| one.thread == next.thread).map(<[NamedStep]>::to_vec).collect()
}

/// The steps in the orders that one move leads to.
fn candidates(blocks: &[Block]) -> impl Iterator<Item = Block> {
    let before = |at: usize| {
        (0..at).rev().find(|at_before| blocks[*at_before][0].thread == blocks[at][0].thread)
    };
    let pairs = (0..blocks.len()).filter_map(move |at| before(at).map(|before| (before, at)));
    pairs.flat_map(move |(before, at)| {
        let moved = |from: usize, to: usize| {
            let mut order: Vec<_> = (0..blocks.len()).collect();
            let block = order.remove(from);
            order.insert(to, block);
            order.into_iter().flat_map(|at| blocks[at].clone()).collect::<Block>()
        };
        // Up to behind the one before; or that one down to before this one.
        [moved(at, before + 1), moved(before, at - 1)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Story;

    fn steps(threads: &str) -> Vec<NamedStep> {
        let step = |(at, thread): (usize, char)| NamedStep {
            thread: thread.to_string(),
            operation: "load".to_owned(),
            object: "word".to_owned(),
            occurrence: at as u32,
            chosen: None,
        };
        threads.chars().enumerate().map(step).collect()
    }

    #[test]
    fn a_block_is_moved_to_its_thread_s_block_before_and_the_other_way_round() {
        let of = |threads| {
            let blocks = blocks(&steps(threads));
            let threads =
                candidates(&blocks).map(|steps| steps.iter().map(|s| &*s.thread).collect());
            threads.collect::<Vec<String>>()
        };
        assert_eq!(of("abba"), ["aabb", "bbaa"]);
        assert_eq!(of("abca"), ["aabc", "bcaa"]);
        assert_eq!(of("abc"), [""; 0]);
        assert_eq!(of("abab"), ["aabb", "baab", "abba", "aabb"]);
    }

    /// Fails if b's step comes between the two of a, whatever c does.
    fn program(steps: &[NamedStep]) -> Option<Failure> {
        let at = |number: u32| steps.iter().position(|step| step.occurrence == number);
        let fails = at(0) < at(2) && at(2) < at(4);
        let story = Story { words: vec![], rows: vec![], ends: vec![], steps: steps.to_vec() };
        fails.then(|| Failure::new(FailureKind::Panic, "between".to_owned(), story))
    }

    #[test]
    fn what_has_nothing_to_do_with_a_failure_no_longer_interrupts_it() {
        let found = program(&steps("acbcac")).expect("b is between");
        let best = shortest(found, program);
        assert_eq!(switches(best.story.steps()), 3, "{:?}", best.story.steps());
        assert!(program(best.story.steps()).is_some(), "and it still fails");
    }

    #[test]
    fn changes_of_thread_are_counted() {
        assert_eq!(["", "a", "aab", "abab"].map(|threads| switches(&steps(threads))), [0, 0, 1, 3]);
    }
}
