//! A pipe: a ring of pages between an end to write to and an end to read from.
//!
//! Bytes are appended to the last page where they fit as a whole; otherwise they begin a new
//! one. A pipe is writable while a *page* is free, so it can refuse to be writable and still
//! take a small write. Room is reported once: when a page is freed while all were taken.
//!
//! A FIFO is a pipe whose ends are opened one by one, and several times. That is no edge; when the
//! last description of one end is gone, all of the other end hear of it. Whether a writer has hung
//! up is asked when it matters: one that came back in between has not.

use super::config::Config;
use super::description::{End, Object, Wakes, Watch, key, mask};
use super::digest::digest;
use super::errno::{Errno, Result};
use netpoller::seam::{Mutex, Primitives};
use std::collections::VecDeque;

/// The state of a pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    slots: usize,
    page: usize,
    pages: VecDeque<Page>,
    /// How many descriptions there are of the end to read from, and of the end to write to: one
    /// of each, or as many as opened a FIFO.
    open: [usize; 2],
    /// Whether there was a description of that end since somebody had it open.
    known: [bool; 2],
    watchers: [Vec<Watch>; 2],
}

/// A page; what was read of it does not become room again.
#[derive(Debug, Hash)]
struct Page {
    bytes: Vec<u8>,
    read: usize,
}

impl Pipe {
    /// A pipe, both of whose ends are open.
    pub(super) fn create<P: Primitives>(config: &Config) -> P::Mutex<Pipe> {
        Self::new::<P>(config, 1)
    }

    /// A FIFO that nobody has open.
    pub(super) fn closed<P: Primitives>(config: &Config) -> P::Mutex<Pipe> {
        Self::new::<P>(config, 0)
    }

    fn new<P: Primitives>(config: &Config, descriptions: usize) -> P::Mutex<Pipe> {
        let pipe = Pipe {
            slots: config.pipe_slots,
            page: config.pipe_page,
            pages: VecDeque::new(),
            open: [descriptions; 2],
            known: [descriptions > 0; 2],
            watchers: [const { Vec::new() }; 2],
        };
        Mutex::new(pipe, |pipe| {
            let shape = (pipe.slots, pipe.page);
            Some(digest(&(shape, &pipe.pages, pipe.open, pipe.known, &pipe.watchers)))
        })
    }

    fn is_open(&self, end: End) -> bool {
        self.open[end.index()] > 0
    }

    /// Somebody opens a FIFO; that is no edge.
    pub(super) fn open(&mut self, end: End) -> Result<()> {
        if end == End::Second && !self.is_open(End::First) {
            return Err(Errno::ENXIO);
        }
        self.open[end.index()] += 1;
        self.known[end.index()] = true;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.pages.len() >= self.slots
    }

    fn wake(&self, end: End, key: u32) -> Wakes {
        Wakes::of(&self.watchers[end.index()], key)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> (Result<usize>, Wakes) {
        let mut taken = 0;
        let mut freed_a_page_while_full = false;
        while taken < buffer.len() {
            let Some(page) = self.pages.front_mut() else { break };
            let unread = &page.bytes[page.read..];
            let count = unread.len().min(buffer.len() - taken);
            buffer[taken..taken + count].copy_from_slice(&unread[..count]);
            taken += count;
            page.read += count;
            if page.read == page.bytes.len() {
                freed_a_page_while_full |= self.is_full();
                self.pages.pop_front();
            }
        }
        let result = if taken > 0 || buffer.is_empty() || !self.is_open(End::Second) {
            Ok(taken)
        } else {
            Err(Errno::EAGAIN)
        };
        if freed_a_page_while_full {
            (result, self.wake(End::Second, key::PIPE_OUT))
        } else {
            (result, Wakes::none())
        }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> (Result<usize>, Wakes) {
        if bytes.is_empty() {
            return (Ok(0), Wakes::none());
        }
        if !self.is_open(End::First) {
            return (Err(Errno::EPIPE), Wakes::none());
        }
        let mut rest = bytes;
        // What goes beyond whole pages is put first, where the last page has room for all of it.
        let odd = bytes.len() % self.page;
        if let Some(last) = self.pages.back_mut()
            && last.bytes.len() + odd <= self.page
        {
            last.bytes.extend_from_slice(&rest[..odd]);
            rest = &rest[odd..];
        }
        while !rest.is_empty() && !self.is_full() {
            let (page, beyond) = rest.split_at(rest.len().min(self.page));
            self.pages.push_back(Page { bytes: page.to_vec(), read: 0 });
            rest = beyond;
        }
        let written = bytes.len() - rest.len();
        let result = if written > 0 { Ok(written) } else { Err(Errno::EAGAIN) };
        // A write that failed wakes the reader too.
        (result, self.wake(End::First, key::PIPE_IN))
    }
}

impl Object for Pipe {
    fn bits(&mut self, end: End) -> u32 {
        let (ready, hung_up) = match end {
            End::First => {
                (if self.pages.is_empty() { 0 } else { mask::IN | mask::RDNORM }, mask::HUP)
            }
            End::Second => (if self.is_full() { 0 } else { mask::OUT | mask::WRNORM }, mask::ERR),
        };
        // A writer that nobody has seen yet has not hung up.
        let gone = !self.is_open(end.other()) && self.known[end.other().index()];
        ready | if gone { hung_up } else { 0 }
    }

    fn watchers(&mut self, end: End) -> &mut Vec<Watch> {
        &mut self.watchers[end.index()]
    }

    fn release(&mut self, end: End) -> Wakes {
        self.open[end.index()] -= 1;
        match self.open {
            [0, 0] => {
                // A FIFO that nobody has open is empty.
                self.pages.clear();
                self.known = [false; 2];
                Wakes::none()
            }
            [0, _] | [_, 0] => {
                // All of one side are gone: every description of the other hears of it.
                let first = self.wake(End::First, key::ANYTHING);
                first.also(self.wake(End::Second, key::ANYTHING))
            }
            _ => Wakes::none(),
        }
    }

    fn buffered(&self, end: End) -> usize {
        match end {
            End::First => self.pages.iter().map(|page| page.bytes.len() - page.read).sum(),
            End::Second => 0,
        }
    }
}
