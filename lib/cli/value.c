/* Values by kind: their names in help, what they accept, and how text becomes one. */
#include "cli/internal.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

struct kind {
    const char *value;  /* the value's name in help; NULL: takes none */
    const char *wanted; /* after "--name wants "; NULL: the value's name says it */
};

static const struct kind kinds[] = {
    [CLI_KIND_FLAG] = {0},
    [CLI_KIND_INTEGER] = {"N", "a whole number"},
    [CLI_KIND_REAL] = {"X", "a number"},
    [CLI_KIND_DURATION] = {"DUR", "a duration such as 40us, 5ms, 2s or 1m"},
    [CLI_KIND_SIZE] = {"SIZE", "a size such as 512, 64k or 1M"},
    [CLI_KIND_TEXT] = {"TEXT", NULL},
    [CLI_KIND_LIST] = {"TEXT", NULL},
    [CLI_KIND_CHOICE] = {"WORD", "one of "},
    [CLI_KIND_CHOICE_SET] = {"LIST", "a comma-separated list of "},
    [CLI_KIND_WORD_LIST] = {"LIST", "a comma-separated list of "},
    [CLI_KIND_PARSED] = {"TEXT", NULL},
    [CLI_KIND_CONSTANT] = {0},
    [CLI_KIND_ALIAS] = {0},
    [CLI_KIND_ITEM] = {"TEXT", NULL},
    [CLI_KIND_ITEM_FILE] = {"FILE", NULL},
    [CLI_KIND_HELP] = {0},
    [CLI_KIND_VERSION] = {0},
};

#define INLINE_WORDS_MAX  24  /* columns that words may take beside the option's name */
#define MESSAGE_WORDS_MAX 250 /* bytes of words in a message; struct error is finite */
#define QUOTE_MAX         60

bool cli_takes_value(enum cli_kind kind)
{
    return kinds[kind].value != NULL;
}

const char *cli_value_word(const struct cli_option *option, size_t index)
{
    if (option->words)
        return option->words[index].name;
    return option->word ? option->word(index) : NULL;
}

bool cli_words_explained(const struct cli_option *option)
{
    for (const struct cli_word *word = option->words; word && word->name; word++)
        if (word->help)
            return true;
    return false;
}

void cli_words_join(struct buf *out, const struct cli_option *option, const char *between)
{
    const char *word;
    for (size_t i = 0; (word = cli_value_word(option, i)); i++)
        buf_printf(out, "%s%s", i ? between : "", word);
}

void cli_value_name(struct buf *out, const struct cli_option *option)
{
    cleanup(buf) struct buf words = {0};

    if (option->kind == CLI_KIND_CHOICE)
        cli_words_join(&words, option, "|");
    if (option->value)
        buf_add_str(out, option->value);
    else if (words.len_bytes && words.len_bytes <= INLINE_WORDS_MAX && !cli_words_explained(option))
        buf_add_str(out, buf_str(&words));
    else if (kinds[option->kind].value)
        buf_add_str(out, kinds[option->kind].value);
}

/* A bound as a user would write it: 1ms, 64k. */
static void write_bound(struct buf *out, const struct cli_option *option, int64_t bound)
{
    static const struct {
        enum cli_kind kind;
        int64_t factor;
        const char *suffix;
    } units[] = {
        {CLI_KIND_DURATION, INT64_C(3600000000000), "h"},
        {CLI_KIND_DURATION, INT64_C(60000000000), "m"},
        {CLI_KIND_DURATION, INT64_C(1000000000), "s"},
        {CLI_KIND_DURATION, 1000000, "ms"},
        {CLI_KIND_DURATION, 1000, "us"},
        {CLI_KIND_DURATION, 1, "ns"},
        {CLI_KIND_SIZE, 1 << 30, "G"},
        {CLI_KIND_SIZE, 1 << 20, "M"},
        {CLI_KIND_SIZE, 1 << 10, "k"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (units[i].kind == option->kind && bound && bound % units[i].factor == 0) {
            buf_printf(out, "%" PRId64 "%s", bound / units[i].factor, units[i].suffix);
            return;
        }
    buf_printf(out, "%" PRId64, bound);
}

void cli_value_range(struct buf *out, const struct cli_option *option)
{
    if (option->max) {
        write_bound(out, option, option->min);
        buf_add_str(out, " to ");
        write_bound(out, option, option->max);
    } else if (option->min) {
        buf_add_str(out, "at least ");
        write_bound(out, option, option->min);
    }
}

void cli_value_wanted(struct buf *out, const struct cli_option *option)
{
    cleanup(buf) struct buf range = {0};
    cleanup(buf) struct buf words = {0};

    cli_value_range(&range, option);
    cli_words_join(&words, option, ", ");
    if (!kinds[option->kind].wanted || words.len_bytes > MESSAGE_WORDS_MAX) {
        cli_value_name(out, option);
        return;
    }
    buf_printf(out, "%s%s", kinds[option->kind].wanted, buf_str(&words));
    if (range.len_bytes)
        buf_printf(out, "%s%s", option->max ? " from " : " of ", buf_str(&range));
    if (option->optional && option->kind == CLI_KIND_CHOICE)
        buf_add_str(out, " after '='");
}

void cli_quote(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    size_t shown = len;

    if (len > QUOTE_MAX) {
        /* Not in the middle of a character. */
        for (shown = QUOTE_MAX; shown > QUOTE_MAX - 4 && (text[shown] & 0xc0) == 0x80; shown--)
            ;
    }
    buf_add_char(out, '\'');
    text_escape(out, text, shown);
    buf_add_str(out, shown < len ? "...'" : "'");
}

static const char *word_name_at(const void *context, size_t index)
{
    return cli_value_word(context, index);
}

/* --rounds wants a whole number from 1 to 1000000, got 'x' */
static int refuse(const struct cli_option *option, const char *text, struct error *error)
{
    cleanup(buf) struct buf wanted = {0};
    cleanup(buf) struct buf got = {0};
    const char *nearest = cli_nearest(text, word_name_at, option);

    cli_value_wanted(&wanted, option);
    cli_quote(&got, text);
    return error_set(error, EINVAL, "--%s wants %s, got %s%s%s%s", option->name, buf_str(&wanted),
                     buf_str(&got), nearest ? "; did you mean '" : "", nearest ? nearest : "",
                     nearest ? "'?" : "");
}

static bool within(const struct cli_option *option, double value)
{
    return value >= (double)option->min && (!option->max || value <= (double)option->max);
}

static int store_number(const struct cli_option *option, const char *text, int64_t *field,
                        struct error *error)
{
    int64_t value = 0;
    int rc = option->kind == CLI_KIND_INTEGER    ? units_parse_integer(text, &value)
             : option->kind == CLI_KIND_DURATION ? units_parse_duration(text, &value)
                                                 : units_parse_size(text, &value);
    if (rc || value < option->min || (option->max && value > option->max))
        return refuse(option, text, error);
    *field = value;
    return 0;
}

static int store_real(const struct cli_option *option, const char *text, double *field,
                      struct error *error)
{
    double value;
    if (units_parse_real(text, &value) || !within(option, value))
        return refuse(option, text, error);
    *field = value;
    return 0;
}

static const struct cli_word *find_word(const struct cli_option *option, const char *text,
                                        size_t len)
{
    for (const struct cli_word *word = option->words; word->name; word++)
        if (strlen(word->name) == len && !memcmp(word->name, text, len))
            return word;
    return NULL;
}

static int store_choice(const struct cli_option *option, const char *text, int *field,
                        struct error *error)
{
    const struct cli_word *word = find_word(option, text, strlen(text));
    if (!word)
        return refuse(option, text, error);
    *field = word->number;
    return 0;
}

/* Copies one element of a comma-separated list, so that messages can quote it alone. */
static char *take_element(struct cli_invocation *invocation, const char *text, size_t len)
{
    char *copy = arena_alloc(&invocation->arena, len + 1);
    if (copy)
        memcpy(copy, text, len);
    return copy;
}

static int store_choice_set(struct cli_invocation *invocation, const struct cli_option *option,
                            const char *text, uint32_t *field, struct error *error)
{
    uint32_t bits = 0;
    const char *element;
    size_t len;

    while (cli_next_word(&text, ',', &element, &len)) {
        const struct cli_word *word = find_word(option, element, len);
        if (!word) {
            char *copy = take_element(invocation, element, len);
            return copy ? refuse(option, copy, error) : error_sys(error, ENOMEM, "options");
        }
        bits |= UINT32_C(1) << word->number;
    }
    *field |= bits;
    return 0;
}

static int list_append(struct cli_invocation *invocation, struct cli_list *list, const char *word,
                       struct error *error)
{
    const char **words = arena_grow(&invocation->arena, list->words, list->count, sizeof *words);
    if (!words)
        return error_sys(error, ENOMEM, "options");
    list->words = words;
    list->words[list->count++] = word;
    return 0;
}

static bool is_listed(const struct cli_option *option, const char *text)
{
    const char *word;
    for (size_t i = 0; (word = cli_value_word(option, i)); i++)
        if (!strcmp(word, text))
            return true;
    return false;
}

static int store_word_list(struct cli_invocation *invocation, const struct cli_option *option,
                           const char *text, struct cli_list *list, struct error *error)
{
    const char *element;
    size_t len;

    while (cli_next_word(&text, ',', &element, &len)) {
        char *copy = take_element(invocation, element, len);
        if (!copy)
            return error_sys(error, ENOMEM, "options");
        if (!is_listed(option, copy))
            return refuse(option, copy, error);
        int rc = list_append(invocation, list, copy, error);
        if (rc)
            return rc;
    }
    return 0;
}

static int run_parse(const struct cli_option *option, const char *text, void *field,
                     struct error *error)
{
    int rc = option->parse ? option->parse(text, field, error) : 0;
    if (rc < 0 && error) {
        cleanup(buf) struct buf got = {0};
        struct error inner = *error;
        cli_quote(&got, text);
        error_set(error, inner.code, "--%s %s: %s", option->name, buf_str(&got), inner.text);
    }
    return rc < 0 ? rc : 0;
}

static int store_text(struct cli_invocation *invocation, const struct cli_option *option,
                      const char *text, void *field, struct error *error)
{
    int rc = run_parse(option, text, NULL, error);
    if (rc)
        return rc;
    if (option->kind == CLI_KIND_LIST)
        return list_append(invocation, field, text, error);
    *(const char **)field = text;
    return 0;
}

int cli_value_store(struct cli_invocation *invocation, const struct cli_option *option,
                    const char *text, void *field, struct error *error)
{
    switch (option->kind) {
    case CLI_KIND_FLAG:
        *(bool *)field = true;
        return 0;
    case CLI_KIND_CONSTANT:
        *(int *)field = option->constant;
        return 0;
    case CLI_KIND_INTEGER:
    case CLI_KIND_DURATION:
    case CLI_KIND_SIZE:
        return store_number(option, text, field, error);
    case CLI_KIND_REAL:
        return store_real(option, text, field, error);
    case CLI_KIND_TEXT:
    case CLI_KIND_LIST:
        return store_text(invocation, option, text, field, error);
    case CLI_KIND_CHOICE:
        return store_choice(option, text, field, error);
    case CLI_KIND_CHOICE_SET:
        return store_choice_set(invocation, option, text, field, error);
    case CLI_KIND_WORD_LIST:
        return store_word_list(invocation, option, text, field, error);
    case CLI_KIND_PARSED:
        return run_parse(option, text, field, error);
    case CLI_KIND_ITEM:
        return run_parse(option, text, NULL, error);
    case CLI_KIND_ITEM_FILE:
    case CLI_KIND_ALIAS:
    case CLI_KIND_HELP:
    case CLI_KIND_VERSION:
        return 0; /* the parser acts on these itself */
    }
    return 0;
}
