#!/usr/bin/env bash
# Checks: nothing is left behind by a server that runs for long among hostile peers. The program `soak` (tests/src/bin/soak)
# has connections come and go, deadlines that expire and are moved, futures that are dropped, tasks that
# are aborted, closes while others wait, a table of descriptors that is full; its peers reset, send urgent
# bytes, pass descriptors, shut one direction, say nothing. After each round of some seconds everything has
# to balance: descriptors, tasks, wakers, sources, breaks, entries in the queue of timers; and memory has to
# be flat from the middle to the end. In the last third of the time strace interrupts every seventh read,
# write and wait of each thread (EINTR), and every eleventh accept4 and socket finds no descriptor (EMFILE).
# Costs: a build, and the minutes that it is given; a minute takes a little longer, for each part has six rounds.
#
# strace is installed if it is missing and may be (Debian, root); without it that part is skipped,
# which is red unless SKIPS_ALLOWED has "strace" in it.
#
# Usage: ci/soak.sh [minutes]     (10)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=ci/lib/tools.sh
. ci/lib/tools.sh

minutes=${1:-10}
[[ $minutes =~ ^[1-9][0-9]*$ ]] || { echo "usage: ci/soak.sh [minutes]" >&2; exit 2; }
seconds=$((60 * minutes))
target=${CARGO_TARGET_DIR:-$PWD/target}
cargo build --locked --quiet --package netpoller-tests --features runtime --bin soak

echo "=== as it is"
"$target/debug/soak" $((seconds * 2 / 3))

interrupted=read,write,readv,writev,recvfrom,sendto,accept4,epoll_wait,epoll_pwait,epoll_pwait2
echo "=== with calls that are interrupted and calls that fail"
# Whether strace may trace here: a container may forbid it.
if tools_have strace strace && strace -qq -o /dev/null true; then
    counts=$(mktemp)
    trap 'rm -f "$counts"' EXIT
    # The first sockets of a thread are those of the listeners.
    strace -f -qq -o "|awk '/INJECTED/ { n[/EMFILE/ ? \"EMFILE\" : \"EINTR\"]++ } END { print n[\"EINTR\"] + 0, n[\"EMFILE\"] + 0 }' >$counts" \
        -e trace="$interrupted,socket" \
        -e inject="${interrupted/accept4,/}:error=EINTR:when=5+7" \
        -e inject=accept4,socket:error=EMFILE:when=40+11 \
        "$target/debug/soak" $((seconds / 3)) --injected
    read -r eintr emfile <"$counts"
    echo "$eintr calls were interrupted, $emfile found no descriptor"
    [ "$eintr" -gt 0 ] && [ "$emfile" -gt 0 ] || { echo "strace has injected nothing" >&2; exit 1; }
else
    tools_skip strace "calls that are interrupted and calls that fail"
fi

tools_end
