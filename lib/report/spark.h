/* A value in one character: columns of a small chart. */
#ifndef REPORT_SPARK_H
#define REPORT_SPARK_H

#include <stdbool.h>
#include <stdint.h>

/* The character for value of `full`: the lowest only for 0, the highest only from `full` on. */
const char *report_spark(int64_t value, int64_t full, bool unicode);

#endif
