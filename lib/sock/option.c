/* Socket options by name: text ↔ value ↔ the kernel's bytes.
 *
 * A kind is a row, too: how many nanoseconds its unit has, when it is a duration. The text forms
 * are those of base/units.h, so a bare number is seconds for every duration; what the kernel's unit
 * cannot express is refused, because rounding 1500 ms to "1 s" would be a lie. */
#include "sock/internal.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- finding ---- */

static const char *const prefixes[] = {"TCP_", "SO_", "IPV6_", "IP_"};

static const char *without_prefix(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
        if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
            return name + strlen(prefixes[i]);
    return name;
}

/* Case aside, and with '-' for '_'. */
static bool same_word(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;
        if (strncasecmp(&x, &y, 1))
            return false;
    }
    return *a == *b;
}

const struct sock_option *sock_option_find(const char *name)
{
    for (size_t i = 0; i < sock_option_count; i++)
        if (same_word(sock_options[i].name, name))
            return &sock_options[i];
    for (size_t i = 0; i < sock_option_count; i++)
        if (same_word(without_prefix(sock_options[i].name), name))
            return &sock_options[i];
    return NULL;
}

bool sock_option_applies(const struct sock_option *option, int family)
{
    switch (option->family) {
    case SOCK_OPTION_ANY:
        return true;
    case SOCK_OPTION_V4:
        return family == AF_INET;
    case SOCK_OPTION_V6:
        return family == AF_INET6;
    }
    return false;
}

/* The nearest name to a misspelt one, in whichever of the two spellings it was meant. */
static const char *suggest(const char *name)
{
    cleanup(mem) const char **words = calloc(2 * sock_option_count + 1, sizeof *words);
    char upper[SOCK_OPTION_STRING_MAX];
    size_t i;

    if (!words)
        return NULL;
    for (i = 0; name[i] && i + 1 < sizeof upper; i++)
        upper[i] = name[i] == '-'                     ? '_'
                   : name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A')
                                                      : name[i];
    upper[i] = '\0';
    for (i = 0; i < sock_option_count; i++) {
        words[i] = sock_options[i].name;
        words[sock_option_count + i] = without_prefix(sock_options[i].name);
    }
    const char *near = text_nearest(upper, words);
    const struct sock_option *option = near ? sock_option_find(near) : NULL;
    return option ? option->name : NULL;
}

const struct sock_option *option_find_or_say(const char *name, struct error *error)
{
    const struct sock_option *option = sock_option_find(name);
    cleanup(buf) struct buf shown = {0};
    const char *near;

    if (option)
        return option;
    buf_init_cap(&shown, ERROR_TEXT_MAX / 2);
    text_escape(&shown, name, strlen(name));
    near = suggest(name);
    error_set(error, EINVAL, "no socket option '%s'%s%s%s", buf_str(&shown),
              near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return NULL;
}

/* ---- text to value ---- */

const struct option_kind option_kinds[] = {
    [SOCK_OPTION_FLAG] = {"on or off", 0, sizeof(int)},
    [SOCK_OPTION_INT] = {"a whole number", 0, sizeof(int)},
    [SOCK_OPTION_BYTES] = {"a size such as 64k", 0, sizeof(int)},
    [SOCK_OPTION_SECONDS] = {"a duration in whole seconds such as 5s", NS_PER_SEC, sizeof(int)},
    [SOCK_OPTION_MS] = {"a duration in whole milliseconds such as 500ms", NS_PER_MS, sizeof(int)},
    [SOCK_OPTION_US] = {"a duration in whole microseconds such as 50us", NS_PER_US, sizeof(int)},
    [SOCK_OPTION_TIMEVAL] = {"a duration such as 500ms, 0 for none", NS_PER_US,
                             sizeof(struct timeval)},
    [SOCK_OPTION_LINGER] = {"off, or on with whole seconds such as on,5s", NS_PER_SEC,
                            sizeof(struct linger)},
    [SOCK_OPTION_STRING] = {"a name of at most 63 characters", 0, SOCK_OPTION_STRING_MAX},
    [SOCK_OPTION_RATE] = {"bytes a second such as 1M, or unlimited", 0, sizeof(uint64_t)},
    [SOCK_OPTION_ERRNO] = {"nothing: it can only be read", 0, sizeof(int)},
    [SOCK_OPTION_COOKIE] = {"nothing: it can only be read", 0, sizeof(uint64_t)},
};

static int parse_flag(const char *text, bool *out)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true", "0", "1"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (!strcasecmp(text, words[i])) {
            *out = i % 2;
            return 0;
        }
    return -EINVAL;
}

static int parse_integer(const char *text, int64_t *out)
{
    char *end;

    if (strncasecmp(text, "0x", 2)) {
        int rc = units_parse_integer(text, out);
        return rc ? rc : *out < INT_MIN || *out > UINT32_MAX ? -ERANGE : 0;
    }
    if (!strchr("0123456789abcdefABCDEF", text[2]) || !text[2])
        return -EINVAL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 16);
    if (*end)
        return -EINVAL;
    if (errno || value > UINT32_MAX)
        return -ERANGE;
    *out = (int64_t)value;
    return 0;
}

static int parse_duration(enum sock_option_kind kind, const char *text, int64_t *out)
{
    int64_t unit = option_kinds[kind].unit_ns;
    int rc;

    /* TCP_LINGER2 takes negative seconds: no FIN-WAIT-2 for orphans. */
    if (kind == SOCK_OPTION_SECONDS && !strcmp(text, "-1")) {
        *out = -NS_PER_SEC;
        return 0;
    }
    if ((rc = units_parse_duration(text, out)))
        return rc;
    if (*out % unit)
        return -EINVAL;
    return kind != SOCK_OPTION_TIMEVAL && *out / unit > INT_MAX ? -ERANGE : 0;
}

static int parse_linger(const char *text, struct sock_option_value *out)
{
    const char *comma = strchr(text, ',');
    char word[8] = "";
    size_t len = comma ? (size_t)(comma - text) : strlen(text);

    if (!comma && strcmp(text, "0") && strcmp(text, "1") && !parse_flag(text, &out->on))
        /* "on" alone would have to invent a time. */
        return out->on ? -EINVAL : 0;
    if (!comma) {
        out->on = true;
        return parse_duration(SOCK_OPTION_LINGER, text, &out->number);
    }
    if (len >= sizeof word)
        return -EINVAL;
    memcpy(word, text, len);
    if (parse_flag(word, &out->on))
        return -EINVAL;
    return parse_duration(SOCK_OPTION_LINGER, comma + 1, &out->number);
}

static int parse_kind(enum sock_option_kind kind, const char *text, struct sock_option_value *out)
{
    int rc;

    switch (kind) {
    case SOCK_OPTION_FLAG:
        return parse_flag(text, &out->on);
    case SOCK_OPTION_INT:
        return parse_integer(text, &out->number);
    case SOCK_OPTION_BYTES:
        rc = units_parse_size(text, &out->number);
        return rc ? rc : out->number > INT_MAX ? -ERANGE : 0;
    case SOCK_OPTION_SECONDS:
    case SOCK_OPTION_MS:
    case SOCK_OPTION_US:
    case SOCK_OPTION_TIMEVAL:
        return parse_duration(kind, text, &out->number);
    case SOCK_OPTION_LINGER:
        return parse_linger(text, out);
    case SOCK_OPTION_STRING:
        if (strlen(text) >= sizeof out->text)
            return -ERANGE;
        memcpy(out->text, text, strlen(text) + 1);
        return 0;
    case SOCK_OPTION_RATE:
        out->number = INT64_MAX;
        return strcasecmp(text, "unlimited") ? units_parse_size(text, &out->number) : 0;
    case SOCK_OPTION_ERRNO:
    case SOCK_OPTION_COOKIE:
        return -EINVAL;
    }
    return -EINVAL;
}

int sock_option_parse(const struct sock_option *option, const char *text,
                      struct sock_option_value *out, struct error *error)
{
    struct sock_option_value value = {0};
    int rc = parse_kind(option->kind, text, &value);

    if (rc) {
        cleanup(buf) struct buf shown = {0};
        buf_init_cap(&shown, ERROR_TEXT_MAX / 4);
        text_escape(&shown, text, strlen(text));
        return error_set(error, -rc, "%s takes %s, not '%s'", option->name,
                         option_kinds[option->kind].form, buf_str(&shown));
    }
    *out = value;
    return 0;
}

/* ---- value to text ---- */

/* In the largest unit that leaves no remainder, so that it reads back exactly. */
static void format_exact_duration(char *out, size_t size, int64_t ns)
{
    static const struct {
        int64_t ns;
        const char *name;
    } units[] = {{NS_PER_SEC, "s"}, {NS_PER_MS, "ms"}, {NS_PER_US, "us"}, {1, "ns"}};

    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (ns % units[i].ns == 0) {
            snprintf(out, size, "%" PRId64 "%s", ns / units[i].ns, ns ? units[i].name : "");
            return;
        }
}

const char *sock_option_format(char *out, size_t size_bytes, const struct sock_option *option,
                               const struct sock_option_value *value)
{
    char time[32];

    switch (option->kind) {
    case SOCK_OPTION_FLAG:
        snprintf(out, size_bytes, "%s", value->on ? "on" : "off");
        break;
    case SOCK_OPTION_INT:
    case SOCK_OPTION_BYTES:
        snprintf(out, size_bytes, "%" PRId64, value->number);
        break;
    case SOCK_OPTION_SECONDS:
    case SOCK_OPTION_MS:
    case SOCK_OPTION_US:
    case SOCK_OPTION_TIMEVAL:
        if (value->number == -NS_PER_SEC && option->kind == SOCK_OPTION_SECONDS)
            snprintf(out, size_bytes, "-1");
        else
            format_exact_duration(out, size_bytes, value->number);
        break;
    case SOCK_OPTION_LINGER:
        format_exact_duration(time, sizeof time, value->number);
        snprintf(out, size_bytes, "%s%s", value->on ? "on," : "off", value->on ? time : "");
        break;
    case SOCK_OPTION_STRING:
        snprintf(out, size_bytes, "%s", value->text);
        break;
    case SOCK_OPTION_RATE:
        if (value->number == INT64_MAX)
            snprintf(out, size_bytes, "unlimited");
        else
            snprintf(out, size_bytes, "%" PRId64, value->number);
        break;
    case SOCK_OPTION_ERRNO:
        snprintf(out, size_bytes, "%s", value->number ? error_name((int)value->number) : "0");
        break;
    case SOCK_OPTION_COOKIE:
        snprintf(out, size_bytes, "0x%" PRIx64, (uint64_t)value->number);
        break;
    }
    return out;
}
