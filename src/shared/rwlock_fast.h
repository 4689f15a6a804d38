/* The fast path of a read acquisition and of its release, for a thread that has a seat, when no
 * thread writes: tens of thousands of times in a handshake.  All else is in rwlock.h. */
#ifndef FO_SHARED_RWLOCK_FAST_H
#define FO_SHARED_RWLOCK_FAST_H

#include "shared/own_seat.h"
#include "shared/rwlock.h"

/* A process that was just forked has no id here yet.  Relaxed, here and below: the calling thread's
 * own variables, and a lock's key; the order of entry and word is in tests/models/lock-*.litmus. */
static FO_ALWAYS_INLINE bool fo_own_seat_is_this(void)
{
    return fo_own_seat.process == FO_RELAXED_LOAD(&fo_hot.process->id);
}

static FO_ALWAYS_INLINE int fo_rwlock_read_fast(pthread_rwlock_t *lock)
{
    const struct fo_rwlock *l = (const struct fo_rwlock *)(void *)lock;
    uint64_t *top = fo_own_seat.top;

    if (fo_unlikely(!fo_own_seat_is_this()) || fo_unlikely(fo_line_is_full(top)))
        return fo_rwlock_read(lock);
    FO_RELAXED_STORE(&fo_own_seat.top, top + 1); /* a signal handler may lock between the two */
    __atomic_exchange_n(top, FO_RELAXED_LOAD(&l->key), __ATOMIC_SEQ_CST);
    FO_RELAXED_STORE(&fo_own_seat.top, top + 1); /* and may have taken it for a gap */
    uint64_t word = __atomic_load_n(&l->word, __ATOMIC_SEQ_CST);
    if (fo_likely((uint32_t)word == 0) && fo_likely((word & fo_own_seat.bit) != 0))
        return 0;
    return fo_rwlock_read_entered(lock, top);
}

static FO_ALWAYS_INLINE int fo_rwlock_unlock_fast(pthread_rwlock_t *lock)
{
    uint64_t key = FO_RELAXED_LOAD(&((const struct fo_rwlock *)(void *)lock)->key);
    uint64_t *last = fo_own_seat.top - 1;

    if (fo_unlikely(!fo_own_seat_is_this()) || fo_unlikely(FO_RELAXED_LOAD(last) != key))
        return fo_rwlock_unlock(lock);
    uint64_t was = __atomic_exchange_n(last, 0, __ATOMIC_SEQ_CST);
    fo_own_seat.top = last;
    return fo_likely(was == key) ? 0 : fo_rwlock_unlock_removed(lock, last, was);
}

#endif
