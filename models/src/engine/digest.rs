//! A 128-bit digest that is built one word at a time.
//!
//! Behaviours and states are known by their digests: two that are different must not meet, and
//! the same one must come out on every engine, in every process and on every machine. So there is
//! no random seed, and nothing that goes in is an address. The function is a multiplication by an
//! odd constant and a fold of the high half into the low one: for a fixed word it permutes the
//! digests, for a fixed digest the words, so single differences never vanish. It is not meant to
//! withstand somebody who looks for collisions.

use std::hash::Hasher;

/// A digest under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(u128);

/// Odd, and with no pattern in its bits: from the decimals of the square roots of 2 and 3.
const FACTOR: u128 = 0x6a09_e667_f3bc_c908_bb67_ae85_84ca_a73b;

impl Digest {
    /// The digest of nothing, in a domain of its own: digests of different domains are unrelated.
    #[inline]
    pub(crate) const fn new(domain: u64) -> Digest {
        Digest(FACTOR).with(domain)
    }

    /// This digest and one more word.
    #[inline]
    #[must_use]
    pub(crate) const fn with(self, word: u64) -> Digest {
        let product = (self.0 ^ word as u128).wrapping_mul(FACTOR);
        Digest(product ^ (product >> 64))
    }

    /// This digest and another one.
    #[inline]
    #[must_use]
    pub(crate) const fn with_digest(self, other: Digest) -> Digest {
        self.with(other.0 as u64).with((other.0 >> 64) as u64)
    }

    /// This digest and the bytes of a text, its length included.
    #[must_use]
    pub(crate) fn with_text(self, text: &str) -> Digest {
        words_of(text.as_bytes()).fold(self.with(text.len() as u64), Digest::with)
    }

    /// The bits, mixed once more so that digests can be combined by exclusive or.
    #[inline]
    pub(crate) const fn bits(self) -> u128 {
        self.with(0x9e37_79b9_7f4a_7c15).with(0xd1b5_4a32_d192_ed03).0
    }
}

/// The words that bytes are, the last one filled up with zeroes.
#[inline]
pub(crate) fn words_of(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    })
}

/// The functions of a [`Hasher`] that has one of its own for a word: every number is one, or two.
macro_rules! numbers_are_words {
    () => {
        numbers_are_words! {
            write_u8: u8, write_u16: u16, write_u32: u32, write_u64: u64, write_usize: usize, write_isize: isize
        }

        #[inline]
        fn write(&mut self, bytes: &[u8]) {
            $crate::engine::digest::words_of(bytes).for_each(|word| self.word(word));
        }

        #[inline]
        fn write_u128(&mut self, number: u128) {
            self.word(number as u64);
            self.word((number >> 64) as u64);
        }
    };
    ($($write:ident: $number:ty),*) => {$(
        #[inline]
        fn $write(&mut self, number: $number) {
            self.word(number as u64);
        }
    )*};
}
pub(crate) use numbers_are_words;

/// A digest of what is hashed: without a seed, so that what it makes of a value is the same in every process.
pub(crate) struct Words(Digest);

impl Default for Words {
    fn default() -> Words {
        Words(Digest::new(0x415))
    }
}

impl Words {
    pub(crate) fn digest(&self) -> Digest {
        self.0
    }

    #[inline]
    fn word(&mut self, word: u64) {
        self.0 = self.0.with(word);
    }
}

impl Hasher for Words {
    numbers_are_words!();

    fn finish(&self) -> u64 {
        self.0.bits() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn near_words_in_any_order_have_distinct_digests() {
        let mut seen = BTreeSet::new();
        for a in 0..64 {
            for b in 0..64 {
                let digest = Digest::new(1).with(a).with(b).bits();
                assert!(seen.insert(digest), "the digest of ({a}, {b}) was seen before");
            }
        }
    }

    #[test]
    fn exclusive_or_of_two_terms_does_not_cancel_out() {
        // A fingerprint combines terms by exclusive or: sums of two must differ like single ones.
        let terms: Vec<u128> =
            (0..200).map(|word| Digest::new(word / 20).with(word % 20).bits()).collect();
        let mut seen = BTreeSet::new();
        for (place, a) in terms.iter().enumerate() {
            for b in &terms[..place] {
                assert!(seen.insert(a ^ b), "two pairs of terms have the same combination");
            }
        }
    }

    #[test]
    fn texts_are_told_apart_by_their_length() {
        assert_ne!(Digest::new(0).with_text("a"), Digest::new(0).with_text("a\0"));
    }
}
