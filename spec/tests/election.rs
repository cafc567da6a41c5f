//! All that two to four workers can do one after the other, from the word on: what the word says
//! of them is what they are, the kernel is watched, and nobody is called twice or forgotten.

use netpoller_spec::election::{
    Call, Everybody, Found, Move, Polling, Rest, Word, back, found, rest, search, shut_down,
    unparked, work,
};
use std::collections::BTreeSet;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Doing {
    Working,
    Searching,
    Polling,
    /// It sleeps on its parker; whether it was unparked.
    Parked(bool),
    /// It was told to shut down when it wanted to sleep.
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    word: u64,
    workers: Vec<Doing>,
    /// Whether a break is under way to whoever polls.
    broken: bool,
}

fn take<O>(state: &mut State, decided: Move<O>) -> O {
    match decided {
        Move::Stay(outcome) => outcome,
        Move::Set(after, outcome) => {
            state.word = after.bits();
            outcome
        }
    }
}

impl State {
    fn word(&self) -> Word {
        Word::from_bits(self.word)
    }

    fn count(&self, doing: impl Fn(Doing) -> bool) -> u32 {
        u32::try_from(self.workers.iter().filter(|worker| doing(**worker)).count()).expect("few")
    }

    fn carry_out(&mut self, call: Call) {
        match call {
            Call::Nobody => {}
            Call::Unpark(worker) => self.unpark(worker),
            Call::Break => {
                assert!(!self.broken, "a break was sent to a worker that had been called");
                assert_eq!(self.count(|doing| doing == Doing::Polling), 1, "nobody to break");
                self.broken = true;
            }
        }
    }

    fn unpark(&mut self, worker: u32) {
        let doing = &mut self.workers[worker as usize];
        assert_eq!(*doing, Doing::Parked(false), "worker {worker} was called");
        *doing = Doing::Parked(true);
    }

    /// What may happen next, each as the state that it leads to.
    fn next(&self) -> Vec<State> {
        let mut all = Vec::new();
        let mut add = |change: &dyn Fn(&mut State)| {
            let mut state = self.clone();
            change(&mut state);
            all.push(state);
        };
        add(&|state| {
            let call = take(state, work(state.word()));
            state.carry_out(call);
        });
        add(&|state| {
            let Everybody { parked, polls } = take(state, shut_down(state.word()));
            (0..Word::MOST_WORKERS)
                .filter(|worker| parked >> worker & 1 == 1)
                .for_each(|worker| state.unpark(worker));
            if polls {
                state.carry_out(Call::Break);
            }
        });
        let workers = u32::try_from(self.workers.len()).expect("few");
        for (me, doing) in (0..).zip(&self.workers) {
            let place = me as usize;
            let go_to_rest = |state: &mut State, searching| {
                let role = take(state, rest(state.word(), me, searching));
                state.workers[place] = match role {
                    Rest::Poll => Doing::Polling,
                    Rest::Park => Doing::Parked(false),
                    Rest::ShutDown => Doing::Ended,
                };
            };
            match doing {
                Doing::Working => {
                    add(&|state| {
                        if take(state, search(state.word(), workers)) {
                            state.workers[place] = Doing::Searching;
                        } else {
                            go_to_rest(state, false);
                        }
                    });
                    add(&|state| go_to_rest(state, false));
                }
                Doing::Searching => {
                    add(&|state| {
                        state.workers[place] = Doing::Working;
                        match take(state, found(state.word())) {
                            Found::OthersSearch | Found::LookForMore => {}
                            Found::Wake(worker) => state.unpark(worker),
                        }
                    });
                    add(&|state| go_to_rest(state, true));
                }
                Doing::Polling => add(&|state| {
                    state.word = back(state.word()).bits();
                    state.workers[place] = Doing::Searching;
                    state.broken = false;
                }),
                Doing::Parked(was_unparked) => add(&|state| {
                    let called = take(state, unparked(state.word(), me));
                    assert_eq!(called, *was_unparked, "worker {me} was called");
                    state.workers[place] = Doing::Searching;
                }),
                Doing::Ended => {}
            }
        }
        all
    }

    fn check(&self) {
        let word = self.word();
        let say = || format!("{word:?} with {:?}", self.workers);
        assert!(!word.is_broken(), "NP-IDLE-5, NP-IDLE-6: {}", say()); // NP-IDLE-5
        for (me, doing) in (0..).zip(&self.workers) {
            assert_eq!(word.is_parked(me), *doing == Doing::Parked(false), "{me}: {}", say());
        }
        assert!(self.count(|doing| doing == Doing::Polling) <= 1, "{}", say()); // NP-IDLE-3
        let polling = match (self.count(|doing| doing == Doing::Polling), self.broken) {
            (0, _) => Polling::Nobody,
            (_, false) => Polling::Worker,
            (_, true) => Polling::Called,
        };
        assert_eq!(word.polling(), polling, "{}", say());
        // NP-IDLE-6: those who were called count, awake or not.
        let called = self.count(|doing| doing == Doing::Parked(true)) + u32::from(self.broken);
        let searching = self.count(|doing| doing == Doing::Searching);
        assert_eq!(word.searching(), searching + called, "{}", say());
        if word.is_shut_down() {
            // NP-IDLE-9
            assert_eq!(word.parked(), 0, "somebody sleeps on: {}", say());
            assert_ne!(word.polling(), Polling::Worker, "somebody polls on: {}", say());
        }
    }
}

#[test]
fn whatever_workers_do_the_word_says_what_they_are() {
    for (workers, expected) in [(1, 8), (2, 47), (3, 227), (4, 1005)] {
        let first = State { word: 0, workers: vec![Doing::Working; workers], broken: false };
        let mut seen = BTreeSet::from([first.clone()]);
        let mut waiting = vec![first];
        while let Some(state) = waiting.pop() {
            state.check();
            waiting.extend(state.next().into_iter().filter(|next| seen.insert(next.clone())));
        }
        assert_eq!(seen.len(), expected, "states of {workers} workers");
    }
}

#[test]
fn work_calls_nobody_while_somebody_searches() {
    // NP-IDLE-4
    let Move::Set(searching, true) = search(Word::BUSY, 2) else { panic!("nobody searches") };
    assert_eq!(work(searching), Move::Stay(Call::Nobody));
}

#[test]
fn a_parked_worker_is_called_rather_than_the_one_that_polls() {
    let Move::Set(word, Rest::Poll) = rest(Word::BUSY, 7, false) else { panic!("7 polls") };
    let Move::Set(word, Rest::Park) = rest(word, 3, false) else { panic!("3 parks") };
    let Move::Set(word, Rest::Park) = rest(word, 5, false) else { panic!("5 parks") };
    let Move::Set(word, Call::Unpark(3)) = work(word) else { panic!("3 is called") };
    assert_eq!(word.polling(), Polling::Worker);
    // The next piece of work finds 3 searching; once it has found some, 5 is next.
    let Move::Set(word, Found::LookForMore) = found(word) else { panic!("3 has work") };
    assert!(matches!(work(word), Move::Set(_, Call::Unpark(5))), "5 is called");
}

#[test]
fn the_role_of_the_poller_is_handed_on() {
    // NP-IDLE-5: the worker that came back from the kernel with work leaves it to one that sleeps.
    let Move::Set(word, Rest::Poll) = rest(Word::BUSY, 0, false) else { panic!("0 polls") };
    let Move::Set(word, Rest::Park) = rest(word, 1, false) else { panic!("1 parks") };
    assert!(matches!(found(back(word)), Move::Set(_, Found::Wake(1))), "1 is to poll");
}

#[test]
fn no_more_than_half_of_those_awake_search() {
    let Move::Set(word, true) = search(Word::BUSY, 4) else { panic!("one searches") };
    let Move::Set(word, true) = search(word, 4) else { panic!("two search") };
    assert_eq!(search(word, 4), Move::Stay(false), "a third one searches");
}

#[test]
#[should_panic(expected = "NP-IDLE-3 broken")]
fn whoever_comes_back_has_polled() {
    let _word = back(Word::BUSY);
}

#[test]
#[should_panic(expected = "NP-IDLE-6 broken")]
fn nobody_stops_searching_twice() {
    let _word = found(Word::BUSY);
}
