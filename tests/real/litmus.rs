//! The litmus programs on Linux, on real threads: each outcome that is seen is one that the
//! simulated kernel allows. `ci/litmus.sh` runs many more rounds.

use netpoller_models::litmus::{self, Row};
use netpoller_tests::in_child;
use netpoller_tests::litmus::{record, release};

const ROUNDS: u64 = 2_000;
const SEED: u64 = 7;

#[test]
fn every_outcome_seen_on_linux_is_allowed() {
    // In a process of its own: signals, and what its threads are up to, concern it as a whole.
    in_child("every_outcome_seen_on_linux_is_allowed", || {
        println!("Linux {}, {ROUNDS} rounds each, seed {SEED}", release());
        let allowed: Vec<_> = litmus::catalogue().iter().map(litmus::allowed).collect();
        let mut rows = Vec::new();
        let recorded = record(&litmus::catalogue(), ROUNDS, SEED, |name, seen| {
            let allowed = &allowed[rows.len()];
            allowed.run.assert_exhaustive();
            rows.push(Row::new(name, seen, allowed.outcomes.clone()));
        });
        println!("{}", Row::table(&rows));
        assert!(rows.len() >= 12, "only {} programs", rows.len());
        for row in &rows {
            assert_eq!(row.seen.values().sum::<u64>(), ROUNDS, "rounds without an outcome: {row}");
            assert!(row.outside().is_empty(), "the simulated kernel does not allow this:\n{row}");
        }
        assert_eq!(recorded.programs.len(), rows.len(), "two programs have the same name");
    });
}
