/* The rare parts of the registry: making leaves, and looking around for reports. */
#include "core/registry.h"

#include <sys/mman.h>

#include "core/memory.h"

static uint8_t *new_leaf(void)
{
    struct fo_leaf_pool *pool = &fo_hot.memory->pool;

    if (pool->count != 0) {
        uint32_t n = __atomic_fetch_add(&pool->used, 1, __ATOMIC_RELAXED);
        return n < pool->count ? pool->base + (size_t)n * FO_LEAF_SIZE : NULL;
    }
    void *p = mmap(NULL, FO_LEAF_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    madvise(p, FO_LEAF_SIZE, MADV_NOHUGEPAGE);
    return p;
}

uint8_t *fo_registry_leaf(void)
{
    return new_leaf();
}

/* NULL: there was no memory for a leaf. */
static void enter_leaf(uintptr_t p, uint8_t *leaf)
{
    uintptr_t index = p >> FO_LEAF_SHIFT;
    uintptr_t biased = (uintptr_t)leaf - (index << (FO_LEAF_SHIFT - FO_GRANULE_SHIFT));
    uint8_t *none = NULL;

    if (leaf == NULL)
        return;
    bool first = __atomic_compare_exchange_n(&fo_hot.root[index], &none, (uint8_t *)biased, false,
                                             __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    if (!first && fo_hot.memory->pool.count == 0)
        munmap(leaf, FO_LEAF_SIZE);
}

uint8_t *fo_registry_slot_make(uintptr_t p)
{
    if ((p & 15) != 0 || !fo_is_address(p))
        return NULL;
    if (__atomic_load_n(&fo_hot.root[p >> FO_LEAF_SHIFT], __ATOMIC_ACQUIRE) == NULL)
        enter_leaf(p, new_leaf());
    return fo_registry_slot(p);
}

uint8_t *fo_registry_slot_with(uintptr_t p, uint8_t *leaf)
{
    enter_leaf(p, leaf);
    return fo_registry_slot(p);
}

uintptr_t fo_registry_near(uintptr_t p)
{
    if (!fo_is_address(p) || p < FO_NEAR_MOST)
        return 0;
    uintptr_t granule = p >> FO_GRANULE_SHIFT;
    for (int i = 0; i < FO_NEAR_WORDS; i++) {
        uintptr_t index = granule >> (FO_LEAF_SHIFT - FO_GRANULE_SHIFT);
        uintptr_t biased = (uintptr_t)__atomic_load_n(&fo_hot.root[index], __ATOMIC_ACQUIRE);
        if (biased != 0) {
            const uint64_t *at = (const uint64_t *)((biased + granule) & ~(uintptr_t)7);
            uint64_t slots = FO_RELAXED_LOAD(at) << (~granule & 7) * 8 & FO_SLOTS_OURS;
            if (slots != 0)
                return (granule - (uintptr_t)__builtin_clzll(slots) / 8) << FO_GRANULE_SHIFT;
        }
        granule = (granule & ~(uintptr_t)7) - 1;
    }
    return 0;
}

uintptr_t fo_registry_below(uintptr_t p)
{
    if (!fo_is_address(p))
        return 0;
    uintptr_t granule = p >> FO_GRANULE_SHIFT;
    uintptr_t least = p > FO_LOOK_BACK ? (p - FO_LOOK_BACK) >> FO_GRANULE_SHIFT : 0;
    enum { LEAF_GRANULES = FO_LEAF_SHIFT - FO_GRANULE_SHIFT };

    while (granule > least) {
        uint8_t *biased = __atomic_load_n(&fo_hot.root[granule >> LEAF_GRANULES], __ATOMIC_ACQUIRE);
        uintptr_t leaf_start = granule >> LEAF_GRANULES << LEAF_GRANULES;
        if (biased == NULL) {
            granule = leaf_start - (leaf_start != 0);
            continue;
        }
        uintptr_t stop = leaf_start > least ? leaf_start : least;
        for (; granule > stop; granule--)
            if (fo_slot_is_ours(FO_RELAXED_LOAD(biased + granule)))
                return granule << FO_GRANULE_SHIFT;
        if (fo_slot_is_ours(FO_RELAXED_LOAD(biased + granule)))
            return granule << FO_GRANULE_SHIFT;
        granule -= granule != 0;
    }
    return 0;
}
