//! A wait is given up, or goes on with another waker.

use super::bench::{Bench, Waited, unheard};
use super::deadline::at;
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// This family.
pub const ALL: &[Scenario] = &[
    retract_ready::SCENARIO,
    retract_close::SCENARIO,
    retract_while_another_waits::SCENARIO,
    repoll_with_another_waker::SCENARIO,
    repoll_with_another_waker_close::SCENARIO,
    second_waiter_is_told::SCENARIO,
    second_look_of_a_stale_wait::SCENARIO,
    retract_then_wait::SCENARIO,
    park_again_at_once::SCENARIO,
    retract_against_everything::SCENARIO,
    repoll_against_everything::SCENARIO,
];

scenario! {
    /// A future is polled once and dropped while an edge arrives. If it did not take the
    /// readiness with it, the readiness is there for the next one.
    family: Retract;
    rules: "NP-SLOT-6 NP-SLOT-7";
    from: "cancellation by drop, which Go does not have";
    fn retract_ready<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, poller) = (bench.clone(), bench.clone());
        let consumed = Arc::new(AtomicBool::new(false));
        let task_consumed = Arc::clone(&consumed);
        Plan::new()
            .thread("task", move || {
                let waker = unheard();
                let mut wait = Wait::default();
                let waited = task.poll(token, Mode::Read, &mut wait, &waker);
                task_consumed.store(waited == Waited::Ready, Ordering::Relaxed);
                task.retract(token, Mode::Read, &mut wait);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                let consumed = consumed.load(Ordering::Relaxed);
                let kept = consumed != bench.pending(0, Mode::Read);
                assert_that(kept, || format!("one edge; consumed by the task: {consumed}"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A future is polled once and dropped while the descriptor is closed. Nothing is left over.
    family: Retract;
    rules: "NP-SLOT-6 NP-WAIT-3";
    from: "cancellation by drop against a cancel";
    fn retract_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, closer) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("task", move || {
                let waker = unheard();
                let mut wait = Wait::default();
                let waited = task.poll(token, Mode::Read, &mut wait, &waker);
                let fine = matches!(waited, Waited::Pending | Waited::Closed);
                assert_that(fine, || format!("the task got {waited:?}"));
                task.retract(token, Mode::Read, &mut wait);
            })
            .thread("closer", move || closer.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Task A was woken by an edge and not polled again; task B consumed the readiness. Now A's
    /// future is dropped while B parks and the next edge arrives. A must leave B's wait alone.
    family: Retract;
    rules: "NP-SLOT-6";
    from: "why a wait has a ticket: found by exploring a prototype without one";
    fn retract_while_another_waits<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let waker = unheard();
        let mut first = Wait::default();
        let parked = bench.poll(token, Mode::Read, &mut first, &waker);
        bench.edge(token, Bits::IN);
        let consumed = bench.poll(token, Mode::Read, &mut Wait::default(), &waker);
        assert_that((parked, consumed) == (Waited::Pending, Waited::Ready), || {
            format!("the setup got {parked:?}, {consumed:?}")
        });
        let (a, b, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("task-b", move || {
                let waited = b.wait(token, Mode::Read);
                assert_that(waited == Waited::Ready, || format!("task B got {waited:?}"));
            })
            .thread("task-a", move || a.retract(token, Mode::Read, &mut first))
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A future is polled with one waker and then with another, as when it moves between tasks,
    /// while an edge arrives. The second waker is the one that counts.
    family: Repoll;
    rules: "NP-WAIT-5 NP-SLOT-2";
    from: "the contract of Future::poll";
    fn repoll_with_another_waker<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("task", move || {
                let other = unheard();
                let mut wait = Wait::default();
                let mut waited = task.poll(token, Mode::Read, &mut wait, &other);
                if waited == Waited::Pending {
                    waited = task.go_on(token, Mode::Read, &mut wait);
                }
                assert_that(waited == Waited::Ready, || format!("the task got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The same, with an edge and a close.
    family: Repoll;
    rules: "NP-WAIT-5 NP-WAIT-6 NP-WAIT-7";
    from: "the contract of Future::poll, and precedence of readiness over closing";
    fn repoll_with_another_waker_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, poller, closer) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("task", move || {
                let other = unheard();
                let mut wait = Wait::default();
                let mut waited = task.poll(token, Mode::Read, &mut wait, &other);
                if waited == Waited::Pending {
                    waited = task.go_on(token, Mode::Read, &mut wait);
                }
                let fine = matches!(waited, Waited::Ready | Waited::Closed);
                assert_that(fine, || format!("the task got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Task A was woken by an edge that task B consumed, and B is parked. When A looks again it
    /// is told that somebody else waits; B's wait goes on, and the next edge ends it.
    family: Retract;
    rules: "NP-WAIT-1 NP-SLOT-6";
    from: "Go's \"double wait\", which throws; here the second waiter gets an error";
    fn second_waiter_is_told<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let waker = unheard();
        let (mut first, mut second) = (Wait::default(), Wait::default());
        let parked = bench.poll(token, Mode::Read, &mut first, &waker);
        bench.edge(token, Bits::IN);
        let consumed = bench.poll(token, Mode::Read, &mut second, &waker);
        let again = bench.poll(token, Mode::Read, &mut second, &waker);
        let setup = (parked, consumed, again);
        assert_that(setup == (Waited::Pending, Waited::Ready, Waited::Pending), || {
            format!("the setup got {setup:?}")
        });
        let (a, b, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("task-a", move || {
                let waker = unheard();
                let waited = a.poll(token, Mode::Read, &mut first, &waker);
                // `Ready` or `Pending`: the next edge had come already, and A took it or B had.
                assert_that(waited != Waited::Closed, || format!("task A got {waited:?}"));
                a.retract(token, Mode::Read, &mut first);
            })
            .thread("task-b", move || {
                let waited = b.poll(token, Mode::Read, &mut second, &unheard());
                let fine = matches!(waited, Waited::Ready | Waited::Pending | Waited::Occupied);
                assert_that(fine, || format!("task B got {waited:?}"));
                b.retract(token, Mode::Read, &mut second);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Task A was woken by an edge that task B consumed, and B is parked and sleeps. A looks again,
    /// with its own waker: it must leave B's waker where it is, or the next edge wakes A and B sleeps
    /// on. (If that edge is there already A takes it, and passes it on.)
    family: Repoll;
    rules: "NP-SLOT-6 NP-WAIT-1";
    from: "why a wait has a ticket, seen from the side of the waiter that looks again";
    fn second_look_of_a_stale_wait<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let waker = unheard();
        let (mut first, mut second) = (Wait::default(), Wait::default());
        let parked = bench.poll(token, Mode::Read, &mut first, &waker);
        bench.edge(token, Bits::IN);
        let consumed = bench.poll(token, Mode::Read, &mut second, &waker);
        let again = bench.poll(token, Mode::Read, &mut second, &waker);
        let setup = (parked, consumed, again);
        assert_that(setup == (Waited::Pending, Waited::Ready, Waited::Pending), || {
            format!("the setup got {setup:?}")
        });
        let (a, b, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("task-b", move || {
                let waited = b.go_on(token, Mode::Read, &mut second);
                assert_that(waited == Waited::Ready, || format!("task B got {waited:?}"));
            })
            .thread("task-a", move || {
                let waited = a.poll(token, Mode::Read, &mut first, &unheard());
                if waited == Waited::Ready {
                    a.edge(token, Bits::IN);
                }
                a.retract(token, Mode::Read, &mut first);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A future is polled once and dropped, and the same task waits again while an edge arrives. If
    /// the first wait was not withdrawn, the second one finds its own place taken.
    family: Retract;
    rules: "NP-SLOT-7 NP-SLOT-6";
    from: "cancellation by drop, which Go does not have";
    fn retract_then_wait<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("task", move || {
                let mut wait = Wait::default();
                let mut waited = task.poll(token, Mode::Read, &mut wait, &unheard());
                if waited == Waited::Pending {
                    task.retract(token, Mode::Read, &mut wait);
                    waited = task.wait(token, Mode::Read);
                }
                assert_that(waited == Waited::Ready, || format!("the task got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A task looks again without having been woken, finds the readiness that an edge has just left,
    /// and parks again at once. The poller that left it must have taken the waker by then: it lies
    /// in the same cell.
    family: Repoll;
    rules: "NP-SLOT-2 NP-SLOT-5";
    from: "a wake that takes the waker after the word, found by exploring a prototype";
    fn park_again_at_once<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("task", move || {
                let waker = unheard();
                let mut wait = Wait::default();
                for _ in 0..3 {
                    let waited = task.poll(token, Mode::Read, &mut wait, &waker);
                    let fine = matches!(waited, Waited::Ready | Waited::Pending);
                    assert_that(fine, || format!("the task got {waited:?}"));
                }
                task.retract(token, Mode::Read, &mut wait);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A future is polled once and dropped while an edge, its deadline and a close arrive: whoever of
    /// them took its waker, nothing is left over, and the edge is consumed or still there.
    family: Retract;
    rules: "NP-SLOT-4 NP-SLOT-6 NP-SLOT-7 NP-WAIT-3";
    from: "cancellation by drop, against all that can end a wait";
    fn retract_against_everything<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let [task, poller, clock, closer] = [(); 4].map(|()| bench.clone());
        let consumed = Arc::new(AtomicBool::new(false));
        let task_consumed = Arc::clone(&consumed);
        Plan::new()
            .thread("task", move || {
                let waker = unheard();
                let mut wait = Wait::default();
                let waited = task.poll(token, Mode::Read, &mut wait, &waker);
                task_consumed.store(waited == Waited::Ready, Ordering::Relaxed);
                task.retract(token, Mode::Read, &mut wait);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("clock", move || clock.tick(5))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                let consumed = consumed.load(Ordering::Relaxed);
                let kept = consumed != bench.pending(0, Mode::Read);
                assert_that(kept, || format!("one edge; consumed by the task: {consumed}"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A future is polled with one waker and then with another one, while an edge, its deadline and a
    /// close arrive: one of them wakes the second waker, and the future ends with one of them.
    family: Repoll;
    rules: "NP-WAIT-5 NP-WAIT-6 NP-WAIT-7 NP-SLOT-2";
    from: "protocol, explored: re-poll with another waker against close and timer";
    fn repoll_against_everything<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        source.set_read_deadline(at(5)).expect("open");
        let [task, poller, clock, closer] = [(); 4].map(|()| bench.clone());
        Plan::new()
            .thread("task", move || {
                let other = unheard();
                let mut wait = Wait::default();
                let mut waited = task.poll(token, Mode::Read, &mut wait, &other);
                if waited == Waited::Pending {
                    waited = task.go_on(token, Mode::Read, &mut wait);
                }
                let fine = matches!(waited, Waited::Ready | Waited::TimedOut | Waited::Closed);
                assert_that(fine, || format!("the task got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("clock", move || clock.tick(5))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}
