/* POP3 (RFC 1939), with STLS (RFC 2595) and CAPA (RFC 2449). */
#include "probe/framing_rules.h"
#include "probe/preset.h"

#include <string.h>

/* ---- a response: one line, or lines up to a dot ---- */

static int first_line(struct framing_reader *reader, struct error *error)
{
    if (framing_line_starts(reader, "-ERR"))
        return 1;
    if (!framing_line_starts(reader, "+OK"))
        return framing_refuse("a response of POP3", error);
    reader->message.parts = 1;
    return 0;
}

static int end_line(struct framing_reader *reader, struct error *error)
{
    int rc = first_line(reader, error);
    return rc < 0 ? rc : 1;
}

static int end_line_of_some(struct framing_reader *reader, struct error *error)
{
    return reader->message.parts ? !strcmp(reader->line, ".") : first_line(reader, error);
}

static void judge(const struct framing_reader *reader, const char *head, size_t head_bytes,
                  struct framing_answer *out)
{
    (void)reader;
    out->known = head_bytes > 0;
    out->success = head_bytes && *head == '+';
}

const struct framing_rules framing_pop3 = {
    .awaits = "a response of POP3", .line = end_line, .judge = judge};

const struct framing_rules framing_pop3_lines = {
    .awaits = "a whole response of POP3", .line = end_line_of_some, .judge = judge};

/* ---- STLS, USER, PASS ---- */

static int log_in(struct preamble_talk *talk, struct error *error)
{
    return preamble_log_in(talk, "pop3", "STLS", error);
}

static const struct preamble_rules preamble = {.next = log_in, .server_first = true};

static int check(const struct preset_ask *ask, struct error *error)
{
    return preamble_check_login(ask, false, error);
}

/* CAPA, because NOOP is for those who have logged in. */
const struct preset preset_pop3 = {.name = "pop3",
                                   PRESET_TLS_PORTS("CAPA, after the greeting", (110), (995)),
                                   .takes = PRESET_TAKES_USER,
                                   .check = check,
                                   .request = "CAPA\r\n",
                                   .framing = "pop3-lines",
                                   .preamble = &preamble,
                                   .starttls = true};
