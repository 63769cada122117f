/* The option parser, on a command with an option of every kind.
 *
 * The first byte chooses what the rest is: 0 to 127 words of a command line that end with NUL; 128
 * and above the content of a file of items, whose lines end with a newline. */
#include "fuzz.h"

#include "cli/cli.h"

#include "base/cleanup.h"
#include <errno.h>
#include <string.h>

#define WORDS_MAX 256

struct options {
    bool flag, given;
    int64_t integer, duration_ns, size_bytes;
    double real;
    const char *text;
    struct cli_list list, codes;
    int choice, constant, parsed;
    uint32_t set;
    struct cli_items items;
};

static const struct cli_word words[] = {
    {"one", 1, "the first"}, {"two", 2, NULL}, {"thirty-one", 31, NULL}, {0}};

static const char *code_at(size_t index)
{
    static const char *const codes[] = {"nagle-delayed-ack", "cork-hold", "any", NULL};
    return codes[index];
}

static int parse_length(const char *text, void *field, struct error *error)
{
    if (strlen(text) > 5)
        return error_set(error, EINVAL, "wants up to 5 bytes");
    if (field)
        *(int *)field = (int)strlen(text);
    return 0;
}

#define OF struct options
static const struct cli_group group = {
    "All",
    {
        {.name = "flag", .letter = 'f', CLI_FLAG(OF, flag), CLI_GIVEN(OF, given), .help = "A."},
        {.name = "integer",
         .letter = 'n',
         CLI_INTEGER(OF, integer),
         .min = -5,
         .max = 1000,
         .initial = "7",
         .conflicts = "real",
         .help = "A."},
        {.name = "real", CLI_REAL(OF, real), .max = 1, .help = "A."},
        {.name = "duration",
         CLI_DURATION(OF, duration_ns),
         .min = 1000,
         .needs = "flag text",
         .help = "A."},
        {.name = "size", CLI_SIZE(OF, size_bytes), .max = 1 << 30, .help = "A."},
        {.name = "text", .letter = 't', CLI_TEXT(OF, text), .parse = parse_length, .help = "A."},
        {.name = "list", CLI_LIST(OF, list), .help = "A."},
        {.name = "choice", CLI_CHOICE(OF, choice), .words = words, .optional = "two", .help = "A."},
        {.name = "set", CLI_CHOICE_SET(OF, set), .words = words, .initial = "one", .help = "A."},
        {.name = "codes", CLI_WORD_LIST(OF, codes), .word = code_at, .help = "A."},
        {.name = "parsed", CLI_PARSED(OF, parsed), .parse = parse_length, .help = "A."},
        {.name = "four", .letter = '4', CLI_CONSTANT(OF, constant), .constant = 4, .help = "A."},
        {.name = "alias", .letter = 'a', CLI_ALIAS("choice=one"), .help = "A."},
        {.name = "drop", .letter = 'd', CLI_ITEM(OF, items), .parse = parse_length, .help = "A."},
        {.name = "hold", CLI_ITEM(OF, items), .help = "A."},
        {.name = "count", .letter = 'c', CLI_QUALIFIER(INTEGER), .min = 1, .help = "A."},
        {.name = "way", CLI_QUALIFIER(CHOICE), .words = words, .help = "A."},
        {.name = "once", .letter = 'o', CLI_QUALIFIER(FLAG), .help = "A."},
        {.name = "chance", CLI_QUALIFIER(REAL), .max = 1, .help = "A."},
        {.name = "window", CLI_QUALIFIER(TEXT), .help = "A."},
        {0},
    }};
#undef OF

static int run(struct cli_invocation *invocation)
{
    (void)invocation;
    return 0;
}

static const struct cli_command command = {
    .name = "all",
    .group = "All",
    .summary = "all",
    .positional = {.name = "WORD", .min = 1, .max = 3},
    .fragments = (const struct cli_fragment[]){{&group, 0, NULL}, {0}},
    .options_size = sizeof(struct options),
    .run = run,
};
static const struct cli_program program = {.name = "fuzz",
                                           .version = "1",
                                           .commands =
                                               (const struct cli_command *const[]){&command, NULL}};

static void check_items(const struct cli_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        const struct cli_item *item = &items->items[i];
        const struct cli_qualifier *count = cli_item_find(item, "count");
        FUZZ_PROMISE(item->option->kind == CLI_KIND_ITEM && item->text);
        FUZZ_PROMISE(strcmp(item->option->name, "drop") != 0 || strlen(item->text) <= 5);
        FUZZ_PROMISE(!count || count->value.integer >= 1);
        for (size_t j = 0; j < item->qualifier_count; j++)
            FUZZ_PROMISE(item->qualifiers[j].option->qualifier);
    }
}

static void check_accepted(const struct cli_invocation *invocation)
{
    const struct options *options = invocation->options;

    FUZZ_PROMISE(options->integer >= -5 && options->integer <= 1000);
    FUZZ_PROMISE(options->real >= 0 && options->real <= 1);
    FUZZ_PROMISE(options->duration_ns == 0 || options->duration_ns >= 1000);
    FUZZ_PROMISE(options->size_bytes >= 0 && options->size_bytes <= 1 << 30);
    FUZZ_PROMISE(options->choice >= 0 && options->choice <= 2 + 29);
    FUZZ_PROMISE(!(options->set & ~(UINT32_C(1) << 31 | 6)) && options->set);
    FUZZ_PROMISE(options->flag == options->given);
    FUZZ_PROMISE(!options->text || strlen(options->text) <= 5);
    FUZZ_PROMISE(options->constant == 0 || options->constant == 4);
    FUZZ_PROMISE(invocation->arg_count >= 1 && invocation->arg_count <= 3);
    for (size_t i = 0; i < options->list.count; i++)
        FUZZ_PROMISE(strlen(options->list.words[i]) < SIZE_MAX);
    check_items(&options->items);
}

/* Messages are one line of printable text, whatever was typed. */
static void check_refused(int rc, const struct error *error)
{
    FUZZ_PROMISE(rc == -EINVAL && error->code == EINVAL && error->text[0]);
    for (const char *p = error->text; *p; p++)
        FUZZ_PROMISE((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void parse_words(char *text, size_t size)
{
    struct cli_invocation invocation;
    struct error error = {0};
    char *argv[WORDS_MAX + 1] = {NULL};
    int argc = 0;

    for (char *p = text; p < text + size && argc < WORDS_MAX; p += strlen(p) + 1)
        argv[argc++] = p;
    int rc = cli_parse(&invocation, &program, &command, argc, argv, &error);
    if (rc)
        check_refused(rc, &error);
    else if (invocation.wants == CLI_WANTS_RUN)
        check_accepted(&invocation);
    cli_invocation_free(&invocation);
}

static void parse_lines(const char *text, size_t size)
{
    struct cli_invocation invocation;
    struct error error = {0};

    FUZZ_PROMISE(cli_parse(&invocation, &program, &command, 1, (char *[]){(char[]){"x"}, NULL},
                           &error) == 0);
    struct options *options = invocation.options;
    int rc = cli_items_read(&invocation, &options->items, "file", text, size, &error);
    if (rc)
        check_refused(rc, &error);
    check_items(&options->items);
    cli_invocation_free(&invocation);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    /* Words end with a NUL that need not be in the input; lines are passed in their exact size. */
    bool lines = data[0] >= 128;
    cleanup(mem) char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (lines)
        parse_lines(text, size - 1);
    else
        parse_words(text, size - 1);
    return 0;
}
