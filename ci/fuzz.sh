#!/bin/sh
# Checks: bytes that a fuzzer chooses (libFuzzer, led by coverage) find nothing in the targets of tests/fuzz: the
# functions of the rules against their tables, oracle and models, the reader of recordings, and programs of
# system calls on the simulated kernel against the one of this machine (Linux). The compiler is the stable one: what
# only another one has is a sanitizer, and the crates under test have no unsafe code to show it.
# Costs: 60 seconds for each of six targets, and a build of three minutes.
#
# Usage: ci/fuzz.sh [seconds for each target] [targets]
#        ci/fuzz.sh --again TARGET FILE      (what a failure prints)
set -eu
cd "$(dirname "$0")/../tests/fuzz"
target=${CARGO_TARGET_DIR:-$PWD/../../target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
work=$target/ci/fuzz
all="slot_and_info machine ledger fd_lock vectors kernel"

# Counters at edges and comparisons, as cargo-fuzz asks for them; for the target alone, not for what builds it.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing"
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$RUSTFLAGS CARGO_TARGET_DIR=$work/build cargo build --locked --quiet --release --target "$host"
programs=$work/build/$host/release

if [ "${1-}" = --again ]; then
    exec "$programs/$2" "$3"
fi
seconds=${1:-60}
[ $# -eq 0 ] || shift

failed=0
for name in ${*:-$all}; do
    corpus=$work/corpus/$name failures=$work/failures/$name
    mkdir -p "$corpus" "$failures"
    echo "$name: $seconds s, from $(find "$corpus" -type f | wc -l) inputs of earlier runs"
    if [ -d "seeds/$name" ]; then
        seeds=seeds/$name
    else
        # Long ones to begin with, anew each time: from nothing a fuzzer takes long to come to long programs.
        seeds=$work/seeds/$name
        rm -rf "$seeds" && mkdir -p "$seeds"
        for number in $(seq 300); do head -c 500 /dev/urandom >"$seeds/$number"; done
    fi
    words=
    [ ! -f "seeds/$name.dict" ] || words=-dict=seeds/$name.dict
    status=0
    # shellcheck disable=SC2086 # words is one word or none
    RUST_BACKTRACE=0 "$programs/$name" -max_total_time="$seconds" -artifact_prefix="$failures/" -print_final_stats=1 \
        -max_len=2048 -len_control=0 $words "$corpus" "$seeds" >"$failures/log" 2>&1 || status=$?
    if [ "$status" -eq 0 ]; then
        grep -E '^#[0-9]+[[:space:]]+DONE' "$failures/log"
        # Of inputs that reach the same the smallest is enough.
        rm -rf "$corpus.small" && mkdir "$corpus.small"
        "$programs/$name" -merge=1 "$corpus.small" "$corpus" "$seeds" >/dev/null 2>&1
        rm -rf "$corpus" && mv "$corpus.small" "$corpus"
    else
        failed=1
        # What the target says of it: all but the fuzzer's progress.
        sed '1,/panicked at/{/panicked at/!d;}; /^note: /,$d; /^NOTE: /,$d' "$failures/log" | cut -c 1-2000 | head -n 30
        found=$(sed -n 's/.*Test unit written to //p' "$failures/log" | tail -n 1)
        echo "FAILED: $name, status $status; again: ci/fuzz.sh --again $name ${found:-(no input: see $failures/log)}"
    fi
done
exit "$failed"
