#include "report/spark.h"

#include "base/cleanup.h"

const char *report_spark(int64_t value, int64_t full, bool unicode)
{
    static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const letters[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    int64_t top = ARRAY_SIZE(blocks) - 1, level = 0;

    if (value >= full)
        level = value > 0 ? top : 0;
    else if (value > 0)
        level = 1 + (int64_t)((double)value / (double)full * (double)(top - 1));
    level = level < top || value >= full ? level : top - 1;
    return unicode ? blocks[level] : letters[level];
}
