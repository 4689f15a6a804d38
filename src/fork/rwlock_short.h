/* The short way to read a lock of ours, for a thread that read it before, when nobody writes: tens
 * of thousands of times in a handshake.  Everything else is for the functions of rwlock.h. */
#ifndef FO_FORK_RWLOCK_SHORT_H
#define FO_FORK_RWLOCK_SHORT_H

#include "fork/own_seat.h"
#include "fork/rwlock.h"

/* A process that was just forked has no pid here yet. */
static FO_ALWAYS_INLINE bool fo_own_seat_is_this(void)
{
    return fo_own_seat.pid == FO_RELAXED_LOAD(&fo_hot.process->pid);
}

/* True: it is done. */
static FO_ALWAYS_INLINE bool fo_rwlock_try_read_short(pthread_rwlock_t *lock)
{
    const struct fo_rwlock *l = (const struct fo_rwlock *)(void *)lock;
    uintptr_t *top = fo_own_seat.top;

    if (fo_unlikely(!fo_own_seat_is_this()) || fo_unlikely(fo_seat_is_full(top)) ||
        fo_unlikely((FO_RELAXED_LOAD(&l->seen) & fo_own_seat.bit) == 0))
        return false;
    FO_RELAXED_STORE(&fo_own_seat.top, top + 1); /* a signal handler may lock between the two */
    __atomic_store_n(top, (uintptr_t)lock, __ATOMIC_SEQ_CST);
    FO_RELAXED_STORE(&fo_own_seat.top, top + 1); /* and have taken it for a gap */
    if (fo_likely(__atomic_load_n(&l->writer, __ATOMIC_SEQ_CST) == 0))
        return true;
    __atomic_store_n(top, 0, __ATOMIC_RELEASE);
    fo_own_seat.top = top;
    return false;
}

static FO_ALWAYS_INLINE bool fo_rwlock_try_unlock_short(const pthread_rwlock_t *lock)
{
    uintptr_t *last = fo_own_seat.top - 1;

    if (fo_unlikely(!fo_own_seat_is_this()) ||
        fo_unlikely(FO_RELAXED_LOAD(last) != (uintptr_t)lock))
        return false;
    __atomic_store_n(last, 0, __ATOMIC_RELEASE);
    fo_own_seat.top = last;
    return true;
}

static FO_ALWAYS_INLINE int fo_rwlock_read_short(pthread_rwlock_t *lock)
{
    return fo_likely(fo_rwlock_try_read_short(lock)) ? 0 : fo_rwlock_read(lock);
}

static FO_ALWAYS_INLINE int fo_rwlock_unlock_short(pthread_rwlock_t *lock)
{
    return fo_likely(fo_rwlock_try_unlock_short(lock)) ? 0 : fo_rwlock_unlock(lock);
}

#endif
