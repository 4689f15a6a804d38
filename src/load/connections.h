/* Descriptors of connections (SSL) whose free is put off (shared/connections.h): each process has
 * its own descriptor, and SSL_free() closes it if its BIO is BIO_CLOSE. */
#ifndef FO_LOAD_CONNECTIONS_H
#define FO_LOAD_CONNECTIONS_H

#include "base/base.h"

/* Close this process's descriptors of p, as SSL_free() would.  p belongs to the OpenSSL of this
 * major version that the code at `caller` uses. */
void fo_connection_close(void *p, unsigned major, uintptr_t caller);

/* The descriptors of p are closed: when p is freed later, their numbers may be those of other
 * files, so SSL_free() must not close them. */
void fo_connection_keep_descriptors(void *p, unsigned major, uintptr_t caller);

#endif
