/* The settings, a row each: where it is, the group that it is shown in, and who says what it means.
 * A time is what the model of the kernel's timers (diagnosis/kernel_timers.h) gives for this
 * machine.
 *
 * Meanings: Documentation/networking/ip-sysctl.rst and Documentation/admin-guide/sysctl/net.rst. */
#include "diagnosis/machine_internal.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define TIME_WAIT_NS    (60 * NS_PER_SEC)  /* TCP_TIMEWAIT_LEN, compiled in */
#define LONG_PATH_NS    (50 * NS_PER_MS)   /* a round trip across a continent */
#define KEPT_IN_TEXT    12                 /* so many times of a schedule are written out */
#define NUMBER_MAX      (INT64_C(1) << 33) /* seconds of it fit an int64_t of nanoseconds */
#define WINDOW_UNSCALED 65535

struct view {
    const struct machine *machine;
    struct kernel_timers_settings schedule;
    const struct machine_value *value;
    int64_t number; /* the first of the value */
    struct machine_line *line;
};

/* A setting whose numbers each mean one thing. */
struct choice {
    const char *meanings[6]; /* by number; of two, the second is for all but 0 */
    unsigned bad;            /* 1u << number */
    enum result_health health;
    const char *remedy;
};

__attribute__((format(printf, 2, 3))) static void means(struct view *view, const char *format, ...)
{
    cleanup(buf) struct buf text = {0};
    va_list args;

    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    view->line->meaning = arena_copy(view->line->arena, buf_str(&text));
}

static void raise(struct view *view, enum result_health health, const char *remedy)
{
    if (health > view->line->health)
        view->line->health = health;
    view->line->remedy = remedy;
}

static void judge_choice(struct view *view, const struct choice *choice)
{
    size_t number = (size_t)view->number;

    if (number && !choice->meanings[2])
        number = 1;
    if (number >= ARRAY_SIZE(choice->meanings) || !choice->meanings[number])
        return;
    means(view, "%s", choice->meanings[number]);
    if (choice->bad & 1u << number)
        raise(view, choice->health, choice->remedy);
}

static const char *time_of(struct view *view, int64_t ns)
{
    return machine_duration(view->line->arena, ns);
}

static const char *effect(struct view *view, int64_t ns)
{
    view->line->effect_ns = ns;
    return time_of(view, ns);
}

/* "0, 1, 3, 7": whole seconds, which is what a schedule without a round trip has. */
static const char *seconds_of(struct view *view, const struct kernel_timers *schedule)
{
    cleanup(buf) struct buf text = {0};

    for (size_t i = 0; i < schedule->sent_count && i < KEPT_IN_TEXT; i++)
        buf_printf(&text, "%s%" PRId64, i ? ", " : "", schedule->sent_ns[i] / NS_PER_SEC);
    if (schedule->sent_count > KEPT_IN_TEXT)
        buf_add_str(&text, ", …");
    return arena_copy(view->line->arena, buf_str(&text));
}

/* ---- connecting ---- */

static void syn_retries(struct view *view)
{
    struct kernel_timers schedule;

    kernel_timers_connect(&schedule, &view->schedule, NULL);
    means(view, "connect() to a host that stays silent fails after at least %s (SYNs at %s s)",
          effect(view, schedule.failed_ns), seconds_of(view, &schedule));
    if (schedule.failed_ns < 7 * NS_PER_SEC)
        raise(view, RESULT_HEALTH_NOTE,
              "Two lost SYNs in a row make connect() fail: sysctl -w "
              "net.ipv4.tcp_syn_retries=6, "
              "and TCP_USER_TIMEOUT or TCP_SYNCNT where an application wants less.");
}

static void syn_linear_timeouts(struct view *view)
{
    if (view->number > 0)
        means(view,
              "the first %" PRId64 " repetitions of a SYN come a second apart; then each "
              "wait is twice the one before",
              view->number);
    else
        means(view, "each wait for the answer to a SYN is twice the one before");
}

/* "TCP: inuse 5 orphan 0 tw 3 alloc 9 mem 2" */
static bool in_time_wait(const struct machine *machine, int64_t *out)
{
    const char *line = machine->before.sockstat ? strstr(machine->before.sockstat, "TCP:") : NULL;
    const char *end = line ? line + strcspn(line, "\n") : NULL;
    const char *word = line ? strstr(line, " tw ") : NULL;

    if (!word || word > end || word[4] < '0' || word[4] > '9')
        return false;
    errno = 0;
    *out = strtoll(word + 4, NULL, 10);
    return !errno && *out <= NUMBER_MAX;
}

static void local_port_range(struct view *view)
{
    int64_t ports = view->value->count == 2 ? view->value->numbers[1] - view->number + 1 : 0;
    int64_t waiting = 0;
    static const char wider[] =
        "sysctl -w net.ipv4.ip_local_port_range='10000 65000', more addresses on either side, or "
        "connections that are reused.";

    if (view->number < 1 || ports < 1 || ports > 65535)
        return;
    means(view,
          "%" PRId64 " ports for connections to one destination: %" PRId64 " new ones a second "
          "if we close first, because a port then stays in TIME-WAIT for %s",
          ports, ports / (TIME_WAIT_NS / NS_PER_SEC), effect(view, TIME_WAIT_NS));
    if (ports < 10000)
        raise(view, ports < 1000 ? RESULT_HEALTH_PROBLEM : RESULT_HEALTH_NOTE, wider);
    if (!in_time_wait(view->machine, &waiting) || waiting * 5 < ports * 2)
        return;
    means(view,
          "%" PRId64 " ports for connections to one destination, and %" PRId64
          " connections are in TIME-WAIT now, each for %s",
          ports, waiting, time_of(view, TIME_WAIT_NS));
    raise(view, waiting * 5 >= ports * 4 ? RESULT_HEALTH_PROBLEM : RESULT_HEALTH_NOTE, wider);
}

static const struct choice tw_reuse = {
    .meanings = {"a port in TIME-WAIT is not taken for a new connection to the same destination",
                 "a new connection may take a port that has been in TIME-WAIT for a second",
                 "as 1, but only on loopback"}};

static const struct choice tw_recycle = {
    .meanings = {"off, as it must be",
                 "clients behind one NAT lose connections, because their timestamps disagree"},
    .bad = 1u << 1,
    .health = RESULT_HEALTH_PROBLEM,
    .remedy = "sysctl -w net.ipv4.tcp_tw_recycle=0; it was removed in Linux 4.12 because it never "
              "worked with NAT."};

static void fastopen(struct view *view)
{
    static const char *const meanings[] = {
        "TCP Fast Open: neither as client nor as server",
        "TCP Fast Open: as client, where a program asks for it",
        "TCP Fast Open: as server, where a program asks for it",
        ("TCP Fast Open: as client and as server, where a program asks for it")};
    if (view->number >= 0)
        means(view, "%s", meanings[view->number & 3]);
}

/* ---- listening ---- */

static void somaxconn(struct view *view)
{
    means(view,
          "listen() holds at most %" PRId64 " connections that wait for accept(), whatever "
          "the program asks for; beyond that SYNs are dropped, and sent again after a second",
          view->number);
    if (view->number < 1024)
        raise(view, RESULT_HEALTH_NOTE,
              "sysctl -w net.core.somaxconn=4096, then start the server "
              "again with a backlog as large.");
}

static void max_syn_backlog(struct view *view)
{
    means(view, "without SYN cookies, half-open connections from unknown hosts get three quarters "
                "of these; the listener's backlog limits them too");
}

static const struct choice syncookies = {
    .meanings =
        {"a full queue of half-open connections drops SYNs: a flood shuts everyone out",
         "a full queue of half-open connections answers with cookies, and no client is shut out",
         "every handshake uses a cookie, which loses TCP options: a setting for tests"},
    .bad = 1u << 0 | 1u << 2,
    .health = RESULT_HEALTH_NOTE,
    .remedy = "sysctl -w net.ipv4.tcp_syncookies=1"};

static void synack_retries(struct view *view)
{
    struct kernel_timers schedule;

    kernel_timers_accept(&schedule, &view->schedule);
    means(view,
          "a handshake that the client does not complete is forgotten after %s (SYN,ACKs at "
          "%s s)",
          effect(view, schedule.failed_ns), seconds_of(view, &schedule));
    if (view->number < 2)
        raise(view, RESULT_HEALTH_NOTE,
              "sysctl -w net.ipv4.tcp_synack_retries=5: a lost segment is "
              "a lost connection.");
}

static const struct choice abort_on_overflow = {
    .meanings = {"a handshake that ends at a full accept queue is kept, and the client tries again",
                 "a handshake that ends at a full accept queue is reset: clients see ECONNRESET, "
                 "where waiting would have helped"},
    .bad = 1u << 1,
    .health = RESULT_HEALTH_NOTE,
    .remedy = "sysctl -w net.ipv4.tcp_abort_on_overflow=0, and a longer backlog or a quicker "
              "accept loop."};

/* ---- giving up ---- */

static void retries1(struct view *view)
{
    means(view, "after %s of retransmissions without an answer the kernel looks for another route",
          effect(view, kernel_timers_retries_ns(&view->schedule, view->number)));
}

static void retries2(struct view *view)
{
    int64_t least_ns = kernel_timers_retries_ns(&view->schedule, view->number);

    means(view, "a dead peer is noticed after at least %s while data is unacknowledged",
          effect(view, least_ns));
    if (least_ns >= 300 * NS_PER_SEC)
        raise(view, RESULT_HEALTH_NOTE,
              "TCP_USER_TIMEOUT on the sockets that should fail sooner; or for all: sysctl -w "
              "net.ipv4.tcp_retries2=8 (102 s, just above the least that RFC 1122 asks for).");
    else if (least_ns < 10 * NS_PER_SEC)
        raise(view, RESULT_HEALTH_PROBLEM,
              "sysctl -w net.ipv4.tcp_retries2=8: a network outage as short as that now breaks "
              "every connection.");
}

static void rto_min_us(struct view *view)
{
    int64_t first_ns = kernel_timers_rto_ns(&view->schedule, 0);

    means(view, "a lost segment with nothing behind it is sent again after %s at the earliest",
          effect(view, first_ns));
    if (view->number < 5000)
        raise(view, RESULT_HEALTH_NOTE,
              "Below the peer's delayed ACK (40 ms on Linux) segments are sent twice needlessly: "
              "sysctl -w "
              "net.ipv4.tcp_rto_min_us=200000");
}

static void rto_max_ms(struct view *view)
{
    means(view, "the longest wait between two retransmissions is %s",
          effect(view, view->schedule.rto_max_ns));
}

static void keepalive_time(struct view *view)
{
    means(view, "with SO_KEEPALIVE, an idle peer is first probed after %s",
          effect(view, view->schedule.keepalive_time_ns));
    if (view->schedule.keepalive_time_ns >= 3600 * NS_PER_SEC)
        raise(view, RESULT_HEALTH_NOTE,
              "Firewalls and NAT forget idle connections within minutes: TCP_KEEPIDLE on the "
              "socket, or sysctl -w net.ipv4.tcp_keepalive_time=120");
}

static void keepalive_intvl(struct view *view)
{
    means(view, "further probes follow every %s", effect(view, view->schedule.keepalive_intvl_ns));
}

static void keepalive_probes(struct view *view)
{
    struct kernel_timers schedule;

    kernel_timers_keepalive(&schedule, &view->schedule, NULL);
    means(view,
          "with SO_KEEPALIVE, a dead peer of an idle connection is noticed after %s; without "
          "it, never",
          effect(view, schedule.failed_ns));
}

static void orphan_retries(struct view *view)
{
    struct kernel_timers schedule;

    kernel_timers_orphan(&schedule, &view->schedule, NULL);
    means(view, "%sa closed socket whose data or FIN is not acknowledged stays for at least %s",
          view->number ? "" : "0 stands for 8: ", effect(view, schedule.failed_ns));
}

static void fin_timeout(struct view *view)
{
    means(view, "a closed socket waits %s for the peer's FIN (FIN-WAIT-2); TIME-WAIT is always %s",
          effect(view, view->number * NS_PER_SEC), time_of(view, TIME_WAIT_NS));
}

/* ---- moving data ---- */

static void congestion_control(struct view *view)
{
    const struct machine_value *available =
        machine_setting(view->machine, "net/ipv4/tcp_available_congestion_control");

    means(view, "what new connections use%s%s", available->known ? "; this kernel has " : "",
          available->known ? available->text : "");
}

static const struct choice slow_start_after_idle = {
    .meanings = {"a connection keeps its congestion window while it is idle",
                 "after an idle time as short as a retransmission timeout, a connection starts "
                 "slowly again: bursts on persistent connections take extra round trips"},
    .bad = 1u << 1,
    .health = RESULT_HEALTH_NOTE,
    .remedy = "For servers with persistent connections over long paths: sysctl -w "
              "net.ipv4.tcp_slow_start_after_idle=0"};

static const struct choice autocorking = {
    .meanings = {"small writes are not merged, except by Nagle's algorithm and TCP_CORK",
                 "small writes are merged while the device's queue still holds earlier ones; this "
                 "never waits for the peer"}};

static const struct choice sack = {.meanings = {"every loss costs more: the peer cannot say what "
                                                "it has, and there are no tail-loss probes",
                                                "only lost segments are sent again"},
                                   .bad = 1u << 0,
                                   .health = RESULT_HEALTH_PROBLEM,
                                   .remedy = "sysctl -w net.ipv4.tcp_sack=1"};

static const struct choice timestamps = {
    .meanings =
        {"no timestamp option: round trips of retransmitted segments can't be measured, and "
         "tcp_tw_reuse does nothing",
         "12 bytes per segment for exact round trips and protection from wrapped sequence numbers"},
    .bad = 1u << 0,
    .health = RESULT_HEALTH_NOTE,
    .remedy = "sysctl -w net.ipv4.tcp_timestamps=1"};

static void window_scaling(struct view *view)
{
    char size[UNITS_TEXT_MAX];

    if (view->number) {
        means(view, "windows may exceed 64 KiB");
        return;
    }
    units_format_size(size, sizeof size, WINDOW_UNSCALED * (NS_PER_SEC / LONG_PATH_NS));
    means(view, "no window exceeds 64 KiB: at most %s a second over a round trip of %s", size,
          time_of(view, LONG_PATH_NS));
    raise(view, RESULT_HEALTH_PROBLEM, "sysctl -w net.ipv4.tcp_window_scaling=1");
}

/* About half of the receive buffer is window, the rest pays for the kernel's bookkeeping. */
static void rmem(struct view *view)
{
    if (view->value->count != 3 || view->value->numbers[2] <= 0)
        return;
    int64_t window = view->value->numbers[2] / 2;
    double rate = (double)window * (double)(NS_PER_SEC / LONG_PATH_NS);
    means(view,
          "the receive window starts at about %s and grows to %s: at most %s a second over a "
          "round trip of %s",
          machine_size(view->line->arena, view->value->numbers[1] / 2),
          machine_size(view->line->arena, window),
          machine_size(view->line->arena, rate < 9e18 ? (int64_t)rate : INT64_MAX),
          time_of(view, LONG_PATH_NS));
    if (view->value->numbers[2] < 1 << 20)
        raise(view, RESULT_HEALTH_NOTE, "sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456'");
}

static void wmem(struct view *view)
{
    if (view->value->count != 3 || view->value->numbers[2] <= 0)
        return;
    means(view, "the send buffer starts at %s and grows to %s",
          machine_size(view->line->arena, view->value->numbers[1]),
          machine_size(view->line->arena, view->value->numbers[2]));
    if (view->value->numbers[2] < 1 << 20)
        raise(view, RESULT_HEALTH_NOTE, "sysctl -w net.ipv4.tcp_wmem='4096 16384 4194304'");
}

static const struct choice moderate_rcvbuf = {
    .meanings = {"the receive buffer stays as it starts: fast transfers over long paths stop at it",
                 "the receive buffer grows with the connection"},
    .bad = 1u << 0,
    .health = RESULT_HEALTH_PROBLEM,
    .remedy = "sysctl -w net.ipv4.tcp_moderate_rcvbuf=1"};

static void early_retrans(struct view *view)
{
    bool probes = view->schedule.tail_loss_probe;

    means(view, probes ? "a lost last segment is probed for before the retransmission timeout"
                       : "no tail-loss probes: a lost last segment waits for the timeout");
    if (!probes)
        raise(view, RESULT_HEALTH_NOTE, "sysctl -w net.ipv4.tcp_early_retrans=3");
}

static void pingpong_thresh(struct view *view)
{
    means(view,
          "a connection counts as interactive, and its ACKs are delayed, after %" PRId64
          " answer%s",
          view->number, view->number == 1 ? "" : "s");
}

static const struct choice mtu_probing = {
    .meanings = {
        "a path that swallows large segments without an ICMP message stalls connections for good",
        "when large segments are lost, smaller ones are tried",
        "every connection starts with small segments and tries larger ones"}};

static const struct choice no_metrics_save = {
    .meanings = {"a connection starts with the round trip and slow-start threshold of the last one "
                 "to the same address: one bad path is remembered",
                 "a connection learns nothing from those before it"}};

static const struct choice ecn = {
    .meanings = {"congestion marks are never used",
                 "congestion marks are asked for in every connect",
                 "congestion marks are used where the peer asks for them",
                 "accurate congestion marks are asked for in every connect",
                 "congestion marks are asked for in every connect, and accurate ones are used "
                 "where the peer asks for them",
                 "accurate congestion marks are used where the peer asks for them"}};

struct setting {
    const char *path; /* below /proc/sys */
    const char *group;
    void (*judge)(struct view *view); /* NULL with no choice: others read it */
    bool text;                        /* the value is a word, not numbers */
    bool detail;                      /* of interest only while it is not as it should be */
    const struct choice *choice;
};

#define CONNECTING "Connecting"
#define LISTENING  "Listening"
#define GIVING_UP  "Giving up on a peer"
#define MOVING     "Moving data"

static const struct setting settings[] = {
    {"net/ipv4/tcp_syn_retries", CONNECTING, syn_retries, false, false, NULL},
    {"net/ipv4/tcp_syn_linear_timeouts", CONNECTING, syn_linear_timeouts, false, false, NULL},
    {"net/ipv4/ip_local_port_range", CONNECTING, local_port_range, false, false, NULL},
    {"net/ipv4/tcp_tw_reuse", CONNECTING, NULL, false, false, &tw_reuse},
    {"net/ipv4/tcp_tw_recycle", CONNECTING, NULL, false, true, &tw_recycle},
    {"net/ipv4/tcp_fastopen", CONNECTING, fastopen, false, false, NULL},

    {"net/core/somaxconn", LISTENING, somaxconn, false, false, NULL},
    {"net/ipv4/tcp_max_syn_backlog", LISTENING, max_syn_backlog, false, false, NULL},
    {"net/ipv4/tcp_syncookies", LISTENING, NULL, false, false, &syncookies},
    {"net/ipv4/tcp_synack_retries", LISTENING, synack_retries, false, false, NULL},
    {"net/ipv4/tcp_abort_on_overflow", LISTENING, NULL, false, false, &abort_on_overflow},

    {"net/ipv4/tcp_retries2", GIVING_UP, retries2, false, false, NULL},
    {"net/ipv4/tcp_retries1", GIVING_UP, retries1, false, false, NULL},
    {"net/ipv4/tcp_rto_min_us", GIVING_UP, rto_min_us, false, false, NULL},
    {"net/ipv4/tcp_rto_max_ms", GIVING_UP, rto_max_ms, false, false, NULL},
    {"net/ipv4/tcp_keepalive_time", GIVING_UP, keepalive_time, false, false, NULL},
    {"net/ipv4/tcp_keepalive_intvl", GIVING_UP, keepalive_intvl, false, false, NULL},
    {"net/ipv4/tcp_keepalive_probes", GIVING_UP, keepalive_probes, false, false, NULL},
    {"net/ipv4/tcp_orphan_retries", GIVING_UP, orphan_retries, false, false, NULL},
    {"net/ipv4/tcp_fin_timeout", GIVING_UP, fin_timeout, false, false, NULL},

    {"net/ipv4/tcp_congestion_control", MOVING, congestion_control, true, false, NULL},
    {"net/ipv4/tcp_available_congestion_control", MOVING, NULL, true, false, NULL},
    {"net/ipv4/tcp_slow_start_after_idle", MOVING, NULL, false, false, &slow_start_after_idle},
    {"net/ipv4/tcp_autocorking", MOVING, NULL, false, true, &autocorking},
    {"net/ipv4/tcp_sack", MOVING, NULL, false, true, &sack},
    {"net/ipv4/tcp_timestamps", MOVING, NULL, false, true, &timestamps},
    {"net/ipv4/tcp_window_scaling", MOVING, window_scaling, false, true, NULL},
    {"net/ipv4/tcp_rmem", MOVING, rmem, false, false, NULL},
    {"net/ipv4/tcp_wmem", MOVING, wmem, false, false, NULL},
    {"net/ipv4/tcp_moderate_rcvbuf", MOVING, NULL, false, true, &moderate_rcvbuf},
    {"net/ipv4/tcp_early_retrans", MOVING, early_retrans, false, true, NULL},
    {"net/ipv4/tcp_pingpong_thresh", MOVING, pingpong_thresh, false, true, NULL},
    {"net/ipv4/tcp_mtu_probing", MOVING, NULL, false, true, &mtu_probing},
    {"net/ipv4/tcp_no_metrics_save", MOVING, NULL, false, true, &no_metrics_save},
    {"net/ipv4/tcp_ecn", MOVING, NULL, false, true, &ecn},
};
_Static_assert(ARRAY_SIZE(settings) < MACHINE_SETTINGS, "each setting has its place");

const char *machine_setting_path(size_t setting)
{
    return setting < ARRAY_SIZE(settings) ? settings[setting].path : NULL;
}

const struct machine_value *machine_setting(const struct machine *machine, const char *path)
{
    static const struct machine_value unknown;

    for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
        if (!strcmp(settings[i].path, path))
            return &machine->settings[i];
    return &unknown;
}

/* A number of a setting in nanoseconds, in the bounds of what a model can take. */
static void machine_read_number(const struct machine *machine, const char *path, int64_t unit_ns,
                                int64_t *out)
{
    const struct machine_value *value = machine_setting(machine, path);

    if (value->known && value->count && value->numbers[0] >= 0)
        *out = value->numbers[0] > INT64_MAX / 4 / unit_ns ? INT64_MAX / 4
                                                           : value->numbers[0] * unit_ns;
}

struct kernel_timers_settings machine_schedule(const struct machine *machine)
{
    struct kernel_timers_settings out = kernel_timers_defaults;
    int64_t early = 3, with_sack = 1;

    /* A kernel that lacks this setting lacks the behaviour too. */
    out.syn_linear_timeouts = 0;
    if (machine->tick_ns > 0)
        out.tick_ns = machine->tick_ns;
    machine_read_number(machine, "net/ipv4/tcp_syn_retries", 1, &out.syn_retries);
    machine_read_number(machine, "net/ipv4/tcp_syn_linear_timeouts", 1, &out.syn_linear_timeouts);
    machine_read_number(machine, "net/ipv4/tcp_synack_retries", 1, &out.synack_retries);
    machine_read_number(machine, "net/ipv4/tcp_retries1", 1, &out.retries1);
    machine_read_number(machine, "net/ipv4/tcp_retries2", 1, &out.retries2);
    machine_read_number(machine, "net/ipv4/tcp_orphan_retries", 1, &out.orphan_retries);
    machine_read_number(machine, "net/ipv4/tcp_rto_min_us", NS_PER_US, &out.rto_min_ns);
    machine_read_number(machine, "net/ipv4/tcp_rto_max_ms", NS_PER_MS, &out.rto_max_ns);
    machine_read_number(machine, "net/ipv4/tcp_keepalive_time", NS_PER_SEC, &out.keepalive_time_ns);
    machine_read_number(machine, "net/ipv4/tcp_keepalive_intvl", NS_PER_SEC,
                        &out.keepalive_intvl_ns);
    machine_read_number(machine, "net/ipv4/tcp_keepalive_probes", 1, &out.keepalive_probes);
    machine_read_number(machine, "net/ipv4/tcp_early_retrans", 1, &early);
    machine_read_number(machine, "net/ipv4/tcp_sack", 1, &with_sack);
    out.tail_loss_probe = early >= 3 && with_sack;
    return out;
}

/* The files may be anybody's: a number that no kernel has says nothing, and must not overflow. */
static bool makes_sense(const struct machine_value *value, bool text)
{
    for (size_t i = 0; i < value->count; i++)
        if (value->numbers[i] < 0 || value->numbers[i] > NUMBER_MAX)
            return false;
    return value->known && (text || value->count);
}

void machine_examine_settings(const struct machine *machine, struct report *report)
{
    struct kernel_timers_settings schedule = machine_schedule(machine);

    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        const struct machine_value *value = &machine->settings[i];
        struct machine_line line = machine_line_begin(report);
        struct view view = {machine, schedule, value, value->numbers[0], &line};
        if ((!settings[i].judge && !settings[i].choice) || !makes_sense(value, settings[i].text))
            continue;
        line.value = arena_copy(&report->arena, value->text);
        line.source = arena_printf(&report->arena, "/proc/sys/%s", settings[i].path);
        line.detail = settings[i].detail;
        if (settings[i].choice)
            judge_choice(&view, settings[i].choice);
        else
            settings[i].judge(&view);
        machine_line_end(report, settings[i].group, strrchr(settings[i].path, '/') + 1, &line);
    }
}
