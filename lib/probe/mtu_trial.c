#include "probe/mtu_trial.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define TIMESTAMPS_BYTES 12 /* the option, in each segment */

/* With RST, a small segment that a path always has room for: a server that waits for the rest of a
 * large one is free again. */
static void abort_connection(struct conn *conn)
{
    const struct linger abort = {.l_onoff = 1, .l_linger = 0};

    if (conn->sock.fd >= 0)
        setsockopt(conn->sock.fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    conn_close(conn);
}

void mtu_trial_stop(struct mtu_trial *trial)
{
    if (trial->over)
        return;
    trial->over = true;
    loop_timer(trial->conn.shared->loop, &trial->task, INT64_MAX);
    abort_connection(&trial->conn);
    transaction_reset(&trial->transaction);
    admission_leave(trial->conn.shared->admission, &trial->conn.place);
}

static void end_trial(struct mtu_trial *trial)
{
    mtu_trial_stop(trial);
    trial->ended(trial->owner);
}

static void preamble_over(void *owner, const struct conn_input *input)
{
    struct mtu_trial *trial = owner;

    transaction_first(&trial->transaction, input);
}

/* A failure of its own says nothing of sizes. */
static void conversation_failed(void *owner, const struct result_error *error)
{
    (void)error;
    end_trial(owner);
}

static void opened(void *owner, const struct conn_input *input)
{
    static const struct preamble_user user = {.over = preamble_over, .failed = conversation_failed};
    struct mtu_trial *trial = owner;

    preamble_begin(&trial->preamble, trial->preamble_settings, &trial->conn, input, &user, trial);
}

static void next_conversation(struct mtu_trial *trial)
{
    static const struct conn_user user = {.opened = opened, .failed = conversation_failed};
    int64_t now = clock_mono_ns(), patience_ns;
    uint32_t mss = path_mtu_next(&trial->evidence, &patience_ns);
    const struct conn_variant variant = {
        .mss_bytes = mss == trial->evidence.full_mss ? 0 : (int)mss,
        .request_follows = !preamble_server_first(trial->preamble_settings)};

    abort_connection(&trial->conn);
    transaction_reset(&trial->transaction);
    if (!mss || (patience_ns != INT64_MAX && patience_ns > trial->deadline_ns - now)) {
        end_trial(trial);
        return;
    }
    trial->began_ns = now;
    loop_timer(trial->conn.shared->loop, &trial->task,
               patience_ns == INT64_MAX ? trial->deadline_ns : now + patience_ns);
    conn_open(&trial->conn, trial->address, 1, &variant, &user, trial);
}

static void conversation_over(struct mtu_trial *trial, bool completed)
{
    if (path_mtu_tried(&trial->evidence, completed, clock_mono_ns() - trial->began_ns))
        next_conversation(trial);
    else
        end_trial(trial);
}

static void patience_over(struct loop_task *task, uint32_t events)
{
    struct mtu_trial *trial = (struct mtu_trial *)task;

    (void)events;
    conversation_over(trial, false);
}

static void done(void *owner, const struct round *round)
{
    (void)round;
    conversation_over(owner, true);
}

static void closed(void *owner)
{
    end_trial(owner);
}

static struct path_mtu_evidence evidence_of(const struct transaction *failed)
{
    const struct conn *conn = failed->conn;

    return (struct path_mtu_evidence){.full_mss = conn->mss_bytes +
                                                  (conn->opening.timestamps ? TIMESTAMPS_BYTES : 0),
                                      .sent_bytes = conn->sock.bytes_sent,
                                      .acked_bytes = transaction_acked_bytes(failed, 0),
                                      .received_bytes = conn->sock.bytes_received};
}

bool mtu_trial_wanted(const struct transaction *failed, const struct result_error *error)
{
    const struct path_mtu_evidence evidence = evidence_of(failed);
    bool silent = error->number == ETIMEDOUT && (error->code == FINDING_NO_RESPONSE ||
                                                 error->code == FINDING_TLS_HANDSHAKE_FAILED);
    bool stuck = path_mtu_to_server(&evidence) && error->code != FINDING_INCONCLUSIVE;

    return (silent || stuck) && path_mtu_worth_trying(&evidence);
}

int mtu_trial_begin(struct mtu_trial **out, struct transaction *failed,
                    const struct preamble_settings *preamble, const struct sock_address *address,
                    int64_t left_ns, void *owner, void (*ended)(void *owner))
{
    static const struct transaction_user user = {
        .done = done, .failed = conversation_failed, .closed = closed};
    struct conn *conn = failed->conn;
    struct mtu_trial *trial = calloc(1, sizeof *trial);
    int64_t now = clock_mono_ns(), most_ns = failed->settings->response_timeout_ns;

    if (!trial)
        return -ENOMEM;
    most_ns = left_ns < most_ns ? left_ns : most_ns;
    trial->evidence = evidence_of(failed);
    trial->preamble_settings = preamble;
    trial->address = address;
    trial->deadline_ns = most_ns < INT64_MAX - now ? now + most_ns : INT64_MAX;
    trial->owner = owner;
    trial->ended = ended;
    loop_task_init(&trial->task, patience_over);
    conn_init(&trial->conn, conn->shared, conn->host, NULL);
    transaction_init(&trial->transaction, failed->settings, &trial->conn, &user, trial);
    trial->transaction.request = failed->request;
    trial->transaction.request_bytes = failed->request_bytes;
    trial->transaction.body_at = failed->body_at;
    abort_connection(conn);
    transaction_reset(failed);
    *out = trial;
    next_conversation(trial);
    return 0;
}

void mtu_trial_free(struct mtu_trial *trial)
{
    if (!trial)
        return;
    mtu_trial_stop(trial);
    preamble_free(&trial->preamble);
    transaction_free(&trial->transaction);
    free(trial);
}
