/* netkit's own side of a conversation with a program of the user's: a small well-behaved server, or
 * client, that runs in an actor and can be stopped at an exact point.
 *
 * At the point the peer writes the mark "point" into the trace, and does nothing more until it gets
 * SIGUSR1: what is done to it there happens at that point, whatever the load. */
#ifndef SCENARIO_PEER_H
#define SCENARIO_PEER_H

#include "base/buf.h"
#include "netkit/error.h"
#include "scenario/actor.h"

enum peer_kind {
    PEER_HTTP,
    PEER_REDIS,
    PEER_ECHO,
    PEER_RAW, /* the bytes of a file */
};

/* When. */
enum peer_when {
    PEER_WHEN_DEFAULT,  /* what suits the scenario */
    PEER_WHEN_CONNECT,  /* a connection was accepted */
    PEER_WHEN_BYTES,    /* so many bytes of requests were read */
    PEER_WHEN_REQUEST,  /* a whole request was read */
    PEER_WHEN_RESPONSE, /* so many bytes of a response were written; 0: half of it */
    PEER_WHEN_TIME, /* so long after the first connection was accepted: the director's to keep */
};

struct peer_point {
    enum peer_when when;
    int64_t amount; /* bytes, or nanoseconds */
};

/* What the peer serves or asks. Bytes live longer than the runs. */
struct peer_plan {
    enum peer_kind serve;
    const char *raw;
    size_t raw_bytes;
    const char *request; /* NULL: by `ask` */
    size_t request_bytes;
    enum peer_kind ask;
    struct peer_point point;
};

/* "connect", "bytes:N", "response-bytes:N", "time:DUR". -EINVAL. */
int peer_point_parse(const char *text, struct peer_point *out, struct error *error);

/* Serves on the plan's port for ever: BEGIN(actor, ACT_CALL, .function = peer_serve) with a struct
 * peer_job in the data. */
struct peer_job {
    const struct peer_plan *plan;
    struct peer_point point;
    uint16_t port;
    bool deaf; /* reads nothing */
};
int64_t peer_serve(struct actor_self *self, const struct act *act, struct act_reply *reply);

/* The bytes of a whole request. */
void peer_request(const struct peer_plan *plan, struct buf *out);

/* Asks on slot 0, connected before: writes `share` of 1000 of the request, and reads the answer
 * when that is all. Returns 1: a whole answer came, 0: the peer ended before, -errno; -ETIME within
 * act->timeout_ns. reply->bytes: of the answer. */
struct peer_question {
    const struct peer_plan *plan;
    int share;
    bool no_answer; /* leave the answer unread */
};
int64_t peer_ask(struct actor_self *self, const struct act *act, struct act_reply *reply);

/* Puts a job or a question into an act. */
#define PEER_ACT(function_, value)                                                                 \
    (*peer_act(&(struct act){.verb = ACT_CALL, .function = (function_)}, &(value), sizeof(value)))
struct act *peer_act(struct act *act, const void *value, size_t size_bytes);

#endif
