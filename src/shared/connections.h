/* Connections (SSL) and fork.  In private memory each process has a copy of what was there when it
 * was forked: who accepts a connection and forks for it closes his copy, and the child goes on with
 * the other.  In shared memory there is one for both.  So, with the cure `exit`:
 *
 *   A connection that was there when this process was forked stays when this process frees it; and
 *   when the one who made it does, as long as processes live that were forked in between.
 *
 * Others are passed from process to process on purpose, and are freed by whoever has them.
 *
 * What was there is known from a table in ordinary memory, which a fork copies with the rest: it
 * has room for 16,384 addresses, and what found none counts as passed on purpose. */
#ifndef FO_SHARED_CONNECTIONS_H
#define FO_SHARED_CONNECTIONS_H

#include "base/base.h"

/* This process made it.  Of an address that served before, the last word counts. */
void fo_connection_made(uintptr_t p);

/* Was it there when this process was forked? */
bool fo_connection_is_inherited(uintptr_t p);

/* Did this process make it?  Then `forks` is as fo_row_forks() said at that time. */
bool fo_connection_is_own(uintptr_t p, uint32_t *forks);

/* This process frees it, and has not done so before. */
bool fo_connection_first_free(uintptr_t p);

#endif
