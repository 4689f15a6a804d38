/* See shared.h.  Called by the choice of the backend and by the interposed lock functions. */
#include "shared/shared.h"

#include "base/hot.h"
#include "base/mapping.h"
#include "heap/region.h"
#include "options/options.h"
#include "process/ending.h"
#include "process/life.h"
#include "process/memory.h"
#include "process/process.h"
#include "shared/cures.h"
#include "shared/seat.h"

enum { RANGES_MAX = 16 };

/* Mappings from which blocks came, shared or not.  Each process keeps its own list: a pool that is
 * mapped after a fork is learnt by whoever sees its first block. */
static FO_BULKY struct fo_mapping ranges[RANGES_MAX];
static unsigned range_count;
static bool map_is_shared;

static void use_map(struct fo_memory *m)
{
    struct fo_memory *before = fo_hot.memory;

    fo_hot.memory = m;
    __atomic_store_n(&fo_hot.root, m->root, __ATOMIC_RELEASE);
    /* What another process enters, this one does not hear of. */
    __atomic_store_n(&fo_hot.entered, m->common ? m->root : NULL, __ATOMIC_RELEASE);
    fo_process_moved();
    if (before != m && !fo_hot_concurrent()) /* else another thread may be looking at it */
        fo_memory_unmap(before);
}

static bool prepare_locks(void)
{
    return (fo_options.cures & FO_CURE_LOCKS) == 0 || fo_seats != NULL || fo_seats_map();
}

bool fo_shared_prepare(void)
{
    struct fo_memory *m = !prepare_locks() ? NULL
                          : map_is_shared  ? fo_hot.memory
                                           : fo_memory_map(true);

    if (m == NULL)
        return false;
    if (!map_is_shared)
        use_map(m);
    map_is_shared = true;
    return true;
}

bool fo_shared_decide(bool shared)
{
    if (shared && !fo_shared_prepare())
        return false;
    if (!shared && map_is_shared) {
        if (!fo_memory_make_private(fo_hot.memory))
            return false;
        map_is_shared = false;
        if (fo_seats != NULL)
            fo_seats_unmap();
        use_map(fo_hot.memory);
    }
    FO_RELAXED_STORE(&fo_hot.shared, shared);
    if (shared) {
        static const char never = 0;
        FO_RELAXED_STORE(&fo_hot.alone, &never);
        fo_cures_begin();
        fo_ending_start();
        fo_life_watch(fo_hot.memory, fo_process_self()->index);
    }
    return true;
}

bool fo_shared_is_pool(void)
{
    return FO_RELAXED_LOAD(&fo_hot.shared) && (fo_region == NULL || !fo_region->shared);
}

static const struct fo_mapping *known(uintptr_t address)
{
    unsigned n = __atomic_load_n(&range_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (address >= ranges[i].start && address < ranges[i].end)
            return &ranges[i];
    return NULL;
}

bool fo_shared_contains(uintptr_t address)
{
    const struct fo_mapping *m = known(address);

    return (m != NULL && m->shared) || (fo_region_contains(address) && fo_region->shared);
}

void fo_shared_learn(uintptr_t address)
{
    static uint32_t busy;
    struct fo_mapping m;

    if (fo_likely(known(address) != NULL) || range_count == RANGES_MAX ||
        !fo_mapping_find(address, &m))
        return;
    if (!fo_try_alone(&busy))
        return; /* another thread learns; the next block from there brings us back */
    if (known(address) == NULL && range_count < RANGES_MAX) {
        ranges[range_count] = m;
        __atomic_store_n(&range_count, range_count + 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}
