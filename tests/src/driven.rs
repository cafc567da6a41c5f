//! Threads that poll while a test goes on, and what must be left when they have ended.

use crate::counting::Counted;
use netpoller::poller::{Poller, Shape};
use netpoller::ready::Ready;
use netpoller::seam::Kernel;
use netpoller_spec::slot::State;
use netpoller_spec::wake::Flag;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Runs `body` while `pollers` threads poll; then sees that the books balance.
///
/// # Panics
///
/// When `body` does, and when something is left over.
pub fn driven<K: Kernel + Copy + Default>(pollers: usize, body: impl FnOnce(&Poller<Counted<K>>)) {
    let poller = Poller::on(Counted::default(), Shape { first_segment: 1, ..Shape::default() })
        .expect("a poller");
    let attached = poller.attach();
    let over = AtomicBool::new(false);
    let ended = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..pollers {
            scope.spawn(|| {
                let mut ready = Ready::new();
                while !over.load(Ordering::Acquire) {
                    poller.poll(&mut ready, None).expect("the queue is usable");
                    ready.wake_all();
                }
                ended.fetch_add(1, Ordering::Release);
            });
        }
        // What `body` leaves would never be woken, so the pollers end whatever happens in it.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(&poller)));
        over.store(true, Ordering::Release);
        while ended.load(Ordering::Acquire) < pollers as u64 {
            poller.wake().expect("a token");
            thread::yield_now();
        }
        if let Err(payload) = result {
            std::panic::resume_unwind(payload);
        }
    });
    drop(attached);
    assert_nothing_left(&poller);
}

/// Sees that nobody is parked, no waker is held, and what was closed came to its end.
///
/// # Panics
///
/// When that is not so.
pub fn assert_nothing_left<K: Kernel + Copy>(poller: &Poller<Counted<K>>) {
    // Takes a break that came after the last poll.
    poller.wake().expect("a token");
    poller.poll(&mut Ready::new(), None).expect("the break");
    let (entries, flag) = poller.peek();
    assert_eq!(flag, Flag::Clear, "a break was left over");
    for (index, entry) in entries {
        assert_eq!(entry.wakers, [false; 2], "a waker was left in entry {index}: {entry:?}");
        for slot in entry.slots {
            assert_eq!(slot.state(), State::Nil, "entry {index} is not in use: {entry:?}");
        }
    }
    let ledger = poller.system().ledger();
    ledger.assert_balanced();
    let (set, cleared) = (ledger.get(|l| &l.breaks_set), ledger.get(|l| &l.breaks_cleared));
    assert_eq!(set, cleared, "breaks set and cleared");
    let (closed, freed) = (ledger.get(|l| &l.closed), ledger.get(|l| &l.freed));
    assert_eq!(closed, freed, "descriptors closed and freed");
    let timers = poller.peek_timers();
    for (index, entry) in poller.peek().0 {
        let armed = entry.ledger.armed;
        let there = armed == 0 || timers.contains(&(index, armed));
        assert!(there, "entry {index} believes to be armed: {entry:?}, {timers:?}");
    }
}
