#!/bin/sh
# Checks: everything that a change has to pass, one check after the other, and prints a table with
# the seconds each took. All are run even if one fails; any failure fails the whole.
#
# A check that hangs is a failure like any other: after a time that no check needs it is killed, with
# everything it has started, and the table says HUNG beside its name. The last lines that it printed say
# where: cargo names each test that has been running for over 60 seconds.
# Costs: see the table in CONTRIBUTING.md; well under 25 minutes on two cores, from nothing.
#
# Usage: ci/all.sh [check ...]     (without names: all quick ones)
# Environment: CHECK_PATIENCE, in seconds: after how long a check counts as hung (2400; 43200 for `deep` and `figures`).
set -u
cd "$(dirname "$0")/.." || exit 2

# Cheap ones first: who forgot to format learns it in the first second.
quick="house fmt seam unsafe cancel rules fences test features additive clippy doc package verify fence-mutants syscalls http soak-minute"
# On a schedule, or by hand.
deep="outside portable peers mutants unique differential fuzz random-programs races soak litmus deep story"
# For machines that have the standard library of other systems.
elsewhere="targets"
# By hand: measures, and judges nothing.
measures="figures"

run() {
    case $1 in
        house) house ;;
        # The suites of scenarios are left to `features` (on loom alone) and to `verify` (all, side by side).
        test) cargo test --locked --workspace --all-features --no-fail-fast -- --skip every_scenario_on_ ;;
        verify) verify ;;
        # The fences: what no test on this machine and no other engine would miss.
        fence-mutants) check mutants --keep-going fence ;;
        unique) ci/mutants.sh --unique ;;
        soak-minute) ci/soak.sh 1 ;;
        *) "ci/$1.sh" ;;
    esac
}

# `cargo verify`, with the program that the check `test` has built: the same, and not built once more.
check() {
    cargo build --locked --quiet --workspace --all-features --bin netpoller-check || return
    "${CARGO_TARGET_DIR:-target}/debug/netpoller-check" "$@"
}

# What it says is also left for those who read it by program: target/ci/verify.{json,xml,md}.
verify() {
    mkdir -p target/ci
    check run --json=target/ci/verify.json --junit target/ci/verify.xml --summary target/ci/verify.md
}

# Every script is in one of the lists and in the table of CONTRIBUTING.md.
house() {
    missing=0
    for script in ci/*.sh; do
        name=$(basename "$script" .sh)
        [ "$name" = all ] && continue
        case " $quick $deep $elsewhere $measures " in
            *" $name "*) ;;
            *) echo "$script is in no list of ci/all.sh" && missing=1 ;;
        esac
        [ -x "$script" ] || { echo "$script is not executable" && missing=1; }
    done
    for name in $quick $deep $elsewhere $measures; do
        grep -q "^| \`$name\` |" CONTRIBUTING.md ||
            { echo "$name is not in the table of CONTRIBUTING.md" && missing=1; }
    done
    return "$missing"
}

# What a watched check is: this script again, in a process group of its own.
if [ "${1-}" = --watched ]; then
    run "$2"
    exit
fi

patience() {
    case $1 in
        deep | figures) echo "${CHECK_PATIENCE:-43200}" ;;
        *) echo "${CHECK_PATIENCE:-2400}" ;;
    esac
}

# Runs a check; 124 or 137 if it was killed. timeout(1) puts it into a group and kills the group.
watched() {
    timeout --kill-after=30 "$(patience "$1")" ci/all.sh --watched "$1" </dev/null &
    guard=$!
    wait "$guard"
}

command -v timeout >/dev/null || { echo "ci/all.sh: timeout is missing (coreutils)" >&2; exit 2; }
guard=
# A group of its own does not hear of a key that interrupts: it is told.
trap '[ -z "$guard" ] || kill "$guard"; exit 130' INT TERM

failed=0
table=
for check in ${*:-$quick}; do
    echo
    echo "=== $check"
    begin=$(date +%s)
    watched "$check"
    case $? in
        0) result=passed ;;
        124 | 137) result=HUNG failed=1 ;;
        *) result=FAILED failed=1 ;;
    esac
    took=$(($(date +%s) - begin))
    echo "=== $check $result after $took s"
    [ "$result" != HUNG ] || echo "=== FAILED: $check hangs, and was killed; its last lines say where"
    table="$table$(printf '%-13s %-7s %5d s' "$check" "$result" "$took")
"
done

echo
echo "check         result  seconds"
printf '%s' "$table"
exit "$failed"
