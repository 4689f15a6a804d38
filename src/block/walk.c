/* See walk.h. */
#include "block/walk.h"

#include "backend/guard.h"
#include "block/registry.h"

static enum fo_watched state_of(uintptr_t payload)
{
    const uint8_t *slot = __atomic_load_n(&fo_hot.entered, __ATOMIC_ACQUIRE) != NULL
                              ? fo_registry_slot(payload)
                              : NULL;

    switch (slot != NULL ? __atomic_load_n(slot, __ATOMIC_ACQUIRE) : FO_SLOT_NONE) {
    case FO_SLOT_NONE:
        return FO_WATCHED_NOT;
    case FO_SLOT_FREED:
        return FO_WATCHED_FREED;
    case FO_SLOT_DAMAGED:
        return FO_WATCHED_DAMAGED;
    case FO_SLOT_GONE:
        return FO_WATCHED_GONE;
    default:
        return FO_WATCHED_LIVE;
    }
}

struct visit {
    fo_walk_live *each;
    void *context;
};

static void visit_guarded(void *context, const struct fo_freed *block)
{
    const struct visit *v = context;
    const struct fo_at at = {FO_FOUND_LIVE, (uintptr_t)block->address, block->word,
                             block->allocated};

    v->each(v->context, &at);
}

static void each_guarded(fo_walk_live *each, void *context)
{
    struct visit v = {each, context};

    fo_guard_each_live(visit_guarded, &v);
}

bool fo_blocks_walk(struct fo_walk *out, fo_walk_live *each, void *context)
{
    static const struct fo_walk_watch watch = {state_of, each_guarded};

    return fo_region_walk(out, &watch, each, context);
}
