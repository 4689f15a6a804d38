/* Objects whose free was put off: this process made them, its program freed them, and processes
 * that were forked meanwhile still use them (the SSL_CTX of a server that reads its files anew,
 * the SSL of one that forks for each connection). */
#ifndef FO_LOAD_OBJECTS_KEPT_H
#define FO_LOAD_OBJECTS_KEPT_H

#include "load/objects.h"

/* If processes live that were forked after so many forks (fork/rows.h), p is kept for them, and
 * true returned.  It is freed, with this function, by the first fo_objects_kept_free() after they
 * are gone; when too many wait (1,024), never.  Of a connection, whose descriptor is closed at
 * once, the major version of its OpenSSL is given; 0: p is none. */
bool fo_object_keep(void *p, fo_object_function *function, uint32_t after, unsigned connection);

/* Free those that nobody can use any more, for the code at `caller`. */
void fo_objects_kept_free(uintptr_t caller);

#endif
