//! The world of one execution: an engine's primitives, a kernel and an oracle, put together as
//! the [`System`] that the poller is generic over.

use crate::engine::Engine;
use crate::kernel::Timed;
use crate::oracle::Oracle;
use netpoller::desc::Peek;
use netpoller::observe::{Call, Cause, Returned, Step};
use netpoller::seam::{Instant, Kernel, Ordering, Primitives, System};
use netpoller_spec::{Mode, info, slot};
use std::sync::Arc;

/// A system for models: `E` decides the interleaving, `K` is the kernel.
pub struct Model<E: Engine, K: Kernel> {
    kernel: Arc<K>,
    oracle: Arc<Oracle>,
    engine: core::marker::PhantomData<fn() -> E>,
}

impl<E: Engine, K: Kernel> Model<E, K> {
    /// A fresh world around `kernel`. Every step of the poller in it is judged.
    pub fn new(kernel: K) -> Self {
        let oracle = Arc::new(Oracle::new(E::SERIAL));
        // Whoever forgets a poller or a source keeps its system alive.
        crate::engine::count("the system of a poller", &oracle);
        Model { kernel: Arc::new(kernel), oracle, engine: core::marker::PhantomData }
    }
}

impl<E: Engine, K: Kernel> Primitives for Model<E, K> {
    type AtomicU32 = E::AtomicU32;
    type AtomicU64 = E::AtomicU64;
    type Mutex<T: Send + core::fmt::Debug> = E::Mutex<T>;
    type Parker = E::Parker;

    fn fence(order: Ordering) {
        E::fence(order);
    }

    fn parker() -> E::Parker {
        E::parker()
    }

    fn choose(alternatives: usize) -> usize {
        E::choose(alternatives)
    }
}

impl<E: Engine, K: Timed> System for Model<E, K> {
    type Kernel = K;

    fn kernel(&self) -> &K {
        &self.kernel
    }

    fn now(&self) -> Instant {
        self.kernel.time()
    }

    fn observe(&self, step: &Step) {
        tell::<E>(step);
        self.oracle.judge(step);
    }

    fn called(&self, call: &Call) {
        self.oracle.history.called::<E>(call);
    }

    fn returned(&self, index: u32, returned: &Returned) {
        self.oracle.history.returned::<E>(index, returned);
    }

    fn at_rest(&self, index: u32, found: &Peek) {
        self.oracle.history.at_rest::<E>(index, found);
    }
}

impl<E: Engine, K: Kernel> Clone for Model<E, K> {
    fn clone(&self) -> Self {
        Model {
            kernel: Arc::clone(&self.kernel),
            oracle: Arc::clone(&self.oracle),
            engine: core::marker::PhantomData,
        }
    }
}

impl<E: Engine, K: Kernel> core::fmt::Debug for Model<E, K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model").field("engine", &E::NAME).field("kernel", &self.kernel).finish()
    }
}

/// Puts a step into the story.
fn tell<E: Engine>(step: &Step) {
    match *step {
        Step::Slot { mode, cause, before, after, .. } => {
            let label = match (mode, cause) {
                (Mode::Read, Cause::Notify) => "reader, notify",
                (Mode::Read, Cause::Cancel) => "reader, cancel",
                (Mode::Read, Cause::Announce) => "reader, announce",
                (Mode::Read, Cause::Finish) => "reader, finish",
                (Mode::Read, Cause::Retract) => "reader, retract",
                (Mode::Read, Cause::Reset) => "reader, reset",
                (Mode::Read, Cause::Free) => "reader, free",
                (Mode::Write, Cause::Notify) => "writer, notify",
                (Mode::Write, Cause::Cancel) => "writer, cancel",
                (Mode::Write, Cause::Announce) => "writer, announce",
                (Mode::Write, Cause::Finish) => "writer, finish",
                (Mode::Write, Cause::Retract) => "writer, retract",
                (Mode::Write, Cause::Reset) => "writer, reset",
                (Mode::Write, Cause::Free) => "writer, free",
            };
            E::tell(label, [before.bits(), after.bits()], |bits| {
                format!("{:?}", slot::Word::from_bits(bits))
            });
        }
        Step::Info { before, after, .. } => {
            E::tell("info", [before.bits(), after.bits()], |bits| {
                format!("{:?}", info::Word::from_bits(bits))
            });
        }
        Step::Expires { mode, deadline, now, .. } => {
            let label = match mode {
                Mode::Read => "reader, expires",
                Mode::Write => "writer, expires",
            };
            E::tell(label, [deadline, now], |nanos| format!("{nanos} ns"));
        }
        Step::Break { before, after } => {
            E::tell("break flag", [before, after].map(u64::from), |bits| {
                if bits == 0 { "clear".to_owned() } else { "set".to_owned() }
            });
        }
    }
}
