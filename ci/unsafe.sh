#!/bin/sh
# Checks: unsafe code is in impl/src/sys, tests/src/sys.rs and the folder beside it, tests/peers/src/sys.rs and impl/examples/io_models/sys.rs only, and each
# unsafe block or impl there has a SAFETY comment within the six lines above it. (That a block holds one operation, and
# that every block is commented, clippy checks too; this script needs no build.)
# Costs: a second.
set -eu
cd "$(dirname "$0")/.."

find spec impl models tests -name '*.rs' ! -path '*/target/*' -exec awk '
    FNR == 1 { safety = -100 }
    /SAFETY:/ { safety = FNR }
    {
        code = $0
        gsub(/"[^"]*"/, "", code)        # strings
        sub(/\/\/.*/, "", code)          # comments
        if (code !~ /(^|[^a-z_])unsafe([^a-z_]|$)/) next
        allowed = FILENAME ~ /^impl\/src\/sys\// || FILENAME ~ /^tests\/src\/sys(\.rs$|\/)/ ||
            FILENAME == "impl/examples/io_models/sys.rs" || FILENAME == "tests/peers/src/sys.rs"
        if (!allowed) {
            print FILENAME ":" FNR ": unsafe outside of its places: " $0
            bad = 1
        } else if (code ~ /unsafe( impl|[ ]*\{)/ && FNR - safety > 6) {
            print FILENAME ":" FNR ": no SAFETY comment: " $0
            bad = 1
        } else {
            count++
        }
    }
    END {
        if (bad) exit 1
        print count + 0 " places with unsafe, each where it may be"
    }' {} +
