//! What a trace says about its registrations, and what was true of their objects.

use crate::kernel::{Config, SimKernel, mask};
use crate::vectors::{Op, Program, Run};
use netpoller::seam::Os;

/// A registration with one mask and one label: from an ADD or MOD to the next MOD or DEL.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) epoll: String,
    pub(super) name: String,
    pub(super) label: String,
    pub(super) mask: u32,
    /// The step that began it, and the one that ended it.
    pub(super) from: usize,
    pub(super) until: usize,
    /// Whether a DEL ended it.
    pub(super) deleted: bool,
}

impl Span {
    pub(super) fn holds_at(&self, place: usize) -> bool {
        self.from < place && place < self.until
    }

    pub(super) fn is(&self, bit: u32) -> bool {
        self.mask & bit != 0
    }
}

/// A trace, and what can be read from it.
pub(super) struct Book<'a> {
    pub(super) program: &'a Program,
    pub(super) spans: Vec<Span>,
    pub(super) waits: Vec<Wait>,
    /// When a name was closed.
    closed: Vec<(String, usize)>,
}

/// A wait that returned events, or none.
#[derive(Clone, Debug)]
pub(super) struct Wait {
    pub(super) place: usize,
    pub(super) epoll: String,
    pub(super) most: usize,
    pub(super) events: Vec<(String, u32)>,
}

impl Wait {
    pub(super) fn has_room(&self) -> bool {
        self.events.len() < self.most
    }

    pub(super) fn reports(&self, label: &str) -> bool {
        self.events.iter().any(|(reported, _)| reported == label)
    }
}

impl<'a> Book<'a> {
    pub(super) fn of(program: &'a Program) -> Book<'a> {
        let mut book = Book { program, spans: Vec::new(), waits: Vec::new(), closed: Vec::new() };
        for (place, step) in program.steps.iter().enumerate() {
            if let Op::EpollWait { epoll, most } = &step.op {
                if step.returned.parse::<usize>().is_ok() {
                    let (epoll, events) = (epoll.clone(), step.events.clone());
                    book.waits.push(Wait { place, epoll, most: *most, events });
                }
                continue;
            }
            if step.returned != "ok" {
                continue;
            }
            match &step.op {
                Op::EpollAdd { epoll, name, mask, label } => {
                    book.begin(place, epoll, name, *mask, label);
                }
                Op::EpollModify { epoll, name, mask, label } => {
                    book.end(place, epoll, name, false);
                    book.begin(place, epoll, name, *mask, label);
                }
                Op::EpollDelete { epoll, name } => book.end(place, epoll, name, true),
                Op::Close { name } => book.closed.push((name.clone(), place)),
                _ => {}
            }
        }
        book
    }

    fn begin(&mut self, from: usize, epoll: &str, name: &str, mask: u32, label: &str) {
        self.spans.push(Span {
            epoll: epoll.to_owned(),
            name: name.to_owned(),
            label: label.to_owned(),
            mask,
            from,
            until: self.program.steps.len(),
            deleted: false,
        });
    }

    fn end(&mut self, place: usize, epoll: &str, name: &str, deleted: bool) {
        let end = self.program.steps.len();
        let open = |span: &&mut Span| span.until == end && span.epoll == epoll && span.name == name;
        if let Some(span) = self.spans.iter_mut().find(open) {
            (span.until, span.deleted) = (place, deleted);
        }
    }

    /// The registration that a label of a queue stands for before a step, if it stands for one only.
    pub(super) fn span(&self, epoll: &str, label: &str, place: usize) -> Option<&Span> {
        let mut spans =
            self.spans.iter().filter(|s| s.holds_at(place) && s.epoll == epoll && s.label == label);
        let first = spans.next()?;
        spans.next().is_none().then_some(first)
    }

    /// Whether a label stands for anything in a queue before a step.
    pub(super) fn means_something(&self, epoll: &str, label: &str, place: usize) -> bool {
        self.spans.iter().any(|s| s.holds_at(place) && s.epoll == epoll && s.label == label)
    }

    /// What was last reported of a label by a queue, from a step on and before another.
    pub(super) fn last(&self, epoll: &str, label: &str, from: usize, place: usize) -> Option<u32> {
        let waits = self.waits.iter().rev();
        let mut waits = waits.filter(|w| (from..place).contains(&w.place) && w.epoll == epoll);
        waits.find_map(|w| w.events.iter().find(|(l, _)| l == label).map(|(_, bits)| *bits))
    }

    /// The next wait of the same queue.
    pub(super) fn next(&self, wait: &Wait) -> Option<&Wait> {
        self.waits.iter().find(|w| w.place > wait.place && w.epoll == wait.epoll)
    }

    /// What is true of a registration before a step, as far as its mask asks for it: found out by
    /// registering its object once more, in a queue of its own, on the deterministic kernel.
    /// `None` where the number is not what it was, and for an event queue, of which any edge of
    /// its own makes something true.
    pub(super) fn truth(&self, span: &Span, place: usize) -> Option<u32> {
        let is_queue = |op: &Op| matches!(op, Op::EpollCreate { name } if *name == span.name);
        if self.program.steps.iter().any(|step| is_queue(&step.op)) {
            return None;
        }
        if self.closed.iter().any(|(name, closed)| *name == span.name && *closed < place) {
            return None;
        }
        let mut run = Run::new(SimKernel::<Os>::new(Config::linux()), 0);
        for step in &self.program.steps[..place] {
            run.answer(&step.op);
        }
        let probe = || "a probe".to_owned();
        run.answer(&Op::EpollCreate { name: probe() });
        let (name, mask) = (span.name.clone(), span.mask & !mask::ONESHOT);
        let add = Op::EpollAdd { epoll: probe(), name, mask, label: probe() };
        if run.answer(&add).0 != "ok" {
            return None;
        }
        let (_, events) = run.answer(&Op::EpollWait { epoll: probe(), most: 1 });
        Some(events.first().map_or(0, |(_, bits)| *bits))
    }
}
