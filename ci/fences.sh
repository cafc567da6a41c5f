#!/bin/sh
# Checks: every fence of the poller is in the table of impl/src/README.md, which says what it pairs
# with; and nothing is there that is not in the code.
# Costs: a second.
set -eu
cd "$(dirname "$0")/.."
code=$(grep -c 'S::fence(Ordering::SeqCst);' impl/src/*.rs | sed -n 's/^impl\/src\/\(.*\):\([1-9][0-9]*\)$/\1 \2/p' | sort)
table=$(sed -n 's/^| `\([a-z_]*\.rs\)` | `.*` | NP-.*/\1/p' impl/src/README.md | sort | uniq -c | awk '{ print $2, $1 }')
if [ "$code" != "$table" ]; then
    printf 'fences in the code:\n%s\nfences in impl/src/README.md:\n%s\n' "$code" "$table"
    exit 1
fi
echo "every fence is accounted for"
