# The completions, driven as the shells drive them.

load helpers

# The shells find the program by its name.
setup() {
    mkdir "$BATS_TEST_TMPDIR/bin"
    ln -s "$NETKIT" "$BATS_TEST_TMPDIR/bin/netkit"
    PATH=$BATS_TEST_TMPDIR/bin:$PATH
}

# complete_bash WORD...: what bash offers for the last word, which is split at "=" and ":" as
# COMP_WORDBREAKS does. Sorted, on one line.
complete_bash() {
    # shellcheck source=/dev/null
    source "$NETKIT_SOURCE/completions/netkit.bash"
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    _netkit
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | paste -sd ' '
}

@test "bash: commands" {
    assert_equal "$(complete_bash netkit tcp)" "tcp-probe"
    local offered=" $(complete_bash netkit '') "
    for word in --help --version help tcp-probe; do
        [[ $offered == *" $word "* ]]
    done
    assert_equal "$(complete_bash "$BATS_TEST_TMPDIR/bin/netkit" tcp)" "tcp-probe"
}

@test "bash: netkit help completes commands" {
    assert_equal "$(complete_bash netkit help tcp)" "tcp-probe"
}

@test "bash: options of a command, all of them" {
    assert_equal "$(complete_bash netkit tcp-probe --ro)" "--rounds"
    local offered option
    offered=" $(complete_bash netkit tcp-probe --) "
    for option in $("$NETKIT" tcp-probe --help | grep -oE '^  (-., |    )--[a-z0-9-]+' | grep -oE -- '--.*'); do
        [[ $offered == *" $option "* ]] || { echo "$option is not offered" >&2; return 1; }
    done
    [[ $offered != *" --no-lab "* ]]
}

@test "bash: values of choices, in each way of writing them" {
    assert_equal "$(complete_bash netkit tcp-probe --preset re)" "redis"
    assert_equal "$(complete_bash netkit tcp-probe --preset = re)" "redis"
    assert_equal "$(complete_bash netkit tcp-probe --preset =)" "connect dns echo ftp http imap ldap memcached mqtt mysql pop3 postgres redis smtp ssh"
    assert_equal "$(complete_bash netkit tcp-probe --preset=re)" "--preset=redis"
    assert_equal "$(complete_bash netkit tcp-probe --diagram = s)" "svg"
    assert_equal "$(complete_bash netkit tcp-probe --color '')" "always auto never"
}

@test "bash: an optional value is offered after = only" {
    [[ " $(complete_bash netkit tcp-probe --diagram --t) " == *" --timeline "* ]]
}

@test "bash: lists complete their last word" {
    assert_equal "$(complete_bash netkit tcp-probe --arms baseline,qu)" "baseline,quickack"
    assert_equal "$(complete_bash netkit tcp-probe --fail-on nagle-d)" "nagle-delayed-ack"
}

@test "bash: files" {
    cd "$BATS_TEST_TMPDIR"
    touch 'report one.json' other
    assert_equal "$(complete_bash netkit tcp-probe -o rep)" "report one.json"
    assert_equal "$(complete_bash netkit tcp-probe --send-file ot)" "other"
}

@test "bash: a value without completions offers nothing, not files" {
    cd "$BATS_TEST_TMPDIR"
    touch file
    assert_equal "$(complete_bash netkit tcp-probe --rounds '')" ""
}

@test "bash: the symbolic link completes like the command" {
    assert_equal "$(complete_bash tcp-probe --ro)" "--rounds"
    assert_equal "$(complete_bash tcp-probe --preset = re)" "redis"
    run bash -c 'source "$1"; complete -p' _ "$NETKIT_SOURCE/completions/netkit.bash"
    assert_has "complete -F _netkit netkit"
    assert_has "complete -F _netkit tcp-probe"
}

@test "bash: nothing is offered for an unknown command" {
    assert_equal "$(complete_bash netkit nonsense --)" ""
}

@test "bash: the script is clean" {
    need shellcheck
    run shellcheck "$NETKIT_SOURCE/completions/netkit.bash"
    assert_status 0
}

@test "zsh: the script parses, and completes" {
    need zsh
    run zsh -n "$NETKIT_SOURCE/completions/_netkit"
    assert_status 0
    complete_zsh() {
        run zsh -f "$NETKIT_SOURCE/tests/cli/complete.zsh" "$NETKIT_SOURCE/completions" "$1"
    }
    touch "$BATS_TEST_TMPDIR/report.json"
    complete_zsh 'netkit tcp-pro'
    assert_has "tcp-probe"
    complete_zsh 'netkit tcp-probe --roun'
    assert_has "--rounds"
    complete_zsh 'netkit tcp-probe --preset memc'
    assert_has "memcached"
    complete_zsh 'netkit tcp-probe --preset=memc'
    assert_has "--preset=memcached"
    complete_zsh 'netkit tcp-probe --arms baseline,single'
    assert_has "baseline,single-write"
    complete_zsh "netkit tcp-probe --output=$BATS_TEST_TMPDIR/rep"
    assert_has "report.json"
    complete_zsh 'netkit help tcp-'
    assert_has "tcp-probe"
    complete_zsh 'tcp-probe --color nev'
    assert_has "never"
    # What is no option stays as it was.
    complete_zsh 'netkit tcp-probe --no-la'
    refute_has --no-lab
}

@test "fish: the script parses, and completes" {
    need fish
    export HOME=$BATS_TEST_TMPDIR
    local script=$NETKIT_SOURCE/completions/netkit.fish
    run fish --no-execute "$script"
    assert_status 0
    complete_fish() {
        fish --no-config -c "source $script; complete --do-complete '$1'" | cut -f1 | paste -sd ' '
    }
    assert_equal "$(complete_fish 'netkit tcp')" "tcp-probe"
    assert_equal "$(complete_fish 'netkit help tcp')" "tcp-probe"
    assert_equal "$(complete_fish 'netkit tcp-probe --roun')" "--rounds"
    assert_equal "$(complete_fish 'netkit tcp-probe --preset memc')" "memcached"
    assert_equal "$(complete_fish 'netkit tcp-probe --preset=memc')" "--preset=memcached"
    assert_equal "$(complete_fish 'netkit tcp-probe --diagram=sv')" "--diagram=svg"
    assert_equal "$(complete_fish 'netkit tcp-probe --arms baseline,single')" "baseline,single-write"
    assert_equal "$(complete_fish 'tcp-probe --color nev')" "never"
    assert_equal "$(complete_fish 'netkit tcp-probe --rounds ')" ""
    cd "$BATS_TEST_TMPDIR"
    touch report.json
    assert_equal "$(complete_fish 'netkit tcp-probe -o rep')" "report.json"
    assert_equal "$(complete_fish 'netkit tcp-probe --output=rep')" "--output=report.json"
}

@test "the shells know the symbolic link of every command" {
    # help is the shells' own.
    for name in $("$NETKIT" __complete "" | sed -n '3,$s/\t.*//p' | grep -v -e '^-' -e '^help$'); do
        for shell in _netkit netkit.bash netkit.fish; do
            grep -v '^# ' "$NETKIT_SOURCE/completions/$shell" | grep -qwe "$name" ||
                { echo "$shell does not know $name" >&2; return 1; }
        done
    done
}
