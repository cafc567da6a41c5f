//! Words of all bit patterns: what the functions of a slot and of the info word make of one is a row of the
//! tables that were written by hand, whoever acts; words and tokens are what they were made of.
#![no_main]

#[path = "../../../spec/tests/slot_functions/mod.rs"]
mod slot_functions;

use libfuzzer_sys::fuzz_target;
use netpoller_spec::events::{Bits, report};
use netpoller_spec::info::{self, Publish};
use netpoller_spec::machine::{Cause, TABLE, allows, allows_info, told_apart};
use netpoller_spec::slot::{Ticket, Word};
use netpoller_spec::token::{Generation, Named, Token};
use netpoller_spec::{Mode, Reason};
use slot_functions::function;

fuzz_target!(|input: (u64, u32, u32)| {
    let (bits, actor, ticket) = input;
    a_token_names_what_it_was_made_of(bits);
    an_event_concerns_whom_the_rules_say(bits as u32);
    // Half of the time for the incarnation that is in the word: else hardly ever.
    let inside = Generation::new((bits >> 32) as u32);
    let actor = if actor % 2 == 0 { inside } else { Generation::new(actor) };
    if let (Some(_), Some(actor)) = (inside, actor) {
        a_slot_takes_a_row_of_the_table(bits, actor, ticket);
        a_fact_takes_a_row_of_the_table(bits, actor);
    }
});

fn a_token_names_what_it_was_made_of(bits: u64) {
    let token = Token::from_bits(bits);
    assert_eq!(token.bits(), bits);
    match token.named() {
        Named::Break => assert_eq!(token, Token::BREAK, "NP-GEN-4: {bits:#x} is no break"),
        Named::Entry(index, generation) => {
            assert_eq!(Token::entry(index, generation), token, "NP-GEN-1: {bits:#x}");
            assert_ne!(index, Token::BREAK_INDEX, "NP-GEN-4: {bits:#x}");
        }
        Named::Foreign => {
            let strange = bits as u32 == 0 || (bits >> 32) as u32 == Token::BREAK_INDEX;
            assert!(strange, "NP-GEN-1: {bits:#x} names an entry");
        }
    }
}

/// NP-EVT-1, NP-EVT-2 and NP-EVT-3 in other words than those of the code.
fn an_event_concerns_whom_the_rules_say(bits: u32) {
    let has = |bit: Bits| bits & bit.0 == bit.0;
    let both = has(Bits::HUP) || has(Bits::ERR);
    let told = report(Bits(bits));
    assert_eq!(told.read, both || has(Bits::IN) || has(Bits::RDHUP), "NP-EVT-1: {bits:#x}");
    assert_eq!(told.write, both || has(Bits::OUT), "NP-EVT-1: {bits:#x}");
    assert_eq!(told.error, bits == Bits::ERR.0, "NP-EVT-3: {bits:#x}");
}

fn a_slot_takes_a_row_of_the_table(bits: u64, actor: Generation, ticket: u32) {
    if bits & 3 == 3 {
        return; // NP-SLOT-1: no function writes it, and whoever finds it panics
    }
    let word = Word::from_bits(bits);
    assert_eq!(Word::new(word.generation(), word.ticket(), word.state()), word);
    let held = if ticket % 2 == 0 { word.ticket() } else { Ticket::new(ticket) };
    for cause in Cause::ALL {
        let Some((after, cell)) = function(cause, word, actor, held) else { continue };
        let row = allows(cause, actor, word, after).unwrap_or_else(|broken| panic!("{broken}"));
        // A row that shares its words with an earlier one is not told from it by them alone.
        let alike = |index: usize| (TABLE[index].cause, TABLE[index].from) == (cause, word.state());
        let shared = (0..TABLE.len()).any(|index| alike(index) && !told_apart(index));
        assert!(
            shared || TABLE[row].cell == cell,
            "{}: {cell:?} of the waker, from {word:?} to {after:?}",
            TABLE[row].name
        );
    }
}

fn a_fact_takes_a_row_of_the_table(bits: u64, actor: Generation) {
    let word = info::Word::from_bits(bits & !0xffff_ffe0);
    let mut all = vec![
        info::close(word, actor),
        info::event_error(word, actor, true),
        info::event_error(word, actor, false),
        info::believe(word, actor),
        info::doubt(word, actor),
    ];
    for mode in Mode::BOTH {
        all.extend([true, false].map(|expired| info::expired(word, actor, mode, expired)));
    }
    all.extend(actor.next().map(|next| info::free(word, actor, next)));
    for publish in all {
        let after = match publish {
            Publish::Set(after) => after,
            Publish::Already | Publish::Stale => word,
        };
        allows_info(actor, word, after).unwrap_or_else(|broken| panic!("{broken}"));
    }
    for mode in Mode::BOTH {
        // NP-INFO-3, NP-INFO-4, NP-INFO-7: the first of these that holds.
        let reasons = [
            (word.generation() != actor || word.closing(), Reason::Closed),
            (word.expired(mode), Reason::DeadlineExceeded),
            (word.event_error() && mode == Mode::Read, Reason::NotPollable),
        ];
        let expected = reasons.iter().find(|(holds, _)| *holds).map_or(Ok(()), |(_, r)| Err(*r));
        assert_eq!(info::check(word, actor, mode), expected, "{word:?} for {actor:?} in {mode:?}");
    }
}
