//! What the targets share: bytes that choose.

/// The bytes of a fuzzer as choices, one byte each. Bytes that are over choose the first of everything.
#[derive(Debug)]
pub struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// The choices that these bytes make.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Choices(bytes)
    }

    /// Whether all choices were made.
    #[must_use]
    pub fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// A number below `most`, which is 256 at most.
    pub fn below(&mut self, most: usize) -> usize {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*byte) % most
    }
}
