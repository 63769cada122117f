#include "probe/preamble.h"

#include "base/cleanup.h"
#include "base/text.h"
#include <ctype.h>
#include <errno.h>

#define QUOTE_MAX 120

int preamble_await(struct preamble_talk *talk, const char *until)
{
    talk->await = until;
    return PREAMBLE_AWAIT;
}

bool preamble_refused(const struct preamble_talk *talk, struct error *error)
{
    const struct framing_answer *answer = &talk->answer;
    cleanup(buf) struct buf shown = {0};

    if (!talk->heard || !answer->known || answer->success)
        return false;
    text_escape(&shown, answer->text,
                answer->text_bytes < QUOTE_MAX ? answer->text_bytes : QUOTE_MAX);
    error_set(error, EACCES, "%s", buf_str(&shown));
    return true;
}

int preamble_log_in(struct preamble_talk *talk, const char *await, const char *starttls,
                    struct error *error)
{
    const struct preset_ask *ask = talk->ask;

    if (preamble_refused(talk, error))
        return -EACCES;
    if (talk->step == PREAMBLE_GREETING_STEP)
        return preamble_await(talk, await);
    if (talk->step == PREAMBLE_HANDSHAKE_STEP)
        return PREAMBLE_TLS;
    if (talk->step == PREAMBLE_STARTTLS_STEP && !talk->starttls)
        talk->step = PREAMBLE_USER_STEP;
    if (talk->step == PREAMBLE_STARTTLS_STEP)
        buf_printf(talk->say, "%s\r\n", starttls);
    else if (talk->step == PREAMBLE_USER_STEP && ask->user)
        buf_printf(talk->say, "USER %s\r\n", ask->user);
    else if (talk->step == PREAMBLE_PASS_STEP)
        buf_printf(talk->say, "PASS %s\r\n", ask->password);
    else
        return PREAMBLE_OVER;
    return preamble_await(talk, await);
}

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            return false;
    return true;
}

int preamble_check_login(const struct preset_ask *ask, bool lone_user, struct error *error)
{
    if (ask->password && !ask->user)
        return error_set(error, EINVAL, "a password wants --user, too");
    if (!ask->user)
        return 0;
    if (!*ask->user || !is_one_line(ask->user))
        return error_set(error, EINVAL, "--user wants a name without control characters");
    if (!ask->password && !lone_user)
        return error_set(error, EINVAL, "--user wants --password-file or --password-fd, too");
    return 0;
}
