#include "tcp_probe_options.h"

#include "base/text.h"
#include "base/units.h"
#include <ctype.h>
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#define PRESET_WORD(ID, row) {preset_##row.name, PRESET_##ID, preset_##row.help},
static const struct cli_word presets[] = {PRESET_ROWS(PRESET_WORD){0}};

#define FRAMING_WORD(ID, rules, usage, help) {usage, FRAMING_##ID, help},
static const struct cli_word framings[] = {FRAMING_ROWS(FRAMING_WORD){0}};

static const struct cli_word arms[] = {
    {"baseline", ARM_BASELINE, "the client as described by the other options"},
    {"nodelay", ARM_NODELAY, "with TCP_NODELAY: Nagle's algorithm off on our side"},
    {"quickack", ARM_QUICKACK, "with TCP_QUICKACK: delayed ACKs off on our side"},
    {"nodelay+quickack", ARM_BOTH, "with both"},
    {"single-write", ARM_SINGLE_WRITE, "the whole request in one write"},
    {"small-mss", ARM_SMALL_MSS, "with small segments, most of which a cork lets go"},
    {"late-ack", ARM_LATE_ACK, "with delayed ACKs on our side where Linux would not delay them"},
    {0},
};

static int parse_until(const char *text, void *field, struct error *error)
{
    return framing_parse(text, field, error);
}

static int check_until(const char *text, void *field, struct error *error)
{
    struct framing framing;

    (void)field;
    return framing_parse(text, &framing, error);
}

static int parse_split(const char *text, void *field, struct error *error)
{
    struct tcp_probe_split split = {0};
    char part[32];

    for (const char *p = text;; p++) {
        size_t len = strcspn(p, ",");
        int64_t size;
        if (split.count == TRANSACTION_PIECES_MAX)
            return error_set(error, EINVAL, "takes up to %d sizes", TRANSACTION_PIECES_MAX);
        memcpy(part, p, len < sizeof part ? len : 0);
        part[len < sizeof part ? len : 0] = '\0';
        if (units_parse_size(part, &size) || size < 1)
            return error_set(error, EINVAL, "wants sizes of at least 1, such as 100,20 or 1k,64");
        split.pieces[split.count++] = (size_t)size;
        p += len;
        if (!*p)
            break;
    }
    *(struct tcp_probe_split *)field = split;
    return 0;
}

static int check_escapes(const char *text, void *field, struct error *error)
{
    cleanup(buf) struct buf bytes = {0};
    (void)field;
    return text_unescape(&bytes, text, error);
}

#define OF struct tcp_probe_options

/* Numbers and commas are statuses, anything else an expression. */
static int parse_expect(const char *text, void *field, struct error *error)
{
    struct tcp_probe_expect expect = {0};
    char *end = NULL;
    regex_t regex;

    for (const char *p = text; isdigit((unsigned char)*p); p = end + 1) {
        long status = strtol(p, &end, 10);
        if (expect.count == EXPECT_STATUSES_MAX || status > 999)
            return error_set(error, EINVAL, "takes up to %d statuses of three digits",
                             EXPECT_STATUSES_MAX);
        expect.statuses[expect.count++] = (int)status;
        if (*end != ',')
            break;
    }
    if ((!end || *end) && !text[strspn(text, "0123456789,-")]) /* a range, a comma too much */
        return error_set(error, EINVAL, "wants each status by itself, such as 200,201,204");
    if (!end || *end) {
        int rc = *text ? regcomp(&regex, text, REG_EXTENDED | REG_NOSUB) : REG_BADPAT;
        if (rc)
            return error_set(error, EINVAL,
                             "wants statuses, such as 200,204, or an extended regular expression");
        regfree(&regex);
        expect = (struct tcp_probe_expect){.pattern = text};
    }
    *(struct tcp_probe_expect *)field = expect;
    return 0;
}

static const struct cli_word proxy_versions[] = {
    {"v1", 1, "one line of text"}, {"v2", 2, "binary"}, {0}};

static int parse_byte(const char *text, int64_t max, int64_t *out, struct error *error)
{
    char *end;
    long value = strtol(text, &end, 0);

    if (!*text || *end || value < 0 || value > max)
        return error_set(error, EINVAL, "wants a number from 0 to %d, such as 0x10", (int)max);
    *out = value;
    return 0;
}

static int parse_tos(const char *text, void *field, struct error *error)
{
    int64_t value = 0;
    int rc = parse_byte(text, 255, &value, error);
    if (!rc)
        *(int *)field = (int)value;
    return rc;
}

/* RFC 2474: the six upper bits. */
static int parse_dscp(const char *text, void *field, struct error *error)
{
    int64_t value = 0;
    int rc = parse_byte(text, 63, &value, error);
    if (!rc)
        *(int *)field = (int)value << 2;
    return rc;
}

static const struct cli_group partners = {
    "Targets",
    {
        {.name = "targets",
         CLI_TEXT(OF, targets),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help =
             "Read targets from FILE, one on each line (# starts a comment); - is standard input."},
        {.name = "parallel",
         CLI_INTEGER(OF, parallel),
         .min = 1,
         .max = 1000000,
         .initial = "64",
         .help = "Probe this many targets at once."},
        {.name = "all-addresses",
         CLI_FLAG(OF, all_addresses),
         .help = "Probe each address of a name as a separate target."},
        {.name = "resolve",
         CLI_LIST(OF, resolve),
         .value = "HOST:PORT:ADDRESS",
         .help = "Use ADDRESS for HOST:PORT instead of asking the resolver. May be repeated."},
        {.name = "source",
         CLI_TEXT(OF, source),
         .value = "ADDRESS",
         .help = "Connect from this local address."},
        {.name = "interface",
         CLI_TEXT(OF, interface),
         .value = "NAME",
         .help = "Connect through this interface, whatever the routes say."},
        {.name = "tos",
         CLI_PARSED(OF, traffic_class),
         CLI_GIVEN(OF, traffic_class_set),
         .parse = parse_tos,
         .value = "BYTE",
         .conflicts = "dscp",
         .help = "Mark packets with this type of service (IPv4) or traffic class (IPv6)."},
        {.name = "dscp",
         CLI_PARSED(OF, traffic_class),
         CLI_GIVEN(OF, traffic_class_set),
         .parse = parse_dscp,
         .value = "N",
         .help = "Mark packets with this differentiated services code point, 0 to 63."},
        {.name = "socket-option",
         CLI_LIST(OF, socket_options),
         .value = "NAME=VALUE",
         .help = "Set a socket option on our side before connecting: TCP_NODELAY=on, "
                 "SO_RCVBUF=64k. May be repeated."},
        {0},
    }};

static int parse_alpn(const char *text, void *field, struct error *error)
{
    return tls_parse_alpn(text, field, error);
}

static int check_name(const char *text, void *field, struct error *error)
{
    (void)field;
    return tls_is_name(text) ? 0 : error_set(error, EINVAL, "wants a host name");
}

static const struct cli_group security = {
    "TLS",
    {
        {.name = "tls",
         CLI_FLAG(OF, tls),
         .help = "Use TLS 1.2 or 1.3, as a URL of https does without this option. The handshake is "
                 "timed separately, and the certificate must be valid."},
        {.name = "sni",
         CLI_TEXT(OF, tls_settings.server_name),
         .parse = check_name,
         .value = "NAME",
         .help = "Request this name, and expect it in the certificate, instead of the target's."},
        {.name = "alpn",
         CLI_PARSED(OF, tls_settings),
         .parse = parse_alpn,
         .value = "NAME[,NAME]",
         .help = "Offer these protocols, the preferred one first, such as http/1.1. Without this "
                 "option none is offered."},
        {.name = "ca-file",
         CLI_TEXT(OF, tls_settings.ca_file),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Trust the certificates in FILE (PEM) instead of the system's."},
        {.name = "cert",
         CLI_TEXT(OF, cert_file),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Show the certificate in FILE (PEM; intermediate certificates may follow it) to a "
                 "server that asks for one. Its key must not be encrypted."},
        {.name = "key",
         CLI_TEXT(OF, key_file),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .needs = "cert",
         .help = "The private key of --cert (PEM). Without this option it is in the file of "
                 "--cert."},
        {.name = "insecure",
         CLI_FLAG(OF, tls_settings.insecure),
         .help = "Continue with an invalid certificate, and say what is wrong with it."},
        {0},
    }};

static const struct cli_group conversation = {
    "Request and response",
    {
        {.name = "preset",
         CLI_CHOICE(OF, preset),
         CLI_GIVEN(OF, preset_set),
         .words = presets,
         .value = "NAME",
         .conflicts = "send send-file",
         .help = "Use a protocol that netkit knows, which sets the request and what completes the "
                 "response. Without this option and without --send the port decides; on any other "
                 "port netkit only connects."},
        {.name = "path",
         CLI_TEXT(OF, path),
         CLI_GIVEN(OF, path_set),
         .value = "PATH",
         .initial = "/",
         .help = "The path that the http preset requests."},
        {.name = "host",
         CLI_TEXT(OF, host),
         .value = "NAME",
         .completes = CLI_COMPLETES_HOST,
         .help = "The Host header of the http preset, instead of the target's name."},
        {.name = "method",
         CLI_TEXT(OF, method),
         .value = "METHOD",
         .help = "The method of the http preset, instead of GET, or POST with --data."},
        {.name = "header",
         CLI_LIST(OF, headers),
         .value = "'NAME: VALUE'",
         .help = "Add this header to the request of the http preset, in place of its own of that "
                 "name. 'NAME:' leaves one out, 'NAME;' has no value. May be repeated."},
        {.name = "data",
         CLI_TEXT(OF, data),
         .value = "TEXT|@FILE",
         .help = "Send this body with the http preset, with POST unless --method says otherwise, "
                 "its length, and the type of a form unless --header says otherwise. TEXT is sent "
                 "as it is, without escapes, FILE byte for byte; @- is standard input."},
        {.name = "expect-continue",
         CLI_DURATION(OF, continue_ns),
         CLI_GIVEN(OF, expect_continue),
         .min = 1000000,
         .max = INT64_C(60000000000),
         .optional = "1s",
         .help = "Send Expect: 100-continue with the header of an HTTP request, and its body when "
                 "the server asks for it, or after this time. A final status comes instead of the "
                 "body."},
        {.name = "query",
         CLI_TEXT(OF, query),
         .value = "TEXT",
         .help = "What the preset asks, where it has a choice: a command of Redis, a statement of "
                 "SQL, or a name of DNS and perhaps a type behind it ('example.org MX')."},
        {.name = "user",
         CLI_TEXT(OF, user),
         .value = "NAME",
         .help =
             "Log in with this name, where the preset can. postgres and mysql take your name on "
             "this machine without it; ldap wants the name of an entry."},
        {.name = "password-file",
         CLI_TEXT(OF, password_file),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .conflicts = "password-fd",
         .help = "Log in with the password in the first line of FILE; - is standard input."},
        {.name = "password-fd",
         CLI_INTEGER(OF, password_fd),
         CLI_GIVEN(OF, password_fd_set),
         .value = "N",
         .max = 1048576,
         .help = "Log in with the password that is read from this descriptor."},
        {.name = "database",
         CLI_TEXT(OF, database),
         .value = "NAME",
         .help = "Use this database, where the preset has several."},
        {.name = "send",
         CLI_TEXT(OF, send),
         .parse = check_escapes,
         .conflicts = "send-file",
         .help = "Send this request, with C escapes: 'PING\\r\\n', '\\x00\\x01'. Empty, with "
                 "--greeting, times what the server says first."},
        {.name = "send-file",
         CLI_TEXT(OF, send_file),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Send the contents of FILE, byte for byte."},
        {.name = "until",
         CLI_PARSED(OF, framing),
         CLI_GIVEN(OF, until_set),
         .parse = parse_until,
         .value = "WHEN",
         .words = framings,
         .completes = CLI_COMPLETES_WORDS,
         .help = "What completes the response. A preset has its own; with --send the default is "
                 "line, or http where the request is one of HTTP/1."},
        {.name = "expect",
         CLI_PARSED(OF, expect),
         .parse = parse_expect,
         .value = "STATUS[,STATUS]|REGEX",
         .help = "The answers that are right: statuses of HTTP, SMTP and the like, or an extended "
                 "regular expression that matches in the first 64 KiB. Others are a finding, "
                 "unexpected-answer. Without this option the protocol's own errors are."},
        {.name = "split",
         CLI_PARSED(OF, split),
         .parse = parse_split,
         .value = "N[,N]",
         .help = "Split the request into writes of these sizes and one more for the rest, to act "
                 "like a client that does so."},
        {.name = "split-body",
         CLI_FLAG(OF, split_body),
         .conflicts = "split",
         .help = "Write the header of an HTTP request and its body separately, as many client "
                 "libraries do."},
        {.name = "gap",
         CLI_DURATION(OF, gap_ns),
         .max = INT64_C(60000000000),
         .initial = "0",
         .needs = "split split-body",
         .help = "Wait this long between the writes of --split or --split-body."},
        {0},
    }};

static const struct cli_group opening = {
    "Before the rounds, on each connection",
    {
        {.name = "greeting",
         CLI_PARSED(OF, greeting),
         CLI_GIVEN(OF, greeting_set),
         .parse = parse_until,
         .value = "WHEN",
         .words = framings,
         .completes = CLI_COMPLETES_WORDS,
         .help = "The server speaks first: wait for this, written as for --until."},
        {.name = "hello",
         CLI_ITEM(OF, hellos),
         .parse = check_escapes,
         .value = "TEXT",
         .help = "Say this, with C escapes, and wait for what --hello-until says. May be repeated, "
                 "to log in step by step."},
        {.name = "hello-file",
         CLI_ITEM(OF, hellos),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "The same with the contents of FILE."},
        {.name = "hello-until",
         CLI_QUALIFIER(TEXT),
         .parse = check_until,
         .value = "WHEN",
         .words = framings,
         .completes = CLI_COMPLETES_WORDS,
         .help = "What completes the answer to the --hello before; without it a line does."},
        {.name = "starttls",
         CLI_FLAG(OF, starttls),
         .conflicts = "tls send send-file",
         .help = "Begin in plain text and change to TLS as the preset's protocol has it."},
        {.name = "proxy-protocol",
         CLI_CHOICE(OF, proxy_protocol),
         .words = proxy_versions,
         .value = "VERSION",
         .help = "Begin with the PROXY header of this version, as a load balancer does."},
        {0},
    }};

static const struct cli_group frequency = {
    "Rounds",
    {
        {.name = "rounds",
         .letter = 'n',
         CLI_INTEGER(OF, rounds),
         CLI_GIVEN(OF, rounds_set),
         .min = 1,
         .max = 1000000,
         .initial = "40",
         .help = "Time this many requests. The other arms run as many, but for no longer than "
                 "about a second, and at least ten."},
        {.name = "warmup",
         CLI_INTEGER(OF, warmup),
         .max = 1000000,
         .initial = "5",
         .help = "Run this many first on every connection, without counting them: at the start of "
                 "a connection Linux acknowledges at once, which hides stalls."},
        {.name = "new-connection",
         CLI_FLAG(OF, new_connection),
         .help =
             "Use a new connection for every round, as a client without a connection pool does."},
        {.name = "interval",
         CLI_DURATION(OF, interval_ns),
         .max = INT64_C(3600000000000),
         .initial = "0",
         .help = "Wait this long between rounds."},
        {.name = "idle-limit",
         CLI_DURATION(OF, idle_max_ns),
         .min = 1000000000,
         .max = INT64_C(86400000000000),
         .optional = "2m",
         .value = "MAX",
         .help = "After the rounds, find out for how long the service, or anything on the path, "
                 "keeps an idle connection, up to this long, how it ends, and whether keepalive "
                 "keeps it."},
        {.name = "idle-keepalive",
         CLI_DURATION(OF, idle_keepalive_ns),
         .min = 1000000000,
         .max = INT64_C(32767000000000),
         .needs = "idle-limit",
         .help = "Try keepalive at this interval, instead of half of the limit that was found."},
        {.name = "duration",
         CLI_DURATION(OF, duration_ns),
         CLI_GIVEN(OF, duration_set),
         .min = 1000000,
         .help = "Continue for this long instead of a number of rounds; with --rounds, whichever "
                 "ends first."},
        {0},
    }};

static const struct cli_group interventions = {
    "Interventions",
    {
        {.name = "arms",
         CLI_CHOICE_SET(OF, arms),
         CLI_GIVEN(OF, arms_set),
         .words = arms,
         .value = "LIST",
         .initial = "baseline,nodelay,quickack,nodelay+quickack,single-write",
         .help = "Run these variants of the client in turns, on new connections. If a delay goes "
                 "away when one option changes, that option points at its cause."},
        {.name = "no-interventions",
         CLI_FLAG(OF, no_interventions),
         .conflicts = "arms",
         .help = "Run only the baseline: this is faster, but fewer causes can be told apart."},
        {.name = "stall",
         CLI_DURATION(OF, stall_ns),
         .min = 1000,
         .initial = "10ms",
         .help = "The shortest delay that is reported as a finding."},
        {0},
    }};

static const struct cli_group waiting = {
    "Limits",
    {
        {.name = "connect-timeout",
         CLI_DURATION(OF, connect_timeout_ns),
         .min = 1000000,
         .initial = "10s",
         .help = "Give up connecting after this time."},
        {.name = "response-timeout",
         CLI_DURATION(OF, response_timeout_ns),
         .min = 1000000,
         .initial = "10s",
         .help = "Give up on a response after this time. Where "
                 "nothing complete has ever come, another such "
                 "time goes into finding out whether large "
                 "packets vanish on the path."},
        {0},
    }};

#define THRESHOLD_OPTION(id, option, member, label, text)                                          \
    {.name = option,                                                                               \
     CLI_DURATION(OF, thresholds.limits.limit_ns[THRESHOLD_##id]),                                 \
     CLI_GIVEN(OF, thresholds.limits.set[THRESHOLD_##id]),                                         \
     .min = 1,                                                                                     \
     .help = text},

static const struct cli_group thresholds = {
    "Thresholds",
    {
        THRESHOLD_ROWS(THRESHOLD_OPTION){
            .name = "min-success",
            CLI_REAL(OF, thresholds.limits.success_percent),
            CLI_GIVEN(OF, thresholds.limits.success_set),
            .value = "PCT",
            .max = 100,
            .help = "Fail if less than this percentage of the targets is ok."},
        {.name = "baseline",
         CLI_TEXT(OF, thresholds.baseline),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Compare with an earlier run, a report that --json wrote: a target that has "
                 "become slower, beyond the noise of both runs, is a 'regression' finding."},
        {0},
    }};

static const struct cli_group recording = {
    "Output",
    {
        {.name = "record",
         CLI_TEXT(OF, record),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Write the measurements of each round to FILE, one JSON object on each line."},
        {0},
    }};

const struct cli_fragment tcp_probe_fragments[] = {
    {&partners, 0, NULL},
    {&security, 0, NULL},
    {&conversation, 0, NULL},
    {&opening, 0, NULL},
    {&frequency, 0, NULL},
    {&interventions, 0, NULL},
    {&thresholds, 0, NULL},
    {&waiting, 0, NULL},
    {&common_limits, offsetof(OF, common), NULL},
    {&recording, 0, NULL},
    {&common_output, offsetof(OF, common), NULL},
    {0},
};
