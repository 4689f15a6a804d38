/* Which mappings have blocks come from, and do processes share them?  Called for each new lock, if
 * OpenSSL's memory is shared. */
#ifndef FO_BACKEND_ORIGINS_H
#define FO_BACKEND_ORIGINS_H

#include "base/base.h"

/* A block came from here: remember its mapping. */
void fo_origins_learn(uintptr_t address);

/* Does the address lie in a shared mapping from which a block came? */
bool fo_origins_share(uintptr_t address);

#endif
