//! Several edges, several waiters, and both directions at once.
//!
//! The kernel's side of an edge is a relaxed atomic here, as in [`consume`](super::consume): what a
//! reader finds by its system call is ordered by nothing but the fences of the code under test.

use super::bench::{Bench, Waited};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::desc::Wait;
use netpoller::seam::{Atomic, Parker};
use netpoller_spec::Mode;
use netpoller_spec::events::Bits;
use netpoller_spec::token::Token;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    one_batch_two_readers::SCENARIO,
    two_batches_two_readers::SCENARIO,
    two_bytes_two_edges::SCENARIO,
    three_bytes_three_pollers::SCENARIO,
    data_then_end_two_edges::SCENARIO,
    one_task_in_both_directions::SCENARIO,
];

/// Reads until everything is there, as an operation of the I/O layer does: prepare, system call,
/// wait, system call.
fn reads_all<E: Engine>(bench: &Bench<E>, token: Token, data: &E::AtomicU32, all: u32) {
    let prepared = bench.poller.incarnation(token).prepare(Mode::Read);
    assert_that(prepared.is_ok(), || format!("prepare: {prepared:?}"));
    while data.load(Ordering::Relaxed) != all {
        let waited = bench.wait(token, Mode::Read);
        assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
    }
}

fn waits<E: Engine>(bench: &Bench<E>, token: Token) {
    let waited = bench.wait(token, Mode::Read);
    assert_that(waited == Waited::Ready, || format!("the reader got {waited:?}"));
}

scenario! {
    /// One batch brings the edges of two descriptors while a reader of each parks. One fence serves
    /// the batch, and both are woken.
    family: ParkUnpark;
    rules: "NP-EDGE-3 NP-SLOT-3 NP-SLOT-5 NP-WAKE-1";
    from: "Go #65064: a batch is handled as a whole";
    fn one_batch_two_readers<E>() -> Plan {
        let bench = Bench::<E>::new();
        let (one, two) = (bench.open(), bench.open());
        let tokens = [one.token(), two.token()];
        let (first, second, poller) = (bench.clone(), bench.clone(), bench.clone());
        Plan::new()
            .thread("reader-1", move || waits(&first, tokens[0]))
            .thread("reader-2", move || waits(&second, tokens[1]))
            .thread("poller", move || poller.batch(&tokens.map(|token| (token, Bits::IN))))
            .finally(move || {
                bench.quiescent();
                drop((one, two));
            })
    }
}

scenario! {
    /// Two pollers have harvested both descriptors, each in another order, and deliver at once. The
    /// edges may merge; each reader is woken once, and by one of them.
    family: ParkUnpark;
    rules: "NP-SLOT-3 NP-SLOT-5 NP-WAKE-1";
    from: "several threads in epoll_wait, each with its own batch";
    fn two_batches_two_readers<E>() -> Plan {
        let bench = Bench::<E>::new();
        let (one, two) = (bench.open(), bench.open());
        let tokens = [one.token(), two.token()];
        let [first, second, poller, other] = [(); 4].map(|()| bench.clone());
        Plan::new()
            .thread("reader-1", move || waits(&first, tokens[0]))
            .thread("reader-2", move || waits(&second, tokens[1]))
            .thread("poller-1", move || poller.batch(&tokens.map(|token| (token, Bits::IN))))
            .thread("poller-2", move || {
                other.batch(&[(tokens[1], Bits::IN), (tokens[0], Bits::IN)]);
            })
            .finally(move || {
                bench.quiescent();
                drop((one, two));
            })
    }
}

scenario! {
    /// Two bytes come, each with its edge, while a reader reads until it has both: the second edge
    /// may find the slot as the first one has left it, and the reader between any two of its steps.
    family: TwoEdges;
    rules: "NP-EDGE-3 NP-WAIT-4 NP-SLOT-3 NP-SLOT-5";
    from: "two edges, one consumer, each of them several times";
    fn two_bytes_two_edges<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let data = Arc::new(E::AtomicU32::new(0));
        let (reader, poller, kernel) = (bench.clone(), bench.clone(), Arc::clone(&data));
        Plan::new()
            .thread("reader", move || reads_all::<E>(&reader, token, &data, 2))
            .thread("poller", move || {
                for byte in 1..=2 {
                    kernel.store(byte, Ordering::Relaxed);
                    poller.edge(token, Bits::IN);
                }
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Three pollers bring a byte and its edge each while one reader reads until it has all. However
    /// the edges merge, the last byte is not slept through.
    family: TwoEdges;
    rules: "NP-EDGE-3 NP-WAIT-4 NP-SLOT-3 NP-SLOT-5";
    from: "mutant class B38 (one event per edge assumed), with every thread busy";
    fn three_bytes_three_pollers<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let data = Arc::new(E::AtomicU32::new(0));
        let poller = |byte: u32| {
            let (poller, kernel) = (bench.clone(), Arc::clone(&data));
            move || {
                kernel.fetch_or(byte, Ordering::Relaxed);
                poller.edge(token, Bits::IN);
            }
        };
        let (one, two, three) = (poller(1), poller(2), poller(4));
        let (reader, found) = (bench.clone(), Arc::clone(&data));
        Plan::new()
            .thread("reader", move || reads_all::<E>(&reader, token, &found, 7))
            .thread("poller-1", one)
            .thread("poller-2", two)
            .thread("poller-3", three)
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// Data comes, and then the end of the stream in a report of its own, which says hang-up and nothing
    /// else. A reader that has the data goes on to the end, and that report must find it there.
    family: DataAndEnd;
    rules: "NP-EDGE-3 NP-EVT-1 NP-EVT-2 NP-WAIT-4";
    from: "a FIN that was coalesced (protocol argument of the short read), before there is one";
    fn data_then_end_two_edges<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let data = Arc::new(E::AtomicU32::new(0));
        let (reader, poller, kernel) = (bench.clone(), bench.clone(), Arc::clone(&data));
        Plan::new()
            .thread("reader", move || reads_all::<E>(&reader, token, &data, 3))
            .thread("poller", move || {
                kernel.store(1, Ordering::Relaxed);
                poller.edge(token, Bits::IN);
                kernel.store(3, Ordering::Relaxed);
                poller.edge(token, Bits::HUP);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}

scenario! {
    /// One task waits in both directions with one waker, and is woken by an edge for each. It must
    /// not take the one for the other, nor be woken by the second of them into a wait that is over.
    family: BothDirections;
    rules: "NP-EVT-1 NP-SLOT-3 NP-WAIT-5";
    from: "select on readability and writability; both waits hang on one thread";
    fn one_task_in_both_directions<E>() -> Plan {
        let bench = Bench::<E>::new();
        let source = bench.open();
        let token = source.token();
        let (task, poller) = (bench.clone(), bench.clone());
        Plan::new()
            .thread("task", move || {
                let parker = E::parker();
                let mut waits = [(); 2].map(|()| Wait::default());
                let mut open = Mode::BOTH.to_vec();
                loop {
                    open.retain(|mode| {
                        let wait = &mut waits[*mode as usize];
                        let waited = task.poll(token, *mode, wait, parker.waker());
                        let fine = matches!(waited, Waited::Ready | Waited::Pending);
                        assert_that(fine, || format!("the task got {waited:?} in {mode:?}"));
                        waited == Waited::Pending
                    });
                    if open.is_empty() {
                        break;
                    }
                    parker.park();
                }
            })
            .thread("poller", move || {
                poller.edge(token, Bits::IN);
                poller.edge(token, Bits::OUT);
            })
            .finally(move || {
                bench.quiescent();
                drop(source);
            })
    }
}
