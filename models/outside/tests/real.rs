//! The event on threads of the operating system, as it ships: with one of the bugs in it, a test that
//! met it would hang.
#![cfg(not(any(feature = "lost-wakeup", feature = "missing-fence")))]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use wait_queue::Event;

#[test]
fn everybody_who_waits_goes_on_when_it_is_set_and_sees_what_was_written_before() {
    for round in 1..=500 {
        let (event, written) = (Event::new(), AtomicU64::new(0));
        thread::scope(|scope| {
            let wait = || {
                event.wait();
                written.load(Ordering::Relaxed)
            };
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(wait)).collect();
            written.store(round, Ordering::Relaxed);
            event.set();
            for waiter in waiters {
                assert_eq!(waiter.join().expect("no panic"), round);
            }
        });
        event.wait(); // nobody waits any more
    }
}
