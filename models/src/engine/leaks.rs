//! What has to be gone when an execution is over.
//!
//! Whoever makes something that is shared and must not outlive the execution puts it down here
//! ([`count`]): the wakers of parkers, open file descriptions of the simulated kernel, the systems
//! that pollers hold. When the last thread has ended, the final check has run and the engine has
//! given up what is its own, nobody may hold any of them ([`settle`]). What is looked at is the
//! count of references: a clone of a waker that was forgotten keeps it above zero, and so does a
//! cycle.
//!
//! On explore and shuttle, which run all threads of a model on one thread of the operating system;
//! elsewhere nothing is counted.

use crate::oracle::{Which, judges};
use std::any::Any;
use std::cell::RefCell;
use std::sync::{Arc, Weak};

/// What it is, and whether it is there.
type Counted = (&'static str, Weak<dyn Any>);

thread_local! {
    /// `None` where nothing is counted.
    static COUNTED: RefCell<Option<Vec<Counted>>> = const { RefCell::new(None) };
}

/// An execution begins in which things are counted.
pub(super) fn begin() {
    COUNTED.set(judges(Which::Leak).then(Vec::new));
}

/// No execution is under way any more.
pub(super) fn end() {
    COUNTED.set(None);
}

/// This must be gone when the execution is over; `what` says what it is.
pub(crate) fn count<T: Any>(what: &'static str, counted: &Arc<T>) {
    COUNTED.with_borrow_mut(|all| {
        if let Some(all) = all {
            let counted = Arc::downgrade(counted);
            all.push((what, counted as Weak<dyn Any>));
        }
    });
}

/// The execution is over.
///
/// # Panics
///
/// When something that was counted is held still.
pub(super) fn settle() {
    let counted = COUNTED.take().unwrap_or_default();
    let left: Vec<_> = counted
        .iter()
        .filter(|(_, counted)| counted.strong_count() > 0)
        .map(|(what, counted)| format!("{what} ({} references)", counted.strong_count()))
        .collect();
    let mark = Which::Leak.mark();
    assert!(left.is_empty(), "{mark}left over when nobody runs any more: {}", left.join(", "));
}
