//! What goes wrong, and when: a plan that a kernel is made with.
//!
//! A fault is one that Linux has as well, at a call that is chosen by its number: calls of a kind
//! are counted from 1, over the whole kernel. The counts are state like any other, under a lock of
//! their own; a kernel without a plan has neither.
//!
//! | fault | counted | what happens |
//! |---|---|---|
//! | [`interrupt_wait`](Faults::interrupt_wait) | waits that may block | one is interrupted, half of its time is over; results beat it |
//! | [`refuse_number`](Faults::refuse_number) | numbers that are asked for | one is refused with `EMFILE` |
//! | [`refuse_add`](Faults::refuse_add) | registrations of the caller's | that one and all later ones fail |
//! | [`short_read`](Faults::short_read), [`short_write`](Faults::short_write) | reads, writes | one moves no more than so many bytes |
//! | [`abort_accept`](Faults::abort_accept) | connections that are accepted | one is lost with `ECONNABORTED`, and its client is reset |
//! | [`extra_edges`](Faults::extra_edges) | waits | before one every registration of its queue is queued, without news |
//!
//! A report that an extra edge brings about shows what is true, as every report does.

use super::SimKernel;
use super::digest::digest;
use super::epoll::Epoll;
use super::errno::{Errno, Result};
use netpoller::seam::{Mutex, Primitives};

/// A plan of faults. The default has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// Which wait with a timeout other than zero ends with `EINTR`.
    pub interrupt_wait: Option<u32>,
    /// Which number is refused with `EMFILE`. A pipe takes two, an event queue with its break too.
    pub refuse_number: Option<u32>,
    /// From which registration on all fail, and with what: `ENOSPC` or `ENOMEM`.
    pub refuse_add: Option<(u32, Errno)>,
    /// Which read moves no more than so many bytes.
    pub short_read: Option<(u32, usize)>,
    /// Which write moves no more than so many bytes.
    pub short_write: Option<(u32, usize)>,
    /// Which connection is lost when it is accepted.
    pub abort_accept: Option<u32>,
    /// Before which wait every registration of the queue gets an edge without news.
    pub extra_edges: Option<u32>,
}

impl Faults {
    /// No plan.
    pub const NONE: Faults = Faults {
        interrupt_wait: None,
        refuse_number: None,
        refuse_add: None,
        short_read: None,
        short_write: None,
        abort_accept: None,
        extra_edges: None,
    };
}

/// How many calls of each kind there were.
#[derive(Debug, Default, Hash)]
pub(super) struct Counts {
    blocking_waits: u32,
    waits: u32,
    numbers: u32,
    adds: u32,
    reads: u32,
    writes: u32,
    accepts: u32,
}

impl Counts {
    /// The counts for a plan, if there is one.
    pub(super) fn create<P: Primitives>(plan: &Faults) -> Option<P::Mutex<Counts>> {
        let any = *plan != Faults::NONE;
        any.then(|| Mutex::new(Counts::default(), |counts| Some(digest(counts))))
    }
}

impl<P: Primitives> SimKernel<P> {
    /// Counts a call of the kind that `of` picks; which one of them it is, if there is a plan.
    fn count(&self, of: impl FnOnce(&mut Counts) -> &mut u32) -> Option<u32> {
        let counts = self.core.counts.as_ref()?;
        let mut counts = counts.lock();
        let count = of(&mut counts);
        *count += 1;
        Some(*count)
    }

    /// Whether this is the one. Without that fault nothing is counted.
    fn hits(&self, when: Option<u32>, of: impl FnOnce(&mut Counts) -> &mut u32) -> bool {
        when.is_some() && self.count(of) == when
    }

    fn plan(&self) -> &Faults {
        &self.core.config.faults
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.hits(self.plan().interrupt_wait, |counts| &mut counts.blocking_waits)
    }

    pub(super) fn extra_edges(&self, epoll: &Epoll<P>) {
        if self.hits(self.plan().extra_edges, |counts| &mut counts.waits) {
            epoll.edge_of_all();
        }
    }

    /// Before a number is asked for.
    pub(super) fn may_have_number(&self) -> Result<()> {
        let refused = self.hits(self.plan().refuse_number, |counts| &mut counts.numbers);
        if refused { Err(Errno::EMFILE) } else { Ok(()) }
    }

    pub(super) fn may_add(&self) -> Result<()> {
        let Some((from, error)) = self.plan().refuse_add else { return Ok(()) };
        let late = self.count(|counts| &mut counts.adds).is_some_and(|count| count >= from);
        if late { Err(error) } else { Ok(()) }
    }

    /// How much of this many bytes is read.
    pub(super) fn read_limit(&self, bytes: usize) -> usize {
        let Some((which, most)) = self.plan().short_read else { return bytes };
        if self.hits(Some(which), |counts| &mut counts.reads) { bytes.min(most) } else { bytes }
    }

    /// Whether some read is cut short.
    pub(super) fn cuts_reads(&self) -> bool {
        self.plan().short_read.is_some()
    }

    /// How much of this many bytes is written.
    pub(super) fn write_limit(&self, bytes: usize) -> usize {
        let Some((which, most)) = self.plan().short_write else { return bytes };
        if self.hits(Some(which), |counts| &mut counts.writes) { bytes.min(most) } else { bytes }
    }

    /// Whether the connection that was just taken is lost.
    pub(super) fn is_aborted(&self) -> bool {
        self.hits(self.plan().abort_accept, |counts| &mut counts.accepts)
    }
}
