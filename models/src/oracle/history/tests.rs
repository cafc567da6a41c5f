//! The checker against histories written by hand, and against one that tries all orders.

use super::History;
use super::configurations::Set;
use super::parts::{Entry, Id, Pending};
use crate::engine::Threads;
use crate::scenario::bench::Bench;
use netpoller::observe::{Call, Place, Returned};
use netpoller_spec::slot::Ticket;
use netpoller_spec::token::Generation;
use netpoller_spec::{Mode, Reason};
use quickcheck::QuickCheck;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PLACE: Place = Place { index: 0, generation: Generation::FIRST };
const WAIT: Call = Call::Wait { place: PLACE, mode: Mode::Read, ticket: None };
const EDGE: Call = Call::Notify { place: PLACE, concerned: [true, false] };
const CLOSE: Call = Call::Close { place: PLACE };
const NOBODY: Returned = Returned::Woken([false, false]);
const CLOSED: Returned = Returned::Failed(Reason::Closed);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Begins(Id, Call),
    Returns(Id, Returned),
}
use Event::{Begins, Returns};

/// Whether the checker finds an order that explains the history.
fn accepts(history: &[Event]) -> bool {
    let mut set: Arc<Set> = Set::start(Entry::new(Generation::FIRST));
    for event in history {
        set = match *event {
            Begins(id, call) => set.begins(id, call),
            Returns(id, returned) => set.returns(id, returned),
        };
        if set.is_empty() {
            return false;
        }
    }
    true
}

#[test]
fn readiness_after_a_close_that_had_returned_is_rejected_and_during_it_accepted() {
    let edge = [Begins(0, EDGE), Returns(0, NOBODY)];
    let after =
        [Begins(1, CLOSE), Returns(1, NOBODY), Begins(2, WAIT), Returns(2, Returned::Ready)];
    let during =
        [Begins(2, WAIT), Begins(1, CLOSE), Returns(1, NOBODY), Returns(2, Returned::Ready)];
    assert!(!accepts(&[edge, [after[0], after[1]], [after[2], after[3]]].concat()), "NP-WAIT-2");
    assert!(accepts(&[&edge[..], &during[..]].concat()));
}

#[test]
fn readiness_that_nobody_brought_is_rejected() {
    assert!(!accepts(&[Begins(0, WAIT), Returns(0, Returned::Ready)]));
    // One edge is not enough for two.
    let edge = [Begins(0, EDGE), Returns(0, NOBODY)];
    let wait = [Begins(1, WAIT), Returns(1, Returned::Ready)];
    assert!(accepts(&[edge, wait].concat()), "NP-SLOT-5");
    assert!(!accepts(&[edge, wait, wait].concat()), "NP-SLOT-5");
}

#[test]
fn closed_before_anybody_closed_is_rejected() {
    assert!(!accepts(&[Begins(0, WAIT), Returns(0, CLOSED), Begins(1, CLOSE)]));
    assert!(accepts(&[Begins(0, WAIT), Begins(1, CLOSE), Returns(0, CLOSED)]));
}

#[test]
fn a_wait_that_parks_beside_a_close_that_woke_nobody_is_rejected() {
    // NP-WAIT-3: the second look was left out.
    let parked = Returned::Parked(Ticket::new(1));
    let history = |woken| {
        [Begins(0, WAIT), Begins(1, CLOSE), Returns(1, Returned::Woken(woken)), Returns(0, parked)]
    };
    assert!(!accepts(&history([false, false])));
    assert!(accepts(&history([true, false])));
}

/// The same, told as the poller tells it.
#[test]
fn what_no_order_explains_is_told_when_all_are_at_rest() {
    let bench = Bench::<Threads>::new();
    let source = bench.open();
    let (entries, _flag) = bench.poller.peek();
    let told = |woken| {
        let history = History::default();
        history.called::<Threads>(&WAIT);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                history.called::<Threads>(&CLOSE);
                history.returned::<Threads>(0, &Returned::Woken(woken));
            });
        });
        // What follows may be a deadlock, of which there is more to tell.
        history.returned::<Threads>(0, &Returned::Parked(Ticket::new(1)));
        let rest = AssertUnwindSafe(|| history.at_rest::<Threads>(0, &entries[0].1));
        let payload =
            catch_unwind(rest).expect_err("an entry that nobody closed is as after a close");
        *payload.downcast::<String>().expect("a message")
    };
    let leaves = told([true, false]);
    assert!(leaves.starts_with("history: no order of the calls leaves"), "{leaves}");
    let fault = told([false, false]);
    assert!(fault.starts_with("history: no order of the calls explains"), "{fault}");
    assert!(fault.contains("may return: Failed(Closed)"), "NP-WAIT-3: {fault}");
    drop(source);
}

#[test]
fn an_edge_that_comes_after_a_close_may_be_consumed_by_a_wait_that_looked_before() {
    // Why a wait is not one point.
    assert!(accepts(&[
        Begins(0, WAIT),
        Begins(1, CLOSE),
        Returns(1, NOBODY),
        Begins(2, EDGE),
        Returns(2, NOBODY),
        Returns(0, Returned::Ready),
    ]));
}

#[test]
fn a_deadline_in_the_past_that_was_set_has_expired_when_the_call_returns() {
    // NP-TIME-2
    let set = Call::SetDeadline { place: PLACE, concerned: [true, false], deadline: 5, now: 9 };
    let late = Returned::Failed(Reason::DeadlineExceeded);
    let setting = [Begins(0, set), Returns(0, NOBODY)];
    let wait = |returned| [Begins(1, WAIT), Returns(1, returned)];
    assert!(accepts(&[setting, wait(late)].concat()));
    assert!(!accepts(&[setting, wait(Returned::Parked(Ticket::new(1)))].concat()));
}

#[test]
fn a_set_does_not_depend_on_the_order_of_what_commutes() {
    let run = |events: &[Event]| {
        let start = Set::start(Entry::new(Generation::FIRST));
        let all = events.iter().fold(start, |set, event| match *event {
            Begins(id, call) => set.begins(id, call),
            Returns(id, returned) => set.returns(id, returned),
        });
        all.digest()
    };
    let other = Call::Notify { place: PLACE, concerned: [false, true] };
    let [one, two] =
        [[Begins(0, EDGE), Returns(0, NOBODY)], [Begins(1, other), Returns(1, NOBODY)]];
    assert_eq!(run(&[one, two].concat()), run(&[two, one].concat()));
    assert_ne!(run(&one), run(&two));
}

/// Tries all orders of all parts in which no part of a call comes before the end of a call that had
/// returned before it began.
fn some_order_explains(history: &[Event]) -> bool {
    struct Known {
        call: Call,
        begins: usize,
        returns: Option<(usize, Returned)>,
    }
    type State = (Entry, Option<Id>, Vec<(Pending, bool)>);
    fn search(calls: &[Known], state: State, tried: &mut HashSet<State>) -> bool {
        if !tried.insert(state.clone()) {
            return false;
        }
        let (entry, control, pending) = &state;
        let returned = |place: usize| calls[place].returns.is_none() || pending[place].1;
        if (0..calls.len()).all(returned) {
            return true;
        }
        (0..calls.len()).filter(|place| !pending[*place].1).any(|place| {
            let waits_for = |other: &usize| {
                let over = calls[*other].returns.is_some_and(|(at, _)| at < calls[place].begins);
                over && !pending[*other].1
            };
            if (0..calls.len()).any(|other| waits_for(&other)) {
                return false;
            }
            let mut leaves = state.clone();
            leaves.2[place].1 = true;
            let may = calls[place].returns.is_some_and(|(_, r)| pending[place].0.may_return(r));
            if may && search(calls, leaves, tried) {
                return true;
            }
            let (mut entry, mut control) = (entry.clone(), *control);
            let advanced = pending[place].0.advance(place as Id, &mut entry, &mut control);
            advanced.is_some_and(|advanced| {
                let mut pending = pending.clone();
                pending[place].0 = advanced;
                search(calls, (entry, control, pending), tried)
            })
        })
    }
    let mut calls: Vec<(Id, Known)> = Vec::new();
    for (at, event) in history.iter().enumerate() {
        match *event {
            Begins(id, call) => calls.push((id, Known { call, begins: at, returns: None })),
            Returns(id, returned) => {
                let (_, known) =
                    calls.iter_mut().rev().find(|(known, _)| *known == id).expect("it");
                known.returns = Some((at, returned));
            }
        }
    }
    let calls: Vec<_> = calls.into_iter().map(|(_, known)| known).collect();
    let begun = calls.iter().map(|known| (Pending::new(known.call), false)).collect();
    search(&calls, (Entry::new(Generation::FIRST), None, begun), &mut HashSet::new())
}

/// A random history: calls of up to three threads, whose parts are taken at random, so that it is
/// explained; then `spoil` changes one thing, which may make it one that is not.
fn history(script: &[(u8, u8)], spoil: (u8, u8)) -> Vec<Event> {
    const MOST: usize = 7;
    let mut place = PLACE;
    let (mut entry, mut control) = (Entry::new(place.generation), None);
    let mut pending: [Option<Pending>; 3] = [None; 3];
    let (mut history, mut tickets) = (Vec::new(), [None; 3]);
    let mut begun = 0;
    for (what, which) in script {
        let thread = usize::from(which % 3);
        let mode = Mode::BOTH[usize::from(which / 3 % 2)];
        let id = thread as Id;
        match pending[thread] {
            None if begun < MOST => {
                let concerned =
                    [[true, false], [false, true], [true, true]][usize::from(which % 3)];
                let deadline = u64::from(which / 8 % 4);
                let call = match what % 10 {
                    0..=2 => Call::Wait { place, mode, ticket: tickets[thread] },
                    3 => Call::Notify { place, concerned },
                    4 => Call::Publish { place, error: which % 2 == 0 },
                    5 => Call::Close { place },
                    6 => Call::SetDeadline { place, concerned, deadline, now: 2 },
                    7 => Call::Fire { index: 0, now: 3 },
                    8 => match tickets[thread] {
                        Some(ticket) => Call::Retract { place, mode, ticket },
                        None => Call::Prepare { place, mode },
                    },
                    _ => Call::Free { place },
                };
                begun += 1;
                history.push(Begins(id, call));
                pending[thread] = Some(Pending::new(call));
            }
            None => {}
            Some(at_work) => match at_work.over() {
                None => {
                    if let Some(on) = at_work.advance(id, &mut entry, &mut control) {
                        pending[thread] = Some(on);
                    }
                }
                Some(returned) => {
                    tickets[thread] = match returned {
                        Returned::Parked(ticket) => Some(ticket),
                        _ => None,
                    };
                    if place.generation != entry.generation() && what % 2 == 0 {
                        place.generation = entry.generation();
                    }
                    history.push(Returns(id, returned));
                    pending[thread] = None;
                }
            },
        }
    }
    if !history.is_empty() {
        let at = usize::from(spoil.1) % history.len();
        match (spoil.0 % 4, history[at]) {
            (0, _) => {}
            (1, Returns(id, _)) => {
                let others = [Returned::Ready, CLOSED, NOBODY, Returned::Woken([true, false])];
                history[at] = Returns(id, others[usize::from(spoil.0 / 4) % others.len()]);
            }
            // A return comes earlier, or a beginning later, than it did.
            (_, Returns(id, _))
                if at > 0 && !matches!(history[at - 1], Begins(own, _) if own == id) =>
            {
                history.swap(at - 1, at);
            }
            (_, Begins(id, _))
                if at + 1 < history.len()
                    && !matches!(history[at + 1], Returns(own, _) if own == id) =>
            {
                history.swap(at, at + 1);
            }
            _ => {}
        }
    }
    history
}

#[test]
fn the_checker_accepts_what_some_order_explains_and_nothing_else() {
    static ACCEPTED: AtomicUsize = AtomicUsize::new(0);
    static REJECTED: AtomicUsize = AtomicUsize::new(0);
    fn agrees(script: Vec<(u8, u8)>, spoil: (u8, u8)) -> bool {
        let history = history(&script, spoil);
        let explained = some_order_explains(&history);
        if history.len() > 4 {
            let count = if explained { &ACCEPTED } else { &REJECTED };
            count.fetch_add(1, Ordering::Relaxed);
        }
        accepts(&history) == explained
    }
    let mut quickcheck = QuickCheck::new().tests(3_000);
    quickcheck.quickcheck(agrees as fn(Vec<(u8, u8)>, (u8, u8)) -> bool);
    let seen = [&ACCEPTED, &REJECTED].map(|count| count.load(Ordering::Relaxed));
    println!("longer histories: {} accepted, {} rejected", seen[0], seen[1]);
    assert!(seen.iter().all(|seen| *seen > 100), "one verdict was hardly tried: {seen:?}");
}
