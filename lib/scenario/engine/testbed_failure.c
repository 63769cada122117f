/* Why a run could not be completed: the first reason counts. */
#include "scenario/engine/testbed_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void testbed_take_error(struct testbed *bed, const struct error *error, const char *doing)
{
    if (testbed_failed(bed))
        return;
    bed->error = *error;
    if (!bed->error.code)
        bed->error.code = EIO;
    error_add(&bed->error, "%s", doing);
}

void testbed_unsupported(struct testbed *bed, const char *why)
{
    if (testbed_failed(bed))
        return;
    error_set(&bed->error, ENOTSUP, "%s", why);
    bed->unsupported = true;
}

void testbed_fail(struct testbed *bed, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;

    if (testbed_failed(bed))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    error_set(&bed->error, EIO, "%s", text);
}
