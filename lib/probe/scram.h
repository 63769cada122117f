/* A login with SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's side, without channel binding. A
 * password is taken as its bytes are: SASLprep leaves those of ASCII as they are. */
#ifndef PROBE_SCRAM_H
#define PROBE_SCRAM_H

#include "base/buf.h"
#include "netkit/error.h"
#include <stddef.h>
#include <stdint.h>

#define SCRAM_HASH_BYTES 32

struct scram {
    char nonce[64];                      /* the caller's: printable, without a comma */
    const char *user;                    /* the caller's: without ',' and '=' */
    uint8_t signature[SCRAM_HASH_BYTES]; /* that the server has to know */
};

/* Makes a nonce. 0 or a negative errno. */
int scram_choose_nonce(struct scram *scram);
/* Appends the client's first message. */
void scram_begin(const struct scram *scram, struct buf *out);
/* Appends the answer to the server's first message. 0, or -EPROTO when that is none. */
int scram_answer(struct scram *scram, const char *password, const char *heard, size_t heard_bytes,
                 struct buf *out, struct error *error);
/* The server's last message: 0 when it proves that the server knows the password, or -EPROTO. */
int scram_check(const struct scram *scram, const char *heard, size_t heard_bytes,
                struct error *error);

#endif
