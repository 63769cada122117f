#include "probe/idle_trial.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#define KEEPALIVE_PROBES 3
#define AT_ONCE_NS       (100 * NS_PER_MS)
#define CLOSES_ALWAYS    "the server closes connections after each answer"

static void next_wave(struct idle_trial *trial);

static void close_conn(struct idle_conn *idle)
{
    if (idle->state == IDLE_CONN_OVER)
        return;
    idle->state = IDLE_CONN_OVER;
    loop_timer(idle->conn.shared->loop, &idle->task, INT64_MAX);
    conn_close(&idle->conn);
    transaction_reset(&idle->transaction);
    admission_leave(idle->conn.shared->admission, &idle->conn.place);
}

void idle_trial_stop(struct idle_trial *trial)
{
    trial->over = true;
    for (size_t i = 0; i < trial->conn_count; i++)
        close_conn(&trial->conns[i]);
}

static void end_trial(struct idle_trial *trial, const char *failure)
{
    if (trial->over)
        return;
    trial->failure = failure;
    idle_trial_stop(trial);
    trial->ended(trial->owner);
}

/* ---- what becomes of a connection ---- */

static bool is_keepalive_wave(const struct idle_trial *trial)
{
    return trial->keepalive_ns > 0;
}

static void conn_over(struct idle_conn *idle, int64_t idle_ns, enum idle_end end)
{
    struct idle_trial *trial = idle->trial;
    bool left = false;

    close_conn(idle);
    if (is_keepalive_wave(trial)) {
        trial->keepalive = end == IDLE_KEPT ? IDLE_KEEPALIVE_KEEPS : IDLE_KEEPALIVE_DOES_NOT;
    } else {
        idle_search_learn(&trial->search, idle_ns, end);
        for (size_t i = 0; i < trial->conn_count; i++)
            if (!idle_search_wants(&trial->search, trial->conns[i].idle_ns))
                close_conn(&trial->conns[i]);
    }
    for (size_t i = 0; i < trial->conn_count; i++)
        left |= trial->conns[i].state != IDLE_CONN_OVER;
    if (!left)
        next_wave(trial);
}

static void round_done(void *owner, const struct round *round)
{
    struct idle_conn *idle = owner;
    int64_t now = clock_mono_ns();

    (void)round;
    if (idle->state == IDLE_CONN_USED) {
        conn_over(idle, idle->idle_ns, IDLE_KEPT);
        return;
    }
    idle->state = IDLE_CONN_IDLE;
    idle->since_ns = now;
    transaction_rest(&idle->transaction);
    loop_timer(idle->conn.shared->loop, &idle->task, now + idle->idle_ns);
}

/* It went while it was idle. */
static void left(void *owner, bool by_reset)
{
    struct idle_conn *idle = owner;

    if (idle->state != IDLE_CONN_IDLE)
        return;
    int64_t idle_ns = clock_mono_ns() - idle->since_ns;
    if (idle_ns < AT_ONCE_NS)
        end_trial(idle->trial, CLOSES_ALWAYS);
    else
        conn_over(idle, idle_ns, by_reset ? IDLE_RST : IDLE_FIN);
}

/* The request found nobody. */
static void round_failed(void *owner, const struct result_error *error)
{
    struct idle_conn *idle = owner;
    struct idle_trial *trial = idle->trial;
    const struct transaction *transaction = &idle->transaction;

    if (idle->state != IDLE_CONN_USED)
        end_trial(trial, error->message);
    else if (error->number == ETIMEDOUT &&
             !transaction_acked_bytes(transaction, transaction->base_bytes))
        conn_over(idle, idle->idle_ns, IDLE_SILENCE);
    else if (error->number == ECONNRESET || error->number == EPIPE)
        conn_over(idle, idle->idle_ns, IDLE_RST_ON_USE);
    else
        end_trial(trial, error->message);
}

/* The transaction noticed before it asked, or at its first byte. */
static void round_closed(void *owner)
{
    struct idle_conn *idle = owner;
    int64_t idle_ns = clock_mono_ns() - idle->since_ns;

    if (idle->state == IDLE_CONN_USED)
        conn_over(idle, idle_ns,
                  idle->transaction.ended_by == ECONNRESET || idle->transaction.ended_by == EPIPE
                      ? IDLE_RST_ON_USE
                      : IDLE_FIN);
    else
        end_trial(idle->trial, CLOSES_ALWAYS);
}

static void idle_over(struct loop_task *task, uint32_t events)
{
    struct idle_conn *idle = (struct idle_conn *)task;

    (void)events;
    idle->state = IDLE_CONN_USED;
    transaction_next(&idle->transaction);
}

/* ---- a connection ---- */

static void preamble_over(void *owner, const struct conn_input *input)
{
    struct idle_conn *idle = owner;
    transaction_first(&idle->transaction, input);
}

static void opened(void *owner, const struct conn_input *input)
{
    static const struct preamble_user user = {.over = preamble_over, .failed = round_failed};
    struct idle_conn *idle = owner;
    const struct idle_trial *trial = idle->trial;
    const int on = 1, seconds = (int)(trial->keepalive_ns / NS_PER_SEC), probes = KEEPALIVE_PROBES;

    if (is_keepalive_wave(trial)) {
        sock_setsockopt(&idle->conn.sock, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
        sock_setsockopt(&idle->conn.sock, IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
        sock_setsockopt(&idle->conn.sock, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
        sock_setsockopt(&idle->conn.sock, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    preamble_begin(&idle->preamble, trial->preamble_settings, &idle->conn, input, &user, idle);
}

static void open_one(struct idle_trial *trial, size_t index, int64_t idle_ns)
{
    static const struct conn_user user = {.opened = opened, .failed = round_failed};
    const struct conn_variant variant = {.request_follows =
                                             !preamble_server_first(trial->preamble_settings)};
    struct idle_conn *idle = &trial->conns[index];

    idle->idle_ns = idle_ns;
    idle->state = IDLE_CONN_OPENING;
    conn_open(&idle->conn, trial->address, 1, &variant, &user, idle);
}

/* ---- all of them ---- */

/* Long enough that it would have been dropped, if keepalive had not kept it. */
static size_t keepalive_wave(struct idle_trial *trial, int64_t times_ns[IDLE_AT_ONCE])
{
    int64_t dropped_ns = trial->search.dropped_ns;
    int64_t every_ns =
        trial->settings->keepalive_ns ? trial->settings->keepalive_ns : dropped_ns / 2;

    every_ns = every_ns / NS_PER_SEC * NS_PER_SEC; /* the option counts in seconds */
    if (sock_family(trial->address) == AF_UNIX)    /* it has no keepalive */
        return 0;
    if (is_keepalive_wave(trial) || dropped_ns == INT64_MAX || trial->search.varies ||
        every_ns < NS_PER_SEC)
        return 0;
    trial->keepalive_ns = every_ns;
    times_ns[0] = dropped_ns + dropped_ns / 2 + NS_PER_SEC;
    return 1;
}

static void next_wave(struct idle_trial *trial)
{
    int64_t times_ns[IDLE_AT_ONCE];
    size_t count;

    if (trial->over)
        return;
    count = is_keepalive_wave(trial) ? 0 : idle_search_next(&trial->search, times_ns);
    if (!count)
        count = keepalive_wave(trial, times_ns);
    if (!count) {
        end_trial(trial, NULL);
        return;
    }
    for (size_t i = 0; i < count && !trial->over; i++)
        open_one(trial, i, times_ns[i]);
}

int idle_trial_begin(struct idle_trial **out, const struct idle_settings *settings,
                     const struct preamble_settings *preamble, const struct transaction *model,
                     const struct sock_address *address, void *owner, void (*ended)(void *owner))
{
    static const struct transaction_user user = {
        .done = round_done, .failed = round_failed, .closed = round_closed, .left = left};
    const struct conn *conn = model->conn;
    struct idle_trial *trial = calloc(1, sizeof *trial);

    if (!trial)
        return -ENOMEM;
    trial->settings = settings;
    trial->preamble_settings = preamble;
    trial->address = address;
    trial->owner = owner;
    trial->ended = ended;
    trial->conn_count = IDLE_AT_ONCE;
    idle_search_begin(&trial->search, settings->max_ns);
    for (size_t i = 0; i < IDLE_AT_ONCE; i++) {
        struct idle_conn *idle = &trial->conns[i];
        idle->trial = trial;
        loop_task_init(&idle->task, idle_over);
        conn_init(&idle->conn, conn->shared, conn->host, NULL);
        transaction_init(&idle->transaction, model->settings, &idle->conn, &user, idle);
        idle->transaction.request = model->request;
        idle->transaction.request_bytes = model->request_bytes;
    }
    *out = trial;
    next_wave(trial);
    return 0;
}

void idle_trial_free(struct idle_trial *trial)
{
    if (!trial)
        return;
    idle_trial_stop(trial);
    for (size_t i = 0; i < IDLE_AT_ONCE; i++) {
        preamble_free(&trial->conns[i].preamble);
        transaction_free(&trial->conns[i].transaction);
    }
    free(trial);
}
