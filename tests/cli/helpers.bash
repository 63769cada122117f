# What the command-line tests share. ctest sets NETKIT (the program), NETKIT_GENERATE and
# NETKIT_SOURCE (the source tree).
# shellcheck shell=bash disable=SC2154 # bats sets status, output and stderr

bats_require_minimum_version 1.5.0

# A test that cannot run says so; where every test must run (NETKIT_TESTS_MUST_RUN=1) it fails.
cannot_run() { # reason
    if [ "${NETKIT_TESTS_MUST_RUN:-}" = 1 ]; then
        echo "cannot run: $1" >&2
        return 1
    fi
    echo "# SKIP $BATS_TEST_DESCRIPTION: $1" >&3
    skip "$1"
}

# undecided WHAT: whether the last `run` may have failed only since the machine is busy: netkit says
# that it could not decide, and the machine has had more to do than it has processors. It is told, as
# scripts/test counts it.
undecided() {
    local load
    read -r load _ < /proc/loadavg
    [[ $output == *inconclusive* ]] && [ "${load%.*}" -ge "$(nproc)" ] || return 1
    echo "# UNDECIDED $1: inconclusive, with a load average of $load" >&3
}

need() { # program
    command -v "$1" > /dev/null || cannot_run "$1 is not installed"
}

# assert_status N: of the last `run`.
assert_status() {
    [ "$status" -eq "$1" ] || {
        printf 'status %s instead of %s; it said:\n%s\n%s\n' "$status" "$1" "$output" "${stderr:-}" >&2
        return 1
    }
}

# assert_has TEXT: in what the last `run` printed (with --separate-stderr: on standard output).
assert_has() {
    [[ $output == *"$1"* ]] || {
        printf "'%s' is missing in:\n%s\n" "$1" "$output" >&2
        return 1
    }
}

# A line of its own: bats does not notice a failing "! command" before the last line of a test.
refute_has() {
    [[ $output != *"$1"* ]] || {
        printf "'%s' should not be in:\n%s\n" "$1" "$output" >&2
        return 1
    }
}

assert_stderr_has() {
    # shellcheck disable=SC2154 # run --separate-stderr sets it
    [[ $stderr == *"$1"* ]] || {
        printf "'%s' is missing in:\n%s\n" "$1" "$stderr" >&2
        return 1
    }
}

assert_equal() { # actual expected
    [ "$1" = "$2" ] || {
        printf "got:    '%s'\nwanted: '%s'\n" "$1" "$2" >&2
        return 1
    }
}
