# What tcp-probe refuses, and how it says so. No test here reaches a network.

load helpers

refused() { # message, then the arguments
    local message=$1
    shift
    run --separate-stderr "$NETKIT" tcp-probe "$@"
    assert_status 2
    assert_equal "$output" ""
    assert_stderr_has "netkit tcp-probe: $message"
}

@test "a target is needed" {
    refused "no target: give host:port"
    refused "--targets /dev/null: the file is empty" --targets /dev/null
    refused "--resolve wants HOST:PORT:ADDRESS, got 'a:80'" --resolve a:80 :80
    refused "--source wants an IPv4 or IPv6 address, got 'here'" --source here :80
    refused "--socket-option wants NAME=VALUE, got 'nodelay'" --socket-option nodelay :80
    refused "--dscp '64': wants a number from 0 to 63" --dscp 64 :80
}

@test "values out of range name the option and what it accepts" {
    refused "--rounds wants a whole number from 1 to 1000000, got 'x'" --rounds x :80
    refused "--rounds wants a whole number from 1 to 1000000, got '0'" -n0 :80
    refused "--stall wants a duration such as 40us, 5ms, 2s or 1m of at least 1us, got '-1'" \
        --stall=-1 :80
    refused "--format wants one of text, json, ndjson, junit, tap, prometheus, got 'jsn'; did you mean 'json'?" \
        --format jsn :80
    refused "--output wants FILE, but nothing follows it" :80 -o
}

@test "what does not go together is refused" {
    refused "--preset and --send cannot be combined" --preset redis --send x :80
    refused "--gap needs --split or --split-body" --gap 5ms :80
    refused "--no-interventions and --arms cannot be combined" --no-interventions --arms baseline :80
    refused "--pcap keeps the packets of a single target" --pcap x.pcap :80 :81
    refused "--pcap - and the report cannot share standard output" --pcap - :80
    refused "--ipv6 and --ipv4 cannot be combined" -46 :80
}

@test "a URL that cannot be asked for is refused" {
    refused "a URL with a user name is not understood" http://user:secret@host/
    [[ $stderr != *secret* ]]
    refused "'http://h/#here': a fragment (#...) is not sent to a server" http://h/#here
    refused "'ftp://h/': only URLs of http and https are understood" ftp://h/
    refused "'http://h/a b': a URL has no blanks and only ASCII" 'http://h/a b'
    refused "'http://:80/': the host is missing" http://:80/
    refused "'http://::1/': an IPv6 address needs brackets" http://::1/
    refused "'http://h:x/': the port is not a number" http://h:x/
    refused "'h:65536': the port must be from 1 to 65535" http://h:65536/
    refused "URLs of http and of https have to be probed in two runs" http://h/ https://h/
    refused "--tls and a URL of http: write https" --tls http://h/
    refused "a URL of https and a target without TLS" https://h/ :80
    refused "a URL and a target on another port" http://h/ :6379
    refused "a URL is asked for by the preset http, not by redis" --preset redis http://h/
    refused "--send and --send-file have no use for a URL" --send x http://h/
    refused "--path and a URL that has a path" --path /a http://h/b
}

@test "TLS options need TLS" {
    refused "--insecure needs --tls, --starttls or a URL of https" --insecure :80
    refused "--ca-file needs --tls" --ca-file x http://h/
    refused "--sni needs --tls" --sni h :80
    refused "--alpn needs --tls" --alpn h2 :80
}

@test "what HTTP is asked is checked" {
    refused "--header 'x': wants 'Name: value'" --header x :80
    refused "--header ': x': wants 'Name: value'" --header ': x' :80
    refused "--header 'A: b\\r\\nC: d': a header is one line" --header $'A: b\r\nC: d' :80
    refused "--header 'Transfer-Encoding: chunked': the body is sent as it is" \
        --header 'Transfer-Encoding: chunked' :80
    refused "--method wants a word" --method 'GET /' :80
    refused "--method CONNECT makes a tunnel" --method CONNECT :80
    refused "--data /dev/null: the file is empty" --data @/dev/null :80
    refused "--data /no/such: No such file or directory" --data @/no/such :80
    refused "--data has no effect on the preset redis" --data x :6379
    refused "--header has no effect on --send" --send x --header A:b :80
    refused "--split-body: the request has no body" --split-body :80
    refused "--split-body: the request has no body" --split-body --send 'GET / HTTP/1.1\r\n\r\n' :80
    refused "--expect-continue: the request has no body" --expect-continue :80
    refused "--expect-continue wants a duration" --expect-continue=x --data x :80
    refused "--split-body and --split cannot be combined" --split-body --split 1 --data x :80
}

@test "logins say what they want" {
    local password=$BATS_TEST_TMPDIR/password
    echo secret >"$password"
    refused "--user has no effect on the preset echo" --preset echo --user x :80
    refused "--password-file $password.none" --preset mysql --password-file "$password.none" :80
    printf 'a\0b\n' >"$password.zero"
    refused "--password-file $password.zero:1: contains a zero byte" --preset mysql --password-file "$password.zero" :80
    refused "--password-fd 77: Bad file descriptor" --preset mysql --password-fd 77 :80
    refused "--idle-limit wants a request" --greeting line --send '' --idle-limit :80
    refused "--expect: --until nothing awaits no answer" --send x --until nothing --expect x :80
    refused "--expect '200-299': wants each status by itself" --send x --expect 200-299 :80
    refused "--expect '250,': wants each status by itself" --send x --expect 250, :80
    refused "--hello and --hello-file: at most 64" --send x $(printf -- '--hello x %.0s' {1..65}) :80
    refused "LDAP's simple bind wants a name and a password" --preset ldap --user cn=x :80
    refused "LDAP's simple bind wants a name and a password" --preset ldap --password-file "$password" :80
    refused "MQTT has no password without a user" --preset mqtt --password-file "$password" :80
    refused "--starttls wants a preset whose protocol has it: smtp, " --preset http --starttls :80
}

@test "--until and --split say what they want" {
    refused "--until 'never': wants nothing, line, bytes:N" \
        --until never :80
    refused "--until 'line:': wants nothing, line, bytes:N" --until line: :80
    refused "--until 'bytes:0': bytes:N wants a size of at least 1" --until bytes:0 :80
    refused "--until 'text:': text: wants the bytes" --until text: :80
    refused "--until 'text:\\\\q': unknown escape" --until 'text:\q' :80
    refused "--until 'idle:soon': idle:DUR wants a duration" --until idle:soon :80
    refused "--split '1,x': wants sizes of at least 1" --split 1,x :80
    refused "--split '1,,2': wants sizes of at least 1" --split 1,,2 :80
    refused "--split '1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,...': takes up to 32 sizes" \
        --split "$(seq -s, 1 10 | sed 's/.*/&,&,&,&,&,&,&/')" :80
}

@test "--send has its escapes checked" {
    refused "--send 'a\\\\q': unknown escape \\\\q at byte 2" --send 'a\q' :80
}

@test "finding codes are known, and misspelt ones suggested" {
    refused "--fail-on wants CODE[,CODE]|any, got 'nagle-delayd-ack'; did you mean 'nagle-delayed-ack'?" \
        --fail-on any,nagle-delayd-ack :80
}

@test "abbreviations are not accepted" {
    refused "unknown option '--new-conn'; did you mean --new-connection?" --new-conn :80
}

@test "thresholds say what they want" {
    refused "--max-p50 wants a duration such as 40us, 5ms, 2s or 1m of at least 1ns, got '0'" \
        --max-p50 0 :80
    refused "--max-tls wants a duration such as 40us, 5ms, 2s or 1m of at least 1ns, got 'x'" \
        --max-tls x :80
    refused "--min-success wants a number from 0 to 100, got '101'" --min-success 101 :80
}

@test "a baseline that is none is refused before anything is measured" {
    local file=$BATS_TEST_TMPDIR/baseline
    refused "--baseline $file: No such file or directory" --baseline "$file" :80
    refused "--baseline /: Is a directory" --baseline / :80
    : > "$file"
    refused "--baseline $file: the file is empty" --baseline "$file" :80
    echo text > "$file"
    refused "--baseline $file: not JSON; --json writes a report" --baseline "$file" :80
    echo "{\"schema\":\"netkit/1\",\"command\":\"readiness\"}" > "$file"
    refused "--baseline $file: a report of another command, not of tcp-probe" \
        --baseline "$file" :80
    echo "{\"schema\":\"netkit/1\",\"command\":\"tcp-probe\",\"results\":[" > "$file"
    run --separate-stderr "$NETKIT" tcp-probe --baseline "$file" :80
    assert_status 3
    assert_equal "$output" ""
    assert_stderr_has "--baseline $file: the report is damaged: line 2: "
}

@test "an endless file, a FIFO that nobody writes to and a zero byte are refused" {
    local fifo=$BATS_TEST_TMPDIR/fifo zero=$BATS_TEST_TMPDIR/zero marked=$BATS_TEST_TMPDIR/marked
    mkfifo "$fifo"
    for words in "--targets" "--send-file" "--data @" "--baseline" "--ca-file" "--cert" \
        "--hello-file" "--password-file"; do
        local name=${words%% *} at=()
        [[ $words == *@ ]] && at=(--preset http --data "@$fifo") || at=("$name" "$fifo")
        [ "$name" = --ca-file ] || [ "$name" = --cert ] && at+=(--tls)
        [ "$name" = --hello-file ] && at+=(--preset echo)
        [ "$name" = --password-file ] && at+=(--preset redis)
        [ "$name" = --targets ] || at+=(:1)
        run --separate-stderr "$NETKIT" tcp-probe --timeout 20ms "${at[@]}"
        [ "$status" -eq 2 ] || [ "$status" -eq 3 ]
        assert_stderr_has "$fifo: it did not end within --timeout"
    done
    refused "--targets /dev/zero: more than 64 MiB" --targets /dev/zero
    # However fast it comes.
    refused "--targets /dev/zero: it did not end within --timeout" --targets /dev/zero --timeout 1ms
    printf 'a:1\nb:2\0c:3\nd:4\n' > "$zero"
    refused "--targets $zero:2: contains a zero byte" --targets "$zero"
    printf '\xef\xbb\xbf127.0.0.1:1\n' > "$marked"
    run "$NETKIT" tcp-probe --json --targets "$marked"
    assert_has '"target": "127.0.0.1:1"'
}
