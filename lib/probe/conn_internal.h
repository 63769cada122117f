/* Between the files of a connection. */
#ifndef PROBE_CONN_INTERNAL_H
#define PROBE_CONN_INTERNAL_H

#include "probe/conn.h"

/* conn_tls.c: the handshake on a new connection. Ends in `opened` or `failed`. */
void conn_tls_begin(struct conn *conn);
void conn_tls_woken(struct conn *conn, uint32_t events);

/* conn_io.c */
/* Writes what TLS has to say of its own. 0 or a negative errno. */
int conn_flush(struct conn *conn, bool of_request);
/* What was read before and not looked at. A negative errno: it has failed. */
int conn_read_on(struct conn *conn, struct conn_input *input);
/* The sock's observer. */
void conn_observe(void *conn, const struct sock_call *call);

#endif
