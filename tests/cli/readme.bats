# What the README and the pages under it tell people to type works, and what they say is so. Their
# commands run against the server that the README speaks of, on a port of its own.

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
    : > "$BATS_FILE_TMPDIR/log"
    # Without bats's descriptor 3: if it stayed open, bats would wait for it.
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

# Every page that the README leads to.
pages() {
    printf '%s\n' "$NETKIT_SOURCE"/README.md "$NETKIT_SOURCE"/docs/*.md \
        "$NETKIT_SOURCE"/lib/sock/README.md
}

# The lines of the blocks of that language.
blocks() { # language file…
    local language=$1
    shift
    sed -n "/^\`\`\`$language\$/,/^\`\`\`\$/{/^\`\`\`/d;p}" "$@"
}

# run_documented LINE: runs a netkit command that a page shows, at our server. "# status N" behind
# it is its exit status, else 0. The diagnosis of a service may be left undecided by a machine that
# is too busy, where the report says so itself; how often stands in the summary.
run_documented() {
    local wanted=0
    [[ ! $1 =~ '# status '([0-9]+)$ ]] || wanted=${BASH_REMATCH[1]}
    run --separate-stderr bash -c "${1//localhost:8000/127.0.0.1:$PORT}"
    [ "$status" -eq "$wanted" ] || undecided "$1" || assert_status "$wanted"
}

# Text with its numbers and line breaks taken out.
shape() {
    sed -E 's/[0-9]+(\.[0-9]+)? ?(ns|µs|ms|s)\b/T/g; s/[0-9]+/N/g' | tr -s ' \n' ' '
}

@test "the README opens with two commands that exist" {
    local first
    first=$(blocks sh "$NETKIT_SOURCE/README.md" | head -2 | paste -sd ' ')
    assert_equal "$first" "scripts/demo scripts/test"
    for script in $first; do
        [ -x "$NETKIT_SOURCE/$script" ] || { echo "$script cannot be run" >&2; return 1; }
    done
}

@test "the README fits in 200 lines" {
    [ "$(wc -l < "$NETKIT_SOURCE/README.md")" -le 200 ]
}

@test "netkit commands of the README and its pages run, with the status that they give" {
    local line page count=0
    while read -r page; do
        while read -r line; do
            [[ $line != "echo "* ]] || bash -c "${line//localhost:8000/127.0.0.1:$PORT}"
            [[ $line == "netkit "* ]] || continue
            [[ $line == *localhost:8000* ]] || { echo "no target of ours: $line" >&2; return 1; }
            run_documented "$line"
            count=$((count + 1))
        done < <(blocks sh "$page")
    done < <(pages)
    [ "$count" -ge 12 ]
    [ -s report.xml ]
}

@test "the README's report is what tcp-probe says" {
    local wanted got section
    wanted=$(blocks text "$NETKIT_SOURCE/README.md" | sed -n '/^▲/,/^[^ ▲]/{/^[^ ▲]/d;p}' | shape)
    [[ $wanted == *"The server must change"* ]]
    run "$NETKIT" tcp-probe --preset http --diagram "127.0.0.1:$PORT"
    assert_status 0
    got=$(sed -n '/^▲/,/^$/p' <<< "$output" | shape)
    if [ "${got% }" != "${wanted% }" ] && undecided "the README's report"; then
        return
    fi
    assert_equal "${got% }" "${wanted% }"
    # The headings and the parts: each line of the README's report up to its first number.
    while read -r section; do
        [[ -z $section ]] || assert_has "$section"
    done < <(blocks text "$NETKIT_SOURCE/README.md" | sed -n '1,/^▲/p' | grep -E '^  [a-z]' |
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

@test "codes and statuses that the README and its pages speak of are known" {
    local word help count=0
    while read -r word; do
        [ "$word" = ok ] || "$NETKIT" explain "$word" > explained
        count=$((count + 1))
    done < <(sed -n '/^| finding/,/^$/p' "$NETKIT_SOURCE/docs/findings.md" | cut -d'|' -f2 |
        grep -oE '`[a-z-]+`' | tr -d '`')
    [ "$count" -gt 50 ]
    count=0
    help=$("$NETKIT" tcp-probe --help)
    while read -r word; do
        grep -qE "^ +$word  " <<< "$help"
        count=$((count + 1))
    done < <(sed -n '/^| exit status/,/^$/p' "$NETKIT_SOURCE/README.md" | cut -d'|' -f2 |
        grep -oE '[0-9]+')
    [ "$count" -eq 8 ]
}

@test "options that the README and its pages speak of exist" {
    local page commands options
    # Without those of other programs, and of the scripts.
    options=$(pages | while read -r page; do
        sed -E '/(cmake|ctest|curl|nping|pkg-config|tests\/|python3)/d' "$page"
    done | grep -oE -- '(^|[ `])--[a-z][a-z0-9-]+' | grep -oE -- '--.*' | sort -u)
    mapfile -t commands < <("$NETKIT" help | sed -nE 's/^  ([a-z]+-?[a-z]*)  .*/\1/p')
    options_exist "${commands[@]}" <<< "$options"
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
    has "and " CORK_MAX_NS ", a round trip not counted"
    has "was " RTO_MIN_NS " or more" || has "took " RTO_MIN_NS " or more"
}

@test "the program for the socket library compiles" {
    blocks c "$NETKIT_SOURCE/lib/sock/README.md" > program.c
    grep -q netkit/sock.h program.c
    cc -std=gnu17 -Wall -Wextra -Werror -fsyntax-only -I "$NETKIT_SOURCE/lib/sock" \
        -I "$NETKIT_SOURCE/lib/base" program.c
}

# Links of Markdown pages, from the tree's root: "page target", a line each.
links() { # page…
    local page link
    for page; do
        while read -r link; do
            [[ $link == http* ]] || realpath -m --relative-to="$NETKIT_SOURCE" "$(dirname "$page")/$link"
        done < <(grep -ohE '\]\([^)]+\)' "$page" | tr -d '])(')
    done
}

@test "links lead somewhere, and every page can be reached from the README" {
    local link page
    for link in $(links $(pages) "$NETKIT_SOURCE"/{CONTRIBUTING,CHANGELOG,SECURITY}.md); do
        [ -e "$NETKIT_SOURCE/$link" ] || { echo "no $link" >&2; return 1; }
    done
    local reached="README.md" before=""
    while [ "$reached" != "$before" ]; do
        before=$reached
        # shellcheck disable=SC2046 # names without blanks
        reached=$({ echo "$reached"; links $(grep -E '\.md$' <<< "$reached" | sed "s|^|$NETKIT_SOURCE/|"); } | sort -u)
    done
    for page in $(pages | xargs realpath --relative-to="$NETKIT_SOURCE") \
        CONTRIBUTING.md CHANGELOG.md SECURITY.md; do
        grep -qx "$page" <<< "$reached" || { echo "$page cannot be reached" >&2; return 1; }
    done
}

@test "scripts are clean" {
    need shellcheck
    cd "$NETKIT_SOURCE"
    run shellcheck -x scripts/common.bash scripts/demo scripts/test scripts/generate .ci/run
    assert_status 0
}
