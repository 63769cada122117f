/* What tcp-probe asks over HTTP, of its options: method, header lines, body. */
#ifndef CMD_TCP_PROBE_HTTP_H
#define CMD_TCP_PROBE_HTTP_H

#include "tcp_probe_options.h"

/* Fills the parts of `ask`; `data` keeps the body and must live as long. -EINVAL is a usage error.
 */
int tcp_probe_http_ask(struct preset_ask *ask, struct buf *data,
                       const struct tcp_probe_options *options, struct error *error);
/* How long a body waits for 100 (Continue), by the option or a header line; 0: not at all. */
int64_t tcp_probe_http_continue_ns(const struct tcp_probe_options *options);
/* What the Host header says of a target. */
void tcp_probe_http_host(struct buf *out, const struct tcp_probe_options *options,
                         const struct sock_target *where, bool tls);

#endif
