/* What is said before the rounds: a server that says anything to each preset's preamble. It comes
 * to an end, what it awaits is a framing that exists, a refusal is printable, and a server cannot
 * put a line of its own into what we say.
 *
 * Input: a letter for the preset, one for what the user gave (lower case: --starttls, too), and the
 * server's stream. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "probe/preset.h"
#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* Nonces are the same each time, so that a server of the corpus can know them. */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    (void)flags;
    memset(buffer, 0x5a, length);
    return (ssize_t)length;
}

static const struct preset_ask asks[] = {
    {.path = "/", .host = "h"},
    {.path = "/", .host = "h", .user = "anna", .password = "pencil", .database = "db"},
    {.path = "/", .host = "h", .user = "anna", .password = "pencil", .query = "select 1"},
};

/* Gives the answer to what the preamble awaits; false when the stream has ended before. */
static bool answer(struct preamble_talk *talk, const char **stream, size_t *left)
{
    static struct framing_reader reader;
    static struct framing framing;
    struct error error = {0};
    size_t used = 0;

    FUZZ_PROMISE(talk->await && framing_parse(talk->await, &framing, NULL) == 0);
    talk->heard = NULL;
    if (!framing_awaits(&framing))
        return true;
    framing_begin(&reader, &framing);
    int rc = framing_feed(&reader, *stream, *left, &used, &error);
    FUZZ_PROMISE(used <= *left && (rc >= 0 || error.text[0]));
    if (rc != 1)
        return false;
    talk->heard = *stream;
    talk->heard_bytes = used < PREAMBLE_HEARD_MAX ? used : PREAMBLE_HEARD_MAX;
    framing_judge(&reader, talk->heard, talk->heard_bytes, &talk->answer);
    *stream += used;
    *left -= used;
    return true;
}

static void check_refusal(int rc, const struct error *error)
{
    FUZZ_PROMISE(rc == -EACCES || rc == -EPROTO || rc == -EINVAL);
    /* What it refused with may be no words at all. */
    FUZZ_PROMISE(rc == -EACCES || error->text[0]);
    for (const char *p = error->text; *p; p++)
        FUZZ_PROMISE((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void play(const struct preset *preset, struct preamble_talk *talk, const char *stream,
                 size_t left)
{
    for (int turn = 0; turn < PREAMBLE_TURNS_MAX; turn++) {
        struct error error = {0};
        buf_reset(talk->say);
        int rc = preset->preamble->next(talk, &error);
        talk->step++;
        FUZZ_PROMISE(!talk->say->failed && talk->say->len_bytes < 100000);
        if (rc < 0)
            check_refusal(rc, &error);
        if (rc == PREAMBLE_TLS) {
            talk->secure = true;
            talk->heard = NULL;
        } else if (rc != PREAMBLE_AWAIT || !answer(talk, &stream, &left)) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cleanup(buf) struct buf say = {0};

    if (size < 2)
        return 0;
    const struct preset *preset = preset_at((enum preset_id)((data[0] - 'A') & 0xff) % PRESETS);
    const struct preset_ask *ask = &asks[(data[1] & 0x1f) % ARRAY_SIZE(asks)];
    struct error error = {0};
    if (!preset->preamble || (preset->check && preset->check(ask, &error)))
        return 0;
    cleanup(mem) char *stream = malloc(size);
    cleanup(mem) void *state = calloc(1, preset->preamble->state_bytes + 1);
    FUZZ_PROMISE(stream && state);
    memcpy(stream, data + 2, size - 2);
    struct preamble_talk talk = {
        .ask = ask, .say = &say, .state = state, .starttls = preset->starttls && data[1] >= 'a'};
    play(preset, &talk, stream, size - 2);
    return 0;
}
