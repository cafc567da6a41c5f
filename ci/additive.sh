#!/bin/sh
# Checks: features only add. Each crate builds with no feature, with each of its features alone,
# and with all of them; so a user never gets a build that nobody has seen. So does code of others on
# the seam (models/outside; its tests are run by ci/outside.sh).
# Costs: half a minute; most of it is shared with the other builds.
set -eu
cd "$(dirname "$0")/.."
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR

build() {
    echo "cargo check $*"
    cargo check --locked --quiet "$@"
}

for package in spec impl models tests; do
    name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$package/Cargo.toml" | head -n 1)
    build --package "$name" --lib --no-default-features
    # The keys of the table [features].
    features=$(awk '/^\[/ { inside = ($0 == "[features]") } inside && /^[a-z]/ { print $1 }' "$package/Cargo.toml")
    for feature in $features; do
        build --package "$name" --lib --bins --no-default-features --features "$feature"
    done
done
build --workspace --all-features
for features in "" lost-wakeup missing-fence; do
    build --manifest-path models/outside/Cargo.toml --tests --features "$features"
done
