/* Each target is a job: resolve, then for each address tries one after the other, then the path.
 * What is known only at the end (the neighbour's state, this host's listener) is read then. */
#include "probe/connect_probe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "probe/connect_try.h"
#include "probe/fleet.h"
#include "probe/local_facts.h"
#include "probe/route.h"
#include "probe/tcp_traceroute.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define ADDRESSES_MAX 16

struct run {
    struct fleet fleet; /* the first member */
    const struct connect_probe_plan *plan;
    const struct probe_target *targets;
    struct arena *arena;
    const struct connect_probe_sink *sink;
    struct route_table *routes;   /* NULL: this host's tables cannot be asked */
    struct sock_diag *diag;       /* NULL: sock_diag cannot be asked */
    struct live_capture *capture; /* NULL: this user may not capture */
    size_t strips;
};

struct job {
    struct fleet_item item; /* the first member */
    struct run *run;
    const struct probe_target *asked;
    const char *name;
    struct sock_address address;
    struct connect_try try;
    struct tcp_traceroute trace;
    bool on_trace;
    struct reach_try *tries;
    size_t try_count;
    struct result_route *route;
    struct reach_listener listener;
    const char *source;
    struct reach_evidence *evidence;
    struct trace_strip *strip;               /* NULL: not kept */
    uint16_t ports[CONNECT_PROBE_TRIES_MAX]; /* that the tries were made from */
};

/* ---- jobs ---- */

static struct job *add_job(struct run *run, const struct probe_target *asked, const char *name)
{
    struct job *job = calloc(1, sizeof *job);
    struct reach_evidence *evidence = arena_alloc(run->arena, sizeof *evidence);

    if (!job || !evidence) {
        free(job);
        return NULL;
    }
    *evidence = (struct reach_evidence){.target = name,
                                        .port = asked->where.port,
                                        .resolve_ns = RESULT_UNKNOWN,
                                        .settings = run->plan->settings};
    job->run = run;
    job->asked = asked;
    job->name = name;
    job->evidence = evidence;
    fleet_add(&run->fleet, &job->item, (size_t)(asked - run->targets));
    return job;
}

static void free_job(struct fleet_item *item)
{
    free(item);
}

/* ---- what is known of this host ---- */

static int look_at_listener(void *context, const struct sock_diag_entry *entry)
{
    struct job *job = context;
    struct sock_address local = entry->local, wanted = job->address;

    sock_address_unmap(&local);
    sock_address_unmap(&wanted);
    bool v6 = sock_family(&local) == AF_INET6;
    bool any =
        v6 ? IN6_IS_ADDR_UNSPECIFIED(&local.v6.sin6_addr)
           : local.v4.sin_addr.s_addr == htonl(INADDR_ANY) && sock_family(&wanted) == AF_INET;
    if (!any && !sock_address_equal(&local, &wanted))
        return 0;
    /* The one that is fullest, of several that share the port. */
    int64_t over = (int64_t)entry->rqueue - (int64_t)entry->wqueue;
    if (job->listener.seen && over <= job->listener.queue - job->listener.limit)
        return 0;
    job->listener = (struct reach_listener){.seen = true,
                                            .v6_for_v4 = v6 && sock_family(&wanted) == AF_INET,
                                            .queue = entry->rqueue,
                                            .limit = entry->wqueue};
    return 0;
}

/* Where the target is this host, its listener can be asked. */
static void find_listener(struct job *job)
{
    const struct sock_diag_filter filter = {.states = 1u << TCP_LISTEN,
                                            .local_port = sock_address_port(&job->address)};

    if (job->route && job->route->local && job->run->diag)
        sock_diag_list(job->run->diag, &filter, look_at_listener, job, NULL);
}

static void find_route(struct job *job)
{
    struct result_route *route = arena_alloc(job->run->arena, sizeof *route);

    if (route && job->run->routes &&
        !route_find(job->run->routes, &job->address, job->run->arena, route))
        job->route = route;
}

/* Where our kernel refused. */
static void find_local(struct job *job)
{
    for (size_t i = 0; i < job->try_count; i++)
        if (job->tries[i].answer == REACH_REFUSED) {
            local_facts_read(&job->evidence->local, job->tries[i].number, &job->address, NULL);
            job->evidence->local.without_socket = job->tries[i].without_socket;
            return;
        }
}

/* ---- the end of a job ---- */

static void finish_job(struct job *job)
{
    struct run *run = job->run;
    struct reach_evidence *evidence = job->evidence;

    find_listener(job);
    find_local(job);
    if (job->route)
        job->route->neighbour = route_neighbour(run->routes, &job->address, job->route);
    evidence->tries = job->tries;
    evidence->try_count = job->try_count;
    evidence->route = job->route;
    evidence->listener = job->listener;
    evidence->source = job->source;
    evidence->strip = job->strip;
    if (job->on_trace) {
        evidence->hops = job->trace.hops;
        evidence->hop_count = tcp_traceroute_count(&job->trace);
    }
    run->fleet.totals->done++;
    bool connected = false;
    for (size_t i = 0; i < job->try_count; i++)
        connected |= job->tries[i].answer == REACH_CONNECTED;
    run->fleet.totals->failed += !connected;
    fleet_leave(&run->fleet, &job->item);
    run->sink->done(run->sink->context, evidence);
}

static void trace_ended(struct tcp_traceroute *path)
{
    finish_job(path->owner);
}

/* Without a SYN on the way there is no path; if no neighbour answers, it ends here. */
static bool has_trace(const struct job *job)
{
    const struct reach_try *last = job->try_count ? &job->tries[job->try_count - 1] : NULL;

    if (!job->run->plan->path || !last)
        return false;
    return last->answer != REACH_REFUSED && last->answer != REACH_UNTRIED &&
           !(last->answer == REACH_ICMP && last->icmp.ours);
}

static void begin_trace(struct job *job)
{
    const struct connect_probe_plan *plan = job->run->plan;
    bool answers = false;

    for (size_t i = 0; i < job->try_count; i++)
        answers |= job->tries[i].answer == REACH_CONNECTED || job->tries[i].answer == REACH_RST;
    job->trace = (struct tcp_traceroute){.loop = &job->run->fleet.loop,
                                         .arena = job->run->arena,
                                         .to = job->address,
                                         .capture = job->run->capture,
                                         .answers = answers,
                                         .hops_max = plan->hops,
                                         .hop_timeout_ns = plan->hop_timeout_ns,
                                         .deadline_ns = plan->deadline_ns,
                                         .owner = job,
                                         .ended = trace_ended};
    job->on_trace = !tcp_traceroute_begin(&job->trace);
    if (!job->on_trace)
        finish_job(job);
}

/* ---- tries ---- */

static void keep_try(struct job *job)
{
    struct arena *arena = job->run->arena;
    struct reach_try *tries = arena_grow(arena, job->tries, job->try_count, sizeof *tries);

    if (!tries)
        return;
    job->tries = tries;
    tries[job->try_count] = job->try.result;
    tries[job->try_count].icmp.from = arena_copy(arena, job->try.result.icmp.from);
    tries[job->try_count].wire.icmp.from = arena_copy(arena, job->try.result.wire.icmp.from);
    if (job->try_count < CONNECT_PROBE_TRIES_MAX)
        job->ports[job->try_count] = job->try.local_port;
    job->try_count++;
    if (job->try.source[0])
        job->source = arena_copy(arena, job->try.source);
}

static void begin_try(struct job *job)
{
    const struct connect_probe_plan *plan = job->run->plan;
    int64_t until_ns = clock_mono_ns() + plan->try_timeout_ns;

    job->try.strip = job->strip;
    job->try.connection = (uint32_t)job->try_count + 1;
    connect_try_begin(&job->try, &job->run->fleet.loop, &job->address, 0,
                      until_ns < plan->deadline_ns ? until_ns : plan->deadline_ns);
}

/* Only an answer of the target's is worth another try: silence takes long, and routers limit how
 * much ICMP they send. */
static bool wants_another(const struct job *job)
{
    enum reach_answer last = job->tries[job->try_count - 1].answer;

    return (int64_t)job->try_count < job->run->plan->tries &&
           clock_mono_ns() < job->run->plan->deadline_ns &&
           (last == REACH_CONNECTED || last == REACH_RST || last == REACH_RESET ||
            last == REACH_ITSELF);
}

static void try_ended(struct connect_try *try)
{
    struct job *job = try->owner;

    keep_try(job);
    live_capture_take(job->run->capture);
    if (job->try_count && wants_another(job))
        begin_try(job);
    else if (has_trace(job))
        begin_trace(job);
    else
        finish_job(job);
}

static void try_waits(struct connect_try *try)
{
    find_listener(try->owner);
}

static void begin_job(struct job *job, const struct sock_address *address)
{
    char text[SOCK_ADDRESS_TEXT_MAX];

    job->address = *address;
    job->evidence->address = arena_copy(job->run->arena, connect_try_host_text(text, address));
    job->try = (struct connect_try){.sock = SOCK_INIT,
                                    .capture = job->run->capture,
                                    .owner = job,
                                    .ended = try_ended,
                                    .waits = try_waits};
    if (job->run->plan->keep_strip && job->run->strips++ < CONNECT_PROBE_STRIPS_MAX)
        job->strip = arena_alloc(job->run->arena, sizeof *job->strip);
    if (job->strip)
        trace_strip_reset(job->strip);
    find_route(job);
    begin_try(job);
}

/* ---- names ---- */

static void resolve_failed(struct job *job, const struct resolve_job *asked)
{
    struct result_error failure = resolve_failure(job->run->arena, asked);

    job->evidence->resolve_error = failure.message;
    job->evidence->resolve_cause = failure_by_name(failure.cause);
    finish_job(job);
}

/* The first address goes on with the job; each other gets one of its own. */
static void resolved(struct job *job, const struct sock_address_list *list, int64_t took_ns)
{
    struct run *run = job->run;
    size_t count = list->count < ADDRESSES_MAX ? list->count : ADDRESSES_MAX;

    job->evidence->resolve_ns = took_ns;
    for (size_t i = 0; i < count; i++) {
        char text[SOCK_ADDRESS_TEXT_MAX];
        struct job *one = i ? add_job(run, job->asked, job->name) : job;
        if (!one)
            return;
        one->evidence->resolve_ns = took_ns;
        if (count > 1)
            one->evidence->target = arena_printf(run->arena, "%s (%s)", job->asked->name,
                                                 connect_try_host_text(text, &list->items[i]));
        begin_job(one, &list->items[i]);
    }
}

static void job_resolved(struct fleet_item *item, const struct resolve_job *asked)
{
    struct job *job = (struct job *)item;
    struct sock_address_list addresses = asked->addresses;

    if (asked->rc) {
        resolve_failed(job, asked);
        return;
    }
    resolved(job, &addresses, asked->took_ns);
    sock_address_list_free(&addresses);
}

static int begin_target(struct fleet *fleet, size_t index)
{
    struct run *run = (struct run *)fleet;
    const struct probe_target *target = &run->targets[index];
    struct job *job = add_job(run, target, target->name);

    if (!job)
        return -ENOMEM;
    if (target->fixed) {
        begin_job(job, target->fixed);
        return 0;
    }
    return fleet_resolve(fleet, &job->item, &target->where);
}

/* ---- the capture ---- */

/* A connection's last segments come when the next try is under way. */
static void keep_packet(struct job *job, const struct live_capture_packet *packet)
{
    size_t i = job->try_count + job->try.going;

    if (!job->strip || !i || !connect_try_has_peer(&job->try, packet))
        return;
    while (i-- > 0)
        if ((i < job->try_count ? job->ports[i] : job->try.local_port) == packet->local_port) {
            live_capture_record(job->strip, (uint32_t)i + 1, packet);
            return;
        }
}

static void saw(void *context, const struct live_capture_packet *packet)
{
    struct run *run = context;

    for (struct fleet_item *item = run->fleet.in_flight; item; item = item->next) {
        struct job *job = (struct job *)item;
        keep_packet(job, packet);
        if (connect_try_saw(&job->try, packet))
            return;
    }
}

/* Names are not resolved yet: the ports are all that is known. */
static size_t list_ports(const struct run *run, uint16_t *ports)
{
    uint8_t listed[65536 / 8] = {0};
    size_t count = 0;

    for (size_t i = 0; i < run->fleet.count; i++) {
        uint16_t port = run->targets[i].where.port;
        if (!(listed[port / 8] >> port % 8 & 1))
            ports[count++] = port;
        listed[port / 8] |= (uint8_t)(1u << port % 8);
    }
    return count;
}

static int open_capture(struct run *run, struct error *error)
{
    cleanup(mem) uint16_t *ports = calloc(run->fleet.count + 1, sizeof *ports);
    struct error reason = {0};
    bool must = run->plan->pcap || run->plan->keep_strip;

    if (!ports)
        return error_sys(error, ENOMEM, "%zu targets", run->fleet.count);
    if (!must && run->fleet.parallel > CONNECT_PROBE_CAPTURE_MAX) {
        run->fleet.totals->capture_failure = "too many targets at once";
        return 0;
    }
    const struct live_capture_settings settings = {.ports = ports,
                                                   .port_count = list_ports(run, ports),
                                                   .whole = must,
                                                   .path = run->plan->pcap,
                                                   .saw = saw,
                                                   .context = run};
    int rc = live_capture_open(&run->capture, &run->fleet.loop, &settings, &reason);
    run->fleet.totals->captured = !rc;
    if (!rc)
        return 0;
    run->fleet.totals->capture_failure = arena_copy(run->arena, reason.text);
    if (must && error)
        *error = reason;
    return must ? rc : 0;
}

/* A capture that broke says nothing from then on; the rest of the run was none the worse. */
static int close_capture(struct run *run, struct error *error)
{
    struct error reason = {0};

    if (live_capture_lost(run->capture))
        run->fleet.totals->capture_failure = "packets came faster than they were read";
    int rc = live_capture_close(run->capture, &reason);
    if (!rc)
        return 0;
    run->fleet.totals->capture_failure = arena_copy(run->arena, reason.text);
    if (run->plan->pcap && error)
        *error = reason;
    return run->plan->pcap ? rc : 0;
}

/* ---- the run ---- */

/* What is under way is told as far as it came. */
static void cut_job(struct fleet_item *item, int rc, bool interrupted)
{
    struct job *job = (struct job *)item;

    (void)rc, (void)interrupted;
    if (job->on_trace) {
        tcp_traceroute_cut(&job->trace);
    } else if (job->try.going) {
        connect_try_cut(&job->try);
        keep_try(job);
    }
    finish_job(job);
}

/* Without these something less is known; that is no reason not to go on. */
static void open_tables(struct run *run)
{
    if (route_open(&run->routes, NULL))
        run->routes = NULL;
    if (sock_diag_open(&run->diag, NULL))
        run->diag = NULL;
}

int connect_probe_run(const struct connect_probe_plan *plan, const struct probe_target *targets,
                      size_t count, struct arena *arena, const struct connect_probe_sink *sink,
                      const volatile sig_atomic_t *stop, struct probe_totals *totals,
                      struct error *error)
{
    static const struct fleet_rules rules = {
        .begin = begin_target, .resolved = job_resolved, .cut = cut_job, .free = free_job};
    cleanup(mem) struct run *run = calloc(1, sizeof *run);

    *totals = (struct probe_totals){0};
    if (!run)
        return error_sys(error, ENOMEM, "%zu targets", count);
    *run = (struct run){.fleet = {.rules = &rules,
                                  .count = count,
                                  .parallel = plan->parallel,
                                  .deadline_ns = plan->deadline_ns,
                                  .family = plan->family,
                                  .stop = stop,
                                  .totals = totals},
                        .plan = plan,
                        .targets = targets,
                        .arena = arena,
                        .sink = sink};
    int rc = fleet_open(&run->fleet, plan->path ? TCP_TRACEROUTE_AT_ONCE : 1, error);
    if (!rc)
        rc = open_capture(run, error);
    live_capture_renounce();
    open_tables(run);
    if (!rc)
        rc = fleet_run(&run->fleet, error);
    route_close(run->routes);
    if (run->diag)
        sock_diag_close(run->diag);
    int kept = close_capture(run, rc ? NULL : error);
    fleet_close(&run->fleet);
    return rc ? rc : kept;
}
