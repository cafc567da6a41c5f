//! Calls of which nothing gets out but the result.
//!
//! An engine that recognises states knows a thread by all that it has observed. Of a system call, or of a read that
//! had to wait, most of that does not matter any more once it has returned: how often it looked, in which order, what
//! lay in the locks that it took. A *sealed* call says so: from its return on the thread depends on what it knew
//! before and on the result, and on nothing else that was observed within. Threads that got to the same result
//! on different ways are then in the same state, on `explore`, and behave the same, on every engine.
//!
//! What it takes for that to be true:
//!
//! - Whatever the call changes that is the thread's own is part of the result: bytes that were read, a wait
//!   that goes on.
//! - Whatever it changes that others can see is a word, a lock or a parker of the engine, or an oracle that absorbs what
//!   it knows. What is none of these says so ([`unseal`]), and the call is kept in full.
//! - Locks that are held at its end were held at its beginning.
//!
//! Calls may be nested; of an inner one only the result was ever there for the outer one. A call on the poller that
//! oracles judge lies in one as a whole, or has it within.

use super::digest::Words;
use super::record;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether calls are left as they are in this process.
static OPEN: AtomicBool = AtomicBool::new(false);

/// From now on, in this process, no call is sealed: behaviours have every operation in them, and an engine
/// that recognises states keeps every history. For comparing engines.
pub fn seal_nothing() {
    OPEN.store(true, Ordering::SeqCst);
}

/// Makes a call of which the thread remembers nothing but the result.
pub(crate) fn sealed<R: Hash>(call: impl FnOnce() -> R) -> R {
    if OPEN.load(Ordering::Relaxed) {
        return call();
    }
    let begun = record::begin_call();
    #[cfg(feature = "shuttle")]
    let mark = super::explore::begin_call();
    let result = call();
    if let Some(kept) = record::end_call(begun, digest(&result)) {
        #[cfg(feature = "shuttle")]
        super::explore::end_call(mark, kept);
        #[cfg(not(feature = "shuttle"))]
        let _ = kept;
    }
    result
}

/// The calls that the running thread is in are not sealed, and it forgets nothing ([`Engine::forget`]): something
/// was changed that is in no state, and is known only by the history of who changed it.
///
/// [`Engine::forget`]: super::Engine::forget
pub(crate) fn unseal() {
    record::unseal();
}

fn digest(result: &impl Hash) -> u64 {
    let mut hasher = Words::default();
    result.hash(&mut hasher);
    hasher.finish()
}
