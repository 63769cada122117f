/* Where a filter expression is wrong.
 *
 * libpcap often names what it did not understand: then that word is looked for. For a plain "syntax
 * error" it keeps the place to itself, but its parser stops at the first token that cannot continue
 * any expression. So we find the longest run of leading tokens that some ending completes: the next
 * token is the culprit. A prefix of a good prefix is good, hence a binary search. All of this may
 * fail, or take too long where names must be resolved; then there is no caret. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "capture/internal.h"

#include <ctype.h>
#include <string.h>

#define TOKENS_MAX    512
#define BUDGET_NS     (200 * NS_PER_MS)
#define COLUMNS_SHOWN 60 /* before the caret, where the expression is long */

struct token {
    size_t start, len;
};

struct search {
    pcap_t *pcap;
    const char *text;
    struct token tokens[TOKENS_MAX];
    size_t count;
    int64_t until_ns;
};

static bool is_operator(char c)
{
    return c && strchr("()[]!&|<>=+*%^,", c);
}

/* Words, runs of one operator character ("&&"), single brackets. */
static void split(struct search *search)
{
    const char *p = search->text;

    while (*p && search->count < TOKENS_MAX) {
        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        const char *start = p++;
        if (!is_operator(*start))
            while (*p && !isspace((unsigned char)*p) && !is_operator(*p))
                p++;
        else if (!strchr("()[]", *start))
            while (*p == *start || *p == '=')
                p++;
        search->tokens[search->count++] =
            (struct token){(size_t)(start - search->text), (size_t)(p - start)};
    }
}

static bool is_syntax_error(const char *message)
{
    return strstr(message, "syntax error") != NULL;
}

/* How many of `open` are not closed in the first `len` bytes, -1: too many are closed. */
static int unclosed(const char *text, size_t len, char open, char closed)
{
    int depth = 0;

    for (size_t i = 0; i < len && depth >= 0; i++)
        depth += (text[i] == open) - (text[i] == closed);
    return depth;
}

/* Whether libpcap's grammar accepts the first `count` tokens with some ending. Other complaints
 * than a syntax error come after or instead of one, so they count as acceptance. */
static bool is_good_prefix(const struct search *search, size_t count)
{
    static const char *const endings[] = {
        "",
        " 1",
        " tcp",
        " 127.0.0.1",
        " host 127.0.0.1",
        " net 10.0.0.0/8",
        " 1-2",
        "= 0",
        "0] = 0",
        "] = 0",
        " 0 = 0",
        " 00:00:00:00:00:00",
        " mask 255.0.0.0",
        " len = 0",
        "tcp[0] = 0",
    };
    const struct token *last = &search->tokens[count - 1];
    size_t len = last->start + last->len;
    int brackets = unclosed(search->text, len, '[', ']');

    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        cleanup(buf) struct buf text = {0};
        struct bpf_program program;
        buf_add(&text, search->text, len);
        buf_add_str(&text, endings[i]);
        if (brackets > 0 && !strchr(endings[i], ']'))
            buf_add_str(&text, "] = 0");
        buf_add_repeat(&text, ")", unclosed(search->text, len, '(', ')'));
        if (text.failed)
            return true;
        if (pcap_compile(search->pcap, &program, buf_str(&text), 0, PCAP_NETMASK_UNKNOWN) == 0) {
            pcap_freecode(&program);
            return true;
        }
        if (!is_syntax_error(pcap_geterr(search->pcap)))
            return true;
    }
    return false;
}

/* The first token that no expression could have there; the end of the text when all could. */
static bool find_syntax_error(const struct search *search, struct token *out)
{
    size_t good = 0, bad = search->count + 1;

    while (bad - good > 1) {
        size_t middle = good + (bad - good) / 2;
        if (clock_mono_ns() > search->until_ns)
            return false;
        if (is_good_prefix(search, middle))
            good = middle;
        else
            bad = middle;
    }
    if (good == search->count)
        *out = (struct token){strlen(search->text), 0};
    else
        *out = search->tokens[good];
    return true;
}

/* Whether the message has this word, in quotes or as a number (of three digits at least: smaller
 * ones are libpcap's own, as in "data size must be 1, 2, or 4"). */
static bool is_named(const char *message, const char *word, size_t len)
{
    bool is_number = len > 2 && isdigit((unsigned char)*word);

    for (const char *p = message; (p = memmem(p, strlen(p), word, len)); p++) {
        char before = p == message ? ' ' : p[-1], after = p[len];
        if ((before == '\'' || before == '"') && before == after)
            return true;
        if (is_number && !isalnum((unsigned char)before) && !isalnum((unsigned char)after))
            return true;
    }
    return false;
}

static bool find_named(const struct search *search, const char *message, struct token *out)
{
    for (size_t i = 0; i < search->count; i++) {
        if (is_named(message, search->text + search->tokens[i].start, search->tokens[i].len)) {
            *out = search->tokens[i];
            return true;
        }
    }
    return false;
}

static void add_escaped(struct buf *out, const char *text, size_t from, size_t to)
{
    if (to > from)
        text_escape(out, text + from, to - from);
}

/* A window on the expression and the caret below, in what is left of the error's text. */
static void show(struct error *error, const char *text, struct token at)
{
    cleanup(buf) struct buf line = {0}, lead = {0};
    size_t len = strlen(text), used = strlen(error->text);
    size_t from = at.start > COLUMNS_SHOWN ? at.start - COLUMNS_SHOWN : 0;
    size_t to = at.start + at.len + 20 < len ? at.start + at.len + 20 : len;

    buf_add_str(&lead, from ? "  ..." : "  ");
    add_escaped(&lead, text, from, at.start);
    buf_printf(&line, "\n%s", buf_str(&lead));
    add_escaped(&line, text, at.start, to);
    buf_printf(&line, "%s\n", to < len ? "..." : "");
    buf_add_repeat(&line, " ", text_width(buf_str(&lead)));
    buf_add_char(&line, '^');
    buf_add_repeat(&line, "~", at.len > 1 ? (int)(at.len < 20 ? at.len : 20) - 1 : 0);
    if (!line.failed && used + line.len_bytes < sizeof error->text)
        memcpy(error->text + used, buf_str(&line), line.len_bytes + 1);
}

void caret_add(struct error *error, pcap_t *pcap, const char *text, const char *message)
{
    struct search search = {.pcap = pcap, .text = text, .until_ns = clock_mono_ns() + BUDGET_NS};
    struct token at;

    split(&search);
    if (!search.count || search.count == TOKENS_MAX)
        return;
    if (is_syntax_error(message) ? find_syntax_error(&search, &at)
                                 : find_named(&search, message, &at))
        show(error, text, at);
}
