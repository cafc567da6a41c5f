//! Calls of which a thread remembers nothing but the result.

use super::record;

/// Makes a call of which the calling thread remembers nothing but its result, condensed to `kept`.
pub(crate) fn remembered<R>(call: impl FnOnce() -> R, kept: impl FnOnce(&R) -> u64) -> R {
    let before = record::mark();
    #[cfg(feature = "shuttle")]
    let mark = super::explore::mark();
    let result = call();
    let kept = record::returns(before, kept(&result));
    #[cfg(feature = "shuttle")]
    super::explore::returns(mark, kept);
    result
}

/// The same for the experiment.
pub(crate) fn rem<R: core::fmt::Debug>(call: impl FnOnce() -> R) -> R {
    remembered(call, |r| super::digest::Digest::new(3).with_text(&format!("{r:?}")).bits() as u64)
}
