#!/bin/sh
# Checks: the tests are green with no feature, with each engine alone (and, in the check `test`,
# with all features): from a fresh clone, without RUSTFLAGS.
# Costs: one build of the models per feature set, and their suites: a few minutes.
set -eu
cd "$(dirname "$0")/.."
for features in "" loom shuttle; do
    echo "cargo test --features '$features'"
    cargo test --locked --workspace --features "$features"
done
