//! Panics inside a model: kept from the terminal, and remembered.
//!
//! An execution that fails, panics; a search may provoke thousands of those on purpose. The
//! process has one panic hook. The one installed here asks whether the panicking thread of the
//! operating system is running a model: if so it keeps the message and the place and prints
//! nothing, else it calls the hook that was there before.
//!
//! It also notes which thread of the model panicked. That thread unwinds, and the destructors it
//! runs use the primitives of the engine, which must not be scheduled any more.
//!
//! shuttle installs a hook of its own when it first runs, which prints for every panic in the
//! process, loom's included. [`install`] lets it do so first and then leaves it out of the chain.

use super::record;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;

thread_local! {
    /// Whether this thread of the operating system runs a model.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
    /// One bit per thread of the model that has panicked.
    static PANICKED: Cell<u64> = const { Cell::new(0) };
    /// What the first panic said.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// While this value lives, panics on this thread of the operating system are kept.
#[derive(Debug)]
pub(crate) struct Quiet(());

impl Quiet {
    pub(crate) fn begin() -> Quiet {
        install();
        ACTIVE.set(true);
        forget();
        Quiet(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        ACTIVE.set(false);
        forget();
    }
}

/// Forgets the panics of earlier executions.
pub(crate) fn forget() {
    PANICKED.set(0);
    MESSAGE.take();
}

/// Whether any thread of the model has panicked in this execution.
#[inline]
pub(crate) fn panicked() -> bool {
    PANICKED.get() != 0
}

/// Whether this thread of the model is unwinding, or has unwound.
#[inline]
pub(crate) fn unwinding(thread: usize) -> bool {
    PANICKED.get() & bit(thread) != 0
}

/// What the first panic of this execution said, and where.
pub(crate) fn message() -> Option<String> {
    MESSAGE.with_borrow(Clone::clone)
}

/// The text of a panic.
pub(crate) fn said(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a panic without a text"
    }
}

fn bit(thread: usize) -> u64 {
    1 << thread.min(63)
}

/// Puts the hook in place, once per process.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        #[cfg(feature = "shuttle")]
        super::on_shuttle::let_shuttle_install_its_hook();
        panic::set_hook(Box::new(move |panic| {
            if !ACTIVE.get() {
                return before(panic);
            }
            PANICKED.set(PANICKED.get() | bit(record::current()));
            MESSAGE.with_borrow_mut(|message| {
                message.get_or_insert_with(|| {
                    let said = said(panic.payload());
                    match panic.location() {
                        Some(place) => format!("{said} ({}:{})", place.file(), place.line()),
                        None => said.to_owned(),
                    }
                });
            });
        }));
    });
}
