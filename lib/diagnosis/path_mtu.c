#include "diagnosis/path_mtu.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "diagnosis/verdict_thresholds.h"
#include <inttypes.h>

/* After the failure with full segments. No period of two to four, as of servers that share an
 * address by turns, fits all of it. What follows only narrows the size down. */
static const bool small_at[] = {true, true, false, true, false};
#define BETWEEN 1220 /* what IPv6's least MTU leaves (RFC 8200 section 5) */

bool path_mtu_worth_trying(const struct path_mtu_evidence *evidence)
{
    return evidence->full_mss > PATH_MTU_SMALL;
}

bool path_mtu_found(const struct path_mtu_evidence *evidence)
{
    return evidence->step >= ARRAY_SIZE(small_at);
}

static bool is_small(size_t step)
{
    return step < ARRAY_SIZE(small_at) && small_at[step];
}

uint32_t path_mtu_next(const struct path_mtu_evidence *evidence, int64_t *patience_ns)
{
    int64_t patience = PATH_MTU_TIMES * evidence->slowest_ns;

    *patience_ns = patience > PATH_MTU_PATIENCE_NS ? patience : PATH_MTU_PATIENCE_NS;
    if (is_small(evidence->step))
        *patience_ns = INT64_MAX;
    if (evidence->step < ARRAY_SIZE(small_at))
        return is_small(evidence->step) ? (uint32_t)PATH_MTU_SMALL : evidence->full_mss;
    return evidence->step == ARRAY_SIZE(small_at) && BETWEEN < evidence->full_mss ? BETWEEN : 0;
}

bool path_mtu_tried(struct path_mtu_evidence *evidence, bool completed, int64_t took_ns)
{
    int64_t patience_ns;
    uint32_t mss = path_mtu_next(evidence, &patience_ns);

    if (!path_mtu_found(evidence) && completed != is_small(evidence->step))
        return false;
    evidence->step++;
    if (!completed) {
        evidence->stuck_mss = mss;
        return true;
    }
    evidence->passed_mss = mss;
    if (took_ns > evidence->slowest_ns)
        evidence->slowest_ns = took_ns;
    return true;
}

bool path_mtu_to_server(const struct path_mtu_evidence *evidence)
{
    return evidence->acked_bytes < evidence->sent_bytes;
}

const char *path_mtu_describe(struct arena *arena, const struct path_mtu_evidence *evidence)
{
    const char *what =
        path_mtu_to_server(evidence)
            ? arena_printf(arena,
                           "Large segments do not reach the server: it acknowledged %" PRId64
                           " bytes, and %" PRId64 " more are waiting in our send queue.",
                           evidence->acked_bytes, evidence->sent_bytes - evidence->acked_bytes)
            : arena_printf(arena,
                           "Large segments from the server do not reach us: it acknowledged "
                           "what we sent, and %" PRId64 " bytes came back.",
                           evidence->received_bytes);
    return arena_printf(arena,
                        "%s The same conversation completes each time with an MSS of %" PRIu32
                        " (in %s at most), and never with one of %" PRIu32 ".",
                        what, evidence->passed_mss, arena_duration(arena, evidence->slowest_ns),
                        evidence->stuck_mss);
}
