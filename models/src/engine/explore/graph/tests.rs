//! The graph by itself, walked through by hand.

use super::super::footprint::Holds;
use super::super::walker::Walker;
use super::*;
use crate::engine::record::{Object, Op};

/// Threads, and the object that each is about to write to, or what it waits for.
type At = (usize, Waits);
const OVER: At = (99, Waits::Over);

fn at(object: usize) -> At {
    (object, Waits::Nothing)
}

fn moves(of: &[At]) -> Vec<(Move, Waits)> {
    let one = |(place, &(object, waits)): (usize, &At)| {
        let (op, object, holds) = (Op::Store, Object::thread(object), Holds::default());
        (Move { thread: place + 1, op, object, holds, after: 0, tells: None }, waits)
    };
    of.iter().enumerate().map(one).collect()
}

/// Which ways a walk takes through these states. The first one is made twice.
fn walk(graph: &mut Walker, stops: &[(u128, &[At])]) -> Vec<Option<usize>> {
    let once = |graph: &mut Walker| {
        let took: Vec<_> = stops.iter().map(|(name, of)| graph.decide(*name, &moves(of))).collect();
        graph.end();
        took
    };
    let took = once(graph);
    if graph.searches() == 1 {
        assert!(!graph.exhausted(), "not before it was made twice");
        assert_eq!(once(graph), took, "the second walk is the first one again");
    }
    took
}

/// Two threads with a step each; whether a second order is needed.
fn two(first: usize, second: usize) -> bool {
    let mut graph = Walker::new(true);
    let took = walk(&mut graph, &[(1, &[at(first), at(second)]), (2, &[OVER, at(second)])]);
    assert_eq!(took, [Some(0), Some(0)]);
    let more = !graph.exhausted();
    if more {
        let took = walk(&mut graph, &[(1, &[at(first), at(second)]), (3, &[at(first), OVER])]);
        assert_eq!(took, [Some(1), Some(0)], "the other order is open");
        assert!(graph.exhausted());
    }
    more
}

#[test]
fn steps_that_commute_are_taken_in_one_order_and_others_in_both() {
    assert!(!two(5, 6), "two objects");
    assert!(two(5, 5), "one object");
}

/// What the other thread is about to do is harmless; what it does after that is not.
#[test]
fn what_comes_later_opens_an_edge_above() {
    let start: &[At] = &[at(5), at(6)];
    let mut graph = Walker::new(true);
    let states: &[(u128, &[At])] = &[(1, start), (2, &[OVER, at(6)]), (3, &[OVER, at(5)])];
    assert_eq!(walk(&mut graph, states), [Some(0); 3]);
    assert!(!graph.exhausted(), "the second thread could have been at 5 before the first");
    // In state 4 the first thread leads to state 3: the other order of two steps that commute.
    let states: &[(u128, &[At])] = &[(1, start), (4, &[at(5), at(5)]), (5, &[at(5), OVER])];
    assert_eq!(walk(&mut graph, states), [Some(1), Some(1), Some(0)]);
    assert!(graph.exhausted());
}

#[test]
fn who_is_parked_is_followed_once_somebody_could_wake_him() {
    // The second thread is parked, and would write to 5 then. The third is about to unpark it,
    // or to do something else.
    let with = |third: usize| {
        let start: &[At] = &[at(5), (2, Waits::Parked), at(third)];
        let mut graph = Walker::new(true);
        let awake = if third == 2 { Waits::Nothing } else { Waits::Parked };
        let states: &[(u128, &[At])] = &[
            (1, start),
            (2, &[OVER, (2, Waits::Parked), at(third)]),
            (3, &[OVER, (2, awake), OVER]),
            (4, &[OVER, at(5), OVER]),
        ];
        let most = if third == 2 { 4 } else { 2 };
        assert_eq!(walk(&mut graph, &states[..most]), vec![Some(0); most]);
        graph.exhausted()
    };
    assert!(with(6), "nobody wakes the second thread");
    assert!(!with(2), "it is woken, and meets with the first one's step");
}

#[test]
fn who_waits_for_a_lock_rests_as_long_as_its_holder() {
    let start: &[At] = &[at(5), (7, Waits::ForThread(0))];
    let mut graph = Walker::new(true);
    let states: &[(u128, &[At])] = &[(1, start), (2, &[OVER, at(7)]), (3, &[OVER, at(5)])];
    assert_eq!(walk(&mut graph, states), [Some(0); 3]);
    assert!(graph.exhausted(), "the second thread cannot be at 5 before the first");
}

#[test]
fn who_waits_for_a_lock_is_followed_once_it_could_be_given_back() {
    let start: &[At] = &[at(5), (7, Waits::ForThread(2)), at(6)];
    let mut graph = Walker::new(true);
    let states: &[(u128, &[At])] = &[
        (1, start),
        (2, &[OVER, (7, Waits::ForThread(2)), at(6)]),
        (3, &[OVER, at(7), OVER]),
        (4, &[OVER, at(5), OVER]),
    ];
    assert_eq!(walk(&mut graph, states), [Some(0); 4]);
    assert!(!graph.exhausted(), "the second thread can be at 5 before the first");
}

#[test]
fn what_comes_after_any_alternative_of_a_choice_opens_an_edge_above() {
    let start: &[At] = &[at(5), at(6)];
    let mut graph = Walker::new(true);
    let mut through = |alternative: usize, then: &[At]| {
        assert_eq!(graph.decide(1, &moves(start)), Some(0));
        assert_eq!(graph.decide(2, &moves(&[OVER, at(6)])), Some(0));
        assert_eq!(graph.choose(3, 2), Some(alternative));
        assert_eq!(graph.decide(4 + alternative as u128, &moves(then)), Some(0));
        graph.end();
    };
    through(0, &[OVER, at(7)]);
    through(0, &[OVER, at(7)]); // the first walk is made twice
    through(1, &[OVER, at(5)]);
    assert!(!graph.exhausted(), "the second thread can be at 5 before the first");
}

#[test]
fn an_unreduced_graph_takes_every_edge() {
    let mut graph = Walker::new(false);
    let start: &[At] = &[at(5), at(6)];
    walk(&mut graph, &[(1, start), (2, &[OVER, at(6)])]);
    assert!(!graph.exhausted());
    assert_eq!(walk(&mut graph, &[(1, start), (3, &[at(5), OVER])]), [Some(1), Some(0)]);
    assert!(graph.exhausted());
}
