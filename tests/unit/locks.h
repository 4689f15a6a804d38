/* For tests of the lock for readers and writers: by its fast path, as OpenSSL's calls come. */
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

static inline void read_it(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_read_fast(lock), 0);
}

static inline void leave(pthread_rwlock_t *lock)
{
    assert_int_equal(fo_rwlock_unlock_fast(lock), 0);
}

#endif
