#include "probe/tls_alert.h"

#include <string.h>

#define SERVER_HELLO 2 /* RFC 8446 section 4 */

#define OURS_LACKS "it asked for a certificate of ours and got none: --cert FILE, with --key FILE"

/* RFC 8446 appendix B.2. What is only said of our certificate says nothing where we sent none. */
static const struct {
    int number;
    const char *name;
    const char *hint;  /* what it means to its receiver, where that is certain; NULL: it is not */
    const char *given; /* the same where the server had asked for our certificate, and got it */
    bool lacking;      /* where it had asked and got none, that is what servers send it for */
} alerts[] = {
    {0, "close_notify", NULL, NULL, false},
    {10, "unexpected_message", NULL, NULL, false},
    {20, "bad_record_mac", NULL, NULL, false},
    {21, "decryption_failed", NULL, NULL, false},
    {22, "record_overflow", NULL, NULL, false},
    {30, "decompression_failure", NULL, NULL, false},
    {40, "handshake_failure",
     "nothing that was offered suits it: no cipher, group or signature in common",
     "it asked for a certificate of ours; that of --cert, or the rest of what was offered, does "
     "not "
     "suit it",
     true},
    {41, "no_certificate", NULL, NULL, true},
    {42, "bad_certificate", NULL, "it does not accept the certificate of --cert", true},
    {43, "unsupported_certificate", NULL,
     "the certificate of --cert is of a kind that it does not take", true},
    {44, "certificate_revoked", NULL, "the certificate of --cert was revoked", false},
    {45, "certificate_expired", NULL,
     "the certificate of --cert has expired, or is not valid yet by the server's clock", false},
    {46, "certificate_unknown", NULL, "it does not accept the certificate of --cert", true},
    {47, "illegal_parameter", NULL, NULL, false},
    {48, "unknown_ca", NULL,
     "it does not know the authority that signed the certificate of --cert, or lacks an "
     "intermediate certificate, which can follow in the same file",
     false},
    {49, "access_denied", NULL, "it knows the certificate of --cert, and does not let it in", true},
    {50, "decode_error", NULL, NULL, false},
    {51, "decrypt_error", NULL, NULL, false},
    {60, "export_restriction", NULL, NULL, false},
    {70, "protocol_version", "it speaks neither TLS 1.2 nor TLS 1.3", NULL, false},
    {71, "insufficient_security", "it wants stronger ciphers than were offered", NULL, false},
    {80, "internal_error", "by its own word the fault is in the server", NULL, false},
    {86, "inappropriate_fallback", NULL, NULL, false},
    {90, "user_canceled", NULL, NULL, false},
    {100, "no_renegotiation", NULL, NULL, false},
    {109, "missing_extension", "it wants an extension that was not sent, such as a name (--sni)",
     NULL, false},
    {110, "unsupported_extension", NULL, NULL, false},
    {111, "certificate_unobtainable", NULL, NULL, false},
    {112, "unrecognized_name", "it does not know the name that was asked for (--sni)", NULL, false},
    {113, "bad_certificate_status_response", NULL, NULL, false},
    {114, "bad_certificate_hash_value", NULL, NULL, false},
    {115, "unknown_psk_identity", NULL, NULL, false},
    {116, "certificate_required", OURS_LACKS,
     "the certificate of --cert does not suit what it asked for, and was not sent", true},
    {120, "no_application_protocol", "it speaks none of the protocols of --alpn", NULL, false},
};

static size_t find(int alert)
{
    size_t i = 0;

    while (i < sizeof alerts / sizeof alerts[0] && alerts[i].number != alert)
        i++;
    return i;
}

const char *tls_alert_name(int alert)
{
    size_t i = find(alert);
    return i < sizeof alerts / sizeof alerts[0] ? alerts[i].name : NULL;
}

const char *tls_alert_hint(int alert, enum tls_ours ours)
{
    size_t i = find(alert);
    const char *hint = NULL;

    if (i == sizeof alerts / sizeof alerts[0])
        return "";
    switch (ours) {
    case TLS_OURS_NOT_ASKED:
        hint = alerts[i].hint;
        break;
    case TLS_OURS_LACKING:
        hint = alerts[i].lacking ? OURS_LACKS : alerts[i].hint;
        break;
    case TLS_OURS_GIVEN:
        hint = alerts[i].given ? alerts[i].given : alerts[i].hint;
        break;
    }
    return hint ? hint : "";
}

bool tls_is_record(const char *bytes, size_t len_bytes)
{
    return !len_bytes || (bytes[0] >= TLS_RECORD_CHANGE_CIPHER_SPEC &&
                          bytes[0] <= TLS_RECORD_DATA && (len_bytes < 2 || bytes[1] == 3));
}

static bool is_alert(const char *bytes, size_t len_bytes)
{
    static const char alert[] = {TLS_RECORD_ALERT, 3};

    return len_bytes >= 6 && !memcmp(bytes, alert, 2) && (unsigned char)bytes[2] <= 4 &&
           !bytes[3] && bytes[4] == 2 && (bytes[5] == 1 || bytes[5] == 2);
}

bool tls_answers_hello(const char *bytes, size_t len_bytes)
{
    static const char handshake[] = {TLS_RECORD_HANDSHAKE, 3};

    return is_alert(bytes, len_bytes) ||
           (len_bytes >= TLS_HELLO_ANSWER_BYTES && !memcmp(bytes, handshake, 2) &&
            (unsigned char)bytes[2] <= 4 && bytes[5] == SERVER_HELLO);
}

bool tls_is_wanted(const char *answer, size_t len_bytes)
{
    static const char *const words[] = {
        "The plain HTTP request was sent to HTTPS port",     /* nginx */
        "speaking plain HTTP to an SSL-enabled server port", /* Apache */
        "Client sent an HTTP request to an HTTPS server.",   /* Go */
        "This combination of host and port requires TLS.",   /* Tomcat */
    };

    if (is_alert(answer, len_bytes))
        return true;
    if (len_bytes < 12 || memcmp(answer, "HTTP/1.", 7) || memcmp(answer + 8, " 400", 4))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (memmem(answer, len_bytes, words[i], strlen(words[i])))
            return true;
    return false;
}
