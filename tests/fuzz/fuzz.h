/* A fuzz target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput(), and a seed corpus in
 * corpus/NAME/. In the fuzz preset (clang) it is a libFuzzer program; in every other build replay.c
 * runs it on the files and folders that it is given, so that the corpus is a test with any
 * compiler. A target aborts when a promise of the header under test is broken. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_PROMISE(condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition);        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
