# What the README tells people to type works, and what it says is so. Its commands run against the
# server that it speaks of, on a port of their own.

# shellcheck disable=SC2016 # backquotes are Markdown's
load helpers

setup_file() {
    export LC_ALL=C.UTF-8 NO_COLOR=1
    export SITE=$BATS_FILE_TMPDIR/site
    mkdir "$SITE"
    printf '<p>hello\n' > "$SITE/index.html"
    cat > "$BATS_FILE_TMPDIR/server.py" << 'PYTHON'
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer, test
test(SimpleHTTPRequestHandler, ThreadingHTTPServer, "HTTP/1.1", 0, "127.0.0.1")
PYTHON
    cd "$SITE" || return 1
    # Not to bats: a descriptor of its that stays open would make it wait.
    /usr/bin/python3 -u "$BATS_FILE_TMPDIR/server.py" > "$BATS_FILE_TMPDIR/log" 2>&1 3>&- &
    export SERVER=$! PORT=
    local tries=400
    while [ -z "$PORT" ] && [ $((tries -= 1)) -gt 0 ] && kill -0 "$SERVER"; do
        PORT=$(sed -n 's/^Serving HTTP on .* port \([0-9]*\) .*/\1/p' "$BATS_FILE_TMPDIR/log")
        [ -n "$PORT" ] || sleep 0.05
    done
    [ -n "$PORT" ] || { cat "$BATS_FILE_TMPDIR/log" >&2; return 1; }
}

teardown_file() {
    kill "$SERVER"
    wait "$SERVER" || :
}

setup() {
    # The commands say "netkit" and "localhost:8000".
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$NETKIT" "$BATS_TEST_TMPDIR/bin/netkit"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
    cd "$BATS_TEST_TMPDIR" || return 1
}

# The lines of the README's blocks of that language.
blocks() { # language
    sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p}" "$NETKIT_SOURCE/README.md"
}

# Text with its numbers and line breaks taken out.
shape() {
    sed -E 's/[0-9]+(\.[0-9]+)? ?(ns|µs|ms|s)\b/T/g; s/[0-9]+/N/g' | tr -s ' \n' ' '
}

@test "the README opens with two commands that exist" {
    local first
    first=$(blocks sh | head -2 | paste -sd ' ')
    assert_equal "$first" "scripts/demo scripts/test"
    for script in $first; do
        [ -x "$NETKIT_SOURCE/$script" ] || { echo "$script cannot be run" >&2; return 1; }
    done
}

@test "the README's netkit commands run, with the status that it gives" {
    local line status_wanted count=0
    while read -r line; do
        [[ $line == "netkit "* ]] || continue
        status_wanted=0
        [[ ! $line =~ '# status '([0-9]+)$ ]] || status_wanted=${BASH_REMATCH[1]}
        [[ $line == *localhost:8000* ]] || { echo "no target of ours: $line" >&2; return 1; }
        # A busy machine may leave the diagnosis undecided; not three times in a row.
        for _ in 1 2 3; do
            run --separate-stderr bash -c "${line//localhost:8000/127.0.0.1:$PORT}"
            [ "$status" -ne "$status_wanted" ] || break
        done
        assert_status "$status_wanted"
        count=$((count + 1))
    done < <(blocks sh)
    [ "$count" -ge 5 ]
    [ -s report.xml ]
}

@test "the README's report is what tcp-probe says" {
    local wanted got section
    wanted=$(blocks text | sed -n '/^▲/,/^[^ ▲]/{/^[^ ▲]/d;p}' | shape)
    [[ $wanted == *"The server has to change"* ]]
    for _ in 1 2 3; do
        run "$NETKIT" tcp-probe --preset http --diagram "127.0.0.1:$PORT"
        assert_status 0
        got=$(sed -n '/^▲/,/^$/p' <<< "$output" | shape)
        [ "${got% }" != "${wanted% }" ] || break
    done
    assert_equal "${got% }" "${wanted% }"
    # The headings and the parts: each line of the README's report up to its first number.
    while read -r section; do
        [[ -z $section ]] || assert_has "$section"
    done < <(blocks text | sed -n '1,/^▲/p' | grep -E '^  [a-z]' |
        sed -E 's/^  //; s/ {2,}.*//; s/ [0-9].*//')
    [[ $output =~ "│ write("[0-9]+") = "[0-9]+ ]]
    assert_has "one slow round of"
}

# options_exist [COMMAND…]: those on standard input, one a line, are theirs (tcp-probe's).
options_exist() {
    local help option count=0
    help=$(for command in "${@:-tcp-probe}"; do "$NETKIT" "$command" --help; done)
    while read -r option; do
        grep -qE -- "$option( |\[|$)" <<< "$help" ||
            { echo "${*:-tcp-probe} has no $option" >&2; return 1; }
        count=$((count + 1))
    done
    [ "$count" -gt 5 ]
}

@test "codes and statuses that the README speaks of are known" {
    local word help count=0
    while read -r word; do
        [ "$word" = ok ] || "$NETKIT" explain "$word" > explained
        count=$((count + 1))
    done < <(sed -n '/^| verdict/,/^$/p' "$NETKIT_SOURCE/README.md" | cut -d'|' -f2 |
        grep -oE '`[a-z-]+`' | tr -d '`')
    [ "$count" -gt 15 ]
    help=$("$NETKIT" tcp-probe --help)
    while read -r word; do
        grep -qE "^ +$word  " <<< "$help"
        count=$((count + 1))
    done < <(sed -n '/^| exit status/,/^$/p' "$NETKIT_SOURCE/README.md" | cut -d'|' -f2 |
        grep -oE '[0-9]+')
    [ "$count" -gt 20 ]
}

@test "options that the README speaks of exist" {
    { blocks sh | grep '^netkit'; grep -oE '`--[a-z0-9-]+[^`]*`' "$NETKIT_SOURCE/README.md"; } |
        grep -oE -- '--[a-z][a-z0-9-]+' | options_exist tcp-probe connect-timeout crash-sim lab
}

@test "options that the manual page speaks of exist" {
    need mandoc
    mandoc -T ascii "$NETKIT_SOURCE/man/netkit-tcp-probe.1" | sed 's/.\x08//g' |
        grep -oE -- '--[a-z][a-z0-9-]*[a-z0-9]' | sort -u | options_exist
}

@test "the manual page has the thresholds of the code" {
    need mandoc
    local page
    page=$(mandoc -T ascii "$NETKIT_SOURCE/man/netkit-tcp-probe.1" | sed 's/.\x08//g' | tr -s ' \n' ' ')
    has() { # what stands before the number, threshold, what follows
        local value
        value=$(grep -oE "X\($2, [A-Z]+, [^,]+" "$NETKIT_SOURCE/lib/diagnosis/verdict_thresholds.h" |
            sed -E 's/.*, //; s/ \* NS_PER_([MU]).*/ \l\1s/')
        case $2 in *SHARE) value="$(awk "BEGIN { print 100 * $value }") %" ;; esac
        [[ $page == *"$1$value$3"* ]]
    }
    has "p below " DIFFERENCE_P_VALUE
    has "at least " DELAY_SHARE
    has "within " RELEASE_NS " of the ack"
    has "and " CORK_MAX_NS ". That"
    has "was " RTO_MIN_NS " or more" || has "took " RTO_MIN_NS " or more"
}

@test "the README's program for the socket library compiles" {
    blocks c > program.c
    grep -q netkit/sock.h program.c
    cc -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -I "$NETKIT_SOURCE/lib/sock" \
        -I "$NETKIT_SOURCE/lib/base" program.c
}

@test "the README's links lead somewhere" {
    local link
    for link in $(grep -ohE '\]\([^)]+\)' "$NETKIT_SOURCE"/{README,CONTRIBUTING,CHANGELOG}.md |
        tr -d '])('); do
        [[ $link == http* || -e $NETKIT_SOURCE/$link ]] || { echo "no $link" >&2; return 1; }
    done
}

@test "scripts are clean" {
    need shellcheck
    cd "$NETKIT_SOURCE"
    run shellcheck -x scripts/common.bash scripts/demo scripts/test scripts/generate .ci/run
    assert_status 0
}
