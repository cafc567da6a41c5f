#!/bin/sh
# Checks: the documentation of every public async function of the poller says what becomes of it when its
# future is dropped: a paragraph that begins with "Cancel safety:". Those that macros make count too.
# Costs: a second.
set -eu
cd "$(dirname "$0")/.."

find impl/src -name '*.rs' -exec awk '
    FNR == 1 { doc = "" }
    /^[ \t]*\/\/\// { doc = doc $0; next }
    /^[ \t]*\$?#?\[/ || /^[ \t]*\$\(#\[/ { next }
    /^[ \t]*pub (async fn|fn async_)/ {
        count++
        if (doc !~ /\/\/\/ Cancel safety: /) {
            print FILENAME ":" FNR ": nothing about cancel safety: " $0
            bad = 1
        }
    }
    { doc = "" }
    END {
        if (bad || !count) exit 1
        print count " public async functions, each with its cancel safety"
    }' {} +
