#!/bin/sh
# Checks: the poller needs nothing of Linux. It is built as for any other Unix (pipe, fcntl, accept and
# poll(2) with milliseconds instead of pipe2, accept4 and ppoll) and has to pass its own tests and those that
# hold on any event queue. The cfg is for this check; a target folder of its own keeps other builds.
# Costs: a build of the poller, the models without engines, and the tests; two minutes on two cores.
set -eu
cd "$(dirname "$0")/.."
RUSTFLAGS="${RUSTFLAGS-} --cfg netpoller_portable"
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/portable
export RUSTFLAGS CARGO_TARGET_DIR
cargo test --locked --package netpoller
cargo test --locked --package netpoller-tests --test on_poll --test behaviour
