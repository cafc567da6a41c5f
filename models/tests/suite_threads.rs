//! Every scenario on the engine `threads`, held against `models/expected.toml`.

use netpoller_models::suite::{Kind, check_all};

#[test]
fn every_scenario_on_threads_is_as_pinned() {
    check_all(Kind::find("threads").expect("the feature of this test brings the engine"));
}
