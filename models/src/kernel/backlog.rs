//! Connections that wait to be accepted.

use netpoller::seam::Arc;
use std::collections::VecDeque;

/// The queue of a socket that listens. `C` is a connection under its lock.
pub(super) struct Backlog<C> {
    /// One more than this many fit: Linux counts so.
    limit: usize,
    /// Oldest first, each with the serial number of the client that made it.
    waiting: VecDeque<(u64, Arc<C>)>,
}

/// Shows who made the connections; the derived one would ask a connection for its own.
impl<C> core::fmt::Debug for Backlog<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (limit, clients) = self.state();
        write!(f, "clients {clients:?} of {limit} and one")
    }
}

impl<C> Backlog<C> {
    pub(super) fn new() -> Backlog<C> {
        Backlog { limit: 0, waiting: VecDeque::new() }
    }

    pub(super) fn limit(&mut self, limit: u32) {
        // The limit of the system; what is asked for beyond it is cut.
        const MOST: u32 = 4096;
        self.limit = limit.min(MOST) as usize;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() > self.limit
    }

    pub(super) fn push(&mut self, client: u64, connection: Arc<C>) {
        self.waiting.push_back((client, connection));
    }

    pub(super) fn pop(&mut self) -> Option<Arc<C>> {
        self.waiting.pop_front().map(|(_, connection)| connection)
    }

    /// All of them, because nobody will accept them.
    pub(super) fn take(&mut self) -> Vec<Arc<C>> {
        self.waiting.drain(..).map(|(_, connection)| connection).collect()
    }

    /// What influences the future.
    pub(super) fn state(&self) -> (usize, Vec<u64>) {
        (self.limit, self.waiting.iter().map(|(client, _)| *client).collect())
    }
}
