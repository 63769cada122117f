/* The files of /proc, of this machine or of another one's copied tree: any text gives a report in
 * printable words, and counters that only rise count no fall.
 *
 * Input: a letter (c counters, s settings and the rest), then texts that end with NUL: for counters
 * netstat, snmp, sockstat, and the same a moment later; for settings kernel, clock source, and the
 * settings in the order of machine_setting_path(). */
#include "fuzz.h"

#include "base/cleanup.h"
#include "diagnosis/listener.h"
#include "diagnosis/machine.h"
#include "report/report.h"
#include <string.h>

static char *next_text(char **rest, const char *end)
{
    char *text = *rest;

    if (text >= end)
        return NULL;
    *rest += strlen(text) + 1;
    return text;
}

static void examine(const struct machine *machine)
{
    const struct report_style style = {.verbose = true, .unicode = true};
    struct report report = {.command = "doctor", .version = "1", .kernel = "6"};
    cleanup(buf) struct buf out = {0};

    machine_examine(machine, &report);
    FUZZ_PROMISE(report_render(&out, REPORT_TEXT, &report, &style, NULL) == 0);
    FUZZ_PROMISE(strlen(buf_str(&out)) == out.len_bytes);
    for (size_t i = 0; i < out.len_bytes; i++)
        FUZZ_PROMISE(out.data[i] == '\n' ||
                     ((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f));
    machine_schedule(machine);
    report_free(&report);
}

static void check_rises(const struct machine *machine)
{
    struct listener_counters from, to;

    listener_counters_read(&from, machine->before.netstat, machine->before.snmp);
    listener_counters_read(&to, machine->after.netstat, machine->after.snmp);
    for (int i = 0; i < LISTENER_COUNTERS; i++) {
        int64_t rise = listener_rise(&from, &to, (enum listener_counter)i);
        FUZZ_PROMISE(rise >= 0 || rise == RESULT_UNKNOWN);
    }
}

static void read_counters(struct machine_counters *out, char **rest, const char *end)
{
    out->netstat = next_text(rest, end);
    out->snmp = next_text(rest, end);
    out->sockstat = next_text(rest, end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct machine machine;
    cleanup(mem) char *texts = malloc(size + 1);

    if (!texts || size < 1)
        return 0;
    memcpy(texts, data + 1, size - 1);
    texts[size - 1] = '\0';
    char *rest = texts;
    const char *end = texts + size;
    machine = (struct machine){0};
    if (data[0] == 'c') {
        read_counters(&machine.before, &rest, end);
        read_counters(&machine.after, &rest, end);
        check_rises(&machine);
    } else {
        machine.kernel = next_text(&rest, end);
        machine.clock_source = next_text(&rest, end);
        for (size_t i = 0; machine_setting_path(i); i++) {
            const char *text = next_text(&rest, end);
            machine_value_read(&machine.settings[i], text ? text : "");
        }
        machine.ptrace_scope = machine.settings[0];
    }
    examine(&machine);
    return 0;
}
