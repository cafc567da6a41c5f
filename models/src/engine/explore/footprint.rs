//! What threads touch, and sets of that.
//!
//! A *touch* is an object and the way in which an operation is about it. Two steps of different threads
//! commute, that is: each does the same and sees the same whichever is first, and neither makes the
//! other one possible or impossible, if
//!
//! - they touch different objects, or the same one in a way that allows it: two loads, two unparks.
//!   What else a step does is of no account: it gives back locks that its thread holds, and whoever
//!   wants those has no step; it reads what lies in a lock that its thread has taken, and nobody else
//!   can; what it makes is new. To see a thread asleep is possible only while that one has no step, and
//!   what gives it one is about the same object.
//! - not both change what an oracle remembers. That cannot be told from the declared operation; it is
//!   known when a step was made, whatever it chose. The first step after an announcement
//!   ([`Engine::announced`](crate::engine::Engine::announced)) begins a call by being made. Of calls only
//!   the order of a beginning and an end counts, and only if they are about the same part.

use crate::engine::mix::Map;
use crate::engine::record::{Object, Op};

/// Locks that a thread holds; of more than these some are left out, which is on the safe side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Holds([Object; 4]);

impl Default for Holds {
    fn default() -> Self {
        Holds([Object::NONE; 4])
    }
}

impl Holds {
    pub(super) fn take(&mut self, lock: Object) {
        if let Some(free) = self.0.iter_mut().find(|held| **held == Object::NONE) {
            *free = lock;
            self.0.sort_unstable();
        }
    }

    pub(super) fn give_back(&mut self, lock: Object) {
        if let Some(held) = self.0.iter_mut().find(|held| **held == lock) {
            *held = Object::NONE;
            self.0.sort_unstable();
        }
    }

    fn locks(&self) -> impl Iterator<Item = Object> {
        self.0.into_iter().filter(|lock| *lock != Object::NONE)
    }
}

/// What a thread is about to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) thread: usize,
    pub(super) op: Op,
    pub(super) object: Object,
    /// What the thread holds meanwhile.
    pub(super) holds: Holds,
    /// How many operations the thread has performed.
    pub(super) after: u64,
    /// What it tells an oracle by being made.
    pub(super) tells: Option<Told>,
}

impl Move {
    fn mode(&self) -> Mode {
        match self.op {
            Op::Load | Op::Unpark => Mode::Shared,
            _ => Mode::Alone,
        }
    }
}

/// How something is touched: whether that commutes with other touches of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// With none.
    Alone,
    /// With those of the same mode.
    Shared,
    /// With those of the same mode.
    Ending,
}

/// What an oracle is told by a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Told {
    /// Something that changes what the oracle with this key remembers.
    Something(u64),
    /// That a call begins which is about this.
    Beginning(u64),
    /// That one ends.
    Ending(u64),
}

/// The number of a touch.
pub(super) type Touch = u16;

const WORDS: usize = 8;

/// Whatever has no number of its own, because there are too many. Commutes with nothing.
const OTHERS: Touch = 0;

/// A set of touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Footprint([u64; WORDS]);

impl Footprint {
    /// All that there are.
    const ALL: Footprint = Footprint([u64::MAX; WORDS]);

    pub(super) fn add(&mut self, touch: Touch) {
        self.0[usize::from(touch) / 64] |= 1 << (touch % 64);
    }

    pub(super) fn join(&mut self, other: &Footprint) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn leave_out(&mut self, other: &Footprint) {
        self.0.iter_mut().zip(other.0).for_each(|(word, other)| *word &= !other);
    }

    pub(super) fn has(&self, touch: Touch) -> bool {
        self.0[usize::from(touch) / 64] & 1 << (touch % 64) != 0
    }

    pub(super) fn meets(&self, other: &Footprint) -> bool {
        self.0.iter().zip(other.0).any(|(word, other)| word & other != 0)
    }
}

/// What is touched: an object, or what an oracle remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum About {
    Object(Object),
    Memory(u64),
    Calls(u64),
}

/// Touches of one thing.
#[derive(Debug, Default)]
struct Of {
    alone: Footprint,
    shared: Footprint,
    ending: Footprint,
}

/// The touches that were seen, by number.
#[derive(Debug)]
pub(super) struct Touches {
    numbers: Map<(About, Mode, Holds), Touch>,
    /// For each number the place in `things` of what is touched, and how.
    about: Vec<(usize, Mode)>,
    places: Map<About, usize>,
    things: Vec<Of>,
    /// What is touched while a lock is held.
    inside: Map<Object, Footprint>,
}

impl Default for Touches {
    fn default() -> Self {
        let others = Of { alone: Footprint::ALL, ..Of::default() };
        Touches {
            numbers: Map::default(),
            about: vec![(0, Mode::Alone)],
            places: Map::default(),
            things: vec![others],
            inside: Map::default(),
        }
    }
}

impl Touches {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.about.len()
    }

    /// The number of what this move touches, and how.
    pub(super) fn number(&mut self, made: &Move) -> Touch {
        self.number_of(About::Object(made.object), made.mode(), made.holds)
    }

    /// The number of telling an oracle something, in a step before which these locks are held.
    pub(super) fn telling(&mut self, told: Told, holds: Holds) -> Touch {
        let (about, mode) = match told {
            Told::Something(key) => (About::Memory(key), Mode::Alone),
            Told::Beginning(part) => (About::Calls(part), Mode::Shared),
            Told::Ending(part) => (About::Calls(part), Mode::Ending),
        };
        self.number_of(about, mode, holds)
    }

    fn number_of(&mut self, about: About, mode: Mode, holds: Holds) -> Touch {
        if let Some(known) = self.numbers.get(&(about, mode, holds)) {
            return *known;
        }
        if self.about.len() >= WORDS * 64 {
            return OTHERS;
        }
        let touch = self.about.len() as Touch;
        let place = *self.places.entry(about).or_insert(self.things.len());
        if place == self.things.len() {
            self.things.push(Of::default());
        }
        self.numbers.insert((about, mode, holds), touch);
        self.about.push((place, mode));
        let of = &mut self.things[place];
        match mode {
            Mode::Alone => of.alone.add(touch),
            Mode::Shared => of.shared.add(touch),
            Mode::Ending => of.ending.add(touch),
        }
        for lock in holds.locks() {
            self.inside.entry(lock).or_default().add(touch);
        }
        touch
    }

    /// What does not commute with this.
    pub(super) fn against(&self, touch: Touch) -> Footprint {
        let (place, mode) = self.about[usize::from(touch)];
        let Of { alone, shared, ending } = &self.things[place];
        let mut against = *alone;
        if mode != Mode::Shared {
            against.join(shared);
        }
        if mode != Mode::Ending {
            against.join(ending);
        }
        against.add(OTHERS);
        against
    }

    /// What nobody can touch while somebody else holds these.
    pub(super) fn kept_by(&self, holds: &Holds) -> Footprint {
        let mut kept = Footprint::default();
        holds.locks().filter_map(|lock| self.inside.get(&lock)).for_each(|set| kept.join(set));
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(touches: &mut Touches, op: Op, object: usize, holds: Holds) -> Touch {
        let object = Object::thread(object);
        touches.number(&Move { thread: 1, op, object, holds, after: 0, tells: None })
    }

    fn commute(touches: &Touches, one: Touch, other: Touch) -> bool {
        let against = |one, other| {
            let mut set = Footprint::default();
            set.add(other);
            touches.against(one).meets(&set)
        };
        assert_eq!(against(one, other), against(other, one), "{one} and {other}");
        !against(one, other)
    }

    #[test]
    fn loads_commute_with_each_other_and_with_nothing_else_on_their_object() {
        let mut touches = Touches::default();
        let free = Holds::default();
        let load = touch(&mut touches, Op::Load, 1, free);
        let store = touch(&mut touches, Op::Store, 1, free);
        let elsewhere = touch(&mut touches, Op::Store, 2, free);
        assert!(commute(&touches, load, load));
        assert!(!commute(&touches, load, store) && !commute(&touches, store, store));
        assert!(commute(&touches, store, elsewhere) && commute(&touches, load, elsewhere));
    }

    #[test]
    fn an_end_does_not_commute_with_a_beginning_and_whatever_is_told_not_with_itself() {
        let mut touches = Touches::default();
        let free = Holds::default();
        let [begins, ends, other, something] =
            [Told::Beginning(1), Told::Ending(1), Told::Ending(2), Told::Something(1)]
                .map(|told| touches.telling(told, free));
        assert!(commute(&touches, begins, begins) && commute(&touches, ends, ends));
        assert!(!commute(&touches, begins, ends) && commute(&touches, begins, other));
        assert!(!commute(&touches, something, something) && commute(&touches, something, ends));
    }

    #[test]
    fn what_is_touched_inside_a_lock_is_kept_by_whoever_holds_it() {
        let mut touches = Touches::default();
        let (mut inside, mut elsewhere) = (Holds::default(), Holds::default());
        inside.take(Object::thread(7));
        elsewhere.take(Object::thread(8));
        let within = touch(&mut touches, Op::Store, 1, inside);
        let without = touch(&mut touches, Op::Store, 1, Holds::default());
        let kept = |touch, holds| {
            let mut set = Footprint::default();
            set.add(touch);
            touches.kept_by(holds).meets(&set)
        };
        assert!(kept(within, &inside) && !kept(within, &elsewhere) && !kept(without, &inside));
        inside.give_back(Object::thread(7));
        assert_eq!(inside, Holds::default());
    }

    #[test]
    fn what_has_no_number_of_its_own_commutes_with_nothing() {
        let mut touches = Touches::default();
        let mut of = Vec::new();
        for lock in 0..=WORDS * 64 / 200 {
            let mut holds = Holds::default();
            holds.take(Object::thread(lock + 1));
            of.extend((0..200).map(|of| touch(&mut touches, Op::Load, of, holds)));
        }
        assert_eq!(of.last(), Some(&OTHERS));
        for one in [OTHERS, of[0], of[1]] {
            assert!(!commute(&touches, one, OTHERS), "{one} commutes with what is not known");
        }
    }
}
