# Generated files follow the option tables, and what is written around them is sound.

load helpers

@test "nothing has drifted from the option tables" {
    run "$NETKIT_GENERATE" --check "$NETKIT_SOURCE"
    assert_status 0
}

@test "drift is found and mended, in each kind of file" {
    local copy=$BATS_TEST_TMPDIR/tree
    mkdir "$copy"
    cp -r "$NETKIT_SOURCE/man" "$NETKIT_SOURCE/README.md" "$NETKIT_SOURCE/docs" "$copy"
    sed -i '/BEGIN OPTIONS/a .TP' "$copy/man/netkit-tcp-probe.1"
    sed -i '/BEGIN COMMANDS/a more' "$copy/README.md"
    sed -i '/`nagle-delayed-ack`/d' "$copy/docs/findings.md"
    run "$NETKIT_GENERATE" --check "$copy"
    assert_status 1
    assert_has "man/netkit-tcp-probe.1 differs"
    assert_has "README.md differs"
    assert_has "docs/findings.md differs"
    assert_equal "${#lines[@]}" 3
    run "$NETKIT_GENERATE" "$copy"
    assert_status 0
    for file in man README.md docs; do
        diff -r "$NETKIT_SOURCE/$file" "$copy/$file"
    done
}

@test "a page without its markers is refused" {
    local copy=$BATS_TEST_TMPDIR/tree
    mkdir "$copy"
    cp -r "$NETKIT_SOURCE/man" "$NETKIT_SOURCE/README.md" "$NETKIT_SOURCE/docs" "$copy"
    sed -i '/END OPTIONS/d' "$copy/man/netkit.1"
    run "$NETKIT_GENERATE" "$copy"
    assert_status 3
    assert_has "man/netkit.1: no block from '.\\\" BEGIN OPTIONS'"
}

@test "man pages are sound" {
    need mandoc
    run mandoc -T lint -W warning "$NETKIT_SOURCE"/man/*.1
    assert_equal "$output" ""
    assert_status 0
}

@test "man pages carry the program's name and version" {
    local version page
    version=$("$NETKIT" --version)
    for page in "$NETKIT_SOURCE"/man/*.1; do
        grep -q "^\.TH .*\"$version\"" "$page" || { echo "$page has another version" >&2; return 1; }
    done
}

@test "a changed file keeps its mode" {
    local copy=$BATS_TEST_TMPDIR/tree
    mkdir "$copy"
    cp -r "$NETKIT_SOURCE/man" "$NETKIT_SOURCE/README.md" "$NETKIT_SOURCE/docs" "$copy"
    sed -i '/BEGIN COMMANDS/a more' "$copy/README.md"
    chmod 604 "$copy/README.md"
    (umask 027 && "$NETKIT_GENERATE" "$copy")
    assert_equal "$(stat -c %a "$copy/README.md")" 604
    assert_equal "$(ls "$copy/man")" "$(ls "$NETKIT_SOURCE/man")"
}

@test "man pages name every option as it is typed" {
    need mandoc
    local command page option
    for command in tcp-probe connect-timeout lab accept-backlog; do
        page=$(mandoc -T ascii "$NETKIT_SOURCE/man/netkit-$command.1" | sed 's/.\x08//g')
        for option in $("$NETKIT" "$command" --help | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -- '--.*'); do
            grep -q -- "$option" <<< "$page" || { echo "$command $option is missing" >&2; return 1; }
        done
    done
}

@test "the examples of help and man pages are accepted by the parser" {
    # With a last word that no command takes: what is refused must be that word and nothing else.
    local example count=0
    while read -r example; do
        [[ $example == "netkit help"* ]] && continue
        run --separate-stderr bash -c "${example/netkit/\"\$NETKIT\"} --no-such-option"
        assert_status 2
        assert_stderr_has "unknown option '--no-such-option'"
        count=$((count + 1))
    done < <(for command in tcp-probe connect-timeout lab accept-backlog; do "$NETKIT" "$command" --help; done |
        sed -n '/^Examples:/,/^$/s/^  netkit/netkit/p')
    [ "$count" -gt 2 ]
}
