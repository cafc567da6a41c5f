//! One future on a thread that has nothing else to do: the thread parks while it waits.

use super::context::Context;
use crate::seam::{Arc, Atomic, Ordering, Os, Parker, Primitives};
use core::future::Future;
use core::pin::pin;
use core::task::{Poll, Waker};
use std::task::Wake;

/// The waker of the future.
///
/// It has a flag of its own: what the future does while it is polled may park on the parker of the
/// thread as well, and take a token that was meant for us.
#[derive(Debug)]
struct Root {
    /// 1: the future is to be polled. Set before the unpark and cleared before the poll.
    woken: <Os as Primitives>::AtomicU32,
    parker: <Os as Primitives>::Parker,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // AcqRel: what was done before the wake is seen by the poll; whoever finds it set leaves the
        // unpark to the one who has set it.
        if self.woken.swap(1, Ordering::AcqRel) == 0 {
            self.parker.unpark();
        }
    }
}

/// Runs a future to its end on the calling thread. Others have to see to it that it is woken.
///
/// # Panics
///
/// On a thread that runs tasks: they would wait for it.
pub(crate) fn on_this_thread<F: Future>(future: F) -> F::Output {
    assert!(
        !Context::forbids_blocking(),
        "a thread that runs tasks must not block: await, or use spawn_blocking"
    );
    let root = Arc::new(Root { woken: Atomic::<u32>::new(0), parker: Os::parker() });
    let waker = Waker::from(Arc::clone(&root));
    let mut cx = core::task::Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        // AcqRel: pairs with the swap in `wake_by_ref`.
        while root.woken.swap(0, Ordering::AcqRel) == 0 {
            root.parker.park();
        }
    }
}
