/* OpenSSL as netkit uses it. */
#ifndef PROBE_TLS_MEMORY_H
#define PROBE_TLS_MEMORY_H

/* To be called before anything else of OpenSSL. Its configuration file is not read, and what it
 * gets no memory for is noted (base/shortage.h): of the many reasons that it gives then, "decode
 * error" and a certificate that is not accepted among them, none is true. */
void tls_library_open(void);

#endif
