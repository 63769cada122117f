/* The exchange, driven by the loop: sends the request piece by piece, and reads until the framing
 * says that the answer is complete. */
#include "probe/transaction_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_NS      NS_PER_MS        /* between looks at the counters, inside an answer */
#define LOOK_SLOW_NS (10 * NS_PER_MS) /* before it: only the window matters */
#define STEPS_MAX    100              /* of the clock: then its rounds are taken as they are */

static int64_t later_by(int64_t at_ns, int64_t delay_ns)
{
    return delay_ns < INT64_MAX - at_ns ? at_ns + delay_ns : INT64_MAX;
}

static void set_timer(struct transaction *transaction)
{
    int64_t next = transaction->phase == TRANSACTION_PAUSING ? transaction->pause_end_ns
                                                             : transaction->look_ns;
    conn_timer(transaction->conn,
               transaction->deadline_ns < next ? transaction->deadline_ns : next);
}

/* What the answer says of itself. Where none was awaited, or its end is the only thing known of it,
 * that is nothing. */
static void judge_answer(struct transaction *transaction)
{
    const struct transaction_settings *settings = transaction->settings;
    struct framing_answer *answer = &transaction->answer;

    framing_judge(&transaction->reader, transaction->head, transaction->head_bytes, answer);
    transaction->unexpected = settings->expected
                                  ? !settings->expected(settings->expected_context, answer,
                                                        transaction->head, transaction->head_bytes)
                                  : answer->known && !answer->success;
}

static void end_round(struct transaction *transaction)
{
    struct round round;
    bool good = transaction_round_end(transaction, &round);

    judge_answer(transaction);
    transaction->rounds_on_connection++;
    transaction->retried = false;
    transaction->phase = TRANSACTION_IDLE;
    conn_timer(transaction->conn, INT64_MAX);
    if (!good) /* stamps and calls of this round cannot be compared */
        good = ++transaction->clock_steps >= STEPS_MAX;
    transaction->user->done(transaction->owner, good ? &round : NULL);
}

/* ---- the request ---- */

/* All is said that can be said. */
static bool request_over(const struct transaction *transaction)
{
    return transaction->send_error || transaction->sent_bytes == transaction->request_bytes;
}

static size_t piece_size(const struct transaction *transaction)
{
    const struct transaction_settings *settings = transaction->settings;
    size_t left =
        transaction->request_bytes - transaction->sent_bytes + transaction->piece_sent_bytes;

    if (transaction->single_write || transaction->piece >= settings->piece_count)
        return left;
    size_t size = settings->pieces[transaction->piece];
    if (size == TRANSACTION_HEADER)
        size = transaction->body_at;
    return size < left ? size : left;
}

static void begin_receiving(struct transaction *transaction)
{
    transaction->phase = TRANSACTION_RECEIVING;
    if (!conn_watch(transaction->conn, EPOLLIN))
        return;
    /* Stamps that are there already would end the wait for the answer as an error of the socket. */
    conn_take_stamps(transaction->conn);
    /* When no answer is awaited, or it is here already, the round ends by the timer, so that rounds
     * do not nest. */
    if (!framing_awaits(&transaction->settings->framing) || transaction->answered)
        transaction->look_ns = clock_mono_ns();
    set_timer(transaction);
}

static void pause_sending(struct transaction *transaction)
{
    int64_t gap_ns = transaction->settings->gap_ns;

    transaction->phase = TRANSACTION_PAUSING;
    transaction->pause_end_ns = later_by(clock_mono_ns(), gap_ns);
    transaction->deadline_ns = later_by(transaction->deadline_ns, gap_ns);
    set_timer(transaction);
    conn_watch(transaction->conn, EPOLLIN);
}

/* A write failed. Returns whether the exchange goes on nevertheless. */
static bool survives_send_error(struct transaction *transaction, int number)
{
    if (conn_code_of(number, FINDING_NONE) == FINDING_NONE) {
        transaction_failed_here(transaction, "send", number);
        return false;
    }
    if (number != EPIPE && number != ECONNRESET) {
        transaction_peer_ended(transaction, number);
        return false;
    }
    /* What the peer said before it hung up can still be read. */
    transaction->send_error = number;
    return true;
}

static void send_pieces(struct transaction *transaction)
{
    struct conn *conn = transaction->conn;

    while (transaction->sent_bytes < transaction->request_bytes) {
        size_t left = piece_size(transaction) - transaction->piece_sent_bytes;
        ssize_t sent = conn_write(conn, transaction->request + transaction->sent_bytes, left);
        if (sent == -EAGAIN) {
            set_timer(transaction);
            conn_watch(conn, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0) {
            if (!survives_send_error(transaction, (int)-sent))
                return;
            break;
        }
        transaction->sent_bytes += (size_t)sent;
        transaction->piece_sent_bytes += (size_t)sent;
        if (transaction->piece_sent_bytes < piece_size(transaction))
            continue;
        transaction->piece++;
        transaction->piece_sent_bytes = 0;
        if (transaction->settings->gap_ns && transaction->sent_bytes < transaction->request_bytes &&
            !transaction->single_write) {
            pause_sending(transaction);
            return;
        }
    }
    begin_receiving(transaction);
}

static void begin_round(struct transaction *transaction)
{
    int64_t now = clock_mono_ns();

    transaction_round_begin(transaction);
    framing_begin(&transaction->reader, &transaction->settings->framing);
    transaction->head_bytes = 0;
    transaction->piece = transaction->piece_sent_bytes = transaction->sent_bytes = 0;
    transaction->send_error = 0;
    transaction->answered = false;
    transaction->phase = TRANSACTION_SENDING;
    transaction->deadline_ns = later_by(now, transaction_timeout_ns(transaction));
    transaction->look_ns = now + LOOK_SLOW_NS;
    send_pieces(transaction);
}

/* A server that closes after its answer is found out here, before the request is sent for nothing.
 * What it still had to say belongs to no round, least of all to the next one. */
static bool closed_meanwhile(struct transaction *transaction)
{
    struct conn *conn = transaction->conn;
    size_t stale = 0;

    if (conn->tls.closed || framing_closes(&transaction->reader))
        return true;
    if (transaction->latest.known && transaction->latest.quiet)
        return false;
    bool closed = conn_clear(conn, &stale);
    if (framing_awaits(&transaction->settings->framing))
        transaction->surplus_bytes += (int64_t)stale;
    return closed;
}

void transaction_next(struct transaction *transaction)
{
    if (transaction->rounds_on_connection && closed_meanwhile(transaction)) {
        transaction->ended_by = 0;
        transaction->user->closed(transaction->owner);
    } else {
        begin_round(transaction);
    }
}

/* ---- the answer ---- */

/* The peer has closed or reset the connection. */
static void hung_up(struct transaction *transaction, int number)
{
    const struct conn *conn = transaction->conn;
    bool complete = !number && framing_closed(&transaction->reader);

    if (number && conn_code_of(number, FINDING_NONE) == FINDING_NONE) {
        transaction_failed_here(transaction, "receive", number);
    } else if (complete && request_over(transaction) && !transaction->send_error) {
        transaction->bare_ends += conn->tls.ssl && !conn->tls.closed;
        round_read(&transaction->builder, RESULT_UNKNOWN, conn->returned_real_ns, 0);
        end_round(transaction);
    } else if (transaction->answered) {
        end_round(transaction);
    } else {
        transaction_peer_ended(transaction, number);
    }
}

/* Something has come that is no answer: from now on our acknowledgements matter. */
static void look_closely(struct transaction *transaction)
{
    int64_t soon = clock_mono_ns() + LOOK_NS;

    transaction_round_look(transaction);
    if (transaction->look_ns > soon)
        transaction->look_ns = soon;
    set_timer(transaction);
}

/* A server that expects TLS answers plain text by saying so, if it answers at all. */
static bool wants_tls(const struct transaction *transaction, const struct conn_input *input)
{
    return !transaction->conn->tls.ssl && !transaction->rounds_on_connection &&
           !transaction->reader.seen_bytes && tls_is_wanted(input->bytes, input->len_bytes);
}

static void wait_for_more(struct transaction *transaction, bool first)
{
    int64_t silence_ns = framing_silence_ns(&transaction->settings->framing);

    if (first)
        transaction_round_look(transaction);
    int64_t now = clock_mono_ns();
    transaction->idle_end_ns = later_by(now, silence_ns);
    transaction->look_ns = silence_ns ? transaction->idle_end_ns : now + LOOK_NS;
    set_timer(transaction);
}

static void keep_head(struct transaction *transaction, const char *bytes, size_t len_bytes)
{
    size_t room = transaction->head_room - transaction->head_bytes;
    size_t kept = len_bytes < room ? len_bytes : room;

    memcpy(transaction->head + transaction->head_bytes, bytes, kept);
    transaction->head_bytes += kept;
}

/* Bytes of an answer, or all of it, perhaps before the request is out. */
static void take_answer(struct transaction *transaction, const struct conn_input *input)
{
    struct error error; /* half a kilobyte: not to be cleared for every read */
    size_t used = 0;

    if (transaction->answered) {
        transaction->surplus_bytes += (int64_t)input->len_bytes;
        return;
    }
    if (wants_tls(transaction, input)) {
        conn_fail(transaction->conn, FINDING_NO_RESPONSE, EPROTO,
                  "the server expects TLS on this port, and got plain text: try --tls");
        return;
    }
    bool first = !transaction_round_heard(transaction);
    int rc = framing_feed(&transaction->reader, input->bytes, input->len_bytes, &used, &error);
    keep_head(transaction, input->bytes, rc < 0 ? input->len_bytes : used);
    transaction_round_read(transaction, input);
    if (rc < 0) {
        transaction_misunderstood(transaction, &error);
        return;
    }
    if (transaction->request_bytes) /* else the server goes on as it likes */
        transaction->surplus_bytes += (int64_t)(input->len_bytes - used);
    transaction->answered = rc;
    if (rc && request_over(transaction))
        end_round(transaction);
    else if (input->closed)
        hung_up(transaction, 0);
    else
        wait_for_more(transaction, first);
}

static void receive(struct transaction *transaction)
{
    struct conn *conn = transaction->conn;
    struct conn_input input;

    /* A gap inside the answer ends here, perhaps. Before anything has come there is none. */
    if (transaction_round_heard(transaction) || !request_over(transaction))
        transaction_round_look(transaction);
    ssize_t got = conn_read(conn, &input);
    if (got == -EAGAIN)
        return;
    conn_quickack(conn);
    if (got <= 0) {
        hung_up(transaction, (int)-got);
        return;
    }
    if (input.other_ns != RESULT_UNKNOWN)
        round_notice(&transaction->builder, input.other_ns);
    if (!framing_awaits(&transaction->settings->framing))
        return;
    else if (input.arrival_count)
        take_answer(transaction, &input);
    else if (input.closed)
        hung_up(transaction, 0);
    else
        look_closely(transaction);
}

/* ---- the connection's side ---- */

/* The timer ran out: the phase's deadline, or time for another look. */
static void timer(struct transaction *transaction)
{
    const struct framing *framing = &transaction->settings->framing;
    int64_t now = clock_mono_ns();

    if (transaction->phase == TRANSACTION_IDLE)
        return;
    if (now >= transaction->deadline_ns) {
        transaction_timed_out(transaction);
        return;
    }
    if (transaction->phase == TRANSACTION_PAUSING) {
        transaction->phase = TRANSACTION_SENDING;
        transaction->look_ns = now + LOOK_SLOW_NS;
        send_pieces(transaction);
        return;
    }
    bool receiving = transaction->phase == TRANSACTION_RECEIVING;
    bool silence = framing_silence_ns(framing) && transaction->reader.seen_bytes;
    if (receiving && (!framing_awaits(framing) || transaction->answered ||
                      (silence && now >= transaction->idle_end_ns))) {
        end_round(transaction);
        return;
    }
    transaction_round_look(transaction);
    bool heard = transaction_round_heard(transaction);
    if (heard) /* looking closely costs as much as talking */
        conn_active(transaction->conn);
    transaction->look_ns = now + (heard ? LOOK_NS : LOOK_SLOW_NS);
    if (silence && receiving)
        transaction->look_ns = transaction->idle_end_ns;
    set_timer(transaction);
}

void transaction_rest(struct transaction *transaction)
{
    transaction_reset(transaction);
    transaction->rested_from_ns = clock_mono_ns();
    transaction->left_after_ns = RESULT_UNKNOWN;
    conn_watch(transaction->conn, EPOLLRDHUP);
}

/* Both directions are closed at once only by a reset: we have not closed ours. */
static void note_departure(struct transaction *transaction, uint32_t events)
{
    const struct transaction_user *user = transaction->user;

    if (!(events & (EPOLLRDHUP | EPOLLHUP)))
        return;
    transaction->left_after_ns = clock_mono_ns() - transaction->rested_from_ns;
    transaction->left_by_reset = events & EPOLLHUP;
    conn_unwatch(transaction->conn);
    if (user->left)
        user->left(transaction->owner, transaction->left_by_reset);
}

static void woken(void *owner, uint32_t events)
{
    struct transaction *transaction = owner;

    if (!events)
        timer(transaction);
    else if (transaction->phase == TRANSACTION_IDLE)
        note_departure(transaction, events);
    else if (events & EPOLLOUT && transaction->phase == TRANSACTION_SENDING)
        send_pieces(transaction);
    else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(transaction);
}

static void conn_failed(void *owner, const struct result_error *error)
{
    struct transaction *transaction = owner;
    transaction->user->failed(transaction->owner, error);
}

void transaction_first(struct transaction *transaction, const struct conn_input *input)
{
    static const struct conn_user user = {.failed = conn_failed,
                                          .woken = woken,
                                          .wrote = transaction_round_wrote,
                                          .stamped = transaction_round_stamped};
    struct conn *conn = transaction->conn;

    conn_use(conn, &user, transaction);
    conn_quickack(conn);
    transaction->rounds_on_connection = 0;
    round_first(&transaction->builder);
    if (transaction->request_bytes) {
        transaction->surplus_bytes += (int64_t)input->len_bytes;
        begin_round(transaction);
        return;
    }
    begin_round(transaction);
    if (transaction->phase == TRANSACTION_RECEIVING && (input->len_bytes || input->closed))
        take_answer(transaction, input);
}

void transaction_init(struct transaction *transaction, const struct transaction_settings *settings,
                      struct conn *conn, const struct transaction_user *user, void *owner)
{
    *transaction = (struct transaction){.settings = settings,
                                        .conn = conn,
                                        .user = user,
                                        .owner = owner,
                                        .request = settings->request,
                                        .request_bytes = settings->request_bytes,
                                        .body_at = settings->body_at,
                                        .patience_ns = INT64_MAX,
                                        .rtt_ns = RESULT_UNKNOWN,
                                        .left_after_ns = RESULT_UNKNOWN,
                                        .min_rtt_ns = RESULT_UNKNOWN};
    transaction->head_room = sizeof transaction->kept;
    if (settings->head_bytes > transaction->head_room)
        transaction->head = malloc(settings->head_bytes);
    if (transaction->head)
        transaction->head_room = settings->head_bytes;
    else
        transaction->head = transaction->kept;
}

void transaction_free(struct transaction *transaction)
{
    if (transaction->head != transaction->kept)
        free(transaction->head);
    free(transaction->unfinished);
    round_free(&transaction->builder);
}

void transaction_reset(struct transaction *transaction)
{
    transaction->phase = TRANSACTION_IDLE;
    transaction->latest.known = false;
}
