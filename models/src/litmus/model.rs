//! The simulated kernel under explore as the host of litmus programs: what is allowed.

use super::{Calls, Program, outcome};
use crate::engine::{Engine, Explore, Limits, Outcome, Plan};
use crate::kernel::{Config, Control, Errno, Freedom, Report, SimKernel};
use netpoller::seam::{Primitives, Timeout};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

impl Calls for SimKernel<Explore> {
    type Word = <Explore as Primitives>::AtomicU64;

    const CROWD: usize = 1;

    fn queue(&self) -> i32 {
        self.raw().epoll_create().expect("a free number")
    }

    fn eventfd(&self, count: u32) -> i32 {
        self.raw().eventfd(count.into()).expect("a free number")
    }

    fn pipe(&self) -> (i32, i32) {
        self.raw().pipe().expect("two free numbers")
    }

    fn control(&self, queue: i32, number: i32, control: Control) -> Result<(), Errno> {
        self.raw().epoll_ctl(queue, number, control)
    }

    fn wait(&self, queue: i32, most: usize, timeout: Timeout) -> Result<Vec<Report>, Errno> {
        self.raw().epoll_wait(queue, most, timeout)
    }

    fn read(&self, number: i32) -> Result<usize, Errno> {
        self.raw().read(number, &mut [0; 8])
    }

    fn write(&self, number: i32, bytes: &[u8]) -> Result<usize, Errno> {
        self.raw().write(number, bytes)
    }

    fn close(&self, number: i32) -> Result<(), Errno> {
        self.raw().close(number)
    }

    fn interrupt(&self, _thread: usize) {}

    fn await_sleep(&self, thread: usize) {
        Explore::await_sleep(thread);
    }
}

/// The outcomes that the simulated kernel allows.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The outcomes.
    pub outcomes: BTreeSet<String>,
    /// How they were found; exhaustive only if it says so.
    pub run: Outcome,
}

/// All outcomes of a program on the simulated kernel with the freedom that the program needs.
#[must_use]
pub fn allowed(program: &Program<SimKernel<Explore>>) -> Allowed {
    allowed_by(program, program.freedom)
}

/// All outcomes of a program on the simulated kernel with this freedom.
#[must_use]
pub fn allowed_by(program: &Program<SimKernel<Explore>>, freedom: Freedom) -> Allowed {
    allowed_within(program, freedom, &Limits::default())
}

/// The outcomes of a program on the simulated kernel with this freedom that are found within these
/// limits.
#[must_use]
pub fn allowed_within(
    program: &Program<SimKernel<Explore>>,
    freedom: Freedom,
    limits: &Limits,
) -> Allowed {
    let config = Config { edges_during_harvest: true, freedom, ..Config::small() };
    // Outside of what the engine interleaves: an outcome follows from what the threads saw.
    let outcomes = Arc::new(Mutex::new(BTreeSet::new()));
    let (set_up, all) = (program.round, outcomes.clone());
    let run = Explore::run(move || plan(&SimKernel::new(config), set_up, &all), limits);
    let outcomes = core::mem::take(&mut *outcomes.lock().unwrap_or_else(PoisonError::into_inner));
    Allowed { outcomes, run }
}

fn plan(
    kernel: &SimKernel<Explore>,
    set_up: fn(&SimKernel<Explore>) -> super::Round,
    all: &Arc<Mutex<BTreeSet<String>>>,
) -> Plan {
    let threads = set_up(kernel).into_threads();
    let parts = threads.iter().map(|(name, _)| (*name, String::new())).collect();
    let parts: Arc<Mutex<Vec<(&'static str, String)>>> = Arc::new(Mutex::new(parts));
    let mut plan = Plan::new();
    for (place, (name, body)) in threads.into_iter().enumerate() {
        let parts = parts.clone();
        plan = plan.thread(name, move || {
            let saw = body();
            parts.lock().unwrap_or_else(PoisonError::into_inner)[place].1 = saw;
        });
    }
    let all = all.clone();
    plan.finally(move || {
        let outcome = outcome(&parts.lock().unwrap_or_else(PoisonError::into_inner));
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(outcome);
    })
}
