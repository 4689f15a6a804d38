/* Which blocks live in this process?  For the look at leaks at its end (FREEONCE_LEAKS); a command
 * reads the same from outside (cli/inspect/blocks.h).  Sound while other threads allocate and free:
 * what changes meanwhile may be missing, or be reported though it is freed. */
#ifndef FO_BLOCK_LIVE_H
#define FO_BLOCK_LIVE_H

#include "base/block.h"

typedef void fo_live_visit(void *context, uintptr_t payload, fo_site site, uint64_t word);

void fo_live_each(fo_live_visit *visit, void *context);

/* Is this block still the one that was visited? */
bool fo_live_is_same(uintptr_t payload, fo_site site, uint64_t word);

#endif
