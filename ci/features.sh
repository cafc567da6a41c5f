#!/bin/sh
# Checks: the workspace is green with no feature, with loom alone and with shuttle alone; from a fresh
# clone, without RUSTFLAGS. With no feature every test is run; with an engine alone everything is type-checked
# and the tests are run that need this engine. The others are the same as without, and the check `test` runs
# everything with all features. The suite of scenarios is run on loom; those on explore and shuttle are left
# to the check `verify`, which runs them side by side.
# Costs: one build of the models per feature set, most of it; a few minutes.
set -eu
cd "$(dirname "$0")/.."

# The tests of the models that need this feature and no other, as Cargo.toml says, but for two suites.
that_need() {
    awk -v feature="\"$1\"" '
        /^\[/ { name = "" }
        /^name = / { name = $3 }
        /^required-features = / && name && index($0, feature) && !index($0, ",") { gsub(/"/, "", name); print name }
    ' models/Cargo.toml | grep -vx -e suite_explore -e suite_shuttle
}

echo "cargo test"
cargo test --locked --workspace --no-fail-fast
for engine in loom shuttle; do
    echo "cargo check --tests --features $engine"
    cargo check --locked --workspace --features "$engine" --tests
    tests=$(that_need "$engine")
    [ -n "$tests" ] || { echo "no test needs $engine: models/Cargo.toml is not read right" >&2; exit 1; }
    # shellcheck disable=SC2086 # a list
    set -- $(printf -- '--test %s ' $tests)
    echo "cargo test --features $engine $*"
    cargo test --locked --workspace --features "$engine" --no-fail-fast "$@"
done
