/* The slow paths of the registry: making leaves, and searching around a pointer for reports.
 * Relaxed: states that are looked at for a report, bits that are only a hint, failed exchanges. */
#include "block/registry.h"

#include "base/apart.h"
#include "block/memory.h"
#include "heap/system.h"

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

/* Claim the entry of this part; FO_ROOT_COUNT: all are used.  Entry 0 is left to part 0: a thread
 * that looks there finds part[0] to be 0, and takes the leaf for the one of part 0. */
static uintptr_t claim(uintptr_t part)
{
    for (uintptr_t i = 0; i < FO_ROOT_COUNT; i++) {
        uintptr_t at = (part + i) % FO_ROOT_COUNT, mine = at == 0 ? 1 : part + 1, owner = 0;
        if ((__atomic_compare_exchange_n(&fo_hot.root->claim[at], &owner, mine, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE) ||
             owner == mine) &&
            mine == part + 1)
            return at;
    }
    return FO_ROOT_COUNT;
}

uint8_t *fo_registry_leaf(void)
{
    struct fo_leaf_pool *pool = &fo_hot.memory->pool;

    if (pool->count == 0)
        return (uint8_t *)fo_system_map_apart(0, FO_LEAF_MAPPED);
    uint32_t n = __atomic_fetch_add(&pool->used, 1, __ATOMIC_RELAXED);
    return n < pool->count ? pool->base + (size_t)n * FO_LEAF_MAPPED : NULL;
}

static void give_back(uint8_t *leaf)
{
    if (fo_hot.memory->pool.count == 0)
        fo_apart_unmap(leaf, FO_LEAF_MAPPED);
}

/* `leaf` is NULL if there was no memory for it. */
static void enter_leaf(uintptr_t p, uint8_t *leaf)
{
    uintptr_t part = p >> FO_LEAF_SHIFT;
    uintptr_t biased = (uintptr_t)leaf - (part << (FO_LEAF_SHIFT - FO_GRANULE_SHIFT));
    uint8_t *none = NULL;

    if (leaf == NULL)
        return;
    __atomic_store_n(&fo_hot.entered, fo_hot.root, __ATOMIC_RELEASE);
    uintptr_t at = claim(part);
    if (at == FO_ROOT_COUNT) {
        give_back(leaf);
        return;
    }
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

void fo_registry_evicted(uintptr_t payload)
{
    uint8_t *slot = fo_registry_slot(payload);

    if (slot != NULL)
        __atomic_store_n(slot, FO_SLOT_GONE, __ATOMIC_RELEASE);
}

/* --- search around a pointer ---------------------------------------------------------------------
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
            uint64_t slots = FO_RELAXED_LOAD(at) << (~granule & 7) * 8 & FO_SLOTS_OWNED;
            if (slots != 0)
                return (granule - (uintptr_t)__builtin_clzll(slots) / 8) << FO_GRANULE_SHIFT;
        }
        granule = (granule & ~(uintptr_t)7) - 1;
    }
    return 0;
}

/* The highest granule from `least` to `granule`, both in one leaf, where a payload starts.
 * 0: there is none. */
static uintptr_t highest(const uint8_t *biased, uintptr_t granule, uintptr_t least)
{
    for (;;) {
        const uint64_t *at = (const uint64_t *)(((uintptr_t)biased + granule) & ~(uintptr_t)7);
        uint64_t slots = FO_RELAXED_LOAD(at) << (~granule & 7) * 8 & FO_SLOTS_OWNED;
        if (slots != 0) {
            uintptr_t found = granule - (uintptr_t)__builtin_clzll(slots) / 8;
            return found >= least ? found : 0;
        }
        granule &= ~(uintptr_t)7;
        if (granule <= least)
            return 0;
        granule--;
    }
}

enum {
    LEAF_GRANULES = FO_LEAF_SHIFT - FO_GRANULE_SHIFT,
    UNIT_GRANULES = FO_UNIT_SHIFT - FO_GRANULE_SHIFT,
    LEAF_UNITS = 1 << (FO_LEAF_SHIFT - FO_UNIT_SHIFT),
};
_Static_assert(LEAF_UNITS / 8 <= FO_LEAF_INDEX && LEAF_UNITS % 64 == 0, "a bit for each unit");
_Static_assert(FO_NOTED_SIZE / 128 + 3 + 2 * FO_LOOK_UNITS * ((1 << UNIT_GRANULES) / 8) +
                       ((int)(FO_LOOK_BACK >> FO_LEAF_SHIFT) + 1) * LEAF_UNITS / 64 <=
                   FO_LOOK_WORDS,
               "what fo_registry_below() looks at, at most");

/* The word with the bits of this granule's unit and 63 others; NULL: there is no leaf. */
static uint64_t *index_word(uintptr_t granule)
{
    uintptr_t biased = (uintptr_t)fo_root_find(fo_hot.root, granule << FO_GRANULE_SHIFT);
    uintptr_t end = ((granule >> LEAF_GRANULES) + 1) << LEAF_GRANULES;

    return biased == 0 ? NULL
                       : (uint64_t *)(biased + end) + (granule >> UNIT_GRANULES) % LEAF_UNITS / 64;
}

static uint64_t index_bit(uintptr_t granule)
{
    return UINT64_C(1) << (granule >> UNIT_GRANULES) % 64;
}

/* No other payload begins inside the block: the bits of units wholly inside it are outdated. */
static void clear_inside(uintptr_t payload, size_t size)
{
    uintptr_t unit = (payload >> FO_UNIT_SHIFT) + 1, end = (payload + size) >> FO_UNIT_SHIFT;

    while (unit < end) {
        uintptr_t next = (unit | 63) + 1 < end ? (unit | 63) + 1 : end;
        uint64_t *word = index_word(unit << UNIT_GRANULES);
        uint64_t bits = ~UINT64_C(0) >> (64 - (next - unit)) << unit % 64;
        if (word != NULL && (FO_RELAXED_LOAD(word) & bits) != 0)
            __atomic_fetch_and(word, ~bits, __ATOMIC_SEQ_CST);
        unit = next;
    }
}

void fo_registry_note(uintptr_t payload, size_t size)
{
    uintptr_t granule = payload >> FO_GRANULE_SHIFT;

    __atomic_fetch_or(index_word(granule), index_bit(granule), __ATOMIC_SEQ_CST);
    clear_inside(payload, size);
}

/* At this granule, or up to FO_NOTED_SIZE below. */
static uintptr_t find_near(uintptr_t granule)
{
    const uintptr_t most = FO_NOTED_SIZE >> FO_GRANULE_SHIFT;
    uintptr_t least = granule > most ? granule - most : 1;

    while (granule >= least) {
        uintptr_t leaf_start = granule >> LEAF_GRANULES << LEAF_GRANULES;
        uintptr_t stop = leaf_start > least ? leaf_start : least;
        const uint8_t *biased = fo_root_find(fo_hot.root, granule << FO_GRANULE_SHIFT);
        uintptr_t found = biased != NULL ? highest(biased, granule, stop) : 0;
        if (found != 0)
            return found;
        granule = stop - 1;
    }
    return 0;
}

/* At or below this granule, in its unit.  If that is the whole unit, and no payload is there any
 * more, its bit is cleared.  The second look finds a block that is allocated at this moment: its
 * state is set before the bit. */
static uintptr_t find_in_unit(uintptr_t granule)
{
    const uint8_t *biased = fo_root_find(fo_hot.root, granule << FO_GRANULE_SHIFT);
    uintptr_t start = granule >> UNIT_GRANULES << UNIT_GRANULES;
    uintptr_t found = highest(biased, granule, start);

    if (found != 0 || granule - start + 1 != (uintptr_t)1 << UNIT_GRANULES)
        return found;
    __atomic_fetch_and(index_word(granule), ~index_bit(granule), __ATOMIC_SEQ_CST);
    found = highest(biased, granule, start);
    if (found != 0)
        __atomic_fetch_or(index_word(granule), index_bit(granule), __ATOMIC_SEQ_CST);
    return found;
}

/* The last granule, at most this one, of the highest noted unit: that of this granule, or one below
 * with a bit in the same word.  0: there is none. */
static uintptr_t last_noted(uintptr_t granule)
{
    const uint64_t *word = index_word(granule);
    uint64_t bits = word != NULL ? FO_RELAXED_LOAD(word) : 0;
    uintptr_t unit = granule >> UNIT_GRANULES, end;

    bits <<= 63 - unit % 64;
    if (bits == 0)
        return 0;
    end = ((unit - (uintptr_t)__builtin_clzll(bits) + 1) << UNIT_GRANULES) - 1;
    return end < granule ? end : granule;
}

static uintptr_t find_noted(uintptr_t granule)
{
    const uintptr_t most = FO_LOOK_BACK >> FO_GRANULE_SHIFT, word = (uintptr_t)64 << UNIT_GRANULES;
    uintptr_t least = granule > most ? granule - most : 1;

    for (int units = 0; granule >= least && units < FO_LOOK_UNITS;) {
        uintptr_t noted = last_noted(granule), found = noted != 0 ? find_in_unit(noted) : 0;
        if (found != 0)
            return found >= least ? found : 0;
        units += noted != 0;
        granule = noted != 0 ? noted >> UNIT_GRANULES << UNIT_GRANULES : granule & ~(word - 1);
        if (granule == 0)
            return 0;
        granule--;
    }
    return 0;
}

uintptr_t fo_registry_below(uintptr_t p)
{
    uintptr_t granule = p >> FO_GRANULE_SHIFT;

    if (!fo_is_address(p))
        return 0;
    uintptr_t found = find_near(granule);
    return (found != 0 ? found : find_noted(granule)) << FO_GRANULE_SHIFT;
}
