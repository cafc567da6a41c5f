//! The end of the server, told to every connection.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Said once, heard by all who ask.
#[derive(Debug, Default)]
pub struct Stop {
    said: AtomicBool,
    /// By connection.
    waiting: Mutex<HashMap<u64, Waker>>,
}

impl Stop {
    /// Says it.
    pub fn now(&self) {
        // Under the lock, as the look in `poll`: who does not see it has left his waker.
        let mut waiting = self.lock();
        self.said.store(true, Ordering::Relaxed);
        let wakers = std::mem::take(&mut *waiting);
        drop(waiting);
        wakers.into_values().for_each(Waker::wake);
    }

    /// Asks, for a connection. Ready: it was said.
    pub fn poll(&self, connection: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.lock();
        if self.said.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        waiting.insert(connection, cx.waker().clone());
        Poll::Pending
    }

    /// The connection does not ask any more.
    pub fn forget(&self, connection: u64) {
        self.lock().remove(&connection);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
