//! Where an engine comes to the end of its search without having seen everything.
//!
//! loom passes over two behaviours of `stream_close_below_the_lock`, although every operation is a
//! read-modify-write. That it is loom, and not explore that invents them, is shown by a third
//! search, which has no reduction at all: plain depth first over all schedules.

use netpoller_models::engine::{Engine, Explore, Limits, LoomSc, Search};
use netpoller_models::scenario;
use netpoller_models::suite::GAPS;

#[test]
fn known_gaps_are_loom_s_and_have_not_changed() {
    for gap in GAPS {
        assert_eq!(gap.engine, LoomSc::NAME, "no other engine has a gap: {gap:?}");
        let scenario = scenario::find(gap.scenario).expect("a scenario of this name");
        let schedules = Limits { search: Search::Schedules, ..Limits::default() };
        let plain = Explore::run(scenario.explore, &schedules);
        let explored = Explore::run(scenario.explore, &Limits::default());
        let loomed = LoomSc::run(scenario.loom_sc, &Limits::default());
        println!("{}\n  {plain}\n  {explored}\n  {loomed}", gap.scenario);
        plain.assert_exhaustive();
        explored.assert_exhaustive();
        assert_eq!(plain.behaviours, explored.behaviours, "explore differs from plain search");
        assert!(loomed.behaviours.is_subset(&plain.behaviours), "loom invents behaviours");
        assert_eq!(
            (loomed.behaviours.len(), plain.behaviours.len()),
            (gap.seen, gap.of),
            "{gap:?}"
        );
    }
}
