#!/bin/sh
# Checks: all nondeterminism of the poller comes through the seam.
#   1. Nothing in impl/src outside seam/ and sys/ names std::sync, std::thread, std::time, std::net,
#      core::sync::atomic or libc. Comments and their examples may.
#   2. No model checker and no simulated kernel is in the dependency tree of netpoller, nor anything
#      else than netpoller-spec and libc, and, where a feature asks for it, tracing, futures-io and what the
#      runtime is built on; netpoller-spec has no dependency at all.
# Costs: a second.
set -eu
cd "$(dirname "$0")/.."
failed=0

found=$(find impl/src -name '*.rs' ! -path 'impl/src/seam/*' ! -path 'impl/src/sys/*' -exec awk '
    { code = $0; sub(/\/\/.*/, "", code) }
    code ~ /(std|core|alloc)::(sync|thread|time|net)|(^|[^a-z_])libc([^a-z_]|$)|thread_local!/ {
        # A duration is a number; it asks no clock.
        if (code !~ /core::time::Duration/) print FILENAME ":" FNR ": " $0
    }' {} +)
if [ -n "$found" ]; then
    echo "impl/src reaches around the seam:"
    echo "$found"
    failed=1
fi

# $2: a flag, or none.
tree() {
    # shellcheck disable=SC2086 # none is no argument
    cargo tree --locked --package "$1" $2 --edges no-dev --prefix none --format '{p}' |
        cut -d' ' -f1 | sort -u | tr '\n' ' '
}
expect() {
    if [ "$2" != "$3" ]; then
        echo "the dependencies of $1 are: $2"
        echo "expected:$(printf ' %s' "$3")"
        failed=1
    fi
}
expect netpoller "$(tree netpoller '')" "libc netpoller netpoller-spec "
expect "netpoller with all features" "$(tree netpoller --all-features)" \
    "async-task crossbeam-deque crossbeam-epoch crossbeam-utils futures-io libc netpoller netpoller-spec pin-project-lite tracing tracing-core "
expect netpoller-spec "$(tree netpoller-spec --all-features)" "netpoller-spec "

[ "$failed" -eq 0 ] && echo "the seam is the only way in"
exit "$failed"
