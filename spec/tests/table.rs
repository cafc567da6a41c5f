//! The two statements of the rules agree: the tables of `machine` and the functions of `slot` and
//! `info`, over every state, incarnation and wait that can be told apart.
//!
//! Both ways: what a function does, a row allows; what a row allows, a function does for some
//! actor. So neither a row nor a branch can be changed alone.

mod slot_functions;

use netpoller_spec::Mode;
use netpoller_spec::info::{self, Publish};
use netpoller_spec::machine::{
    Actor, Cause, INFO_TABLE, Row, TABLE, Wait, allows, allows_info, told_apart,
};
use netpoller_spec::slot::{State, Ticket, Word};
use netpoller_spec::token::Generation;
use slot_functions::function;
use std::collections::BTreeSet;

/// Among them two that agree in their lower half (Go keeps 16 of the 20 bits that it compares).
fn generations() -> Vec<Generation> {
    [1, 2, 3, 7, 1 << 16 | 1, u32::MAX - 1, u32::MAX]
        .into_iter()
        .filter_map(Generation::new)
        .collect()
}

fn tickets() -> Vec<Ticket> {
    [0, 1, 2, (1 << Ticket::BITS) - 2, (1 << Ticket::BITS) - 1].map(Ticket::new).into()
}

fn words() -> Vec<Word> {
    let mut words = Vec::new();
    for generation in generations() {
        for ticket in tickets() {
            words.extend(State::ALL.map(|state| Word::new(generation, ticket, state)));
        }
    }
    words
}

/// The row for exactly this situation, by its columns, without `allows`.
fn row_of(cause: Cause, word: Word, actor: Generation, held: Ticket) -> &'static Row {
    let same = if actor == word.generation() { Actor::Same } else { Actor::Other };
    let own = if held == word.ticket() { Wait::Own } else { Wait::Foreign };
    let mut rows = TABLE.iter().filter(|row| {
        row.cause == cause
            && row.actor == same
            && row.from == word.state()
            && (row.wait == Wait::Any || row.wait == own)
    });
    let row = rows.next().unwrap_or_else(|| panic!("no row for {cause:?} g{actor:?} {word:?}"));
    assert!(rows.next().is_none(), "two rows for {cause:?} g{actor:?} {word:?}");
    row
}

#[test]
fn what_a_function_does_a_row_allows() {
    // NP-GEN-2, NP-GEN-5, NP-SLOT-3, NP-SLOT-4, NP-SLOT-5, NP-SLOT-6, NP-SLOT-7, NP-SLOT-8,
    // NP-WAIT-1, NP-WAIT-4, NP-WAIT-5, NP-WAIT-6
    for cause in Cause::ALL {
        for before in words() {
            for actor in generations() {
                for held in tickets() {
                    let Some((after, cell)) = function(cause, before, actor, held) else {
                        continue;
                    };
                    let row = row_of(cause, before, actor, held);
                    let what = format!("{cause:?} for {actor:?} holding {held:?} on {before:?}");
                    assert_eq!(after.state(), row.to, "{what}: the state of row {}", row.name);
                    assert_eq!(cell, row.cell, "{what}: the cell of row {}", row.name);
                    let index = allows(cause, actor, before, after)
                        .unwrap_or_else(|broken| panic!("{what}: {broken}"));
                    let (taken, twin) = (&TABLE[index], row);
                    assert!(
                        taken == twin || (!told_apart_row(twin) && taken.to == twin.to),
                        "{what}: took {} and not {}",
                        taken.name,
                        twin.name
                    );
                }
            }
        }
    }
}

fn told_apart_row(row: &Row) -> bool {
    told_apart(TABLE.iter().position(|other| other == row).expect("a row of the table"))
}

#[test]
fn what_a_row_allows_a_function_does() {
    for cause in Cause::ALL {
        for before in words() {
            for after in words() {
                for actor in generations() {
                    let nobody_asks = cause == Cause::Free && actor.next().is_none(); // NP-GEN-3
                    if nobody_asks || allows(cause, actor, before, after).is_err() {
                        continue;
                    }
                    let done = tickets().into_iter().any(|held| {
                        function(cause, before, actor, held).is_some_and(|(left, _)| left == after)
                    });
                    assert!(
                        done,
                        "{cause:?} for {actor:?} may take {before:?} to {after:?} by the table, \
                         and no function does it"
                    );
                }
            }
        }
    }
}

#[test]
fn every_row_is_taken_by_some_function() {
    let mut taken = BTreeSet::new();
    for cause in Cause::ALL {
        for before in words() {
            for actor in generations() {
                for held in tickets() {
                    if let Some((after, _)) = function(cause, before, actor, held) {
                        taken.extend(allows(cause, actor, before, after));
                    }
                }
            }
        }
    }
    for (index, row) in TABLE.iter().enumerate() {
        assert_eq!(taken.contains(&index), told_apart(index), "row {}", row.name);
    }
}

#[test]
fn names_are_unique() {
    let names = TABLE.iter().map(|row| row.name).chain(INFO_TABLE.iter().map(|row| row.name));
    let mut seen = BTreeSet::new();
    for name in names {
        assert!(seen.insert(name), "two rows are called {name}");
    }
}

#[test]
fn a_state_that_does_not_exist_breaks_np_slot_1() {
    // NP-SLOT-1
    let good = Word::initial(Generation::FIRST);
    let bad = Word::from_bits(good.bits() | 3);
    for (before, after) in [(good, bad), (bad, good), (bad, bad)] {
        let broken = allows(Cause::Notify, good.generation(), before, after).unwrap_err();
        assert_eq!(broken.rule, "NP-SLOT-1");
        assert!(format!("{broken}").contains("which has no state"), "{broken}");
    }
}

#[test]
fn a_step_that_no_row_allows_names_the_rule_it_breaks() {
    let word = |generation, ticket, state| {
        Word::new(Generation::new(generation).unwrap(), Ticket::new(ticket), state)
    };
    use State::{Nil, Parked, Ready};
    for (cause, actor, before, after, rule) in [
        // NP-GEN-2: a late edge of g1 wakes the waiter of g2.
        (Cause::Notify, 1, word(2, 1, Parked), word(2, 1, Ready), "NP-GEN-2"),
        // NP-GEN-5: a late waiter writes g1 over g2, or a free goes back.
        (Cause::Finish, 1, word(1, 1, Ready), word(2, 1, Nil), "NP-GEN-5"),
        (Cause::Free, 2, word(2, 1, Nil), word(1, 1, Nil), "NP-GEN-5"),
        (Cause::Free, 2, word(2, 1, Ready), word(3, 1, Ready), "NP-GEN-5"),
        // NP-SLOT-3: an edge is lost.
        (Cause::Notify, 1, word(1, 1, Nil), word(1, 1, Nil), "NP-SLOT-3"),
        (Cause::Notify, 1, word(1, 1, Parked), word(1, 1, Nil), "NP-SLOT-3"),
        // NP-SLOT-4: a close makes readiness, or takes it away.
        (Cause::Cancel, 1, word(1, 1, Parked), word(1, 1, Ready), "NP-SLOT-4"),
        (Cause::Cancel, 1, word(1, 1, Ready), word(1, 1, Nil), "NP-SLOT-4"),
        // NP-SLOT-5: readiness is consumed and stays.
        (Cause::Announce, 1, word(1, 1, Ready), word(1, 1, Ready), "NP-SLOT-5"),
        // NP-SLOT-6: a wait without a ticket of its own.
        (Cause::Announce, 1, word(1, 1, Nil), word(1, 1, Parked), "NP-SLOT-6"),
        // NP-SLOT-7: a retract takes readiness along.
        (Cause::Retract, 1, word(1, 1, Ready), word(1, 1, Nil), "NP-SLOT-7"),
        // NP-SLOT-8: a reset makes readiness out of an abandoned wait.
        (Cause::Reset, 1, word(1, 1, Parked), word(1, 1, Ready), "NP-SLOT-8"),
        // NP-WAIT-1: two waiters.
        (Cause::Announce, 1, word(1, 1, Parked), word(1, 2, Parked), "NP-WAIT-1"),
    ] {
        let actor = Generation::new(actor).unwrap();
        let broken = allows(cause, actor, before, after)
            .expect_err(&format!("{cause:?} {before:?} to {after:?} passed"));
        assert_eq!(broken.rule, rule, "{broken}");
        assert!(format!("{broken}").starts_with(broken.rule));
    }
}

fn info_words() -> Vec<info::Word> {
    let mut words = Vec::new();
    for generation in generations() {
        let base = info::Word::new(generation);
        words.extend((0..32).map(|flags| info::Word::from_bits(base.bits() | flags)));
    }
    words
}

/// All that the functions of `info` make of a word.
fn facts(word: info::Word, actor: Generation) -> Vec<info::Word> {
    let all = [
        Some(info::close(word, actor)),
        Some(info::event_error(word, actor, true)),
        Some(info::event_error(word, actor, false)),
        Some(info::expired(word, actor, Mode::Read, true)),
        Some(info::expired(word, actor, Mode::Read, false)),
        Some(info::expired(word, actor, Mode::Write, true)),
        Some(info::expired(word, actor, Mode::Write, false)),
        Some(info::believe(word, actor)),
        Some(info::doubt(word, actor)),
        actor.next().map(|next| info::free(word, actor, next)),
    ];
    let left = |publish| match publish {
        Publish::Set(after) => after,
        Publish::Already | Publish::Stale => word,
    };
    all.into_iter().flatten().map(left).collect()
}

#[test]
fn the_table_of_the_info_word_is_what_its_functions_do() {
    // NP-INFO-1, NP-INFO-2, NP-INFO-5, NP-INFO-6, NP-TIME-3, NP-TIME-4, NP-READ-1, NP-READ-2, NP-GEN-2,
    // NP-GEN-5
    let mut taken = BTreeSet::new();
    for before in info_words() {
        for actor in generations() {
            let done = facts(before, actor);
            for &after in &done {
                let row = allows_info(actor, before, after)
                    .unwrap_or_else(|broken| panic!("what a function does: {broken}"));
                taken.insert(row);
            }
            for after in info_words() {
                if allows_info(actor, before, after).is_ok() && before != after {
                    assert!(
                        done.contains(&after),
                        "{before:?} to {after:?} for {actor:?}: no function does it"
                    );
                }
            }
        }
    }
    assert_eq!(taken.len(), INFO_TABLE.len(), "rows that no function takes");
}

#[test]
fn a_fact_that_no_row_allows_names_the_rule_it_breaks() {
    let word = |generation, flags| {
        let generation = Generation::new(generation).unwrap();
        info::Word::from_bits(info::Word::new(generation).bits() | flags)
    };
    for (actor, before, after, rule) in [
        (1, word(2, 0), word(2, 1), "NP-GEN-2"),
        (1, word(1, 1), word(1, 0), "NP-INFO-1"),
        (1, word(1, 0), word(1, 3), "NP-INFO-6"),
        (1, word(1, 0), word(1, 12), "NP-INFO-6"),
        (1, word(1, 16), word(1, 2), "NP-INFO-6"),
        (1, word(1, 0), word(1, 32), "NP-INFO-6"),
        (1, word(1, 1), word(2, 1), "NP-GEN-5"),
        (1, word(1, 1), word(3, 0), "NP-GEN-5"),
    ] {
        let broken = allows_info(Generation::new(actor).unwrap(), before, after)
            .expect_err(&format!("{before:?} to {after:?} passed"));
        assert_eq!(broken.rule, rule, "{broken}");
    }
}
