/* Calls that a timer of the kernel ends, against the kernel's schedule. */
#include "scenario/crash/crash.h"

#include "base/cleanup.h"

#define PROBE_MARGIN_NS (50 * NS_PER_MS)

static struct kernel_timers plan_of(const struct kernel_timers_settings *settings,
                                    const struct kernel_timers_socket *socket,
                                    enum crash_timer timer)
{
    struct kernel_timers plan;

    switch (timer) {
    case CRASH_SEND:
        kernel_timers_send(&plan, settings, socket);
        break;
    case CRASH_ORPHAN:
        kernel_timers_orphan(&plan, settings, socket);
        break;
    case CRASH_KEEPALIVE:
        kernel_timers_keepalive(&plan, settings, socket);
        break;
    case CRASH_FIRST_PROBE:
        kernel_timers_keepalive(&plan, settings, socket);
        plan.sent_count = 1;
        plan.failed_ns = plan.sent_ns[0];
        break;
    }
    return plan;
}

/* The socket's options for keepalive are read from it, and are the lab's settings. */
static struct kernel_timers plan_here(const struct crash *crash, enum crash_timer timer)
{
    struct kernel_timers_socket socket = {.user_timeout_ns = crash->socket.user_timeout_ns,
                                          .rtt_ns = crash->socket.rtt_ns,
                                          .unreachable_v4 = crash->socket.unreachable_v4};
    return plan_of(&crash->host, &socket, timer);
}

int64_t crash_timer_ns(const struct kernel_timers_settings *settings,
                       const struct kernel_timers_socket *socket, enum crash_timer timer)
{
    return plan_of(settings, socket, timer).failed_ns;
}

int64_t crash_timer_here_ns(const struct crash *crash, enum crash_timer timer)
{
    return plan_here(crash, timer).failed_ns;
}

int64_t crash_limit_ns(const struct crash *crash, enum crash_timer timer)
{
    int64_t failed_ns = crash_timer_ns(&crash->settings, &crash->socket, timer);
    return failed_ns + failed_ns / 4 + ACT_LIMIT_NS;
}

void crash_check_boot_time(struct crash *crash)
{
    int64_t probe_ns = crash_timer_ns(&crash->settings, &crash->socket, CRASH_FIRST_PROBE);

    if (clock_mono_ns() - crash->at_ns > probe_ns - NS_PER_SEC)
        testbed_fail(crash->bed, "the host took too long to boot");
}

/* Many short intervals: their lateness adds up, so that there can be an interval or two fewer than
 * planned; but the end does not come before the time that tcp_retries2 stands for. */
static void expect_no_back_off(struct crash *crash, const struct kernel_timers *plan)
{
    struct testbed *bed = crash->bed;
    struct kernel_timers_socket doubling = crash->socket;
    size_t first = crash->settings.tail_loss_probe ? 2 : 1;
    int64_t limit_ns = crash->socket.user_timeout_ns;

    if (!limit_ns)
        limit_ns = kernel_timers_retries_ns(&crash->settings, crash->settings.retries2);
    doubling.unreachable_v4 = false;
    struct kernel_timers with_back_off = plan_of(&crash->settings, &doubling, CRASH_SEND);
    /* With a large timeout both send no more than is due at once. */
    int64_t most = (int64_t)plan->sent_count, least = (int64_t)with_back_off.sent_count + 1;
    testbed_expect_range(bed, "transmissions", least < most ? least : most, most);
    testbed_expect_range(bed, "failed_after_ns", plan->sent_ns[first] + limit_ns,
                         kernel_timers_latest_ns(&crash->settings, plan->failed_ns) + NS_PER_SEC);
}

/* A failure that comes late where processes had to wait for a processor says nothing. */
static void expect_failure(struct crash *crash, int64_t planned_ns, int64_t took_ns)
{
    struct testbed *bed = crash->bed;
    int64_t late_ns = took_ns - kernel_timers_latest_ns(&crash->settings, planned_ns);

    testbed_expect_time(bed, "failed_after_ns", &crash->settings, planned_ns);
    if (late_ns > 500 * NS_PER_MS && bed->stalled_ns > 100 * NS_PER_MS)
        testbed_fail(bed, "processes had to wait %lld ms for a processor",
                     (long long)(bed->stalled_ns / NS_PER_MS));
}

/* How many segments the client sent after `since_ns`; their times, from `zero_ns` on, are written.
 */
static size_t segments_after(struct crash *crash, const char *word, int64_t since_ns,
                             int64_t zero_ns, int64_t *out_ns)
{
    size_t seen = testbed_times(crash->bed, word, LAB_FROM_CLIENT, out_ns, KERNEL_TIMERS_SENT_MAX);
    size_t kept = seen < KERNEL_TIMERS_SENT_MAX ? seen : KERNEL_TIMERS_SENT_MAX;
    size_t count = 0;

    for (size_t i = 0; i < kept; i++)
        if (out_ns[i] > since_ns)
            out_ns[count++] = out_ns[i] - zero_ns;
    return count + (seen - kept);
}

/* When the server's last segment before it went away arrived: keepalive counts from it. */
static int64_t last_heard_ns(struct crash *crash, int64_t before_ns)
{
    int64_t times_ns[64], last_ns = 0;
    size_t count = testbed_times(crash->bed, "", LAB_FROM_SERVER, times_ns, ARRAY_SIZE(times_ns));

    for (size_t i = 0; i < count && i < ARRAY_SIZE(times_ns); i++)
        if (times_ns[i] < before_ns)
            last_ns = times_ns[i];
    /* On a machine whose ticks come late the kernel counts from before that: the usual delay is
     * left as a margin. */
    int64_t delay_ns = crash->bed->config.link.delay_ns;
    return last_ns + (delay_ns > CRASH_DELAY_NS ? delay_ns - CRASH_DELAY_NS : 0);
}

void crash_check_timer(struct crash *crash, enum crash_timer timer, int64_t sent_ns,
                       int64_t told_ns)
{
    static const struct {
        const char *word, *key, *name;
        size_t first; /* to be shown: the first transmission is no retransmission */
    } kinds[] = {[CRASH_SEND] = {"data", "transmissions", "transmission", 1},
                 [CRASH_ORPHAN] = {"fin", "transmissions", "transmission", 1},
                 [CRASH_KEEPALIVE] = {"ack", "probes", "probe", 0},
                 [CRASH_FIRST_PROBE] = {"ack", "probes", "probe", 0}};
    struct testbed *bed = crash->bed;
    struct kernel_timers plan = plan_of(&crash->settings, &crash->socket, timer);
    struct kernel_timers here = plan_here(crash, timer);
    bool probes = timer == CRASH_KEEPALIVE || timer == CRASH_FIRST_PROBE;
    int64_t seen_ns[KERNEL_TIMERS_SENT_MAX];

    testbed_finish(bed);
    int64_t at_ns = crash->at_ns - bed->started_mono_ns;
    int64_t heard_ns = probes ? last_heard_ns(crash, at_ns) : 0;
    size_t seen =
        segments_after(crash, kinds[timer].word, probes ? at_ns : INT64_MIN, heard_ns, seen_ns);
    int64_t zero_ns = probes || !seen ? 0 : seen_ns[0];
    int64_t took_ns = told_ns - (probes ? bed->started_mono_ns + heard_ns : sent_ns);

    testbed_observe(bed, INTEGER(kinds[timer].key, (int64_t)seen),
                    INTEGER("failed_after_ns", took_ns));
    for (size_t i = kinds[timer].first; i < plan.sent_count && i < KERNEL_TIMERS_SENT_MAX; i++)
        testbed_timing(bed, arena_printf(bed->arena, "%s %zu", kinds[timer].name, i + 1),
                       plan.sent_ns[i], i < seen ? seen_ns[i] - zero_ns : RESULT_UNKNOWN,
                       i < here.sent_count ? here.sent_ns[i] : RESULT_UNKNOWN);
    testbed_timing(bed, "the failure", plan.failed_ns, took_ns, here.failed_ns);
    if (!probes && crash->socket.unreachable_v4) {
        expect_no_back_off(crash, &plan);
        return;
    }
    if (probes && at_ns - heard_ns > plan.sent_ns[0] - PROBE_MARGIN_NS)
        testbed_fail(bed, "this machine was so busy that the first probe was due when it happened");
    testbed_expect_integer(bed, kinds[timer].key, (int64_t)plan.sent_count);
    expect_failure(crash, plan.failed_ns, took_ns);
}
