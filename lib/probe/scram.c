#include "probe/scram.h"

#include "base/cleanup.h"
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MESSAGE_MAX    1024
#define SALT_MAX       256
#define ITERATIONS_MAX 1000000 /* more would keep this process busy for seconds */
#define BASE64_MAX     ((SCRAM_HASH_BYTES + 2) / 3 * 4 + 1)

int scram_choose_nonce(struct scram *scram)
{
    uint8_t bytes[18];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return -errno;
    EVP_EncodeBlock((unsigned char *)scram->nonce, bytes, sizeof bytes);
    return 0;
}

void scram_begin(const struct scram *scram, struct buf *out)
{
    buf_printf(out, "n,,n=%s,r=%s", scram->user, scram->nonce);
}

static int refuse(struct error *error)
{
    return error_set(error, EPROTO, "not a message of SCRAM-SHA-256");
}

/* The value of an attribute that has to come next, such as "r=…". NULL: it does not. */
static char *take_value(char **rest, char name)
{
    char *field = strsep(rest, ",");

    return field && field[0] == name && field[1] == '=' ? field + 2 : NULL;
}

/* Returns how many bytes it stands for, or -1. */
static int decode(const char *base64, uint8_t *out, size_t room)
{
    size_t length = strlen(base64);

    if (!length || length % 4 || length / 4 * 3 > room)
        return -1;
    int bytes = EVP_DecodeBlock(out, (const unsigned char *)base64, (int)length);
    return bytes < 0 ? -1 : bytes - (base64[length - 1] == '=') - (base64[length - 2] == '=');
}

static bool sign(const uint8_t key[SCRAM_HASH_BYTES], const void *text, size_t text_bytes,
                 uint8_t out[SCRAM_HASH_BYTES])
{
    return HMAC(EVP_sha256(), key, SCRAM_HASH_BYTES, text, text_bytes, out, NULL) != NULL;
}

/* The client's proof, and what the server will prove itself with. */
static bool prove(struct scram *scram, const uint8_t salted[SCRAM_HASH_BYTES],
                  const struct buf *said, uint8_t proof[SCRAM_HASH_BYTES])
{
    uint8_t client[SCRAM_HASH_BYTES], server[SCRAM_HASH_BYTES], stored[SCRAM_HASH_BYTES];

    if (!sign(salted, "Client Key", 10, client) || !sign(salted, "Server Key", 10, server) ||
        !EVP_Digest(client, sizeof client, stored, NULL, EVP_sha256(), NULL) ||
        !sign(stored, said->data, said->len_bytes, proof) ||
        !sign(server, said->data, said->len_bytes, scram->signature))
        return false;
    for (size_t i = 0; i < SCRAM_HASH_BYTES; i++)
        proof[i] ^= client[i];
    return true;
}

int scram_answer(struct scram *scram, const char *password, const char *heard, size_t heard_bytes,
                 struct buf *out, struct error *error)
{
    uint8_t salt[SALT_MAX], salted[SCRAM_HASH_BYTES], proof[SCRAM_HASH_BYTES];
    cleanup(mem) char *copy = strndup(heard, heard_bytes);
    cleanup(buf) struct buf said = {0}, last = {0};
    char base64[BASE64_MAX], *rest = copy, *end = NULL;

    if (!copy)
        return -ENOMEM;
    if (heard_bytes > MESSAGE_MAX || strlen(copy) != heard_bytes)
        return refuse(error);
    buf_printf(&said, "n=%s,r=%s,%s", scram->user, scram->nonce, copy);
    const char *nonce = take_value(&rest, 'r'), *salt64 = take_value(&rest, 's');
    const char *count = take_value(&rest, 'i');
    int salt_bytes = salt64 ? decode(salt64, salt, sizeof salt) : -1;
    long iterations = count ? strtol(count, &end, 10) : 0;
    if (!nonce || strncmp(nonce, scram->nonce, strlen(scram->nonce)) || salt_bytes < 1 ||
        iterations < 1 || *end)
        return refuse(error);
    if (iterations > ITERATIONS_MAX)
        return error_set(error, EPROTO, "but a login with %ld iterations of SCRAM-SHA-256",
                         iterations);
    buf_printf(&last, "c=biws,r=%s", nonce);
    buf_printf(&said, ",%s", buf_str(&last));
    if (said.failed || last.failed)
        return -ENOMEM;
    if (!PKCS5_PBKDF2_HMAC(password, -1, salt, salt_bytes, (int)iterations, EVP_sha256(),
                           sizeof salted, salted) ||
        !prove(scram, salted, &said, proof))
        return -ENOTSUP;
    EVP_EncodeBlock((unsigned char *)base64, proof, sizeof proof);
    buf_printf(out, "%s,p=%s", buf_str(&last), base64);
    return 0;
}

int scram_check(const struct scram *scram, const char *heard, size_t heard_bytes,
                struct error *error)
{
    cleanup(mem) char *copy = strndup(heard, heard_bytes);
    uint8_t signature[SCRAM_HASH_BYTES + 3];
    char *rest = copy;

    if (!copy)
        return -ENOMEM;
    const char *value = take_value(&rest, 'v');
    if (!value || decode(value, signature, sizeof signature) != SCRAM_HASH_BYTES ||
        CRYPTO_memcmp(signature, scram->signature, SCRAM_HASH_BYTES))
        return error_set(error, EPROTO, "and no proof that the server knows the password");
    return 0;
}
