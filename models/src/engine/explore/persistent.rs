//! Which threads have to be followed from a state, and which can as well come later.
//!
//! Let a state be given, and `P`, some of the threads that can go on there. `P` is *persistent* if no
//! step that the other threads can take, as long as those of `P` take none, fails to commute with the
//! next step of a thread of `P`. Then it is enough to follow `P`: every execution to its end has a step of
//! `P`, for a step that commutes with all that is done stays possible; its first one can be moved to the
//! front, past steps that it commutes with; and what is left is an execution from there. So every execution
//! is seen, up to the order of steps that commute: all that a thread does and observes, all states at the
//! end, all deadlocks. (Godefroid, "Partial-Order Methods for the Verification of Concurrent Systems".)
//!
//! What the others can do is not known beforehand. But it is known when all below the edges of `P` is
//! known: as long as they meet with nothing, they can do it there, too. So for each state that is settled
//! and each set `Q` of threads the touches are kept that are possible, from there on, while the threads of
//! `Q` rest ([`Seen::of_a_state`]); and a state is settled only if its `P` withstands that
//! ([`Seen::missing`]). The graph has no cycles, so nothing of this has to be revised.
//!
//! The touches while `Q` rests, where `P` is followed:
//!
//! - what the threads that do not rest are about to touch, whether they can or not: they may be kept
//!   from it only by the step that is being looked at;
//! - if `P` has threads that do not rest: for each of them what its step touches, and what is possible
//!   after it. A sequence with a step of `P` has one that comes first, and can begin with it; one without
//!   is possible after any of them.
//! - if all of `P` rest, what is possible after a step of `P`, for then nothing that is done meets with it;
//!   but nothing if only threads of `P` can go on at all.
//!
//! More threads rest than were told to: who waits for a lock that one of them holds, and who is parked
//! while nobody else could wake him ([`Seen::resting`]). Without that every step within a lock would seem
//! to meet with what others do within it later, and every unpark with the park that it ends.

use super::footprint::{Footprint, Holds, Touch, Touches};
use super::pool::Pool;

/// What keeps a thread from its next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Waits {
    Nothing,
    /// A lock that is held by the thread with this number.
    ForThread(u8),
    /// It is parked.
    Parked,
    /// Something else.
    Otherwise,
    /// It has ended: there is no next step.
    Over,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stand {
    /// What it is about to touch.
    pub(super) touch: Touch,
    pub(super) waits: Waits,
    /// The locks that it holds.
    pub(super) holds: Holds,
}

/// Threads, by number.
type Threads = u32;

/// With more threads than this nothing is left out.
const MOST: usize = 6;

/// An edge of a node that is taken.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) edge: u32,
    /// What its step touches by telling oracles something.
    pub(super) tells: Footprint,
    /// What does not commute with that.
    pub(super) against: Footprint,
    /// What may be touched after it.
    pub(super) after: u32,
}

/// What is known of a node below which all is known.
#[derive(Debug)]
pub(super) struct Here {
    pub(super) stands: u32,
    pub(super) choice: bool,
    /// All edges are taken.
    pub(super) all: bool,
    pub(super) taken: Vec<Taken>,
}

/// Where threads can be, and what can be touched: each combination once.
#[derive(Debug)]
pub(super) struct Seen {
    stands: Pool<Vec<Stand>>,
    sets: Pool<Footprint>,
    /// For each set of threads: the number of what may be touched while they rest.
    touched: Pool<Vec<u32>>,
}

impl Default for Seen {
    fn default() -> Self {
        let mut seen =
            Seen { stands: Pool::default(), sets: Pool::default(), touched: Pool::default() };
        seen.sets.number(Footprint::default());
        seen.touched.number(Vec::new());
        seen
    }
}

/// The state that is being looked at.
struct State<'a> {
    threads: &'a [Stand],
    /// Those that are parked.
    parked: Threads,
    /// Each edge that is taken, and its thread.
    steps: Vec<(usize, &'a Taken)>,
    all: bool,
}

impl Seen {
    /// What may be touched where nothing is left to be done.
    pub(super) const NOTHING: u32 = 0;

    /// The number of where the threads are.
    pub(super) fn stands(&mut self, stands: Vec<Stand>) -> u32 {
        self.stands.number(stands)
    }

    /// Who can go on where the threads are like this: the thread of each edge.
    pub(super) fn able(&self, stands: u32) -> impl Iterator<Item = usize> {
        able(self.stands.get(stands))
    }

    /// What a thread is about to touch where the threads are like this.
    pub(super) fn touch(&self, stands: u32, thread: usize) -> Touch {
        self.stands.get(stands)[thread].touch
    }

    /// Which edges have to be taken besides those that are, if any.
    pub(super) fn missing(&self, here: &Here, touches: &Touches) -> u32 {
        if here.all {
            return 0;
        }
        let state = self.state(here);
        let able = state.able();
        let all = able.iter().enumerate().fold(0, |set, (edge, _)| set | 1 << edge);
        let taken = here.taken.iter().fold(0, |set, taken| set | 1 << taken.edge);
        if state.threads.len() > MOST {
            return all & !taken;
        }
        // The fewest threads that will do, as far as can be told before they are followed.
        let others = all & !taken;
        let mut sets: Vec<u32> = (0..=others).filter(|more| more & !others == 0).collect();
        sets.sort_by_key(|more| more.count_ones());
        let will_do = |more: &u32| {
            let edges = (0..able.len()).filter(|edge| (taken | more) & 1 << edge != 0);
            let followed = edges.fold(0, |set, edge| set | 1 << able[edge]);
            self.withstands(&state, followed, touches)
        };
        sets.into_iter().find(will_do).unwrap_or(others)
    }

    /// Whether nothing that the others can do meets with the steps that were taken.
    fn withstands(&self, state: &State<'_>, followed: Threads, touches: &Touches) -> bool {
        let possible = self.resting(state, followed, touches);
        state.steps.iter().all(|(thread, taken)| {
            !touches.against(state.threads[*thread].touch).meets(&possible)
                && !taken.against.meets(&possible)
        })
    }

    /// What may be touched from this state on, for each set of threads that rest.
    pub(super) fn of_a_state(&mut self, here: &Here, touches: &Touches) -> u32 {
        let state = self.state(here);
        if state.threads.len() > MOST {
            return Seen::NOTHING; // nobody asks
        }
        let sets: Vec<_> = (0..1 << state.threads.len())
            .map(|rest: Threads| {
                let mut possible = self.resting(&state, rest, touches);
                let about = state.threads.iter().enumerate().filter(|(thread, stand)| {
                    rest & 1 << thread == 0 && stand.waits != Waits::Over
                });
                about.for_each(|(_, stand)| possible.add(stand.touch));
                possible
            })
            .collect();
        let numbers = sets.into_iter().map(|set| self.sets.number(set)).collect();
        self.touched.number(numbers)
    }

    /// The same, for a choice within a step.
    pub(super) fn of_a_choice(&mut self, here: &Here) -> u32 {
        let most = here.taken.iter().map(|taken| self.touched.get(taken.after).len()).max();
        let sets: Vec<_> = (0..most.unwrap_or(0) as Threads)
            .map(|rest| {
                let mut possible = Footprint::default();
                here.taken.iter().for_each(|taken| possible.join(self.after(taken, rest)));
                possible
            })
            .collect();
        let numbers = sets.into_iter().map(|set| self.sets.number(set)).collect();
        self.touched.number(numbers)
    }

    /// What may be touched after the first step while these rest, and whoever has to rest then.
    fn resting(&self, state: &State<'_>, rest: Threads, touches: &Touches) -> Footprint {
        // Whoever is parked rests, until it is seen that somebody who does not could wake him.
        let mut parked = state.parked;
        loop {
            let all = state.with_waiting(rest | parked);
            let mut possible = self.possible(state, all);
            for (thread, stand) in state.threads.iter().enumerate() {
                if all & 1 << thread != 0 {
                    possible.leave_out(&touches.kept_by(&stand.holds));
                }
            }
            let woken = |thread: &usize| {
                // An unpark is about the same object.
                touches.against(state.threads[*thread].touch).meets(&possible)
            };
            let of = (0..state.threads.len()).filter(|thread| parked & 1 << thread != 0);
            let awake = of.filter(woken).fold(0, |set, thread| set | 1 << thread);
            if awake == 0 {
                return possible;
            }
            parked &= !awake;
        }
    }

    /// What may be touched while exactly these rest, but for what the others are about to touch here.
    fn possible(&self, state: &State<'_>, rest: Threads) -> Footprint {
        let mut possible = Footprint::default();
        let mut any = false;
        for (thread, taken) in &state.steps {
            if rest & 1 << thread != 0 {
                continue;
            }
            any = true;
            possible.add(state.threads[*thread].touch);
            possible.join(&taken.tells);
            possible.join(self.after(taken, rest));
        }
        if !any && !state.all {
            possible.join(self.after(state.steps[0].1, rest));
        }
        possible
    }

    fn after(&self, taken: &Taken, rest: Threads) -> &Footprint {
        let sets = self.touched.get(taken.after);
        self.sets.get(sets.get(rest as usize).copied().unwrap_or(0))
    }

    fn state<'a>(&'a self, here: &'a Here) -> State<'a> {
        let threads = self.stands.get(here.stands);
        let able: Vec<_> = able(threads).collect();
        let steps = here.taken.iter().map(|taken| (able[taken.edge as usize], taken)).collect();
        let parked = threads.iter().enumerate().filter(|(_, stand)| stand.waits == Waits::Parked);
        let parked = parked.fold(0, |set, (thread, _)| set | 1 << thread);
        State { threads, parked, steps, all: here.all }
    }
}

/// Who can go on: the thread of each edge.
fn able(threads: &[Stand]) -> impl Iterator<Item = usize> {
    let able = threads.iter().enumerate().filter(|(_, stand)| stand.waits == Waits::Nothing);
    able.map(|(thread, _)| thread)
}

impl State<'_> {
    fn able(&self) -> Vec<usize> {
        able(self.threads).collect()
    }

    /// These threads, and who waits for a lock that one of them holds.
    fn with_waiting(&self, mut rest: Threads) -> Threads {
        loop {
            let waits = self.threads.iter().enumerate().filter(|(_, stand)| {
                matches!(stand.waits, Waits::ForThread(holder) if rest & 1 << holder != 0)
            });
            let more = waits.fold(rest, |set, (thread, _)| set | 1 << thread);
            if more == rest {
                return rest;
            }
            rest = more;
        }
    }
}
