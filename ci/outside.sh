#!/bin/sh
# Checks: the seam and the engines serve code that is not ours. models/outside is a workspace of its own: a
# wait queue with two scenarios, which pass, exhaustively; and two bugs that can be put in, of which each is
# found, by the engine that has to find it.
# Costs: the models once more, without the tools: a minute on two cores; the rest is shared with the
# other builds.
set -eu
cd "$(dirname "$0")/.."
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR
cd models/outside
cargo fmt --check
for features in "" lost-wakeup missing-fence; do
    echo "cargo test --features '$features', in models/outside"
    cargo test --locked --features "$features"
done
