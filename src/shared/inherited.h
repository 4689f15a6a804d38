/* May this process free an object that it inherited?  In private memory each forked process has a
 * copy of everything, and can free its copy: SSL_CTX_free() in a worker that ends.  In shared
 * memory that would free the object of all other processes.  So, with the cure `exit`:
 *
 *   An object that an ancestor made is kept when this process frees it, until that ancestor frees
 *   it.
 *
 * When this process frees it after that, it is no finding either.
 *
 * In a pool of the program's own (backend `host`), where the program knows that the memory is
 * shared, that does not apply to an SSL_CTX: load/objects_kept.h.
 *
 * The process may release a reference that it counted itself with X_up_ref().  What OpenSSL frees
 * within its own functions is not checked.  Connections (SSL) have a rule of their own
 * (connections.h), and any process may free a session (SSL_SESSION). */
#ifndef FO_SHARED_INHERITED_H
#define FO_SHARED_INHERITED_H

#include "base/base.h"

/* Did an ancestor make the block at p, which may be freed by now?  False also when not known. */
bool fo_inherited_has(uintptr_t p);

/* The row of the process that made the live block at p; 0: no live block, or not known. */
uint32_t fo_inherited_maker(uintptr_t p);

/* Is it a block that was not freed? */
bool fo_inherited_is_live(uintptr_t p);

/* Did this process make it? */
bool fo_inherited_is_own(uintptr_t p);

/* This process counted a reference to it. */
void fo_inherited_reference(uintptr_t p);

/* It releases one; false: it has none of its own. */
bool fo_inherited_release(uintptr_t p);

#endif
