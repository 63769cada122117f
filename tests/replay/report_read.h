/* A report from its JSON, by the renderers' own field tables: what they write, this reads. */
#ifndef TESTS_REPORT_READ_H
#define TESTS_REPORT_READ_H

#include "result/result.h"

/* Exits with a message when the file is no such JSON. */
void report_read(struct report *out, const char *path);

#endif
