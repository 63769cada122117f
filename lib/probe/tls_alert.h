/* TLS by its first bytes: the alerts by name, and TLS where none is expected, or none where it is.
 * Pure. */
#ifndef PROBE_TLS_ALERT_H
#define PROBE_TLS_ALERT_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_RECORD_HEADER 5

enum tls_record_type {
    TLS_RECORD_CHANGE_CIPHER_SPEC = 20,
    TLS_RECORD_ALERT = 21,
    TLS_RECORD_HANDSHAKE = 22,
    TLS_RECORD_DATA = 23
};

/* What became of a certificate of ours. */
enum tls_ours { TLS_OURS_NOT_ASKED, TLS_OURS_LACKING, TLS_OURS_GIVEN };

/* As RFC 8446 section 6 writes it: "certificate_required"; NULL for others. */
const char *tls_alert_name(int alert);
/* What a server means by it, as a clause; "" where that is not certain. */
const char *tls_alert_hint(int alert, enum tls_ours ours);

/* Whether a peer's first bytes can be the beginning of a TLS record. */
bool tls_is_record(const char *bytes, size_t len_bytes);
/* Whether a peer's first bytes answer a ClientHello: with a ServerHello, or an alert. */
#define TLS_HELLO_ANSWER_BYTES 6
bool tls_answers_hello(const char *bytes, size_t len_bytes);
/* Whether a peer's answer says that it expected TLS: an alert, or a web server's words for it. */
bool tls_is_wanted(const char *answer, size_t len_bytes);

#endif
