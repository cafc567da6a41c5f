//! Plain reads: those that know how much they have room for, and wait first where nothing can be there.
//!
//! # The rule (SPEC.md, section 19)
//!
//! A read that took something and less than it had room for has emptied the socket, on those descriptors of which
//! that is *believed*. Whoever reads next then begins with the wait: what comes meanwhile makes an edge.
//!
//! * *Believed* lies in the info word. It is set at registration, before the kernel knows the token (NP-READ-1),
//!   and taken back by the poller, before it notifies a slot of an event that may stop a read short (NP-READ-2),
//!   and by whoever hands out the number. It is never set again.
//! * *Drained* lies in the word of the lock. It is set at the end of a short read, in the write that gives the right
//!   up (NP-READ-3), and taken by whoever gets the right, in the write that gives it to him (NP-READ-4).
//!
//! Both words are written anyway, or not at all: the rule adds no atomic operation to a read, and a load where it
//! is in force.
//!
//! # Why the mark goes with the right
//!
//! An edge is used up by whoever consumes readiness: a wait, a reset, a `Waiter`, an operation that is no plain
//! read. All of them have the right to read, and so have taken the mark, whether they know of it or not. Only whoever
//! finds it knows that no edge was used up since the short read.
//!
//! # What needs no right
//!
//! `try_read`, and whoever reads by another number, only take away what is there. A number of ours that is
//! handed out can do more, from `SO_RCVLOWAT` to a protocol on top, and so ends the belief.
//!
//! Out of scope: the wait itself (`operation`, `desc`), which descriptors are of TCP (`net`).

use crate::desc::Incarnation;
use crate::operation::Operation;
use crate::seam::System;
use crate::source::{Fd, Source};
use core::future::poll_fn;
use core::task::{Poll, Waker, ready};
use netpoller_spec::{Mode, info};
use std::io::{self, IoSliceMut};

/// No kernel takes more buffers by one call.
const MOST_BUFFERS: usize = 1024;
/// No kernel reads more bytes by one call: 2^31 less a page, which may be one of 64 KiB.
const MOST_BYTES: usize = 0x7fff_0000;

/// How much one call reads into these at most.
pub(crate) fn room(buffers: &[IoSliceMut<'_>]) -> usize {
    buffers.iter().take(MOST_BUFFERS).map(|buffer| buffer.len()).sum()
}

impl<'a, S: System> Operation<'a, S> {
    /// [`attempt`](Self::attempt) of a plain read with room for so many bytes.
    fn attempt_to_read(
        &mut self,
        waker: &Waker,
        room: usize,
        call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        // The mark is of no use twice: after this wait there is a report to look for.
        if core::mem::take(&mut self.drained) && self.source().is_believed() {
            ready!(self.wait_first(waker))?;
        }
        let polled = self.attempt(waker, call);
        if let Poll::Ready(Ok(count)) = polled {
            let short = 0 < count && count < room.min(MOST_BYTES);
            self.drains = short && self.source().lock.is_believing(); // NP-READ-3
        }
        polled
    }

    /// The whole of a plain read that keeps nothing but its wait; see [`pass`](Self::pass).
    pub(crate) fn pass_to_read(
        source: &'a Source<S>,
        waker: &Waker,
        room: usize,
        call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut operation = ready!(Operation::passing(source, Mode::Read, waker))?;
        let polled = operation.attempt_to_read(waker, room, call);
        operation.passed(polled)
    }

    fn poll_to_read(
        &mut self,
        waker: &Waker,
        room: usize,
        call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.begin(waker))?;
        let polled = self.attempt_to_read(waker, room, call);
        self.polled(polled)
    }
}

impl<S: System> Source<S> {
    /// A plain read in the async style.
    pub(crate) fn read_plainly(
        &self,
        room: usize,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<usize>,
    ) -> impl Future<Output = io::Result<usize>> {
        let mut operation = Operation::new(self, Mode::Read);
        poll_fn(move |cx| match room {
            0 => Poll::Ready(self.nothing()),
            _ => operation.poll_to_read(cx.waker(), room, &mut call),
        })
    }

    /// A plain read in the blocking style.
    pub(crate) fn read_plainly_blocking(
        &self,
        room: usize,
        mut call: impl FnMut(&S::Kernel, &Fd<S>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let operation = Operation::new(self, Mode::Read);
        operation.block_on(|operation, waker| operation.attempt_to_read(waker, room, &mut call))
    }

    /// Whether its short reads are believed.
    pub(crate) fn is_believed(&self) -> bool {
        // Acquire, in `info`: pairs with the release of the poller that has published a doubt.
        self.lock.is_believing() && self.entry().is_some_and(|entry| entry.info().believed())
    }

    /// Somebody else is about to have the number.
    pub(crate) fn doubt(&self) {
        if let Some(entry) = self.entry().filter(|_| self.lock.is_believing()) {
            entry.doubt(); // NP-READ-1
        }
    }
}

impl<S: System> Incarnation<'_, S> {
    /// Its short reads are believed, until somebody doubts them. By whoever registers it, before the kernel
    /// knows its token.
    pub(crate) fn believe(&self) {
        self.publish(|word| info::believe(word, self.place.generation)); // NP-READ-1
    }

    /// Its short reads are believed no more.
    pub(crate) fn doubt(&self) {
        self.publish(|word| info::doubt(word, self.place.generation));
    }
}
