#include "base/units.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

/* Reads digits with an optional fraction, exactly; strtod would take "inf", "0x1p3" and the
 * locale's decimal point. */
static int parse_number(const char *text, const char **end, double *out)
{
    double value = 0, scale = 1;
    const char *p = text;
    int digits = 0;

    for (; isdigit((unsigned char)*p); p++, digits++)
        value = value * 10 + (*p - '0');
    if (*p == '.')
        for (p++; isdigit((unsigned char)*p); p++, digits++) {
            scale /= 10;
            value += (*p - '0') * scale;
        }
    if (!digits)
        return -EINVAL;
    *end = p;
    *out = value;
    return 0;
}

static int parse_scaled(const char *text, const struct unit *units, size_t count, int64_t *out)
{
    const char *suffix;
    double value;

    if (*text == '-')
        return text[1] && isdigit((unsigned char)text[1]) ? -ERANGE : -EINVAL;
    int rc = parse_number(text, &suffix, &value);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(suffix, units[i].name)) {
            double scaled = value * units[i].factor;
            if (scaled >= 9.2e18)
                return -ERANGE;
            *out = (int64_t)llround(scaled);
            return 0;
        }
    return -EINVAL;
}

int units_parse_duration(const char *text, int64_t *out_ns)
{
    static const struct unit units[] = {{"", 1e9},   {"ns", 1},     {"us", 1e3},
                                        {"µs", 1e3}, {"ms", 1e6},   {"s", 1e9},
                                        {"m", 60e9}, {"min", 60e9}, {"h", 3600e9}};
    return parse_scaled(text, units, ARRAY_SIZE(units), out_ns);
}

int units_parse_size(const char *text, int64_t *out_bytes)
{
    static const struct unit units[] = {
        {"", 1},        {"B", 1},        {"k", 0x1p10},  {"K", 0x1p10},  {"kB", 0x1p10},
        {"KB", 0x1p10}, {"KiB", 0x1p10}, {"M", 0x1p20},  {"MB", 0x1p20}, {"MiB", 0x1p20},
        {"G", 0x1p30},  {"GB", 0x1p30},  {"GiB", 0x1p30}};
    return parse_scaled(text, units, ARRAY_SIZE(units), out_bytes);
}

int units_parse_integer(const char *text, int64_t *out)
{
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    char *end;

    if (!isdigit((unsigned char)*digits))
        return -EINVAL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*end)
        return -EINVAL;
    if (errno == ERANGE)
        return -ERANGE;
    *out = value;
    return 0;
}

int units_parse_real(const char *text, double *out)
{
    bool negative = *text == '-';
    const char *end;
    double value;
    int rc = parse_number(text + negative, &end, &value);

    if (rc)
        return rc;
    if (*end)
        return -EINVAL;
    if (!isfinite(value))
        return -ERANGE;
    *out = negative ? -value : value;
    return 0;
}

/* Three significant digits: 1.23, 12.3, 123. */
static void three_digits(char *out, size_t size, double value, const char *unit)
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(out, size, "%.*f %s", decimals, value, unit);
}

const char *units_format_duration(char *out, size_t size, int64_t ns, const char *micro)
{
    char unit[8];
    double value = (double)ns;

    if (ns < 0) {
        char rest[UNITS_TEXT_MAX];
        units_format_duration(rest, sizeof rest, ns == INT64_MIN ? INT64_MAX : -ns, micro);
        snprintf(out, size, "-%s", rest);
        return out;
    }
    snprintf(unit, sizeof unit, "%ss", micro);
    if (ns < NS_PER_US)
        snprintf(out, size, "%d ns", (int)ns);
    else if (value < 999.5e3)
        three_digits(out, size, value / 1e3, unit);
    else if (value < 999.5e6)
        three_digits(out, size, value / 1e6, "ms");
    else if (value < 119.5e9)
        three_digits(out, size, value / 1e9, "s");
    else if (value < 7199.5e9)
        snprintf(out, size, "%d min %d s", (int)(llround(value / 1e9) / 60),
                 (int)(llround(value / 1e9) % 60));
    else
        snprintf(out, size, "%lld h %d min", (long long)(llround(value / 60e9) / 60),
                 (int)(llround(value / 60e9) % 60));
    return out;
}

const char *units_format_size(char *out, size_t size, int64_t bytes)
{
    static const char *const names[] = {"KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t i = 0;

    if (bytes < 1024 && bytes > -1024) {
        snprintf(out, size, "%d B", (int)bytes);
        return out;
    }
    for (value /= 1024; (value >= 999.5 || value <= -999.5) && i + 1 < ARRAY_SIZE(names); i++)
        value /= 1024;
    three_digits(out, size, value, names[i]);
    return out;
}
