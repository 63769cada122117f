/* Faults and conditions as people write them: options, lines of a fault file, conditions. */
#include "base/cleanup.h"
#include "base/units.h"
#include "lab/wire.h"
#include "netkit/sock.h"
#include "packet/icmp.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

/* ---- Pieces ---- */

/* Takes "c>s:" or "s>c:" off the front. */
static enum lab_direction take_direction(const char **text)
{
    static const struct {
        const char *text;
        enum lab_direction direction;
    } directions[] = {{"c>s:", LAB_FROM_CLIENT}, {"s>c:", LAB_FROM_SERVER}};

    for (size_t i = 0; i < ARRAY_SIZE(directions); i++)
        if (!strncmp(*text, directions[i].text, strlen(directions[i].text))) {
            *text += strlen(directions[i].text);
            return directions[i].direction;
        }
    return LAB_BOTH_WAYS;
}

static int set_match(struct lab_match *match, const char *text, size_t len, struct error *error)
{
    if (!len)
        return error_set(error, EINVAL,
                         "packets are named by a flag word (any, syn, syn-ack, fin, rst, data, "
                         "ack) or a filter");
    if (len >= sizeof match->text)
        return error_set(error, EINVAL, "a filter of %zu bytes: at most %zu", len,
                         sizeof match->text - 1);
    memcpy(match->text, text, len);
    match->text[len] = '\0';
    return 0;
}

static int parse_count(int64_t *out, const char *value, const char *what, struct error *error)
{
    if (units_parse_integer(value, out) || *out < 1)
        return error_set(error, EINVAL, "%s wants a number from 1, not '%s'", what, value);
    return 0;
}

static int parse_duration(int64_t *out, const char *value, const char *what, struct error *error)
{
    if (units_parse_duration(value, out))
        return error_set(error, EINVAL, "%s wants a duration (5ms, 2s), not '%s'", what, value);
    return 0;
}

/* ---- Conditions ---- */

static int parse_state(int *out, const char *name, struct error *error)
{
    for (int state = TCP_ESTABLISHED; state <= TCP_CLOSING; state++)
        if (!strcasecmp(sock_tcp_state_name(state), name)) {
            *out = state;
            return 0;
        }
    return error_set(error, EINVAL, "'%s' is not a TCP state (ESTABLISHED, CLOSE-WAIT, CLOSED …)",
                     name);
}

static int copy_word(char word[LAB_WORD_MAX], const char *text, struct error *error)
{
    if (!*text || strlen(text) >= LAB_WORD_MAX)
        return error_set(error, EINVAL, "'%s' is not 1 to %d bytes long", text, LAB_WORD_MAX - 1);
    snprintf(word, LAB_WORD_MAX, "%s", text);
    return 0;
}

static int parse_segment(struct lab_condition *out, const char *text, struct error *error)
{
    static const struct {
        const char *word;
        enum lab_stage stage;
    } stages[] = {{"seen ", LAB_SEEN}, {"delivered ", LAB_DELIVERED}, {"dropped ", LAB_DROPPED}};

    out->kind = LAB_SEGMENT;
    for (size_t i = 0; i < ARRAY_SIZE(stages); i++)
        if (!strncmp(text, stages[i].word, strlen(stages[i].word))) {
            out->stage = stages[i].stage;
            text += strlen(stages[i].word);
            break;
        }
    out->match.direction = take_direction(&text);
    if (flag_word_of(text) == WORD_NONE || !*text)
        return error_set(
            error, EINVAL,
            "'%s' is not a condition: [seen|delivered|dropped ][c>s:|s>c:]WORD with WORD "
            "any, syn, syn-ack, fin, rst, data or ack; client=STATE; client.VERB; "
            "mark=TEXT; each with #N",
            text);
    return set_match(&out->match, text, strlen(text), error);
}

int lab_condition_parse(struct lab_condition *out, const char *text, struct error *error)
{
    struct lab_condition made = {0};
    char plain[LAB_MATCH_MAX];
    const char *number = strrchr(text, '#');
    size_t len = number ? (size_t)(number - text) : strlen(text);
    int64_t nth = 0;

    int rc = number ? parse_count(&nth, number + 1, "#", error) : 0;
    if (rc)
        return rc;
    if (len >= sizeof plain)
        return error_set(error, EINVAL, "a condition is shorter than %zu bytes", sizeof plain);
    memcpy(plain, text, len);
    plain[len] = '\0';
    made.nth = (uint32_t)nth;

    size_t host_len = strlen("client");
    bool client = !strncmp(plain, "client", host_len), server = !strncmp(plain, "server", host_len);
    made.host = server ? LAB_SERVER : LAB_CLIENT;
    if (!strncmp(plain, "mark=", 5)) {
        made.kind = LAB_MARK;
        rc = copy_word(made.word, plain + 5, error);
    } else if ((client || server) && plain[host_len] == '=') {
        made.kind = LAB_STATE;
        rc = parse_state(&made.state, plain + host_len + 1, error);
    } else if ((client || server) && plain[host_len] == '.') {
        made.kind = LAB_CALL;
        rc = copy_word(made.word, plain + host_len + 1, error);
    } else {
        rc = parse_segment(&made, plain, error);
    }
    if (!rc)
        *out = made;
    return rc;
}

/* ---- Options ---- */

enum value_kind {
    VALUE_NONE,     /* M */
    VALUE_HOLD,     /* M, M=DUR, M=N, M=until:COND */
    VALUE_DURATION, /* M=DUR, M=DUR+JITTER */
    VALUE_ICMP,     /* M=NAME */
};

static const struct {
    const char *name;
    enum lab_action action;
    enum value_kind value;
} actions[] = {
    {"drop", LAB_DROP, VALUE_NONE},
    {"hold", LAB_HOLD, VALUE_HOLD},
    {"late", LAB_LATE, VALUE_DURATION},
    {"duplicate", LAB_DUPLICATE, VALUE_NONE},
    {"reorder", LAB_REORDER, VALUE_NONE},
    {"corrupt", LAB_CORRUPT, VALUE_NONE},
    {"answer-rst", LAB_ANSWER_RST, VALUE_NONE},
    {"answer-icmp", LAB_ANSWER_ICMP, VALUE_ICMP},
    {"cut", LAB_CUT, VALUE_NONE},
};

static int parse_hold(struct lab_fault *fault, const char *value, struct error *error)
{
    if (!strncmp(value, "until:", 6))
        return lab_condition_parse(&fault->until, value + 6, error);
    /* A bare number is a number of packets here, not of seconds. */
    if (!units_parse_integer(value, &fault->hold_count))
        return parse_count(&fault->hold_count, value, "hold", error);
    return parse_duration(&fault->duration_ns, value, "hold", error);
}

static int parse_late(struct lab_fault *fault, const char *value, struct error *error)
{
    char first[UNITS_TEXT_MAX];
    const char *plus = strchr(value, '+');
    size_t len = plus ? (size_t)(plus - value) : strlen(value);

    if (len >= sizeof first)
        return parse_duration(&fault->duration_ns, value, "late", error);
    memcpy(first, value, len);
    first[len] = '\0';
    int rc = parse_duration(&fault->duration_ns, first, "late", error);
    return rc || !plus ? rc : parse_duration(&fault->jitter_ns, plus + 1, "late", error);
}

static int parse_icmp(struct lab_fault *fault, const char *value, struct error *error)
{
    size_t count, used = 0;
    const struct icmp_name *names = icmp_names(&count);
    char all[ERROR_TEXT_MAX] = "";

    if (icmp_by_name(value) && icmp_by_name(value)->is_error) {
        snprintf(fault->icmp, sizeof fault->icmp, "%s", value);
        return 0;
    }
    for (size_t i = 0; i < count && used < sizeof all; i++)
        if (names[i].is_error)
            used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", used ? ", " : "",
                                     names[i].name);
    return error_set(error, EINVAL, "'%s' is not an ICMP error; known: %s", value, all);
}

/* M may contain '=' itself (filters do), so the value is what follows the last one. For a hold it
 * is what follows "=until:", since a condition may contain one too. */
static int parse_action(struct lab_fault *fault, size_t row, const char *text, struct error *error)
{
    struct lab_fault made = {.action = actions[row].action};
    const char *value = NULL;

    if (actions[row].value == VALUE_HOLD)
        value = strstr(text, "=until:");
    if (!value && actions[row].value != VALUE_NONE)
        value = strrchr(text, '=');
    if (!value && actions[row].value != VALUE_NONE && actions[row].value != VALUE_HOLD)
        return error_set(error, EINVAL, "%s wants M=%s", actions[row].name,
                         actions[row].value == VALUE_ICMP ? "NAME" : "DURATION");
    size_t len = value ? (size_t)(value - text) : strlen(text);
    const char *match = text;
    made.match.direction = take_direction(&match);
    int rc = set_match(&made.match, match, len - (size_t)(match - text), error);
    if (rc || !value) {
        if (!rc)
            *fault = made;
        return rc;
    }
    switch (actions[row].value) {
    case VALUE_NONE:
        break;
    case VALUE_HOLD:
        rc = parse_hold(&made, value + 1, error);
        break;
    case VALUE_DURATION:
        rc = parse_late(&made, value + 1, error);
        break;
    case VALUE_ICMP:
        rc = parse_icmp(&made, value + 1, error);
        break;
    }
    if (!rc)
        *fault = made;
    return rc;
}

static int parse_window(struct lab_fault *fault, const char *value, struct error *error)
{
    const char *dots = strstr(value, "..");
    char from[UNITS_TEXT_MAX];

    if (!dots || (size_t)(dots - value) >= sizeof from)
        return error_set(error, EINVAL, "window must be FROM..TO (0..500ms, 1s..), not '%s'",
                         value);
    memcpy(from, value, (size_t)(dots - value));
    from[dots - value] = '\0';
    int rc = *from ? parse_duration(&fault->from_ns, from, "window", error) : 0;
    if (!rc && dots[2])
        rc = parse_duration(&fault->to_ns, dots + 2, "window", error);
    if (!rc && dots[2] && fault->to_ns <= fault->from_ns)
        rc = error_set(error, EINVAL, "the window '%s' ends before it begins", value);
    return rc;
}

static int parse_qualifier(struct lab_fault *fault, const char *option, const char *value,
                           struct error *error)
{
    if (!strcmp(option, "count"))
        return parse_count(&fault->count, value, option, error);
    if (!strcmp(option, "nth"))
        return parse_count(&fault->nth, value, option, error);
    if (!strcmp(option, "window"))
        return parse_window(fault, value, error);
    if (!strcmp(option, "dir")) {
        bool client = !strcmp(value, "c>s");
        if (!client && strcmp(value, "s>c"))
            return error_set(error, EINVAL, "dir must be c>s or s>c, not '%s'", value);
        fault->match.direction = client ? LAB_FROM_CLIENT : LAB_FROM_SERVER;
        return 0;
    }
    if (!strcmp(option, "probability")) {
        fault->by_chance = true;
        if (units_parse_real(value, &fault->probability) || fault->probability < 0 ||
            fault->probability > 1)
            return error_set(error, EINVAL, "probability must be 0 to 1, not '%s'", value);
        return 0;
    }
    return error_set(error, ENOENT, "'%s' is not an option of a fault", option);
}

static int action_row(const char *option)
{
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
        if (!strcmp(actions[i].name, option))
            return (int)i;
    return -1;
}

bool lab_fault_begins(const char *option)
{
    return action_row(option) >= 0;
}

int lab_fault_option(struct lab_fault *fault, const char *option, const char *value,
                     struct error *error)
{
    int row = action_row(option);

    return row >= 0 ? parse_action(fault, (size_t)row, value, error)
                    : parse_qualifier(fault, option, value, error);
}

/* ---- Lines ---- */

/* The next word of a line, in double quotes if it has spaces; "" at its end. */
static int next_word(const char **at, char *out, size_t size, struct error *error)
{
    size_t len = 0;
    bool quoted = false;

    *at += strspn(*at, " \t\r\n");
    for (; **at && (quoted || !strchr(" \t\r\n", **at)); (*at)++) {
        if (**at == '"')
            quoted = !quoted;
        else if (len + 1 < size)
            out[len++] = **at;
        else
            return error_set(error, EINVAL, "a word of more than %zu bytes", size - 1);
    }
    out[len] = '\0';
    return quoted ? error_set(error, EINVAL, "a quote is not closed") : 0;
}

int lab_fault_parse(struct lab_fault *out, const char *line, struct error *error)
{
    struct lab_fault fault = {0};
    char option[32], value[2 * LAB_MATCH_MAX];
    bool begun = false;

    for (;;) {
        line += strspn(line, " \t\r\n");
        if (!*line || *line == '#')
            break;
        int rc = next_word(&line, option, sizeof option, error);
        if (!rc)
            rc = next_word(&line, value, sizeof value, error);
        if (rc)
            return rc;
        const char *name = !strncmp(option, "--", 2) ? option + 2 : option;
        if (!*value)
            return error_set(error, EINVAL, "'%s' needs a value", name);
        if (begun == lab_fault_begins(name))
            return error_set(error, EINVAL,
                             begun ? "a second fault ('%s'): only one per line"
                                   : "'%s' comes before the fault that it qualifies",
                             name);
        begun = true;
        rc = lab_fault_option(&fault, name, value, error);
        if (rc)
            return rc;
    }
    if (begun)
        *out = fault;
    return begun;
}
