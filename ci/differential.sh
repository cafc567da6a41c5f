#!/bin/sh
# Checks: random programs of system calls give the same, event by event, on this machine's kernel and on
# the simulated one. A difference is shrunk and printed as a vector that can be added to
# models/vectors. The seed is printed; with the same one the programs are the same.
# Costs: 100,000 programs by default, four minutes of one core.
#
# Usage: ci/differential.sh [programs] [seed]
set -eu
cd "$(dirname "$0")/.."
cargo verify differential --programs "${1:-100000}" ${2:+--seed "$2"}
