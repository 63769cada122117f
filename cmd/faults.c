#include "faults.h"

#include "base/buf.h"
#include <errno.h>

#define OF struct fault_options

const struct cli_group fault_link = {
    "Link",
    {
        {.name = "delay",
         CLI_DURATION(OF, delay_ns),
         CLI_GIVEN(OF, delay_given),
         .max = INT64_C(3600000000000),
         .initial = "0",
         .help = "Delay every packet by this long, each way."},
        {.name = "rate",
         CLI_SIZE(OF, rate_bytes),
         .min = 1,
         .value = "SIZE",
         .help = "Limit the link to this many bytes a second, each way; without this option it is "
                 "as fast as the machine."},
        {.name = "mtu",
         CLI_INTEGER(OF, mtu_bytes),
         .min = 68,
         .max = 65535,
         .initial = "1500",
         .help = "Set the size of the largest IP packet; with IPv6 at least 1280."},
        {0},
    }};

#define FAULT(word, form, sentence)                                                                \
    {                                                                                              \
        .name = (word), CLI_ITEM(OF, items), .value = (form), .help = (sentence)                   \
    }

/* Only the words count: the lab reads them. */
static const struct cli_word directions[] = {{"c>s", 0, NULL}, {"s>c", 1, NULL}, {0}};

const struct cli_group fault_rules = {
    "Faults",
    {
        FAULT("drop", "M",
              "Drop the packets that match M: a flag word (syn, syn-ack, fin, rst, data, ack, any) "
              "or a filter in tcpdump's language. Each fault is a rule; rules are tried in order."),
        FAULT("hold", "M=DUR|until:COND",
              "Hold them, and release them together: DUR after the first, when N are held (M=N), "
              "or when COND becomes true (see CONDITIONS in netkit-lab(1))."),
        FAULT("late", "M=DUR",
              "Deliver them late, by DUR; DUR+JITTER adds a random delay of up to JITTER."),
        FAULT("duplicate", "M", "Deliver them twice."),
        FAULT("reorder", "M", "Swap each with the next packet in the same direction."),
        FAULT("corrupt", "M", "Flip a bit of each, and leave the checksum as it is."),
        FAULT("answer-rst", "M", "Drop them, and answer the sender with an RST."),
        FAULT("answer-icmp", "M=NAME",
              "Drop them, and answer the sender with this ICMP error, such as host-unreachable."),
        FAULT("cut", "M", "From the first match on, let nothing pass either way."),
        {.name = "count",
         CLI_QUALIFIER(INTEGER),
         .min = 1,
         .help = "Limit the preceding fault to this many packets."},
        {.name = "nth",
         CLI_QUALIFIER(INTEGER),
         .min = 1,
         .help =
             "Start the preceding fault at the N-th match; without --count, act only on that one."},
        {.name = "dir",
         CLI_QUALIFIER(CHOICE),
         .words = directions,
         .help = "Match only packets from the client (c>s) or from the server (s>c)."},
        {.name = "probability",
         CLI_QUALIFIER(TEXT),
         .value = "P",
         .help = "Act on each match with this probability (0 to 1)."},
        {.name = "window",
         CLI_QUALIFIER(TEXT),
         .value = "FROM..TO",
         .help = "Act only from FROM until TO, counted from the start: 0..500ms, 1s.."},
        {.name = "faults",
         CLI_ITEM_FILE(OF, items),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Read faults from FILE, one on each line, written as on the command line: --drop "
                 "syn --count 1. A line that starts with # is a comment."},
        {.name = "seed",
         CLI_INTEGER(OF, seed),
         .initial = "1",
         .help = "Seed for everything random: the same seed makes the same choices."},
        {0},
    }};

struct lab_link fault_link_of(const struct fault_options *options)
{
    return (struct lab_link){.delay_ns = options->delay_ns,
                             .rate_bytes_per_sec = options->rate_bytes,
                             .mtu_bytes = (int)options->mtu_bytes};
}

static int set(struct lab_fault *fault, const struct cli_item *item, const char *name,
               const char *value, struct error *error)
{
    int rc = lab_fault_option(fault, name, value, error);

    if (rc)
        error_add(error, "--%s '%s'", name, value);
    if (rc && item->file)
        error_add(error, "%s:%d", item->file, item->line);
    return rc;
}

static int read_one(const struct cli_item *item, struct arena *arena, struct scenario_fault *out,
                    struct error *error)
{
    cleanup(buf) struct buf words = {0};
    int rc = set(&out->fault, item, item->option->name, item->text, error);

    buf_printf(&words, "%s %s", item->option->name, item->text);
    for (size_t i = 0; !rc && i < item->qualifier_count; i++) {
        const struct cli_qualifier *qualifier = &item->qualifiers[i];
        rc = set(&out->fault, item, qualifier->option->name, qualifier->text, error);
        buf_printf(&words, " %s %s", qualifier->option->name, qualifier->text);
    }
    arena->failed |= words.failed;
    out->text = arena_copy(arena, buf_str(&words));
    return rc;
}

int faults_read(const struct fault_options *options, struct arena *arena,
                const struct scenario_fault **out, size_t *out_count, struct error *error)
{
    const struct cli_items *items = &options->items;
    struct scenario_fault *faults = arena_alloc(arena, (items->count + 1) * sizeof *faults);
    int rc = faults ? 0 : error_sys(error, ENOMEM, "faults");

    for (size_t i = 0; !rc && i < items->count; i++)
        rc = read_one(&items->items[i], arena, &faults[i], error);
    *out = faults;
    *out_count = items->count;
    return rc;
}
