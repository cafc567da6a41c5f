#!/bin/sh
# Checks: every Rust file is formatted as rustfmt.toml says.
# Costs: a second.
set -eu
cd "$(dirname "$0")/.."
cargo fmt --all --check
