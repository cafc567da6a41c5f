//! Two engines that share nothing but the record must see the same behaviours.

mod engine_programs;

use engine_programs as programs;
use netpoller_models::engine::{Engine, Explore, Limits, LoomSc, LoomWeak};

#[test]
fn explore_and_loom_see_the_same_behaviours() {
    let limits = Limits::default();
    let programs = programs::all::<Explore>().into_iter().zip(programs::all::<LoomSc>());
    for ((name, by_explore), (_, by_loom)) in programs {
        let explored = Explore::run(by_explore, &limits);
        let loomed = LoomSc::run(by_loom, &limits);
        explored.assert_exhaustive();
        loomed.assert_exhaustive();
        println!("{name}\n  {explored}\n  {loomed}");
        assert_eq!(explored.behaviours, loomed.behaviours, "{name}: the engines disagree");
        assert_eq!(explored.behaviours_digest(), loomed.behaviours_digest(), "{name}");
    }
}

/// What sequential consistency allows, weak memory allows too; but loom does not always get there.
#[test]
fn loom_as_written_misses_what_it_is_known_to_miss_and_no_more() {
    let limits = Limits::default();
    let programs = programs::all::<Explore>().into_iter().zip(programs::all::<LoomWeak>());
    for ((name, by_explore), (_, by_loom)) in programs {
        let explored = Explore::run(by_explore, &limits);
        let loomed = LoomWeak::run(by_loom, &limits);
        println!("{name}\n  {explored}\n  {loomed}");
        if loomed.failure.is_some() {
            assert_eq!(name, "store buffering", "{name} fails under weak memory: {loomed}");
            continue;
        }
        let missed = explored.behaviours.difference(&loomed.behaviours).count();
        // It is known to skip interleavings where a thread loads and then writes one word
        // (loom_selftest): the very reason for the other flavour.
        let expected = usize::from(name == "compare-exchange counter");
        assert_eq!(missed, expected, "{name}: loom as written misses {missed} behaviours");
    }
}
