//! A small scheduler for the scenarios of going idle: workers, and jobs that they do.
//!
//! The jobs are a word, with a bit for each that is runnable and one for each that was taken. Whoever makes
//! one runnable says so to the idle protocol, as a scheduler does; the workers take what they find, and
//! the last job shuts them down. A wakeup that is lost leaves a worker asleep for ever.

use super::bench::Bare;
use super::traffic::Simulated;
use crate::engine::Engine;
use crate::kernel::Timed;
use crate::oracle::assert_that;
use crate::world::Model;
use netpoller::idle::{Idle, Slept, Worker};
use netpoller::poller::Poller;
use netpoller::ready::Ready;
use netpoller::seam::{Atomic, System};
use netpoller_spec::election::{Move, Rest, Word, rest};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

/// The first bit of the jobs that were taken; those that are runnable begin at 0.
const TAKEN: u32 = 16;

/// Workers on a system, and their jobs.
#[derive(Debug)]
pub(super) struct Crew<S: System> {
    /// The workers, as far as they are idle.
    pub(super) idle: Arc<Idle<S>>,
    jobs: Arc<S::AtomicU32>,
    left: Arc<S::AtomicU32>,
    all: u32,
}

/// A crew whose kernel does nothing.
pub(super) type BareCrew<E> = Crew<Bare<E>>;

/// A crew on the simulated kernel.
pub(super) type WiredCrew<E> = Crew<Simulated<E>>;

impl<S: System> Clone for Crew<S> {
    fn clone(&self) -> Self {
        Crew {
            idle: Arc::clone(&self.idle),
            jobs: Arc::clone(&self.jobs),
            left: Arc::clone(&self.left),
            all: self.all,
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
    pub(super) fn new(poller: &Poller<Model<E, K>>, workers: u32, jobs: u32) -> Self {
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
    pub(super) fn beside_a_poller(poller: &Poller<Model<E, K>>, workers: u32, jobs: u32) -> Self {
        let Move::Set(word, Rest::Poll) = rest(Word::BUSY, 0, false) else {
            unreachable!("the first worker that rests polls")
        };
        E::label("idle word");
        Self::of(Idle::starting_at(poller, workers, word).expect("a few workers"), jobs)
    }

    fn of(idle: Idle<Model<E, K>>, jobs: u32) -> Self {
        E::label("jobs");
        let word = Arc::new(E::AtomicU32::new(0));
        E::label("jobs left");
        let left = Arc::new(E::AtomicU32::new(jobs));
        Crew { idle: Arc::new(idle), jobs: word, left, all: (1 << jobs) - 1 }
    }

    /// Makes these jobs runnable, one after the other: for a thread that does nothing else.
    pub(super) fn publish_all(&self, jobs: core::ops::Range<usize>) {
        for job in jobs {
            self.publish(job);
            E::forget(job as u64);
        }
    }

    /// Makes a job runnable, and says so.
    pub(super) fn publish(&self, job: usize) {
        // Relaxed: what orders it is the protocol under test.
        self.jobs.fetch_or(1 << job, Ordering::Relaxed);
        self.idle.work().expect("the kernel takes tokens");
    }

    /// Whether a job is runnable.
    pub(super) fn has_work(&self) -> bool {
        runnable(self.jobs.load(Ordering::Relaxed)) != 0
    }

    /// Takes a job that is runnable.
    pub(super) fn take(&self) -> Option<usize> {
        let mut jobs = self.jobs.load(Ordering::Relaxed);
        while runnable(jobs) != 0 {
            let job = runnable(jobs).trailing_zeros();
            let taken = jobs | 1 << (job + TAKEN);
            match self.jobs.compare_exchange(jobs, taken, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return Some(job as usize),
                Err(now) => jobs = now,
            }
        }
        None
    }

    /// What a worker does: takes jobs and does them until all are done, then the workers are shut
    /// down. `run` says what it means to do a job.
    pub(super) fn serve(&self, number: u32, run: impl Fn(usize)) {
        let mut worker = self.idle.worker(number);
        let mut ready = Ready::with_batch(1);
        loop {
            E::forget(u64::from(worker.is_searching()));
            if let Some(job) = self.take() {
                worker.found(|| self.has_work()).expect("the kernel takes tokens");
                run(job);
                self.is_done();
            } else if self.sleep(&mut worker, &mut ready) == Slept::ShutDown {
                return;
            }
        }
    }

    /// What a worker does whose first job never ends: nothing that needs a worker after that can rely
    /// on this one. `run` is the beginning of the job.
    pub(super) fn serve_one(&self, number: u32, run: impl FnOnce(usize)) {
        self.serve_one_as(self.idle.worker(number), run);
    }

    /// The same by a worker that may be searching already.
    pub(super) fn serve_one_as(
        &self,
        mut worker: Worker<'_, Model<E, K>>,
        run: impl FnOnce(usize),
    ) {
        let mut ready = Ready::with_batch(1);
        loop {
            E::forget(u64::from(worker.is_searching()));
            if let Some(job) = self.take() {
                worker.found(|| self.has_work()).expect("the kernel takes tokens");
                return run(job);
            }
            self.sleep(&mut worker, &mut ready);
        }
    }

    fn sleep(&self, worker: &mut Worker<'_, Model<E, K>>, ready: &mut Ready<Model<E, K>>) -> Slept {
        let slept = worker.sleep(ready, |place| {
            let work = self.has_work();
            // All that counts from here on: where it is going to sleep, and whether it is.
            E::forget(u64::from(work) << 1 | u64::from(place == Rest::Park));
            work
        });
        ready.wake_all();
        slept.expect("the kernel polls")
    }

    /// Shuts the workers down from outside.
    pub(super) fn shut_down(&self) {
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
    pub(super) fn all_done(&self) {
        let undone = self.all & !(self.jobs.peek() >> TAKEN);
        assert_that(undone == 0, || format!("not done: the jobs {undone:#b}"));
    }

    /// The same of workers that were shut down: the word says that nobody sleeps.
    pub(super) fn over(&self) {
        self.all_done();
        let word = self.idle.peek();
        let at_rest = word.parked() == 0 && word.searching() == 0;
        assert_that(at_rest, || format!("the workers have ended, and the idle word says {word:?}"));
    }

    /// A waker that makes a job runnable: the task of a scheduler.
    #[must_use]
    pub(super) fn waker(&self, job: usize) -> Waker {
        Waker::from(Arc::new(Task { crew: self.clone(), job }))
    }
}

/// The jobs that are runnable and that nobody has taken.
fn runnable(jobs: u32) -> u32 {
    jobs & !(jobs >> TAKEN) & ((1 << TAKEN) - 1)
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
