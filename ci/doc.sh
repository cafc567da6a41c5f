#!/bin/sh
# Checks: the documentation builds without a warning: no broken link, no missing item.
# Costs: half a minute.
set -eu
cd "$(dirname "$0")/.."
RUSTDOCFLAGS="-D warnings" cargo doc --locked --quiet --workspace --no-deps --all-features
