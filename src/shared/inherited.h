/* May this process free an object that it inherited?  In private memory each forked process has a
 * copy of everything, frees its copy and nobody notices: SSL_CTX_free() in a worker that leaves.
 * In shared memory that takes the object from all others.  So, with the cure `exit`:
 *
 *   An object that an ancestor made stays where it is when the program frees it, until that
 *   ancestor does.
 *
 * If that was before, the process gives back what it never had: that is no finding either.
 *
 * In a pool of the program's own (backend `host`), where the program knows that the memory is
 * shared, that does not hold for an SSL_CTX: load/objects_kept.h.
 *
 * A reference that this process itself counted with X_up_ref() it may give back.  What OpenSSL does
 * within its own functions is its own affair.  Connections (SSL) have a rule of their own
 * (connections.h), and sessions (SSL_SESSION) are freed by whoever has them. */
#ifndef FO_SHARED_INHERITED_H
#define FO_SHARED_INHERITED_H

#include "base/base.h"

/* Did an ancestor make the block at p, which may be freed by now?  False also when that is not
 * known. */
bool fo_inherited_has(uintptr_t p);

/* The row of the process that made the live block at p; 0: it is none, or that is not known. */
uint32_t fo_inherited_maker(uintptr_t p);

/* Is it a block that was not freed? */
bool fo_inherited_is_live(uintptr_t p);

/* Did this process make it? */
bool fo_inherited_is_own(uintptr_t p);

/* This process counted a reference to it. */
void fo_inherited_reference(uintptr_t p);

/* It gives one back; false: it has none of its own. */
bool fo_inherited_release(uintptr_t p);

#endif
