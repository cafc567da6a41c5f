#!/bin/sh
# Checks: the workspace lints (Cargo.toml) on all targets with all features; a warning is an error.
# Costs: the build of the workspace without code generation, about a minute from nothing.
set -eu
cd "$(dirname "$0")/.."
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
