/* SMTP (RFC 5321), with STARTTLS (RFC 3207). */
#include "probe/preset.h"

#include <errno.h>

enum { GREETING, HELLO, STARTTLS, HANDSHAKE };

static int begin(struct preamble_talk *talk, struct error *error)
{
    if (talk->step > GREETING && talk->heard && preamble_refused(talk, error))
        return -EACCES;
    switch (talk->step) {
    case GREETING:
        return preamble_await(talk, "reply");
    case HELLO:
        if (!talk->starttls)
            return PREAMBLE_OVER;
        buf_add_str(talk->say, "EHLO localhost\r\n");
        return preamble_await(talk, "reply");
    case STARTTLS:
        buf_add_str(talk->say, "STARTTLS\r\n");
        return preamble_await(talk, "reply");
    case HANDSHAKE:
        return PREAMBLE_TLS;
    default:
        return PREAMBLE_OVER;
    }
}

static const struct preamble_rules preamble = {.next = begin, .server_first = true};

const struct preset preset_smtp = {.name = "smtp",
                                   PRESET_TLS_PORTS("NOOP, after the greeting", (25, 587), (465)),
                                   .request = "NOOP\r\n",
                                   .framing = "reply",
                                   .preamble = &preamble,
                                   .starttls = true};
