# What cmake --install puts where, and that it works from there.

load helpers

setup_file() {
    local build
    build=$(dirname "$NETKIT")
    [ -f "$build/CMakeCache.txt" ]
    export PREFIX=$BATS_FILE_TMPDIR/prefix
    cmake --install "$build" --prefix "$PREFIX" > "$BATS_FILE_TMPDIR/log" 2>&1 ||
        { cat "$BATS_FILE_TMPDIR/log" >&2; return 1; }
}

@test "the program is there, and is the only one" {
    assert_equal "$(ls "$PREFIX/bin")" netkit
    assert_equal "$("$PREFIX/bin/netkit" --version)" "$("$NETKIT" --version)"
    # Loaded without the build tree.
    run ldd "$PREFIX/bin/netkit"
    refute_has "not found"
    refute_has "$(dirname "$NETKIT")"
}

@test "each manual page is there" {
    local page
    for page in "$NETKIT_SOURCE"/man/*.1; do
        cmp "$page" "$PREFIX/share/man/man1/${page##*/}"
    done
}

@test "completions are where the shells look" {
    cmp "$NETKIT_SOURCE/completions/netkit.bash" "$PREFIX/share/bash-completion/completions/netkit"
    cmp "$NETKIT_SOURCE/completions/_netkit" "$PREFIX/share/zsh/site-functions/_netkit"
    cmp "$NETKIT_SOURCE/completions/netkit.fish" "$PREFIX/share/fish/vendor_completions.d/netkit.fish"
}

@test "the socket library is there" {
    local file
    for file in include/netkit/sock.h include/netkit/error.h 'lib*/libnetkit-sock.a' \
        'lib*/pkgconfig/netkit-sock.pc'; do
        # lib, lib64 or lib/TRIPLET
        run find "$PREFIX" -path "$PREFIX/$file"
        assert_has "${file##*/}"
    done
}

@test "nothing else is installed" {
    local stray
    stray=$(cd "$PREFIX" && find . -type f | grep -vE \
        '^\./(bin/netkit|include/netkit/|lib[^/]*/|share/(man/man1|bash-completion|zsh|fish|doc)/)' || :)
    assert_equal "$stray" ""
}
