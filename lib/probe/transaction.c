/* The conversation on one connection, driven by the loop.
 *
 * Each call goes through the socket library, whose observer notes when it was entered and returned;
 * the kernel's stamps come through the socket's error queue, and what they say belongs to the round
 * by its byte offsets. While an answer is under way and nothing comes, TCP_INFO is looked at every
 * millisecond: the count of segments without data tells when our own delayed ACK left, which is
 * what a server with Nagle's algorithm waits for. */
#include "probe/target.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define LOOK_NS       NS_PER_MS        /* inside an answer */
#define LOOK_SLOW_NS  (10 * NS_PER_MS) /* before it: only the window matters */
#define CLOCK_STEP_NS NS_PER_MS

/* ---- the loop's side ---- */

/* false: it cannot be watched, and the target has failed. */
bool talk_watch(struct target *target, uint32_t interest)
{
    int rc = loop_watch(&target->run->loop, &target->task, target->sock.fd, interest);

    if (rc)
        target_failed(target, FINDING_INCONCLUSIVE, -rc, "cannot watch the connection: %s",
                      strerrordesc_np(-rc));
    return !rc;
}

static void set_timer(struct target *target)
{
    int64_t next = target->phase == TALK_PAUSING ? target->pause_end_ns : target->look_ns;
    loop_timer(&target->run->loop, &target->task,
               target->phase_deadline_ns < next ? target->phase_deadline_ns : next);
}

static int64_t later_by(int64_t at_ns, int64_t delay_ns)
{
    return delay_ns < INT64_MAX - at_ns ? at_ns + delay_ns : INT64_MAX;
}

void talk_enter(struct target *target, enum talk_phase phase, int64_t timeout_ns)
{
    target->phase = phase;
    target->latest.known = false;
    target->look_ns = INT64_MAX;
    target->phase_deadline_ns = later_by(clock_mono_ns(), timeout_ns);
    set_timer(target);
}

void talk_close(struct target *target)
{
    loop_timer(&target->run->loop, &target->task, INT64_MAX);
    loop_forget(&target->run->loop, &target->task);
    conn_race_stop(&target->race);
    if (target->sock.fd >= 0) {
        stream_end(target);
        sock_close(&target->sock);
    }
    target->latest.known = false;
    target->phase = TALK_CLOSED;
}

/* TCP_QUICKACK does not stick (tcp(7)): the kernel falls back by itself, so it is set again before
 * and after everything that could make it do so. */
void talk_acknowledge_at_once(struct target *target)
{
    int one = 1;

    if (target->session.arm == ARM_QUICKACK || target->session.arm == ARM_BOTH)
        setsockopt(target->sock.fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
}

/* ---- rounds ---- */

static struct round_counters counters_of(const struct sock_tcp_info *info)
{
    return (struct round_counters){.rwnd_limited_ns = info->rwnd_limited_ns,
                                   .sndbuf_limited_ns = info->sndbuf_limited_ns,
                                   .retransmits = info->total_retrans};
}

static void note_rtt(struct target *target, const struct sock_tcp_info *info)
{
    if (SOCK_TCP_HAS(info, MIN_RTT) && info->min_rtt_ns > 0 &&
        (target->min_rtt_ns == RESULT_UNKNOWN || info->min_rtt_ns < target->min_rtt_ns))
        target->min_rtt_ns = info->min_rtt_ns;
}

static void look(struct target *target)
{
    struct sock_tcp_info info;

    if (sock_tcp_info(target->sock.fd, &info))
        return;
    bool pending = target->request_sent_bytes < target->request_bytes || info.notsent_bytes > 0;
    round_look(&target->builder, clock_real_ns(), info.segs_out - info.data_segs_out,
               pending && SOCK_TCP_HAS(&info, SND_WND) && info.snd_wnd == 0);
}

static size_t piece_size(const struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    size_t left = target->request_bytes - target->request_sent_bytes + target->piece_sent_bytes;

    if (target->session.arm == ARM_SINGLE_WRITE || target->piece >= plan->piece_count)
        return left;
    return plan->pieces[target->piece] < left ? plan->pieces[target->piece] : left;
}

static void send_pieces(struct target *target);

/* All is said that can be said. */
static bool request_over(const struct target *target)
{
    return target->send_error || target->request_sent_bytes == target->request_bytes;
}

/* A call failed for a reason that is not the peer's. */
static void trouble_here(struct target *target, const char *what, int number)
{
    target_failed(target, FINDING_INCONCLUSIVE, number, "cannot %s: %s", what,
                  strerrordesc_np(number));
}

/* The peer ended the connection, by EOF (number 0) or an error. */
static void peer_ended(struct target *target, int number)
{
    char awaited[FRAMING_TEXT_MAX * 4 + 64];
    const struct framing *framing =
        target->phase == TALK_GREETING ? &target->run->plan->greeting : &target->run->plan->framing;
    uint64_t got = target->reader.seen_bytes;

    if (!number)
        number = target->send_error;
    if (!got && target->rounds_on_connection && !target->round_retried &&
        target->phase != TALK_GREETING) {
        target->round_retried = true;
        target_closed_between(target);
        return;
    }
    framing_describe(awaited, sizeof awaited, framing);
    enum finding_code code = number ? finding_of_errno(number) : FINDING_RESPONSE_TRUNCATED;
    if (number == ETIMEDOUT) /* of retransmissions: we are connected */
        target_failed(target, FINDING_NO_RESPONSE, number,
                      "the server stopped acknowledging after %llu bytes of the answer, waiting "
                      "for %s: %s",
                      (unsigned long long)got, awaited, strerrordesc_np(number));
    else if (number)
        target_failed(target, code == FINDING_NONE ? FINDING_PEER_ABORTED : code, number,
                      "the server aborted the connection after %llu bytes of the answer, waiting "
                      "for %s: %s",
                      (unsigned long long)got, awaited, strerrordesc_np(number));
    else
        target_failed(
            target, code, 0,
            "the server closed the connection after %llu bytes of the answer, waiting for "
            "%s",
            (unsigned long long)got, awaited);
}

/* Asks the kernel how the connection stands. The byte that a FIN is counted as also makes it
 * differ from what was read. */
static void learn(struct target *target)
{
    struct sock_tcp_info info = {0};

    sock_tcp_info(target->sock.fd, &info);
    note_rtt(target, &info);
    if (target->phase == TALK_RECEIVING && target->session.arm == ARM_BASELINE) {
        target->info = info;
        target->has_info = true;
    }
    target->latest.known = true;
    target->latest.quiet = !target->tls.ssl && info.state == TCP_ESTABLISHED &&
                           SOCK_TCP_HAS(&info, BYTES_RECEIVED) &&
                           info.bytes_received == (uint64_t)target->sock.bytes_received;
    target->latest.snd_mss = info.snd_mss;
    target->latest.counters = counters_of(&info);
}

static void begin_round(struct target *target)
{
    const struct probe_plan *plan = target->run->plan;
    int64_t now = clock_mono_ns();

    timestamping_begin(target);
    talk_acknowledge_at_once(target);
    if (!target->latest.known) {
        timestamping_stamps(target);
        learn(target);
        target->clocks = clock_pair_now();
    }
    int64_t rtt =
        target->min_rtt_ns != RESULT_UNKNOWN ? target->min_rtt_ns : target->handshake_rtt_ns;
    target->send_mss_bytes = target->latest.snd_mss;
    round_begin(&target->builder, rtt == RESULT_UNKNOWN ? 0 : rtt, target->latest.snd_mss,
                target->latest.counters);
    target->latest.known = false;
    framing_begin(&target->reader, &plan->framing);
    target->round_base_bytes = target->sock.bytes_sent;
    target->piece = 0;
    target->piece_sent_bytes = target->request_sent_bytes = 0;
    target->send_error = 0;
    target->answered = false;
    target->phase = TALK_SENDING;
    target->phase_deadline_ns = later_by(now, plan->response_timeout_ns);
    target->look_ns = now + LOOK_SLOW_NS;
    send_pieces(target);
}

/* A server that closes after its answer is met here, before anything is said in vain. What it still
 * had to say belongs to no round, least of all to the next one. */
static bool closed_meanwhile(struct target *target)
{
    enum framing_kind framing = target->run->plan->framing.kind;
    size_t stale = 0;

    if (target->tls.closed || (framing == FRAMING_HTTP && target->reader.http.close))
        return true;
    if (target->latest.known && target->latest.quiet)
        return false;
    bool closed = stream_clear(target, &stale);
    target->surplus_bytes += framing == FRAMING_NOTHING ? 0 : (int64_t)stale;
    return closed;
}

static void next_on_this_connection(struct target *target)
{
    if (target->rounds_on_connection && closed_meanwhile(target))
        target_closed_between(target);
    else
        begin_round(target);
}

void talk_rest(struct target *target)
{
    int64_t left = target_time_left_ns(target), interval = target->run->plan->interval_ns;

    loop_unwatch(&target->run->loop, &target->task);
    talk_enter(target, TALK_RESTING, left < interval ? left : interval);
}

void talk_next_round(struct target *target)
{
    if (target->rounds_on_connection && target->run->plan->interval_ns)
        talk_rest(target);
    else
        next_on_this_connection(target);
}

static void rested(struct target *target)
{
    if (!target_time_left_ns(target))
        target_time_over(target);
    else if (target->sock.fd < 0)
        talk_open(target);
    else
        next_on_this_connection(target);
}

/* The last call's clocks say for nothing whether one of them jumped. They are not read in one
 * instant, though, so a suspicion is looked into. */
static bool clock_was_stepped(struct target *target)
{
    struct clock_pair now = {.mono_ns = target->returned_mono_ns,
                             .real_ns = target->returned_real_ns};

    if (!clock_stepped(target->clocks, now, CLOCK_STEP_NS))
        return false;
    now = clock_pair_now();
    bool stepped = clock_stepped(target->clocks, now, CLOCK_STEP_NS);
    target->clocks = now;
    return stepped;
}

static void finish_round(struct target *target)
{
    struct round round;

    live_capture_take(target->run->capture);
    if (!round_acknowledged(&target->builder))
        timestamping_stamps(target);
    target->phase = TALK_RECEIVING;
    learn(target);
    round_end(&target->builder, target->latest.counters, &round);
    target->rounds_on_connection++;
    target->round_retried = false;
    target->phase = TALK_RESTING;
    loop_timer(&target->run->loop, &target->task, INT64_MAX);
    if (clock_was_stepped(target)) {
        target->clock_steps++; /* stamps and calls of this round cannot be compared */
        if (target->clock_steps < 100) {
            talk_next_round(target);
            return;
        }
    }
    target_round_done(target, &round);
}

static void begin_receiving(struct target *target)
{
    target->phase = TALK_RECEIVING;
    if (!talk_watch(target, EPOLLIN))
        return;
    /* Stamps that are there already would end the wait for the answer as an error of the socket. */
    timestamping_stamps(target);
    /* When no answer is awaited, or it is here already, the round ends by the timer, so that rounds
     * do not nest. */
    if (target->run->plan->framing.kind == FRAMING_NOTHING || target->answered)
        target->look_ns = clock_mono_ns();
    set_timer(target);
}

static void send_pieces(struct target *target)
{
    const struct probe_plan *plan = target->run->plan;

    while (target->request_sent_bytes < target->request_bytes) {
        size_t left = piece_size(target) - target->piece_sent_bytes;
        ssize_t sent = stream_write(target, target->request + target->request_sent_bytes, left);
        if (sent == -EAGAIN) {
            set_timer(target);
            talk_watch(target, EPOLLIN | EPOLLOUT);
            return;
        }
        if (sent < 0 && finding_of_errno((int)-sent) == FINDING_NONE) {
            trouble_here(target, "send", (int)-sent);
            return;
        }
        if (sent < 0 && sent != -EPIPE && sent != -ECONNRESET) {
            peer_ended(target, (int)-sent);
            return;
        }
        if (sent < 0) {
            /* What the peer said before it hung up can still be read. */
            target->send_error = (int)-sent;
            break;
        }
        target->request_sent_bytes += (size_t)sent;
        target->piece_sent_bytes += (size_t)sent;
        if (target->piece_sent_bytes < piece_size(target))
            continue;
        target->piece++;
        target->piece_sent_bytes = 0;
        if (plan->gap_ns && target->request_sent_bytes < target->request_bytes &&
            target->session.arm != ARM_SINGLE_WRITE) {
            target->phase = TALK_PAUSING;
            target->pause_end_ns = later_by(clock_mono_ns(), plan->gap_ns);
            if (target->phase_deadline_ns < INT64_MAX - plan->gap_ns)
                target->phase_deadline_ns += plan->gap_ns;
            set_timer(target);
            talk_watch(target, EPOLLIN);
            return;
        }
    }
    begin_receiving(target);
}

/* Part of the answer, or something that is none, such as a ticket of TLS. */
static bool has_come(const struct target *target)
{
    return target->builder.round.arrivals || target->builder.noticed_ns != RESULT_UNKNOWN;
}

/* The peer has closed or reset the connection. */
static void hung_up(struct target *target, int number)
{
    bool round = target->phase != TALK_GREETING;
    bool complete = round && !number && framing_closed(&target->reader);

    if (number && finding_of_errno(number) == FINDING_NONE) {
        trouble_here(target, "receive", number);
    } else if (complete && request_over(target) && !target->send_error) {
        target->bare_ends += target->tls.ssl && !target->tls.closed;
        round_read(&target->builder, RESULT_UNKNOWN, target->returned_real_ns, 0);
        finish_round(target);
    } else if (round && target->answered) {
        finish_round(target);
    } else {
        peer_ended(target, number);
    }
}

/* Something has come that is no answer: from now on our acknowledgements matter. */
static void look_closely(struct target *target)
{
    int64_t soon = clock_mono_ns() + LOOK_NS;

    look(target);
    if (target->look_ns > soon)
        target->look_ns = soon;
    set_timer(target);
}

static void tell_arrivals(struct target *target, const struct stream_input *input)
{
    for (size_t i = 0; i < input->arrival_count; i++) {
        const struct stream_arrival *arrival = &input->arrivals[i];
        round_read(&target->builder, arrival->arrived_ns, arrival->returned_ns, arrival->bytes);
        if (arrival->arrived_ns != RESULT_UNKNOWN)
            timestamping_arrival(target, arrival->arrived_ns, target->builder.round.received_bytes,
                                 arrival->bytes);
    }
}

/* A server that expects TLS says so to whoever talks in plain text, if anything. */
static bool wants_tls(const struct target *target, const struct stream_input *input)
{
    return !target->tls.ssl && !target->rounds_on_connection && !target->reader.seen_bytes &&
           tls_is_wanted(input->bytes, input->len_bytes);
}

/* Part of an answer, or all of it, perhaps before the request is out. */
static void take_answer(struct target *target, const struct stream_input *input)
{
    const struct framing *framing = &target->run->plan->framing;
    struct error error; /* half a kilobyte: not to be cleared for every read */
    size_t used = 0;

    if (framing->kind == FRAMING_NOTHING)
        return;
    if (!input->arrival_count) {
        if (input->closed)
            hung_up(target, 0);
        else
            look_closely(target);
        return;
    }
    if (target->answered) {
        target->surplus_bytes += (int64_t)input->len_bytes;
        return;
    }
    if (wants_tls(target, input)) {
        target_failed(target, FINDING_NO_RESPONSE, EPROTO,
                      "the server expects TLS on this port, and got plain text: try --tls");
        return;
    }
    bool first = !has_come(target);
    int rc = framing_feed(&target->reader, input->bytes, input->len_bytes, &used, &error);
    tell_arrivals(target, input);
    if (rc < 0) {
        target_failed(target, FINDING_NO_RESPONSE, EPROTO,
                      "the answer is not what was expected: %s", error.text);
        return;
    }
    target->surplus_bytes += (int64_t)(input->len_bytes - used);
    target->answered = rc;
    if (rc && request_over(target)) {
        finish_round(target);
        return;
    }
    if (input->closed) {
        hung_up(target, 0);
        return;
    }
    if (first)
        look(target);
    int64_t now = clock_mono_ns();
    target->idle_end_ns = later_by(now, framing->idle_ns);
    target->look_ns = framing->kind == FRAMING_IDLE ? target->idle_end_ns : now + LOOK_NS;
    set_timer(target);
}

void talk_greeted(struct target *target, const struct stream_input *input)
{
    struct error error = {0};
    size_t used = 0;
    int rc = framing_feed(&target->reader, input->bytes, input->len_bytes, &used, &error);

    if (rc < 0) {
        target_failed(target, FINDING_NO_RESPONSE, EPROTO,
                      "the greeting is not what was expected: %s", error.text);
        return;
    }
    target->surplus_bytes += (int64_t)(input->len_bytes - used);
    if (rc)
        talk_next_round(target);
    else if (input->closed)
        hung_up(target, 0);
}

void talk_begin(struct target *target)
{
    const struct probe_plan *plan = target->run->plan;

    talk_acknowledge_at_once(target);
    if (plan->greeting.kind == FRAMING_NOTHING) {
        talk_next_round(target);
        return;
    }
    framing_begin(&target->reader, &plan->greeting);
    talk_enter(target, TALK_GREETING, plan->response_timeout_ns);
    talk_watch(target, EPOLLIN);
}

static void receive(struct target *target)
{
    struct stream_input input;

    /* A gap inside the answer ends here, perhaps. Before anything has come there is none. */
    if (target->phase != TALK_GREETING && (has_come(target) || !request_over(target)))
        look(target);
    ssize_t got = stream_read(target, &input);
    if (got == -EAGAIN)
        return;
    talk_acknowledge_at_once(target);
    if (got <= 0)
        hung_up(target, (int)-got);
    else if (target->phase == TALK_GREETING)
        talk_greeted(target, &input);
    else
        take_answer(target, &input);
}

static void response_timed_out(struct target *target)
{
    char awaited[FRAMING_TEXT_MAX * 4 + 64], span[UNITS_TEXT_MAX];
    const struct probe_plan *plan = target->run->plan;
    bool greeting = target->phase == TALK_GREETING;
    const struct framing *framing = greeting ? &plan->greeting : &plan->framing;
    uint64_t got = target->reader.seen_bytes;

    framing_describe(awaited, sizeof awaited, framing);
    units_format_duration(span, sizeof span, plan->response_timeout_ns, "u");
    if (!greeting)
        talk_abandon(target);
    if (target->request_sent_bytes < target->request_bytes && !greeting)
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT,
                      "the server took %zu of the request's %zu bytes within %s and answered "
                      "nothing complete",
                      target->request_sent_bytes, target->request_bytes, span);
    else
        target_failed(target, FINDING_NO_RESPONSE, ETIMEDOUT, "waited %s for %s; %llu bytes came%s",
                      span, awaited, (unsigned long long)got, greeting ? " as a greeting" : "");
}

void talk_abandon(struct target *target)
{
    struct sock_tcp_info info = {0};

    if (target->phase != TALK_SENDING && target->phase != TALK_PAUSING &&
        target->phase != TALK_RECEIVING)
        return;
    look(target);
    timestamping_stamps(target);
    sock_tcp_info(target->sock.fd, &info);
    target->info = info;
    target->has_info = true;
    if (!target->unfinished)
        target->unfinished = malloc(sizeof *target->unfinished);
    if (target->unfinished)
        round_abandon(&target->builder, clock_real_ns(), counters_of(&info), target->unfinished);
}

/* The timer ran out: the phase's deadline, or time for another look. */
static void timer(struct target *target)
{
    int64_t now = clock_mono_ns();
    bool over = now >= target->phase_deadline_ns;

    switch (target->phase) {
    case TALK_CLOSED:
        return;
    case TALK_DIALLING:
        return;
    case TALK_RESTING:
        rested(target);
        return;
    case TALK_PAUSING:
        if (over)
            break;
        target->phase = TALK_SENDING;
        target->look_ns = now + LOOK_SLOW_NS;
        send_pieces(target);
        return;
    case TALK_SECURING:
        securing_timed_out(target);
        return;
    case TALK_GREETING:
    case TALK_SENDING:
    case TALK_RECEIVING:
        break;
    }
    if (over) {
        response_timed_out(target);
        return;
    }
    enum framing_kind framing = target->run->plan->framing.kind;
    bool idle = framing == FRAMING_IDLE && target->reader.seen_bytes;
    if (target->phase == TALK_RECEIVING &&
        (framing == FRAMING_NOTHING || target->answered || (idle && now >= target->idle_end_ns))) {
        finish_round(target);
        return;
    }
    look(target);
    if (has_come(target)) /* looking closely costs as much as talking */
        admission_note(&target->run->admission, &target->place);
    target->look_ns = now + (has_come(target) ? LOOK_NS : LOOK_SLOW_NS);
    if (idle && target->phase == TALK_RECEIVING)
        target->look_ns = target->idle_end_ns;
    set_timer(target);
}

void talk_wake(struct loop_task *task, uint32_t events)
{
    struct target *target = (struct target *)task;

    if (!events) {
        timer(target);
        return;
    }
    admission_note(&target->run->admission, &target->place);
    /* Stamps come as errors. An error of the connection comes with EPOLLIN and EPOLLHUP. */
    if (events & EPOLLERR && timestamping_stamps(target))
        events &= ~(uint32_t)EPOLLERR;
    if (events & EPOLLOUT && target->phase == TALK_SENDING) {
        send_pieces(target);
        return;
    }
    switch (target->phase) {
    case TALK_CLOSED:
    case TALK_DIALLING:
    case TALK_RESTING:
        return;
    case TALK_SECURING:
        securing_wake(target);
        return;
    case TALK_GREETING:
    case TALK_SENDING:
    case TALK_PAUSING:
    case TALK_RECEIVING:
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive(target);
        return;
    }
}
