#include "probe/tls_memory.h"

#include "base/shortage.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

static void *tls_malloc(size_t size_bytes, const char *file, int line)
{
    void *memory = malloc(size_bytes);

    (void)file;
    (void)line;
    if (!memory && size_bytes)
        shortage_note(ENOMEM);
    return memory;
}

static void *tls_realloc(void *old, size_t size_bytes, const char *file, int line)
{
    void *memory = size_bytes ? realloc(old, size_bytes) : NULL;

    (void)file;
    (void)line;
    if (!size_bytes)
        free(old);
    else if (!memory)
        shortage_note(ENOMEM);
    return memory;
}

static void tls_release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

void tls_library_open(void)
{
    CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_release);
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    ERR_clear_error();
}
