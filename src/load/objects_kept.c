/* See objects_kept.h.  What a place holds is relaxed: `until` is released after it, and acquired
 * before; `process` likewise (tests/models/kept-place.litmus).  The two counts order nothing. */
#include "load/objects_kept.h"

#include "load/connections.h"
#include "process/process.h"
#include "process/rows.h"
#include "process/tree.h"
#include "shared/cures.h"
#include "shared/inherited.h"
#include "shared/shared.h"

enum { KEPT = 1024 };

static FO_BULKY struct place {
    struct fo_kept kept; /* its object is NULL: the place is free */
    uint32_t process;    /* the owner's serial number: a child inherits this table */
    uint32_t after;      /* its users were forked after this number of forks, */
    uint32_t until;      /* and before this number; 0: nothing to free here */
    uint32_t made;       /* the number of SSL_CTX and SSL that this process had made */
    bool inherited;      /* its users are not known */
} places[KEPT];

/* An upper limit: a child inherits it, too, and an object that found no place stays counted. */
static uint32_t waiting;
static uint32_t made;

static bool is_own(const struct place *at)
{
    return __atomic_load_n(&at->process, __ATOMIC_ACQUIRE) == fo_process_serial();
}

static bool put(const struct fo_kept *kept, uint32_t after, uint32_t until, bool inherited)
{
    __atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED);
    for (struct place *at = places; at < places + KEPT; at++) {
        void *before = __atomic_load_n(&at->kept.object, __ATOMIC_ACQUIRE);
        if ((before != NULL && is_own(at)) ||
            !__atomic_compare_exchange_n(&at->kept.object, &before, kept->object, false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            continue;
        FO_RELAXED_STORE(&at->until, 0);
        FO_RELAXED_STORE(&at->after, after);
        FO_RELAXED_STORE(&at->made, FO_RELAXED_LOAD(&made));
        FO_RELAXED_STORE(&at->inherited, inherited);
        /* A thread that finds the place to be its process's finds no `until` of its parent's. */
        __atomic_store_n(&at->process, fo_process_serial(), __ATOMIC_RELEASE);
        at->kept.function = kept->function;
        at->kept.slot = kept->slot;
        at->kept.caller = kept->caller;
        at->kept.connection = kept->connection;
        __atomic_store_n(&at->until, until, __ATOMIC_RELEASE);
        return true;
    }
    return false;
}

bool fo_object_keep(const struct fo_kept *kept, uint32_t after)
{
    uint32_t until = fo_row_forks();

    if (!fo_cure_has_live_workers(after, until))
        return false;
    return put(kept, after, until, false) || !fo_shared_is_pool();
}

bool fo_object_keep_replaced(const struct fo_kept *kept)
{
    return put(kept, 0, UINT32_MAX, true);
}

void fo_objects_kept_count_made(void)
{
    __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED);
}

static bool is_replaced(const struct place *at)
{
    return at->kept.connection == 0 && FO_RELAXED_LOAD(&at->made) != FO_RELAXED_LOAD(&made) &&
           fo_shared_is_pool();
}

static bool is_unused(const struct place *at, uint32_t until)
{
    if (is_replaced(at))
        return true;
    return !FO_RELAXED_LOAD(&at->inherited) &&
           !fo_cure_has_live_workers(FO_RELAXED_LOAD(&at->after), until);
}

static void free_now(const struct place *at)
{
    const struct fo_kept *kept = &at->kept;
    uintptr_t p = (uintptr_t)kept->object;

    /* Another process may have freed it, and the address may be another object's by now. */
    if (at->inherited && (fo_inherited_is_live(p) ? !fo_inherited_has(p) : !fo_hot.objects))
        return;
    if (kept->connection != 0)
        fo_connection_keep_descriptors(kept->object, kept->connection, kept->caller);
    fo_object_free_now(kept->function, kept->object, kept->slot, kept->caller);
}

void fo_objects_kept_free(void)
{
    for (struct place *at = places; at < places + KEPT && FO_RELAXED_LOAD(&waiting) != 0; at++) {
        uint32_t until = __atomic_load_n(&at->until, __ATOMIC_ACQUIRE);
        if (until == 0 || !is_own(at) || !is_unused(at, until) ||
            !__atomic_compare_exchange_n(&at->until, &until, 0, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        struct place copy = *at;
        __atomic_store_n(&at->kept.object, NULL, __ATOMIC_RELEASE);
        __atomic_fetch_sub(&waiting, 1, __ATOMIC_RELAXED);
        free_now(&copy);
    }
}
