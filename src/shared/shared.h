/* Do OpenSSL's blocks lie in memory that processes share, and what follows from it?  The cures
 * themselves are in cures.c. */
#ifndef FO_SHARED_SHARED_H
#define FO_SHARED_SHARED_H

#include "base/base.h"

/* The program registered functions of its own: their memory may turn out to be shared after
 * children were forked, so the common map must exist now.  False: no memory for it. */
bool fo_shared_prepare(void);

/* Now that it is known.  Called once in a process, before its first block.  False: no memory. */
bool fo_shared_decide(bool shared);

/* Are they in a pool of the program's own?  Then the program knows that processes share it. */
bool fo_shared_is_pool(void);

#endif
