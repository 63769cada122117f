# No two files of a room use each other in a circle.

load helpers

@test "no files of a room use each other in a circle" {
    run "$NETKIT_SOURCE/tests/cli/circles" "$(dirname "$NETKIT")"
    [ "$status" -ne 2 ] || cannot_run "$output"
    assert_equal "$output" ""
    assert_status 0
}

# build_tree: what the checker looks at, of the sources in $tree.
build_tree() {
    local source separator=
    mkdir -p "$tree/tests/cli"
    cp "$NETKIT_SOURCE/tests/cli/circles" "$tree/tests/cli/"
    for source in $(cd "$tree" && find lib cmd -name '*.c'); do
        cc -c -o "$tree/${source//\//_}.o" "$tree/$source"
        printf '%s{"directory": "%s", "file": "%s", "output": "%s"}\n' "$separator" "$tree" \
            "$tree/$source" "${source//\//_}.o"
        separator=,
    done | { echo '['; cat; echo ']'; } > "$tree/compile_commands.json"
}

setup() {
    tree=$BATS_TEST_TMPDIR/tree
    mkdir -p "$tree/lib/result/deep" "$tree/lib/lab" "$tree/cmd"
    echo 'extern int b; int a(void); int a(void) { return b; }' > "$tree/lib/result/a.c"
    echo 'int c(void); int b = 1;' > "$tree/lib/result/deep/b.c"
    # Another room's call back is the include rule's business.
    echo 'int a(void); int c(void); int c(void) { return a(); }' > "$tree/lib/lab/c.c"
}

@test "calls that go one way are no circle" {
    build_tree
    run "$tree/tests/cli/circles" "$tree"
    assert_equal "$output" ""
    assert_status 0
}

@test "a circle is found, through data and over a subfolder, and named" {
    echo 'int a(void); int (*b)(void) = a;' > "$tree/lib/result/deep/b.c"
    build_tree
    run "$tree/tests/cli/circles" "$tree"
    assert_status 1
    assert_has "circle of 2 files in room result"
    assert_has "lib/result/a.c -> lib/result/deep/b.c: b"
    assert_has "lib/result/deep/b.c -> lib/result/a.c: a"
    refute_has lib/lab
}
