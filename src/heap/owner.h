/* Caches in two groups, for owner.c and reclaim.c. */
#ifndef FO_HEAP_OWNER_H
#define FO_HEAP_OWNER_H

#include "heap/region.h"

struct fo_caches {
    uint32_t first, most, *made;
};

static inline uint32_t fo_caches_made(const struct fo_caches *g)
{
    return fo_least(__atomic_load_n(g->made, __ATOMIC_ACQUIRE), g->most);
}

/* By one thread each, until it ends. */
struct fo_caches fo_caches_owned(void);

/* By any thread, for a call. */
struct fo_caches fo_caches_lent(void);

/* Threads, or calls, that the option's bytes are divided by; at least 1. */
uint32_t fo_caches_users(void);

/* How much this cache may keep, with so many users. */
void fo_cache_limit(struct fo_cache *cache);

/* If the cache has no owner, or one who is gone; of threads of this process, the kernel is asked
 * only if all are. */
bool fo_cache_take_over(struct fo_cache *cache, uint64_t self, bool asks_all);

#endif
