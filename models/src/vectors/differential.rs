//! Programs side by side: what one host answers is what the other has to answer, and where it
//! does not, the smallest program that still shows it.

use super::{Difference, Host, Op, Program, record, replay_one};

/// A program that two hosts answer differently, as small as it could be made.
#[derive(Clone, Debug)]
pub struct Counterexample {
    /// The program, with the answers of the first host: a vector.
    pub program: Program,
    /// Where the second host differs.
    pub difference: Difference,
    /// How many operations it had before.
    pub length_before: usize,
}

impl std::fmt::Display for Counterexample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Difference { place, op, expected, got, .. } = &self.difference;
        let (length, before) = (self.program.steps.len(), self.length_before);
        writeln!(
            f,
            "{}: operation {place} ({op:?}): expected {expected}, got {got}",
            self.program.name
        )?;
        writeln!(f, "shrunk from {before} operations to {length}:")?;
        write!(f, "{}", self.program.to_json())
    }
}

/// Runs operations on the first host, and the program that comes of it on the second.
///
/// # Errors
///
/// The smallest program that was found where the two differ.
pub fn compare<A: Host, B: Host>(
    name: &str,
    ops: Vec<Op>,
    mut first: impl FnMut() -> A,
    mut second: impl FnMut() -> B,
) -> Result<Program, Box<Counterexample>> {
    let length_before = ops.len();
    let mut run = |ops: Vec<Op>| {
        let program = record(name, ops, first());
        match replay_one(&program, &mut second) {
            Ok(_) => Ok(program),
            Err(difference) => {
                Err(Box::new(Counterexample { program, difference: *difference, length_before }))
            }
        }
    };
    let found = match run(ops) {
        Ok(program) => return Ok(program),
        Err(found) => found,
    };
    // What comes after the difference does not matter.
    let steps = found.program.steps.iter().take(found.difference.place + 1);
    let ops = steps.map(|step| step.op.clone()).collect();
    let smallest = shrink(ops, |ops| run(ops.to_vec()).is_err());
    // What was shrunk still differs, and its last run says where.
    Err(run(smallest).err().unwrap_or(found))
}

/// Leaves out operations as long as the rest still fails: halves, quarters, and so on down to
/// single ones, until no single one can be left out.
pub fn shrink<T: Clone>(mut ops: Vec<T>, mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut size = ops.len().div_ceil(2);
    while size > 0 {
        let mut shorter = false;
        let mut start = 0;
        while start < ops.len() {
            let end = (start + size).min(ops.len());
            let rest = [&ops[..start], &ops[end..]].concat();
            if fails(&rest) {
                (ops, shorter) = (rest, true);
            } else {
                start = end;
            }
        }
        if !(shorter && size == 1) {
            size /= 2;
        }
    }
    ops
}

#[cfg(test)]
mod tests {
    use super::shrink;

    #[test]
    fn what_is_left_fails_and_nothing_more_can_be_left_out() {
        // Fails with a 3, a 17 behind it, and any two more.
        let fails = |numbers: &[u32]| {
            let at = |wanted| numbers.iter().position(|number| *number == wanted);
            matches!((at(3), at(17)), (Some(a), Some(b)) if a < b) && numbers.len() >= 4
        };
        let left = shrink((0..40).collect(), fails);
        assert!(fails(&left), "{left:?}");
        assert_eq!(left.len(), 4, "{left:?}");
        assert_eq!(shrink(vec![1, 2, 3], |_| true), [0; 0]);
        assert_eq!(shrink(vec![1, 2, 3], |_| false), [1, 2, 3]);
    }
}
