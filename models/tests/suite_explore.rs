//! Every scenario on the engine `explore`, held against `models/expected.toml`.

use netpoller_models::suite::{Kind, check_all};

#[test]
fn every_scenario_on_explore_is_as_pinned() {
    check_all(Kind::find("explore").expect("the feature of this test brings the engine"));
}
