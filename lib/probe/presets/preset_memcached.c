/* memcached's text protocol (its doc/protocol.txt). */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include "base/cleanup.h"
#include <string.h>

/* Lines that are a whole response, and those of which more follow, until END. */
static const char *const whole[] = {
    "VERSION ", "OK",   "STORED", "NOT_STORED",   "EXISTS", "NOT_FOUND", "DELETED",     "TOUCHED",
    "RESET",    "BUSY", "ERROR",  "CLIENT_ERROR", "END",    "BLOCKED",   "SERVER_ERROR"};
static const char *const parts[] = {"VALUE ", "STAT "};

static bool starts_with_any(const struct framing_reader *reader, const char *const *words,
                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (framing_line_starts(reader, words[i]))
            return true;
    return false;
}

/* The new value, in answer to incr and decr, which may pad it with blanks. It begins the lines of
 * other protocols, too. */
static bool is_number(const char *line)
{
    size_t digits = strspn(line, "0123456789");
    return digits && !line[digits + strspn(line + digits, " ")];
}

/* What is stored may be any bytes: its lines are read over, so that one of them may end it too
 * early only if it reads like a response. */
static int end_line(struct framing_reader *reader, struct error *error)
{
    if (starts_with_any(reader, parts, ARRAY_SIZE(parts))) {
        reader->message.parts++;
        return 0;
    }
    if (starts_with_any(reader, whole, ARRAY_SIZE(whole)) ||
        (!reader->message.parts && is_number(reader->line)))
        return 1;
    return reader->message.parts ? 0 : framing_refuse("a response of memcached", error);
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    (void)head, (void)head_bytes;
    out->known = true;
    out->success = !framing_line_starts(reader, "ERROR") &&
                   !framing_line_starts(reader, "CLIENT_ERROR") &&
                   !framing_line_starts(reader, "SERVER_ERROR");
}

const struct framing_rules framing_memcached = {
    .awaits = "a response of memcached", .line = end_line, .judge = judge};

const struct preset preset_memcached = {.name = "memcached",
                                        PRESET_PORTS("version", (11211)),
                                        .request = "version\r\n",
                                        .framing = "memcached"};
