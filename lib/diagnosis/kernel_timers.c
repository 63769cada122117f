/* Three things end an attempt, and each is looked at only when a retransmission is due:
 *
 * - A count of retransmissions: SYNs and SYN,ACKs.
 * - A time. A retry setting is no count for an established connection: the kernel computes how long
 *   so many retransmissions would take with a timeout of 200 ms (one second for SYNs), and compares
 *   that with the time since its first retransmission (since the first SYN).
 * - TCP_USER_TIMEOUT, which takes the place of that time, and shortens the last wait. */
#include "diagnosis/kernel_timers.h"

#include "base/clock.h"

/* TCP_TIMEOUT_INIT, RFC 6298 section 2 */
#define SYN_RTO_NS NS_PER_SEC
/* TCP_RTO_MIN; tcp_rto_min_us does not change it where it is used here */
#define RTO_BASE_NS (200 * NS_PER_MS)
/* TCP_RTO_MAX */
#define RTO_MAX_NS     (120 * NS_PER_SEC)
#define RETRIES_MAX    255
#define ORPHAN_RETRIES 8
/* A level of the timer wheel has 63 slots, and the next one is 8 times coarser. */
#define WHEEL_LATENESS 7

const struct kernel_timers_settings kernel_timers_defaults = {
    .tick_ns = 4 * NS_PER_MS,
    .syn_retries = 6,
    .syn_linear_timeouts = 4,
    .synack_retries = 5,
    .retries1 = 3,
    .retries2 = 15,
    .orphan_retries = 0,
    .rto_min_ns = RTO_BASE_NS,
    .rto_max_ns = RTO_MAX_NS,
    .keepalive_time_ns = 7200 * NS_PER_SEC,
    .keepalive_intvl_ns = 75 * NS_PER_SEC,
    .keepalive_probes = 9,
    .tail_loss_probe = true,
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t between(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static int64_t tick_of(const struct kernel_timers_settings *settings)
{
    return between(settings->tick_ns, NS_PER_US, 10 * NS_PER_MS);
}

/* The kernel's own bounds: one second to 120. */
static int64_t rto_max_of(const struct kernel_timers_settings *settings)
{
    return settings->rto_max_ns ? between(settings->rto_max_ns, NS_PER_SEC, RTO_MAX_NS)
                                : RTO_MAX_NS;
}

/* tcp_model_timeout() */
static int64_t model_ns(const struct kernel_timers_settings *settings, int64_t retries,
                        int64_t base_ns)
{
    int64_t max_ns = rto_max_of(settings), doublings = 0;

    retries = between(retries, 0, RETRIES_MAX);
    while (max_ns / base_ns >> (doublings + 1))
        doublings++;
    if (retries <= doublings)
        return ((INT64_C(2) << retries) - 1) * base_ns;
    return ((INT64_C(2) << doublings) - 1) * base_ns + (retries - doublings) * max_ns;
}

int64_t kernel_timers_retries_ns(const struct kernel_timers_settings *settings, int64_t retries)
{
    return model_ns(settings, retries, RTO_BASE_NS);
}

/* Whole ticks, rounded up; what is measured is never exactly a tick, not even no round trip. */
static int64_t in_ticks(const struct kernel_timers_settings *settings, int64_t ns)
{
    int64_t tick_ns = tick_of(settings);
    return (ns / tick_ns + 1) * tick_ns;
}

int64_t kernel_timers_rto_ns(const struct kernel_timers_settings *settings, int64_t rtt_ns)
{
    int64_t rto_ns = between(settings->rto_min_ns, 0, RTO_MAX_NS) + between(rtt_ns, 0, RTO_MAX_NS);
    return least(in_ticks(settings, rto_ns), rto_max_of(settings));
}

int64_t kernel_timers_latest_ns(const struct kernel_timers_settings *settings, int64_t planned_ns)
{
    return planned_ns + planned_ns / WHEEL_LATENESS + 2 * tick_of(settings);
}

static void send_at(struct kernel_timers *timers, int64_t at_ns)
{
    if (timers->sent_count < KERNEL_TIMERS_SENT_MAX)
        timers->sent_ns[timers->sent_count] = at_ns;
    timers->sent_count++;
}

/* What remains until TCP_USER_TIMEOUT, if that is less than the timer; a tick once it has passed.
 */
static int64_t until_next_ns(const struct kernel_timers_settings *settings, int64_t rto_ns,
                             int64_t user_timeout_ns, int64_t elapsed_ns)
{
    if (user_timeout_ns <= 0)
        return rto_ns;
    if (elapsed_ns >= user_timeout_ns)
        return tick_of(settings);
    return least(rto_ns, user_timeout_ns - elapsed_ns);
}

static const struct kernel_timers_socket nothing_set;

void kernel_timers_connect(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                           const struct kernel_timers_socket *socket)
{
    socket = socket ? socket : &nothing_set;
    int64_t linear = between(settings->syn_linear_timeouts, 0, RETRIES_MAX);
    int64_t retries =
        between(socket->syn_count > 0 ? socket->syn_count : settings->syn_retries, 1, RETRIES_MAX);
    int64_t user_ns = socket->user_timeout_ns, rto_ns = SYN_RTO_NS, at_ns = rto_ns;
    int64_t limit_ns = user_ns > 0 ? user_ns : model_ns(settings, retries, SYN_RTO_NS);

    *out = (struct kernel_timers){0};
    send_at(out, 0);
    for (int64_t again = 0; !again || (again < retries + linear && at_ns < limit_ns);) {
        send_at(out, at_ns);
        if (++again > linear)
            rto_ns = least(2 * rto_ns, rto_max_of(settings));
        at_ns += until_next_ns(settings, rto_ns, user_ns, at_ns);
    }
    out->failed_ns = at_ns;
}

void kernel_timers_accept(struct kernel_timers *out, const struct kernel_timers_settings *settings)
{
    int64_t retries = between(settings->synack_retries, 0, RETRIES_MAX);
    int64_t rto_ns = SYN_RTO_NS, at_ns = rto_ns;

    *out = (struct kernel_timers){0};
    send_at(out, 0);
    for (int64_t again = 0; again < retries; again++) {
        send_at(out, at_ns);
        rto_ns = least(2 * rto_ns, rto_max_of(settings));
        at_ns += rto_ns;
    }
    out->failed_ns = at_ns;
}

/* tcp_orphan_retries(): 0 stands for 8 while the back-off has not reached its end, and then for
 * none. */
static int64_t orphan_limit_ns(const struct kernel_timers_settings *settings, int64_t rto_ns)
{
    bool alive = rto_ns < rto_max_of(settings);
    int64_t retries = settings->orphan_retries;

    return kernel_timers_retries_ns(settings, retries <= 0 && alive ? ORPHAN_RETRIES : retries);
}

static void retransmit(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                       const struct kernel_timers_socket *socket, bool orphan)
{
    int64_t rto_ns = socket->rto_ns > 0 ? least(socket->rto_ns, rto_max_of(settings))
                                        : kernel_timers_rto_ns(settings, socket->rtt_ns);
    int64_t user_ns = socket->user_timeout_ns, at_ns = rto_ns, limit_ns;

    *out = (struct kernel_timers){0};
    send_at(out, 0);
    if (settings->tail_loss_probe) {
        int64_t rtt_ns = between(socket->rtt_ns, 0, RTO_MAX_NS);
        int64_t min_ns = between(settings->rto_min_ns, 0, RTO_MAX_NS);
        int64_t probe_ns = least(in_ticks(settings, 2 * rtt_ns + min_ns), rto_ns);
        send_at(out, probe_ns);
        at_ns += probe_ns; /* the probe starts the timer anew */
    }
    int64_t began_ns = at_ns;
    uint8_t retransmits = 0;
    do {
        send_at(out, at_ns);
        /* tcp_ld_RTO_revert(): the answer halves again what has just been doubled; but not while
         * icsk_retransmits is 0, which it is again after each 256, because it has eight bits. */
        if (!socket->unreachable_v4 || !++retransmits)
            rto_ns = least(2 * rto_ns, rto_max_of(settings));
        at_ns += until_next_ns(settings, rto_ns, user_ns, at_ns - began_ns);
        limit_ns = user_ns > 0 ? user_ns
                   : orphan    ? orphan_limit_ns(settings, rto_ns)
                               : kernel_timers_retries_ns(settings, settings->retries2);
    } while (at_ns - began_ns < limit_ns);
    out->failed_ns = at_ns;
}

void kernel_timers_send(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                        const struct kernel_timers_socket *socket)
{
    retransmit(out, settings, socket ? socket : &nothing_set, false);
}

void kernel_timers_orphan(struct kernel_timers *out, const struct kernel_timers_settings *settings,
                          const struct kernel_timers_socket *socket)
{
    retransmit(out, settings, socket ? socket : &nothing_set, true);
}

void kernel_timers_keepalive(struct kernel_timers *out,
                             const struct kernel_timers_settings *settings,
                             const struct kernel_timers_socket *socket)
{
    socket = socket ? socket : &nothing_set;
    int64_t at_ns =
        socket->keepalive_time_ns > 0 ? socket->keepalive_time_ns : settings->keepalive_time_ns;
    int64_t every_ns =
        socket->keepalive_intvl_ns > 0 ? socket->keepalive_intvl_ns : settings->keepalive_intvl_ns;
    int64_t probes = between(socket->keepalive_probes > 0 ? socket->keepalive_probes
                                                          : settings->keepalive_probes,
                             0, RETRIES_MAX);
    int64_t user_ns = socket->user_timeout_ns;

    /* The kernel's bounds (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL) are 32767 s each. */
    at_ns = between(at_ns, NS_PER_SEC, 32767 * NS_PER_SEC);
    every_ns = between(every_ns, NS_PER_SEC, 32767 * NS_PER_SEC);
    *out = (struct kernel_timers){0};
    for (int64_t sent = 0; user_ns > 0 ? !sent || at_ns < user_ns : sent < probes; sent++) {
        send_at(out, at_ns);
        at_ns += every_ns;
    }
    out->failed_ns = at_ns;
}
