#!/bin/sh
# Checks: every scenario on every engine, with no limit but time: what a quick run cuts goes on for ten
# minutes, and says how far it came. Engines that sample take 15,000 samples, shuttle as many again by
# priorities, from a seed that is another one each time; it is printed, and a failure says the command
# that repeats it.
# Costs: ten minutes of one core for each run that does not come to its end, about a hundred of them:
# eight hours on two cores. So it can be cut into parts for several machines, and put together again:
#
#     ci/deep.sh 1/12              on the first of twelve, and so on
#     cargo verify merge target/ci/deep-*.json
#
# A part that was interrupted goes on where it was when it is run again with the same program
# (target/ci/deep-PART-of-OF.journal); a part that came to its end begins anew.
#
# Usage: ci/deep.sh [part/of]
# Environment: DEEP_SECONDS, for each run (600). Writes target/ci/deep-PART-of-OF.{json,xml,md}.
set -eu
cd "$(dirname "$0")/.."
part=${1:-1/1}
out=target/ci/deep-${part%/*}-of-${part#*/}
mkdir -p target/ci
cargo verify run --deep --seconds "${DEEP_SECONDS:-600}" --shard "$part" \
    --journal "$out.journal" --json="$out.json" --junit "$out.xml" --summary "$out.md"
rm "$out.journal"
