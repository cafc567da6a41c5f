#!/bin/sh
# Checks: the crates are type-checked for other systems: netpoller-spec for any, netpoller for other Unix
# systems; and that netpoller says what is wrong where there is no Unix.
# Costs: seconds for each target, whose standard library has to be there: `rustup target add` brings it.
#
# Usage: ci/targets.sh [target ...]     (without names: all of them)
set -eu
cd "$(dirname "$0")/.."
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR

for target in ${*:-x86_64-unknown-freebsd x86_64-apple-darwin x86_64-unknown-netbsd x86_64-pc-windows-gnu}; do
    if [ ! -d "$(rustc --print target-libdir --target "$target")" ]; then
        echo "the standard library of $target is missing: rustup target add $target" >&2
        exit 1
    fi
    echo "cargo check --target $target"
    cargo check --locked --package netpoller-spec --target "$target"
    case $target in
        *windows*)
            said=$(cargo check --locked --package netpoller --target "$target" 2>&1) && {
                echo "netpoller was built for $target" >&2
                exit 1
            }
            echo "$said" | grep -q "netpoller needs a Unix" || { echo "$said" >&2; exit 1; }
            ;;
        *) cargo check --locked --package netpoller --target "$target" ;;
    esac
done
