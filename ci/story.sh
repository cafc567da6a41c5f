#!/usr/bin/env bash
# Checks: a failure explains itself. Puts a known bug into a copy of the sources, and then
#   - `run` finds it, on three engines, and writes each failure to a file;
#   - `replay` reproduces it from each file, and says that it is gone where the bug is not in;
#   - `story --html` makes a page of each, and a browser shows all of it: as many steps as the file
#     has, the cause, a line for each thread, no text that is wider than its box.
# Costs: a build of the copy, some two minutes on two cores; a browser, if it has to be installed.
#
# The browser is Chromium, Debian's package `chromium`, which is installed here on a machine of
# Debian's kind, for root. SKIP_BROWSER=1 leaves that part out, and says so.
#
# Usage: ci/story.sh            (the files and pages stay in target/story)
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
work=$root/target/story
failed() { echo "ci/story.sh: $*" >&2; exit 1; }

browser=
find_browser() { browser=$(command -v chromium || command -v chromium-browser || true); }
if [ "${SKIP_BROWSER:-}" = 1 ]; then
    echo "SKIPPED: no browser looks at the pages, because SKIP_BROWSER=1"
else
    find_browser
    if [ -z "$browser" ] && command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        echo "chromium is missing: installing it with apt-get"
        apt-get install --yes --no-install-recommends chromium >/dev/null ||
            { apt-get update && apt-get install --yes --no-install-recommends chromium >/dev/null; }
        find_browser
    fi
    [ -n "$browser" ] ||
        failed "there is no chromium. Debian: apt-get install chromium; or SKIP_BROWSER=1 without it."
fi

# The sources as they are, and a copy in which nobody looks at the info word after parking.
tree=$work/tree
rm -rf "$tree" "$work/failures" "$work/pages"
mkdir -p "$tree" "$work/failures" "$work/pages"
for part in Cargo.toml Cargo.lock .cargo spec impl models tests; do
    cp -rp "$part" "$tree/"
done
there='let Err(reason) = self.check(mode) else {'
[ "$(grep -cF "$there" "$tree/impl/src/desc.rs")" -eq 1 ] ||
    failed "impl/src/desc.rs does not hold the line that is to be broken: $there"
sed -i "s/let Err(reason) = self\.check(mode) else {/let Err(reason) = Ok::<(), Reason>(()) else {/" \
    "$tree/impl/src/desc.rs"

# Each in a target directory of its own: cargo tells two copies of a workspace apart by the times of
# their files only, and would take what it built of one for the other.
build() { cargo build --locked --quiet --package netpoller-models --features cli --bin netpoller-check; }
build
target=$(cargo metadata --format-version 1 --no-deps --offline 2>/dev/null |
    sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')
sound=${target:-$root/target}/debug/netpoller-check
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=false
(cd "$tree" && CARGO_TARGET_DIR=$work/target build)
broken=$work/target/debug/netpoller-check

for engine in explore shuttle loom-sc; do
    if "$broken" run park_close stream_close --engine "$engine" --failures "$work/failures" \
        >"$work/run.$engine.txt" 2>&1; then
        failed "$engine has not found the bug; see $work/run.$engine.txt"
    fi
done
# A long one: two tasks, a poller and deadlines on the simulated kernel.
if "$broken" run earlier_deadline_wakes --engine shuttle --failures "$work/failures" >"$work/run.long.txt" 2>&1; then
    failed "shuttle has not found the bug among deadlines; see $work/run.long.txt"
fi
for file in park_close.explore park_close.shuttle park_close.loom-sc stream_close.explore \
    earlier_deadline_wakes_the_sleeping_poller.shuttle; do
    [ -s "$work/failures/$file.json" ] || failed "$file.json was not written"
done

# Runs a command and compares its exit code.
expect() {
    local code=0
    "${@:2}" >"$work/last.txt" 2>&1 || code=$?
    case " $1 " in
        *" $code "*) ;;
        *) cat "$work/last.txt" >&2; failed "${*:2}: exit code $code, expected ${1// / or }" ;;
    esac
}

files=0
for file in "$work"/failures/*.json; do
    name=$(basename "$file" .json)
    expect 1 "$broken" replay "$file"
    # Without the bug nothing fails. In the two large scenarios a thread that is not the one that sleeps for
    # ever may do something else before the end of the list, which the replay says.
    case $name in
        stream_close_reader_and_writer.*|stream_close_with_traffic.*)
            expect "0 125" "$sound" replay "$file"
            grep -Eq '^(ended well|diverged at step)' "$work/last.txt" ||
                { cat "$work/last.txt" >&2; failed "$file fails without the bug"; } ;;
        *) expect 0 "$sound" replay "$file" ;;
    esac
    grep -q NP-WAIT-3 "$file" || failed "$file does not name the rule that broke"
    page=$work/pages/$name.html
    "$sound" story "$file" --html "$page" >/dev/null
    files=$((files + 1))
    [ -n "$browser" ] || continue

    rows=$(awk '/^  "rows": \[/ { on = 1 } /^  "ends": \[/ { on = 0 } on && /^      "thread":/ { n++ } END { print n + 0 }' "$file")
    threads=$(awk '/^  "ends": \[/ { on = 1 } /^  "steps": \[/ { on = 0 } on && /^      "thread":/ { n++ } END { print n + 0 }' "$file")
    dom=$work/pages/$name.dom
    show() {
        "$browser" --headless --no-sandbox --disable-gpu --disable-background-networking \
            --user-data-dir="$work/profile" --window-size=1500,1000 "$@" "file://$page" 2>"$work/browser.txt"
    }
    show --dump-dom >"$dom" || { cat "$work/browser.txt" >&2; failed "the browser has failed"; }
    html=$(grep -m1 '<html' "$dom")
    for fact in "data-steps=\"$rows\"" "data-lifelines=\"$threads\"" 'data-overflow="0"'; do
        case $html in
            *"$fact"*) ;;
            *) failed "$page: expected $fact, the browser says: $html" ;;
        esac
    done
    [ "$rows" -gt 0 ] || failed "$file has no steps"
    # The beginning of the cause, as the file says it after the kind of the failure.
    cause=$(sed -n 's/^  "headline": "[a-z]*: \(.\{60\}\).*/\1/p' "$file")
    [ -n "$cause" ] || failed "$file names no cause"
    tr '\n' ' ' <"$dom" | grep -qF "<h1 id=\"cause\">$cause" ||
        failed "$page does not show the cause"
    show --screenshot="$work/pages/$name.png" >/dev/null
    echo "$name: $rows steps, $threads threads"
done
echo "$files failures: reproduced with the bug, gone without it, each shown as a page in $work/pages"
