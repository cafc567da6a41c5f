//! What names a descriptor: the index of its slab entry and the generation of that entry.
//!
//! An entry of the slab is used again and again. Each use is an *incarnation* and has a
//! *generation*: a number that is different for every use of the same entry. The pair travels
//! through the kernel as the 64 bits of user data of an event, so that an event harvested for one
//! incarnation can never be mistaken for news about the next (NP-GEN-1).
//!
//! A generation never wraps: the entry that has used up its last one is retired (NP-GEN-3).

/// The number of one incarnation of a slab entry.
///
/// Starts at [`Generation::FIRST`]; grows by one at each free. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(u32);

impl Generation {
    /// The generation of an entry that was never freed.
    pub const FIRST: Generation = Generation(1);
    /// The last one. An entry that is freed in this generation is retired.
    pub const LAST: Generation = Generation(u32::MAX);

    /// The generation with this number, or `None` for 0, which names no incarnation.
    #[inline]
    #[must_use]
    pub const fn new(number: u32) -> Option<Generation> {
        if number == 0 { None } else { Some(Generation(number)) }
    }

    /// Its number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The generation after this one, or `None` where there is none and the entry has to be
    /// retired (NP-GEN-3).
    #[inline]
    #[must_use]
    pub const fn next(self) -> Option<Generation> {
        // NP-GEN-3: no wrap, or an old event could name a new incarnation again.
        match self.0.checked_add(1) {
            Some(number) => Some(Generation(number)),
            None => None,
        }
    }

    /// For words that pack a generation: the inverse of [`get`](Self::get) for values that came
    /// out of it.
    pub(crate) const fn from_word(number: u32) -> Generation {
        Generation(number)
    }
}

/// The user data of a registration in the kernel: index 32 | generation 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(u64);

/// What a token names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// The break of the poller itself.
    Break,
    /// An incarnation of a slab entry.
    Entry(u32, Generation),
    /// Nothing that this scheme hands out: the event was not caused by a registration of ours.
    Foreign,
}

impl Token {
    /// The token of the break. Its index is reserved (NP-GEN-4), and its generation is the one
    /// that no entry has, so both halves have to be wrong before an event is taken for a break.
    pub const BREAK: Token = Token((Self::BREAK_INDEX as u64) << 32);

    /// The index that no slab entry may have.
    pub const BREAK_INDEX: u32 = u32::MAX;

    /// The token of one incarnation. `index` must be below [`Token::BREAK_INDEX`].
    #[inline]
    #[must_use]
    pub const fn entry(index: u32, generation: Generation) -> Token {
        Token((index as u64) << 32 | generation.get() as u64)
    }

    /// The token whose bits came back from the kernel.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Token {
        Token(bits)
    }

    /// The bits to hand to the kernel.
    #[inline]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Says what the token names.
    #[inline]
    #[must_use]
    pub const fn named(self) -> Named {
        let index = (self.0 >> 32) as u32;
        // NP-GEN-4: the whole word is compared. Go compared half of it on 32-bit targets, and a
        // sequence number that grew into the address of the break was taken for one (Go #72900).
        if self.0 == Token::BREAK.0 {
            return Named::Break;
        }
        match Generation::new(self.0 as u32) {
            Some(generation) if index != Token::BREAK_INDEX => Named::Entry(index, generation),
            _ => Named::Foreign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;

    quickcheck! {
        fn a_token_names_what_it_was_made_from(index: u32, number: u32) -> bool {
            match Generation::new(number) {
                Some(generation) if index != Token::BREAK_INDEX =>
                    Token::from_bits(Token::entry(index, generation).bits()).named()
                        == Named::Entry(index, generation),
                _ => true,
            }
        }
    }

    #[test]
    fn go_72900_half_a_break_token_is_not_a_break() {
        // NP-GEN-4
        for bits in [0, 1, u64::from(u32::MAX), u64::MAX, Token::BREAK.bits() | 1] {
            assert_ne!(Token::from_bits(bits).named(), Named::Break, "{bits:#x} taken for a break");
        }
        assert_eq!(Token::BREAK.named(), Named::Break);
    }

    #[test]
    fn the_last_generation_has_no_successor() {
        // NP-GEN-3
        assert_eq!(Generation::LAST.next(), None);
        assert_eq!(Generation::FIRST.next(), Generation::new(2));
    }
}
