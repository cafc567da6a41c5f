//! The lock of a descriptor with four threads: a right that is handed on through a queue while the
//! descriptor is closed, and users of all kinds, of whom one destroys.

use super::fd_lock::{Numbered, Task, bench, close, destroyed, holder, numbered, queued};
use super::traffic::{over, read_one};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::Reason;
use std::sync::Arc;

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[fd_close_two_queued::SCENARIO, fd_close_against_a_crowd::SCENARIO];

scenario! {
    /// Two callers are queued when the holder gives its right up and a third one closes. Each of them
    /// has its turn or is told of the close, in whatever order; nobody is forgotten in the queue.
    family: FdLock;
    rules: "NP-FD-2 NP-FD-6 NP-FD-7 NP-FD-8";
    from: "the hand-off of a right against Go's increfAndClose, with a queue behind it";
    fn fd_close_two_queued<E>() -> Plan {
        let (bench, source) = bench::<E>();
        let holder = holder(&source);
        let (first, second) = (queued(&source, || ()), queued(&source, || ()));
        let closer = Arc::clone(&source);
        let finish = |name: &'static str, task: Task| {
            move || {
                let got = task.finish::<E>();
                let fine = matches!(got, Ok(()) | Err(Reason::Closed));
                assert_that(fine, || format!("the {name} got {got:?}"));
                E::note("turn", u64::from(got.is_ok()));
            }
        };
        Plan::new()
            .thread("holder", move || drop(holder))
            .thread("first", finish("first", first))
            .thread("second", finish("second", second))
            .thread("closer", move || {
                let closed = E::sealed(|| closer.close().map_err(|error| error.kind()));
                assert_that(closed.is_ok(), || format!("the close got {closed:?}"));
            })
            .finally(move || {
                destroyed(&source);
                bench.quiescent();
            })
    }
}

scenario! {
    /// A reader that blocks, a caller that tries, a borrow of the number, and a close. The last of them
    /// to leave destroys, whoever it is, and the number is closed when the close returns.
    family: FdLock;
    rules: "NP-FD-1 NP-FD-2 NP-FD-3 NP-FD-4 NP-FD-9 NP-FD-10";
    from: "Go #7970 (B22), #10527 (B21), internal/poll.TestMutexStress";
    fn fd_close_against_a_crowd<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open }) = numbered::<E>();
        let [reader, user, borrower, closer] = [(); 4].map(|()| Arc::clone(&source));
        Plan::new()
            .thread("reader", move || {
                let got = read_one::<E>(&reader);
                let closed = got == Err(Some(Reason::Closed));
                assert_that(closed, || format!("the reader got {got:?}"));
            })
            .thread("user", move || {
                let got = user.try_read(&mut [0]).map_err(|error| Reason::of(&error));
                let fine = matches!(got, Err(None | Some(Reason::Closed)));
                assert_that(fine, || format!("the user got {got:?}"));
            })
            .thread("borrower", move || drop(borrower.fd()))
            .thread("closer", move || {
                let first = close(&closer, &*is_open);
                assert_that(first, || "the only closer was not the first".to_owned());
            })
            .finally(move || {
                destroyed(&source);
                drop((source, peer));
                over(&wired.poller);
            })
    }
}
