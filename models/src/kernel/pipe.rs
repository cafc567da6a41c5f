//! A pipe: a ring of pages between an end to write to and an end to read from.
//!
//! Bytes are appended to the last page where they fit as a whole; otherwise they begin a new
//! one. A pipe is writable while a *page* is free, so it can refuse to be writable and still
//! take a small write. Room is reported once: when a page is freed while all were taken.

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
    /// Whether the end to read from, and the end to write to, are open.
    open: [bool; 2],
    watchers: [Vec<Watch>; 2],
}

/// A page; what was read of it does not become room again.
#[derive(Debug, Hash)]
struct Page {
    bytes: Vec<u8>,
    read: usize,
}

impl Pipe {
    pub(super) fn create<P: Primitives>(config: &Config) -> P::Mutex<Pipe> {
        let pipe = Pipe {
            slots: config.pipe_slots,
            page: config.pipe_page,
            pages: VecDeque::new(),
            open: [true; 2],
            watchers: [const { Vec::new() }; 2],
        };
        Mutex::new(pipe, |pipe| {
            let shape = (pipe.slots, pipe.page);
            Some(digest(&(shape, &pipe.pages, pipe.open, &pipe.watchers)))
        })
    }

    fn is_open(&self, end: End) -> bool {
        self.open[end.index()]
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
        ready | if self.is_open(end.other()) { 0 } else { hung_up }
    }

    fn watchers(&mut self, end: End) -> &mut Vec<Watch> {
        &mut self.watchers[end.index()]
    }

    fn release(&mut self, end: End) -> Wakes {
        self.open[end.index()] = false;
        if self.is_open(end.other()) {
            self.wake(end.other(), key::ANYTHING)
        } else {
            Wakes::none()
        }
    }

    fn buffered(&self, end: End) -> usize {
        match end {
            End::First => self.pages.iter().map(|page| page.bytes.len() - page.read).sum(),
            End::Second => 0,
        }
    }
}
