#include "diagnosis/no_answer.h"

#include "base/clock.h"

#define SLACK_NS         (50 * NS_PER_MS)  /* by which two connections may differ */
#define PATIENCE_NS      (250 * NS_PER_MS) /* beyond what the first one took, twice */
#define PATIENCE_MOST_NS (10 * NS_PER_SEC)

int64_t no_answer_patience_ns(const struct no_answer *facts)
{
    if (facts->life_ns > (PATIENCE_MOST_NS - PATIENCE_NS) / 2)
        return PATIENCE_MOST_NS;
    return PATIENCE_NS + 2 * facts->life_ns;
}

static const char *after(struct arena *arena, const char *message, const char *what)
{
    return arena_printf(arena, "%s; %s", message, what);
}

static enum failure_cause ended(struct arena *arena, const struct no_answer *facts,
                                const char **message)
{
    if (!facts->asked) {
        *message = after(arena, *message, "nothing had been sent: " NO_ANSWER_BACKEND);
        return FAILURE_ENDS_UNASKED;
    }
    if (!facts->waited)
        return FAILURE_NOT_KNOWN;
    const char *span = arena_duration(arena, facts->unasked_ns);
    const char *how = facts->unasked_reset ? "reset" : "closed";
    if (facts->unasked_ended && facts->unasked_ns > 2 * facts->life_ns + SLACK_NS) {
        *message = arena_printf(
            arena, "%s; a new connection on which nothing was sent was %s too, but only after %s",
            *message, how, span);
        return FAILURE_NOT_KNOWN;
    }
    if (facts->unasked_ended) {
        *message = arena_printf(arena,
                                "%s; a new connection on which nothing was sent was %s too, after "
                                "%s: " NO_ANSWER_BACKEND,
                                *message, how, span);
        return FAILURE_ENDS_UNASKED;
    }
    if (facts->unasked_ns < 2 * facts->life_ns)
        return FAILURE_NOT_KNOWN;
    *message = arena_printf(arena,
                            "%s; a new connection on which nothing was sent stayed open for %s: "
                            "the %s seems to answer the request",
                            *message, span, facts->reset ? "reset" : "close");
    return facts->reset ? FAILURE_RESET_ON_REQUEST : FAILURE_CLOSED_ON_REQUEST;
}

enum failure_cause no_answer_cause(struct arena *arena, const struct no_answer *facts,
                                   const char **message)
{
    if (facts->speaks_tls) {
        *message = after(arena, *message,
                         "the server speaks TLS on this port (it answered a ClientHello on a new "
                         "connection): try --tls");
        return FAILURE_TLS_WANTED;
    }
    return facts->ended ? ended(arena, facts, message) : FAILURE_NOT_KNOWN;
}
