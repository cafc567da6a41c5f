#!/usr/bin/env bash
# Checks: a server of others on top of ours. tests/http is a workspace of its own: hyper, over our streams by
# the traits of futures-io, on our runtime. curl and clients by hand talk to it: answers, keep-alive, bodies of
# some MB in both directions, chunks, a header that comes byte by byte and one that never ends, clients that
# break off; wrk puts load on it. Then it is stopped in the middle of an answer, which has to arrive, and once
# more while a client does not read, which must not keep it. Both times its counters have to balance:
# connections, requests, tasks, descriptors, and what the poller has registered.
# Costs: a build of hyper, half a minute on two cores; then 15 seconds.
#
# Needs curl. wrk is installed if it is missing and may be (Debian, root); without it the load is
# skipped, which is red unless SKIPS_ALLOWED has "wrk" in it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=ci/lib/tools.sh
. ci/lib/tools.sh
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
export CARGO_TARGET_DIR

tools_have curl curl || { echo "ci/http.sh: curl is missing" >&2; exit 2; }
(cd tests/http && cargo fmt --check && cargo clippy --locked --quiet --all-targets -- -D warnings &&
    cargo build --locked --quiet)

work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

fail() {
    echo "FAILED: $1" >&2
    echo "the server has said:" >&2
    cat "$work/out" >&2
    exit 1
}

# same WHAT EXPECTED FOUND
same() {
    [ "$2" = "$3" ] || fail "$1: expected '$2', and got '$3'"
    echo "ok: $1"
}

# Starts the server with these options. It lives as long as descriptor 9 is open.
start() {
    rm -f "$work/in"
    mkfifo "$work/in"
    "$CARGO_TARGET_DIR/debug/http-server" "$@" <"$work/in" >"$work/out" 2>&1 &
    server=$!
    exec 9>"$work/in"
    until grep -q '^listening on ' "$work/out"; do
        kill -0 "$server" 2>/dev/null || fail "the server did not start"
        sleep 0.05
    done
    address=$(sed -n 's/^listening on //p' "$work/out")
    url=http://$address
}

# Tells it to end.
stop() {
    exec 9>&-
}

# Waits for its end, and sees that the books balance.
ended() {
    wait "$server" || fail "the server has ended with status $?"
    server=
    grep -qx 'the books balance' "$work/out" || fail "the books do not balance"
    sed 's/^/    /' "$work/out"
}

# The number before these words in what the server has printed at its end.
counted() {
    sed -n "s/.*[ :]\([0-9][0-9]*\) $1.*/\1/p" "$work/out" | head -n 1
}

# curl, which does not keep the server alive; a transfer that stands still for a minute is a failure.
get() {
    curl --silent --show-error --speed-limit 1 --speed-time 60 "$@" 9>&-
}

# Nobody here is slow but on purpose: deadlines that no machine misses.
start --idle-ms 3600000 --request-ms 3600000 --grace-ms 3600000

same "GET" "served by netpoller" "$(get "$url/")"
same "three requests over one connection" "1 0 0 " \
    "$(get -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' "$url/" "$url/bytes/100000" "$url/stream/10")"
same "HEAD has no body" "200 100000 0" \
    "$(get --head -o /dev/null -w '%{http_code} %header{content-length} %{size_download}' "$url/bytes/100000")"
same "404" "404" "$(get -o /dev/null -w '%{http_code}' "$url/nowhere")"
same "405" "405 POST" "$(get -o /dev/null -w '%{http_code} %header{allow}' "$url/echo")"

head -c 8000000 /dev/urandom >"$work/sent"
get --data-binary @"$work/sent" -o "$work/received" "$url/echo" || fail "POST: curl says $?"
same "POST: 8 MB come back" "$(sha256sum <"$work/sent")" "$(sha256sum <"$work/received")"
get -H 'Transfer-Encoding: chunked' --data-binary @"$work/sent" -o "$work/received" "$url/echo" ||
    fail "POST in chunks: curl says $?"
same "POST in chunks: 8 MB come back" "$(sha256sum <"$work/sent")" "$(sha256sum <"$work/received")"
seq -f 'line %.0f' 20000 >"$work/lines"
same "an answer in chunks" "chunked" \
    "$(get -o "$work/received" -w '%header{transfer-encoding}' "$url/stream/20000")"
same "and all lines of it" "$(sha256sum <"$work/lines")" "$(sha256sum <"$work/received")"

# Clients by hand, on descriptor 8.
dial() {
    exec 8<>"/dev/tcp/${address%:*}/${address##*:}"
}

dial
request=$'GET / HTTP/1.1\r\nHost: slow\r\nConnection: close\r\n\r\n'
for ((place = 0; place < ${#request}; place++)); do
    printf '%s' "${request:place:1}" >&8
done
same "a header that comes byte by byte" "served by netpoller" "$(tail -n 1 <&8)"
exec 8>&-

dial
printf 'not HTTP at all\r\n\r\n' >&8
same "another protocol" "HTTP/1.1 400 Bad Request" "$(head -n 1 <&8 | tr -d '\r')"
exec 8>&-

for _ in 1 2 3; do
    { get "$url/bytes/1000000000000" 2>/dev/null || true; } | head -c 100000 >/dev/null
done
echo "ok: three clients have broken off in the middle of an answer"
dial
printf 'POST /echo HTTP/1.1\r\nHost: gone\r\nContent-Length: 1000000\r\n\r\nhalf' >&8
exec 8>&-
echo "ok: one has broken off in the middle of a request"
same "the others are still served" "served by netpoller" "$(get "$url/")"

if tools_have wrk wrk; then
    wrk --threads 2 --connections 64 --duration 2s "$url/" >"$work/wrk" 9>&- || fail "wrk has failed"
    sed 's/^/    /' "$work/wrk"
    served=$(sed -n 's/^ *\([0-9][0-9]*\) requests in .*/\1/p' "$work/wrk")
    [ "${served:-0}" -gt 0 ] || fail "wrk: no request was served"
    ! grep -Ei 'socket errors|non-2xx' "$work/wrk" || fail "wrk: there were errors"
    echo "ok: wrk, $served requests, no error"
else
    served=0
    tools_skip wrk "the load by wrk"
fi

# Told to end in the middle of an answer: it goes on to its last line, and nobody else is let in.
get "$url/stream/40/25" >"$work/received" &
client=$!
until [ -s "$work/received" ]; do
    kill -0 "$client" 2>/dev/null || fail "the answer is over before its first line"
    sleep 0.02
done
stop
wait "$client" || fail "the answer was broken off by the end of the server: curl says $?"
same "an answer is finished after the server was told to end" \
    "$(seq -f 'line %.0f' 40 | sha256sum)" "$(sha256sum <"$work/received")"
ended
if get -o /dev/null "$url/" 2>/dev/null; then fail "somebody listens after the end"; fi
same "tasks that the grace period did not suffice for" 0 "$(counted 'were cancelled')"
same "connections that a deadline has ended" 0 "$(counted expired)"
[ "$(counted dropped)" -gt 0 ] || fail "no answer was counted as dropped, and clients have broken off"
[ "$(counted 'answered')" -gt "$served" ] || fail "fewer answers than wrk has seen"

# Deadlines: of the header, and of the whole of a request.
start --idle-ms 200 --request-ms 300
dial
printf 'GET / HTTP/1.1\r\nHost: ' >&8
same "a header that does not end is cut off" "" "$(cat <&8)"
exec 8>&-
dial
printf 'GET /bytes/1000000000000 HTTP/1.1\r\nHost: long\r\n\r\n' >&8
cat <&8 >/dev/null
exec 8>&-
echo "ok: an answer that takes longer than a request may is cut off"
stop
ended
same "connections that a deadline has ended" 2 "$(counted expired)"

# A client that does not read keeps nobody from ending, for longer than the grace period.
start --grace-ms 200
dial
printf 'GET /bytes/1000000000000 HTTP/1.1\r\nHost: deaf\r\n\r\n' >&8
head -c 100 <&8 >/dev/null
stop
ended
exec 8>&-
same "a client that does not read is cut off by the end of the grace period" 1 "$(counted 'were cancelled')"

tools_end
