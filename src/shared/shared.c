/* See shared.h.  Called by load/choose.c and load/openssl_api.c. */
#include "shared/shared.h"

#include "base/hot.h"
#include "block/memory.h"
#include "heap/region.h"
#include "options/options.h"
#include "process/ending.h"
#include "process/life.h"
#include "process/process.h"
#include "shared/cures.h"
#include "shared/seat.h"

static bool map_is_shared;

static void use_map(struct fo_memory *m)
{
    struct fo_memory *before = fo_hot.memory;

    fo_hot.memory = m;
    fo_hot.tree = &m->tree;
    __atomic_store_n(&fo_hot.root, m->root, __ATOMIC_RELEASE);
    /* In a common map, another process may enter a block at any time. */
    __atomic_store_n(&fo_hot.entered, m->tree.common ? m->root : NULL, __ATOMIC_RELEASE);
    fo_process_moved();
    if (before != m && !fo_hot_is_concurrent()) /* else another thread may be reading it */
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
    FO_RELAXED_STORE(&fo_hot.shared, shared); /* hot.h */
    if (shared) {
        static const char never_alone = 0;
        FO_RELAXED_STORE(&fo_hot.alone, &never_alone);
        fo_cures_begin();
        fo_ending_start();
        fo_life_watch(fo_hot.tree, fo_process_self()->index);
    }
    return true;
}

bool fo_shared_is_pool(void)
{
    return FO_RELAXED_LOAD(&fo_hot.shared) && (fo_region == NULL || !fo_layout.shared);
}
