/* Which process made an object in the shared heap, and may another one change it?
 *
 * An SSL_CTX that a parent made serves all its children: a change that one of them makes is a
 * change for all, and what the child sets may point into the child's own memory.  So only the maker
 * may change an object.  When the maker is dead, the process from which all other living processes
 * descend may change it, such as a server that went into the background; if there is no such
 * process, none may. */
#ifndef FO_SHARED_MADE_H
#define FO_SHARED_MADE_H

#include "base/base.h"

/* Calls that change objects are checked: backend shm, unless FREEONCE_SHM_CHANGES=allow. */
extern FO_HIDDEN bool fo_made_watched;

/* The memory is shared from now on. */
void fo_made_begin(void);

/* Is p an object of the shared heap that lives, and that this process may not change?  False also
 * when its maker is not known. */
bool fo_made_elsewhere(uintptr_t p);

#endif
