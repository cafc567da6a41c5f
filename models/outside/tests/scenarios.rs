//! The scenarios of the event, and what the engines make of them: of the event as it is, and of the two
//! bugs that can be put in.

use netpoller::seam::{Atomic, Ordering};
use netpoller_models::engine::{Engine, Explore, Limits, LoomSc, Plan};
use netpoller_models::program::Program;
use std::sync::Arc;
use wait_queue::OneShot;

/// An event, and what whoever waits for it wants to read.
struct Shared<E: Engine> {
    event: OneShot<E>,
    message: E::AtomicU64,
}

fn shared<E: Engine>() -> Arc<Shared<E>> {
    // The names of the objects in a story, in the order in which they are made: `event` is the word
    // `set`, `event 1` is `waiting`, `event 2` is the queue.
    E::label("event");
    let event = OneShot::new();
    E::label("message");
    let message = E::AtomicU64::new(0);
    Arc::new(Shared { event, message })
}

impl<E: Engine> Shared<E> {
    /// What a thread does that waits.
    fn reads(self: Arc<Self>) -> impl FnOnce() + Send + 'static {
        move || {
            self.event.wait();
            let message = self.message.load(Ordering::Relaxed);
            E::note("read", message); // a part of the behaviour
            assert_ne!(message, 0, "woken before the message was there");
        }
    }

    /// What a thread does that sets the event.
    fn writes(self: Arc<Self>) -> impl FnOnce() + Send + 'static {
        move || {
            self.message.store(7, Ordering::Relaxed);
            self.event.set();
        }
    }
}

/// A thread begins to wait while another one sets the event.
struct OneWaits;

impl Program for OneWaits {
    const NAME: &'static str = "one_waits";

    fn plan<E: Engine>() -> Plan {
        let shared = shared::<E>();
        Plan::new()
            .thread("waiter", shared.clone().reads())
            .thread("setter", shared.clone().writes())
            .finally(move || assert_eq!(shared.message.peek(), 7))
    }
}

/// Two threads wait, and two set the event: one of these takes both waiters out of the queue, or each
/// takes one.
struct TwoWaitAndTwoSet;

impl Program for TwoWaitAndTwoSet {
    const NAME: &'static str = "two_wait_and_two_set";

    fn plan<E: Engine>() -> Plan {
        let shared = shared::<E>();
        Plan::new()
            .thread("first waiter", shared.clone().reads())
            .thread("second waiter", shared.clone().reads())
            .thread("setter", shared.clone().writes())
            .thread("other setter", shared.writes())
    }
}

fn limits() -> Limits {
    Limits::default()
}

#[cfg(not(any(feature = "lost-wakeup", feature = "missing-fence")))]
mod as_it_is {
    use super::*;
    use netpoller_models::engine::LoomWeak;
    use netpoller_models::program::everywhere;

    #[test]
    fn no_engine_finds_fault() {
        for outcome in everywhere::<OneWaits>(&limits()) {
            println!("{}: {outcome}", OneWaits::NAME);
            outcome.assert_passed();
        }
    }

    #[test]
    fn every_interleaving_was_gone_through() {
        let explore = Explore::run(OneWaits::plan::<Explore>, &limits());
        let loom = LoomSc::run(OneWaits::plan::<LoomSc>, &limits());
        println!("{explore}\n{loom}");
        explore.assert_exhaustive();
        loom.assert_exhaustive();
        // Two engines that share nothing saw the same.
        assert_eq!(explore.behaviours, loom.behaviours);
        // Nor does memory that is weaker show anything, as far as loom knows it.
        LoomWeak::run(OneWaits::plan::<LoomWeak>, &limits()).assert_ended();
    }

    #[test]
    fn every_interleaving_of_four_threads_was_gone_through() {
        let outcome = Explore::run(TwoWaitAndTwoSet::plan::<Explore>, &limits());
        println!("{}: {outcome}", TwoWaitAndTwoSet::NAME);
        outcome.assert_exhaustive();
    }
}

#[cfg(feature = "lost-wakeup")]
mod a_lost_wakeup {
    use super::*;
    use netpoller_models::engine::FailureKind;
    use netpoller_models::program::everywhere;

    /// The run fails, and says who waits for what.
    fn is_found_by<E: Engine>() {
        let outcome = E::run(OneWaits::plan::<E>, &limits());
        let failure = outcome.expect_failure();
        println!("on {}, execution {}: {failure}", E::NAME, outcome.executions);
        assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
        let threads = failure.story.threads();
        assert_eq!(threads, ["waiter: waits in park for an unpark", "setter: has ended"]);
        // It looked, the event was set, and then it went to sleep.
        let place = |thread: &str, operation: &str, object: &str| {
            let rows = failure.story.rows();
            let at = rows.iter().position(|row| {
                (&*row.thread, &*row.operation, &*row.object) == (thread, operation, object)
            });
            at.unwrap_or_else(|| panic!("no {thread} {operation} {object}: {failure}"))
        };
        assert!(place("waiter", "load", "event") < place("setter", "store", "event"), "{failure}");
    }

    #[test]
    fn is_found_by_explore_and_the_story_names_the_waiter() {
        is_found_by::<Explore>();
    }

    #[test]
    fn is_found_by_loom_and_the_story_names_the_waiter() {
        is_found_by::<LoomSc>();
    }

    #[test]
    fn is_found_before_threads_for_real_could_hang_in_it() {
        let outcomes = everywhere::<TwoWaitAndTwoSet>(&limits());
        let last = outcomes.last().expect("an engine");
        assert_eq!(last.expect_failure().kind, FailureKind::Deadlock);
        assert!(outcomes.iter().all(|outcome| outcome.engine != "threads"), "{outcomes:?}");
    }
}

#[cfg(feature = "missing-fence")]
mod a_missing_fence {
    use super::*;
    use netpoller_models::engine::{FailureKind, LoomWeak};

    #[test]
    fn is_found_under_weak_memory_and_nowhere_else() {
        Explore::run(OneWaits::plan::<Explore>, &limits()).assert_exhaustive();
        Explore::run(TwoWaitAndTwoSet::plan::<Explore>, &limits()).assert_exhaustive();
        LoomSc::run(OneWaits::plan::<LoomSc>, &limits()).assert_exhaustive();
        let weak = LoomWeak::run(OneWaits::plan::<LoomWeak>, &limits());
        let failure = weak.expect_failure();
        println!("on loom-weak, execution {}: {failure}", weak.executions);
        assert_eq!(failure.kind, FailureKind::Deadlock, "{failure}");
        let threads = failure.story.threads();
        assert_eq!(threads, ["waiter: waits in park for an unpark", "setter: has ended"]);
    }
}
