/* Human units, read and written.
 *
 * Durations: 40us 5ms 2s 1m 1h, a bare number is seconds, fractions allowed (0.5, 1.5ms).
 * Sizes: 512 64k 1M 2G (powers of 1024), with an optional B.
 * Parsers accept the whole text or nothing: 0, -EINVAL (not of this form) or -ERANGE (too large,
 * or negative). */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

int units_parse_duration(const char *text, int64_t *out_ns);
int units_parse_size(const char *text, int64_t *out_bytes);
/* A decimal integer with an optional sign, nothing around it. */
int units_parse_integer(const char *text, int64_t *out);
/* A decimal number with an optional fraction; never infinite or not-a-number. */
int units_parse_real(const char *text, double *out);

/* Three significant digits and a unit: "41.3 ms", "85.2 µs", "2.00 s", "15 min 24 s".
 * `micro` is the text for micro: "µ" or, where the terminal is not UTF-8, "u". Returns out. */
#define UNITS_TEXT_MAX 32
const char *units_format_duration(char *out, size_t size, int64_t ns, const char *micro);
/* "512 B", "64.0 KiB". Returns out. */
const char *units_format_size(char *out, size_t size, int64_t bytes);

#endif
