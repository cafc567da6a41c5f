//! Choices under loom, which has none: enumerated outside of it.
//!
//! A *point* is the n-th choice of a thread: a name that does not depend on the interleaving. A
//! *script* says what is chosen at some points; at all others it is the first alternative. loom
//! goes through all interleavings for one script. The points that were met on the way and are not
//! in the script are taken in order: for each of their other alternatives there is a further
//! script, with the points before it held at the first one. Every combination of choices comes up
//! in exactly one script: whatever an execution chooses first is met with every script, what it
//! chooses next is met with every script that has that first choice, and so on.

use std::collections::BTreeMap;

/// The n-th choice of a thread.
pub(super) type Point = (usize, usize);

/// What is chosen where.
pub(super) type Script = BTreeMap<Point, usize>;

/// The script that is being followed, and what was met on the way.
#[derive(Debug, Default)]
pub(super) struct Choices {
    script: Script,
    /// Points that the script does not mention, and how many alternatives there were.
    met: BTreeMap<Point, usize>,
    /// How many choices each thread has made in this execution.
    made: Vec<usize>,
    /// Scripts that are to be followed later.
    left: Vec<Script>,
}

impl Choices {
    /// An execution begins.
    pub(super) fn begin(&mut self) {
        self.made.clear();
    }

    /// What `thread` chooses among `alternatives`.
    pub(super) fn choose(&mut self, thread: usize, alternatives: usize) -> usize {
        if self.made.len() <= thread {
            self.made.resize(thread + 1, 0);
        }
        let point = (thread, self.made[thread]);
        self.made[thread] += 1;
        match self.script.get(&point) {
            // Another interleaving may offer fewer alternatives at the same point.
            Some(chosen) => chosen % alternatives.max(1),
            None => {
                let most = self.met.entry(point).or_default();
                *most = alternatives.max(*most);
                0
            }
        }
    }

    /// loom has gone through the script: whether there is another one.
    pub(super) fn next(&mut self) -> bool {
        let mut so_far = core::mem::take(&mut self.script);
        for (point, alternatives) in core::mem::take(&mut self.met) {
            for other in 1..alternatives {
                let mut script = so_far.clone();
                script.insert(point, other);
                self.left.push(script);
            }
            so_far.insert(point, 0);
        }
        match self.left.pop() {
            Some(script) => {
                self.script = script;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Two threads; what the first chooses decides whether it chooses again.
    fn program(choices: &mut Choices) -> Vec<usize> {
        choices.begin();
        let first = choices.choose(1, 3);
        let mut made = vec![first, choices.choose(2, 2)];
        if first == 2 {
            made.push(choices.choose(1, 4));
        }
        made
    }

    #[test]
    fn every_combination_of_choices_comes_up_once() {
        let mut choices = Choices::default();
        let mut seen = BTreeSet::new();
        loop {
            let made = program(&mut choices);
            assert!(seen.insert(made.clone()), "{made:?} came up again");
            if !choices.next() {
                break;
            }
        }
        assert_eq!(seen.len(), 2 * 2 + 2 * 4, "{seen:?}");
    }
}
