//! Every scenario on the engine `shuttle`, held against `models/expected.toml`.

use netpoller_models::suite::{Kind, check_all};

#[test]
fn every_scenario_on_shuttle_is_as_pinned() {
    check_all(Kind::find("shuttle").expect("the feature of this test brings the engine"));
}
