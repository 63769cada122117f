#include "experiment.h"

#include "interrupt.h"
#include "output.h"

#include "base/clock.h"
#include "base/text.h"
#include "report/report.h"
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

void experiment_begin(struct report *report, const struct cli_invocation *invocation)
{
    struct utsname system;

    report->command = invocation->command->name;
    report->version = invocation->program->version;
    report->started_real_ns = clock_real_ns();
    report->duration_ns = -clock_mono_ns(); /* experiment_end() adds the end */
    report->kernel = arena_copy(&report->arena, uname(&system) ? "unknown" : system.release);
    report->unprivileged = geteuid() != 0;
}

void experiment_end(struct report *report)
{
    report->duration_ns += clock_mono_ns();
    report->verdict = finding_verdict(&report->findings);
    report->interrupted = interrupt_signal != 0;
}

bool experiment_fails(const struct common_options *options, const struct report *report)
{
    for (size_t i = 0; i < report->findings.count; i++)
        if (common_fails_on(options, report->findings.items[i].code,
                            report->findings.items[i].severity))
            return true;
    return false;
}

int experiment_family(const struct common_options *options)
{
    return options->family == 4 ? AF_INET : options->family == 6 ? AF_INET6 : AF_UNSPEC;
}

static struct report_style style_of(const struct common_options *options)
{
    struct cli_style terminal = output_style();

    return (struct report_style){.width = terminal.width,
                                 .color = !options->output && common_color(options, STDOUT_FILENO),
                                 .unicode = text_locale_is_utf8(),
                                 .verbose = options->verbose,
                                 .quiet = options->quiet};
}

int experiment_deliver(const char *command, const struct common_options *options,
                       const struct report *report, int status)
{
    struct report_style style = style_of(options);
    cleanup(buf) struct buf text = {0};
    struct error error = {0};

    if (report_render(&text, (enum report_format)options->format, report, &style, &error) ||
        common_deliver(options, &text, &error)) {
        output_complain(command, "%s", error.text);
        return STATUS_MACHINE;
    }
    return status;
}
