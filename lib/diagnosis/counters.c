#include "diagnosis/counters.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What follows "group:" on a line, or NULL. */
static const char *in_group(const char *line, const char *group)
{
    size_t len = strlen(group);
    return !strncmp(line, group, len) && line[len] == ':' ? line + len + 1 : NULL;
}

static const char *next_line(const char *line)
{
    line += strcspn(line, "\n");
    return *line ? line + 1 : line;
}

/* The next word of a line, its length in *len; NULL at its end. */
static const char *next_word(const char *at, size_t *len)
{
    at += strspn(at, " \t\r");
    *len = strcspn(at, " \t\r\n");
    return *len ? at : NULL;
}

/* The place of a name on its line, -1 when it is not there. */
static long place_of(const char *names, const char *name)
{
    size_t len;

    for (long place = 0; (names = next_word(names, &len)); place++, names += len)
        if (len == strlen(name) && !memcmp(names, name, len))
            return place;
    return -1;
}

static bool number_at(const char *values, long place, uint64_t *out)
{
    size_t len = 0;
    char *end;

    while ((values = next_word(values, &len)) && place-- > 0)
        values += len;
    if (!values || values[0] < '0' || values[0] > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(values, &end, 10);
    if (errno || end != values + len)
        return false;
    *out = value;
    return true;
}

bool counters_find(const char *text, const char *group, const char *name, uint64_t *out)
{
    const char *names = NULL;

    for (; *text; text = next_line(text)) {
        const char *rest = in_group(text, group);
        if (rest && names && place_of(names, name) >= 0)
            return number_at(rest, place_of(names, name), out);
        /* A group's lines come in pairs, and several groups may share a name. */
        names = rest && !names ? rest : NULL;
    }
    return false;
}
