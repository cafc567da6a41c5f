#!/bin/sh
# Checks: the litmus programs on this kernel, many rounds on real threads: every outcome that is seen
# is one that explore finds on the simulated kernel. Prints the table seen / allowed / never seen.
# Costs: three to five minutes for 100,000 rounds of each program.
#
# Usage: ci/litmus.sh [rounds] [seed] [file]     (100000, the time of day, none)
# The seed decides how long threads spin before they begin, and is printed. With a file, what was
# seen is written there, in the format of models/vectors/litmus.json.
set -eu
cd "$(dirname "$0")/.."
rounds=${1:-100000}
seed=${2:-$(date +%s)}
[ $# -le 2 ] || file=$3
cargo run --locked --quiet --package netpoller-tests --features shuttle --bin litmus -- \
    "$rounds" "$seed" ${file:+"$file"}
