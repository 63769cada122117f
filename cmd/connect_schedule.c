#include "connect_schedule.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/units.h"
#include "probe/machine_probe.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What decides when a connect sends its SYNs: sysctls, then options of a socket. */
struct plan {
    struct kernel_timers_settings settings;
    struct kernel_timers_socket socket;
};

#define OF(member) offsetof(struct plan, member)

static const struct knob {
    const char *name;
    const char *path; /* under /proc/sys; NULL: a socket option */
    size_t field;     /* of an int64_t */
    int64_t unit, min, max;
    const char *unset; /* where the kernel does not have it, or the socket does not set it */
} knobs[] = {
    {"tcp_syn_retries", "net/ipv4/tcp_syn_retries", OF(settings.syn_retries), 1, 1, 127,
     "the kernel's default"},
    {"tcp_syn_linear_timeouts", "net/ipv4/tcp_syn_linear_timeouts",
     OF(settings.syn_linear_timeouts), 1, 0, 127, "this kernel has no such setting (before 6.5)"},
    {"tcp_rto_max_ms", "net/ipv4/tcp_rto_max_ms", OF(settings.rto_max_ns), NS_PER_MS, 1000, 120000,
     "this kernel has no such setting (before 6.15)"},
    {"TCP_SYNCNT", NULL, OF(socket.syn_count), 1, 0, 127, "not set on the socket"},
    {"TCP_USER_TIMEOUT", NULL, OF(socket.user_timeout_ns), NS_PER_MS, 0, INT32_MAX,
     "not set on the socket (ms)"},
};

static int64_t *field_of(struct plan *plan, const struct knob *knob)
{
    return (int64_t *)((char *)plan + knob->field);
}

/* Some 20 KiB. */
static struct machine *read_machine(struct arena *arena)
{
    struct machine *machine = arena_alloc(arena, sizeof *machine);

    if (machine) {
        machine_read_files(machine, "", arena);
        machine_read_limits(machine);
    }
    return machine;
}

static bool machine_has(const struct machine *machine, const char *path)
{
    const char *one;

    for (size_t i = 0; (one = machine_setting_path(i)); i++)
        if (!strcmp(one, path))
            return machine->settings[i].known && machine->settings[i].count;
    return false;
}

static const struct knob *find_knob(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
        if (strlen(knobs[i].name) == length && !strncmp(knobs[i].name, name, length))
            return &knobs[i];
    return NULL;
}

static int name_the_knobs(struct error *error, const char *given)
{
    cleanup(buf) struct buf names = {0};

    for (size_t i = 0; i < ARRAY_SIZE(knobs); i++)
        buf_printf(&names, "%s%s", i ? ", " : "", knobs[i].name);
    return error_set(error, EINVAL, "--kernel-setting wants NAME=VALUE with one of %s, got '%s'",
                     buf_str(&names), given);
}

static int set_knob(struct plan *plan, const char *given, bool *told, struct error *error)
{
    const char *equals = strchr(given, '=');
    const struct knob *knob = equals ? find_knob(given, (size_t)(equals - given)) : NULL;
    int64_t value;

    if (!knob)
        return name_the_knobs(error, given);
    if (units_parse_integer(equals + 1, &value) || value < knob->min || value > knob->max)
        return error_set(error, EINVAL,
                         "--kernel-setting %s wants a whole number from %" PRId64 " to %" PRId64
                         ", got '%s'",
                         knob->name, knob->min, knob->max, equals + 1);
    *field_of(plan, knob) = value * knob->unit;
    told[knob - knobs] = true;
    return 0;
}

static void list_settings(struct report *report, struct result_schedule *result, struct plan *plan,
                          const struct machine *machine, const bool *told)
{
    for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
        const struct knob *knob = &knobs[i];
        bool here = knob->path && machine && machine_has(machine, knob->path);
        const char *source = told[i] ? "as given" : here ? "this kernel's" : knob->unset;
        result_set_integer(&report->arena, &result->settings, knob->name,
                           *field_of(plan, knob) / knob->unit);
        result_set_text(&report->arena, &result->sources, knob->name, source);
    }
}

static void list_syns(struct report *report, struct result_schedule *result,
                      const struct kernel_timers *schedule)
{
    size_t count = schedule->sent_count < KERNEL_TIMERS_SENT_MAX ? schedule->sent_count
                                                                 : KERNEL_TIMERS_SENT_MAX;
    struct result_syn *syns = arena_alloc(&report->arena, count * sizeof *syns);

    for (size_t i = 0; syns && i < count; i++)
        syns[i] = (struct result_syn){
            .number = (int64_t)i + 1,
            .at_ns = schedule->sent_ns[i],
            .after_ns = i ? schedule->sent_ns[i] - schedule->sent_ns[i - 1] : RESULT_UNKNOWN};
    result->syns = syns;
    result->syn_count = syns ? count : 0;
}

int connect_schedule_report(struct report *report, const struct cli_list *given,
                            struct error *error)
{
    cleanup(arena) struct arena arena = {0};
    const struct machine *machine = read_machine(&arena);
    struct plan plan = {.settings = machine ? machine_schedule(machine) : kernel_timers_defaults};
    bool told[ARRAY_SIZE(knobs)] = {false};
    struct kernel_timers schedule;

    for (size_t i = 0; i < given->count; i++) {
        int rc = set_knob(&plan, given->words[i], told, error);
        if (rc)
            return rc;
    }
    struct result *result = report_add(report, RESULT_SCHEDULE);
    if (!result)
        return error_sys(error, ENOMEM, "a schedule");
    kernel_timers_connect(&schedule, &plan.settings, &plan.socket);
    result->schedule.name = "connect to a host that does not answer";
    result->schedule.failed_ns = schedule.failed_ns;
    result->schedule.failed_latest_ns = kernel_timers_latest_ns(&plan.settings, schedule.failed_ns);
    list_syns(report, &result->schedule, &schedule);
    list_settings(report, &result->schedule, &plan, machine, told);
    return 0;
}
