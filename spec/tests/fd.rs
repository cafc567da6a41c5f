//! The word of the lock says what the callers have done, in random order.

mod fd_model;

use fd_model::{Operation, agree};
use netpoller_spec::Mode;
use netpoller_spec::fd::{self, Entered, Move, Word};
use quickcheck::{Arbitrary, Gen, QuickCheck};

impl Arbitrary for Operation {
    fn arbitrary(g: &mut Gen) -> Self {
        Operation::draw(&mut |most| usize::arbitrary(g) % most)
    }
}

#[test]
fn the_word_says_what_the_callers_have_done() {
    // NP-FD-1, NP-FD-2, NP-FD-3, NP-FD-6, NP-FD-7, NP-FD-8, NP-READ-4
    QuickCheck::new()
        .tests(2_000)
        .quickcheck((|operations| agree(&operations)) as fn(Vec<Operation>));
}

#[test]
fn a_caller_that_finds_the_right_free_under_the_lock_of_the_queues_has_it() {
    let word = match fd::queue(Word::IDLE, Mode::Write) {
        Move::Set(word, Entered::Yes) => word,
        other => panic!("{other:?}"),
    };
    assert_eq!(word, Word::alone(Some(Mode::Write)));
}
