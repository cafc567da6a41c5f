//! Programs in which a thread hides from the engine what it has observed: by forgetting it, or in a sealed call.

use netpoller::seam::{Atomic as _, Mutex as _, Ordering::SeqCst, Primitives};
use netpoller_models::engine::{Engine, Explore, Plan};
use std::sync::Arc;

pub(crate) type Word = <Explore as Primitives>::AtomicU64;
pub(crate) type Lock = <Explore as Primitives>::Mutex<u64>;

/// Makes a call, and hides what was observed in it.
pub(crate) type Hides = fn(&mut dyn FnMut());

/// What a thread has seen is in a lock without a digest: known by its history, which is hidden.
pub(crate) fn leaves_it_in_a_lock(hides: Hides) -> Plan {
    let (word, lock) = (Arc::new(Word::new(0)), Arc::new(Lock::new(0, |_| None)));
    let (seen, left, found) = (Arc::clone(&word), Arc::clone(&lock), lock);
    Plan::new()
        .thread("a", move || {
            hides(&mut || {
                let value = seen.load(SeqCst);
                *left.lock() = value;
            });
            hides(&mut || {
                let _one_step_more = seen.load(SeqCst);
            });
        })
        .thread("b", move || word.store(1, SeqCst))
        .thread("c", move || {
            let value = *found.lock();
            Explore::note("found", value);
        })
}

/// A thread goes by what it has hidden: no function of what it observed.
pub(crate) fn goes_by_it(hides: Hides) -> Plan {
    let (word, other) = (Arc::new(Word::new(0)), Arc::new(Word::new(0)));
    let (seen, written) = (Arc::clone(&word), Arc::clone(&other));
    Plan::new()
        .thread("a", move || {
            let mut decides = 0;
            hides(&mut || decides = seen.load(SeqCst));
            let _one_step_more = written.load(SeqCst);
            if decides == 0 {
                written.store(1, SeqCst);
            }
        })
        .thread("b", move || {
            word.store(1, SeqCst);
            word.store(2, SeqCst);
            let _seen = other.load(SeqCst);
        })
}
