#include "base/shortage.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

static _Atomic int first;

bool shortage_is(int code)
{
    return code == ENOMEM || code == ENOBUFS || code == EMFILE || code == ENFILE;
}

void shortage_note(int code)
{
    int none = 0;

    if (shortage_is(code))
        atomic_compare_exchange_strong(&first, &none, code);
}

int shortage(void)
{
    return first;
}

void *shortage_calloc(size_t count, size_t element_bytes)
{
    void *array = calloc(count, element_bytes);

    if (!array)
        shortage_note(ENOMEM);
    return array;
}
