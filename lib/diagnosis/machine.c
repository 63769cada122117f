#include "diagnosis/machine_internal.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/units.h"
#include "diagnosis/failure.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NEEDED   "What netkit needs"
#define HELPFUL  "What helps netkit"
#define MACHINE  "The machine"
#define TERMINAL "The terminal"
#define FLEET    10000 /* targets that one tcp-probe holds at once */

/* ---- values ---- */

void machine_value_read(struct machine_value *out, const char *text)
{
    size_t len = 0;
    bool counting = true;

    *out = (struct machine_value){0};
    for (const char *p = text + strspn(text, " \t"); *p && *p != '\n';) {
        size_t word = strcspn(p, " \t\n"), room = sizeof out->text - 1 - len;
        char number[32];
        snprintf(number, sizeof number, "%.*s", word < sizeof number ? (int)word : 0, p);
        counting = counting && out->count < MACHINE_NUMBERS &&
                   !units_parse_integer(number, &out->numbers[out->count]);
        out->count += counting;
        if (len && room)
            out->text[len++] = ' ', room--;
        memcpy(out->text + len, p, word < room ? word : room);
        len += word < room ? word : room;
        p += word;
        p += strspn(p, " \t");
    }
    out->known = len > 0;
}

/* ---- what was tried ---- */

/* "why; what to do (what the kernel said)" is how the errors of the lab are written, "why. What to
 * do" those of captures. */
static void split_remedy(struct machine_line *line, const char *text)
{
    const char *semicolon = strstr(text, "; "), *stop = strstr(text, ". ");
    const char *end = semicolon && (!stop || semicolon < stop) ? semicolon : stop;
    const char *said = strrchr(text, '('), *after = text + strlen(text);

    line->meaning = arena_copy(line->arena, text);
    if (!end || !end[2])
        return;
    if (!said || said < end + 4 || after[-1] != ')')
        said = after;
    line->meaning = arena_printf(line->arena, "%.*s%s%s", (int)(end - text), text,
                                 said < after ? " " : "", said);
    line->remedy = arena_printf(line->arena, "%c%.*s", toupper((unsigned char)end[2]),
                                (int)(said - end - 3 - (said < after)), end + 3);
}

/* Something that works, or the reason why not. */
static void examine_answer(struct report *report, const char *group, const char *check,
                           const struct machine_answer *answer, const struct machine_line *words)
{
    struct machine_line line = *words;

    if (!answer->tried)
        return;
    line.value = answer->value ? answer->value : answer->error.code ? "refused" : "works";
    if (answer->error.code) {
        line.health = line.needed ? RESULT_HEALTH_PROBLEM : RESULT_HEALTH_NOTE;
        split_remedy(&line, answer->error.text);
    } else if (answer->lacks) {
        line.health = RESULT_HEALTH_NOTE;
        line.value = "in part";
        line.meaning = answer->lacks;
    } else {
        line.remedy = NULL;
    }
    machine_line_end(report, group, check, &line);
}

static struct machine_line words_of(struct report *report, bool needed, const char *meaning,
                                    const char *remedy, const char *source)
{
    struct machine_line line = machine_line_begin(report);

    line.needed = needed;
    line.meaning = meaning;
    line.remedy = remedy;
    line.source = source;
    return line;
}

static const char *ptrace_meaning(const struct machine_value *scope)
{
    static const char *const meanings[] = {
        "sockets of the same user's processes can be examined",
        ("sockets of child processes can be examined, those of other processes only as root (Yama, "
         "ptrace_scope 1)"),
        "sockets of other processes can be examined only as root (Yama, ptrace_scope 2)",
        "no process may examine another (Yama, ptrace_scope 3)"};

    if (!scope->known || !scope->count || scope->numbers[0] < 0 ||
        scope->numbers[0] >= (int64_t)ARRAY_SIZE(meanings))
        return meanings[0];
    return meanings[scope->numbers[0]];
}

static void examine_stamps(const struct machine_stamps *stamps, struct report *report)
{
    const struct {
        bool came;
        const char *name;
    } kinds[] = {
        {stamps->sched, "SCHED"}, {stamps->snd, "SND"}, {stamps->ack, "ACK"}, {stamps->rx, "RX"}};
    const char *came = "", *missing = "";
    struct arena *arena = &report->arena;
    struct machine_line line =
        words_of(report, true, NULL, NULL, "SO_TIMESTAMPING, tried on loopback");

    if (!stamps->family)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        const char **list = kinds[i].came ? &came : &missing;
        *list = arena_printf(arena, "%s%s%s", *list, **list ? " " : "", kinds[i].name);
    }
    line.value = *came ? came : "none";
    line.meaning = stamps->family == 6
                       ? "the same over IPv6"
                       : "the kernel says when a write left the queue, reached the device, was "
                         "acknowledged, and when data arrived";
    if (*missing) {
        line.health = RESULT_HEALTH_PROBLEM;
        line.meaning = stamps->error.code
                           ? arena_copy(arena, stamps->error.text)
                           : arena_printf(arena, "no stamps of the kind %s came", missing);
        line.remedy = "tcp-probe cannot attribute delays without these: a kernel with "
                      "SO_TIMESTAMPING (Linux 4.0 or later, not a user-space imitation of it).";
        if (stamps->error.code == ETIMEDOUT) { /* says nothing of the kernel */
            line.health = RESULT_HEALTH_NOTE;
            line.remedy = "Examine this machine again when it is idle.";
        }
        if (stamps->error.code == ENETUNREACH || stamps->error.code == EADDRNOTAVAIL)
            line.remedy = "The loopback interface is down; as root: ip link set lo up";
    }
    machine_line_end(report, NEEDED,
                     stamps->family == 6 ? "time stamps, IPv6" : "time stamps, IPv4", &line);
}

/* A host without IPv6 lacks nothing that netkit needs. */
static void examine_families(const struct machine *machine, struct report *report)
{
    for (size_t i = 0; i < MACHINE_FAMILIES; i++) {
        const struct machine_stamps *stamps = &machine->stamps[i];
        int code = stamps->error.code;
        struct machine_line line = words_of(
            report, false, "connections over loopback are not possible", NULL, "a socket on ::1");
        if (stamps->family != 6 || (code != EAFNOSUPPORT && code != EADDRNOTAVAIL)) {
            examine_stamps(stamps, report);
            continue;
        }
        line.health = RESULT_HEALTH_NOTE;
        line.value = "no IPv6";
        line.remedy = "Use -4, or enable IPv6: sysctl -w net.ipv6.conf.lo.disable_ipv6=0";
        machine_line_end(report, HELPFUL, "time stamps, IPv6", &line);
    }
}

/* Only if some are hidden: who can have a lab at all expects no less. */
static void examine_hidden(const struct machine *machine, struct report *report)
{
    struct machine_line line = words_of(
        report, false,
        "this kernel hides these settings from unprivileged user namespaces: scenarios that pin "
        "one of them are not run",
        "Run the scenarios as root, or on a newer kernel (6.12 hides none).",
        "/proc/sys in namespaces created for a test");

    if (!machine->hidden_settings || !*machine->hidden_settings)
        return;
    line.health = RESULT_HEALTH_NOTE;
    line.value = machine->hidden_settings;
    machine_line_end(report, HELPFUL, "settings of a lab", &line);
}

static void examine_abilities(const struct machine *machine, struct report *report)
{
    struct machine_line words =
        words_of(report, true, "the lab works: two hosts and a wire, without root",
                 machine->namespaces.error.code
                     ? "Do what the message says, or use --no-lab of the scenarios for what "
                       "loopback can show."
                     : "Let the container mount, and write to /proc/sys (docker: --security-opt "
                       "systempaths=unconfined --security-opt apparmor=unconfined).",
                 "a lab opened for a test");
    examine_answer(report, NEEDED, "namespaces", &machine->namespaces, &words);
    examine_hidden(machine, report);
    examine_families(machine, report);
    words = words_of(report, true, "states and queues of sockets can be looked up",
                     "A kernel with CONFIG_INET_DIAG (modules inet_diag and tcp_diag), and a "
                     "container that allows NETLINK_SOCK_DIAG.",
                     "a look-up of a test connection");
    examine_answer(report, NEEDED, "sock_diag", &machine->sock_diag, &words);
    words = words_of(report, true, "every field that the verdicts need is there",
                     "Use a newer kernel: some verdicts need what is missing.",
                     "getsockopt(TCP_INFO) of a test connection");
    examine_answer(report, NEEDED, "TCP_INFO", &machine->tcp_info, &words);
    words = words_of(report, false, "packets of this host can be captured",
                     "tcp-probe works without it, and a lab can always capture. For live captures: "
                     "sudo, or setcap cap_net_raw+ep on the netkit binary.",
                     "a capture opened on the loopback device");
    examine_answer(report, HELPFUL, "live capture", &machine->capture, &words);
    words = words_of(report, false, ptrace_meaning(&machine->ptrace_scope),
                     "Linux 5.6 or later, and a seccomp filter that allows pidfd_getfd.",
                     "a descriptor of a child; /proc/sys/kernel/yama/ptrace_scope");
    examine_answer(report, HELPFUL, "pidfd_getfd", &machine->pidfd_getfd, &words);
}

/* ---- the machine ---- */

static void examine_kernel(const struct machine *machine, struct report *report)
{
    struct machine_line line = words_of(report, false, NULL, NULL, "/proc/sys/kernel/osrelease");
    int major = 0, minor = 0;

    if (!machine->kernel || sscanf(machine->kernel, "%d.%d", &major, &minor) != 2)
        return;
    bool old = major < 5 || (major == 5 && minor < 6);
    line.value = arena_copy(&report->arena, machine->kernel);
    line.meaning = "netkit's explanations follow the Linux of 5.6 and later";
    if (old) {
        line.health = RESULT_HEALTH_NOTE;
        line.meaning = "older than what netkit's explanations follow (5.6 and later)";
        line.remedy = "Expect differences in retransmission, accept queues and time stamps.";
    }
    machine_line_end(report, MACHINE, "kernel", &line);
}

/* TCP_DELACK_MIN is HZ / 25 and TCP_DELACK_MAX HZ / 5 ticks, both whole (include/net/tcp.h). */
static void examine_tick(const struct machine *machine, struct report *report)
{
    struct arena *arena = &report->arena;
    struct machine_line line = words_of(report, false, NULL, NULL, machine->tick_source);

    if (machine->tick_ns <= 0)
        return;
    int64_t hz = (NS_PER_SEC + machine->tick_ns / 2) / machine->tick_ns;
    int64_t least_ns = (hz >= 100 ? hz / 25 : 4) * NS_PER_SEC / hz,
            most_ns = hz / 5 * NS_PER_SEC / hz;
    line.value = arena_printf(arena, "%" PRId64, hz);
    line.effect_ns = least_ns;
    line.meaning = arena_printf(arena, "this host delays an ACK by %s to %s; timers count in %s",
                                machine_duration(arena, least_ns), machine_duration(arena, most_ns),
                                machine_duration(arena, machine->tick_ns));
    machine_line_end(report, MACHINE, "HZ", &line);
}

static void examine_clock(const struct machine *machine, struct report *report)
{
    static const char *const slow[] = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"};
    struct machine_line line = words_of(report, false, "reading the time is cheap", NULL,
                                        "/sys/devices/system/clocksource/clocksource0");

    if (!machine->clock_source)
        return;
    line.value = arena_copy(&report->arena, machine->clock_source);
    for (size_t i = 0; i < ARRAY_SIZE(slow); i++)
        if (!strcmp(slow[i], machine->clock_source)) {
            line.health = RESULT_HEALTH_NOTE;
            line.meaning =
                "each reading of the time costs a microsecond or more, which shows in short rounds";
            line.remedy = "Find out why the kernel gave up the tsc (its log says so); on a virtual "
                          "machine ask for kvm-clock or an invariant TSC.";
        }
    machine_line_end(report, MACHINE, "clock", &line);
}

static void examine_descriptors(const struct machine *machine, struct report *report)
{
    struct machine_line line = words_of(report, false, NULL, NULL, "getrlimit(RLIMIT_NOFILE)");
    struct arena *arena = &report->arena;

    if (!machine->descriptors_known)
        return;
    line.value = arena_printf(arena, "%" PRId64, machine->descriptors_soft);
    line.meaning =
        machine->descriptors_soft < machine->descriptors_hard
            ? arena_printf(
                  arena, "open files and sockets of a program; it may raise the limit to %" PRId64,
                  machine->descriptors_hard)
            : "open files and sockets of a program; it can't raise the limit";
    if (machine->descriptors_hard < FLEET) {
        line.health = machine->descriptors_hard < 256 ? RESULT_HEALTH_PROBLEM : RESULT_HEALTH_NOTE;
        line.remedy = "For thousands of connections at once: ulimit -Hn, LimitNOFILE= of the "
                      "service, or nofile in limits.conf(5).";
    }
    machine_line_end(report, MACHINE, "descriptors", &line);
}

static void examine_terminal(const struct machine *machine, struct report *report)
{
    struct machine_line line = words_of(report, false, NULL, NULL, "setlocale(LC_CTYPE)");

    if (!machine->terminal_known)
        return;
    line.value = machine->utf8 ? "UTF-8" : "not UTF-8";
    line.meaning = machine->utf8 ? "ladders and bars are drawn with lines and blocks"
                                 : "ladders and bars are drawn with ASCII";
    line.health = machine->utf8 ? RESULT_HEALTH_OK : RESULT_HEALTH_NOTE;
    line.remedy = machine->utf8 ? NULL : "LC_ALL=C.UTF-8 netkit …";
    machine_line_end(report, TERMINAL, "locale", &line);
    line = words_of(report, false, NULL, NULL, "isatty, TIOCGWINSZ, TERM, NO_COLOR");
    line.value = machine->terminal
                     ? arena_printf(&report->arena, "%" PRId64 " columns", machine->columns)
                     : "no terminal";
    line.meaning = machine->color ? "in colour" : "without colour";
    if (machine->terminal && machine->columns < 80) {
        line.health = RESULT_HEALTH_NOTE;
        line.remedy = "Reports are laid out for 80 columns.";
    }
    machine_line_end(report, TERMINAL, "output", &line);
}

static void examine_unread(const struct machine *machine, struct report *report)
{
    struct machine_line line = machine_line_begin(report);
    const char *remedy = failure_entry(failure_of_shortage(machine->unread.code))->remedy;

    if (!machine->unread.code)
        return;
    line.health = RESULT_HEALTH_PROBLEM;
    line.needed = true;
    line.value = "not read";
    line.meaning =
        arena_printf(line.arena, "what depends on it is missing: %s", machine->unread.text);
    line.remedy = remedy ? remedy : "What does the kernel's log say (dmesg)?";
    machine_line_end(report, MACHINE, "files", &line);
}

void machine_examine(const struct machine *machine, struct report *report)
{
    examine_abilities(machine, report);
    examine_unread(machine, report);
    examine_kernel(machine, report);
    examine_tick(machine, report);
    examine_clock(machine, report);
    examine_descriptors(machine, report);
    machine_examine_settings(machine, report);
    machine_examine_counters(machine, report);
    machine_examine_interfaces(machine, report);
    examine_terminal(machine, report);
}

bool machine_refuses(const struct report *report)
{
    return finding_listed(&report->findings, FINDING_MACHINE_REFUSES);
}
