//! What a runtime asks the operating system for besides the seam: how many cores there are, and a place
//! of each thread where it keeps what runs on it.
//!
//! A runtime is made of threads of the operating system and of nothing else, so this is no part of
//! [`System`](super::System).

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;
use std::thread;

thread_local! {
    static CURRENT: RefCell<Option<Rc<dyn Any>>> = const { RefCell::new(None) };
}

/// How many threads of this process can run at once.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, core::num::NonZero::get)
}

/// What lies in the place of the calling thread. `None` too while the thread is taken down.
pub(crate) fn current() -> Option<Rc<dyn Any>> {
    CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
}

/// Puts something into the place of the calling thread; returns what was there.
pub(crate) fn replace(new: Option<Rc<dyn Any>>) -> Option<Rc<dyn Any>> {
    CURRENT.try_with(|current| current.replace(new)).ok().flatten()
}
