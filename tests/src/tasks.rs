//! Tasks without a runtime: a waker that counts, and an executor for one future.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// A waker that does nothing but count.
#[derive(Debug, Default)]
pub struct Wakes(AtomicUsize);

impl Wakes {
    /// How often it was woken.
    #[must_use]
    pub fn count(&self) -> usize {
        // Acquire: pairs with the release in `wake`; what came before the wake is seen after it.
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// Wakes the thread that made it.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which sleeps meanwhile. `pending` is called each time it is left parked.
pub fn block_on<T>(future: impl Future<Output = T>, mut pending: impl FnMut()) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => {
                pending();
                thread::park();
            }
        }
    }
}

/// xorshift, seeded: numbers in no order, the same in each run.
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Those of this seed.
    #[must_use]
    pub fn of(seed: u64) -> Numbers {
        Numbers((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next one, below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
