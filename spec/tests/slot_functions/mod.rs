//! The functions of `slot` as what the rows of the table say: one shape for all of them.

use netpoller_spec::machine::{Cause, Cell};
use netpoller_spec::slot::{self, Move, Ticket, Word};
use netpoller_spec::token::Generation;

/// What the function of `cause` makes of a word: what is left, and what happens to the cell.
/// `None`: a free of the last generation, which nobody may ask for (NP-GEN-3).
pub(crate) fn function(
    cause: Cause,
    word: Word,
    actor: Generation,
    held: Ticket,
) -> Option<(Word, Cell)> {
    fn step<O>(word: Word, moved: Move<O>) -> (Word, Cell) {
        match moved {
            Move::Stay(_) => (word, Cell::Untouched),
            Move::Set(after, _) => (after, Cell::Untouched),
            Move::Enter(after, _) => (after, Cell::Filled),
            Move::Leave(after, _) => (after, Cell::Emptied),
            Move::Refresh(_) => (word, Cell::Replaced),
        }
    }
    Some(match cause {
        Cause::Notify => step(word, slot::notify(word, actor)),
        Cause::Cancel => step(word, slot::cancel(word, actor)),
        Cause::Announce => step(word, slot::announce(word, actor)),
        Cause::Finish => step(word, slot::finish(word, actor, held)),
        Cause::Retract => step(word, slot::retract(word, actor, held)),
        Cause::Reset => step(word, slot::reset(word, actor)),
        Cause::Free => step(word, slot::free(word, actor, actor.next()?)),
    })
}
