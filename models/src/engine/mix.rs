//! A hash for tables that are only looked up: quick, and the same in every process.
//!
//! What goes in are numbers of the program under test, of which nobody makes up collisions. Nothing may depend on
//! the order of such a table.

use super::digest::numbers_are_words;
use std::hash::{BuildHasherDefault, Hasher};

/// A table that is only looked up.
pub(crate) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Mix>>;

/// Multiplies by an odd number and folds the upper half into the lower one, for each word.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mix(u64);

impl Mix {
    #[inline]
    fn word(&mut self, word: u64) {
        let product =
            u128::from(self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Mix {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    numbers_are_words!();
}
