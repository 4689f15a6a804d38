/* See fork_id.h.  The flag that a process has the common number lies where the kernel zeroes it in
 * each child, so that a child of a raw clone(2) does not have it.  Relaxed, as what is read with
 * it: the lock for writing that its reader holds orders them. */
#include "shared/fork_id.h"

#include "block/memory.h"
#include "process/life.h"
#include "process/process.h"
#include "shared/rwlock.h"

enum { COMMON = 1 << 30, APART = 1 << 29 };

/* Of the thread that forks. */
static __thread struct {
    bool common;
    bool used; /* a generator, since its own were released */
} forking;

void fo_fork_id_begin(void)
{
    FO_RELAXED_STORE(&fo_process_self()->common_id, true);
}

uint32_t fo_fork_id(void)
{
    const struct fo_process *me = fo_process_self();
    const struct fo_memory *m = fo_hot.memory;

    /* Where the kernel cannot zero pages, a child of a raw clone has its parent's flag. */
    if (!FO_RELAXED_LOAD(&me->common_id) || fo_rwlock_written == NULL ||
        !fo_rwlock_has_writer_here() || FO_RELAXED_LOAD(&m->own_generators) ||
        me->pid != fo_getpid())
        return 0;
    return COMMON | (FO_RELAXED_LOAD(&m->locks_recovered) & (COMMON - 1));
}

uint32_t fo_fork_id_apart(void)
{
    return fo_life_is_apart() ? APART | (fo_process_serial() & (APART - 1)) : 0;
}

void fo_fork_id_used(void)
{
    forking.used = true;
}

void fo_fork_id_end(void)
{
    if (fo_hot.memory != NULL)
        FO_RELAXED_STORE(&fo_hot.memory->own_generators, true);
}

void fo_fork_id_before_fork(void)
{
    forking.common = FO_RELAXED_LOAD(&fo_process_self()->common_id);
    forking.used = false;
}

void fo_fork_id_in_child(void)
{
    fo_rwlock_written = NULL; /* the lock is its parent's */
    FO_RELAXED_STORE(&fo_process_self()->common_id, forking.common && !forking.used);
}
