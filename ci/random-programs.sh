#!/bin/sh
# Checks: on 20,000 random small programs the search of `explore`, which merges states and leaves steps
# out, sees what a plain search over all schedules sees; and as many states if it leaves nothing out. The
# plain search is audited: it keeps each state in full. Each time other programs; the seed is printed.
# Costs: two to five minutes of one core, and a build.
#
# Usage: ci/random-programs.sh [programs] [seed]
set -eu
cd "$(dirname "$0")/.."
seed=${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
echo "again: ci/random-programs.sh ${1:-20000} $seed"
NETPOLLER_RANDOM_PROGRAMS=${1:-20000} NETPOLLER_RANDOM_SEED=$seed cargo test --locked --package netpoller-models \
    --features shuttle --test explore_random -- --nocapture
