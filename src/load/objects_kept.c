/* See objects_kept.h. */
#include "load/objects_kept.h"

#include "core/memory.h"
#include "fork/cures.h"
#include "fork/process.h"

enum { KEPT = 64 };

static struct kept {
    void *object;   /* NULL: free */
    uint32_t pid;   /* whose it is: a child inherits this table */
    uint32_t users; /* those in the first rows of the table of processes; 0: nothing to free here */
    fo_object_function *function;
} kept[KEPT];

static bool is_mine(const struct kept *k)
{
    return FO_RELAXED_LOAD(&k->pid) == fo_process_self()->pid;
}

bool fo_object_keep(void *p, fo_object_function *function)
{
    uint32_t users = FO_RELAXED_LOAD(&fo_hot.memory->processes_used);

    if (!fo_cure_workers_live(users))
        return false;
    for (unsigned i = 0; i < KEPT; i++) {
        void *before = __atomic_load_n(&kept[i].object, __ATOMIC_ACQUIRE);
        if ((before != NULL && is_mine(&kept[i])) ||
            !__atomic_compare_exchange_n(&kept[i].object, &before, p, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        FO_RELAXED_STORE(&kept[i].users, 0);
        FO_RELAXED_STORE(&kept[i].pid, fo_process_self()->pid);
        kept[i].function = function;
        __atomic_store_n(&kept[i].users, users, __ATOMIC_RELEASE);
        break;
    }
    return true;
}

void fo_objects_kept_free(uintptr_t caller)
{
    for (unsigned i = 0; i < KEPT; i++) {
        uint32_t users = __atomic_load_n(&kept[i].users, __ATOMIC_ACQUIRE);
        if (users == 0 || !is_mine(&kept[i]) || fo_cure_workers_live(users) ||
            !__atomic_compare_exchange_n(&kept[i].users, &users, 0, false, __ATOMIC_ACQ_REL,
                                         __ATOMIC_RELAXED))
            continue;
        void *p = kept[i].object;
        fo_object_function *function = kept[i].function;
        __atomic_store_n(&kept[i].object, NULL, __ATOMIC_RELEASE);
        bool outermost = fo_thread.caller == 0;
        if (outermost)
            fo_thread_enter(caller);
        function(p, NULL);
        if (outermost)
            fo_thread_enter(0);
    }
}
