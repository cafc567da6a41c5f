//! Every race family has its variants: from the smallest to four threads, with a kernel and without.

use netpoller_models::scenario::family::{Variant, WITHOUT};
use netpoller_models::scenario::{self, Family, Scenario};

fn has(family: Family, variant: Variant) -> bool {
    let is_one = |scenario: &&Scenario| match variant {
        Variant::Threads(threads) => scenario.thread_names().len() == threads,
        Variant::Bare => !scenario.is_simulated(),
        Variant::Simulated => scenario.is_simulated(),
    };
    scenario::all().filter(|scenario| scenario.family == family).any(|scenario| is_one(&scenario))
}

#[test]
fn every_family_has_every_variant_or_a_reason_why_not() {
    let mut wrong = Vec::new();
    for family in Family::ALL {
        for variant in Variant::ALL {
            let reason = WITHOUT.iter().find(|(f, v, _)| (*f, *v) == (*family, variant));
            match (has(*family, variant), reason) {
                (false, None) => wrong.push(format!("{family}: {variant:?} is missing")),
                (true, Some((_, _, why))) => {
                    wrong
                        .push(format!("{family}: {variant:?} is there, and said not to be: {why}"));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_family_is_called_by_one_name() {
    let mut titles: Vec<_> = Family::ALL.iter().map(|family| family.title()).collect();
    titles.sort_unstable();
    titles.dedup();
    assert_eq!(titles.len(), Family::ALL.len(), "two families have the same title");
}
