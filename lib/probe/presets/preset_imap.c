/* IMAP (RFC 9051, RFC 3501). */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define LITERAL_MAX UINT64_C(0x7fffffff)

/* ---- a response: untagged lines, and the one with our tag ---- */

/* A literal is announced by the end of a line, as in "{5}", and its bytes are no lines. */
enum { TEXT, BRACE, DIGITS, CLOSED };

static const char *after_tag(const char *line)
{
    while (*line && *line != ' ')
        line++;
    return *line ? line + 1 : line;
}

static bool is_word(const char *text, const char *word)
{
    size_t length = strlen(word);
    return !strncmp(text, word, length) && (!text[length] || text[length] == ' ');
}

/* What ends in words for people, which may look like anything. */
static bool is_status(const char *text)
{
    static const char *const words[] = {"OK", "NO", "BAD", "BYE", "PREAUTH"};

    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (is_word(text, words[i]))
            return true;
    return false;
}

static int end_line(struct framing_reader *reader, struct error *error)
{
    const char *line = reader->line;
    bool untagged = !strncmp(line, "* ", 2), literal = reader->literal.state == CLOSED;

    reader->literal.state = TEXT;
    if (reader->literal.inside || (untagged && !is_status(line + 2))) {
        reader->literal.inside = literal;
        reader->literal.left_bytes = literal ? reader->literal.announced_bytes : 0;
        return 0;
    }
    if (untagged)
        return 0;
    if (line[0] == '+' && (line[1] == ' ' || !line[1])) /* it waits for us */
        return 1;
    const char *text = after_tag(line);
    return text > line + 1 && *line != '+' && is_status(text)
               ? 1
               : framing_refuse("a response of IMAP", error);
}

static int look_for_literal(struct framing_reader *reader, char c, struct error *error)
{
    uint64_t *announced = &reader->literal.announced_bytes;
    int *state = &reader->literal.state;

    if (c == '{') {
        *state = BRACE;
        *announced = 0;
    } else if ((*state == BRACE || *state == DIGITS) && isdigit((unsigned char)c)) {
        *state = DIGITS;
        *announced = *announced * 10 + (uint64_t)(c - '0');
        if (*announced > LITERAL_MAX)
            return framing_refuse("a length of IMAP", error);
    } else if (*state == DIGITS && c == '}') {
        *state = CLOSED;
    } else if (c != '\r' && c != '\n') {
        *state = TEXT;
    }
    return 0;
}

static int match(struct framing_reader *reader, char c, struct error *error)
{
    if (reader->literal.left_bytes) {
        reader->literal.left_bytes--;
        return 0;
    }
    int rc = look_for_literal(reader, c, error);
    if (!rc && framing_line_byte(reader, c))
        rc = end_line(reader, error);
    return rc;
}

static void begin(struct framing_reader *reader)
{
    memset(&reader->literal, 0, sizeof reader->literal);
}

/* A server that says goodbye answers nothing more. */
static int closed(const struct framing_reader *reader)
{
    return !reader->column && framing_line_starts(reader, "* BYE");
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    out->known = true;
    out->success = *reader->line == '+' || is_word(after_tag(reader->line), "OK");
    framing_show_last_line(reader, head, head_bytes, out);
}

const struct framing_rules framing_imap = {.awaits = "a response of IMAP",
                                           .begin = begin,
                                           .match = match,
                                           .closed = closed,
                                           .judge = judge};

/* ---- STARTTLS, LOGIN ---- */

enum { GREETING, STARTTLS, HANDSHAKE, LOGIN, DONE };

/* "* OK", "* PREAUTH" or "* BYE". */
static int hear_greeting(struct preamble_talk *talk, struct error *error)
{
    const char *heard = talk->heard;

    if (!strncmp(heard, "* BYE", 5)) {
        talk->answer.known = true;
        preamble_refused(talk, error);
        return -EACCES;
    }
    if (!strncmp(heard, "* PREAUTH", 9) && !talk->starttls)
        talk->step = DONE;
    else if (strncmp(heard, "* OK", 4))
        return framing_refuse("a greeting of IMAP", error);
    return 0;
}

static void add_quoted(struct buf *out, const char *text)
{
    buf_add_str(out, " \"");
    for (; *text; text++)
        buf_printf(out, "%s%c", strchr("\"\\", *text) ? "\\" : "", *text);
    buf_add_str(out, "\"");
}

static int log_in(struct preamble_talk *talk, struct error *error)
{
    const struct preset_ask *ask = talk->ask;

    if (talk->step == GREETING)
        return preamble_await(talk, "line");
    if (talk->step == STARTTLS) {
        int rc = hear_greeting(talk, error);
        if (rc)
            return rc;
    } else if (preamble_refused(talk, error)) {
        return -EACCES;
    }
    if (talk->step == STARTTLS && talk->starttls) {
        buf_add_str(talk->say, "t STARTTLS\r\n");
        return preamble_await(talk, "imap");
    }
    if (talk->step == HANDSHAKE)
        return PREAMBLE_TLS;
    if (talk->step < DONE && ask->user) {
        talk->step = LOGIN;
        buf_add_str(talk->say, "l LOGIN");
        add_quoted(talk->say, ask->user);
        add_quoted(talk->say, ask->password);
        buf_add_str(talk->say, "\r\n");
        return preamble_await(talk, "imap");
    }
    return PREAMBLE_OVER;
}

static const struct preamble_rules preamble = {.next = log_in, .server_first = true};

static int check(const struct preset_ask *ask, struct error *error)
{
    return preamble_check_login(ask, false, error);
}

const struct preset preset_imap = {.name = "imap",
                                   PRESET_TLS_PORTS("NOOP, after the greeting", (143), (993)),
                                   .takes = PRESET_TAKES_USER,
                                   .check = check,
                                   .request = "n NOOP\r\n",
                                   .framing = "imap",
                                   .preamble = &preamble,
                                   .starttls = true};
