#include "probe/preamble.h"

#include "base/cleanup.h"
#include "base/text.h"
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
