/* Connections (SSL) and fork.  In private memory each process has a copy of the connections that
 * existed when it was forked: a server that accepts a connection and forks for it closes its copy,
 * and the child uses the other one.  In shared memory both use the same one.  So, with the cure
 * `exit`:
 *
 *   A connection that existed when this process was forked is kept when this process frees it.  It
 *   is also kept when its maker frees it, as long as processes live that were forked in between.
 *
 * Other connections are passed from process to process on purpose: any process can free them.
 *
 * A table in private memory, which a fork copies, holds the connections that existed.  It has room
 * for 16,384 addresses; a connection that is not in it counts as passed on purpose. */
#ifndef FO_SHARED_CONNECTIONS_H
#define FO_SHARED_CONNECTIONS_H

#include "base/base.h"

/* This process made it.  An earlier connection at this address is forgotten. */
void fo_connection_made(uintptr_t p);

/* Did it exist when this process was forked? */
bool fo_connection_is_inherited(uintptr_t p);

/* Did this process make it?  Then `forks` is the value of fo_row_forks() at that time. */
bool fo_connection_is_own(uintptr_t p, uint32_t *forks);

/* This process frees it, and has not done so before. */
bool fo_connection_first_free(uintptr_t p);

#endif
