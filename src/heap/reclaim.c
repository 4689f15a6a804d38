/* Memory is short: what the caches of dead threads hold goes to all threads.  See region.h. */
#include "heap/owner.h"

#include "process/process.h"

/* Acts as the dead owner of the cache; `drained` is relaxed, for the owner's word is acquired. */
static void hand_out(struct fo_cache *cache)
{
    struct fo_cache *own = fo_thread.cache;

    fo_thread.cache = cache;
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_slots_offer(&cache->bins[c]);
    fo_cache_recover_magazines(cache);
    for (unsigned c = 0; c < FO_REGION_CLASSES; c++)
        fo_cache_share_all(c);
    FO_RELAXED_STORE(&cache->drained, true);
    fo_thread.cache = own;
    fo_living_release(&cache->owner);
}

static void reclaim(struct fo_cache *cache, uint64_t self)
{
    struct fo_cache *own = fo_thread.cache;
    bool drained = FO_RELAXED_LOAD(&cache->owner.owner) == 0 && FO_RELAXED_LOAD(&cache->drained);

    if (cache == own || drained || !fo_cache_take_over(cache, self, true))
        return;
    fo_thread.cache = own;
    hand_out(cache);
}

void fo_caches_reclaim(void)
{
    uint64_t self = fo_living_me();

    for (unsigned n = 0; n < 2; n++) {
        struct fo_caches g = n == 0 ? fo_caches_owned() : fo_caches_lent();
        for (uint32_t i = 0; i < fo_caches_made(&g); i++)
            reclaim(fo_cache_at(g.first + i), self);
    }
    fo_large_evict_warm();
    fo_pages_recover(0);
}
