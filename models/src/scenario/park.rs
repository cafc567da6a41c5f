//! A task parks while something arrives that has to wake it.

use super::bench::{Bench, Waited};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::seam::{Atomic, Mutex, Parker};
use netpoller_spec::Mode;
use netpoller_spec::events::{Bits, report};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// This family.
pub const ALL: &[Scenario] = &[
    park_ready::SCENARIO,
    park_close::SCENARIO,
    park_close_close::SCENARIO,
    park_error::SCENARIO,
    park_any_event::SCENARIO,
    error_then_data::SCENARIO,
    park_ready_close::SCENARIO,
    park_stray_wake::SCENARIO,
    reader_and_writer_at_once::SCENARIO,
    reader_writer_ready_close::SCENARIO,
    two_edges_one_waiter::SCENARIO,
    close_seen_beats_readiness::SCENARIO,
    edge_that_woke_beats_close::SCENARIO,
];

scenario! {
    /// A reader parks while an edge arrives. Whatever the order, the reader ends with readiness.
    family: ParkUnpark;
    rules: "NP-SLOT-2 NP-SLOT-3 NP-SLOT-5";
    from: "the smallest lost wakeup there is";
    fn park_ready<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A reader parks while the descriptor is closed. Nobody else is there to wake it: leaving
    /// out the second look at the info word, or one of the two fences, leaves it asleep.
    family: ParkClose;
    rules: "NP-WAIT-2 NP-WAIT-3 NP-SLOT-4";
    from: "Go #45211, #50469 (B1)";
    fn park_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, closer) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                assert_that(waited == Waited::Closed, || format!("the reader got {waited:?}"));
            })
            .thread("closer", move || closer.close(token))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Two tasks begin to close the incarnation while a reader parks. One of them is the first, the
    /// other one changes nothing, and the reader ends. (Closers of a source are told apart by its
    /// lock before they get here: `fd_two_closers`.)
    family: ParkClose;
    rules: "NP-INFO-2 NP-WAIT-3";
    from: "Go throws \"unblock on closing polldesc\"; here the second close is told";
    fn park_close_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let firsts = Arc::new(AtomicUsize::new(0));
        let closer = |bench: &Bench<E>, firsts: &Arc<AtomicUsize>| {
            let (bench, firsts) = (bench.clone(), Arc::clone(firsts));
            move || {
                if let Some(wakers) = bench.poller.incarnation(token).close() {
                    firsts.fetch_add(1, Ordering::Relaxed);
                    netpoller::desc::wake(wakers);
                }
            }
        };
        let (waiter, one, two) = (bench.clone(), closer(&bench, &firsts), closer(&bench, &firsts));
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                assert_that(waited == Waited::Closed, || format!("the reader got {waited:?}"));
            })
            .thread("closer-1", one)
            .thread("closer-2", two)
            .finally(move || {
                let firsts = firsts.load(Ordering::Relaxed);
                assert_that(firsts == 1, || format!("{firsts} closers believe to be the first"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// An event that is nothing but an error arrives while a reader parks: the reader learns that
    /// the descriptor cannot be polled, or it gets the readiness and asks the kernel itself.
    family: EventError;
    rules: "NP-INFO-4 NP-INFO-5 NP-EVT-3";
    from: "Go #30624 (B24)";
    fn park_error<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::NotPollable);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::ERR))
            .finally(move || {
                let check = bench.poller.incarnation(token).check(Mode::Read);
                assert_that(check.is_err(), || "the error is not published".into());
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// One poller delivers an event that is nothing but an error, and then data. The later event
    /// takes the error back: a reader that looks afterwards waits and reads as usual.
    family: EventError;
    rules: "NP-INFO-5";
    from: "Go keeps the newest event's verdict, not the worst";
    fn error_then_data<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::NotPollable);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("poller", move || {
                poller.edge(token, Bits::ERR);
                poller.edge(token, Bits::IN);
            })
            .finally(move || {
                let check = bench.poller.incarnation(token).check(Mode::Read);
                assert_that(check.is_ok(), || format!("the error was not taken back: {check:?}"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The kernel reports one of five conditions, picked by the engine, while a writer parks:
    /// each of them has to end the wait.
    family: ParkUnpark;
    rules: "NP-EVT-1 NP-EVT-2 NP-EVT-3 NP-INFO-4";
    from: "the mapping of events to directions, under every choice of the kernel";
    fn park_any_event<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("writer", move || {
                let waited = waiter.wait(token, Mode::Write);
                assert_that(waited == Waited::Ready, || format!("the writer got {waited:?}"));
            })
            .thread("poller", move || {
                let conditions = [
                    Bits::OUT,
                    Bits::HUP,
                    Bits::ERR,
                    Bits::IN.or(Bits::OUT),
                    Bits::OUT.or(Bits::ERR),
                ];
                let bits = conditions[E::choose(conditions.len())];
                poller.edge(token, bits);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// An edge and a close arrive while a reader parks. Readiness or closed, but it ends, and
    /// the readiness is consumed by the reader or still there.
    family: ParkClose;
    rules: "NP-WAIT-3 NP-WAIT-7 NP-SLOT-4";
    from: "Go, section 2.4 R6 of its catalogue: ready after a cancel";
    fn park_ready_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller, closer) = (bench.clone(), bench.clone(), bench.clone());
        let consumed = Arc::new(AtomicBool::new(false));
        let reader_consumed = Arc::clone(&consumed);
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
                let ready = waited == Waited::Ready;
                reader_consumed.store(ready, Ordering::Relaxed);
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("closer", move || closer.close(token))
            .finally(move || {
                let consumed = consumed.load(Ordering::Relaxed);
                let once = consumed != bench.pending(0, Mode::Read);
                assert_that(once, || {
                    format!("one edge; consumed: {consumed}, still pending: {}", !consumed)
                });
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// The reader's thread is woken by somebody who has nothing to do with the wait. The reader
    /// parks again, and the edge still reaches it.
    family: ParkUnpark;
    rules: "NP-WAIT-5 NP-SLOT-3";
    from: "spurious thread wakes, not modelled in the prototypes";
    fn park_stray_wake<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller) = (bench.clone(), bench.clone());
        let found = |parker: &Option<E::Parker>| Some(u64::from(parker.is_some()));
        let shared = Arc::new(E::Mutex::<Option<E::Parker>>::new(None, found));
        let stranger = Arc::clone(&shared);
        Plan::new()
            .thread("reader", move || {
                *shared.lock() = Some(E::parker());
                let waited = waiter.wait(token, Mode::Read);
                assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::IN))
            .thread("stranger", move || {
                let parker = stranger.lock().clone();
                if let Some(parker) = parker {
                    parker.unpark();
                }
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// A reader and a writer park on one descriptor while a hang-up arrives, which concerns both.
    family: BothDirections;
    rules: "NP-EVT-2 NP-SLOT-3";
    from: "reader and writer together, not modelled in the prototypes";
    fn reader_and_writer_at_once<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (reader, writer, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
            })
            .thread("writer", move || {
                let waited = writer.wait(token, Mode::Write);
                assert_that(waited == Waited::Ready, || format!("the writer got {waited:?}"));
            })
            .thread("poller", move || poller.edge(token, Bits::HUP))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Reader, writer, an edge for the reader alone and a close: four threads. The writer can
    /// only be ended by the close; the reader by either.
    family: BothDirections;
    rules: "NP-WAIT-3 NP-EVT-1";
    from: "the largest scenario of parking without a kernel";
    fn reader_writer_ready_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (reader, writer) = (bench.clone(), bench.clone());
        let (poller, closer) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = reader.wait(token, Mode::Read);
                let fine = matches!(waited, Waited::Ready | Waited::Closed);
                assert_that(fine, || format!("the reader got {waited:?}"));
            })
            .thread("writer", move || {
                let waited = writer.wait(token, Mode::Write);
                assert_that(waited == Waited::Closed, || format!("the writer got {waited:?}"));
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
    /// Two pollers harvested two edges of one descriptor and deliver them while a reader waits.
    /// They may merge; none may be lost: after one readiness was consumed, the second edge either
    /// came before that, or is still there.
    family: TwoEdges;
    rules: "NP-SLOT-3 NP-SLOT-5";
    from: "two edges, one consumer; mutant class B38 (one event per edge assumed)";
    fn two_edges_one_waiter<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, first, second) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
            })
            .thread("poller-1", move || first.edge(token, Bits::IN))
            .thread("poller-2", move || second.edge(token, Bits::IN))
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Readiness is pending when the descriptor is closed. A reader that knows of the close, because
    /// the closer told it, must fail, and leave the readiness where it is.
    family: ParkClose;
    rules: "NP-WAIT-2 NP-SLOT-4";
    from: "Go checks for errors before it looks at the semaphore: runtime_pollReset, runtime_pollWait";
    fn close_seen_beats_readiness<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        bench.edge(token, Bits::IN);
        let told = Arc::new(E::AtomicU32::new(0));
        let consumed = Arc::new(AtomicBool::new(false));
        let (waiter, closer, teller) = (bench.clone(), bench.clone(), Arc::clone(&told));
        let reader_consumed = Arc::clone(&consumed);
        Plan::new()
            .thread("reader", move || {
                let closed = told.load(Ordering::Acquire) == 1;
                let waited = waiter.wait(token, Mode::Read);
                let fine = waited == Waited::Closed || waited == Waited::Ready && !closed;
                assert_that(fine, || format!("the reader, told: {closed}, got {waited:?}"));
                reader_consumed.store(waited == Waited::Ready, Ordering::Relaxed);
            })
            .thread("closer", move || {
                closer.close(token);
                teller.store(1, Ordering::Release);
            })
            .finally(move || {
                let consumed = consumed.load(Ordering::Relaxed);
                let kept = consumed != bench.pending(0, Mode::Read);
                assert_that(kept, || format!("readiness was pending; consumed: {consumed}"));
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// An edge and a close arrive while a reader parks. If it was the edge that took the reader's
    /// waker, the reader must end with readiness, though it sees the close, too: nobody else
    /// was told of the edge.
    family: ParkClose;
    rules: "NP-WAIT-7 NP-SLOT-3";
    from: "Go, section 2.4 R6 of its catalogue, seen from the side of the edge";
    fn edge_that_woke_beats_close<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (waiter, poller, closer) = (bench.clone(), bench.clone(), bench.clone());
        let [woke, ready] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let (edge_woke, reader_ready) = (Arc::clone(&woke), Arc::clone(&ready));
        Plan::new()
            .thread("reader", move || {
                let waited = waiter.wait(token, Mode::Read);
                reader_ready.store(waited == Waited::Ready, Ordering::Relaxed);
            })
            .thread("poller", move || {
                let wakers = poller.poller.incarnation(token).notify(report(Bits::IN));
                edge_woke.store(wakers[0].is_some(), Ordering::Relaxed);
                netpoller::desc::wake(wakers);
            })
            .thread("closer", move || closer.close(token))
            .finally(move || {
                let [woke, ready] = [woke, ready].map(|flag| flag.load(Ordering::Relaxed));
                assert_that(ready || !woke, || "the edge woke the reader, who took the close".into());
                bench.quiescent();
                drop(source);
            })
    }
}
