#include "probe/no_answer_trial.h"

#include "base/clock.h"
#include "probe/tls.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_NS (2 * NS_PER_SEC) /* for the answer to a ClientHello */

void no_answer_trial_stop(struct no_answer_trial *trial)
{
    if (trial->over)
        return;
    trial->over = true;
    conn_close(&trial->conn);
    admission_leave(trial->conn.shared->admission, &trial->conn.place);
}

static void end_trial(struct no_answer_trial *trial)
{
    no_answer_trial_stop(trial);
    trial->ended(trial->owner);
}

static void connect_again(struct no_answer_trial *trial);

/* The silent one is over, or the answer to the ClientHello. */
static void step_over(struct no_answer_trial *trial)
{
    conn_close(&trial->conn);
    if (trial->says_hello || trial->facts.unasked_ended || clock_mono_ns() >= trial->deadline_ns) {
        end_trial(trial);
        return;
    }
    trial->says_hello = true;
    connect_again(trial);
}

static void note_unasked(struct no_answer_trial *trial, bool ended, bool reset)
{
    struct no_answer *facts = &trial->facts;

    if (trial->says_hello)
        return;
    facts->waited = true;
    facts->unasked_ended = ended;
    facts->unasked_reset = reset;
    facts->unasked_ns = clock_mono_ns() - trial->opened_ns;
}

static void take(struct no_answer_trial *trial, const struct conn_input *input)
{
    size_t room = sizeof trial->heard - trial->heard_bytes;
    size_t part = input->len_bytes < room ? input->len_bytes : room;

    memcpy(trial->heard + trial->heard_bytes, input->bytes, part);
    trial->heard_bytes += part;
    if (trial->says_hello && trial->heard_bytes < TLS_HELLO_ANSWER_BYTES)
        return;
    trial->facts.speaks_tls =
        trial->says_hello && tls_answers_hello(trial->heard, trial->heard_bytes);
    end_trial(trial); /* a server that speaks first is no server of TLS */
}

static void woken(void *owner, uint32_t events)
{
    struct no_answer_trial *trial = owner;
    struct conn_input input;

    if (!events) { /* it stayed open */
        note_unasked(trial, false, false);
        step_over(trial);
        return;
    }
    ssize_t got = conn_read(&trial->conn, &input);
    if (got == -EAGAIN)
        return;
    if (got > 0) {
        take(trial, &input);
        return;
    }
    note_unasked(trial, true, got < 0);
    step_over(trial);
}

static void wrote(void *owner)
{
    (void)owner;
}

static void opened(void *owner, const struct conn_input *input)
{
    struct no_answer_trial *trial = owner;
    int64_t span_ns = trial->says_hello ? HELLO_NS : no_answer_patience_ns(&trial->facts);
    int64_t now = clock_mono_ns();

    (void)input;
    trial->opened_ns = now;
    trial->heard_bytes = 0;
    /* A ClientHello fits into an empty send buffer. */
    if (trial->says_hello && conn_write(&trial->conn, trial->hello.data, trial->hello.len_bytes) !=
                                 (ssize_t)trial->hello.len_bytes) {
        end_trial(trial);
        return;
    }
    conn_timer(&trial->conn,
               span_ns < trial->deadline_ns - now ? now + span_ns : trial->deadline_ns);
    conn_watch(&trial->conn, EPOLLIN);
}

/* A reset right after the handshake is an end like another; other failures say nothing. */
static void failed(void *owner, const struct result_error *error)
{
    struct no_answer_trial *trial = owner;

    if (error->code == FINDING_CONNECTION_RESET && trial->conn.state == CONN_CONNECTING) {
        note_unasked(trial, true, true);
    }
    end_trial(trial);
}

static void connect_again(struct no_answer_trial *trial)
{
    static const struct conn_user user = {
        .opened = opened, .failed = failed, .woken = woken, .wrote = wrote};
    static const struct conn_variant variant = {0};

    trial->opened_ns = clock_mono_ns();
    conn_open(&trial->conn, trial->address, 1, &variant, &user, trial);
}

int no_answer_trial_begin(struct no_answer_trial **out, struct conn_shared *shared,
                          const char *host, const struct sock_address *address,
                          const struct no_answer *facts, int64_t left_ns, void *owner,
                          void (*ended)(void *owner))
{
    struct no_answer_trial *trial = calloc(1, sizeof *trial);
    int64_t now = clock_mono_ns();

    if (!trial || tls_client_hello(&trial->hello, host)) {
        free(trial);
        return -ENOMEM;
    }
    trial->facts = *facts;
    trial->address = address;
    trial->says_hello = !facts->ended || !facts->asked;
    trial->deadline_ns = left_ns < INT64_MAX - now ? now + left_ns : INT64_MAX;
    trial->owner = owner;
    trial->ended = ended;
    conn_init(&trial->conn, shared, host, NULL);
    *out = trial;
    connect_again(trial);
    return 0;
}

void no_answer_trial_free(struct no_answer_trial *trial)
{
    if (!trial)
        return;
    no_answer_trial_stop(trial);
    buf_free(&trial->hello);
    free(trial);
}
