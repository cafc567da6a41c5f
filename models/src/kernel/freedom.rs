//! What a kernel may do beyond what this one does: the free mode.
//!
//! Left alone, the simulated kernel does what Linux was seen to do, and the interleaving is the
//! only thing that is open. But what a program may *rely* on is less: Linux reports edges that
//! nobody asked for, other kernels and later ones harvest in another order. With some freedom
//! granted, the kernel asks [`choose`](netpoller::seam::Primitives::choose) at the points below,
//! so that an engine goes through all that is allowed. The first way is always the one that the
//! kernel takes without the freedom.
//!
//! | freedom | where it asks | among |
//! |---|---|---|
//! | `extra_edges` | at the beginning of a harvest, and when an edge comes in while somebody sleeps | nothing, or an item that is not queued |
//! | `any_order` | before each item that a harvest takes | the items that it has not taken |
//! | `any_batch` | at the beginning of a harvest of more than one item | all that was asked for, down to 1 |
//! | `any_waiter` | when somebody is to be woken | those who sleep, the last one first |
//! | `extra_wakes` | the same | nobody else, or one more |
//! | `interruptions` | before a wait sleeps | no signal, or one that comes while it sleeps |
//! | `empty_while_scanned` | in a wait that must not block, during the harvest of another thread | to wait for it, or to return nothing |
//!
//! Nothing else is free, and least of all this: the bits of a report are those that hold when the
//! item is asked, whatever queued it, and an item that an edge has queued stays queued until a
//! harvest has asked it. So the last edge after the last change of state is never lost.
//!
//! Three freedoms of Linux need no choice, because the locks of the simulated kernel leave room
//! for them: a wake that comes late (the state is changed in one step and the wakes delivered in
//! another), edges that merge, and a report that arrives after the registration was ended (a
//! harvest gives its lock back before it returns; `DEL` and close only wait for the lock).
//!
//! Those that could go on for ever have a budget per event queue, which is part of its state.

/// Freedoms of the kernel; [`NONE`](Freedom::NONE) by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Freedom {
    /// How many edges an event queue gets that no change of state has caused. They show what
    /// holds, and nothing where nothing does.
    pub extra_edges: u8,
    /// Whether the items of a batch come in any order.
    pub any_order: bool,
    /// Whether a batch may be smaller than what is queued and asked for; one event at least.
    pub any_batch: bool,
    /// Whether any waiter may be woken, not only the last one to lie down.
    pub any_waiter: bool,
    /// How often one waiter more is woken than needed.
    pub extra_wakes: u8,
    /// How many waits that would block are ended by a signal instead (`EINTR`), at once or while
    /// they sleep. Events that are there win against the signal.
    pub interruptions: u8,
    /// Whether a wait with the timeout zero may return nothing while another thread harvests,
    /// whatever is queued. Needs [`Config::edges_during_harvest`](super::Config), without which
    /// nobody can look during a harvest.
    pub empty_while_scanned: bool,
}

impl Freedom {
    /// None: what Linux was seen to do.
    pub const NONE: Freedom = Freedom {
        extra_edges: 0,
        any_order: false,
        any_batch: false,
        any_waiter: false,
        extra_wakes: 0,
        interruptions: 0,
        empty_while_scanned: false,
    };

    /// All of them, those with a budget `times` times per event queue.
    #[must_use]
    pub const fn all(times: u8) -> Freedom {
        Freedom {
            extra_edges: times,
            any_order: true,
            any_batch: true,
            any_waiter: true,
            extra_wakes: times,
            interruptions: times,
            empty_while_scanned: true,
        }
    }
}
