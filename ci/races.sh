#!/bin/sh
# Checks: the stress tests on the real kernel, again and again: races that one run may miss.
# Costs: 50 rounds by default, some minutes; deep, not part of ci/all.sh without its name.
#
# Usage: ci/races.sh [rounds]
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-50}
cargo test --locked --package netpoller-tests --test on_epoll --test on_poll --no-run
round=1
while [ "$round" -le "$rounds" ]; do
    echo "round $round of $rounds"
    cargo test --locked --quiet --package netpoller-tests --test on_epoll --test on_poll -- races:: traffic::
    round=$((round + 1))
done
