/* Where freed blocks wait, first in first out, and what is remembered of those that left: address,
 * both source lines, processes and thread.  Kept outside the blocks, so that no write through a
 * stale pointer can falsify it. */
#ifndef FO_CORE_QUARANTINE_H
#define FO_CORE_QUARANTINE_H

#include "core/block.h"
#include "core/memory.h"

/* Take over a block whose slot the caller has just brought from LIVE to FREED.  Gives the oldest
 * ones back to their backends when the quarantine is full.  Never waits. */
void fo_quarantine_put(uintptr_t payload, fo_site allocated, uint64_t word, fo_site freed);

enum fo_remembered { FO_FORGOTTEN, FO_TOMBSTONE, FO_WAITING };

/* Newest record of a free of this payload: waiting in quarantine or, failing that, a tombstone.
 * Takes no lock, so it works on the report path.  Tombstones of several threads for one address
 * have no order among them: any one of them is taken. */
enum fo_remembered fo_quarantine_find(uintptr_t payload, struct fo_freed *out);

#endif
