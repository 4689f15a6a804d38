/* Backend `guard`: every block ends where a page ends, a page that cannot be touched follows, and a
 * freed block's pages cannot be touched either, so that the first wrong access faults.  It lies
 * over another backend, which has the blocks that are not guarded: all but one block in N if only a
 * sample is wanted, blocks that are too large, and all beyond the bound on mappings.
 *
 * One range is reserved and cut into classes of slots, a class for each power of two of pages:
 *
 *     | inaccessible ... [ header | payload ] | guard page |   the next slot ...
 *
 * The record of a slot is kept outside the range.  A freed slot stays as it is until all slots of
 * its class were used once, and then is used again, first in first out. */
#ifndef FO_BACKEND_GUARD_H
#define FO_BACKEND_GUARD_H

#include "base/block.h"
#include "base/freed.h"

/* The reserved addresses; size 0: guard is off. */
extern struct fo_guard_range {
    uintptr_t start;
    size_t size;
} fo_guard_range;

static inline bool fo_guard_contains(uintptr_t p)
{
    return p - fo_guard_range.start < fo_guard_range.size;
}

/* Called when the slot of a freed block is used again: the block has no record any more. */
typedef void fo_guard_evicted(uintptr_t payload);

/* Guard one block in `one_in`, 1 for all.  False: there is no room for it, and that was printed. */
bool fo_guard_start(uint32_t one_in, fo_guard_evicted *evicted);

/* Is the next block of this process to be guarded? */
bool fo_guard_is_chosen(uint32_t process);

/* Pages for a block with this word (size and process; its check bits do not matter): returns the
 * place of the payload, or 0: take this block from the backend beneath.  errno is kept. */
uintptr_t fo_guard_take(uint64_t word, fo_site allocated);

/* Bytes of a guarded block, header included: nothing is added for a canary, which watches what
 * alignment leaves between the payload's end and the page's. */
static inline size_t fo_guard_room(size_t size)
{
    return sizeof(struct fo_header) + ((size + 15) & ~(size_t)15);
}

/* The block to whose slot an address belongs, as last recorded: live, or freed and not reused. */
struct fo_guarded {
    struct fo_freed record; /* fields of the free: only of freed blocks */
    bool live;
};

/* Takes no lock.  False: no block was ever there, or the slot is being changed at this moment. */
bool fo_guard_find(uintptr_t address, struct fo_guarded *out);

/* The allocation's call stack of a live block, kept with its record. */
void fo_guard_keep_stack(uintptr_t payload, uint32_t stack);
uint32_t fo_guard_stack_of(uintptr_t payload);

/* Call `visit` for each live block. */
void fo_guard_each_live(void (*visit)(void *context, const struct fo_freed *block), void *context);

/* Lock the pages of live blocks: see fo_backend_lock(). */
void fo_guard_lock(void);

/* guard_fault.c: report faults within the range from now on. */
void fo_guard_watch_faults(void);

#endif
