/* One exchange on a connection: a request goes out, an answer comes back, and what the calls and
 * the kernel's timestamps say of it is reduced to a round; or it fails. Knows no arms and no
 * targets, and never opens or closes the connection. Three files: transaction.c sends and receives,
 * transaction_round.c measures, transaction_errors.c says what went wrong. */
#ifndef PROBE_TRANSACTION_H
#define PROBE_TRANSACTION_H

#include "base/clock.h"
#include "diagnosis/round.h"
#include "probe/conn.h"
#include "probe/framing.h"

#define TRANSACTION_PIECES_MAX 32
#define TRANSACTION_HEADER     SIZE_MAX /* as a piece: what stands before the body */
#define TRANSACTION_HEAD_MIN   200

/* What is said and heard. Without a request a round is what the server says of its own on a new
 * connection. Memory is the caller's and must outlive the run. */
struct transaction_settings {
    const char *request;
    size_t request_bytes;
    size_t body_at;                        /* where its body begins, or its length */
    size_t pieces[TRANSACTION_PIECES_MAX]; /* sizes of the writes; the rest goes in a last one */
    size_t piece_count;
    int64_t gap_ns; /* pause between those writes */
    /* The header asks for 100 (Continue): how long the body waits for it; 0: it does not. */
    int64_t continue_ns;
    struct framing framing;
    size_t head_bytes; /* of an answer that are kept, at most; TRANSACTION_HEAD_MIN at least */
    /* Whether an answer is what the user expects (--expect); NULL: what its protocol calls one. */
    bool (*expected)(const void *context, const struct framing_answer *answer, const char *head,
                     size_t head_bytes);
    const void *expected_context;
    int64_t response_timeout_ns;
};

/* Each exchange ends in exactly one of these, except that it fails once at most. */
struct transaction_user {
    /* NULL: it is over, but the system's clock was stepped meanwhile. */
    void (*done)(void *owner, const struct round *round);
    void (*failed)(void *owner, const struct result_error *error);
    /* The server had closed the idle connection, so there was no exchange. */
    void (*closed)(void *owner);
    /* The peer ended the connection during a rest; may be NULL. */
    void (*left)(void *owner, bool by_reset);
};

enum transaction_phase {
    TRANSACTION_IDLE,
    TRANSACTION_SENDING, /* until the kernel has taken the whole piece */
    TRANSACTION_PAUSING, /* between pieces, by gap_ns, or for 100 (Continue) */
    TRANSACTION_RECEIVING,
};

struct transaction {
    const struct transaction_settings *settings;
    struct conn *conn;
    const struct transaction_user *user;
    void *owner;
    const char *request;
    size_t request_bytes, body_at;
    bool single_write;   /* the request in one piece, whatever the settings */
    bool keep_info;      /* `info` is wanted of each round */
    int64_t patience_ns; /* for an answer, if that is less than the settings' */
    int64_t rtt_ns; /* of the handshake, until a connection has a better one; or RESULT_UNKNOWN */

    enum transaction_phase phase;
    int64_t deadline_ns, look_ns;      /* of the phase; of the next look at the counters */
    int64_t pause_end_ns, idle_end_ns; /* of the gap and of the framing's silence */
    int64_t base_bytes;                /* stream offset of the round's first byte */
    size_t piece, piece_sent_bytes, sent_bytes;
    int send_error; /* errno: the peer takes no more of the request */
    int ended_by;   /* of `closed`: the errno, 0 when the peer closed */
    /* The connection's rest, between two exchanges. */
    int64_t rested_from_ns;
    int64_t left_after_ns; /* that the peer was seen to end it; or RESULT_UNKNOWN */
    bool left_by_reset;
    bool answered;    /* the answer was complete before the request was out */
    bool asking;      /* the body waits for 100 (Continue) ... */
    bool withheld;    /* ... and another status came instead: it is not sent */
    bool early;       /* answered before the peer's kernel had the whole request */
    bool peer_ended;  /* after an early answer */
    bool reset_told;  /* a reset after the answer is counted */
    bool reset_early; /* of a failure: a reset before the peer's kernel had the whole request */
    bool unfit;       /* the request is not out: nothing more can be asked on the connection */
    bool retried;     /* once after the server closed between rounds */
    int64_t rounds_on_connection;
    struct clock_pair clocks; /* as they stood to each other before the round */
    struct framing_reader reader;
    struct round_builder builder;
    char kept[TRANSACTION_HEAD_MIN];
    char *head; /* the beginning of the answer: `kept`, or allocated where more was wanted */
    size_t head_bytes, head_room;
    struct framing_answer answer; /* of the round that is over, what it says of itself ... */
    bool unexpected;              /* ... and that it is no success, or not what the user expects */
    /* What TCP_INFO said at the end of the last round, if nothing has happened since. */
    struct {
        bool known;
        bool quiet; /* all that came was read, and the peer has not closed */
        uint32_t snd_mss;
        struct round_counters counters;
    } latest;
    uint32_t peer_mss; /* of the segments that we receive; 0: not known yet */

    /* Of all exchanges together. */
    int64_t min_rtt_ns; /* or RESULT_UNKNOWN */
    int64_t surplus_bytes, bare_ends, clock_steps;
    int64_t early_resets;      /* early answers that a reset followed ... */
    int64_t early_open;        /* ... those of which nothing came to be known ... */
    int64_t early_read;        /* ... and those whose request was read all the same */
    int64_t late_resets;       /* a reset after an answer: whether that was early is not known */
    struct sock_tcp_info info; /* at the end of the last round that was to keep it */
    bool has_info;
    struct round *settled; /* while it is awaited what becomes of an early answer; or NULL */
    bool settled_good;
    struct round *unfinished; /* as far as it was known when it was given up; or NULL */
};

void transaction_init(struct transaction *transaction, const struct transaction_settings *settings,
                      struct conn *conn, const struct transaction_user *user, void *owner);
void transaction_free(struct transaction *transaction);
/* The connection stands, and the server has said this much: has the first exchange. */
void transaction_first(struct transaction *transaction, const struct conn_input *input);
/* Another one on the same connection. */
void transaction_next(struct transaction *transaction);
/* The connection rests until transaction_next(): when the peer ends it meanwhile is noted. */
void transaction_rest(struct transaction *transaction);
/* Gives up where it is: `unfinished` is what is known then. */
void transaction_abandon(struct transaction *transaction);
/* How much of what was sent on the connection (since offset `from_bytes` of the stream) the peer's
 * kernel has acknowledged. Without such a count in the kernel (Linux 4.1 has it) all of it. */
int64_t transaction_acked_bytes(const struct transaction *transaction, int64_t from_bytes);
/* To be called when the connection is closed. */
void transaction_reset(struct transaction *transaction);
/* What is waiting in capture and strip belongs to what was before. */
void transaction_mark(struct conn *conn);

#endif
