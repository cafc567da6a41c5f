//! What the scenarios hold is what is pinned in `models/scenarios.toml`.

use netpoller_models::suite::contents::AllContents;

#[test]
fn what_the_scenarios_hold_is_what_is_pinned() {
    let differences = AllContents::shipped().differences(&AllContents::counted());
    assert!(
        differences.is_empty(),
        "what a scenario holds has changed; if it is meant to, `cargo verify list --pin` pins it:\n{}",
        differences.join("\n")
    );
}

#[test]
fn a_thread_an_operation_or_a_choice_less_is_a_difference() {
    let text = "[x]\nfamily = \"f\"\nkernel = \"none\"\nthreads = [[\"a\", 2, 1], [\"b\", 3, 3]]\nchoices = [5]\n";
    let pinned = AllContents::parse(text).expect("well formed");
    assert_eq!(AllContents::parse(&pinned.to_toml()).expect("what was written is read"), pinned);
    assert_eq!(pinned.differences(&pinned), [] as [String; 0]);
    let less = [
        (", [\"b\", 3, 3]", ""),
        ("2, 1", "1, 1"),
        ("2, 1", "2, 0"),
        ("[5]", "[4]"),
        ("[5]", "[]"),
        ("\"none\"", "\"simulated\""),
        ("\"f\"", "\"g\""),
    ];
    for (before, after) in less {
        let is = AllContents::parse(&text.replace(before, after)).expect("well formed");
        assert_eq!(pinned.differences(&is).len(), 1, "{before} is {after} and nobody noticed");
    }
    let gone = AllContents::default();
    assert_eq!(pinned.differences(&gone), ["x is pinned, and there is no such scenario"]);
}
