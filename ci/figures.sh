#!/bin/sh
# Checks nothing: measures how large the spaces of the scenarios are and how fast explore goes through
# them, one core each, beside loom and a search through every schedule, and puts the tables into
# models/README.md.
# Costs: on two cores about two hours with the times below, nearly all of it in searches that do not
# come to their end; and a release build, which explores twice as fast as that of the tests.
#
# Usage: ci/figures.sh [seconds for each run of explore] [seconds for each run of the others]   (60, 600)
set -eu
cd "$(dirname "$0")/.."
CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true cargo run --release --quiet --package netpoller-models --features cli \
    --bin netpoller-check -- figures --seconds "${1:-60}" --against "${2:-600}" --write
