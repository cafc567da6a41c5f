//! The world of one execution: an engine's primitives, a kernel and an oracle, put together as
//! the [`System`] that the poller is generic over.

use crate::engine::{Engine, Told};
use crate::kernel::Timed;
use crate::oracle::Oracle;
use netpoller::desc::Peek;
use netpoller::observe::{Call, Cause, Returned, Step};
use netpoller::seam::{Instant, Kernel, Ordering, Primitives, System};
use netpoller_spec::{Mode, info, slot};
use std::cell::Cell;
use std::sync::Arc;

/// A system for models: `E` decides the interleaving, `K` is the kernel. `COUNTED`: the count of waiters is
/// one of the engine's words, for scenarios that are about it.
pub struct Model<E: Engine, K: Kernel, const COUNTED: bool = false> {
    kernel: Arc<K>,
    oracle: Arc<Oracle>,
    engine: core::marker::PhantomData<fn() -> E>,
}

thread_local! {
    /// The type of the kernel in the world that this thread has made last.
    static KERNEL: Cell<&'static str> = const { Cell::new("") };
}

/// The name of the type of the kernel in the world that the calling thread has made last, such as
/// `SimKernel`; empty if it has made none. For lists of what a scenario holds.
#[must_use]
pub fn last_kernel() -> &'static str {
    let path = KERNEL.get();
    let path = path.split_once('<').map_or(path, |(path, _)| path);
    path.rsplit_once("::").map_or(path, |(_, name)| name)
}

impl<E: Engine, K: Kernel> Model<E, K> {
    /// A fresh world around `kernel`. Every step of the poller in it is judged.
    pub fn new(kernel: K) -> Self {
        Model::fresh(kernel)
    }
}

impl<E: Engine, K: Kernel> Model<E, K, true> {
    /// The same, and the count of waiters is a step that an engine interleaves.
    pub fn counted(kernel: K) -> Self {
        Model::fresh(kernel)
    }
}

impl<E: Engine, K: Kernel, const COUNTED: bool> Model<E, K, COUNTED> {
    fn fresh(kernel: K) -> Self {
        KERNEL.set(core::any::type_name::<K>());
        let oracle = Arc::new(Oracle::new(E::SERIAL));
        // Whoever forgets a poller or a source keeps its system alive.
        crate::engine::count("the system of a poller", &oracle);
        Model { kernel: Arc::new(kernel), oracle, engine: core::marker::PhantomData }
    }

    /// The same kernel, for another poller: with an oracle of its own, because an oracle knows entries by
    /// their index.
    #[must_use]
    pub fn beside(&self) -> Self {
        let oracle = Arc::new(Oracle::new(E::SERIAL));
        crate::engine::count("the system of a poller", &oracle);
        Model { kernel: Arc::clone(&self.kernel), oracle, engine: core::marker::PhantomData }
    }
}

impl<E: Engine, K: Kernel, const COUNTED: bool> Primitives for Model<E, K, COUNTED> {
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

impl<E: Engine, K: Timed, const COUNTED: bool> System for Model<E, K, COUNTED> {
    type Kernel = K;
    const COUNT_IS_MODELLED: bool = COUNTED;

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

impl<E: Engine, K: Kernel, const COUNTED: bool> Clone for Model<E, K, COUNTED> {
    fn clone(&self) -> Self {
        Model {
            kernel: Arc::clone(&self.kernel),
            oracle: Arc::clone(&self.oracle),
            engine: core::marker::PhantomData,
        }
    }
}

impl<E: Engine, K: Kernel, const COUNTED: bool> core::fmt::Debug for Model<E, K, COUNTED> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Model").field("engine", &E::NAME).field("kernel", &self.kernel).finish()
    }
}

/// Puts a step into the story.
fn tell<E: Engine>(step: &Step) {
    let told = match *step {
        Step::Slot { place, mode, cause, before, after } => Told {
            word: match mode {
                Mode::Read => "read slot",
                Mode::Write => "write slot",
            },
            entry: place.index,
            why: match cause {
                Cause::Notify => "notify",
                Cause::Cancel => "cancel",
                Cause::Announce => "announce",
                Cause::Finish => "finish",
                Cause::Retract => "retract",
                Cause::Reset => "reset",
                Cause::Free => "free",
            },
            values: [before.bits(), after.bits()],
            read: |bits| format!("{:?}", slot::Word::from_bits(bits)),
            lasts: true,
        },
        Step::Info { place, before, after } => Told {
            word: "info",
            entry: place.index,
            why: if before == after { "known already" } else { "publish" },
            values: [before.bits(), after.bits()],
            read: |bits| format!("{:?}", info::Word::from_bits(bits)),
            lasts: true,
        },
        Step::Expires { place, mode, deadline, now } => Told {
            word: match mode {
                Mode::Read => "read deadline",
                Mode::Write => "write deadline",
            },
            entry: place.index,
            why: "has come",
            values: [deadline, now],
            read: |nanos| format!("{nanos} ns"),
            lasts: false,
        },
        Step::Break { before, after } => Told {
            word: "flag",
            entry: 0,
            why: if after { "break" } else { "clear" },
            values: [before, after].map(u64::from),
            read: |bits| if bits == 0 { "clear".to_owned() } else { "set".to_owned() },
            lasts: true,
        },
    };
    E::tell(told);
}
