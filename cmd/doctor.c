/* netkit doctor: what this machine lets netkit do, and what its settings mean for TCP.
 *
 * Reading a machine is the probe's, judging it the diagnosis's. What the probe may not know, the
 * lab and libpcap, is tried here. */
#include "commands.h"
#include "interrupt.h"
#include "output.h"
#include "report_session.h"

#include "base/clock.h"
#include "base/text.h"
#include "capture/capture.h"
#include "lab/lab.h"
#include "probe/machine_probe.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A conversation over loopback takes a few milliseconds, on a very slow machine a second or two. */
#define TRY_NS (10 * NS_PER_SEC)

struct doctor_options {
    const char *root;
    struct common_options common;
};

struct visit {
    const struct doctor_options *options;
    struct report *report;
    struct machine machine;
    int64_t deadline_ns;
};

/* ---- the steps, each short; none after the time is up or a signal came ---- */

static void read_files(struct visit *visit)
{
    machine_read_files(&visit->machine, visit->options->root ? visit->options->root : "",
                       &visit->report->arena);
}

static void read_limits(struct visit *visit)
{
    machine_read_limits(&visit->machine);
    machine_read_interfaces(&visit->machine);
}

static void try_namespaces(struct visit *visit)
{
    struct machine_answer *answer = &visit->machine.namespaces;
    char notes[LAB_NOTES_MAX] = "";

    answer->tried = true;
    if (!lab_possible(notes, sizeof notes, &answer->error) && *notes)
        answer->lacks = arena_copy(&visit->report->arena, notes);
}

static void look_for_hidden_settings(struct visit *visit)
{
    char hidden[64];

    lab_hidden_settings(hidden, sizeof hidden);
    visit->machine.hidden_settings = arena_copy(&visit->report->arena, hidden);
}

static void try_capture(struct visit *visit)
{
    static const struct capture_live loopback = {.device = "lo"};
    cleanup(capture) struct capture *capture = NULL;

    visit->machine.capture.tried = true;
    capture_open_live(&capture, &loopback, &visit->machine.capture.error);
}

static void try_sockets(struct visit *visit)
{
    int64_t until_ns = clock_mono_ns() + TRY_NS;

    machine_try_sockets(&visit->machine, visit->options->common.family,
                        until_ns < visit->deadline_ns ? until_ns : visit->deadline_ns,
                        &interrupt_signal);
}

static void try_pidfd(struct visit *visit)
{
    machine_try_pidfd(&visit->machine);
}

static void look_at_terminal(struct visit *visit)
{
    struct machine *machine = &visit->machine;

    machine->terminal_known = true;
    machine->terminal = isatty(STDOUT_FILENO);
    machine->utf8 = text_locale_is_utf8();
    machine->columns = output_style().width;
    machine->color = common_color(&visit->options->common, STDOUT_FILENO);
}

static void read_again(struct visit *visit)
{
    machine_read_again(&visit->machine, visit->options->root ? visit->options->root : "",
                       &visit->report->arena);
}

static const struct {
    const char *what;
    void (*run)(struct visit *visit);
    bool here; /* says something of this machine only, not of a copy of another's files */
} steps[] = {
    {"settings", read_files, false},       {"limits", read_limits, true},
    {"namespaces", try_namespaces, true},  {"settings of a lab", look_for_hidden_settings, true},
    {"live capture", try_capture, true},   {"timestamps", try_sockets, true},
    {"pidfd_getfd", try_pidfd, true},      {"terminal", look_at_terminal, true},
    {"rising counters", read_again, true},
};

static void examine(struct visit *visit)
{
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        if (steps[i].here && visit->options->root)
            continue;
        if (interrupt_signal || clock_mono_ns() >= visit->deadline_ns) {
            output_complain("doctor", "%s: nothing was examined from '%s' on",
                            interrupt_signal ? "interrupted" : "time is up", steps[i].what);
            break;
        }
        steps[i].run(visit);
    }
    machine_examine(&visit->machine, visit->report);
}

static int check_root(const char *root, struct error *error)
{
    struct stat status;

    if (!root)
        return 0;
    if (stat(root, &status))
        return error_sys(error, errno, "--root %s", root);
    return S_ISDIR(status.st_mode) ? 0 : error_sys(error, ENOTDIR, "--root %s", root);
}

static void list_parameters(const struct visit *visit)
{
    struct result_map *map = &visit->report->parameters;

    result_set_text(&visit->report->arena, map, "root", visit->options->root);
}

static int status_of(const struct visit *visit)
{
    if (machine_refuses(visit->report) || !visit->report->result_count)
        return STATUS_MACHINE;
    return report_session_fails(&visit->options->common, visit->report) ? STATUS_FINDING
                                                                        : STATUS_OK;
}

/* A machine reads the report; a person who looks at the log should find the reason there too. */
static void complain(const struct visit *visit)
{
    for (size_t i = 0; i < visit->report->findings.count; i++) {
        const struct finding *finding = &visit->report->findings.items[i];
        if (finding->code == FINDING_MACHINE_REFUSES &&
            visit->options->common.format != REPORT_TEXT)
            output_complain("doctor", "%s: %s", finding->target, finding->summary);
    }
    if (!visit->report->result_count)
        output_complain("doctor", "%s: nothing there describes TCP",
                        visit->options->root ? visit->options->root : "/proc");
}

static int run(struct cli_invocation *invocation)
{
    const struct doctor_options *options = invocation->options;
    struct report report = {0};
    struct visit visit = {.options = options, .report = &report, .deadline_ns = INT64_MAX};
    struct error error = {0};

    if (check_root(options->root, &error))
        return output_refuse_for("doctor", &error);
    if (options->common.timeout_set)
        visit.deadline_ns = clock_mono_ns() + options->common.timeout_ns;
    report_session_begin(&report, invocation);
    list_parameters(&visit);
    interrupt_catch();
    int status = report_session_reserve("doctor", &options->common, NULL);
    if (status) {
        report_free(&report);
        return interrupt_status(status);
    }
    examine(&visit);
    report_session_end(&report);
    complain(&visit);
    status = report_session_deliver("doctor", &options->common, &report, status_of(&visit));
    report_free(&report);
    return interrupt_status(status);
}

static const struct cli_group where = {
    "What to examine",
    {
        {.name = "root",
         CLI_TEXT(struct doctor_options, root),
         .value = "DIR",
         .completes = CLI_COMPLETES_DIRECTORY,
         .help = "Read the files under DIR, such as a copy of another machine's /proc, instead of "
                 "this machine's; checks that must be tried are left out."},
        {0},
    }};

static const struct cli_fragment fragments[] = {
    {&where, 0, NULL},
    {&common_limits, offsetof(struct doctor_options, common), NULL},
    {&common_output, offsetof(struct doctor_options, common), "diagram diagram-file timeline pcap"},
    {0},
};

static const char *const description[] = {
    "Says whether netkit can work on this machine, and what prevents it if not: private "
    "namespaces, kernel timestamps, live capture, access to other processes' sockets.",
    "Then it reads what matters to TCP: the kernel's settings, with what each means here in "
    "seconds or bytes, the counters of what was dropped, the interfaces, and the limits. Each line "
    "is ok, a note, or a problem; notes and problems say what to do. Nothing is changed.",
    NULL};

static const struct cli_example examples[] = {
    {"netkit doctor", "Examine this machine."},
    {"netkit doctor --quiet", "Show only problems, and how many checks there were."},
    {"netkit doctor --json --fail-on machine-setting",
     "In a pipeline: exit with status 1 if a setting hinders TCP, 3 if netkit cannot work here."},
    {"netkit doctor --root /tmp/sosreport", "Examine files copied from another machine."},
    {0},
};

static const struct cli_status statuses[] = {
    {0, "netkit can work on this machine, whatever it said about the settings."},
    {1, "A finding that --fail-on names was made."},
    COMMON_STATUS_USAGE,
    {3, "Something that netkit needs does not work here; the remedy names what to change."},
    {129, "The terminal hung up; what was seen until then is reported first."},
    {130, "Interrupted; what was seen until then is reported first."},
    {143, "Terminated; what was seen until then is reported first."},
    {0},
};

const struct cli_command doctor_command = {
    .name = "doctor",
    .group = "Look at this machine",
    .summary = "check what this machine lets netkit do, and what its settings mean for TCP",
    .description = description,
    .fragments = fragments,
    .examples = examples,
    .statuses = statuses,
    .see_also = "tcp-probe explain",
    .options_size = sizeof(struct doctor_options),
    .run = run,
};
