#include "common.h"

#include "output.h"
#include <errno.h>
#include <string.h>

static const struct cli_word formats[] = {{"text", REPORT_TEXT, NULL},
                                          {"json", REPORT_JSON, NULL},
                                          {"ndjson", REPORT_NDJSON, NULL},
                                          {"junit", REPORT_JUNIT, NULL},
                                          {"tap", REPORT_TAP, NULL},
                                          {"prometheus", REPORT_PROMETHEUS, NULL},
                                          {0}};

static const struct cli_word diagrams[] = {
    {"text", LADDER_TEXT, NULL}, {"mermaid", LADDER_MERMAID, NULL}, {"svg", LADDER_SVG, NULL}, {0}};

static const struct cli_word colors[] = {{"auto", COMMON_COLOR_AUTO, NULL},
                                         {"always", COMMON_COLOR_ALWAYS, NULL},
                                         {"never", COMMON_COLOR_NEVER, NULL},
                                         {0}};

/* Every code of the catalogue, then "any". */
static const char *fail_on_word(size_t index)
{
    if (index + 1 < FINDING_CODES)
        return finding_entry((enum finding_code)(index + 1))->name;
    return index + 1 == FINDING_CODES ? "any" : NULL;
}

#define OF struct common_options

const struct cli_group common_output = {
    "Output",
    {
        {.name = "json",
         CLI_ALIAS("format=json"),
         .help =
             "Short for --format json: one JSON document, and nothing else on standard output."},
        {.name = "prometheus",
         CLI_ALIAS("format=prometheus"),
         .help = "Short for --format prometheus: metrics in the Prometheus text format."},
        {.name = "format",
         CLI_CHOICE(OF, format),
         .words = formats,
         .value = "FORMAT",
         .initial = "text",
         .help = "How to write the report."},
        {.name = "output",
         .letter = 'o',
         CLI_TEXT(OF, output),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help =
             "Write the report to FILE, which is replaced only when the whole report is written."},
        {.name = "diagram",
         CLI_CHOICE(OF, diagram),
         .words = diagrams,
         .optional = "text",
         .value = "KIND",
         .help = "Draw the ladder of calls and segments; text if no KIND is given."},
        {.name = "diagram-file",
         CLI_TEXT(OF, diagram_file),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Draw the diagram into FILE. Without --diagram, the suffix .svg, .mmd or .md "
                 "chooses the kind."},
        {.name = "timeline", CLI_FLAG(OF, timeline), .help = "List every event in order."},
        {.name = "pcap",
         CLI_TEXT(OF, pcap),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Write the packets to FILE, for Wireshark."},
        {.name = "fail-on",
         CLI_WORD_LIST(OF, fail_on),
         .word = fail_on_word,
         .value = "CODE[,CODE]|any",
         .help = "Exit with status 1 if one of these findings was made; 'any' means any warning or "
                 "error."},
        {.name = "quiet",
         .letter = 'q',
         CLI_FLAG(OF, quiet),
         .conflicts = "verbose",
         .help = "Print only the verdict and errors."},
        {.name = "verbose",
         .letter = 'v',
         CLI_FLAG(OF, verbose),
         .help = "Print more, such as how things were measured."},
        {.name = "color",
         CLI_CHOICE(OF, color),
         .words = colors,
         .initial = "auto",
         .help = "Colour the report; auto does so on a terminal, unless NO_COLOR is set."},
        {0},
    }};

const struct cli_group common_limits = {
    "Limits",
    {
        {.name = "timeout",
         CLI_DURATION(OF, timeout_ns),
         CLI_GIVEN(OF, timeout_set),
         .min = 1000000,
         .bounds_reading = true,
         .help = "Stop the whole run after this time, and report what was measured until then."},
        {.name = "ipv4",
         .letter = '4',
         CLI_CONSTANT(OF, family),
         .constant = 4,
         .help = "Use IPv4 only."},
        {.name = "ipv6",
         .letter = '6',
         CLI_CONSTANT(OF, family),
         .constant = 6,
         .conflicts = "ipv4",
         .help = "Use IPv6 only."},
        {0},
    }};

const struct cli_group common_scenarios = {
    "Scenarios",
    {
        {.name = "list", CLI_FLAG(OF, list), .help = "List the scenarios, one on each line."},
        {.name = "all",
         CLI_FLAG(OF, all),
         .help = "Run every scenario, for IPv4 and IPv6 unless -4 or -6 is given."},
        {.name = "jobs",
         CLI_INTEGER(OF, jobs),
         .min = 1,
         .max = 256,
         .initial = "8",
         .help = "Run this many at once; each has its own lab, and mostly waits."},
        {.name = "repeat",
         CLI_INTEGER(OF, repeat),
         .min = 1,
         .max = 1000000,
         .initial = "1",
         .help = "Run each scenario this many times and report how often each outcome occurred; an "
                 "outcome that changes is a failure."},
        {.name = "no-lab",
         CLI_FLAG(OF, no_lab),
         .help = "Run on loopback, without private namespaces; not every scenario can."},
        {.name = "real-time",
         CLI_FLAG(OF, real_time),
         .help = "Keep the kernel's timers as they are; some scenarios then take minutes."},
        {0},
    }};

const struct cli_status common_threshold_statuses[] = {
    {0, "The diagnosis was completed, whatever it found."},
    {1, "A threshold was exceeded, or a finding that --fail-on names was made."},
    COMMON_STATUS_USAGE,
    COMMON_STATUS_MACHINE,
    {4, "Every target was unknown or out of reach."},
    COMMON_STATUSES_ENDED};

const struct cli_status common_scenario_statuses[] = {
    {0, "Every scenario did what this kernel should do."},
    {1, "A scenario differed or was inconclusive, or a finding that --fail-on names was made."},
    COMMON_STATUS_USAGE,
    COMMON_STATUS_MACHINE,
    COMMON_STATUSES_ENDED};

enum ladder_format common_diagram(const struct common_options *options)
{
    static const struct {
        const char *ending;
        enum ladder_format diagram;
    } endings[] = {{".svg", LADDER_SVG}, {".mmd", LADDER_MERMAID}, {".md", LADDER_MERMAID}};
    const char *dot = options->diagram_file ? strrchr(options->diagram_file, '.') : NULL;

    if (options->diagram || !options->diagram_file)
        return options->diagram;
    for (size_t i = 0; dot && i < ARRAY_SIZE(endings); i++)
        if (!strcmp(dot, endings[i].ending))
            return endings[i].diagram;
    return LADDER_TEXT;
}

bool common_color(const struct common_options *options, int descriptor)
{
    switch (options->color) {
    case COMMON_COLOR_AUTO:
        return output_wants_color(descriptor);
    case COMMON_COLOR_ALWAYS:
        return true;
    case COMMON_COLOR_NEVER:
        return false;
    }
    return false;
}

bool common_fails_on(const struct common_options *options, enum finding_code code,
                     enum finding_severity severity)
{
    for (size_t i = 0; i < options->fail_on.count; i++) {
        const char *word = options->fail_on.words[i];
        if (!strcmp(word, "any") ? severity >= FINDING_WARNING
                                 : !strcmp(word, finding_entry(code)->name))
            return true;
    }
    return false;
}

int common_reserve(const struct common_options *options, const char *record, struct error *error)
{
    const struct {
        const char *option, *path;
    } outputs[] = {{"output", options->output},
                   {"diagram-file", options->diagram_file},
                   {"pcap", options->pcap},
                   {"record", record}};

    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
        if (outputs[i].path && !*outputs[i].path)
            return error_set(error, EINVAL, "--%s: the name of the file is empty",
                             outputs[i].option);
    for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
        for (size_t k = 0; k < i && outputs[i].path; k++)
            if (outputs[k].path && strcmp(outputs[i].path, "-") != 0 &&
                strcmp(outputs[k].path, "-") != 0 && outfile_same(outputs[i].path, outputs[k].path))
                return error_set(error, EINVAL, "--%s and --%s name one file: %s",
                                 outputs[k].option, outputs[i].option, outputs[i].path);
    for (size_t i = 2; i < ARRAY_SIZE(outputs); i++) {
        const char *path = outputs[i].path;
        int rc = path && strcmp(path, "-") != 0 ? outfile_check(path) : 0;
        if (rc)
            return error_sys(error, -rc, "--%s %s", outputs[i].option, path);
    }
    int rc = output_reserve(options->output, error);
    return rc ? rc : output_reserve(options->diagram_file, error);
}

int common_deliver(const struct common_options *options, const struct buf *report,
                   struct error *error)
{
    return output_file(options->output ? options->output : "-", report, error);
}
