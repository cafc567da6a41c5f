#!/bin/sh
# Checks: the workspace is green with no feature, with loom alone and with shuttle alone; from a fresh
# clone, without RUSTFLAGS. Every test is built with each of the three. With no feature all of them are
# run; with an engine alone, the units and the tests that need this engine: the others are the same as
# without, and the check `test` runs everything with all features.
# Costs: one build of the models per feature set, most of it; a few minutes.
set -eu
cd "$(dirname "$0")/.."

# The tests of the models that need a feature, as Cargo.toml says.
that_need() {
    awk -v feature="\"$1\"" '
        /^\[/ { name = "" }
        /^name = / { name = $3 }
        /^required-features = / && name && index($0, feature) && !index($0, ",") { gsub(/"/, "", name); print name }
    ' models/Cargo.toml
}

echo "cargo test"
cargo test --locked --workspace --no-fail-fast
for engine in loom shuttle; do
    echo "cargo test --features $engine: building everything"
    cargo test --locked --workspace --features "$engine" --no-run
    tests=$(that_need "$engine")
    [ -n "$tests" ] || { echo "no test needs $engine: models/Cargo.toml is not read right" >&2; exit 1; }
    # shellcheck disable=SC2086 # a list
    set -- $(printf -- '--test %s ' $tests)
    echo "cargo test --features $engine: --lib $*"
    cargo test --locked --workspace --features "$engine" --no-fail-fast --lib "$@"
done
