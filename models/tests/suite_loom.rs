//! Every scenario on the two engines on loom, held against `models/expected.toml`.

use netpoller_models::suite::{Kind, check_all};

#[test]
fn every_scenario_on_loom_sc_is_as_pinned() {
    check_all(Kind::LoomSc);
}

#[test]
fn every_scenario_on_loom_weak_is_as_pinned() {
    check_all(Kind::LoomWeak);
}
