//! The values of the seam's atomic words, as the 64 bits that a record holds.

/// A value of an atomic word.
pub trait Value: Copy + Send + Sync + Eq + core::fmt::Debug + 'static {
    /// As 64 bits.
    fn bits(self) -> u64;
    /// Back from 64 bits that came out of [`bits`](Value::bits).
    fn from_bits(bits: u64) -> Self;
}

impl Value for u32 {
    fn bits(self) -> u64 {
        u64::from(self)
    }

    fn from_bits(bits: u64) -> u32 {
        bits as u32
    }
}

impl Value for u64 {
    fn bits(self) -> u64 {
        self
    }

    fn from_bits(bits: u64) -> u64 {
        bits
    }
}
