#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <langinfo.h>
#include <stdint.h>
#include <string.h>

/* Characters that show nothing, or that rearrange what a terminal shows around them: controls (Cc),
 * format characters (Cf), line and paragraph separators (Zl, Zp), what Unicode lets a renderer
 * ignore, and U+FFFE and U+FFFF, which are no characters, and no XML. Unicode 16, in ascending
 * order.
 */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x0000, 0x001f},   {0x007f, 0x009f},   {0x00ad, 0x00ad},   {0x034f, 0x034f},
    {0x0600, 0x0605},   {0x061c, 0x061c},   {0x06dd, 0x06dd},   {0x070f, 0x070f},
    {0x0890, 0x0891},   {0x08e2, 0x08e2},   {0x115f, 0x1160},   {0x17b4, 0x17b5},
    {0x180b, 0x180f},   {0x200b, 0x200f},   {0x2028, 0x202e},   {0x2060, 0x206f},
    {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},   {0xffa0, 0xffa0},
    {0xfff0, 0xfffb},   {0xfffe, 0xffff},   {0x110bd, 0x110bd}, {0x110cd, 0x110cd},
    {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

static bool is_seen(uint32_t character)
{
    for (size_t i = 0; i < ARRAY_SIZE(unseen) && unseen[i].first <= character; i++)
        if (character <= unseen[i].last)
            return false;
    return true;
}

/* The length of the valid UTF-8 sequence at p (RFC 3629: no surrogates, no overlong forms) for a
 * character above ASCII that is seen, or 0. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (!len || len > left)
        return 0;
    uint32_t character = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        character = character << 6 | (p[i] & 0x3fu);
    }
    if (character < least[len] || character > 0x10ffff ||
        (character >= 0xd800 && character <= 0xdfff))
        return 0;
    return is_seen(character) ? len : 0;
}

/* Adds the character at p, or escapes its first byte; gives how many bytes that were. */
static size_t escape_one(struct buf *out, const unsigned char *p, size_t left)
{
    size_t utf8 = utf8_length(p, left);

    if (*p >= 0x20 && *p < 0x7f)
        buf_add_char(out, (char)*p);
    else if (utf8)
        buf_add(out, p, utf8);
    else
        buf_printf(out, "\\x%02x", *p);
    return utf8 ? utf8 : 1;
}

void text_escape(struct buf *out, const void *bytes, size_t len_bytes)
{
    static const char named[] = "\nn\tt\rr\\\\";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len_bytes;) {
        const char *short_form = p[i] ? strchr(named, p[i]) : NULL;

        if (short_form && (short_form - named) % 2 == 0) {
            buf_printf(out, "\\%c", short_form[1]);
            i++;
        } else {
            i += escape_one(out, p + i, len_bytes - i);
        }
    }
}

void text_escape_message(struct buf *out, const char *message)
{
    for (size_t left = strlen(message), done; left; left -= done, message += done) {
        done = 1;
        if (message[0] == '\n' && message[1] == ' ')
            buf_add_char(out, '\n');
        else if (message[0] == '\n')
            buf_add_str(out, "\\n");
        else
            done = escape_one(out, (const unsigned char *)message, left);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_unescape(struct buf *out, const char *text, struct error *error)
{
    static const char from[] = "abefnrtv\\\"'?";
    static const char to[] = "\a\b\033\f\n\r\t\v\\\"'?";

    for (const char *p = text; *p; p++) {
        if (*p != '\\') {
            buf_add_char(out, *p);
            continue;
        }
        const char *start = p++;
        const char *simple = *p ? strchr(from, *p) : NULL;
        if (simple) {
            buf_add_char(out, to[simple - from]);
        } else if (*p == 'x') {
            int high = hex_digit(p[1]);
            int low = high < 0 ? -1 : hex_digit(p[2]);
            if (low < 0)
                return error_set(error, EINVAL, "\\x wants two hexadecimal digits at byte %d",
                                 (int)(start - text) + 1);
            buf_add_char(out, (char)(high << 4 | low));
            p += 2;
        } else if (*p >= '0' && *p <= '7') {
            int value = *p - '0';
            for (int i = 0; i < 2 && p[1] >= '0' && p[1] <= '7'; i++)
                value = value * 8 + (*++p - '0');
            if (value > 255)
                return error_set(error, EINVAL, "octal escape above \\377 at byte %d",
                                 (int)(start - text) + 1);
            buf_add_char(out, (char)value);
        } else if (!*p) {
            return error_set(error, EINVAL, "a lone backslash at the end (write \\\\ for one)");
        } else {
            struct buf shown = {0};
            text_escape(&shown, start, 2);
            int rc = error_set(error, EINVAL,
                               "unknown escape %s at byte %d (known: \\n \\r \\t \\0 \\xNN \\NNN "
                               "\\\\ \\a \\b \\e \\f \\v \\\" \\' \\?)",
                               buf_str(&shown), (int)(start - text) + 1);
            buf_free(&shown);
            return rc;
        }
    }
    if (out->failed)
        return error_set(error, ENOMEM, "the text is too long");
    return 0;
}

#define WORD_MAX 63

/* Optimal string alignment distance of two short words. */
static int distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b);
    int rows[3][WORD_MAX + 1];

    if (la > WORD_MAX || lb > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= la; i++) {
        int *now = rows[i % 3], *up = rows[(i + 2) % 3], *up2 = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= lb; j++) {
            int best = up[j - 1] + (a[i - 1] != b[j - 1]);
            if (up[j] + 1 < best)
                best = up[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                up2[j - 2] + 1 < best)
                best = up2[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    int limit = (int)strlen(word) / 3;
    const char *best = NULL;

    limit = limit < 1 ? 1 : limit > 3 ? 3 : limit;
    for (; *candidates; candidates++) {
        int d = distance(word, *candidates);
        if (d <= limit) {
            best = *candidates;
            limit = d - 1;
        }
    }
    return best;
}

bool text_locale_is_utf8(void)
{
    return !strcmp(nl_langinfo(CODESET), "UTF-8");
}

int text_width(const char *text)
{
    size_t left = strlen(text);
    int width = 0;

    while (left) {
        size_t utf8 = utf8_length((const unsigned char *)text, left);
        size_t step = utf8 ? utf8 : 1;
        text += step;
        left -= step;
        width++;
    }
    return width;
}
