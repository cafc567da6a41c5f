//! Condensing the state of an object for an explorer that recognises states it has seen.
//!
//! Everything that influences the future goes in, addresses do not: objects are named by serial
//! numbers, waiting threads by the place that they took. The hash has a fixed key, so equal
//! states have equal digests in every execution and every process.

use crate::engine::Words;
use std::hash::{Hash, Hasher};

/// The digest of a value. Collections are hashed with their lengths.
pub(super) fn digest(value: &impl Hash) -> u64 {
    let mut hasher = Words::default();
    value.hash(&mut hasher);
    hasher.finish()
}
