/* The short way to read a lock of ours, for a thread that reads nothing else, and nobody writes:
 * tens of thousands of times in a handshake.  Everything else is for the functions of rwlock.h. */
#ifndef FO_FORK_RWLOCK_SHORT_H
#define FO_FORK_RWLOCK_SHORT_H

#include "fork/own_seat.h"
#include "fork/rwlock.h"

static FO_ALWAYS_INLINE int fo_rwlock_read_short(pthread_rwlock_t *lock)
{
    struct fo_seat *seat = fo_seat_own();

    if (fo_unlikely(seat == NULL || fo_own_seat.held != 0))
        return fo_rwlock_read(lock);
    fo_own_seat.held = 1;
    __atomic_store_n(&seat->reads[0], (uintptr_t)lock, __ATOMIC_SEQ_CST);
    if (fo_likely(__atomic_load_n(&((const struct fo_rwlock *)(void *)lock)->writer,
                                  __ATOMIC_SEQ_CST) == 0))
        return 0;
    __atomic_store_n(&seat->reads[0], 0, __ATOMIC_RELEASE);
    fo_own_seat.held = 0;
    return fo_rwlock_read(lock);
}

static FO_ALWAYS_INLINE int fo_rwlock_unlock_short(pthread_rwlock_t *lock)
{
    struct fo_seat *seat = fo_seat_own();

    if (fo_unlikely(fo_own_seat.held != 1 || seat->again[0] != 0 ||
                    FO_RELAXED_LOAD(&seat->reads[0]) != (uintptr_t)lock))
        return fo_rwlock_unlock(lock);
    __atomic_store_n(&seat->reads[0], 0, __ATOMIC_RELEASE);
    fo_own_seat.held = 0;
    return 0;
}

#endif
