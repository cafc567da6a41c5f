//! Who waits for what, in words: the `Debug` of a source, and the parked tasks of a whole poller.
//!
//! No state. What is shown is read word by word while others go on, so each line may be of another
//! moment. No lock is held from one entry to the next, and none while something is formatted; nothing
//! here decides anything.
//!
//! The number of a descriptor, and what the kernel knows by it, belong to a task that is parked only as
//! long as that task's wait is on: a number that is closed is given to somebody else. So the slot is read
//! again after the kernel was asked, and whoever finds another word leaves number and addresses out
//! ([`Poller::parked`]). This rests on two things: an incarnation notes its number before anybody can park
//! in it, and its slots leave `Parked` before its number is closed (NP-FD-10).

use crate::desc::Desc;
use crate::poller::Poller;
use crate::seam::{Address, Instant, Kernel, Mutex, System};
use crate::source::Source;
use core::fmt;
use core::time::Duration;
use netpoller_spec::Mode;
use netpoller_spec::slot::{State, Word};
use netpoller_spec::time;

/// A task or thread that is parked: one line of [`Parked`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParkedWait {
    /// The entry of its descriptor in the poller; a place that descriptors use one after the other.
    pub index: u32,
    /// Which of the descriptors of that entry it is.
    pub generation: u32,
    /// What it waits for.
    pub mode: Mode,
    /// Which of the waits of this direction of the entry it is; its ticket, modulo 2^30.
    pub wait: u32,
    /// When the wait ends in any case.
    pub deadline: Option<Instant>,
    /// How long that is from the moment of the look; zero: the next poll ends the wait.
    pub left: Option<Duration>,
    /// The number of the descriptor. `None`: the wait had ended when it was looked up.
    pub number: Option<i32>,
    /// Its local address, if it is a socket.
    pub local: Option<Address>,
    /// The address of its peer, if it is a socket that has one.
    pub peer: Option<Address>,
}

/// All tasks that are parked in a poller; from [`Poller::parked`]. Its `Display` has a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parked {
    /// By entry; the reader of a descriptor before its writer.
    pub waits: Vec<ParkedWait>,
}

impl<S: System> Poller<S> {
    /// Who waits, for what, and for how long still: for a process that hangs.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use netpoller::{Mode, Poller};
    /// use std::task::{Context, Waker};
    ///
    /// let poller = Poller::new()?;
    /// let (a, _b) = poller.stream_pair()?;
    /// let mut waiter = a.waiter(Mode::Read)?;
    /// while waiter.poll_wait(&mut Context::from_waker(Waker::noop())).is_ready() {}
    ///
    /// let parked = poller.parked();
    /// assert_eq!(parked.waits[0].mode, Mode::Read);
    /// // 1 wait is parked
    /// // entry 0 generation 1: parked to read (wait 1), no deadline; descriptor 5, unnamed, peer unnamed
    /// println!("{parked}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # On a signal
    ///
    /// To be called from any thread at any time, but not from the handler of a signal: it allocates, and
    /// takes locks. A program that wants the list on SIGUSR1 blocks that signal (`pthread_sigmask`)
    /// before it starts its threads, and has one thread more, which waits for it (`sigwait`) and prints:
    /// it works also when all other threads sleep.
    ///
    /// What is not guaranteed: that the lines are of one moment. A wait that is on for the whole of the
    /// call is listed; one that begins or ends meanwhile may be. Callers that queue for their turn at a
    /// descriptor are not parked here: the `Debug` of the source counts them.
    #[must_use]
    pub fn parked(&self) -> Parked {
        let waits = self.shared.slab.entries().flat_map(|(index, desc)| {
            Mode::BOTH.into_iter().filter_map(move |mode| self.parked_in(index, desc, mode))
        });
        Parked { waits: waits.collect() }
    }

    fn parked_in(&self, index: u32, desc: &Desc<S>, mode: Mode) -> Option<ParkedWait> {
        let word = desc.slot(mode).peek();
        if word.state() != State::Parked {
            return None;
        }
        let deadline = desc.control.peek(|ledger| ledger.deadlines[mode as usize]);
        let deadline = (deadline != time::NONE).then(|| Instant::from_nanos(deadline));
        let number = desc.number.get();
        let kernel = self.shared.system.kernel();
        let [local, peer] = number.map_or([None, None], |number| kernel.addresses(number));
        let mut wait = ParkedWait {
            index,
            generation: word.generation().get(),
            mode,
            wait: word.ticket().get(),
            deadline,
            left: deadline.map(|deadline| deadline.since(self.now())),
            number,
            local,
            peer,
        };
        if desc.slot(mode).peek() != word {
            (wait.number, wait.local, wait.peer) = (None, None, None); // maybe a stranger's
        }
        Some(wait)
    }
}

impl fmt::Display for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.waits.len() {
            0 => f.write_str("nobody is parked")?,
            1 => f.write_str("1 wait is parked")?,
            more => write!(f, "{more} waits are parked")?,
        }
        self.waits.iter().try_for_each(|wait| write!(f, "\n{wait}"))
    }
}

impl fmt::Display for ParkedWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ParkedWait { index, generation, mode, wait, left, .. } = self;
        let to = match mode {
            Mode::Read => "read",
            Mode::Write => "write",
        };
        write!(f, "entry {index} generation {generation}: parked to {to} (wait {wait}), ")?;
        Left(*left).fmt(f)?;
        match self.number {
            None => f.write_str("; a timer, or it ends just now")?,
            Some(number) => write!(f, "; descriptor {number}")?,
        }
        if let Some(local) = &self.local {
            write!(f, ", {}", InWords(local))?;
        }
        self.peer.as_ref().map_or(Ok(()), |peer| write!(f, ", peer {}", InWords(peer)))
    }
}

/// What is left until a deadline.
struct Left(Option<Duration>);

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no deadline"),
            Some(Duration::ZERO) => f.write_str("its deadline has come"),
            Some(left) => write!(f, "deadline in {left:.1?}"),
        }
    }
}

/// An address.
struct InWords<'a>(&'a Address);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Address::Inet(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "{path:?}"),
            Address::Unnamed => f.write_str("unnamed"),
        }
    }
}

/// One direction of a descriptor.
struct Direction {
    word: Word,
    /// Its deadline, and whether it has expired.
    deadline: u64,
    expired: bool,
    now: Instant,
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word.state() {
            State::Nil => f.write_str("idle")?,
            State::Ready => f.write_str("ready, not consumed")?,
            State::Parked => write!(f, "parked (wait {})", self.word.ticket().get())?,
        }
        let deadline = Instant::from_nanos(self.deadline);
        match (self.deadline, self.expired) {
            (time::NONE, _) => f.write_str(", no deadline"),
            (_, true) => write!(f, ", deadline expired {:.1?} ago", self.now.since(deadline)),
            (_, false) => write!(f, ", {}", Left(Some(deadline.since(self.now)))),
        }
    }
}

/// Who waits for what and why, read while others go on.
impl<S: System> fmt::Debug for Source<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, queued) = (self.lock.peek(), self.lock.peek_queued());
        let mut shown = f.debug_struct("Source");
        shown.field("fd", &format_args!("{:?}", self.shown_number()));
        let state = match (word.destroyed(), word.closed()) {
            (true, _) => "closed",
            (false, true) => "closing: its users have not left yet",
            (false, false) => "open",
        };
        shown.field("state", &format_args!("{state}"));
        match self.entry().filter(|_| !word.destroyed()) {
            None if word.destroyed() => return shown.finish(),
            None => {
                shown.field("entry", &format_args!("none: in blocking mode"));
            }
            Some(incarnation) => {
                let (place, peek) = (incarnation.place, incarnation.desc.peek());
                let now = self.poller().now();
                let (index, generation) = (place.index, place.generation.get());
                shown.field("entry", &format_args!("{index} generation {generation}"));
                for (mode, name) in [(Mode::Read, "reader"), (Mode::Write, "writer")] {
                    let word = peek.slots[mode as usize];
                    let deadline = peek.ledger.deadlines[mode as usize];
                    let expired = peek.info.expired(mode);
                    shown.field(name, &Direction { word, deadline, expired, now });
                }
                if peek.info.event_error() {
                    shown.field("event", &format_args!("the newest one was nothing but an error"));
                }
            }
        }
        shown.field("users", &word.users());
        for (mode, name) in [(Mode::Read, "queued_readers"), (Mode::Write, "queued_writers")] {
            let turn =
                if word.held(mode) { "behind the one who has the turn" } else { "turn free" };
            shown.field(name, &format_args!("{} ({turn})", queued[mode as usize]));
        }
        shown.finish()
    }
}
