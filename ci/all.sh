#!/bin/sh
# Checks: everything that a change has to pass, one check after the other, and prints a table with
# the seconds each took. All are run even if one fails; any failure fails the whole.
# Costs: see the table in CONTRIBUTING.md; well under 25 minutes on two cores, from nothing.
#
# Usage: ci/all.sh [check ...]     (without names: all quick ones)
set -u
cd "$(dirname "$0")/.." || exit 2

# Cheap ones first: who forgot to format learns it in the first second.
quick="house fmt seam unsafe rules fences test features additive clippy doc verify fence-mutants syscalls"
# On a schedule, or by hand.
deep="mutants unique differential soak litmus"

run() {
    case $1 in
        house) house ;;
        test) cargo test --locked --workspace --all-features ;;
        verify) cargo verify run ;;
        # The fences: what no test on this machine and no other engine would miss.
        fence-mutants) ci/mutants.sh fence ;;
        unique) ci/mutants.sh --unique ;;
        *) "ci/$1.sh" ;;
    esac
}

# Every script is in one of the lists and in the table of CONTRIBUTING.md.
house() {
    missing=0
    for script in ci/*.sh; do
        name=$(basename "$script" .sh)
        [ "$name" = all ] && continue
        case " $quick $deep " in
            *" $name "*) ;;
            *) echo "$script is in no list of ci/all.sh" && missing=1 ;;
        esac
        [ -x "$script" ] || { echo "$script is not executable" && missing=1; }
    done
    for name in $quick $deep; do
        grep -q "^| \`$name\` |" CONTRIBUTING.md ||
            { echo "$name is not in the table of CONTRIBUTING.md" && missing=1; }
    done
    return "$missing"
}

failed=0
table=
for check in ${*:-$quick}; do
    echo
    echo "=== $check"
    begin=$(date +%s)
    if (run "$check"); then result=passed; else result=FAILED failed=1; fi
    took=$(($(date +%s) - begin))
    echo "=== $check $result after $took s"
    table="$table$(printf '%-10s %-7s %5d s' "$check" "$result" "$took")
"
done

echo
echo "check      result  seconds"
printf '%s' "$table"
exit "$failed"
