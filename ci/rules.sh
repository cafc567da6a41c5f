#!/bin/sh
# Checks: SPEC.md, the code and the tests speak of the same rules.
#   1. Every rule of spec/SPEC.md is cited in the code (spec/src, impl/src without test modules).
#   2. Every rule is cited in a test or a scenario (test modules, spec/tests, impl/tests, models, tests).
#   3. Every rule that is cited anywhere in the repository exists. Numbers of three digits name no
#      rule and are free for tests that need one that does not exist.
# A citation says where a rule is meant to be obeyed or tested; that the test would notice is what
# the mutants show.
# Costs: a second.
set -eu
cd "$(dirname "$0")/.."

files=$(find spec impl models tests ci -type f \
    \( -name '*.rs' -o -name '*.md' -o -name '*.toml' -o -name '*.sh' \) ! -path '*/target/*')
# shellcheck disable=SC2086 # the names of the files hold no blanks
found=$(awk '
    FNR == 1 {
        # A file under src is code down to its test module; everything else is a test. Pages are neither.
        test = FILENAME ~ /^(spec|impl)\/tests\// || FILENAME ~ /^(models|tests)\//
        code = FILENAME ~ /^(spec|impl)\/src\/.*\.rs$/ && FILENAME != "impl/src/guide.rs"
    }
    FILENAME == "spec/SPEC.md" && /^#### NP-/ { rule[$2] = 1; next }
    /^#\[cfg\(test\)\]/ { code = 0; test = 1 }
    {
        line = $0
        while (match(line, /NP-[A-Z]+-[0-9]+/)) {
            name = substr(line, RSTART, RLENGTH)
            line = substr(line, RSTART + RLENGTH)
            if (name ~ /-[0-9][0-9][0-9]+$/) continue
            if (!(name in first)) first[name] = FILENAME ":" FNR
            if (code) in_code[name] = 1
            if (test && FILENAME ~ /\.rs$/) in_test[name] = 1
        }
    }
    END {
        for (name in first) if (!(name in rule)) print first[name] ": " name " is no rule of SPEC.md"
        for (name in rule) {
            rules++
            if (!(name in in_code)) print name " is cited by no code"
            if (!(name in in_test)) print name " is cited by no test and no scenario"
        }
        if (rules == 0) print "spec/SPEC.md holds no rule"
    }' $files | sort)
if [ -n "$found" ]; then
    echo "$found"
    exit 1
fi
echo "$(grep -c '^#### NP-' spec/SPEC.md) rules, each cited by code and by a test"
