/* What tcp-probe asks over HTTP, of its options: method, header lines, body. */
#ifndef CMD_TCP_PROBE_HTTP_H
#define CMD_TCP_PROBE_HTTP_H

#include "tcp_probe_options.h"

/* Fills the parts of `ask`; `data` keeps the body and must live as long. -EINVAL is a usage error.
 */
int tcp_probe_http_ask(struct preset_ask *ask, struct buf *data,
                       const struct tcp_probe_options *options, struct error *error);
/* What the Host header says of a target. */
void tcp_probe_http_host(struct buf *out, const struct tcp_probe_options *options,
                         const struct sock_target *where, bool tls);

#endif
