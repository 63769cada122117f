#include "backlog_sweep.h"

#include "output.h"

#include "base/units.h"
#include "scenario/backlog/backlog.h"
#include <errno.h>
#include <limits.h>
#include <string.h>

#define OF struct backlog_sweep_options

static int parse_number(const char *text, size_t len, int64_t *out, struct error *error)
{
    char word[24];

    snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1), text);
    if (units_parse_integer(word, out) || *out < -1 || *out > INT_MAX)
        return error_set(
            error, EINVAL,
            "a backlog is a number of at least 0, or -1 for the maximum: 5, or 0-14, or 1,16,-1");
    return 0;
}

/* One number, or FROM-TO. A dash at the beginning is a sign. */
static int parse_item(const char *text, size_t len, OF *options, struct error *error)
{
    const char *dash = len > 1 ? memchr(text + 1, '-', len - 1) : NULL;
    int64_t from, to;
    int rc = parse_number(text, dash ? (size_t)(dash - text) : len, &from, error);

    to = from;
    if (!rc && dash)
        rc = parse_number(dash + 1, len - (size_t)(dash + 1 - text), &to, error);
    if (!rc && to < from)
        rc = error_set(error, EINVAL, "a range goes from the smaller to the larger: 0-14");
    for (int64_t i = from; !rc && i <= to; i++) {
        if (options->backlogs.count == BACKLOG_SWEEP_MAX)
            return error_set(error, EINVAL, "at most %d backlogs can be tried at once",
                             BACKLOG_SWEEP_MAX);
        options->backlogs.items[options->backlogs.count++] = (int)i;
    }
    return rc;
}

static int parse_backlogs(const char *text, void *field, struct error *error)
{
    OF *options = (OF *)((char *)field - offsetof(OF, backlogs));
    int rc = 0;

    options->backlogs.count = 0;
    for (const char *item = text; !rc; item++) {
        size_t len = strcspn(item, ",");
        rc = parse_item(item, len, options, error);
        item += len;
        if (!*item)
            break;
    }
    return rc;
}

const struct cli_group backlog_sweep_group = {
    "The sweep",
    {
        {.name = "backlog",
         CLI_PARSED(OF, backlogs),
         CLI_GIVEN(OF, given),
         .parse = parse_backlogs,
         .value = "LIST",
         .help = "Let sweep try these backlogs: numbers and ranges (0-14,64); -1 asks for the "
                 "maximum. Without this option: 0 to 14, one above somaxconn, and -1."},
        {0},
    }};

int backlog_scenarios_run(struct cli_invocation *invocation, const struct scenario_options *run,
                          const struct backlog_sweep_options *sweep)
{
    struct backlog_own own = {sweep->backlogs.items, sweep->backlogs.count};
    bool used = run->common.all || run->common.list;

    for (size_t i = 0; i < invocation->arg_count; i++)
        used |= !strcmp(invocation->args[i], "sweep");
    if (sweep->given && !used) {
        output_complain(invocation->command->name,
                        "--backlog is for the scenario 'sweep': name that one, or give --all");
        return STATUS_USAGE;
    }
    return scenarios_run(invocation, &scenario_backlog, run,
                         &(struct scenario_extra){.own = sweep->given ? &own : NULL});
}
