# For scripts that need a tool that may be missing: installs it where that may be done, and counts what is
# skipped without it. To be read by a script (`. ci/lib/tools.sh`), which ends with `tools_end`.
#
# A part of a check that could not be done is said aloud, counted, and makes the check fail, unless it is
# allowed by name: SKIPS_ALLOWED="wrk strace".

tools_skipped=0
tools_red=0

# tools_have COMMAND PACKAGE: whether the tool is there, perhaps by now.
tools_have() {
    command -v "$1" >/dev/null && return 0
    if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
        echo "$1 is missing: installing the package $2"
        # A mirror that does not answer is no reason to wait for ever.
        { timeout 300 apt-get install --yes --no-install-recommends "$2" ||
            { timeout 300 apt-get update && timeout 300 apt-get install --yes --no-install-recommends "$2"; }
        } >/dev/null 2>&1 || echo "$2 could not be installed"
    fi
    command -v "$1" >/dev/null
}

# tools_skip NAME WHAT: a part of the check is not done.
tools_skip() {
    tools_skipped=$((tools_skipped + 1))
    case " ${SKIPS_ALLOWED-} " in
        *" $1 "*) echo "SKIPPED (allowed): $2" ;;
        *)
            echo "SKIPPED: $2 (SKIPS_ALLOWED=\"$1\" allows that)"
            tools_red=$((tools_red + 1))
            ;;
    esac
}

# Says how many parts were skipped; fails if one was that is not allowed.
tools_end() {
    echo "$tools_skipped skipped, $tools_red of them not allowed"
    [ "$tools_red" -eq 0 ]
}
