#!/usr/bin/env bash
# Counts the system calls of a round trip over a pair of Unix sockets and compares them with
# what the interface allows: 8.0 (per byte: write, read, a read that finds nothing, wait). The same
# with a deadline for each read, which moves forward every time, and as tasks of a runtime with one worker,
# which sleeps in the kernel itself: not a call more. Over TCP 6.0: a read after a short one waits first.
#
# Runs the examples `pingpong` and `runtime_pingpong` under strace with N and with 2 N round trips; the difference divided
# by N is free of everything that start-up and shutdown cost. Takes a few seconds. Exact, so it
# fails on a single call more per thousand round trips.
#
# Usage: ci/syscalls.sh [N]           (N defaults to 2000)
set -euo pipefail
cd "$(dirname "$0")/.."

rounds=${1:-2000}
expected=8.0

if ! command -v strace >/dev/null; then
    echo "ci/syscalls.sh: strace is not installed. Debian, Ubuntu: apt-get install strace." >&2
    exit 2
fi

target=$(cargo metadata --format-version 1 --no-deps --offline 2>/dev/null |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
cargo build --quiet --release --package netpoller --features runtime --example pingpong --example runtime_pingpong
examples=${target:-target}/release/examples

report=$(mktemp)
trap 'rm -f "$report"' EXIT

# All system calls of all threads of one run of a program.
count() {
    strace -f -c -U calls,name -o "$report" "$examples/$1" "${@:2}" >/dev/null
    awk '$2 == "total" { print $1 }' "$report"
}

# Measures the slope of an example; the other arguments are handed to it.
measure() {
    local once twice program=$1
    shift
    once=$(count "$program" "$rounds" "$@")
    twice=$(count "$program" $((2 * rounds)) "$@")
    if ! [[ $once =~ ^[0-9]+$ && $twice =~ ^[0-9]+$ ]]; then
        echo "ci/syscalls.sh: strace gave no totals ($once, $twice); its report was:" >&2
        cat "$report" >&2
        exit 2
    fi
    awk -v once="$once" -v twice="$twice" -v rounds="$rounds" -v expected="$expected" -v how="$*" -v program="$program" 'BEGIN {
        slope = (twice - once) / rounds
        printf "%s, %d round trips%s: %d system calls; %d: %d. Per round trip %.4f, expected %.1f.\n",
            program, rounds, how == "" ? "" : how == "tcp" ? " over TCP" : " with a " how " each", once, 2 * rounds, twice, slope, expected
        off = slope - expected
        exit (off > 0.001 || off < -0.001) ? 1 : 0
    }' || {
        echo "ci/syscalls.sh: the number of system calls per round trip has changed. The last run:" >&2
        cat "$report" >&2
        exit 1
    }
}

measure pingpong
measure pingpong deadline
expected=6.0 measure pingpong tcp
# Its threads begin and end with a few calls more or less: five times as many round trips.
rounds=$((5 * rounds)) measure runtime_pingpong
