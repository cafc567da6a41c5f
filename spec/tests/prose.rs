//! SPEC.md says what the tables of the code say, and its rules have the form that makes them
//! countable: one sentence with one MUST, at most two lines of reason, numbers without holes.

use netpoller_spec::machine::{
    Actor, Cause, Cell, Fact, GenerationRule, INFO_TABLE, Row, TABLE, TicketRule, Wait,
};
use netpoller_spec::slot::State;
use std::collections::{BTreeMap, BTreeSet};

const SPEC: &str = include_str!("../SPEC.md");

/// The cells of the table whose header is `header`, without header and separator.
fn table(header: &str) -> Vec<Vec<String>> {
    let mut lines = SPEC.lines().skip_while(|line| *line != header);
    assert!(lines.next().is_some(), "SPEC.md has no table with the header {header}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().into()).collect())
        .collect()
}

fn lower(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

#[test]
fn the_table_of_the_slot_is_the_one_of_the_code() {
    let header = "| row | operation | wait | from | to | ticket | generation | waker | rule |";
    let row = |row: &Row| {
        let Row { cause, wait, from, to, ticket, generation, cell, rule, name, .. } = row;
        let words = [format!("{cause:?}"), lower(wait), format!("{from:?}"), format!("{to:?}")];
        let rest = [lower(ticket), lower(generation), lower(cell), (*rule).to_owned()];
        [(*name).to_owned()].into_iter().chain(words).chain(rest).collect::<Vec<_>>()
    };
    let code: Vec<_> = TABLE.iter().filter(|row| row.actor == Actor::Same).map(row).collect();
    assert_eq!(table(header), code, "SPEC.md on the left, machine::TABLE on the right");
}

#[test]
fn the_table_of_stale_actors_is_the_one_of_the_code() {
    // NP-GEN-2
    let code: Vec<_> = Cause::ALL
        .into_iter()
        .map(|cause| {
            let found = State::ALL.map(|state| {
                let stays = TABLE.iter().find(|row| {
                    row.actor == Actor::Other && row.cause == cause && row.from == state
                });
                let row = stays.unwrap_or_else(|| panic!("no row: stale {cause:?} on {state:?}"));
                let columns = (row.to, row.wait, row.ticket, row.generation, row.cell);
                let nothing =
                    (state, Wait::Any, TicketRule::Kept, GenerationRule::Kept, Cell::Untouched);
                assert_eq!(columns, nothing, "a stale {cause:?} writes");
                row.name.to_owned()
            });
            [format!("{cause:?}")].into_iter().chain(found).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(table("| operation | on Nil | on Ready | on Parked |"), code);
}

#[test]
fn the_table_of_the_info_word_is_the_one_of_the_code() {
    let code: Vec<Vec<_>> = INFO_TABLE
        .iter()
        .map(|row| {
            let facts: [Fact; 5] =
                [row.closing, row.event_error, row.read_expired, row.write_expired, row.believed];
            let (actor, generation) = (lower(row.actor), lower(row.generation));
            let columns = [row.name.to_owned(), actor].into_iter().chain(facts.map(lower));
            columns.chain([generation, row.rule.to_owned()]).collect()
        })
        .collect();
    assert_eq!(
        table(
            "| row | actor | closing | event error | read expired | write expired | believed | generation | rule |"
        ),
        code
    );
}

#[test]
fn the_diagram_shows_every_write_and_nothing_else() {
    let block = SPEC.split("```mermaid").nth(1).expect("a diagram");
    let block = block.split("```").next().expect("it ends");
    let drawn: BTreeSet<_> = block
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("-->") && !line.starts_with("[*]"))
        .map(str::to_owned)
        .collect();
    let writes = TABLE.iter().filter(|row| {
        row.actor == Actor::Same && (row.from != row.to || row.generation == GenerationRule::Next)
    });
    let code: BTreeSet<_> =
        writes.map(|row| format!("{:?} --> {:?}: {}", row.from, row.to, row.name)).collect();
    assert_eq!(drawn, code, "the diagram on the left, machine::TABLE on the right");
}

/// The rules, each with the paragraphs that follow its heading.
fn rules() -> BTreeMap<String, Vec<String>> {
    let mut rules = BTreeMap::new();
    for part in SPEC.split("\n#### ").skip(1) {
        // The next section, or what follows the rules of this one.
        let ends = ["\n## ", "\n### "].map(|end| part.find(end).unwrap_or(part.len()));
        let part = &part[..ends[0].min(ends[1])];
        let mut paragraphs = part.split("\n\n").map(|text| text.trim().to_owned());
        let name = paragraphs.next().expect("a heading");
        let before =
            rules.insert(name.clone(), paragraphs.filter(|text| !text.is_empty()).collect());
        assert!(before.is_none(), "{name} is there twice");
    }
    rules
}

#[test]
fn a_rule_is_one_sentence_with_one_must_and_a_short_reason() {
    for (name, paragraphs) in rules() {
        let [rule, reason] = &paragraphs[..] else {
            panic!("{name}: a sentence and a reason expected, found {paragraphs:?}")
        };
        assert_eq!(rule.matches("MUST").count(), 1, "{name}: {rule}");
        let sentences = rule.matches(". ").count() + usize::from(rule.ends_with('.'));
        assert_eq!(sentences, 1, "{name} is not one sentence: {rule}");
        assert!(!rule.contains('\n'), "{name} is to stand on one line");
        assert!(reason.lines().all(|line| line.starts_with("> ")), "{name}: {reason}");
        assert!(!reason.contains("MUST"), "{name}: a reason demands nothing");
        assert!(reason.lines().count() <= 2, "{name}: the reason has more than two lines");
    }
}

#[test]
fn the_numbers_of_the_rules_have_no_holes() {
    let mut families: BTreeMap<String, BTreeSet<u32>> = BTreeMap::new();
    for name in rules().keys() {
        let (family, number) = name.rsplit_once('-').expect("NP-FAMILY-number");
        assert!(family.starts_with("NP-"), "{name}");
        families.entry(family.into()).or_default().insert(number.parse().expect("a number"));
    }
    for (family, numbers) in families {
        let wanted: BTreeSet<u32> = (1..=u32::try_from(numbers.len()).expect("few")).collect();
        assert_eq!(numbers, wanted, "{family}");
    }
}

#[test]
fn the_rules_of_the_tables_are_rules_of_the_prose() {
    let rules = rules();
    let cited = TABLE.iter().map(|row| row.rule).chain(INFO_TABLE.iter().map(|row| row.rule));
    for rule in cited {
        assert!(rules.contains_key(rule), "{rule} is cited by a table and not written out");
    }
}
