//! Which states were visited: their fingerprints, numbered in the order in which they came.
//!
//! At most 32 bytes for each: 16 for the fingerprint, in a vector that grows by eighths, and a number of 4
//! in a table of at most 8/7 to 16/7 places, with a byte of its own for each. The table holds no
//! fingerprints: it looks them up in the vector.

use hashbrown::HashTable;

/// States that were visited.
#[derive(Debug, Default)]
pub(super) struct Visited {
    fingerprints: Vec<u128>,
    numbers: HashTable<u32>,
}

impl Visited {
    /// Whether the state with this number has this fingerprint.
    pub(super) fn is(&self, number: u32, fingerprint: u128) -> bool {
        self.fingerprints[number as usize] == fingerprint
    }

    /// The number of the state with this fingerprint: the next one if it is new.
    pub(super) fn number(&mut self, fingerprint: u128) -> u32 {
        // A fingerprint is a hash already.
        let hash = |fingerprint: u128| fingerprint as u64;
        let fingerprints = &mut self.fingerprints;
        let known = |number: &u32| fingerprints[*number as usize] == fingerprint;
        if let Some(number) = self.numbers.find(hash(fingerprint), known) {
            return *number;
        }
        let next = u32::try_from(fingerprints.len()).expect("fewer states than 32 bits can number");
        if fingerprints.len() == fingerprints.capacity() {
            fingerprints.reserve_exact(fingerprints.len() / 8 + 16);
        }
        fingerprints.push(fingerprint);
        let of = |number: &u32| hash(fingerprints[*number as usize]);
        self.numbers.insert_unique(hash(fingerprint), next, of);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(of: u128) -> u128 {
        (of + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }

    #[test]
    fn a_state_keeps_its_number() {
        let mut visited = Visited::default();
        for _ in 0..2 {
            for of in 0..10_000 {
                assert_eq!(visited.number(fingerprint(of)), of as u32);
            }
        }
    }

    #[test]
    fn what_differs_in_the_upper_half_only_is_another_state() {
        let mut visited = Visited::default();
        assert_eq!((visited.number(7), visited.number(1 << 64 | 7), visited.number(7)), (0, 1, 0));
    }

    #[test]
    fn a_state_takes_at_most_32_bytes() {
        let mut visited = Visited::default();
        for of in 0..300_000 {
            visited.number(fingerprint(of));
            let states = visited.fingerprints.len();
            let bytes = visited.fingerprints.capacity() * 16 + visited.numbers.allocation_size();
            assert!(states < 1_000 || bytes <= 32 * states, "{bytes} bytes for {states} states");
        }
    }
}
