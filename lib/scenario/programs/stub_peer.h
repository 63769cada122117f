/* The peer of a program under test: a small well-behaved server, or client, that runs in an agent
 * and can be stopped at an exact point.
 *
 * At the point it writes the mark "point" into the trace, and does nothing more until it gets
 * SIGUSR1: what is done to it there happens at that point, whatever the load. */
#ifndef SCENARIO_STUB_PEER_H
#define SCENARIO_STUB_PEER_H

#include "base/buf.h"
#include "netkit/error.h"
#include "probe/preset.h"
#include "scenario/engine/agent.h"

/* When. */
enum stub_peer_when {
    STUB_PEER_WHEN_DEFAULT,  /* what suits the scenario */
    STUB_PEER_WHEN_CONNECT,  /* a connection was accepted */
    STUB_PEER_WHEN_BYTES,    /* this many bytes of requests were read */
    STUB_PEER_WHEN_REQUEST,  /* a whole request was read */
    STUB_PEER_WHEN_RESPONSE, /* this many bytes of a response were written; 0: half of it */
    STUB_PEER_WHEN_TIME, /* this long after the first connection was accepted: kept by the scenario
                          */
};

struct stub_peer_point {
    enum stub_peer_when when;
    int64_t amount; /* bytes, or nanoseconds */
};

/* A mark in the trace: so many bytes of a response were still to be written at the point, or of the
 * first one after it. */
#define STUB_PEER_REST "rest "

/* What the peer serves or asks. Bytes live longer than the runs. */
struct stub_peer_plan {
    enum preset_id serve; /* HTTP, redis or echo; for `raw` PRESET_CONNECT */
    const char *raw;      /* the bytes of a file */
    size_t raw_bytes;
    const char *request; /* NULL: by `ask` */
    size_t request_bytes;
    enum preset_id ask;
    struct stub_peer_point point;
};

/* "connect", "bytes:N", "response-bytes:N", "time:DUR". -EINVAL. */
int stub_peer_point_parse(const char *text, struct stub_peer_point *out, struct error *error);

/* Serves on the plan's port for ever: BEGIN(agent, ACT_CALL, .function = stub_peer_serve) with a
 * struct stub_peer_job in the data. */
struct stub_peer_job {
    const struct stub_peer_plan *plan;
    struct stub_peer_point point;
    uint16_t port;
    bool deaf; /* reads nothing */
    /* Answers an HTTP request before it has read its body, which it has seen coming ("body" is
     * marked then), and closes: reading on first, or, once it has got SIGUSR1, at once, with RST.
     */
    bool early;
};
AGENT_CALL(stub_peer_serve);

/* The bytes of a whole request. */
void stub_peer_request(const struct stub_peer_plan *plan, struct buf *out);

/* Asks on slot 0, connected before: writes the request, and reads the answer when that is all, or
 * when no more can be written. Returns 1: a whole answer came, 0: the peer
 * ended before, -errno; -ETIME within act->timeout_ns. reply->bytes: of the answer; reply->data: a
 * struct stub_peer_written. */
struct stub_peer_question {
    const struct stub_peer_plan *plan;
    bool half;      /* write half of the request, and read nothing */
    bool no_answer; /* leave the answer unread */
    bool upload;    /* with a body of STUB_PEER_UPLOAD_BYTES, by HTTP */
};
AGENT_CALL(stub_peer_ask);

/* More than the kernels take while the application does not read, and than nginx accepts. */
#define STUB_PEER_UPLOAD_BYTES (INT64_C(2) << 20)

struct stub_peer_written {
    int64_t bytes; /* that our kernel took */
    int64_t of;
    int rc; /* 0, or why it took no more; -ETIME: it was full for act->timeout_ns */
};

/* Puts a job or a question into an act. */
#define STUB_PEER_ACT(function_, value)                                                            \
    (*stub_peer_act(&(struct act){.verb = ACT_CALL, .function = (function_)}, &(value),            \
                    sizeof(value)))
struct act *stub_peer_act(struct act *act, const void *value, size_t size_bytes);

#endif
