/* Between the files of a connection. */
#ifndef PROBE_CONN_INTERNAL_H
#define PROBE_CONN_INTERNAL_H

#include "probe/conn.h"

/* conn_proxy.c: writes the PROXY header. 0 or a negative errno. */
int conn_proxy_header(struct conn *conn);

/* conn_tls.c: the handshake that conn_tls_start() began. */
void conn_tls_woken(struct conn *conn, uint32_t events);

/* conn_io.c */
/* Writes what TLS has to say of its own. 0 or a negative errno. */
int conn_flush(struct conn *conn, bool of_request);
/* What was read before and not looked at. A negative errno: it has failed. */
int conn_read_on(struct conn *conn, struct conn_input *input);
/* The sock's observer. */
void conn_observe(void *conn, const struct sock_call *call);

#endif
