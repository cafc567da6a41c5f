#!/bin/sh
# Checks: every known bug and every broken rule in models/mutants, put into a copy of the sources one at
# a time, is caught by the scenario or test that its entry names, and in the way it names. A mutant
# that survives fails, and so does one that nobody can build. First the copy as it is has to pass.
# Costs: six to seven seconds of one core per mutant, most of it building: five minutes on two idle
# cores. The dependencies of the copies are built once, in target/mutants: three minutes more in a
# fresh clone.
#
# Usage: ci/mutants.sh [part/of] [arguments of `cargo verify mutants`]
# The second of four machines runs `ci/mutants.sh 2/4`; the parts together are all mutants.
set -eu
cd "$(dirname "$0")/.."
case ${1-} in
    [0-9]*/[0-9]*)
        part=$1
        shift
        set -- --shard "$part" "$@"
        ;;
esac
cargo verify mutants --keep-going "$@"
