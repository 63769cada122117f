/* Families are rows of a table; each row's function writes the samples of one target. Histograms
 * come with every power of two between 1 us and 69 s, whatever was measured, because sums over
 * targets and time need the same bounds everywhere. */
#include "report/prometheus.h"

#include "base/clock.h"
#include "diagnosis/sample.h"
#include "report/about.h"
#include "report/fields.h"
#include "report/paint.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_AN_OCTAVE 4
#define FIRST_OCTAVE      10 /* 2^10 ns */
#define LAST_OCTAVE       36

struct page {
    struct buf *out;
    const char *name; /* of the family */
};

/* ---- samples ---- */

/* Label values may hold anything but a raw \, " or newline; what a terminal could not show is
 * escaped before. */
static void put_label(struct buf *out, const char *key, const char *value, bool first)
{
    cleanup(buf) struct buf shown = {0};

    if (report_is_plain(value, false))
        buf_add_str(&shown, value);
    else
        text_escape(&shown, value, strlen(value));
    out->failed |= shown.failed;
    buf_printf(out, "%s%s=\"", first ? "{" : ",", key);
    for (const char *p = buf_str(&shown); *p; p++) {
        if (*p == '\\' || *p == '"')
            buf_add_char(out, '\\');
        buf_add_char(out, *p);
    }
    buf_add_char(out, '"');
}

struct label {
    const char *key, *value;
};

/* The beginning of a line: name, suffix, labels. */
static void begin(const struct page *page, const char *suffix, const struct label *labels,
                  size_t count)
{
    buf_printf(page->out, "netkit_%s%s", page->name, suffix);
    for (size_t i = 0; i < count; i++)
        put_label(page->out, labels[i].key, labels[i].value, i == 0);
    buf_add_str(page->out, count ? "} " : " ");
}

static void integer_sample(const struct page *page, const struct label *labels, size_t count,
                           int64_t value)
{
    if (value == RESULT_UNKNOWN)
        return;
    begin(page, "", labels, count);
    buf_printf(page->out, "%" PRId64 "\n", value);
}

static void put_seconds(struct buf *out, int64_t ns)
{
    buf_printf(out, "%.12g\n", (double)ns / (double)NS_PER_SEC);
}

static void seconds_sample(const struct page *page, const struct label *labels, size_t count,
                           int64_t ns)
{
    if (ns == RESULT_UNKNOWN)
        return;
    begin(page, "", labels, count);
    put_seconds(page->out, ns);
}

/* ---- families of a target ---- */

#define TARGET(probe)                                                                              \
    {                                                                                              \
        "target", (probe)->target ? (probe)->target : "?"                                          \
    }

struct family {
    const char *name, *type, *help;
    void (*write)(const struct page *page, const struct family *family,
                  const struct result_probe *probe);
    size_t offset; /* of the number, for those that are just one */
};

static void write_up(const struct page *page, const struct family *family,
                     const struct result_probe *probe)
{
    (void)family;
    integer_sample(page, &(struct label)TARGET(probe), 1, probe->ok);
}

static void write_info(const struct page *page, const struct family *family,
                       const struct result_probe *probe)
{
    const struct label labels[] = {
        TARGET(probe),
        {"address", probe->address ? probe->address : ""},
        {"error", probe->error.code == FINDING_NONE ? "" : finding_entry(probe->error.code)->name}};

    (void)family;
    integer_sample(page, labels, ARRAY_SIZE(labels), 1);
}

static int64_t number_of(const struct family *family, const struct result_probe *probe)
{
    return *(const int64_t *)((const char *)probe + family->offset);
}

static void write_integer(const struct page *page, const struct family *family,
                          const struct result_probe *probe)
{
    integer_sample(page, &(struct label)TARGET(probe), 1, number_of(family, probe));
}

static void write_seconds(const struct page *page, const struct family *family,
                          const struct result_probe *probe)
{
    seconds_sample(page, &(struct label)TARGET(probe), 1, number_of(family, probe));
}

static void write_latency(const struct page *page, const struct family *family,
                          const struct result_probe *probe)
{
    const void *latency = (const char *)probe + family->offset;

    for (const struct report_field *field = report_latency_fields; field->key; field++) {
        const struct label labels[] = {TARGET(probe), {"stat", field->label}};
        seconds_sample(page, labels, ARRAY_SIZE(labels), field_integer(field, latency));
    }
}

static void write_parts(const struct page *page, const struct family *family,
                        const struct result_probe *probe)
{
    (void)family;
    for (int part = 0; part < RESULT_PARTS; part++) {
        cleanup(buf) struct buf name = {0};
        const char *key = result_part_key((enum result_part)part);
        buf_add(&name, key, strlen(key) - strlen("_ns"));
        const struct label labels[] = {TARGET(probe), {"part", buf_str(&name)}};
        seconds_sample(page, labels, ARRAY_SIZE(labels), probe->breakdown.part_ns[part]);
    }
}

static void write_arms(const struct page *page, const struct family *family,
                       const struct result_probe *probe)
{
    (void)family;
    for (size_t i = 0; i < probe->arm_count; i++) {
        const struct result_arm *arm = &probe->arms[i];
        struct label labels[] = {TARGET(probe), {"arm", arm->name}, {"stat", "p50"}};
        seconds_sample(page, labels, ARRAY_SIZE(labels), arm->p50_ns);
        labels[2].value = "p99";
        seconds_sample(page, labels, ARRAY_SIZE(labels), arm->p99_ns);
    }
}

static void write_arm_rounds(const struct page *page, const struct family *family,
                             const struct result_probe *probe)
{
    (void)family;
    for (size_t i = 0; i < probe->arm_count; i++) {
        const struct label labels[] = {TARGET(probe), {"arm", probe->arms[i].name}};
        integer_sample(page, labels, ARRAY_SIZE(labels), probe->arms[i].rounds);
    }
}

/* The report has no sum of all rounds; the rebuilt sample has the right mean to a few percent. */
static int64_t sum_of(const struct result_probe *probe)
{
    struct sample sample;
    double sum = 0;

    sample_rebuild(&sample, &probe->histogram, &probe->latency);
    for (size_t i = 0; i < sample.count; i++)
        sum += (double)sample.values[i];
    return (int64_t)(sum / (double)sample.count * (double)sample.rounds);
}

static void bucket_sample(const struct page *page, const struct result_probe *probe,
                          const char *bound, uint64_t count)
{
    const struct label labels[] = {TARGET(probe), {"le", bound}};

    begin(page, "_bucket", labels, ARRAY_SIZE(labels));
    buf_printf(page->out, "%" PRIu64 "\n", count);
}

static void write_histogram(const struct page *page, const struct family *family,
                            const struct result_probe *probe)
{
    const struct label label = TARGET(probe);
    uint64_t below = 0;
    size_t bucket = 0;

    (void)family;
    for (size_t i = 0; i < RESULT_BUCKETS; i++)
        below += probe->histogram.counts[i];
    if (!below)
        return;
    below = 0;
    for (size_t octave = FIRST_OCTAVE; octave <= LAST_OCTAVE; octave++) {
        char bound[32];
        for (; bucket < octave * BUCKETS_AN_OCTAVE; bucket++)
            below += probe->histogram.counts[bucket];
        snprintf(bound, sizeof bound, "%.12g",
                 (double)result_bucket_ns(bucket) / (double)NS_PER_SEC);
        bucket_sample(page, probe, bound, below);
    }
    for (; bucket < RESULT_BUCKETS; bucket++)
        below += probe->histogram.counts[bucket];
    bucket_sample(page, probe, "+Inf", below);
    begin(page, "_sum", &label, 1);
    put_seconds(page->out, sum_of(probe));
    begin(page, "_count", &label, 1);
    buf_printf(page->out, "%" PRIu64 "\n", below);
}

#define AT(member) .offset = offsetof(struct result_probe, member)

static const struct family families[] = {
    {"probe_up", "gauge", "Whether the target answered as expected.", write_up, 0},
    {"probe_info", "gauge", "The address that was used, and why the target failed; always 1.",
     write_info, 0},
    {"probe_resolve_seconds", "gauge", "Resolving the name.", write_seconds, AT(resolve_ns)},
    {"probe_connect_seconds", "gauge", "Connecting, by the kernel.", write_seconds, AT(connect_ns)},
    {"probe_tls_seconds", "gauge", "The TLS handshake.", write_seconds, AT(tls_ns)},
    {"probe_rtt_seconds", "gauge", "The network's round trip, the smallest seen.", write_seconds,
     AT(rtt_ns)},
    {"probe_syn_retransmits", "gauge", "SYNs that were sent again.", write_integer,
     AT(syn_retransmits)},
    {"probe_connections", "gauge", "Connections that were opened.", write_integer, AT(connections)},
    {"probe_rounds", "gauge", "Rounds that were measured.", write_integer, AT(rounds)},
    {"probe_failed_rounds", "gauge", "Rounds that failed.", write_integer, AT(failed_rounds)},
    {"probe_latency_seconds", "gauge", "A round, from the first write to the last byte read.",
     write_latency, AT(latency)},
    {"probe_wire_seconds", "gauge",
     "From the last byte sent to the first byte received, by the kernel's stamps.", write_latency,
     AT(wire)},
    {"probe_part_seconds", "gauge", "Where a typical round goes; the parts add up to the median.",
     write_parts, 0},
    {"probe_arm_seconds", "gauge", "A round with other socket options.", write_arms, 0},
    {"probe_arm_rounds", "gauge", "Rounds that were measured with other socket options.",
     write_arm_rounds, 0},
    {"probe_round_seconds", "histogram",
     "Rounds by their duration. The sum is estimated from the distribution.", write_histogram, 0},
};

static void family_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP netkit_%s %s\n# TYPE netkit_%s %s\n", name, help, name, type);
}

/* ---- which targets ---- */

static int compare_targets(const void *a, const void *b)
{
    const struct result_probe *x = *(const struct result_probe *const *)a;
    const struct result_probe *y = *(const struct result_probe *const *)b;
    int order = strcmp(x->target ? x->target : "?", y->target ? y->target : "?");

    return order ? order : (x > y) - (x < y);
}

/* The probes by their names, each name once. NULL when memory is out. */
static const struct result_probe **probes_of(const struct report *report, size_t *count)
{
    const struct result_probe **probes = calloc(report->result_count + 1, sizeof *probes);
    size_t kept = 0;

    *count = 0;
    for (size_t i = 0; probes && i < report->result_count; i++)
        switch (report->results[i]->type) {
        case RESULT_PROBE:
            probes[(*count)++] = &report->results[i]->probe;
            break;
        case RESULT_LAB: /* an experiment of the moment: nothing that a server would scrape */
        case RESULT_MACHINE:
        case RESULT_REACH: /* its findings say it */
        case RESULT_SCHEDULE:
        case RESULT_SCENARIO:
        case RESULT_LISTENER:
            break;
        }
    if (!probes)
        return NULL;
    qsort(probes, *count, sizeof *probes, compare_targets);
    for (size_t i = 0; i < *count; i++)
        if (!kept || strcmp(probes[kept - 1]->target ? probes[kept - 1]->target : "?",
                            probes[i]->target ? probes[i]->target : "?"))
            probes[kept++] = probes[i];
    *count = kept;
    return probes;
}

/* ---- findings, thresholds, the run ---- */

/* Entries of one target are neighbours, so the same code and side among them is soon found. */
static bool said_before(const struct about *about, size_t at)
{
    const struct about_entry *entry = &about->entries[at];

    for (size_t i = at; i-- > 0;) {
        const struct about_entry *other = &about->entries[i];
        if (!other->name != !entry->name || (entry->name && strcmp(other->name, entry->name)))
            return false;
        if (other->finding->code == entry->finding->code &&
            other->finding->side == entry->finding->side)
            return true;
    }
    return false;
}

static int64_t finding_count(const struct finding *finding)
{
    return finding->count;
}

static int64_t finding_cost(const struct finding *finding)
{
    return finding->cost_ns;
}

static void finding_family(struct buf *out, const struct about *about, const char *name,
                           const char *help, int64_t (*value)(const struct finding *),
                           void (*write)(const struct page *, const struct label *, size_t,
                                         int64_t))
{
    const struct page page = {out, name};

    family_head(out, name, "gauge", help);
    for (size_t i = 0; i < about->count; i++) {
        const struct finding *finding = about->entries[i].finding;
        const char *side = result_side_name(finding->side);
        const struct label labels[] = {
            {"target", about->entries[i].name ? about->entries[i].name : ""},
            {"code", finding_entry(finding->code)->name},
            {"severity", finding_severity_name(finding->severity)},
            {"side", side ? side : ""}};
        if (!said_before(about, i))
            write(&page, labels, ARRAY_SIZE(labels), value(finding));
    }
}

static void code_family(struct buf *out, const struct report *report)
{
    const struct page page = {out, "findings"};
    int64_t counts[FINDING_CODES] = {0};

    for (size_t i = 0; i < report->findings.count; i++)
        counts[report->findings.items[i].code]++;
    family_head(out, page.name, "gauge", "Findings of the run, by code.");
    for (int code = FINDING_NONE + 1; code < FINDING_CODES; code++) {
        const struct label label = {"code", finding_entry((enum finding_code)code)->name};
        if (counts[code])
            integer_sample(&page, &label, 1, counts[code]);
    }
}

/* Whether an earlier check is of the same name and target. Checks of a target follow each other,
 * and targets that were given twice bring the same labels again. */
static int compare_checks(const void *a, const void *b)
{
    const struct result_check *x = *(const struct result_check *const *)a;
    const struct result_check *y = *(const struct result_check *const *)b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->target ? x->target : "", y->target ? y->target : "");
}

static int check_family(struct buf *out, const struct report *report, struct error *error)
{
    const struct page page = {out, "threshold_exceeded"};
    size_t count = report->checks.count;
    cleanup(mem) const struct result_check **checks = calloc(count + 1, sizeof *checks);

    if (!checks)
        return error_sys(error, ENOMEM, "cannot sort the thresholds");
    for (size_t i = 0; i < count; i++)
        checks[i] = &report->checks.items[i];
    qsort(checks, count, sizeof *checks, compare_checks);
    if (count)
        family_head(out, page.name, "gauge", "Whether a threshold was exceeded.");
    for (size_t i = 0; i < count; i++) {
        const struct label labels[] = {{"threshold", checks[i]->name},
                                       {"target", checks[i]->target ? checks[i]->target : ""}};
        if (!i || compare_checks(&checks[i - 1], &checks[i]))
            integer_sample(&page, labels, ARRAY_SIZE(labels), !checks[i]->ok);
    }
    return 0;
}

static void run_families(struct buf *out, const struct report *report)
{
    const struct label labels[] = {{"version", report->version ? report->version : ""},
                                   {"command", report->command ? report->command : ""},
                                   {"kernel", report->kernel ? report->kernel : ""},
                                   {"verdict", finding_entry(report->verdict)->name}};

    family_head(out, "run_info", "gauge", "What wrote this, and its verdict; always 1.");
    integer_sample(&(struct page){out, "run_info"}, labels, ARRAY_SIZE(labels), 1);
    family_head(out, "run_start_time_seconds", "gauge", "When the run began, since 1970.");
    seconds_sample(&(struct page){out, "run_start_time_seconds"}, NULL, 0, report->started_real_ns);
    family_head(out, "run_duration_seconds", "gauge", "How long the run took.");
    seconds_sample(&(struct page){out, "run_duration_seconds"}, NULL, 0, report->duration_ns);
    family_head(out, "run_interrupted", "gauge", "Whether a signal ended the run early.");
    integer_sample(&(struct page){out, "run_interrupted"}, NULL, 0, report->interrupted);
}

int report_render_prometheus(struct buf *out, const struct report *report,
                             const struct report_style *style, struct error *error)
{
    cleanup(about) struct about about = {0};
    size_t count;
    cleanup(mem) const struct result_probe **probes = probes_of(report, &count);
    int rc = probes ? about_build(&about, report, error)
                    : error_sys(error, ENOMEM, "cannot sort the targets");

    (void)style;
    if (rc)
        return rc;
    run_families(out, report);
    for (size_t i = 0; i < ARRAY_SIZE(families) && count; i++) {
        const struct page page = {out, families[i].name};
        family_head(out, families[i].name, families[i].type, families[i].help);
        for (size_t j = 0; j < count; j++)
            families[i].write(&page, &families[i], probes[j]);
    }
    code_family(out, report);
    finding_family(out, &about, "finding", "How often a target shows a finding.", finding_count,
                   integer_sample);
    finding_family(out, &about, "finding_cost_seconds", "What a finding costs, each time.",
                   finding_cost, seconds_sample);
    rc = check_family(out, report, error);
    if (rc)
        return rc;
    return out->failed ? error_sys(error, ENOMEM, "cannot write the metrics") : 0;
}
