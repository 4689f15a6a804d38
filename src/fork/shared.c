/* See shared.h.  Called by the choice of the backend and by the interposed lock functions. */
#include "fork/shared.h"

#include "core/hot.h"
#include "core/memory.h"
#include "fork/cures.h"
#include "fork/mapping.h"
#include "fork/process.h"

enum { RANGES_MAX = 16 };

/* Mappings of the program's pool.  Each process keeps its own list: a pool that is mapped after a
 * fork is learnt by whoever sees its first block. */
static struct fo_mapping ranges[RANGES_MAX];
static unsigned range_count;
static bool map_is_shared;

static bool use_map(bool shared)
{
    struct fo_memory *m = fo_memory_map(shared);
    if (m == NULL)
        return false;
    fo_hot.memory = m;
    __atomic_store_n(&fo_hot.root, m->root, __ATOMIC_RELEASE);
    map_is_shared = shared;
    fo_process_moved();
    return true;
}

bool fo_shared_prepare(void)
{
    return map_is_shared || use_map(true);
}

bool fo_shared_decide(bool shared)
{
    if (shared != map_is_shared && !use_map(shared))
        return false;
    fo_hot.shared = shared;
    if (shared) {
        static const char never = 0;
        fo_hot.alone = &never;
        fo_cures_begin();
    }
    return true;
}

bool fo_shared_contains(uintptr_t address)
{
    unsigned n = __atomic_load_n(&range_count, __ATOMIC_ACQUIRE);

    for (unsigned i = 0; i < n; i++)
        if (address >= ranges[i].start && address < ranges[i].end)
            return true;
    return false;
}

void fo_shared_learn(uintptr_t address)
{
    static uint32_t busy;
    struct fo_mapping m;

    if (!fo_hot.shared || fo_shared_contains(address) || !fo_mapping_find(address, &m) || !m.shared)
        return;
    if (__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE) != 0)
        return; /* another thread learns; the next block from there brings us back */
    if (range_count < RANGES_MAX) {
        ranges[range_count] = m;
        __atomic_store_n(&range_count, range_count + 1, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}
