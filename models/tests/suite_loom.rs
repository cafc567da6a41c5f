//! Every scenario on the two engines on loom, held against `models/expected.toml`. In one test, because
//! two runs of loom in one process take longer side by side than in turn.

use netpoller_models::suite::{Kind, check_all};

#[test]
fn every_scenario_on_loom_is_as_pinned() {
    check_all(Kind::LoomSc);
    check_all(Kind::LoomWeak);
}
