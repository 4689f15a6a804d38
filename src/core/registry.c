/* The rare parts of the registry: making leaves, and looking around for reports. */
#include "core/registry.h"

#include "backend/region_system.h"
#include "core/apart.h"
#include "core/memory.h"

/* --- leaves ------------------------------------------------------------------------------------
 */

uint8_t *fo_root_search(const struct fo_root *root, uintptr_t part)
{
    for (uintptr_t i = 0; i < FO_ROOT_COUNT; i++) {
        uintptr_t at = (part + i) % FO_ROOT_COUNT;
        uintptr_t claim = __atomic_load_n(&root->claim[at], __ATOMIC_ACQUIRE);
        if (claim == part + 1)
            return __atomic_load_n(&root->leaf[at], __ATOMIC_ACQUIRE);
        if (claim == 0)
            return NULL;
    }
    return NULL;
}

/* The entry of this part; FO_ROOT_COUNT: there are too many. */
static uintptr_t claim(uintptr_t part)
{
    for (uintptr_t i = 0; i < FO_ROOT_COUNT; i++) {
        uintptr_t at = (part + i) % FO_ROOT_COUNT, owner = 0;
        if (__atomic_compare_exchange_n(&fo_hot.root->claim[at], &owner, part + 1, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
            owner == part + 1)
            return at;
    }
    return FO_ROOT_COUNT;
}

uint8_t *fo_registry_leaf(void)
{
    struct fo_leaf_pool *pool = &fo_hot.memory->pool;

    if (pool->count == 0)
        return (uint8_t *)fo_system_map_apart(0, FO_LEAF_SIZE);
    uint32_t n = __atomic_fetch_add(&pool->used, 1, __ATOMIC_RELAXED);
    return n < pool->count ? pool->base + (size_t)n * FO_LEAF_SIZE : NULL;
}

static void give_back(uint8_t *leaf)
{
    if (fo_hot.memory->pool.count == 0)
        fo_apart_unmap(leaf, FO_LEAF_SIZE);
}

/* NULL: there was no memory for a leaf. */
static void enter_leaf(uintptr_t p, uint8_t *leaf)
{
    uintptr_t part = p >> FO_LEAF_SHIFT;
    uintptr_t biased = (uintptr_t)leaf - (part << (FO_LEAF_SHIFT - FO_GRANULE_SHIFT));
    uint8_t *none = NULL;

    if (leaf == NULL)
        return;
    __atomic_store_n(&fo_hot.entered, fo_hot.root, __ATOMIC_RELEASE);
    uintptr_t at = claim(part), zero = 0;
    if (at == FO_ROOT_COUNT) {
        give_back(leaf);
        return;
    }
    /* An entry that is all zero looks like that of part 0, which has no other leaf. */
    if (at == 0 && part != 0)
        __atomic_compare_exchange_n(&fo_hot.root->part[0], &zero, 1, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
    if (!__atomic_compare_exchange_n(&fo_hot.root->leaf[at], &none, (uint8_t *)biased, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        give_back(leaf);
    __atomic_store_n(&fo_hot.root->part[at], part, __ATOMIC_RELEASE);
}

uint8_t *fo_registry_slot_make(uintptr_t p)
{
    if ((p & 15) != 0 || !fo_is_address(p))
        return NULL;
    if (fo_root_find(fo_hot.root, p) == NULL)
        enter_leaf(p, fo_registry_leaf());
    return fo_registry_slot(p);
}

uint8_t *fo_registry_slot_with(uintptr_t p, uint8_t *leaf)
{
    enter_leaf(p, leaf);
    return fo_registry_slot(p);
}

/* --- looking around ------------------------------------------------------------------------------
 */

uintptr_t fo_registry_near(uintptr_t p)
{
    if (!fo_is_address(p) || p < FO_NEAR_MOST)
        return 0;
    uintptr_t granule = p >> FO_GRANULE_SHIFT;
    for (int i = 0; i < FO_NEAR_WORDS; i++) {
        uintptr_t biased = (uintptr_t)fo_root_find(fo_hot.root, granule << FO_GRANULE_SHIFT);
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
        uint8_t *biased = fo_root_find(fo_hot.root, granule << FO_GRANULE_SHIFT);
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
