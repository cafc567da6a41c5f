//! Poll functions among operations of the same direction: they have no place in the queue, hold no
//! right between two polls, and leave their wait in the slot. The kernel is the simulated one.

use super::bench::unheard;
use super::fd_lock::{Numbered, Shared, Task, close, destroyed, holder, numbered, queued};
use super::traffic::{Simulated, drive, over, stop};
use super::{Scenario, scenario};
use crate::engine::{Engine, Plan};
use crate::oracle::assert_that;
use netpoller::Reason;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The scenarios of this file.
pub const ALL: &[Scenario] = &[
    fd_poll_at_a_taken_right::SCENARIO,
    fd_poll_left_behind::SCENARIO,
    fd_poll_against_a_close::SCENARIO,
];

/// Reads a byte by polls.
fn polls<E: Engine>(source: Shared<Simulated<E>>) -> Task {
    Task::new(async move { poll_fn(|cx| source.poll_read(cx, &mut [0])).await.map(drop) })
}

scenario! {
    /// A byte is there, and the right is another's, who gives it up; a caller is queued and has its turn
    /// first. The poll is told, whatever it has met: the holder, the caller, or nobody.
    family: FdLock;
    rules: "NP-FD-6 NP-FD-11 NP-FD-12";
    from: "a poll that waits for a right is in no queue and in no slot";
    fn fd_poll_at_a_taken_right<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open: _ }) = numbered::<E>();
        peer.try_write(b"x").expect("there is room");
        let (holder, caller) = (holder(&source), queued(&source, || ()));
        let poll = polls::<E>(Arc::clone(&source));
        Plan::new()
            .thread("holder", move || drop(holder))
            .thread("caller", move || {
                let got = caller.finish::<E>();
                assert_that(got == Ok(()), || format!("the caller got {got:?}"));
            })
            .thread("poll", move || {
                let got = poll.finish::<E>();
                assert_that(got == Ok(()), || format!("the poll got {got:?}"));
            })
            .finally(move || {
                drop((source, peer));
                over(&wired.poller);
            })
    }
}

scenario! {
    /// Somebody polls once and never again, while a reader wants a byte: the wait that is left
    /// behind is put out by the reader, or was before the byte came; it keeps nobody from anything.
    family: FdLock;
    rules: "NP-FD-12 NP-SLOT-8 NP-WAIT-1";
    from: "a poll function cannot be told that its caller has lost interest";
    fn fd_poll_left_behind<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open: _ }) = numbered::<E>();
        let (polled, reads) = (Arc::clone(&source), Arc::clone(&source));
        let (poller, done) = (wired.poller.clone(), Arc::clone(&wired.done));
        let (driven, until) = (wired.poller.clone(), Arc::clone(&wired.done));
        Plan::new()
            .thread("poll", move || {
                let waker = unheard();
                let got = polled.poll_read(&mut Context::from_waker(&waker), &mut [0]);
                let fine = matches!(got, Poll::Pending | Poll::Ready(Ok(1)));
                assert_that(fine, || format!("the poll got {got:?}"));
                E::note("read", u64::from(got.is_ready()));
            })
            .thread("reader", move || {
                let task = Task::new(async move { reads.async_read(&mut [0]).await.map(drop) });
                let got = task.finish::<E>();
                assert_that(got == Ok(()), || format!("the reader got {got:?}"));
                stop::<E>(&poller, &done);
            })
            .thread("writer", move || {
                let written = peer.try_write(b"xy");
                assert_that(matches!(written, Ok(2)), || format!("the writer got {written:?}"));
                drive::<E>(&driven, &until);
                drop(peer);
            })
            .finally(move || {
                drop(source);
                over(&wired.poller);
            })
    }
}

scenario! {
    /// A poll and an operation wait in one direction when the descriptor is closed: both are told, in
    /// the slot, in the queue, or where the poll has left its waker.
    family: FdLock;
    rules: "NP-FD-8 NP-FD-11 NP-WAIT-3";
    from: "a close that empties the queue forgets those who have no place in it";
    fn fd_poll_against_a_close<E>() -> Plan {
        let (wired, Numbered { source, peer, is_open }) = numbered::<E>();
        let (reads, closer) = (Arc::clone(&source), Arc::clone(&source));
        let poll = polls::<E>(Arc::clone(&source));
        let read = Task::new(async move { reads.async_read(&mut [0]).await.map(drop) });
        let told = |name: &'static str, task: Task| {
            move || {
                let got = task.finish::<E>();
                assert_that(got == Err(Reason::Closed), || format!("the {name} got {got:?}"));
            }
        };
        Plan::new()
            .thread("poll", told("poll", poll))
            .thread("reader", told("reader", read))
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
