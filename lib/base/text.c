#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <langinfo.h>
#include <stdint.h>
#include <string.h>

/* The length of the valid UTF-8 sequence at p (RFC 3629: no surrogates, no overlong forms, no C1
 * controls), or 0. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    size_t len = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

    if (!len || len > left)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xc2 && p[1] < 0xa0) || (p[0] == 0xe0 && p[1] < 0xa0) ||
        (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    /* Characters without width hide in what is shown; U+FFFE and U+FFFF are none, and no XML. */
    if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] >= 0x8b && p[2] <= 0x8f))
        return 0;
    if (p[0] == 0xef && ((p[1] == 0xbb && p[2] == 0xbf) || (p[1] == 0xbf && p[2] >= 0xbe)))
        return 0;
    /* Directional overrides and line separators rearrange what a terminal shows. */
    if (p[0] == 0xe2 && p[1] == 0x80 && (p[2] >= 0xa8 && p[2] <= 0xae))
        return 0;
    if (p[0] == 0xe2 && p[1] == 0x81 && (p[2] >= 0xa6 && p[2] <= 0xa9))
        return 0;
    return len;
}

void text_escape(struct buf *out, const void *bytes, size_t len_bytes)
{
    static const char named[] = "\nn\tt\rr\\\\";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < len_bytes;) {
        const char *short_form = p[i] ? strchr(named, p[i]) : NULL;
        size_t utf8 = utf8_length(p + i, len_bytes - i);

        if (short_form && (short_form - named) % 2 == 0)
            buf_printf(out, "\\%c", short_form[1]);
        else if (p[i] >= 0x20 && p[i] < 0x7f)
            buf_add_char(out, (char)p[i]);
        else if (utf8)
            buf_add(out, p + i, utf8);
        else
            buf_printf(out, "\\x%02x", p[i]);
        i += utf8 ? utf8 : 1;
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
