#include "probe/descriptors.h"

#include <sys/resource.h>

#define ELSEWHERE 32 /* what the process needs beside connections */

size_t descriptors_room(int64_t *limit)
{
    struct rlimit allowed;

    if (getrlimit(RLIMIT_NOFILE, &allowed))
        return SIZE_MAX;
    allowed.rlim_cur = allowed.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &allowed))
        getrlimit(RLIMIT_NOFILE, &allowed);
    *limit = (int64_t)allowed.rlim_cur;
    return allowed.rlim_cur > 2 * ELSEWHERE ? allowed.rlim_cur - ELSEWHERE : ELSEWHERE;
}
