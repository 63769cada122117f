/* One scenario, once: the lab with its settings and the user's faults, the script, the verdict. */
#include "scenario/engine/agent_self.h"
#include "scenario/engine/host_stall.h"
#include "scenario/engine/lab_result.h"
#include "scenario/engine/testbed_internal.h"

#include "base/shortage.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TRACE_EVENTS (1u << 17)
#define SYSCTLS_MAX  48
/* What lab_open() fails with where one that the scenario pins is missing. Nothing else does. */
#define SETTING_MISSING (-ENODATA)

const struct scenario *scenario_find(const struct scenario_set *set, const char *name)
{
    for (size_t i = 0; set->items[i]; i++)
        if (!strcmp(set->items[i]->name, name))
            return set->items[i];
    return set->further ? scenario_find(set->further, name) : NULL;
}

const char *scenario_pcap_path(struct arena *arena, const struct scenario_request *request,
                               const char *scenario, int family)
{
    const char *path = request->pcap;
    const char *slash = path ? strrchr(path, '/') : NULL, *dot = path ? strrchr(path, '.') : NULL;

    if (!path || !request->several)
        return path;
    size_t stem = dot && (!slash || dot > slash + 1) ? (size_t)(dot - path) : strlen(path);
    return arena_printf(arena, "%.*s-%s-%d%s", (int)stem, path, scenario, family, path + stem);
}

/* ---- Settings ---- */

/* This host's own value of a timer, for --real-time; NULL where it cannot be read. */
static const char *own_value(struct arena *arena, const char *name)
{
    char text[128];

    return agent_self_read_setting(name, text, sizeof text) > 0 ? arena_copy(arena, text) : NULL;
}

static int add_sysctls(struct testbed *bed, enum lab_host host)
{
    const struct scenario_request *request = bed->request;
    unsigned bit = host == LAB_CLIENT ? SCENARIO_CLIENT : SCENARIO_SERVER;
    struct lab_sysctl *list = arena_alloc(bed->arena, SYSCTLS_MAX * sizeof *list);
    size_t count = 0;

    if (!list)
        return -ENOMEM;
    for (const struct scenario_setting *s = bed->scenario->settings; s && s->name; s++) {
        if (s->flags & SETTING_ROUTE) {
            if (s->hosts & bit)
                bed->config.host[host].rto_min_ms = (int)strtol(s->value, NULL, 10);
            continue;
        }
        const char *value = request->real_time && (s->flags & SETTING_TIMER)
                                ? own_value(bed->arena, s->name)
                                : NULL;
        if (s->hosts & bit && count < SYSCTLS_MAX)
            list[count++] = (struct lab_sysctl){s->name, value ? value : s->value,
                                                s->flags & SETTING_OPTIONAL, SETTING_MISSING};
    }
    for (size_t i = 0; i < request->sysctl_count[host] && count < SYSCTLS_MAX; i++)
        list[count++] = request->sysctls[host][i];
    bed->config.host[host].sysctls = list;
    bed->config.host[host].sysctls_count = count;
    bed->config.host[host].capture_lo = bed->scenario->capture_lo;
    return 0;
}

static int configure_lab(struct testbed *bed)
{
    const struct scenario_request *request = bed->request;
    struct lab_config *config = &bed->config;

    *config = (struct lab_config){.link = request->link,
                                  .ipv4 = bed->family == AF_INET,
                                  .ipv6 = bed->family == AF_INET6,
                                  .resolve_neighbours = bed->scenario->resolve_neighbours,
                                  .no_states = bed->scenario->crowded,
                                  .trace = bed->trace,
                                  .seed = request->seed,
                                  .rights = request->rights};
    if (!request->delay_given)
        config->link.delay_ns = bed->scenario->delay_ns;
    config->pcap_path = scenario_pcap_path(bed->arena, request, bed->scenario->name,
                                           bed->family == AF_INET ? 4 : 6);
    int rc = add_sysctls(bed, LAB_CLIENT);
    return rc ? rc : add_sysctls(bed, LAB_SERVER);
}

/* ---- The run ---- */

static int open_lab(struct testbed *bed, struct error *error)
{
    bed->fault_numbers = arena_alloc(bed->arena, (bed->request->fault_count + 1) * sizeof(int));
    int rc = bed->fault_numbers ? configure_lab(bed) : -ENOMEM;

    if (rc)
        return error_sys(error, -rc, "the lab's settings");
    rc = lab_open(&bed->config, &bed->lab, error);
    if (!rc)
        rc = privilege_drop(NULL, 0, error); /* from now on the lab's processes act */
    return rc ? rc
              : lab_result_add_faults(bed->lab, bed->request->faults, bed->request->fault_count,
                                      bed->fault_numbers, error);
}

void testbed_finish(struct testbed *bed)
{
    if (bed->finished)
        return;
    bed->finished = true;
    if (bed->lab) {
        const struct scenario_request *request = bed->request;
        bed->result->faults = lab_result_faults(bed->lab, request->faults, request->fault_count,
                                                bed->fault_numbers, bed->arena);
        bed->result->fault_count = bed->result->faults ? request->fault_count : 0;
        bed->result->notes = lab_result_notes(bed->lab, &bed->result->note_count, bed->arena);
    }
    lab_close(bed->lab, &bed->stats);
    bed->lab = NULL;
    agents_free(bed);
    bed->stalled_ns = host_stall_end(&bed->stall);
    testbed_read_trace(bed);
}

struct result_scenario scenario_result(struct arena *arena, const struct scenario *scenario,
                                       int family)
{
    return (struct result_scenario){.name =
                                        arena_printf(arena, "%s (IPv%d)", scenario->name, family),
                                    .scenario = scenario->name,
                                    .family = family,
                                    .title = scenario->title,
                                    .book = scenario->book,
                                    .here = scenario->here,
                                    .attempts = 1,
                                    .runs = 1};
}

int scenario_run_one(const struct scenario *scenario, int family,
                     const struct scenario_request *request, struct arena *arena,
                     struct result_scenario *out, struct error *error)
{
    struct testbed bed = {.scenario = scenario,
                          .request = request,
                          .family = family == 4 ? AF_INET : AF_INET6,
                          .arena = arena,
                          .result = out,
                          .started_real_ns = clock_real_ns(),
                          .started_mono_ns = clock_mono_ns()};

    *out = scenario_result(arena, scenario, family);
    int rc = trace_open(&bed.trace, TRACE_EVENTS, error);
    if (rc)
        return rc;
    host_stall_begin(&bed.stall);
    if (request->no_lab) {
        bed.ports = agent_self_free_ports(bed.family);
        if (!bed.ports && !agent_self_has_loopback(bed.family))
            testbed_fail(&bed,
                         "loopback has no IPv%d address (sysctl net.ipv6.conf.lo.disable_ipv6; "
                         "ip link set lo up)",
                         family);
        else if (!bed.ports)
            testbed_fail(&bed, "no free ports were found on loopback");
    } else {
        out->captured = true;
        rc = open_lab(&bed, error);
    }
    if (rc == SETTING_MISSING) {
        testbed_unsupported(&bed, error->text);
        rc = 0;
    }
    if (!rc && !testbed_failed(&bed))
        scenario->play(&bed);
    testbed_finish(&bed);
    if (!rc)
        testbed_conclude(&bed);
    out->duration_ns = clock_mono_ns() - bed.started_mono_ns;
    trace_close(bed.trace);
    return !rc && shortage() ? error_sys(error, shortage(), "the result") : rc;
}
