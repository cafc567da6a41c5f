//! A small scheduler for the scenarios of going idle: workers, and jobs that they do.
//!
//! A job is a word: nothing, runnable, taken. Whoever makes one runnable says so to the idle protocol,
//! as a scheduler does; the workers take what they find, and the last job shuts them down. A wakeup
//! that is lost leaves a worker asleep for ever.

use super::bench::Bare;
use super::traffic::Simulated;
use crate::engine::Engine;
use crate::kernel::Timed;
use crate::oracle::assert_that;
use crate::world::Model;
use netpoller::idle::{Idle, Slept, Worker};
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Atomic, Mutex, Parker, System};
use netpoller_spec::election::{Move, Rest, Word, rest};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

const NOT_YET: u32 = 0;
const RUNNABLE: u32 = 1;
const TAKEN: u32 = 2;

/// Workers on a system, and their jobs.
#[derive(Debug)]
pub struct Crew<S: System> {
    /// The workers, as far as they are idle.
    pub idle: Arc<Idle<S>>,
    jobs: Arc<Vec<S::AtomicU32>>,
    left: Arc<S::AtomicU32>,
}

/// A crew whose kernel does nothing.
pub type BareCrew<E> = Crew<Bare<E>>;

/// A crew on the simulated kernel.
pub type WiredCrew<E> = Crew<Simulated<E>>;

impl<S: System> Clone for Crew<S> {
    fn clone(&self) -> Self {
        Crew {
            idle: Arc::clone(&self.idle),
            jobs: Arc::clone(&self.jobs),
            left: Arc::clone(&self.left),
        }
    }
}

impl<E: Engine, K: Timed> Crew<Model<E, K>> {
    /// So many workers that share this poller, and so many jobs.
    ///
    /// # Panics
    ///
    /// When there are more workers than a word has room for.
    #[must_use]
    pub fn new(poller: &Poller<Model<E, K>>, workers: u32, jobs: u32) -> Self {
        E::label("idle word");
        let idle = Idle::new(poller, workers).expect("a few workers");
        Self::of(idle, jobs)
    }

    /// The same, where a worker that is not in the plan sleeps in the kernel already: so that those in
    /// the plan park.
    ///
    /// # Panics
    ///
    /// As [`Crew::new`].
    #[must_use]
    pub fn beside_a_poller(poller: &Poller<Model<E, K>>, workers: u32, jobs: u32) -> Self {
        let Move::Set(word, Rest::Poll) = rest(Word::BUSY, 0, false) else {
            unreachable!("the first worker that rests polls")
        };
        E::label("idle word");
        Self::of(Idle::starting_at(poller, workers, word).expect("a few workers"), jobs)
    }

    fn of(idle: Idle<Model<E, K>>, jobs: u32) -> Self {
        E::label("job");
        let words = (0..jobs).map(|_| E::AtomicU32::new(NOT_YET)).collect();
        E::label("jobs left");
        let left = Arc::new(E::AtomicU32::new(jobs));
        Crew { idle: Arc::new(idle), jobs: Arc::new(words), left }
    }

    /// Makes a job runnable, and says so.
    pub fn publish(&self, job: usize) {
        // Relaxed: what orders it is the protocol under test.
        self.jobs[job].store(RUNNABLE, Ordering::Relaxed);
        self.idle.work().expect("the kernel takes tokens");
    }

    /// Whether a job is runnable.
    pub fn has_work(&self) -> bool {
        self.jobs.iter().any(|job| job.load(Ordering::Relaxed) == RUNNABLE)
    }

    /// Takes a job that is runnable.
    pub fn take(&self) -> Option<usize> {
        self.jobs.iter().position(|job| {
            let take = |order| job.compare_exchange(RUNNABLE, TAKEN, order, Ordering::Relaxed);
            job.load(Ordering::Relaxed) == RUNNABLE && take(Ordering::AcqRel).is_ok()
        })
    }

    /// What a worker does: takes jobs and does them until all are done, then the workers are shut
    /// down. `run` says what it means to do a job.
    pub fn serve(&self, number: u32, run: impl Fn(usize)) {
        let mut worker = self.idle.worker(number);
        let mut ready = Ready::with_batch(1);
        loop {
            if let Some(job) = self.take() {
                worker.found(|| self.has_work()).expect("the kernel takes tokens");
                run(job);
                self.is_done();
            } else if self.sleep(&mut worker, &mut ready) == Slept::ShutDown {
                return;
            }
        }
    }

    /// What a worker does that is to do so many jobs and then to be busy for good.
    pub fn serve_some(&self, number: u32, jobs: usize) {
        let mut worker = self.idle.worker(number);
        let mut ready = Ready::with_batch(1);
        let mut done = 0;
        while done < jobs {
            if self.take().is_some() {
                worker.found(|| self.has_work()).expect("the kernel takes tokens");
                done += 1;
            } else {
                self.sleep(&mut worker, &mut ready);
            }
        }
    }

    fn sleep(&self, worker: &mut Worker<'_, Model<E, K>>, ready: &mut Ready<Model<E, K>>) -> Slept {
        let slept = worker.sleep(ready, || self.has_work());
        ready.wake_all();
        slept.expect("the kernel polls")
    }

    /// Shuts the workers down from outside.
    pub fn shut_down(&self) {
        self.idle.shut_down().expect("the kernel takes tokens");
    }

    /// One job less. The last one shuts the workers down.
    fn is_done(&self) {
        let one_less =
            |left| self.left.compare_exchange(left, left - 1, Ordering::AcqRel, Ordering::Acquire);
        let mut left = self.left.load(Ordering::Acquire);
        while let Err(now) = one_less(left) {
            left = now;
        }
        if left == 1 {
            self.shut_down();
        }
    }

    /// When all threads have ended: every job was done.
    pub fn all_done(&self) {
        let undone = self.jobs.iter().position(|job| job.peek() != TAKEN);
        assert_that(undone.is_none(), || format!("job {undone:?} was not done"));
    }

    /// The same of workers that were shut down: the word says that nobody sleeps.
    pub fn over(&self) {
        self.all_done();
        let word = self.idle.peek();
        let at_rest = word.parked() == 0 && word.searching() == 0;
        assert_that(at_rest, || format!("the workers have ended, and the idle word says {word:?}"));
    }

    /// A waker that makes a job runnable: the task of a scheduler.
    #[must_use]
    pub fn waker(&self, job: usize) -> Waker {
        Waker::from(Arc::new(Task { crew: self.clone(), job }))
    }
}

/// A task: it is woken by making its job runnable.
struct Task<S: System> {
    crew: Crew<S>,
    job: usize,
}

impl<E: Engine, K: Timed> Wake for Task<Model<E, K>> {
    fn wake(self: Arc<Self>) {
        self.crew.publish(self.job);
    }
}

/// A gate at which a job stops until another one was done: so that it needs a worker of its own.
#[derive(Debug)]
pub struct Gate<E: Engine> {
    state: E::Mutex<Passage<E>>,
}

#[derive(Debug)]
enum Passage<E: Engine> {
    Shut,
    Open,
    Awaited(E::Parker),
}

impl<E: Engine> Gate<E> {
    /// A gate that is shut.
    #[must_use]
    pub fn new() -> Arc<Gate<E>> {
        E::label("gate");
        let digest = |state: &Passage<E>| match state {
            Passage::Shut => Some(0),
            Passage::Open => Some(1),
            Passage::Awaited(_) => None, // by whoever waits
        };
        Arc::new(Gate { state: E::Mutex::new(Passage::Shut, digest) })
    }

    /// Waits until it is open. For one thread.
    pub fn pass(&self) {
        let parker = E::parker();
        loop {
            let mut state = self.state.lock();
            if matches!(*state, Passage::Open) {
                return;
            }
            *state = Passage::Awaited(parker.clone());
            drop(state);
            parker.park();
        }
    }

    /// What the first job does, which waits for the second one, and what the second one does.
    pub fn of_job(&self, job: usize) {
        if job == 0 { self.pass() } else { self.open() }
    }

    /// Opens it.
    pub fn open(&self) {
        let before = core::mem::replace(&mut *self.state.lock(), Passage::Open);
        if let Passage::Awaited(parker) = before {
            parker.unpark();
        }
    }
}
