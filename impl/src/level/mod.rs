//! An event queue for kernels that have none: level-triggered, armed for one report, over a call
//! in the manner of poll(2).
//!
//! poll(2) has no set. Whoever calls it brings an array of numbers, and sleeps on what was in the
//! array. The set is here ([`Queue`]), and the call comes in through [`Multiplexer`]: poll(2) of the
//! system in `sys`, a simulated one in `netpoller-models`. So these lines are checked on every
//! interleaving, as the rest of the poller is.
//!
//! # State
//!
//! All of it is under one lock, `state`.
//!
//! * An entry for each registered number: its token, the directions that are *armed*,
//!   and by how many threads it is *held*, which have it in the array that they are asking about.
//! * `lead`: at most one thread sleeps on the set, the *leader*. `Outdated`: something was armed or
//!   taken out since it made its array.
//! * `followers`: threads that wait to be the leader.
//! * `last`: the number that was reported last; the next array begins after it, so that a batch with
//!   room for few reports leaves nobody out for ever.
//!
//! and two signals, each a pipe with a byte in it or none: `breaks`, which is an entry of the set
//! that is always armed, and `turn`, on which followers sleep.
//!
//! # Who changes what
//!
//! | who | does |
//! |---|---|
//! | [`add`](Queue::add) | enters a number with nothing armed |
//! | [`arm`](Queue::arm) | arms a direction; a leader is outdated by it, and has to be broken |
//! | [`wait`](Queue::wait) | becomes the leader or follows; makes the array and holds what is in it; asks; lets go, reports what is armed still, and disarms it |
//! | [`remove`](Queue::remove) | disarms for good, breaks the leader, and waits until nobody holds the number |
//! | [`post`](Queue::post), [`drain`](Queue::drain) | put the break there and take it away |
//!
//! # One leader
//!
//! If several threads slept on arrays of their own, a change would have to reach every one of them:
//! the one thread that a break gets out may be about to end, and then nobody would sleep on the new
//! set. With one leader there is one array to be renewed. Whoever leaves hands the lead to a follower,
//! whose array is made after that, and so holds all that was armed before (NP-LEVEL-6).
//!
//! # The break of a change
//!
//! A leader that is outdated has a break on its way, until it is out (NP-LEVEL-4): whoever outdates it
//! posts one (NP-BREAK-5), and [`drain`](Queue::drain) puts another one there for as long as the leader
//! is outdated, because the token that it takes may have been meant for it. The thread that took the
//! token was broken by an earlier one, and need not come back to wait.
//!
//! # Numbers
//!
//! A kernel holds on to the file behind a number for as long as a thread asks about it: a listener
//! that was closed meanwhile goes on to listen. And a number that is closed between the array and the
//! call would be somebody else's by then. So [`remove`](Queue::remove) returns when nobody holds the
//! number any more; those who do are out after a break or at once. A number that foreign code closed is
//! reported as ready to whoever waits: the system call says what is wrong with it.
//!
//! # Out of scope
//!
//! Whether a break is needed at all, and who polls: those are the poller's. Speed with many
//! descriptors: the array is made anew for each wait, and the kernel goes through all of it.

mod set;

use crate::seam::{Batch, Instant, Mutex, Parker, Primitives, RegisterFault, SetChange, Timeout};
use core::fmt::Debug;
use core::time::Duration;
use netpoller_spec::Mode;
use netpoller_spec::token::Token;
use set::{Lead, State};
use std::io;

pub use set::Reports;

/// A kernel that can be asked about an array of numbers.
pub trait Multiplexer: Debug + Send + Sync {
    /// A pipe, or anything that is readable from a [`raise`](Self::raise) to the next
    /// [`lower`](Self::lower). Open as long as the value lives.
    type Signal: Debug + Send + Sync;

    /// Conditions of Linux's poll(2) that are asked for to learn of data besides `POLLIN`.
    const READ: i16;

    /// A signal that is down.
    ///
    /// # Errors
    ///
    /// Those of pipe(2).
    fn signal(&self) -> io::Result<Self::Signal>;

    /// The number to ask about.
    fn number(signal: &Self::Signal) -> i32;

    /// Makes it readable. Does not block; where it is readable already, nothing happens.
    ///
    /// # Errors
    ///
    /// Those of write(2).
    fn raise(&self, signal: &Self::Signal) -> io::Result<()>;

    /// Makes it unreadable. Does not block.
    ///
    /// # Errors
    ///
    /// Those of read(2).
    fn lower(&self, signal: &Self::Signal) -> io::Result<()>;

    /// Whether readiness is a question for this number: no regular file, no directory.
    ///
    /// # Errors
    ///
    /// [`RegisterFault`].
    fn pollable(&self, number: i32) -> Result<(), RegisterFault>;

    /// Waits until one of the conditions asked for holds, and fills in what does. Returns for how
    /// many numbers; 0 when the time is over, and not before.
    ///
    /// # Errors
    ///
    /// Those of poll(2), [`io::ErrorKind::Interrupted`] among them.
    fn ask(&self, asked: &mut [Asked], timeout: Timeout) -> io::Result<usize>;

    /// The time, for what is left of a timeout.
    fn now(&self) -> Instant;
}

/// One place of the array: a `pollfd`, with the bits of Linux.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The number that is asked about.
    pub number: i32,
    /// What is asked for. Errors and hang-up always are.
    pub events: i16,
    /// What holds.
    pub found: i16,
}

/// `POLLNVAL`: the number is not open.
pub const NOT_OPEN: i16 = 0x20;

/// The set, and its break. The kernel that it asks comes with each call.
#[derive(Debug)]
pub struct Queue<P: Primitives, M: Multiplexer> {
    state: P::Mutex<State<P>>,
    breaks: M::Signal,
    turn: M::Signal,
}

/// What a thread in a wait does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Sleeps on the set.
    Leads,
    /// Sleeps until nobody leads.
    Follows,
    /// Asks about the set, and does not sleep.
    Looks,
}

impl<P: Primitives, M: Multiplexer> Queue<P, M> {
    /// An empty set.
    ///
    /// # Errors
    ///
    /// Those of pipe(2).
    pub fn new(kernel: &M) -> io::Result<Self> {
        let (breaks, turn) = (kernel.signal()?, kernel.signal()?);
        let state = State::with_break(M::number(&breaks));
        Ok(Queue { state: Mutex::new(state, State::digest), breaks, turn })
    }

    /// Registers a number, with nothing armed. No thread needs to know of it before it is armed.
    ///
    /// # Errors
    ///
    /// [`RegisterFault`]; kind `AlreadyExists` for a number that is registered.
    pub fn add(&self, kernel: &M, number: i32, token: Token) -> Result<SetChange, RegisterFault> {
        kernel.pollable(number)?;
        let entered = self.state.lock().enter(number, token);
        entered.map(|()| SetChange::InForce).map_err(RegisterFault::Failed)
    }

    /// Ends a registration. Sleeps until no other thread is inside of a call about the number; one
    /// that sleeps is broken.
    ///
    /// # Errors
    ///
    /// Kind `NotFound` for a number that is not registered; those of write(2).
    pub fn remove(&self, kernel: &M, number: i32) -> io::Result<SetChange> {
        let mut parker = None;
        let mut state = self.state.lock();
        state.disarm_for_good(number)?;
        // NP-LEVEL-5
        while !state.is_let_go(number) {
            // The leader may be the one who holds it.
            if state.outdate() {
                kernel.raise(&self.breaks)?; // NP-LEVEL-4
            }
            let parker = parker.get_or_insert_with(P::parker);
            state.wait_for(number, parker);
            drop(state);
            parker.park();
            state = self.state.lock();
        }
        state.forget(number);
        drop(state);
        if let Some(parker) = parker {
            // The token that ended the sleep may have been somebody else's.
            parker.unpark();
        }
        Ok(SetChange::InForce)
    }

    /// Arms a direction: it is reported once. Where a thread sleeps on the set as it was,
    /// [`SetChange::NeedsBreak`] asks the caller to [`post`](Self::post).
    ///
    /// # Errors
    ///
    /// Kind `NotFound` for a number that is not registered.
    pub fn arm(&self, number: i32, mode: Mode) -> io::Result<SetChange> {
        let mut state = self.state.lock();
        // What is armed already is in the array of the leader, or has outdated it. NP-BREAK-5
        let outdated = state.arm(number, mode)? && state.outdate();
        Ok(if outdated { SetChange::NeedsBreak } else { SetChange::InForce })
    }

    /// Waits for reports; see [`Kernel::wait`](crate::seam::Kernel::wait). Several threads may.
    ///
    /// # Errors
    ///
    /// Those of poll(2); kind `NotConnected` when foreign code has closed a number of this queue.
    pub fn wait(&self, kernel: &M, batch: &mut Reports, timeout: Timeout) -> io::Result<()> {
        let until = match timeout {
            Timeout::After(delay) => Some(kernel.now().saturating_add(delay)),
            Timeout::Zero | Timeout::Never => None,
        };
        batch.clear();
        let mut followed = false;
        loop {
            let role = self.begin(kernel, batch, timeout, followed)?;
            let left = until.map_or(timeout, |until| match until.since(kernel.now()) {
                Duration::ZERO => Timeout::Zero,
                left => Timeout::After(left),
            });
            let asked = kernel.ask(batch.asked(), left);
            self.end(kernel, batch, role, asked.is_ok())?;
            // What was found and is not reported another thread was quicker to report; or it is
            // a follower's turn.
            if asked? == 0 || !batch.is_empty() || timeout == Timeout::Zero {
                return Ok(());
            }
            followed = role == Role::Follows;
        }
    }

    /// Takes a role, and makes the array for it.
    fn begin(
        &self,
        kernel: &M,
        batch: &mut Reports,
        timeout: Timeout,
        followed: bool,
    ) -> io::Result<Role> {
        let mut state = self.state.lock();
        if timeout == Timeout::Zero {
            state.make_array::<M>(batch);
            return Ok(Role::Looks);
        }
        if state.lead != Lead::Nobody || state.is_promised() && !followed {
            state.followers += 1;
            batch.ask_about(M::number(&self.turn));
            return Ok(Role::Follows);
        }
        if state.turn {
            kernel.lower(&self.turn)?;
            state.turn = false;
        }
        state.lead = Lead::Current;
        state.make_array::<M>(batch);
        Ok(Role::Leads)
    }

    /// Gives the role up. What was found and is armed is reported and disarmed here, before anybody
    /// is woken who could arm it anew.
    fn end(&self, kernel: &M, batch: &mut Reports, role: Role, asked: bool) -> io::Result<()> {
        let mut state = self.state.lock();
        if role == Role::Follows {
            state.followers -= 1;
            return self.usable(batch, asked);
        }
        let parkers = state.let_go(batch);
        if asked {
            state.report(batch); // NP-LEVEL-3
        }
        let mut handed_on = Ok(());
        if role == Role::Leads {
            state.lead = Lead::Nobody; // NP-LEVEL-6
            if state.followers > 0 && !state.turn {
                handed_on = kernel.raise(&self.turn);
                state.turn = true;
            }
        }
        drop(state);
        parkers.into_iter().for_each(|parker| parker.unpark());
        handed_on.and_then(|()| self.usable(batch, asked))
    }

    fn usable(&self, batch: &Reports, asked: bool) -> io::Result<()> {
        batch.usable(asked, &self.own_numbers())
    }

    /// Puts the break there.
    ///
    /// # Errors
    ///
    /// Those of write(2).
    pub fn post(&self, kernel: &M) -> io::Result<()> {
        kernel.raise(&self.breaks)
    }

    /// Takes the break away, and puts it there again for a leader that is outdated.
    ///
    /// # Errors
    ///
    /// Those of read(2) and write(2).
    pub fn drain(&self, kernel: &M) -> io::Result<()> {
        let state = self.state.lock();
        kernel.lower(&self.breaks)?;
        if state.lead == Lead::Outdated { kernel.raise(&self.breaks) } else { Ok(()) } // NP-LEVEL-4
    }

    /// The signals of the break and of the turn. Not a step of the program.
    pub fn signals(&self) -> [&M::Signal; 2] {
        [&self.breaks, &self.turn]
    }

    /// The numbers of the break and of the turn.
    pub fn own_numbers(&self) -> [i32; 2] {
        self.signals().map(M::number)
    }

    /// The numbers that are registered, and under which tokens; without the break. Not a step of
    /// the program.
    pub fn peek_registered(&self) -> Vec<(i32, Token)> {
        self.state.peek(State::registered)
    }

    /// How many threads sleep in a wait, or are about to. Not a step of the program.
    pub fn peek_waiters(&self) -> usize {
        self.state.peek(|state| state.followers + usize::from(state.lead != Lead::Nobody))
    }
}
