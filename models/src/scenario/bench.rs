//! The work bench of the scenarios: a poller on a kernel that does nothing, and tasks on it.
//!
//! What is done on it at one go is sealed ([`Engine::sealed`]); a wait that is polled by hand is not.

use crate::engine::Engine;
use crate::kernel::StubKernel;
use crate::oracle;
use crate::world::Model;
use netpoller::desc::Wait;
use netpoller::error::WaitError;
use netpoller::poller::{Poller, Shape};
use netpoller::seam::{Event, Instant, Kernel, Parker, Primitives};
use netpoller::source::Source;
use netpoller_spec::events::Bits;
use netpoller_spec::token::{Generation, Named, Token};
use netpoller_spec::{Mode, Reason, info};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

/// The system of a bench.
pub type Bare<E> = Model<E, StubKernel<E>>;

/// A poller whose kernel does nothing: edges are delivered by hand, through the code that
/// handles those of a kernel.
#[derive(Debug, Clone)]
pub struct Bench<E: Engine> {
    /// The poller.
    pub poller: Poller<Bare<E>>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Waited {
    /// With readiness, which it consumed.
    Ready,
    /// The descriptor was closed, or the incarnation was over.
    Closed,
    /// The newest event was nothing but an error.
    NotPollable,
    /// Somebody else was parked in that direction.
    Occupied,
    /// The deadline has passed.
    TimedOut,
    /// Not yet: the task is parked.
    Pending,
}

impl<E: Engine> Bench<E> {
    /// A bench whose slab has a first segment of one entry.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(Generation::FIRST)
    }

    /// A bench whose unused entries are in `first_generation`.
    ///
    /// # Panics
    ///
    /// Never: the stub has an event queue.
    #[must_use]
    pub fn starting_at(first_generation: Generation) -> Self {
        Self::on(StubKernel::new(), Shape { first_segment: 1, first_generation, turns: false })
    }

    /// A bench in whose kernel one thread can sleep, until an event is rung ([`Bench::ring`]).
    #[must_use]
    pub fn in_which_one_sleeps() -> Self {
        let first_generation = Generation::FIRST;
        let shape = Shape { first_segment: 1, first_generation, turns: false };
        Self::on(StubKernel::in_which_one_sleeps(), shape)
    }

    /// A bench whose blocking waits poll when nobody else does.
    #[must_use]
    pub fn taking_turns() -> Self {
        let first_generation = Generation::FIRST;
        Self::on(StubKernel::new(), Shape { first_segment: 1, first_generation, turns: true })
    }

    fn on(kernel: StubKernel<E>, shape: Shape) -> Self {
        let poller = Poller::on(Model::new(kernel), shape);
        Bench { poller: poller.expect("the stub has an event queue") }
    }

    /// Has the kernel report an event to whoever polls.
    pub fn ring(&self, token: Token, bits: Bits) {
        let kernel = netpoller::seam::System::kernel(self.poller.system());
        kernel.ring(self.poller.queue(), Event { token, bits });
    }

    /// Registers a descriptor.
    ///
    /// # Panics
    ///
    /// Never: the stub registers everything.
    #[must_use]
    pub fn open(&self) -> Source<Bare<E>> {
        /// Known by its token: what else is in it was made here, or is the poller's.
        struct Opened<E: Engine>(Source<Bare<E>>);
        impl<E: Engine> Hash for Opened<E> {
            fn hash<H: Hasher>(&self, into: &mut H) {
                self.0.token().hash(into);
            }
        }
        let opened = E::sealed(|| {
            let kernel = netpoller::seam::System::kernel(self.poller.system());
            let (fd, _other) = kernel.pipe().expect("the stub makes descriptors");
            Opened::<E>(self.poller.register(fd).expect("the stub registers everything"))
        });
        opened.0
    }

    /// Closes a descriptor, and waits for those who use it.
    pub fn shut(&self, source: Source<Bare<E>>) {
        E::sealed(|| drop(source));
    }

    /// Delivers an event, as a poll does that harvested it.
    pub fn edge(&self, token: Token, bits: Bits) {
        self.batch(&[(token, bits)]);
    }

    /// Delivers several events as one batch.
    pub fn batch(&self, events: &[(Token, Bits)]) {
        let events: Vec<_> = events.iter().map(|&(token, bits)| Event { token, bits }).collect();
        E::sealed(|| self.poller.deliver(&events));
    }

    /// One poll of a wait.
    ///
    /// # Panics
    ///
    /// Never: the stub cannot fail.
    pub fn poll(&self, token: Token, mode: Mode, wait: &mut Wait, waker: &Waker) -> Waited {
        let incarnation = self.poller.incarnation(token);
        let waited = match incarnation.poll_wait(mode, wait, waker, || Ok(())) {
            Poll::Pending => Waited::Pending,
            Poll::Ready(Ok(())) => Waited::Ready,
            Poll::Ready(Err(WaitError::Protocol(Reason::Closed))) => Waited::Closed,
            Poll::Ready(Err(WaitError::Protocol(Reason::DeadlineExceeded))) => Waited::TimedOut,
            Poll::Ready(Err(WaitError::Protocol(Reason::NotPollable))) => Waited::NotPollable,
            Poll::Ready(Err(WaitError::Occupied)) => Waited::Occupied,
            Poll::Ready(Err(WaitError::Kernel(error))) => panic!("the stub cannot fail: {error}"),
        };
        E::note("wait", waited as u64);
        waited
    }

    /// Waits, blocking the thread. Never returns [`Waited::Pending`].
    pub fn wait(&self, token: Token, mode: Mode) -> Waited {
        E::sealed(|| self.go_on(token, mode, &mut Wait::default()))
    }

    /// Goes on with a wait, blocking the thread.
    pub fn go_on(&self, token: Token, mode: Mode, wait: &mut Wait) -> Waited {
        let parker = E::parker();
        loop {
            match self.poll(token, mode, wait, parker.waker()) {
                Waited::Pending => parker.park(),
                done => return done,
            }
        }
    }

    /// Gives up a wait.
    pub fn retract(&self, token: Token, mode: Mode, wait: &mut Wait) {
        self.poller.incarnation(token).retract(mode, wait);
    }

    /// Lets the time pass. For one thread of a plan.
    pub fn advance(&self, nanos: u64) {
        let kernel = netpoller::seam::System::kernel(self.poller.system());
        kernel.advance_to(Instant::from_nanos(nanos));
    }

    /// Lets the time pass and the timers fire that are due then, as a poll does.
    pub fn tick(&self, nanos: u64) {
        E::sealed(|| {
            self.advance(nanos);
            self.poller.expire_due();
        });
    }

    /// Ends the waits of an incarnation, as [`Source::close`] does.
    pub fn close(&self, token: Token) {
        E::sealed(|| {
            if let Some(wakers) = self.poller.incarnation(token).close() {
                netpoller::desc::wake(wakers);
            }
        });
    }

    /// The slot of an entry holds readiness that nobody consumed.
    #[must_use]
    pub fn pending(&self, index: u32, mode: Mode) -> bool {
        let (entries, _flag) = self.poller.peek();
        let (_, peek) = entries[index as usize];
        peek.slots[mode as usize].state() == netpoller_spec::slot::State::Ready
    }

    /// What the info word says to a waiter of an incarnation. A peek: for the final check, which is no
    /// thread that anything has been published to.
    ///
    /// # Errors
    ///
    /// The reason that would end a wait of that direction.
    ///
    /// # Panics
    ///
    /// When the token names no entry: those of sources do.
    pub fn verdict(&self, token: Token, mode: Mode) -> Result<(), Reason> {
        let Named::Entry(index, generation) = token.named() else {
            panic!("{token:?} names no entry")
        };
        let (entries, _flag) = self.poller.peek();
        let (_, peek) = &entries[index as usize];
        info::check(peek.info, generation, mode)
    }

    /// Judges what is left.
    pub fn quiescent(&self) {
        oracle::quiescent(&self.poller, self.poller.queue().peek_break_token());
    }
}

impl<E: Engine> Default for Bench<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// What threads leave for the final check to close. It lies under a lock of the engine: a close is
/// made of the steps of a thread, to which what another thread has made has to be published.
pub type Left<E, T> = Arc<<E as Primitives>::Mutex<T>>;

/// Such a place.
#[must_use]
pub fn left<E: Engine, T: Send + core::fmt::Debug>(value: T) -> Left<E, T> {
    Arc::new(netpoller::seam::Mutex::new(value, |_| None))
}

/// A waker that counts, for tasks that nobody runs.
#[derive(Debug, Default)]
pub struct Tally(AtomicUsize);

impl Tally {
    /// A fresh counter and its waker.
    #[must_use]
    pub fn new() -> (Arc<Tally>, Waker) {
        let tally = Arc::new(Tally::default());
        crate::engine::count("a waker that counts", &tally);
        (Arc::clone(&tally), Waker::from(tally))
    }

    /// How often it was woken.
    #[must_use]
    pub fn wakes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A waker that nobody hears, and that is missed if it is not dropped.
#[must_use]
pub fn unheard() -> Waker {
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let nobody = Arc::new(Nobody);
    crate::engine::count("a waker that nobody hears", &nobody);
    Waker::from(nobody)
}

impl std::task::Wake for Tally {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        crate::engine::unseal(); // the count is in no state
    }
}
