/* Certificates: why one of the server's is not accepted, and one of ours, with its key. */
#ifndef PROBE_TLS_CERTIFICATE_H
#define PROBE_TLS_CERTIFICATE_H

#include "base/buf.h"
#include "netkit/error.h"
#include <openssl/ssl.h>

/* Appends why the certificate that the store is at is not accepted. */
void tls_certificate_rejected(struct buf *out, X509_STORE_CTX *store);

/* Has a store trust the certificates of a PEM file. The message names the option and the file. */
int tls_trust(X509_STORE *store, const char *file, struct error *error);

/* A certificate with its key, and the intermediate certificates that are sent with it. */
struct tls_identity;

/* Reads PEM files; key_file NULL: the key is in cert_file. -EINVAL, or what reading failed by; the
 * message names the option and the file. */
int tls_identity_open(struct tls_identity **out, const char *cert_file, const char *key_file,
                      struct error *error);
void tls_identity_close(struct tls_identity *identity); /* NULL is allowed */
/* Every connection of the context can show it. -EINVAL. */
int tls_identity_use(const struct tls_identity *identity, SSL_CTX *ssl, struct error *error);

#endif
