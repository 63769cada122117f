/* Values as text, the same in every renderer. */
#include "report/fields.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/units.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *report_duration(char *out, size_t size, int64_t ns, bool unicode)
{
    if (ns != RESULT_UNKNOWN)
        return units_format_duration(out, size, ns, unicode ? "µ" : "u");
    snprintf(out, size, "?");
    return out;
}

const char *report_measure(char *out, size_t size, enum result_unit unit, int64_t value,
                           bool unicode)
{
    switch (unit) {
    case RESULT_UNIT_DURATION:
        return report_duration(out, size, value, unicode);
    case RESULT_UNIT_SHARE:
        if (value == RESULT_UNKNOWN)
            break;
        snprintf(out, size, "%g %%", (double)value / (double)RESULT_SHARE_PERCENT);
        return out;
    }
    snprintf(out, size, "?");
    return out;
}

void report_put_address(struct buf *out, const char *address, int64_t port)
{
    if (address && port == RESULT_UNKNOWN) /* a Unix-domain socket's */
        buf_add_str(out, address);
    else if (address)
        buf_printf(out, strchr(address, ':') ? "[%s]:%" PRId64 : "%s:%" PRId64, address, port);
}

/* Escaping makes text longer by one byte for each backslash, newline, return and tab; by more only
 * where there is something worse. */
bool report_is_plain(const char *text, bool lines)
{
    cleanup(buf) struct buf escaped = {0};
    size_t len_bytes = strlen(text), harmless = 0;

    for (const char *p = text; *p; p++)
        harmless += *p == '\\' || (lines && strchr("\n\r\t", *p));
    text_escape(&escaped, text, len_bytes);
    return !escaped.failed && escaped.len_bytes == len_bytes + harmless;
}
