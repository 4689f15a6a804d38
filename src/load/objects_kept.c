/* See objects_kept.h. */
#include "load/objects_kept.h"

#include "core/memory.h"
#include "fork/cures.h"
#include "fork/process.h"
#include "fork/rows.h"
#include "load/connections.h"

enum { KEPT = 1024 };

static FO_BULKY struct kept {
    void *object;        /* NULL: free */
    uint32_t process;    /* whose it is, by its serial number: a child inherits this table */
    uint32_t after;      /* its users were forked after so many forks, */
    uint32_t until;      /* and before so many; 0: nothing to free here */
    uint32_t connection; /* major version */
    fo_object_function *function;
} kept[KEPT];

/* About: a child inherits that, too, and what found no room counts for ever. */
static uint32_t waiting;

static bool is_mine(const struct kept *k)
{
    return FO_RELAXED_LOAD(&k->process) == fo_process_serial();
}

bool fo_object_keep(void *p, fo_object_function *function, uint32_t after, unsigned connection)
{
    uint32_t until = fo_row_forks();

    if (!fo_cure_workers_live(after, until))
        return false;
    __atomic_fetch_add(&waiting, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < KEPT; i++) {
        void *before = __atomic_load_n(&kept[i].object, __ATOMIC_ACQUIRE);
        if ((before != NULL && is_mine(&kept[i])) ||
            !__atomic_compare_exchange_n(&kept[i].object, &before, p, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        FO_RELAXED_STORE(&kept[i].until, 0);
        FO_RELAXED_STORE(&kept[i].after, after);
        FO_RELAXED_STORE(&kept[i].process, fo_process_serial());
        kept[i].connection = connection;
        kept[i].function = function;
        __atomic_store_n(&kept[i].until, until, __ATOMIC_RELEASE);
        break;
    }
    return true;
}

static void free_now(const struct kept *k, uintptr_t caller)
{
    if (k->connection != 0)
        fo_connection_is_closed(k->object, k->connection, caller);
    fo_object_call(k->function, k->object, caller);
}

void fo_objects_kept_free(uintptr_t caller)
{
    for (unsigned i = 0; i < KEPT && FO_RELAXED_LOAD(&waiting) != 0; i++) {
        uint32_t until = __atomic_load_n(&kept[i].until, __ATOMIC_ACQUIRE);
        if (until == 0 || !is_mine(&kept[i]) ||
            fo_cure_workers_live(FO_RELAXED_LOAD(&kept[i].after), until) ||
            !__atomic_compare_exchange_n(&kept[i].until, &until, 0, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        struct kept k = kept[i];
        __atomic_store_n(&kept[i].object, NULL, __ATOMIC_RELEASE);
        __atomic_fetch_sub(&waiting, 1, __ATOMIC_RELAXED);
        free_now(&k, caller);
    }
}
