/* FTP (RFC 959), with AUTH TLS (RFC 4217) and FEAT (RFC 2389). Its control connection only. */
#include "probe/preset.h"

#include <errno.h>
#include <string.h>

#define FIRST_INTERMEDIATE 300
#define WANTS_PASSWORD     331

static bool is_anonymous(const char *user)
{
    return !strcmp(user, "anonymous") || !strcmp(user, "ftp");
}

static int say_password(struct preamble_talk *talk, struct error *error)
{
    const struct preset_ask *ask = talk->ask;

    if (talk->answer.status != WANTS_PASSWORD)
        return PREAMBLE_OVER;
    if (!ask->password && !is_anonymous(ask->user))
        return error_set(error, EINVAL,
                         "the server wants a password: give --password-file or --password-fd");
    buf_printf(talk->say, "PASS %s\r\n", ask->password ? ask->password : "anonymous@");
    return preamble_await(talk, "reply");
}

static int log_in(struct preamble_talk *talk, struct error *error)
{
    bool success = talk->answer.success;

    if (talk->step == PREAMBLE_PASS_STEP && success)
        return say_password(talk, error);
    if (talk->step == PREAMBLE_DONE_STEP && success && talk->answer.status >= FIRST_INTERMEDIATE)
        return error_set(error, EACCES, "%.3s after the password: the server asks for more",
                         talk->heard);
    return preamble_log_in(talk, "reply", "AUTH TLS", error);
}

static const struct preamble_rules preamble = {.next = log_in, .server_first = true};

static int check(const struct preset_ask *ask, struct error *error)
{
    return preamble_check_login(ask, true, error);
}

/* Many servers refuse NOOP to those who have not logged in, but tell their features to anybody. */
static void compose(struct buf *out, const struct preset_ask *ask, size_t *body_at)
{
    buf_add_str(out, ask->user ? "NOOP\r\n" : "FEAT\r\n");
    *body_at = out->len_bytes;
}

const struct preset preset_ftp = {
    .name = "ftp",
    PRESET_TLS_PORTS("NOOP after a login, FEAT without one", (21), (990)),
    .takes = PRESET_TAKES_USER,
    .check = check,
    .compose = compose,
    .framing = "reply",
    .preamble = &preamble,
    .starttls = true};
