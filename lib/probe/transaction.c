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

static void tell_round(struct transaction *transaction, const struct round *round, bool good)
{
    judge_answer(transaction);
    transaction->rounds_on_connection++;
    transaction->retried = false;
    transaction->phase = TRANSACTION_IDLE;
    conn_timer(transaction->conn, INT64_MAX);
    if (!good) /* stamps and calls of this round cannot be compared */
        good = ++transaction->clock_steps >= STEPS_MAX;
    transaction->user->done(transaction->owner, good ? round : NULL);
}

static void end_round(struct transaction *transaction)
{
    struct round round;
    bool good = transaction_round_end(transaction, &round);

    tell_round(transaction, &round, good);
}

/* ---- the request ---- */

/* All is said that can be said. */
static bool request_over(const struct transaction *transaction)
{
    return transaction->send_error || transaction->withheld ||
           transaction->sent_bytes == transaction->request_bytes;
}

static size_t piece_size(const struct transaction *transaction)
{
    const struct transaction_settings *settings = transaction->settings;
    size_t left =
        transaction->request_bytes - transaction->sent_bytes + transaction->piece_sent_bytes;

    if (settings->continue_ns && !transaction->piece)
        return transaction->body_at < left ? transaction->body_at : left;
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
    if (!conn_watch(transaction->conn, transaction->peer_ended ? 0 : EPOLLIN))
        return;
    /* Stamps that are there already would end the wait for the answer as an error of the socket. */
    conn_take_stamps(transaction->conn);
    /* When no answer is awaited, or it is here already, the round ends by the timer, so that rounds
     * do not nest; after an early answer when it is settled what becomes of the request. */
    if (!framing_awaits(&transaction->settings->framing) || transaction->answered)
        transaction->look_ns = clock_mono_ns();
    set_timer(transaction);
}

static void pause_sending(struct transaction *transaction)
{
    const struct transaction_settings *settings = transaction->settings;
    int64_t gap_ns = settings->gap_ns;

    transaction->asking = settings->continue_ns && transaction->piece == 1;
    if (transaction->asking)
        gap_ns = settings->continue_ns;
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

/* Between two pieces. */
static bool pauses_here(const struct transaction *transaction)
{
    const struct transaction_settings *settings = transaction->settings;

    if (transaction->sent_bytes == transaction->request_bytes)
        return false;
    return (settings->continue_ns && transaction->piece == 1) ||
           (settings->gap_ns && !transaction->single_write);
}

static void send_pieces(struct transaction *transaction)
{
    struct conn *conn = transaction->conn;

    while (transaction->sent_bytes < transaction->request_bytes) {
        size_t left = piece_size(transaction) - transaction->piece_sent_bytes;
        ssize_t sent = conn_write(conn, transaction->request + transaction->sent_bytes, left);
        if (sent == -EAGAIN) {
            set_timer(transaction);
            conn_watch(conn, (transaction->peer_ended ? 0 : EPOLLIN) | EPOLLOUT);
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
        if (pauses_here(transaction)) {
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
    transaction->answered = transaction->asking = transaction->withheld = false;
    transaction->early = transaction->peer_ended = transaction->reset_told = false;
    transaction->reset_early = transaction->unfit = false;
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

    transaction_note_late_reset(transaction);
    if (transaction->unfit)
        return true;
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

/* It is settled what becomes of a request that was answered early, or it was not in time. */
static void settle(struct transaction *transaction, bool reset)
{
    bool open = !reset && !transaction_reads_on(transaction);

    transaction->reset_told = reset;
    transaction->early_resets += reset;
    transaction->early_open += open;
    transaction->early_read += !reset && !open;
    transaction->unfit = open && !transaction->peer_ended;
    transaction->latest.known = false;
    tell_round(transaction, transaction->settled, transaction->settled_good);
}

/* Looks whether it is. */
static void settle_on(struct transaction *transaction)
{
    int64_t now = clock_mono_ns();
    bool reset = transaction_is_reset(transaction);

    if (reset || now >= transaction->deadline_ns || transaction_reads_on(transaction)) {
        settle(transaction, reset);
        return;
    }
    transaction->look_ns = now + LOOK_NS;
    set_timer(transaction);
}

/* The answer is complete, and with it the round; but the request goes on. */
static void begin_settling(struct transaction *transaction)
{
    int64_t now = clock_mono_ns();
    bool paused = transaction->phase == TRANSACTION_PAUSING;

    transaction->early = true;
    transaction->settled_good = transaction_round_end(transaction, transaction->settled);
    transaction->deadline_ns =
        later_by(paused ? transaction->pause_end_ns : now, transaction_settling_ns(transaction));
    settle_on(transaction);
}

static void answer_over(struct transaction *transaction, bool closed)
{
    bool early = transaction_is_early(transaction);

    if (early && !transaction->settled)
        transaction->settled = malloc(sizeof *transaction->settled);
    if (early && transaction->settled && transaction_early_matters(transaction)) {
        begin_settling(transaction);
    } else if (early || request_over(transaction) || closed) {
        transaction->unfit = !closed && ((early && !transaction_goes_on_early(transaction)) ||
                                         transaction->withheld);
        end_round(transaction);
    } else {
        wait_for_more(transaction, false);
    }
}

/* Whether what came is no more than 100 (Continue), or may become that. */
static bool is_interim(struct transaction *transaction)
{
    const struct http_reader *http = framing_http_of(&transaction->reader);
    return http && !transaction->answered && http_is_interim(http);
}

/* The body need not wait any longer: it is asked for, or refused. */
static void hear_continue(struct transaction *transaction)
{
    const struct http_reader *http = framing_http_of(&transaction->reader);

    if (http->status >= 200) {
        transaction->asking = false;
        transaction->withheld = true;
        transaction->phase = TRANSACTION_RECEIVING;
    } else if (http->continues) {
        transaction->asking = false;
        transaction->pause_end_ns = clock_mono_ns();
        set_timer(transaction);
    }
}

/* The peer has closed or reset the connection. */
static void hung_up(struct transaction *transaction, int number)
{
    const struct conn *conn = transaction->conn;
    bool complete = !number && framing_closed(&transaction->reader);

    if (transaction->early && !number) {
        transaction->peer_ended = true;
        conn_watch(transaction->conn, transaction->phase == TRANSACTION_SENDING ? EPOLLOUT : 0);
        settle_on(transaction);
    } else if (transaction->early) {
        settle(transaction, conn_code_of(number, FINDING_NONE) != FINDING_NONE);
    } else if (number && conn_code_of(number, FINDING_NONE) == FINDING_NONE) {
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
        conn_fail_by(transaction->conn, FINDING_NO_RESPONSE, EPROTO, FAILURE_TLS_WANTED,
                     "the server expects TLS on this port, and got plain text: try --tls");
        return;
    }
    bool first = !transaction_round_heard(transaction);
    int rc = framing_feed(&transaction->reader, input->bytes, input->len_bytes, &used, &error);
    keep_head(transaction, input->bytes, rc < 0 ? input->len_bytes : used);
    bool interim = rc >= 0 && is_interim(transaction);
    if (interim)
        transaction->head_bytes = 0;
    if (!interim)
        transaction_round_read(transaction, input);
    else if (!transaction->asking)
        round_notice(&transaction->builder, input->arrivals[0].returned_ns);
    if (transaction->asking && rc >= 0)
        hear_continue(transaction);
    if (rc < 0) {
        transaction_misunderstood(transaction, &error);
        return;
    }
    if (transaction->request_bytes) /* else the server goes on as it likes */
        transaction->surplus_bytes += (int64_t)(input->len_bytes - used);
    transaction->answered = rc;
    if (rc)
        answer_over(transaction, input->closed);
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
    if (now >= transaction->deadline_ns && transaction->early) {
        settle_on(transaction);
        return;
    }
    if (now >= transaction->deadline_ns) {
        transaction_timed_out(transaction);
        return;
    }
    if (transaction->phase == TRANSACTION_PAUSING) {
        if (now < transaction->pause_end_ns) {
            set_timer(transaction);
            return;
        }
        if (transaction->asking)
            round_continue_missing(&transaction->builder);
        transaction->asking = false;
        transaction->phase = TRANSACTION_SENDING;
        transaction->look_ns = now + LOOK_SLOW_NS;
        send_pieces(transaction);
        return;
    }
    if (transaction->early) {
        settle_on(transaction);
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
    free(transaction->settled);
    round_free(&transaction->builder);
}

void transaction_reset(struct transaction *transaction)
{
    transaction->phase = TRANSACTION_IDLE;
    transaction->latest.known = false;
}
