#include "probe/preamble.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include "diagnosis/failure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define QUOTE_MAX 120 /* of what the server says, in a message */

static const char *quote(struct buf *out, const char *bytes, size_t len_bytes)
{
    text_escape(out, bytes, len_bytes < QUOTE_MAX ? len_bytes : QUOTE_MAX);
    return buf_str(out);
}

/* ---- what there is to say ---- */

bool preamble_wanted(const struct preamble_settings *settings)
{
    return settings->rules || framing_awaits(&settings->greeting) || settings->hello_count;
}

bool preamble_server_first(const struct preamble_settings *settings)
{
    if (settings->rules)
        return settings->rules->server_first && !settings->starttls;
    return framing_awaits(&settings->greeting);
}

/* ---- the end ---- */

static void leave(struct preamble *preamble)
{
    free(preamble->talk.state);
    preamble->talk.state = NULL;
    conn_timer(preamble->conn, INT64_MAX);
}

__attribute__((format(printf, 3, 4))) static void
fail_by(struct preamble *preamble, struct result_error error, const char *format, ...)
{
    cleanup(buf) struct buf text = {0};
    va_list args;

    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    leave(preamble);
    error.message = arena_copy(preamble->conn->shared->arena, buf_str(&text));
    preamble->user->failed(preamble->owner, &error);
}

#define fail(preamble, found, errno_value, ...)                                                    \
    fail_by(preamble, (struct result_error){.code = (found), .number = (errno_value)}, __VA_ARGS__)

/* A rule or a framing gave up. */
static void refuse(struct preamble *preamble, int rc, const struct error *error)
{
    cleanup(buf) struct buf shown = {0};

    switch (rc) {
    case -EACCES:
        fail(
            preamble, FINDING_UNEXPECTED_ANSWER, 0,
            *error->text ? "the server refused %s: \"%s\"" : "the server refused %s without a word",
            preamble->spoke ? "what is said before the rounds" : "us in its greeting", error->text);
        break;
    case -EPROTO:
        quote(&shown, preamble->heard.data, preamble->heard.len_bytes);
        fail(preamble, FINDING_UNEXPECTED_ANSWER, EPROTO,
             "what the server says before the rounds is not what was expected, %s: \"%s\"",
             error->text, buf_str(&shown));
        break;
    case -EINVAL:
        fail_by(preamble,
                (struct result_error){.code = FINDING_UNEXPECTED_ANSWER,
                                      .cause = failure_entry(FAILURE_OPTIONS)->name},
                "%s", error->text);
        break;
    default:
        fail(preamble, FINDING_INCONCLUSIVE, -rc, "cannot go on: %s", strerror(-rc));
        break;
    }
}

static const char *describe_awaited(const struct preamble *preamble, char *out, size_t size)
{
    return framing_describe(out, size, &preamble->until);
}

static void hung_up(struct preamble *preamble, int number)
{
    char awaited[FRAMING_DESCRIPTION_MAX];
    unsigned long long came = preamble->reader.seen_bytes;
    cleanup(buf) struct buf shown = {0};

    describe_awaited(preamble, awaited, sizeof awaited);
    quote(&shown, preamble->heard.data, preamble->heard.len_bytes);
    fail(preamble, number ? conn_code_of(number, FINDING_PEER_ABORTED) : FINDING_RESPONSE_TRUNCATED,
         number,
         "the server %s the connection before the rounds, waiting for %s; %llu bytes came%s%s%s",
         number ? "aborted" : "closed", awaited, came, came ? ": \"" : "", buf_str(&shown),
         came ? "\"" : "");
}

static void timed_out(struct preamble *preamble)
{
    char awaited[FRAMING_DESCRIPTION_MAX], span[UNITS_TEXT_MAX];
    unsigned long long came = preamble->reader.seen_bytes;
    cleanup(buf) struct buf shown = {0};

    describe_awaited(preamble, awaited, sizeof awaited);
    quote(&shown, preamble->heard.data, preamble->heard.len_bytes);
    fail(preamble, FINDING_NO_RESPONSE, ETIMEDOUT,
         "waited %s for %s before the rounds; %llu bytes came%s%s%s",
         units_format_duration(span, sizeof span, preamble->settings->timeout_ns, "u"), awaited,
         came, came ? ": \"" : "", buf_str(&shown), came ? "\"" : "");
}

/* ---- the turns ---- */

static void next_turn(struct preamble *preamble, const struct conn_input *input);

static void over(struct preamble *preamble, const struct conn_input *input)
{
    preamble->took_ns += clock_mono_ns() - preamble->began_ns;
    leave(preamble);
    preamble->user->over(preamble->owner, input);
}

/* What the user wants beyond the preset. */
static int own_turn(struct preamble *preamble, struct error *error)
{
    const struct preamble_settings *settings = preamble->settings;
    struct preamble_talk *talk = &preamble->talk;

    if (preamble->stage == PREAMBLE_GREETING) {
        preamble->stage = PREAMBLE_HELLOS;
        if (framing_awaits(&settings->greeting)) {
            preamble->until = settings->greeting;
            return PREAMBLE_AWAIT;
        }
    }
    if (preamble_refused(talk, error))
        return -EACCES;
    if (preamble->hello == settings->hello_count)
        return PREAMBLE_OVER;
    const struct preamble_hello *hello = &settings->hellos[preamble->hello++];
    buf_add(&preamble->say, hello->bytes, hello->len_bytes);
    preamble->until = hello->until;
    return PREAMBLE_AWAIT;
}

static int ask_rules(struct preamble *preamble, struct error *error)
{
    const struct preamble_rules *rules = preamble->settings->rules;
    struct preamble_talk *talk = &preamble->talk;
    int rc = PREAMBLE_OVER;

    if (preamble->stage == PREAMBLE_RULES && rules) {
        if (rules->state_bytes && !talk->state && !(talk->state = calloc(1, rules->state_bytes)))
            return -ENOMEM;
        rc = rules->next(talk, error);
        talk->step++;
        if (rc == PREAMBLE_AWAIT && framing_parse(talk->await, &preamble->until, NULL))
            rc = -EINVAL;
    }
    if (rc != PREAMBLE_OVER)
        return rc;
    if (preamble->stage == PREAMBLE_RULES) {
        preamble->stage = PREAMBLE_GREETING;
        talk->heard = NULL;
    }
    return own_turn(preamble, error);
}

/* Whether it goes on. */
static bool say_on(struct preamble *preamble)
{
    struct conn *conn = preamble->conn;

    while (preamble->said_bytes < preamble->say.len_bytes) {
        ssize_t sent = conn_write(conn, preamble->say.data + preamble->said_bytes,
                                  preamble->say.len_bytes - preamble->said_bytes);
        if (sent == -EAGAIN)
            return conn_watch(conn, EPOLLIN | EPOLLOUT);
        if (sent < 0) {
            hung_up(preamble, (int)-sent);
            return false;
        }
        preamble->said_bytes += (size_t)sent;
        preamble->spoke = true;
    }
    return conn_watch(conn, EPOLLIN);
}

/* The answer that was awaited is complete. */
static void answered(struct preamble *preamble, const struct conn_input *rest)
{
    struct preamble_talk *talk = &preamble->talk;

    talk->heard = buf_str(&preamble->heard);
    talk->heard_bytes = preamble->heard.len_bytes;
    framing_judge(&preamble->reader, talk->heard, talk->heard_bytes, &talk->answer);
    next_turn(preamble, rest);
}

/* The server has closed, which may complete its answer. */
static void closed(struct preamble *preamble)
{
    if (framing_closed(&preamble->reader))
        answered(preamble, &(struct conn_input){.bytes = "", .closed = true});
    else
        hung_up(preamble, 0);
}

/* The first that it says is an alert of TLS. */
static bool wants_tls(const struct preamble *preamble, const struct conn_input *input)
{
    return preamble->turns == 1 && !preamble->talk.secure && !preamble->reader.seen_bytes &&
           tls_is_wanted(input->bytes, input->len_bytes);
}

/* Something came, and the answer is complete when nothing more does for a while. */
static void await_silence(struct preamble *preamble)
{
    int64_t silence_ns = framing_silence_ns(&preamble->until);
    int64_t over_ns = clock_mono_ns() + silence_ns;

    preamble->silence = silence_ns && over_ns < preamble->deadline_ns;
    conn_timer(preamble->conn, preamble->silence ? over_ns : preamble->deadline_ns);
}

static void hear(struct preamble *preamble, const struct conn_input *input)
{
    size_t room = PREAMBLE_HEARD_MAX - preamble->heard.len_bytes;
    struct conn_input rest = *input;
    struct error error = {0};
    size_t used = 0;

    if (wants_tls(preamble, input)) {
        fail(preamble, FINDING_NO_RESPONSE, EPROTO,
             "the server expects TLS on this port, and got plain text: try --tls");
        return;
    }
    int rc = framing_feed(&preamble->reader, input->bytes, input->len_bytes, &used, &error);

    used = rc < 0 ? input->len_bytes : used;
    buf_add(&preamble->heard, input->bytes, used < room ? used : room);
    if (rc < 0) {
        refuse(preamble, rc, &error);
    } else if (rc) {
        rest.bytes += used;
        rest.len_bytes -= used;
        answered(preamble, &rest);
    } else if (input->closed) {
        closed(preamble);
    } else {
        await_silence(preamble);
    }
}

/* What comes in plain text behind the word for TLS could have been put there by anybody on the
 * path. */
static void start_tls(struct preamble *preamble, const struct conn_input *input)
{
    if (input->len_bytes) {
        fail(preamble, FINDING_UNEXPECTED_ANSWER, EPROTO,
             "the server sent %zu bytes in plain text where TLS has to begin", input->len_bytes);
        return;
    }
    preamble->talk.heard = NULL;
    preamble->took_ns += clock_mono_ns() - preamble->began_ns;
    conn_tls_start(preamble->conn);
}

static void next_turn(struct preamble *preamble, const struct conn_input *input)
{
    struct preamble_talk *talk = &preamble->talk;
    struct error error = {0};

    buf_reset(&preamble->say);
    preamble->said_bytes = 0;
    talk->say = &preamble->say;
    talk->secure = preamble->conn->tls.ssl != NULL;
    int rc = ++preamble->turns > PREAMBLE_TURNS_MAX && preamble->stage == PREAMBLE_RULES
                 ? error_set(&error, EPROTO, "for it goes on after %d steps", PREAMBLE_TURNS_MAX)
                 : ask_rules(preamble, &error);
    if (rc >= 0 && preamble->say.failed)
        rc = -ENOMEM;
    if (rc < 0) {
        refuse(preamble, rc, &error);
        return;
    }
    buf_reset(&preamble->heard);
    talk->heard = NULL;
    if (rc == PREAMBLE_OVER) {
        over(preamble, input);
    } else if (rc == PREAMBLE_TLS) {
        start_tls(preamble, input);
    } else {
        framing_begin(&preamble->reader, &preamble->until);
        preamble->silence = false;
        conn_timer(preamble->conn, preamble->deadline_ns);
        if (!say_on(preamble))
            return;
        if (!framing_awaits(&preamble->until))
            next_turn(preamble, input);
        else if (input->len_bytes || input->closed)
            hear(preamble, input);
    }
}

/* ---- the connection's side ---- */

static void woken(void *owner, uint32_t events)
{
    struct preamble *preamble = owner;
    struct conn_input input;

    if (!events) {
        if (preamble->silence)
            answered(preamble, &(struct conn_input){.bytes = ""});
        else
            timed_out(preamble);
        return;
    }
    if (events & EPOLLOUT) {
        say_on(preamble);
        return;
    }
    ssize_t got = conn_read(preamble->conn, &input);
    if (got == -EAGAIN)
        return;
    conn_quickack(preamble->conn);
    if (got < 0)
        hung_up(preamble, (int)-got);
    else if (!got)
        closed(preamble);
    else if (input.len_bytes || input.closed)
        hear(preamble, &input);
}

static void wrote(void *owner)
{
    (void)owner;
}

static void conn_failed(void *owner, const struct result_error *error)
{
    struct preamble *preamble = owner;

    leave(preamble);
    preamble->user->failed(preamble->owner, error);
}

static void secured(void *owner, const struct conn_input *input)
{
    struct preamble *preamble = owner;

    preamble->began_ns = clock_mono_ns();
    conn_timer(preamble->conn, preamble->deadline_ns);
    next_turn(preamble, input);
}

void preamble_begin(struct preamble *preamble, const struct preamble_settings *settings,
                    struct conn *conn, const struct conn_input *input,
                    const struct preamble_user *user, void *owner)
{
    static const struct conn_user conn_user = {
        .opened = secured, .failed = conn_failed, .woken = woken, .wrote = wrote};
    int64_t now;

    if (!preamble_wanted(settings)) {
        user->over(owner, input);
        return;
    }
    now = clock_mono_ns();
    preamble->settings = settings;
    preamble->conn = conn;
    preamble->user = user;
    preamble->owner = owner;
    preamble->stage = PREAMBLE_RULES;
    preamble->hello = preamble->turns = 0;
    preamble->talk = (struct preamble_talk){.ask = settings->ask, .starttls = settings->starttls};
    preamble->took_ns = 0;
    preamble->spoke = false;
    preamble->began_ns = now;
    preamble->deadline_ns =
        settings->timeout_ns < INT64_MAX - now ? now + settings->timeout_ns : INT64_MAX;
    buf_reset(&preamble->heard);
    conn_use(conn, &conn_user, preamble);
    conn_quickack(conn);
    conn_timer(conn, preamble->deadline_ns);
    next_turn(preamble, input);
}

void preamble_free(struct preamble *preamble)
{
    free(preamble->talk.state);
    buf_free(&preamble->say);
    buf_free(&preamble->heard);
}
