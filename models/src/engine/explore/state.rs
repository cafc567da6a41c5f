//! The state of the execution that is under way, and who goes on.
//!
//! Every operation of a thread is declared before it is performed; a thread is always either
//! running or at a declared operation, and at most one is running. So the program is, whenever a
//! decision is due, in a state that consists of
//!
//! - per thread: the history of what it has observed, of which its local state and the operation
//!   it has declared are functions; the token of its parker;
//! - per object: its value; of a lock: who holds it, and what is in it;
//! - what the scenario absorbed on behalf of its oracles.
//!
//! Who holds a lock and what is in it has no term of its own in the fingerprint, for it follows from the
//! histories, as README.md shows. Once a thread has forgotten a part of its history ([`Run::forgets`],
//! [`Run::end_call`]) what is in the locks has one.
//!
//! The fingerprint of a state is the exclusive or of one term for each of these, and is kept up to
//! date as they change. Only operations that can be performed are offered for a decision: a lock
//! that is held and a park without a token are not. So nobody is ever blocked in shuttle, nothing
//! is tried twice, and a deadlock is a state with unfinished threads and nothing on offer.
//!
//! Phases: *setup* builds the plan, alone and without decisions but those of `choose`; then the
//! threads are started one by one and each runs up to its first operation, which involves nobody
//! else; then decisions are taken until all threads have ended; the last one makes the final
//! check. A failure ends the execution where it is ([`Phase::Over`]): what is left of it does not
//! run any more, but for the destructors of a thread that unwinds.
//!
//! Unlocking is not offered for a decision: it happens together with the last operation inside
//! the section. Nothing is lost by that: an operation of another thread that could come in between
//! either has nothing to do with the lock, and then it can as well come after the unlock, or
//! wants the lock, and then it cannot be performed before it.

mod objects;

use super::audit::Audit;
use super::footprint::{Holds, Move, Told};
use super::guide::Guide;
use super::persistent::Waits;
use super::tree::Tree;
use super::walker::{Space, Walker};
use crate::engine::digest::Digest;
use crate::engine::record::{self, Done, Object, Op, SETUP};
use crate::engine::{Bound, FailureKind, Limits, Search, quiet};
use crate::oracle::{self, Which};
use std::cell::RefCell;
use std::sync::Arc;

/// Domains of the terms of a fingerprint.
mod domain {
    pub(super) const HISTORY: u64 = 1;
    pub(super) const THREAD: u64 = 2;
    pub(super) const TOKEN: u64 = 3;
    pub(super) const ATOMIC: u64 = 4;
    pub(super) const ORACLE: u64 = 5;
    pub(super) const CHOICE: u64 = 6;
    pub(super) const CONTENT: u64 = 7;
    pub(super) const LOCK: u64 = 8;
    pub(super) const FORGOTTEN: u64 = 9;
    pub(super) const SEALED: u64 = 10;
}

/// In the place of a declared operation, for a thread that has ended: no operation and no object. Without
/// it, to have ended after a store would look like being about to store.
const ENDED: u64 = u64::MAX;

/// When a declared operation can be performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// The lock with this number must be free.
    Lock(usize),
    /// The token of the thread's own parker must be there.
    Token,
    /// The thread at this place must be parked, with no token there.
    Asleep(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// Has not run yet.
    Fresh,
    Running,
    Declared(Needs),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No execution is under way.
    Idle,
    Setup,
    Running,
    /// All threads have ended, and the final check was made.
    Ended,
    /// It has failed or was given up.
    Over,
}

#[derive(Debug)]
struct Thread {
    status: Status,
    history: Digest,
    /// Its term of the fingerprint, as it was last declared.
    term: u128,
    token: bool,
    /// How many operations it has performed. Follows from its history.
    performed: u64,
    /// What an oracle will know when it has performed the operation that it declares next.
    watched: Option<Told>,
    holds: Holds,
}

impl Thread {
    fn new(status: Status, history: Digest) -> Thread {
        let (performed, watched) = (0, None);
        let holds = Holds::default();
        Thread { status, history, term: 0, token: false, performed, watched, holds }
    }
}

#[derive(Debug)]
enum Searcher {
    States(Box<Walker>),
    Schedules(Tree, Audit),
    /// No search: one execution, as a list of steps says.
    Steps(Guide),
}

/// What was there when a call began that may be sealed.
#[derive(Clone, Copy, Debug)]
pub(in crate::engine) struct Begun {
    /// Of which execution.
    epoch: u64,
    history: Digest,
    performed: u64,
    /// The history, as the audit knows it.
    audited: u32,
}

/// A lock of this execution.
#[derive(Debug)]
struct Lock {
    object: Object,
    holder: Option<usize>,
    /// What stands for its contents in the history of whoever takes it.
    content: Digest,
}

/// What an operation of a thread has to do to be performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Go ahead.
    Ahead,
    /// Let another thread run first.
    Switch,
    /// A thread that unwinds can neither go on nor be left where it is.
    Nowhere,
}

/// The execution that is under way, and what was learned from earlier ones.
#[derive(Debug)]
pub(super) struct Run {
    limits: Limits,
    searcher: Searcher,
    phase: Phase,
    /// Tells the objects of this execution from those of an earlier one.
    epoch: u64,
    /// By place in the plan; the first one builds it.
    threads: Vec<Thread>,
    locks: Vec<Lock>,
    oracles: Vec<(u64, u64)>,
    /// The terms of all objects, tokens and oracles.
    objects: u128,
    /// The terms of all threads.
    declared: u128,
    /// The terms of what is in the locks, once a thread has forgotten a part of its history.
    contents: u128,
    /// Whether a thread has forgotten its history, so that these do not follow from the rest.
    forgetful: bool,
    /// Who runs next, where that is decided already.
    next: Option<usize>,
    steps: usize,
    /// Who can go on, by place.
    offers: Vec<usize>,
    /// What each thread but the first is about to do, or what an ended one has done last, and what keeps it
    /// from that.
    stands: Vec<(Move, Waits)>,
    failure: Option<(FailureKind, String)>,
    pub(super) depth: usize,
    pub(super) executions: u64,
    pub(super) cut: u64,
    /// An execution had more steps than it may.
    pub(super) overran: bool,
    /// Whether there is to be another execution, where that was asked already.
    pub(super) goes_on: Option<bool>,
}

thread_local! {
    /// shuttle runs all threads of a model on one thread of the operating system.
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// Looks at the run of this thread of the operating system, if there is one.
pub(super) fn with<R>(look: impl FnOnce(&mut Run) -> R) -> Option<R> {
    RUN.with_borrow_mut(|run| run.as_mut().map(look))
}

/// Begins a run.
///
/// # Panics
///
/// If one is under way on this thread of the operating system.
pub(super) fn install(limits: &Limits) {
    RUN.with_borrow_mut(|run| {
        assert!(run.is_none(), "explore was started from within a model that explore runs");
        *run = Some(Run::new(limits));
    });
}

/// Ends the run.
pub(super) fn uninstall() -> Option<Run> {
    RUN.with_borrow_mut(Option::take)
}

fn term(domain: u64, name: u64, value: Digest) -> u128 {
    Digest::new(domain).with(name).with_digest(value).bits()
}

impl Run {
    fn new(limits: &Limits) -> Run {
        Run {
            limits: limits.clone(),
            searcher: match limits.search {
                Search::States => Searcher::States(Box::new(Walker::new(true))),
                Search::AllStates => Searcher::States(Box::new(Walker::new(false))),
                Search::Schedules => Searcher::Schedules(Tree::default(), Audit::default()),
            },
            phase: Phase::Idle,
            epoch: 0,
            threads: Vec::new(),
            locks: Vec::new(),
            oracles: Vec::new(),
            objects: 0,
            declared: 0,
            contents: 0,
            forgetful: false,
            next: None,
            steps: 0,
            offers: Vec::new(),
            stands: Vec::new(),
            failure: None,
            depth: 0,
            executions: 0,
            cut: 0,
            overran: false,
            goes_on: None,
        }
    }

    /// Has this run take part in going through a space that is divided.
    pub(super) fn share(&mut self, walker: Walker) {
        self.searcher = Searcher::States(Box::new(walker));
    }

    /// What is gone through, if states are known.
    pub(super) fn space(&self) -> Option<&Arc<Space>> {
        match &self.searcher {
            Searcher::States(walker) => Some(walker.space()),
            _ => None,
        }
    }

    /// Has the one execution of this run follow a list of steps.
    pub(super) fn follow(&mut self, guide: Guide) {
        self.searcher = Searcher::Steps(guide);
    }

    /// Whether it does that.
    pub(super) fn follows(&self) -> bool {
        matches!(self.searcher, Searcher::Steps(_))
    }

    /// What became of that.
    pub(super) fn followed(self) -> Option<Guide> {
        match self.searcher {
            Searcher::Steps(guide) => Some(guide),
            _ => None,
        }
    }

    /// Begins an execution: the plan is about to be built.
    pub(super) fn begin(&mut self) {
        self.phase = Phase::Setup;
        self.epoch += 1;
        self.threads.clear();
        self.stands.clear();
        self.threads.push(Thread::new(Status::Running, Digest::new(domain::HISTORY)));
        self.locks.clear();
        self.oracles.clear();
        self.objects = 0;
        self.declared = 0;
        self.contents = 0;
        self.forgetful = false;
        self.next = None;
        self.steps = 0;
        self.audit(Audit::begin);
    }

    /// Lets the audit see something, if this is a search that is audited.
    fn audit(&mut self, look: impl FnOnce(&mut Audit)) {
        if let Searcher::Schedules(_, audit) = &mut self.searcher {
            look(audit);
        }
    }

    /// Adds the next thread of the plan. Being spawned at this point of what the setup has
    /// observed is its first observation.
    pub(super) fn spawn(&mut self) {
        let place = self.threads.len();
        let history = self.threads[SETUP].history.with(place as u64);
        self.threads.push(Thread::new(Status::Fresh, history));
        let (op, object, holds) = (Op::Load, Object::NONE, Holds::default());
        let about = Move { thread: place, op, object, holds, after: 0, tells: None };
        self.stands.push((about, Waits::Otherwise));
        self.audit(|audit| audit.spawn(SETUP));
    }

    /// The plan is built; its first thread goes on where the setup ended.
    pub(super) fn start(&mut self) {
        self.threads[SETUP].status = Status::Ended;
        if let Some(first) = self.threads.get_mut(SETUP + 1) {
            first.status = Status::Running;
        }
        self.phase = Phase::Running;
    }

    /// The final check was made.
    pub(super) fn all_ended(&mut self) {
        self.phase = Phase::Ended;
    }

    /// Whether it was.
    pub(super) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Whether the execution cannot come to its end.
    pub(super) fn is_left(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Whether no execution is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// Whether operations of this thread are to be interleaved; if not they are just performed.
    pub(super) fn interleaves(&self, me: usize) -> bool {
        matches!(self.phase, Phase::Running | Phase::Over) && !quiet::unwinding(me)
    }

    /// A thread that unwinds has come upon a lock that is held: from here on nothing is explored,
    /// and others go on only until it can have the lock.
    pub(super) fn await_lock(&mut self, me: usize, lock: usize, object: Object) -> Way {
        self.phase = Phase::Over;
        match self.declare(me, Op::Lock, object, Needs::Lock(lock)) {
            Way::Switch if self.next.is_none() => Way::Nowhere,
            way => way,
        }
    }

    /// A thread is about to perform an operation.
    pub(super) fn declare(&mut self, me: usize, op: Op, object: Object, needs: Needs) -> Way {
        let mark = (op as u64) << 32 | object.word();
        if self.is_alone(me, needs) {
            self.audit(|audit| audit.declared(me, op, object));
            self.count_step();
            return if self.still_running() { Way::Ahead } else { Way::Switch };
        }
        let thread = &mut self.threads[me];
        thread.status = Status::Declared(needs);
        let declared = term(domain::THREAD, me as u64, thread.history.with(mark));
        self.declared ^= thread.term ^ declared;
        thread.term = declared;
        let tells = core::mem::take(&mut thread.watched);
        let Thread { holds, performed: after, .. } = *thread;
        if let Some((about, _)) = self.stand(me) {
            *about = Move { thread: me, op, object, holds, after, tells };
        }
        self.audit(|audit| audit.declared(me, op, object));
        self.go_on(me)
    }

    /// Whether this is an operation of the final check that can be performed: nobody else is left, and there is
    /// nothing to decide.
    fn is_alone(&self, me: usize, needs: Needs) -> bool {
        let checks = me == SETUP && self.still_running() && !self.follows();
        checks && self.waits(Status::Declared(needs), me) == Waits::Nothing
    }

    /// A thread has ended. Whether it was the last one.
    pub(super) fn ended(&mut self, me: usize) -> bool {
        let thread = &mut self.threads[me];
        thread.status = Status::Ended;
        let declared = term(domain::THREAD, me as u64, thread.history.with(ENDED));
        self.declared ^= thread.term ^ declared;
        thread.term = declared;
        let Thread { holds, performed: after, .. } = *thread;
        if let Some((about, _)) = self.stand(me) {
            (about.holds, about.after) = (holds, after);
        }
        self.audit(|audit| audit.ended(me));
        let all = self.threads.iter().all(|thread| thread.status == Status::Ended);
        if !all {
            let _ = self.go_on(me);
        } else if let Searcher::States(walker) = &mut self.searcher {
            walker.ends();
        }
        all
    }

    /// Decides who goes on. `me`: who runs now.
    fn go_on(&mut self, me: usize) -> Way {
        self.next = if self.phase == Phase::Over { self.collapse() } else { self.decide() };
        match self.next {
            Some(next) if next == me => {
                self.next = None;
                self.threads[me].status = Status::Running;
                Way::Ahead
            }
            _ => Way::Switch,
        }
    }

    fn decide(&mut self) -> Option<usize> {
        let fresh = self.threads.iter().position(|thread| thread.status == Status::Fresh);
        if fresh.is_some() {
            return fresh;
        }
        self.list_offers();
        if self.offers.is_empty() {
            if !oracle::judges(Which::Deadlock) {
                // What other oracles find elsewhere is asked for: left where it is, no failure.
                self.phase = Phase::Over;
                return None;
            }
            let waiting = self.threads.iter().filter(|t| t.status != Status::Ended).count();
            let threads = if waiting == 1 { "thread waits" } else { "threads wait" };
            let message = format!("{waiting} {threads} and nothing can wake them");
            self.fail(FailureKind::Deadlock, message);
            return None;
        }
        self.count_step();
        let ways = self.offers.len();
        let fingerprint = self.all_but_threads() ^ self.declared;
        let way = match &mut self.searcher {
            Searcher::States(_) if self.offers[0] == SETUP => Some(0), // the final check
            Searcher::States(walker) => walker.decide(fingerprint, &self.stands),
            Searcher::Schedules(..) if ways == 1 => Some(0),
            Searcher::Schedules(tree, audit) => {
                audit.decides(fingerprint, ways, None);
                Some(tree.decide(ways)).inspect(|way| audit.takes(*way))
            }
            Searcher::Steps(guide) => Some(guide.decide(&self.offers)),
        };
        let next = self.offers[self.or_fairly(way, ways)];
        self.still_running().then_some(next)
    }

    fn list_offers(&mut self) {
        self.offers.clear();
        for place in 0..self.threads.len() {
            let waits = self.waits(self.threads[place].status, place);
            if waits == Waits::Nothing {
                self.offers.push(place);
            }
            if let Some((_, waiting)) = self.stand(place) {
                *waiting = waits;
            }
        }
    }

    /// What keeps the thread at this place from going on, in this status.
    fn waits(&self, status: Status, place: usize) -> Waits {
        let parked =
            |other: &Thread| other.status == Status::Declared(Needs::Token) && !other.token;
        match status {
            Status::Declared(Needs::Nothing) => Waits::Nothing,
            Status::Declared(Needs::Lock(lock)) => match self.locks[lock].holder {
                Some(holder) => Waits::ForThread((holder - SETUP - 1) as u8),
                None => Waits::Nothing,
            },
            Status::Declared(Needs::Token) if !self.threads[place].token => Waits::Parked,
            Status::Declared(Needs::Token) => Waits::Nothing,
            Status::Declared(Needs::Asleep(other)) => match self.threads.get(other) {
                Some(other) if parked(other) => Waits::Nothing,
                _ => Waits::Otherwise,
            },
            Status::Fresh | Status::Running => Waits::Otherwise,
            Status::Ended => Waits::Over,
        }
    }

    /// Where a thread of the plan is.
    fn stand(&mut self, place: usize) -> Option<&mut (Move, Waits)> {
        self.stands.get_mut(place.checked_sub(SETUP + 1)?)
    }

    /// Where nothing can be learned any more: to the end by a fair way, so that loops are left.
    fn or_fairly(&self, way: Option<usize>, ways: usize) -> usize {
        way.unwrap_or(self.steps % ways)
    }

    fn still_running(&self) -> bool {
        self.phase == Phase::Running
    }

    fn count_step(&mut self) {
        self.steps += 1;
        if self.steps > self.limits.steps {
            self.overran = true;
            self.phase = Phase::Over;
        }
    }

    /// Nothing is explored any more. But while a thread unwinds it may need a lock that another
    /// one holds: until it can have it, anybody who can goes on.
    fn collapse(&mut self) -> Option<usize> {
        let unwinds = |(place, thread): (usize, &Thread)| {
            quiet::unwinding(place) && matches!(thread.status, Status::Declared(_))
        };
        if !self.threads.iter().enumerate().any(unwinds) || self.steps > 2 * self.limits.steps {
            return None;
        }
        self.steps += 1;
        self.list_offers();
        let mut offers = self.offers.iter().copied();
        let unwinding = offers.clone().find(|place| quiet::unwinding(*place));
        unwinding.or_else(|| offers.nth(self.steps % self.offers.len().max(1)))
    }

    /// Which thread shuttle shall resume; `None` gives the execution up. `current`: which one it
    /// ran last, if that has not finished.
    pub(super) fn resume(&mut self, current: Option<usize>) -> Option<usize> {
        if matches!(self.phase, Phase::Idle | Phase::Setup) {
            return Some(current.unwrap_or(SETUP + 1));
        }
        if self.phase == Phase::Ended {
            return Some(SETUP + 1); // who runs the executions
        }
        // To make a task is a scheduling point of shuttle, not ours.
        if let Some(current) = current
            && self.phase == Phase::Running
            && self.threads[current].status == Status::Running
        {
            return Some(current);
        }
        let next = self.next.take()?;
        self.threads[next].status = Status::Running;
        Some(next)
    }

    /// A thread has observed something: its history grows.
    pub(super) fn observed(&mut self, me: usize, done: &Done) {
        if let Some(thread) = self.threads.get_mut(me) {
            thread.history = done.absorbed_by(thread.history);
            // A note and a choice are no operations that others could see.
            thread.performed += u64::from(!matches!(done.op, Op::Note | Op::Choose));
        }
        self.audit(|audit| audit.observed(me, done));
    }

    /// How many operations a thread has performed.
    pub(super) fn performed(&self, place: usize) -> Option<u64> {
        self.threads.get(place).map(|thread| thread.performed)
    }

    /// The next operation of a thread tells an oracle this by being performed. How many it has performed.
    pub(super) fn announced(&mut self, me: usize, told: Told) -> Option<u64> {
        let thread = self.threads.get_mut(me)?;
        thread.watched = Some(told);
        Some(thread.performed)
    }

    /// A choice among `ways`, made by a running thread: a level of its own in the search. The
    /// state is that of the others at their declared operations, and the history of the chooser.
    pub(super) fn choose(&mut self, me: usize, ways: usize) -> usize {
        if ways <= 1 || !matches!(self.phase, Phase::Setup | Phase::Running) {
            return 0;
        }
        if let Searcher::Steps(guide) = &mut self.searcher {
            return guide.choose(me, ways);
        }
        let thread = &self.threads[me];
        let chooser = term(domain::CHOICE, me as u64, thread.history);
        let fingerprint = self.all_but_threads() ^ self.declared ^ thread.term ^ chooser;
        let way = match &mut self.searcher {
            Searcher::States(walker) => walker.choose(fingerprint, ways),
            Searcher::Schedules(tree, audit) => {
                audit.decides(fingerprint, ways, Some(me));
                Some(tree.decide(ways)).inspect(|way| audit.takes(*way))
            }
            Searcher::Steps(_) => unreachable!("whoever follows a list is asked above"),
        };
        self.or_fairly(way, ways)
    }

    fn all_but_threads(&self) -> u128 {
        self.objects ^ if self.forgetful { self.contents } else { 0 }
    }

    /// What this thread does from here on depends on nothing that it has observed so far but on `kept`:
    /// its history begins anew. The operations that it has performed are counted on, for it is within no
    /// call that an oracle asks about.
    ///
    /// # Panics
    ///
    /// When it holds a lock: that it does would be forgotten.
    pub(super) fn forgets(&mut self, me: usize, kept: u64) {
        let Some(thread) = self.threads.get_mut(me) else { return };
        assert!(thread.holds == Holds::default(), "a thread forgot what it did, holding a lock");
        thread.history = Digest::new(domain::FORGOTTEN).with(me as u64).with(kept);
        self.knows_contents();
        self.audit(|audit| audit.forgets(me, kept));
    }

    /// From here on what is in the locks has terms, for it does not follow from the histories.
    fn knows_contents(&mut self) {
        if !self.forgetful {
            self.contents = self.all_contents();
        }
        self.forgetful = true;
    }

    /// A thread begins a call that may be sealed; nothing if this is not a phase in which states are known.
    pub(super) fn begin_call(&mut self, me: usize) -> Option<Begun> {
        if !self.still_running() {
            return None;
        }
        let Thread { history, performed, .. } = *self.threads.get(me)?;
        let mut audited = 0;
        self.audit(|audit| audited = audit.history(me));
        Some(Begun { epoch: self.epoch, history, performed, audited })
    }

    /// It returns, sealed: of what the thread has observed within nothing counts but `kept`, and whether it has
    /// performed an operation. That one is asked for by oracles ([`Run::performed`]).
    pub(super) fn end_call(&mut self, me: usize, begun: Begun, kept: u64) {
        if begun.epoch != self.epoch || !self.still_running() {
            return;
        }
        let thread = &mut self.threads[me];
        let any = thread.performed > begun.performed;
        thread.history = begun.history.with(domain::SEALED).with(u64::from(any)).with(kept);
        self.knows_contents();
        self.audit(|audit| audit.sealed(me, begun.audited, any, kept));
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The execution has failed.
    pub(super) fn fail(&mut self, kind: FailureKind, message: String) {
        self.phase = Phase::Over;
        self.failure.get_or_insert((kind, message));
    }

    /// The failure, if there was one.
    pub(super) fn failed(&self) -> Option<&(FailureKind, String)> {
        self.failure.as_ref()
    }

    /// The execution is over, if one is under way: whether one was.
    pub(super) fn end(&mut self) -> bool {
        if self.phase == Phase::Idle {
            return false;
        }
        self.phase = Phase::Idle;
        self.executions += 1;
        self.depth = self.depth.max(self.steps);
        match &mut self.searcher {
            Searcher::States(walker) => self.cut += u64::from(walker.end()),
            Searcher::Schedules(tree, audit) => {
                audit.end();
                tree.end();
            }
            Searcher::Steps(_) => {}
        }
        true
    }

    /// Whether there is nothing left to explore.
    pub(super) fn exhausted(&mut self) -> bool {
        match &mut self.searcher {
            Searcher::States(walker) => walker.exhausted(),
            Searcher::Schedules(tree, _) => tree.exhausted(),
            Searcher::Steps(_) => self.executions > 0,
        }
    }

    /// How many states are known.
    pub(super) fn states(&self) -> usize {
        match &self.searcher {
            Searcher::States(walker) => walker.space().states(),
            Searcher::Schedules(_, audit) => audit.states(),
            Searcher::Steps(_) => 0,
        }
    }

    /// The limit that forbids another execution, after so many.
    pub(super) fn bound(&self, executions: u64, elapsed: std::time::Duration) -> Option<Bound> {
        if self.limits.executions.is_some_and(|most| executions >= most) {
            Some(Bound::Executions)
        } else if self.limits.time.is_some_and(|most| elapsed >= most) {
            Some(Bound::Time)
        } else if self.limits.states.is_some_and(|most| self.states() >= most) {
            Some(Bound::States)
        } else {
            None
        }
    }
}

/// Notes that the running thread has done something, in the record and in its history.
pub(super) fn observe(done: Done) {
    record::done(done);
    with(|run| run.observed(record::current(), &done));
}
