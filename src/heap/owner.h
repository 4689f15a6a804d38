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

/* In a child in which the thread that was forked has not been here yet: is this it? */
FO_COLD void fo_cache_go_ahead(void);

/* fo_cache_own(), where each bin that is empty or full asks for it. */
static inline struct fo_cache *fo_cache_own_now(void)
{
    if (fo_unlikely(FO_RELAXED_LOAD(&fo_direct_of(fo_hot.process)->held_back)))
        fo_cache_go_ahead();
    return fo_likely(fo_thread.cache != &fo_no_cache) ? fo_thread.cache : NULL;
}

#endif
