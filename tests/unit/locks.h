/* For tests of the rwlock: through its fast path, as OpenSSL's calls use it. */
#ifndef FO_TESTS_LOCKS_H
#define FO_TESTS_LOCKS_H

#include <pthread.h>

#include "shared/rwlock_fast.h"
#include "shared_heap.h"

static inline pthread_rwlock_t *new_lock(void)
{
    pthread_rwlock_t *lock = block(sizeof *lock);

    assert_int_equal(fo_rwlock_init(lock), 0);
    return lock;
}

static inline void acquire_shared(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_read_fast(lock), 0);
}

static inline void unlock(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_unlock_fast(lock), 0);
}

#endif
