#include "faults.h"

#include "base/buf.h"

#define OF struct fault_options

const struct cli_group fault_link = {
    "The link",
    {
        {.name = "delay",
         CLI_DURATION(OF, delay_ns),
         CLI_GIVEN(OF, delay_given),
         .max = INT64_C(3600000000000),
         .initial = "0",
         .help = "Every packet takes this long, each way."},
        {.name = "rate",
         CLI_SIZE(OF, rate_bytes),
         .min = 1,
         .value = "SIZE",
         .help = "The link carries this many bytes a second, each way; without it, as many as the "
                 "machine does."},
        {.name = "mtu",
         CLI_INTEGER(OF, mtu_bytes),
         .min = 68,
         .max = 65535,
         .initial = "1500",
         .help = "The largest IP packet; at least 1280 with IPv6."},
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
              "Drop the packets that M means: a flag word (syn, syn-ack, fin, rst, "
              "data, ack, any) or a filter as tcpdump takes it. Each fault is a rule; "
              "rules are asked in their order."),
        FAULT("hold", "M=DUR|until:COND",
              "Keep them, and let them go together: DUR after the first that was kept, when N are "
              "kept (M=N), or when COND has come true (see CONDITIONS in the manual page)."),
        FAULT("late", "M=DUR",
              "Deliver them later by DUR; DUR+JITTER adds a chance of up to "
              "JITTER."),
        FAULT("duplicate", "M", "Deliver them twice."),
        FAULT("reorder", "M", "Let each change places with the next packet of its direction."),
        FAULT("corrupt", "M", "Flip a bit of each, and leave the checksum."),
        FAULT("answer-rst", "M", "Drop them, and answer the sender with an RST."),
        FAULT("answer-icmp", "M=NAME",
              "Drop them, and answer the sender with this ICMP error, such as host-unreachable."),
        FAULT("cut", "M", "From the first of them on, let nothing pass either way."),
        {.name = "count",
         CLI_QUALIFIER(INTEGER),
         .min = 1,
         .help = "The fault before this acts on so many at most."},
        {.name = "nth",
         CLI_QUALIFIER(INTEGER),
         .min = 1,
         .help = "It acts from the N-th match on; without --count on that one alone."},
        {.name = "dir",
         CLI_QUALIFIER(CHOICE),
         .words = directions,
         .help = "It means packets from the client only, or from the server only."},
        {.name = "probability",
         CLI_QUALIFIER(TEXT),
         .value = "P",
         .help = "It acts on a match by chance, with this probability (0 to 1)."},
        {.name = "window",
         CLI_QUALIFIER(TEXT),
         .value = "FROM..TO",
         .help = "It sleeps before FROM and from TO on, counted from the start: 0..500ms, 1s.."},
        {.name = "faults",
         CLI_ITEM_FILE(OF, items),
         .value = "FILE",
         .completes = CLI_COMPLETES_FILE,
         .help = "Read faults from FILE, one a line, written as here: --drop syn --count 1. A line "
                 "that starts with # is a comment."},
        {.name = "seed",
         CLI_INTEGER(OF, seed),
         .initial = "1",
         .help = "Where chance begins: the same seed makes the same choices."},
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

int fault_read(const struct cli_item *item, struct arena *arena, struct lab_fault *out,
               const char **text, struct error *error)
{
    cleanup(buf) struct buf words = {0};
    int rc = set(out, item, item->option->name, item->text, error);

    buf_printf(&words, "%s %s", item->option->name, item->text);
    for (size_t i = 0; !rc && i < item->qualifier_count; i++) {
        const struct cli_qualifier *qualifier = &item->qualifiers[i];
        rc = set(out, item, qualifier->option->name, qualifier->text, error);
        buf_printf(&words, " %s %s", qualifier->option->name, qualifier->text);
    }
    arena->failed |= words.failed;
    *text = arena_copy(arena, buf_str(&words));
    return rc;
}
