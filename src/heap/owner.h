/* Caches in two groups, for owner.c and reclaim.c. */
#ifndef FO_HEAP_OWNER_H
#define FO_HEAP_OWNER_H

#include "heap/region.h"
#include "process/process.h"

struct fo_caches {
    uint32_t first, most, *made;
};

static inline uint32_t fo_caches_made(const struct fo_caches *g)
{
    return fo_least(__atomic_load_n(g->made, __ATOMIC_ACQUIRE), g->most);
}

/* A thread owns one until it ends. */
struct fo_caches fo_caches_owned(void);

/* Any thread borrows one for a call. */
struct fo_caches fo_caches_lent(void);

/* How many threads or calls share the option's bytes; at least 1. */
uint32_t fo_caches_users(void);

/* Set how much this cache may keep, with the present number of users. */
void fo_cache_limit(struct fo_cache *cache);

/* Claim a cache without an owner, or adopt that of a dead one.  The owner may be another thread of
 * this process only if `asks_all`: then the kernel is asked. */
bool fo_cache_take_over(struct fo_cache *cache, uint64_t self, bool asks_all);

/* In a child whose forked thread has not called yet: is this it?  Then start the fast path. */
FO_COLD void fo_cache_end_hold_back(void);

/* Does the thread have a cache?  Inline for each bin that is empty or full.  Relaxed: a late look
 * at `held_back` takes the slow path. */
static inline bool fo_cache_is_own(void)
{
    if (fo_unlikely(fo_layout.shared) &&
        fo_unlikely(FO_RELAXED_LOAD(&fo_direct_of(fo_hot.process)->held_back)))
        fo_cache_end_hold_back();
    return fo_likely(fo_thread.cache != &fo_no_cache);
}

#endif
