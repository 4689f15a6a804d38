/* Connections (SSL) that stay though the program frees them (shared/connections.h), and their
 * descriptors: each process has its own, and SSL_free() closes it if its BIO is BIO_CLOSE. */
#ifndef FO_LOAD_CONNECTIONS_H
#define FO_LOAD_CONNECTIONS_H

#include "base/base.h"

/* Close this process's descriptors of p, as SSL_free() would; p is of an OpenSSL of this major
 * version, as the code at `caller` means it. */
void fo_connection_close(void *p, unsigned major, uintptr_t caller);

/* That was done: when p is freed at last, the numbers may be those of other files. */
void fo_connection_is_closed(void *p, unsigned major, uintptr_t caller);

#endif
