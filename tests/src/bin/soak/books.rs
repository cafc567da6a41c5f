//! What the actors have begun, and in which way it has ended.

use netpoller::Reason;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A connection as the server has it.
    Served,
    /// A client of ours that compares every byte.
    Client,
    /// The same in the blocking style, on a thread.
    Blocking,
    /// A deadline that is moved while somebody waits.
    Mover,
    /// A close while others wait.
    Closer,
    /// Tasks that sleep, and tasks that are aborted.
    Sleeper,
    /// A peer that breaks the connection off.
    Resets,
    /// A peer that sends urgent bytes.
    Urgent,
    /// A peer that shuts one direction, or the other.
    Halves,
    /// A peer that connects and says nothing.
    Silent,
    /// A peer that passes descriptors.
    Passes,
    /// A peer that is gone at once.
    Blinks,
}

impl Actor {
    /// All of them.
    pub(crate) const ALL: [Actor; 12] = [
        Actor::Served,
        Actor::Client,
        Actor::Blocking,
        Actor::Mover,
        Actor::Closer,
        Actor::Sleeper,
        Actor::Resets,
        Actor::Urgent,
        Actor::Halves,
        Actor::Silent,
        Actor::Passes,
        Actor::Blinks,
    ];
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it was meant to.
    Well,
    /// At a deadline.
    Expired,
    /// The peer has broken it off.
    Broken,
    /// It could not be begun: the table of descriptors is full, or the ports have run out.
    Refused,
    /// Nobody has said how: it was dropped.
    Dropped,
}

impl End {
    const ALL: [End; 5] = [End::Well, End::Expired, End::Broken, End::Refused, End::Dropped];

    /// What an error says, if it is one that hostile peers and a full table can cause.
    pub(crate) fn of(error: &io::Error) -> Option<End> {
        if Reason::of(error) == Some(Reason::DeadlineExceeded) {
            return Some(End::Expired);
        }
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => {
                Some(End::Broken)
            }
            ErrorKind::AddrNotAvailable => Some(End::Refused),
            _ if error.raw_os_error() == Some(libc::EMFILE) => Some(End::Refused),
            _ => None,
        }
    }
}

/// All counters.
#[derive(Debug, Default)]
pub(crate) struct Books {
    begun: [AtomicU64; Actor::ALL.len()],
    ended: [[AtomicU64; End::ALL.len()]; Actor::ALL.len()],
}

impl Books {
    /// Something begins.
    pub(crate) fn begin(self: &Arc<Self>, actor: Actor) -> Entry {
        self.begun[actor as usize].fetch_add(1, Ordering::Relaxed);
        Entry { books: Arc::clone(self), actor, end: End::Dropped }
    }

    /// How often it has begun.
    pub(crate) fn begun(&self, actor: Actor) -> u64 {
        self.begun[actor as usize].load(Ordering::Relaxed)
    }

    /// How often it has ended in this way.
    pub(crate) fn ended(&self, actor: Actor, end: End) -> u64 {
        self.ended[actor as usize][end as usize].load(Ordering::Relaxed)
    }

    /// What has begun and not ended, or was not said how.
    pub(crate) fn imbalances(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for actor in Actor::ALL {
            let ended: u64 = End::ALL.iter().map(|end| self.ended(actor, *end)).sum();
            let begun = self.begun(actor);
            if begun != ended {
                wrong.push(format!("{actor:?}: {begun} begun, {ended} ended"));
            }
            let dropped = self.ended(actor, End::Dropped);
            if dropped > 0 {
                wrong.push(format!("{actor:?}: {dropped} were dropped before their end"));
            }
        }
        wrong
    }

    /// What has not happened, so that nothing was learned of it.
    pub(crate) fn missing(&self) -> Vec<String> {
        let expired = [(Actor::Served, End::Expired), (Actor::Mover, End::Expired)];
        let broken = [(Actor::Served, End::Broken)];
        // A mover waits for its deadline, and for nothing else.
        let others = Actor::ALL.into_iter().filter(|actor| *actor != Actor::Mover);
        let wanted = others.map(|actor| (actor, End::Well)).chain(expired).chain(broken);
        wanted
            .filter(|(actor, end)| self.ended(*actor, *end) == 0)
            .map(|(actor, end)| format!("{actor:?} has never ended {end:?}"))
            .collect()
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for actor in Actor::ALL {
            let actor_name = format!("{actor:?}");
            write!(f, "    {actor_name:<9}{:>9} begun:", self.begun(actor))?;
            for end in End::ALL {
                match self.ended(actor, end) {
                    0 => {}
                    count => write!(f, " {count} {end:?}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Something that has begun.
#[derive(Debug)]
pub(crate) struct Entry {
    books: Arc<Books>,
    actor: Actor,
    end: End,
}

impl Entry {
    /// It has ended.
    pub(crate) fn end(mut self, end: End) {
        self.end = end;
    }

    /// It has ended, or failed.
    ///
    /// # Panics
    ///
    /// When it has failed in a way in which it must not.
    pub(crate) fn end_with(self, result: io::Result<()>) {
        let end = match &result {
            Ok(()) => End::Well,
            Err(error) => {
                End::of(error).unwrap_or_else(|| panic!("{:?} has failed: {error:?}", self.actor))
            }
        };
        self.end(end);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.books.ended[self.actor as usize][self.end as usize].fetch_add(1, Ordering::Relaxed);
    }
}
