/* One scenario, once: the lab with its settings and the user's faults, the script, the verdict. */
#include "base/cleanup.h"
#include "scenario/cast.h"
#include "scenario/stage_internal.h"
#include "scenario/stall.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TRACE_EVENTS (1u << 17)
#define SYSCTLS_MAX  48

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
    char path[160], text[128];
    bool slashes = strchr(name, '/');

    snprintf(path, sizeof path, "/proc/sys/net/%s%s", slashes ? "" : "ipv4/", name);
    cleanup(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (len <= 0)
        return NULL;
    text[len] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return arena_copy(arena, text);
}

static int add_sysctls(struct stage *stage, enum lab_host host)
{
    const struct scenario_request *request = stage->request;
    unsigned bit = host == LAB_CLIENT ? SCENARIO_CLIENT : SCENARIO_SERVER;
    struct lab_sysctl *list = arena_alloc(stage->arena, SYSCTLS_MAX * sizeof *list);
    size_t count = 0;

    if (!list)
        return -ENOMEM;
    for (const struct scenario_setting *s = stage->scenario->settings; s && s->name; s++) {
        const char *value =
            request->real_time && s->timer ? own_value(stage->arena, s->name) : NULL;
        if (s->hosts & bit && count < SYSCTLS_MAX)
            list[count++] = (struct lab_sysctl){s->name, value ? value : s->value, s->optional};
    }
    for (size_t i = 0; i < request->sysctl_count[host] && count < SYSCTLS_MAX; i++)
        list[count++] = request->sysctls[host][i];
    stage->config.host[host].sysctls = list;
    stage->config.host[host].sysctls_count = count;
    stage->config.host[host].capture_lo = stage->scenario->capture_lo;
    return 0;
}

static int describe(struct stage *stage)
{
    const struct scenario_request *request = stage->request;
    struct lab_config *config = &stage->config;

    *config = (struct lab_config){.link = request->link,
                                  .ipv4 = stage->family == AF_INET,
                                  .ipv6 = stage->family == AF_INET6,
                                  .resolve_neighbours = stage->scenario->resolve_neighbours,
                                  .no_states = stage->scenario->crowded,
                                  .trace = stage->trace,
                                  .seed = request->seed};
    if (!request->delay_given)
        config->link.delay_ns = stage->scenario->delay_ns;
    config->pcap_path = scenario_pcap_path(stage->arena, request, stage->scenario->name,
                                           stage->family == AF_INET ? 4 : 6);
    int rc = add_sysctls(stage, LAB_CLIENT);
    return rc ? rc : add_sysctls(stage, LAB_SERVER);
}

/* ---- The user's faults ---- */

static int add_faults(struct stage *stage, int *numbers, struct error *error)
{
    const struct scenario_request *request = stage->request;

    for (size_t i = 0; i < request->fault_count; i++) {
        int rc = lab_fault_add(stage->lab, &request->faults[i].fault, error);
        if (rc < 0)
            return error_add(error, "%s", request->faults[i].text);
        numbers[i] = rc;
    }
    return 0;
}

static void count_faults(struct stage *stage, const int *numbers)
{
    const struct scenario_request *request = stage->request;
    struct result_scenario *result = stage->result;

    result->faults = arena_alloc(stage->arena, (request->fault_count + 1) * sizeof *result->faults);
    for (size_t i = 0; result->faults && i < request->fault_count; i++) {
        struct lab_fault_count count = lab_fault_count(stage->lab, numbers[i]);
        result->faults[result->fault_count++] = (struct result_fault){
            numbers[i], request->faults[i].text, (int64_t)count.matched, (int64_t)count.acted};
    }
}

static void take_notes(struct stage *stage)
{
    const char *notes = stage->lab ? lab_notes(stage->lab) : "";
    const char **list = *notes ? arena_alloc(stage->arena, sizeof *list) : NULL;

    if (!list)
        return;
    list[0] = arena_copy(stage->arena, notes);
    stage->result->notes = list;
    stage->result->note_count = 1;
}

/* ---- The run ---- */

static int play_in_lab(struct stage *stage, struct lab_stats *stats, struct error *error)
{
    int *numbers = arena_alloc(stage->arena, (stage->request->fault_count + 1) * sizeof(int));
    int rc = numbers ? describe(stage) : -ENOMEM;

    if (rc)
        return error_sys(error, -rc, "the lab's settings");
    rc = lab_open(&stage->config, &stage->lab, error);
    if (!rc)
        rc = add_faults(stage, numbers, error);
    if (!rc) {
        stage->scenario->run(stage);
        count_faults(stage, numbers);
        take_notes(stage);
    }
    lab_close(stage->lab, stats);
    stage->lab = NULL;
    return rc;
}

static void begin(struct stage *stage)
{
    const struct scenario *scenario = stage->scenario;
    int family = stage->family == AF_INET ? 4 : 6;

    *stage->result = (struct result_scenario){
        .name = arena_printf(stage->arena, "%s (IPv%d)", scenario->name, family),
        .scenario = scenario->name,
        .family = family,
        .title = scenario->title,
        .book = scenario->book,
        .here = scenario->here,
        .attempts = 1,
        .runs = 1};
    stage->started_real_ns = clock_real_ns();
    stage->started_mono_ns = clock_mono_ns();
}

int scenario_perform(const struct scenario *scenario, int family,
                     const struct scenario_request *request, struct arena *arena,
                     struct result_scenario *out, struct error *error)
{
    struct stage stage = {.scenario = scenario,
                          .request = request,
                          .family = family == 4 ? AF_INET : AF_INET6,
                          .arena = arena,
                          .result = out};
    struct lab_stats stats = {0};
    struct stall stall;

    begin(&stage);
    int rc = trace_open(&stage.trace, TRACE_EVENTS, error);
    if (rc)
        return rc;
    stall_begin(&stall);
    if (request->no_lab) {
        stage.ports = cast_free_ports(stage.family);
        if (!stage.ports)
            stage_fail(&stage, "no free ports were found on loopback");
        scenario->run(&stage);
    } else {
        rc = play_in_lab(&stage, &stats, error);
    }
    actors_free(&stage);
    stage.stalled_ns = stall_end(&stall);
    if (!rc)
        stage_conclude(&stage, &stats);
    out->duration_ns = clock_mono_ns() - stage.started_mono_ns;
    trace_close(stage.trace);
    return !rc && arena->failed ? error_sys(error, ENOMEM, "the result") : rc;
}
